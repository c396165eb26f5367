"""Scoring with Ray Data: partitions of the rows go to workers, each with a server of the model to ask.

The run reads the data, cuts it into the same requests as on one machine, and has its driver lay them into Ray's object
store, which spills to disk. Workers send them, and hold the answers to the signature as `scoring` does. The run takes
these in the rows' order, and has its own server answer what a worker's could not: that one names the row at fault.
"""

import importlib.util
import math
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from mlgate.artifacts.signature import Schema
from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines.interface import Replica
from mlgate.evaluation.engines.ray_messages import Answered, Crew, Opened
from mlgate.evaluation.engines.ray_process import RayProcess, cluster_address, open_process
from mlgate.evaluation.engines.ray_worker import MOST_RETRIES, Addresses, OwnServer, pack, unpack
from mlgate.evaluation.scoring import Progress, ScoringFacts, score_data
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.scoring.client import ScoringClient

# Longest start of a worker with its server, in seconds.
WORKER_START_S = 300.0
# A partition of as many requests is sent anew where a worker is lost.
MOST_REQUESTS = 16
# Servers on this machine beyond which the one process that reads the data can not keep up.
MOST_SERVERS = 16


class RayEngine:
    """A `ScoringEngine`; see there.

    Args:
        workers: How many, where a cluster is started here; default: one for each processor.

    Raises:
        ConfigError: Ray is not installed, or `RAY_ADDRESS` is one that can not be used.
    """

    name = "ray"

    def __init__(self, workers: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "accuracy.engine: ray needs Ray, which is not installed", hint="pip install 'mlgate[ray]'"
            )
        cluster_address()
        self._workers = workers
        self._stack = ExitStack()
        self._process: RayProcess | None = None

    def __enter__(self) -> Self:
        """Begin; Ray starts with the first rows."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop Ray, where it was started here."""
        self._process = None
        self._stack.close()

    def score_data(
        self,
        client: "ScoringClient",
        batches: Iterable[Batch],
        outputs: Schema | None,
        take: Callable[[list[Any]], object],
        *,
        name_row: Callable[[int], str],
        progress: Progress | None = None,
        replica: Replica | None = None,
    ) -> ScoringFacts:
        """Have every row answered by the workers."""
        process = self._process or self._stack.enter_context(open_process(cpus=self._workers or os.cpu_count() or 1))
        self._process = process
        try:
            with ExitStack() as stack:
                crew = _crew(process.opened, client, outputs, replica, stack)
                scoring = _Scoring(
                    process=process, client=client, outputs=outputs, name_row=name_row, take=take, progress=progress
                )
                scoring.run(batches, crew)
        except BaseException:
            # Answers are in the pipe still, or the driver is gone: the next model gets a new one.
            self.__exit__()
            raise
        return scoring.facts


