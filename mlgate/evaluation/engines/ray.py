"""Scoring with Ray Data: partitions of the rows go to workers, each with a server of the model to ask.

The run reads the data, cuts it into the same requests as on one machine, and lays them into Ray's object store, which
spills to disk. Workers send them and hand back the answers as they came. The run takes these in the rows' order and
judges each as `scoring` does, and has its own server answer what a worker's could not: that one names the row at fault.
"""

import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from mlgate import __version__
from mlgate.artifacts.signature import Schema
from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.conformance import bad_row
from mlgate.evaluation.engines.interface import Replica
from mlgate.evaluation.engines.ray_cluster import open_ray
from mlgate.evaluation.engines.ray_worker import (
    GIVEN_UP,
    Addresses,
    Beginnings,
    OwnServer,
    Servers,
    Worker,
    read_answers,
    request_table,
    unpack,
)
from mlgate.evaluation.scoring import Progress, ScoringFacts, score_data
from mlgate.scoring.answers import Answer, NotAPrediction
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.scoring.client import ScoringClient

# Longest wait for the first worker.
WORKER_START_S = 300
# A partition of as many requests is sent anew where a worker is lost.
MOST_REQUESTS = 16
# Servers on this machine beyond which the one process that reads the data can not keep up.
MOST_SERVERS = 16


