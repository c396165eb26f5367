"""`accuracy.engine: ray` with a real Ray on this machine: the same numbers as local, whatever happens to a worker."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines.interface import find_engine
from mlgate.evaluation.engines.local import LocalEngine
from mlgate.evaluation.engines.ray import RayEngine
from mlgate.evaluation.engines.ray_guard import MARK, marked
from mlgate.evaluation.scoring import NotScored, Progress
from tests.integration.ray_models import Model, client_of, equal, rows, scored, wait_until

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


def process_at(port: int) -> int:
    """Return which of Ray's processes has the connection with local port *port*."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(line[9] for line in lines if int(line[1].partition(":")[2], 16) == port)
    for pid in marked(os.environ[MARK]):
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                if str(entry.readlink()) == f"socket:[{inode}]":
                    return pid
            except OSError:
                continue
    raise AssertionError(f"nobody has port {port}")


def test_the_arrays_are_those_of_the_local_engine_bit_by_bit(engine, model):
    """Every replica answers a part, and all but the run's own server are stopped at the end."""
    data, client = rows(ROWS), client_of(model)
    told: list[str] = []
    progress = Progress(what="scoring", total=ROWS, tell=told.append, clock=iter(range(0, 10**6, 11)).__next__)
    found = scored(engine.score_data, client, data, size=SIZE, progress=progress)
    assert equal(found, scored(LocalEngine().score_data, client, data, size=SIZE))
    replicas = client.server.others
    assert len(replicas) == WORKERS - 1
    assert all(replica.stopped for replica in replicas)
    assert told[-1].startswith("scoring: 4 000 of 4 000 rows")


def test_a_worker_that_is_killed_half_way_changes_no_number(engine, model):
    """Its partition is scored again by another; nothing is lost, nothing is counted twice."""
    data, client = rows(ROWS), client_of(model)
    killed, lock = [], threading.Lock()

    def kill_one(first: float, port: int) -> None:
        with lock:
            if first >= ROWS / 2 and not killed:
                killed.append((process_at(port), first))
                os.kill(killed[0][0], signal.SIGKILL)

    model.seen = kill_one
    found = scored(engine.score_data, client, data, size=SIZE)
    asked = dict(model.requests)
    (pid, first), *_ = killed
    assert not Path(f"/proc/{pid}").exists()
    assert asked[first] > 1
    assert len(asked) == ROWS // SIZE
    model.seen = lambda first, port: None
    assert equal(found, scored(LocalEngine().score_data, client, data, size=SIZE))


def test_rows_whose_worker_dies_each_time_are_an_error_by_name(engine, model):
    """They are never dropped, and it does not go on for ever."""
    data, client = rows(1_000), client_of(model)
    killed = []

    def kill(first: float, port: int) -> None:
        if first == 500:
            killed.append(process_at(port))
            os.kill(killed[-1], signal.SIGKILL)

    model.seen = kill
    wanted = r"^row 500 \(key k500\) to row 549 \(key k549\): no answers: 4 Ray workers died over these rows"
    with pytest.raises(EngineError, match=wanted):
        scored(engine.score_data, client, data, size=SIZE)
    assert len(set(killed)) == 4


def test_a_row_without_an_answer_is_named_as_local_does_and_the_next_model_is_scored(engine, model):
    """The run's own server is asked for it again; the error that is kept keeps no worker from the champion."""
    data, client = rows(500), client_of(Model(bad=321.0))
    with pytest.raises(NotScored) as kept:
        scored(engine.score_data, client, data, size=SIZE)
    with pytest.raises(NotScored) as wanted:
        scored(LocalEngine().score_data, client, data, size=SIZE)
    assert str(kept.value) == str(wanted.value)
    assert str(kept.value).startswith("row 321 (key k321): answered 500")

    def refuse_once(first: float, port: int) -> None:
        if first == 100 and model.requests[first] == 1:
            raise ConnectionAbortedError

    model.handle_error = lambda request, address: None
    model.seen, client = refuse_once, client_of(model)
    found = scored(engine.score_data, client, data, size=SIZE)
    assert model.requests[100.0] == 2, "what a worker brings back without an answer is asked again"
    assert equal(found, scored(LocalEngine().score_data, client, data, size=SIZE))


def test_no_rows_are_no_error(engine, model):
    """Nothing is asked."""
    assert engine.score_data(client_of(model), [], None, lambda found: None, name_row=str).rows == 0


def test_the_engines_are_entry_points_and_an_unknown_one_is_a_usage_error():
    """A stranger's package may bring another."""
    assert isinstance(find_engine("local"), LocalEngine)
    assert isinstance(find_engine("ray"), RayEngine)
    with pytest.raises(ConfigError, match=r"there is no 'dask'\. Hint: engines: local, ray"):
        find_engine("dask")


# In a process of its own: what it prints, what it leaves, and a cluster that was there before it.

ALONE = """
import os, sys
from tests.integration.ray_models import *
from mlgate.evaluation.engines.ray import RayEngine
from mlgate.evaluation.engines.local import LocalEngine
data, client = rows(600), client_of(Model())
with RayEngine(workers=2) as engine:
    found = scored(engine.score_data, client, data, size=50)
    print("equal", equal(found, scored(LocalEngine().score_data, client, data, size=50)), os.environ["MLGATE_RAY_RUN"], flush=True)
    client.server.model.seen = lambda first, port: threading.Event().wait()
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
    said = run.stdout.readline().split()
    assert said[:2] == ["equal", "True"], (tmp_path / "errors").read_text()
    pids = set(marked(said[2])) - {run.pid}
    assert len(pids) > 5
    assert reachable(pids) == []
    assert [path.name.startswith("mlgate-ray-") for path in short.iterdir()] == [True]
    run.kill()
    assert run.stdout.read() == ""
    assert (tmp_path / "errors").read_text() == ""
    wait_until(lambda: not marked(said[2]) and not list(short.iterdir()), timeout_s=10)


CLUSTER = """
import os
from contextlib import contextmanager
from ray.cluster_utils import Cluster
from tests.integration.ray_models import *
from mlgate.evaluation.engines.ray import RayEngine
from mlgate.evaluation.engines.local import LocalEngine

class Starts:
    @contextmanager
    def serving(self):
        yield client_of(Model())

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
    [("ray://127.0.0.1:1", "Ray Data needs a node of the cluster"), ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1")],
)
def test_an_address_without_a_cluster_is_one_line(address, message):
    """It is never answered by starting one here."""
    script = "from mlgate.evaluation.engines.ray_cluster import open_ray\nwith open_ray(cpus=1): print('open')"
    environment = {**os.environ, "RAY_ADDRESS": address}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == ""
    assert message in done.stderr.splitlines()[-1]


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
