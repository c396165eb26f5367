"""What runs in Ray's workers: requests go out, and their answers come back, where they are valid."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from mlgate.artifacts.signature import Schema
from mlgate.errors import FailureKind, MlgateError
from mlgate.evaluation.conformance import bad_row
from mlgate.evaluation.engines.interface import Replica
from mlgate.sandbox.interface import ServerFailure
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import ServingProtocol

# How often a partition is begun anew; one whose workers die more often kills them.
MOST_RETRIES = 3


class Beginnings:
    """Counts how often each partition was begun, in a process that no partition can kill."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int]] = Counter()

    def begin(self, model: int, partition: int) -> int:
        """Count one more of a model's partition, and return how many there were."""
        self._counts[model, partition] += 1
        return self._counts[model, partition]


class Servers(Protocol):
    """Which servers a worker asks."""

    def clients(self, stack: ExitStack) -> Sequence[ScoringClient]:
        """Return one client a server; *stack* closes what was started for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Servers that run already, and belong to the run and not to the worker.

    Attributes:
        urls: Base URLs.
        protocol: How they are asked.
        timeout_s: Longest time for one answer.
    """

    urls: tuple[str, ...]
    protocol: ServingProtocol
    timeout_s: float

    def clients(self, stack: ExitStack) -> Sequence[ScoringClient]:
        """Return one client a URL."""
        servers = [_NotOurs(url=url, protocol=self.protocol) for url in self.urls]
        found = [ScoringClient(server, timeout_s=self.timeout_s) for server in servers]  # type: ignore[arg-type]  # the part of a server that a client uses
        for client in found:
            stack.callback(client.close)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnServer:
    """One server for each worker, which the worker starts on its machine."""

    replica: Replica

    def clients(self, stack: ExitStack) -> Sequence[ScoringClient]:
        """Start it.

        Raises:
            MlgateError: It can not be started there.
        """
        return [stack.enter_context(self.replica.serving())]


@dataclass(frozen=True, slots=True, kw_only=True)
class _NotOurs:
    """A server that this process can not look into or restart: the run that owns it does."""

    url: str
    protocol: ServingProtocol

    def failure(self) -> ServerFailure:
        return ServerFailure(kind=FailureKind.CONNECTION_LOST, message="no answer", log="")

    def restart(self) -> None:
        """Try it again as it is."""


class Worker:
    """Has partitions answered; Ray makes one in each of its worker processes.

    Args:
        servers: Whom to ask.
        outputs: The output signature, to which answers are held.
        version: Of mlgate, where the run is.
        begin: Says how often a partition was begun, this time included.
    """

    def __init__(self, servers: Servers, outputs: Schema | None, version: str, begin: Callable[[int], int]) -> None:
        self._outputs, self._begin = outputs, begin
        self._stack = ExitStack()
        self._clients: Sequence[ScoringClient] = ()
        self._trouble = _other_version(version)
        try:
            self._clients = () if self._trouble else servers.clients(self._stack)
        except MlgateError as error:
            self._trouble = f"a Ray worker can not serve the model: {error}"

    def __call__(self, part: Any) -> Any:
        """Have the requests of one partition answered, in their order; all are given up where none can be."""
        partition = part.column("partition")[0].as_py()
        asked = zip(part.column("number").to_pylist(), part.column("batch").to_pylist(), strict=True)
        trouble = self._trouble
        if self._begin(partition) > 1 + MOST_RETRIES:
            trouble = f"{1 + MOST_RETRIES} Ray workers died over these rows"
        if trouble:
            # Ray would carry an exception as the text of its traceback.
            return answer_table((number, None, trouble) for number, _ in asked)
        # Neighbouring partitions are under way at the same time, and go to different servers.
        client = self._clients[partition % len(self._clients)]
        return answer_table((number, self._ask(client, unpack(packed)), "") for number, packed in asked)

    def _ask(self, client: ScoringClient, batch: Batch) -> list[Any] | None:
        """Return the answers, or `None`: why there are none is for the run's own server to say."""
        try:
            found = client.score(batch).rows()
        except (MlgateError, ValueError):  # NotAPrediction is one
            return None
        return found if len(found) == len(batch) and bad_row(found, self._outputs) is None else None

    def __del__(self) -> None:
        """End what was started: Ray drops its workers' objects at the end, and calls nothing else."""
        if hasattr(self, "_stack"):
            self._stack.close()


def _other_version(version: str) -> str:
    from mlgate import __version__  # noqa: PLC0415 - 15 ms that importing this need not pay

    return "" if __version__ == version else f"a Ray worker has mlgate {__version__}, and this run is of {version}"


# How requests and answers travel.


def pack(batch: Batch) -> bytes:
    """Return *batch* as bytes."""
    return pickle.dumps((batch.columns, batch.rows), protocol=5)


def unpack(packed: bytes) -> Batch:
    """Return the batch that `pack` made bytes of."""
    columns, rows = pickle.loads(packed)  # noqa: S301 - made by `pack`, and Ray carries nothing else
    return Batch(columns=columns, rows=rows)


def request_table(partition: int, first: int, batches: Sequence[bytes]) -> Any:
    """Return packed requests as an Arrow table; the first has the number *first*."""
    import pyarrow as pa  # noqa: PLC0415 - 0.2 s

    return pa.table(
        {
            "partition": pa.array([partition] * len(batches), pa.int64()),
            "number": pa.array(range(first, first + len(batches)), pa.int64()),
            "batch": pa.array(batches, pa.large_binary()),
        }
    )


def answer_table(answers: Iterable[tuple[int, list[Any] | None, str]]) -> Any:
    """Return answers as an Arrow table: number of the request, one answer a row, or why it was given up."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    rows = [
        {"number": number, "rows": None if found is None else pickle.dumps(found, protocol=5), "given_up": given_up}
        for number, found, given_up in answers
    ]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([("number", pa.int64()), ("rows", pa.large_binary()), ("given_up", pa.string())])
    )