class RayEngine:
    """A `ScoringEngine`; see there.

    Args:
        workers: How many, where a cluster is started here; default: one for each processor.

    Raises:
        ConfigError: Ray is not installed.
    """

    def __init__(self, workers: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise ConfigError(
                "accuracy.engine: ray needs Ray, which is not installed", hint="pip install 'mlgate[ray]'"
            )
        self._workers = workers
        self._stack = ExitStack()
        self._ray: Any = None

    def __enter__(self) -> Self:
        """Begin; Ray starts with the first rows."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop Ray, where it was started here."""
        self._ray = None
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
        if self._ray is None:
            self._ray = self._stack.enter_context(open_ray(cpus=self._workers or os.cpu_count() or 1))
        with ExitStack() as stack:
            crew = _crew(self._ray, client, replica, stack)
            scoring = _Scoring(client=client, outputs=outputs, name_row=name_row, take=take, progress=progress)
            scoring.run(self._ray, batches, crew)
        return scoring.facts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew:
    """The workers.

    Attributes:
        servers: Whom they ask.
        size: How many there are.
        cpus: What each takes of its machine.
        node: Id of the machine that they must be on; empty for any.
    """

    servers: Servers
    size: int
    cpus: int
    node: str


def _crew(ray: Any, client: "ScoringClient", replica: Replica | None, stack: ExitStack) -> _Crew:
    """Return workers on every machine of the cluster, or on this one, whose loopback has the servers."""
    here = ray.get_runtime_context().get_node_id()
    nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    abroad = replica is not None and set(nodes) != {here}
    # A worker takes as much as its server, which Ray does not know of.
    wanted = max(1, math.ceil(client.server.sandbox.cpus))
    usable = [cpus for node, cpus in nodes.items() if (abroad or node == here) and cpus]
    if not usable:
        raise EngineError(
            "no machine of the Ray cluster has a processor for a worker", hint="ray status says what it has"
        )
    cpus = min(wanted, max(usable))
    size = sum(count // cpus for count in usable)
    if replica is not None and abroad:
        return _Crew(servers=OwnServer(replica=replica), size=size, cpus=cpus, node="")
    size = min(size, _servers_that_fit(client))
    urls = (client.server.url, *_start_more(client, size - 1, stack))
    servers = Addresses(urls=urls, protocol=client.protocol, timeout_s=client.timeout_s)
    return _Crew(servers=servers, size=size, cpus=cpus, node=here)


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
        parts: References to the partitions in Ray's store.
        sizes: Rows of each request.
        part_of: Partition of each request.
    """

    client: "ScoringClient"
    outputs: Schema | None
    name_row: Callable[[int], str]
    take: Callable[[list[Any]], object]
    progress: Progress | None
    parts: list[Any] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    part_of: list[int] = field(default_factory=list)
    asked: int = 0
    done: int = 0
    failed: int = 0
    requests: int = 0
    seconds: float = 0.0

    @property
    def facts(self) -> ScoringFacts:
        """What it took."""
        return ScoringFacts(rows=self.done, seconds=self.seconds, requests=self.requests, failed=self.failed)

    def run(self, ray: Any, batches: Iterable[Batch], crew: _Crew) -> None:
        """Have all answered.

        Raises:
            NotScored: Some row has no valid answer.
            EngineError: Ray lost a partition, or gave one twice.
        """
        self._send(ray, batches, crew)
        began = time.perf_counter()
        # Closed: an error that somebody keeps would keep the workers, too.
        with closing(self._answers(ray, crew)) as answers:
            for number, answer in answers:
                if number != self.asked:
                    raise EngineError(f"Ray answers request {number} in the place of {self.asked}: {self._left()}")
                self._take(ray, answer)
        if self.asked != len(self.sizes):
            raise EngineError(f"Ray ended before all were answered: {self._left()}")
        self.seconds = time.perf_counter() - began

    def _send(self, ray: Any, batches: Iterable[Batch], crew: _Crew) -> None:
        for part in partitions(batches, crew.size):
            self.parts.append(ray.put(request_table(len(self.parts), len(self.sizes), part)))
            self.part_of += [len(self.parts) - 1] * len(part)
            self.sizes += map(len, part)

    def _answers(self, ray: Any, crew: _Crew) -> Generator[tuple[int, Answer]]:
        """Yield the answers in the order of the requests."""
        if not self.parts:
            return
        import ray.data as ray_data  # noqa: PLC0415 - as in `_mapped`

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Ray's copy reads its own old names
            context = ray_data.DataContext.get_current().copy()
        context.execution_options.preserve_order = True
        context.wait_for_min_actors_s = WORKER_START_S
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        try:
            with ray_data.DataContext.current(context):
                for table in _mapped(ray, self.parts, crew).iter_batches(batch_size=None, batch_format="pyarrow"):
                    yield from read_answers(table, self.client.protocol)
        except ray.exceptions.RayError as error:
            raise EngineError(
                f"Ray gives up ({type(error).__name__}): {self._left()}", hint="nothing was judged"
            ) from error

    def _take(self, ray: Any, answer: Answer) -> None:
        rows = self.sizes[self.asked]
        if answer.problem.startswith(GIVEN_UP):
            places = f"{self.name_row(self.done)} to {self.name_row(self.done + rows - 1)}"
            raise EngineError(
                f"{places}: no answers: {answer.problem.removeprefix(GIVEN_UP)}", hint="nothing was judged"
            )
        found = _valid(answer, rows, self.outputs)
        self.requests += 1
        if found is None:
            self._ask_again(self._batch(ray, self.asked))
        else:
            self.take(found)
            if self.progress is not None:
                self.progress.advance(rows)
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

    def _batch(self, ray: Any, number: int) -> Batch:
        part = self.part_of[number]
        table = ray.get(self.parts[part])
        return unpack(table.column("batch")[number - self.part_of.index(part)].as_py())

    def _left(self) -> str:
        return f"no answers from {self.name_row(self.done)} on, {sum(self.sizes) - self.done} of {sum(self.sizes)} rows"


def partitions(batches: Iterable[Batch], workers: int) -> Iterator[Sequence[Batch]]:
    """Yield runs of neighbouring batches: single ones first, so that few rows keep all busy too, and longer ones later."""
    rest, count = iter(batches), 0
    while part := list(islice(rest, min(1 + count // (4 * workers), MOST_REQUESTS))):
        yield part
        count += 1


def _mapped(ray: Any, parts: Sequence[Any], crew: _Crew) -> Any:
    """Return the partitions mapped to their answers; Ray starts a lost worker anew, and sends its partition again."""
    import ray.data as ray_data  # noqa: PLC0415 - an extra, and three seconds

    counter = ray.remote(Beginnings).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    return ray_data.from_arrow_refs(list(parts)).map_batches(
        Worker,
        fn_constructor_args=(crew.servers, __version__, _Begin(counter=counter)),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray_data.ActorPoolStrategy(min_size=1, max_size=crew.size, initial_size=crew.size),
        num_cpus=crew.cpus,
        label_selector={"ray.io/node-id": crew.node} if crew.node else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begin:
    """Asks the process that counts; travels to the workers."""

    counter: Any

    def __call__(self, partition: int) -> int:
        import ray  # noqa: PLC0415 - an extra

        count: int = ray.get(self.counter.begin.remote(partition))
        return count


def _valid(answer: Answer, rows: int, outputs: Schema | None) -> list[Any] | None:
    try:
        found = answer.rows()
    except NotAPrediction:
        return None
    return found if len(found) == rows and bad_row(found, outputs) is None else None
