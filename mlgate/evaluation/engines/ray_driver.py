"""Ray's driver, as a process of its own: `python -m mlgate.evaluation.engines.ray_driver FD`; see `ray_process`."""

import importlib
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from mlgate import __version__
from mlgate.errors import EngineError
from mlgate.evaluation.engines.ray_messages import Answered, Crew, Failed, Finished, Opened, Start
from mlgate.evaluation.engines.ray_worker import Beginnings, Worker, request_table

# Rows on their way; what does not fit is on the disk, in the run's own folder.
OBJECT_STORE_BYTES = 256 * 2**20
# Ray itself tries for minutes.
CONNECT_TIMEOUT_S = 5.0
# Longest wait for the first workers.
WORKER_START_S = 300


def main() -> None:
    """Serve the run at the other end until it closes."""
    with Connection(int(sys.argv[1])) as pipe:
        try:
            _serve(pipe)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the run has what it wants, or wants no more
        except EngineError as error:
            pipe.send(Failed(text=error.message, hint=error.hint or ""))
        except Exception as error:
            pipe.send(Failed(text=f"Ray gives up ({type(error).__name__})", hint=_first_line(error)))
            raise


def _serve(pipe: Connection) -> None:
    start: Start = pipe.recv()
    ray = _joined(start.address) if start.address else _started(start)
    nodes = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    pipe.send(Opened(here=ray.get_runtime_context().get_node_id(), cpus=nodes))
    importlib.import_module("ray.data")  # three seconds, in which the run reads the data and starts servers

    counter = ray.remote(Beginnings).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    for model in count():
        crew: Crew = pipe.recv()
        sent = _Sent(ray=ray)
        while (part := pipe.recv()) is not None:
            sent.add(part)
        with closing(_answers(sent, crew, _Begin(counter=counter, model=model))) as answers:
            for answer in answers:
                pipe.send(answer)
        pipe.send(Finished())


def _joined(address: str) -> Any:
    import ray  # noqa: PLC0415 - an extra, and two seconds

    _check_port(address)
    _connect(
        partial(ray.init, address=address, log_to_driver=False), f"no Ray cluster at {address}", "is RAY_ADDRESS right?"
    )
    return ray


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return  # `auto`, or what Ray knows and we do not
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise EngineError(f"no Ray cluster at {address}: {error}", hint="is RAY_ADDRESS right?") from error


def _started(start: Start) -> Any:
    import ray  # noqa: PLC0415 - as above

    begin = partial(
        ray.init,
        address="local",  # without it, Ray joins whatever cluster this machine has
        num_cpus=start.cpus,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        _temp_dir=start.home,
    )
    try:
        begin()
    except Exception:  # noqa: BLE001 - Ray's own class; it waits 30 s and no longer for its processes
        ray.shutdown()
        _connect(begin, "Ray can not be started", f"is there room in {start.home}?")
    return ray


def _connect(begin: Callable[[], object], what: str, hint: str) -> None:
    try:
        begin()
    except Exception as error:
        raise EngineError(f"{what}: {_first_line(error)}", hint=hint) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


@dataclass(slots=True, kw_only=True)
class _Sent:
    """The partitions in Ray's store.

    Attributes:
        refs: Reference to each.
        place: Of each request: its partition, and its place there.
    """

    ray: Any
    refs: list[Any] = field(default_factory=list)
    place: list[tuple[int, int]] = field(default_factory=list)

    def add(self, batches: list[bytes]) -> None:
        """Add a partition of pickled requests."""
        self.refs.append(self.ray.put(request_table(len(self.refs), len(self.place), batches)))
        self.place += [(len(self.refs) - 1, index) for index in range(len(batches))]

    def batch(self, number: int) -> bytes:
        """Return a request."""
        part, index = self.place[number]
        found: bytes = self.ray.get(self.refs[part]).column("batch")[index].as_py()
        return found


def _answers(sent: _Sent, crew: Crew, begin: "_Begin") -> Generator[Answered]:
    """Yield the answers in the order of the requests; Ray starts a lost worker anew, and sends its partition again."""
    if not sent.refs:
        return
    from ray import data as ray_data  # noqa: PLC0415 - an extra

    context = ray_data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.wait_for_min_actors_s = WORKER_START_S
    context.enable_progress_bars = False
    # By number, each a block: of references Ray Data would first ask every block for its columns, with a task each.
    numbers = [{"partition": number} for number in range(len(sent.refs))]
    mapped = ray_data.from_items(numbers, override_num_blocks=len(numbers)).map_batches(
        _Fetching,
        fn_constructor_args=(sent.refs, crew.servers, crew.outputs, __version__, begin),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray_data.ActorPoolStrategy(min_size=1, max_size=crew.size, initial_size=crew.size),
        num_cpus=crew.cpus,
        label_selector={"ray.io/node-id": crew.node} if crew.node else None,
    )
    for table in mapped.iter_batches(batch_size=None, batch_format="pyarrow"):
        for row in table.to_pylist():
            again = row["rows"] is None and not row["given_up"]
            yield Answered(**row, batch=sent.batch(row["number"]) if again else None)


class _Fetching(Worker):
    """A worker that gets the number of a partition, and fetches the requests.

    Args:
        refs: References to all partitions.
        given: As `Worker`'s.
    """

    def __init__(self, refs: list[Any], *given: Any) -> None:
        super().__init__(*given)
        self._refs = refs

    def __call__(self, part: Any) -> Any:
        import ray  # noqa: PLC0415 - as above

        return super().__call__(ray.get(self._refs[part.column("partition")[0].as_py()]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begin:
    """Asks the process that counts; travels to the workers."""

    counter: Any
    model: int

    def __call__(self, partition: int) -> int:
        import ray  # noqa: PLC0415 - as above

        times: int = ray.get(self.counter.begin.remote(self.model, partition))
        return times


if __name__ == "__main__":
    main()
