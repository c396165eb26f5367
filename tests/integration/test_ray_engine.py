"""`accuracy.engine: ray` with a real Ray on this machine: the same numbers as local, whatever happens to a worker."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines.interface import find_engine
from mlgate.evaluation.engines.local import LocalEngine
from mlgate.evaluation.engines.ray import MOST_REQUESTS, RayEngine
from mlgate.evaluation.engines.ray_guard import MARK, marked
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.scoring import NotScored, Progress
from tests.integration.ray_models import Model, StubServer, client_of, equal, rows, scored, wait_until

ROOT = Path(__file__).parents[2]
WORKERS = 3
ROWS, SIZE = 4_000, 50


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    """The engine, with a cluster of its own for all tests here."""
    with RayEngine(workers=WORKERS) as engine:
        yield engine


@pytest.fixture
def model() -> Iterator[Model]:
    """A server that answers."""
    model = Model()
    yield model
    model.shutdown()
    model.server_close()


def process_at(port: int, engine: RayEngine) -> int:
    """Return which of the engine's processes has the connection with local port *port*."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(line[9] for line in lines if int(line[1].partition(":")[2], 16) == port)
    for pid in marked(engine._process.mark):
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if str(entry.readlink()) == f"socket:[{inode}]":
                    return pid
            except OSError:
                continue
    raise AssertionError(f"nobody has port {port}")


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].rpartition(b"/")[2].decode()
    except OSError:
        return ""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A scoring in which one worker was killed half-way.

    Attributes:
        pid: Of the worker.
        first: First feature of the request that it was at.
        requests: How often each request came.
        sample: The answers.
    """

    pid: int
    first: float
    requests: Mapping[float, int]
    sample: Sample
    replicas: Sequence[StubServer]
    told: Sequence[str]


@pytest.fixture(scope="module")
def killed(engine) -> Killed:
    """Half of the rows are answered when a worker gets a SIGKILL."""
    model, lock = Model(), threading.Lock()
    client, requests = client_of(model), model.requests
    pids: list[tuple[int, float]] = []
    told: list[str] = []

    def kill_one(first: float, port: int) -> None:
        with lock:
            if first >= ROWS / 2 and not pids:
                pids.append((process_at(port, engine), first))
                os.kill(pids[0][0], signal.SIGKILL)

    model.seen = kill_one
    progress = Progress(what="scoring", total=ROWS, tell=told.append, clock=iter(range(0, 10**6, 11)).__next__)
    sample = scored(engine.score_data, client, rows(ROWS), size=SIZE, progress=progress)
    ((pid, first),) = pids
    return Killed(pid=pid, first=first, requests=requests, sample=sample, replicas=client.server.others, told=told)


def test_a_worker_that_is_killed_half_way_changes_no_number(killed):
    """All arrays are those of the local engine, bit by bit."""
    assert not Path(f"/proc/{killed.pid}").exists()
    assert equal(killed.sample, scored(LocalEngine().score_data, client_of(Model()), rows(ROWS), size=SIZE))


def test_its_partition_is_scored_again_and_no_request_is_left_out(killed):
    """Other partitions are asked once."""
    assert killed.requests[killed.first] > 1
    assert len(killed.requests) == ROWS // SIZE
    assert sum(count > 1 for count in killed.requests.values()) <= MOST_REQUESTS
    assert killed.told[-1].startswith("scoring: 4 000 of 4 000 rows")


def test_each_worker_has_a_server_and_all_but_the_runs_own_are_stopped(killed):
    """With the last row."""
    assert len(killed.replicas) == WORKERS - 1
    assert all(replica.stopped and replica.model.asked for replica in killed.replicas)


def test_a_row_without_an_answer_is_named_as_local_does(engine):
    """The run's own server is asked for it again, as for any request that a worker brings back without an answer."""
    data, model = rows(500), Model(bad=321.0)

    def refuse_once(first: float, port: int) -> None:
        if first == 100 and model.requests[first] == 1:
            raise ConnectionAbortedError

    model.seen, client = refuse_once, client_of(model)
    with pytest.raises(NotScored) as kept:
        scored(engine.score_data, client, data, size=SIZE)
    assert model.requests[100.0] == 2
    with pytest.raises(NotScored) as wanted:
        scored(LocalEngine().score_data, client_of(Model(bad=321.0)), data, size=SIZE)
    assert str(kept.value) == str(wanted.value)
    assert str(kept.value).startswith("row 321 (key k321): answered 500")


def test_rows_whose_worker_dies_each_time_are_an_error_by_name(engine, model):
    """They are never dropped, and it does not go on for ever."""
    data, client = rows(1_000), client_of(model)
    killed = []

    def kill(first: float, port: int) -> None:
        if first == 500:
            killed.append(process_at(port, engine))
            os.kill(killed[-1], signal.SIGKILL)

    model.seen = kill
    wanted = r"^4 Ray workers died over these rows: no answers from row 500 \(key k500\) on, 500 of 1000 rows"
    with pytest.raises(EngineError, match=wanted):
        scored(engine.score_data, client, data, size=SIZE)
    assert len(set(killed)) == 4


