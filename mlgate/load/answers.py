"""What came back under load: whether it is an answer at all, and which ones are kept to be compared. Pure."""

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from mlgate.artifacts.signature import Signature
from mlgate.load.plan import Target
from mlgate.load.samples import ErrorKind
from mlgate.scoring.protocols import Invocations, ServingProtocol
from mlgate.scoring.v2 import V2, holds_null

# A run of 200 bodies against a model of fixed answers keeps 200; this is for those whose answers never repeat.
MAX_ANSWERS = 20_000
MAX_BYTES = 32 << 20
# Verdicts remembered: 100 bytes each. Beyond, an answer not seen before is read each time.
MAX_REMEMBERED = 200_000
# The share of the caps that the first answers may take; the rest opens as the run goes on, so that what goes wrong late
# is kept too.
OPENING_SHARE = 0.25

# A server of the V2 protocol gives each answer an id of its own, and with it no two answers are the same bytes.
_V2_ID = re.compile(rb'"id"\s*:\s*"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"')

# Under which MLflow's server and that of the V2 protocol say what went wrong.
_ERROR_KEYS = ("error", "error_code", "stack_trace")

_UNSIGNED = Signature(inputs=None, outputs=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """One of the distinct bodies that came with status 200.

    Attributes:
        target: Which of the plan's targets gave it.
        body: Which of the target's bodies it answers.
        content: As it came.
    """

    target: int
    body: int
    content: bytes


def kind_of_status(status: int) -> ErrorKind:
    """Return what an HTTP *status* says by itself; `NONE` for 200."""
    if status == 200:
        return ErrorKind.NONE
    return {4: ErrorKind.CLIENT_ERROR, 5: ErrorKind.SERVER_ERROR}.get(status // 100, ErrorKind.STATUS)


def kind_of_content(content: bytes, target: Target, body: int) -> ErrorKind:
    """Return what is wrong with *content*, which came with status 200 for one of *target*'s bodies; `NONE` for nothing."""
    tokens: list[str] = []
    try:
        document = json.loads(content, parse_constant=tokens.append)
        rows = _protocol(target).rows(document)
    except Exception:  # noqa: BLE001  (a stranger's bytes: whatever reading them raises, they are no answer)
        return ErrorKind.INVALID
    if isinstance(document, dict) and any(document.get(key) for key in _ERROR_KEYS):
        return ErrorKind.INVALID
    if target.rows and len(rows) != target.rows[body]:
        return ErrorKind.INVALID
    null = target.protocol == "v2" and holds_null(content)
    return ErrorKind.NOT_FINITE if target.reject_not_finite and (tokens or null) else ErrorKind.NONE


def _protocol(target: Target) -> ServingProtocol:
    return V2(_UNSIGNED) if target.protocol == "v2" else Invocations()


class AnswerBook:
    """Reads each distinct answer once and remembers what it was; a repeated one costs a hash.

    Args:
        targets: The plan's.
        share: Of the caps, for one of several processes that fill one run's answers.
    """

    def __init__(self, targets: Sequence[Target], *, share: float = 1.0) -> None:
        self._targets = targets
        self._max_answers, self._max_bytes = MAX_ANSWERS * share, MAX_BYTES * share
        self._seen: dict[tuple[int, int, bytes], tuple[ErrorKind, int]] = {}
        self._bytes = 0
        self.kept: list[KeptAnswer] = []

    def judge(self, target: int, body: int, content: bytes, *, progress: float = 1.0) -> tuple[ErrorKind, int]:
        """Return what is wrong with *content*, and its place among the kept answers; -1 where it is not kept.

        Args:
            target: Which target answered, with status 200.
            body: Which of its bodies.
            content: What came.
            progress: Share of the run that is over, from 0 to 1; the caps open with it.
        """
        key = (target, body, self._digest(target, content))
        known = self._seen.get(key)
        if known is not None:
            return known
        kind = kind_of_content(content, self._targets[target], body)
        found = (kind, self._keep(KeptAnswer(target=target, body=body, content=content), progress))
        if len(self._seen) < MAX_REMEMBERED:
            self._seen[key] = found
        return found

    def place_of(self, answer: KeptAnswer, *, progress: float = 1.0) -> int:
        """Return the place of an *answer* that another process kept, and has judged; -1 where there is no room."""
        key = (answer.target, answer.body, self._digest(answer.target, answer.content))
        if key not in self._seen:
            self._seen[key] = (ErrorKind.NONE, self._keep(answer, progress))
        return self._seen[key][1]

    def _digest(self, target: int, content: bytes) -> bytes:
        if self._targets[target].protocol == "v2":
            content = _V2_ID.sub(b'"id":""', content, count=1)
        return blake2b(content, digest_size=16).digest()

    def _keep(self, answer: KeptAnswer, progress: float) -> int:
        room = OPENING_SHARE + (1 - OPENING_SHARE) * progress
        size = self._bytes + len(answer.content)
        if len(self.kept) >= room * self._max_answers or size > room * self._max_bytes:
            return -1
        self._bytes = size
        self.kept.append(answer)
        return len(self.kept) - 1


def pack(answers: Sequence[KeptAnswer]) -> bytes:
    """Return *answers* as `unpack` reads them."""
    packed = io.BytesIO()
    np.savez(
        packed,
        target=np.array([answer.target for answer in answers], np.uint8),
        body=np.array([answer.body for answer in answers], np.int32),
        ends=np.cumsum([len(answer.content) for answer in answers]).astype(np.int64),
        content=np.frombuffer(b"".join(answer.content for answer in answers), np.uint8),
    )
    return packed.getvalue()


def unpack(packed: bytes) -> tuple[KeptAnswer, ...]:
    """Read what `pack` gave."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as columns:
        raw, ends = columns["content"].tobytes(), columns["ends"].tolist()
        places = zip(columns["target"].tolist(), columns["body"].tolist(), [0, *ends], ends, strict=False)
        return tuple(KeptAnswer(target=target, body=body, content=raw[a:b]) for target, body, a, b in places)
