"""What the checks of the schema suite try requests with: a valid row, its answer, and whether the server still gives it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Cause, Finding
from mlgate.generation.input_space import InputSpace
from mlgate.generation.interface import Mode
from mlgate.scoring.answers import Answer, NotAPrediction
from mlgate.scoring.bad_requests import BadRequest
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.payloads import Batch
from mlgate.scoring.raw_request import send, send_slowly
from mlgate_suites.findings import explained, failed, inconclusive, problem_of

# Beyond this a body goes out by a path that can read a refusal which comes before its end.
_LARGE = 10**6
SHOWN = 500  # characters of an answer in the details


@dataclass(frozen=True)
class Trial:
    """A model under trial.

    Attributes:
        client: Of the running server.
        signature: The model's.
        inputs: Its valid inputs.
        equality: When two of its answers are equal.
        seed: Of generated rows.
    """

    client: ScoringClient
    signature: Signature
    inputs: InputSpace
    equality: Equality
    seed: int

    @cached_property
    def valid(self) -> Batch:
        """One valid row, as plain as can be: the logged example's values where there are any."""
        modes = {domain.name: Mode.DEFAULT for domain in self.inputs.domains}
        return self.inputs.sample(1, seed=self.seed, modes=modes)

    @cached_property
    def _first(self) -> Answer:
        return self.client.score(self.valid)

    @property
    def unanswered(self) -> Finding | None:
        """What to record where the valid row is not answered to begin with: nothing can be held against it."""
        problem = problem_of(self._first, self.signature.outputs, rows=1)
        return None if problem is None else inconclusive(f"a valid row is not answered to begin with: {problem}", n=0)

    def send(self, request: BadRequest) -> Answer:
        """Send *request*, whatever its size; a lost server is brought back before."""
        if not request.headers and len(request.body) < _LARGE:
            return self.client.post(request.body, content_type=request.content_type)
        self.client.recover()
        headers = dict(request.headers)
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        timeout_s = self.client.timeout_s
        return send(self.client.server.url, self.client.protocol, request.body, headers=headers, timeout_s=timeout_s)

    def send_slowly(self, *, timeout_s: float, meanwhile: Callable[[], None]) -> Answer:
        """Send the valid row as a request that never ends; see `mlgate.scoring.raw_request.send_slowly`."""
        self.client.recover()
        body, content_type = self.client.protocol.encode(self.valid)
        return send_slowly(
            self.client.server.url,
            self.client.protocol,
            body,
            headers={"Content-Type": content_type},
            timeout_s=timeout_s,
            meanwhile=meanwhile,
        )

    def as_before(self, answer: Answer) -> bool:
        """Return whether *answer* says what the valid row was answered at first."""
        try:
            return self.equality.first_difference(self._first.rows(), answer.rows()) is None
        except NotAPrediction:
            return False

    def dead(self, *, cause: Cause = Cause.SERVER) -> Finding | None:
        """Return the failure to answer the valid row as before, or `None`: alive means that it is answered."""
        after = self.client.score(self.valid)
        problem = problem_of(after, self.signature.outputs, rows=1)
        if problem is not None:
            problem, details = explained(problem, after, self.client)
            reason = f"after the bad request a valid one is not answered: {problem}"
            return failed(reason, cause=cause, details=details)
        if not self.as_before(after):
            reason = "after the bad request a valid one is answered differently from before"
            return failed(reason, cause=Cause.MODEL, details={"before": shown(self._first), "after": shown(after)})
        return None


def shown(answer: Answer) -> str:
    """Return the beginning of an answer's body for the details."""
    return answer.body[:SHOWN].decode("utf-8", "replace")


def advisory(finding: Finding, **details: Any) -> Finding:
    """Return *finding* as one that is shown and does not gate."""
    return replace(finding, details={**finding.details, "advisory": True, **details})


def is_json(answer: Answer) -> bool:
    """Return whether an answer's body is JSON."""
    try:
        json.loads(answer.body)
    except (ValueError, RecursionError):
        return False
    return True