def test_no_rows_are_no_error(engine, model):
    """Nothing is asked."""
    assert engine.score_data(client_of(model), [], None, lambda found: None, name_row=str).rows == 0


def test_a_cluster_that_is_lost_half_way_is_an_error_by_name(engine, model):
    """Ray ends its driver without a word then; the run goes on, and says from which row on answers are missing."""
    data, client = rows(1_000), client_of(model)
    killed = []

    def kill_raylet(first: float, port: int) -> None:
        if first == 500 and not killed:
            killed.append(next(pid for pid in marked(engine._process.mark) if _program(pid) == "raylet"))
            os.kill(killed[0], signal.SIGKILL)

    model.seen = kill_raylet
    with pytest.raises(EngineError, match=r"no answers from row \d+ \(key k\d+\) on, \d+ of 1000 rows"):
        scored(engine.score_data, client, data, size=SIZE)
    assert killed


def test_the_engines_are_entry_points_and_an_unknown_one_is_a_usage_error():
    """A stranger's package may bring another."""
    assert isinstance(find_engine("local"), LocalEngine)
    assert isinstance(find_engine("ray"), RayEngine)
    with pytest.raises(ConfigError, match=r"there is no 'dask'\. Hint: engines: local, ray"):
        find_engine("dask")


# In a process of its own: what it prints, what it leaves, and a cluster that was there before it.

ALONE = """
from tests.integration.ray_models import *
from mlgate.evaluation.engines.ray import RayEngine
data, client = rows(600), client_of(Model())
with RayEngine(workers=2) as engine:
    def tell_and_wait(first, port):
        print(engine._process.mark, flush=True)
        threading.Event().wait()
    client.server.model.seen = tell_and_wait
    scored(engine.score_data, client, data, size=50)
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Ray keeps sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_ray_says_nothing_and_nothing_of_it_outlives_a_run_that_is_killed(short, tmp_path):
    """Neither a process nor a file; and while it runs, no port of it is open to other machines."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", MARK))}
    run = subprocess.Popen(
        [sys.executable, "-c", ALONE],
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "errors").open("w"),
        text=True,
        env={**clean, "HOME": str(short), "TMPDIR": str(short)},
    )
    mark = run.stdout.readline().strip()
    assert mark, (tmp_path / "errors").read_text()
    pids = set(marked(mark))
    assert run.pid not in pids
    assert len(pids) > 5
    assert reachable(pids) == []
    assert [path.name.startswith("mlgate-ray-") for path in short.iterdir()] == [True]
    run.kill()
    assert set(run.stdout.read().split()) <= {mark}
    assert (tmp_path / "errors").read_text() == ""
    wait_until(lambda: not marked(mark) and not list(short.iterdir()), timeout_s=10)


CLUSTER = """
import os
from ray.cluster_utils import Cluster
from tests.integration.ray_models import *
from mlgate.evaluation.engines.ray import RayEngine
from mlgate.evaluation.engines.local import LocalEngine

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20})
cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
os.environ["RAY_ADDRESS"] = cluster.address
data, client, other = rows(600), client_of(Model()), client_of(Model())
with RayEngine() as engine:
    found = scored(engine.score_data, client, data, size=50, replica=Starts())
print(equal(found, scored(LocalEngine().score_data, other, data, size=50)), sum(client.server.model.requests.values()))
cluster.shutdown()
"""


def test_on_other_machines_each_worker_asks_a_server_of_its_own(short):
    """A cluster at `RAY_ADDRESS` whose first node has the run, and its second the workers."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    ray = {"RAY_TMPDIR": str(short), "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", **token}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", MARK))}
    home = {"HOME": str(short), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CLUSTER], capture_output=True, text=True, env={**clean, **ray, **home}, check=False)  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["True 0"], done.stdout + done.stderr


@pytest.mark.parametrize(
    ("address", "message"),
    [("127.0.0.1:1", r"^no Ray cluster at 127\.0\.0\.1:1: .*"), ("nobody:6379", r"^no Ray cluster at nobody:6379: ")],
)
def test_an_address_without_a_cluster_is_one_line(address, message, model, monkeypatch):
    """It is never answered by starting one here."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(EngineError, match=rf"{message}.*Hint: is RAY_ADDRESS right\?$"), RayEngine() as engine:
        scored(engine.score_data, client_of(model), rows(100), size=SIZE)
    assert not model.requests


def reachable(pids: set[int]) -> list[str]:
    """Return the addresses on which these processes listen to other machines."""
    inodes = {
        str(entry.readlink()) for pid in pids for entry in Path(f"/proc/{pid}/fd").glob("*") if entry.is_symlink()
    }
    found = []
    for table in ("tcp", "tcp6"):
        for line in (line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]):
            listens, loopback = line[3] == "0A", line[1].startswith(("0100007F", "0000000000000000FFFF00000100007F"))
            if listens and not loopback and f"socket:[{line[9]}]" in inodes:
                found.append(line[1])
    return found