def _crew(opened: Opened, client: "ScoringClient", outputs: Schema | None, replica: Replica | None, stack: ExitStack) -> Crew:  # fmt: skip
    """Return workers on every machine of the cluster, or on this one, whose loopback has the servers."""
    abroad = replica is not None and set(opened.cpus) != {opened.here}
    usable = [cpus for node, cpus in opened.cpus.items() if (abroad or node == opened.here) and cpus]
    if not usable:
        raise EngineError(
            "no machine of the Ray cluster has a processor for a worker", hint="ray status says what it has"
        )
    # A worker takes as much as its server, which Ray does not know of.
    cpus = min(max(1, math.ceil(client.server.sandbox.cpus)), max(usable))
    size = sum(count // cpus for count in usable)
    if replica is not None and abroad:
        return Crew(servers=OwnServer(replica=replica), outputs=outputs, size=size, cpus=cpus, node="")
    size = min(size, _servers_that_fit(client))
    urls = (client.server.url, *_start_more(client, size - 1, stack))
    servers = Addresses(urls=urls, protocol=client.protocol, timeout_s=client.timeout_s)
    return Crew(servers=servers, outputs=outputs, size=size, cpus=cpus, node=opened.here)


def _servers_that_fit(client: "ScoringClient") -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(MOST_SERVERS, memory // max(client.server.sandbox.memory, 1)))


def _start_more(client: "ScoringClient", count: int, stack: ExitStack) -> list[str]:
    """Start *count* more servers like the client's, at once, and return where they are."""
    servers = [client.server.another() for _ in range(count)]
    for server in servers:
        stack.callback(server.stop)
    if servers:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(lambda server: server.start(), servers))
    return [server.url for server in servers]


@dataclass(slots=True, kw_only=True)
class _Scoring:
    """One model's rows, taken in their order.

    Attributes:
        sizes: Rows of each request.
    """

    process: RayProcess
    client: "ScoringClient"
    outputs: Schema | None
    name_row: Callable[[int], str]
    take: Callable[[list[Any]], object]
    progress: Progress | None
    sizes: list[int] = field(default_factory=list)
    asked: int = 0
    done: int = 0
    failed: int = 0
    requests: int = 0
    seconds: float = 0.0

    @property
    def facts(self) -> ScoringFacts:
        """What it took."""
        return ScoringFacts(rows=self.done, seconds=self.seconds, requests=self.requests, failed=self.failed)

    def run(self, batches: Iterable[Batch], crew: Crew) -> None:
        """Have all answered.

        Raises:
            NotScored: Some row has no valid answer.
            EngineError: Ray lost a partition, or itself.
        """
        self.process.send(crew)
        for part in partitions(batches, crew.size):
            self.sizes += map(len, part)
            self.process.send([pack(batch) for batch in part])
        self.process.send(None)
        began, patience = time.perf_counter(), _patience(self.client.timeout_s)
        try:
            while isinstance(answered := self.process.receive(timeout_s=patience), Answered):
                self._take(answered)
        except EngineError as error:
            raise EngineError(f"{error.message}: {self._left()}", hint=error.hint) from error
        if self.asked != len(self.sizes):
            raise EngineError(f"Ray ended before all were answered: {self._left()}")
        self.seconds = time.perf_counter() - began

    def _take(self, answered: Answered) -> None:
        if answered.number != self.asked:
            raise EngineError(f"Ray answers request {answered.number} in the place of {self.asked}")
        if answered.given_up:
            raise EngineError(answered.given_up)
        rows = self.sizes[self.asked]
        self.requests += 1
        if answered.rows is not None:
            self.take(pickle.loads(answered.rows))  # noqa: S301 - made by our own code in a worker, as all that Ray carries
            if self.progress is not None:
                self.progress.advance(rows)
        elif answered.batch is not None:
            self._ask_again(unpack(answered.batch))
        self.asked += 1
        self.done += rows

    def _ask_again(self, batch: Batch) -> None:
        """Have the run's own server answer: it says which row is at fault, and comes back after a crash."""
        facts = score_data(
            self.client,
            [batch],
            self.outputs,
            self.take,
            name_row=self.name_row,
            progress=self.progress,
            first_row=self.done,
        )
        self.failed += 1 + facts.failed
        self.requests += facts.requests

    def _left(self) -> str:
        total = sum(self.sizes)
        return f"no answers from {self.name_row(self.done)} on, {total - self.done} of {total} rows"


def _patience(timeout_s: float) -> float:
    """Return the longest time without an answer, in seconds: the first partition's, with every retry."""
    return WORKER_START_S + (1 + MOST_RETRIES) * (MOST_REQUESTS * timeout_s + WORKER_START_S)


def partitions(batches: Iterable[Batch], workers: int) -> Iterator[Sequence[Batch]]:
    """Yield runs of neighbouring batches: single ones first, so that few rows keep all busy too, and longer ones later."""
    rest, count = iter(batches), 0
    while part := list(islice(rest, min(1 + count // (4 * workers), MOST_REQUESTS))):
        yield part
        count += 1
