"""What a server uses and where it runs, in every sandbox."""

import json
import os
from pathlib import Path

import pytest
import requests

from mlgate.images.environment import EnvironmentBuilder
from mlgate.load.monitor import Monitor
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.process import ProcessServer
from tests.integration.test_given_image import looked_into, make_image, small
from tests.integration.test_given_image import serve as serve_given

__all__ = ["looked_into", "make_image", "serve_given"]  # fixtures

pytestmark = pytest.mark.engine

MIB = 2**20
CORES = sorted(os.sched_getaffinity(0))
BUSY = """
import json, signal, tempfile, time
from pathlib import Path
class Model:
    held, child = [], 0
    def predict(self, rows):
        what, answer = str(rows), None
        if "hold" in what:
            self.held.append(b"x" * (64 << 20))
        elif "file" in what:
            self.held.append(open(tempfile.mkstemp()[1], "wb"))
            self.held[-1].write(b"x" * (32 << 20))
            self.held[-1].flush()
        elif "burn" in what:
            end = time.thread_time() + 0.5
            while time.thread_time() < end:
                pass
        elif "worker" in what:
            if self.child:
                os.kill(self.child, 9)
                os.waitpid(self.child, 0)
            self.child = os.fork()
            if not self.child:
                signal.pause()
        elif "cores" in what:
            tasks = Path("/proc/self/task").iterdir()
            answer = sorted({core for task in tasks for core in os.sched_getaffinity(int(task.name))})
        return json.dumps(answer)
"""
# Pages that the server's own work takes or gives back meanwhile.
SLACK = 12 * MIB


def tell(server, what):
    response = requests.post(f"{server.url}/invocations", json={"inputs": [what]}, timeout=60)
    assert response.status_code == 200, response.text
    return json.loads(response.json()["predictions"])


@pytest.fixture(scope="session")
def environment(tmp_path_factory, recipe):
    """The shared environment as a folder, for the process sandbox."""
    environ = {**os.environ, "MLGATE_CACHE": str(tmp_path_factory.mktemp("cache"))}
    return EnvironmentBuilder(environ=environ).build(recipe)


@pytest.fixture(scope="session")
def busy_model(code_model):
    """A model that does as it is told."""
    return code_model(BUSY)


@pytest.fixture(params=["container", "process"])
def make(request, engine, session, busy_model, tmp_path):
    """Make servers of the model, not started; whatever comes of the test, they are removed."""
    servers = []

    def make(**limits):
        # RLIMIT_DATA counts what threads reserve, too.
        limits = ServerLimits(**{"memory": 2**30 if request.param == "container" else 2**32, **limits})
        if request.param == "container":
            image = request.getfixturevalue("image")
            servers.append(ContainerServer(engine, image, busy_model, limits, session))
        else:
            environment = request.getfixturevalue("environment")
            servers.append(ProcessServer(environment, busy_model, limits, tmp_dir=tmp_path))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def test_memory_cpu_and_processes_are_read_while_it_runs(make):
    """Each grows by what the model takes; nothing is known before the start and after the end."""
    server = make()
    assert (server.usage(), dict(server.processes())) == (None, {})
    server.start()
    before = server.usage()
    tell(server, "hold")
    held = server.usage()
    assert 64 * MIB - SLACK < held.memory - before.memory < 64 * MIB + SLACK
    tell(server, "burn")
    burned = server.usage()
    assert burned.cpu_s - held.cpu_s >= 0.49
    tell(server, "worker")
    assert server.usage().processes == burned.processes + 1
    assert len(server.processes()) == 2
    server.stop()
    assert (server.usage(), dict(server.processes())) == (None, {})


@pytest.mark.parametrize("make", ["container"], indirect=True)  # a process writes on the host's own disk
def test_what_a_container_writes_on_its_tmpfs_is_memory_and_page_cache_is_not(make):
    """It goes when the server goes, and nobody can take it back before; files that were read can be dropped at any time."""
    server = make()
    server.start()
    before = server.usage()
    tell(server, "file")
    assert 32 * MIB - SLACK < server.usage().memory - before.memory < 32 * MIB + SLACK
    assert server.usage().memory < server.memory().now["anon"] + 32 * MIB + SLACK


@pytest.mark.alone
def test_the_time_that_its_limit_makes_it_wait_is_counted(make, request):
    """At half a CPU, half a second of work can not be done at once; a process has no such limit."""
    server = make(cpus=0.5)
    server.start()
    before = server.usage()
    tell(server, "burn")
    waited_s = server.usage().throttled_s - before.throttled_s
    assert waited_s == 0.0 if "process" in request.node.name else waited_s > 0


@pytest.mark.alone
def test_a_worker_that_died_and_came_again_is_named_by_the_monitor(make):
    """With the series that a run would be judged by."""
    server = make()
    server.start()
    tell(server, "worker")
    with Monitor(server, every_s=0.1) as monitor:
        tell(server, "worker")
        tell(server, "hold")
        for _ in range(3):  # an engine collects once a second
            tell(server, "burn")
    found = monitor.series(0.0)
    (words,) = found.replaced
    assert words.startswith("worker '")
    assert "was replaced by pid" in words
    assert 0 < found.server_share() < 1.5
    _, memory = found.memory_growth_inputs
    assert len(memory) >= 2
    assert memory[-1] > 64 * MIB
    assert found.cpus == 1.0


def test_a_restart_during_a_run_is_a_replaced_main_process_and_no_negative_share(make):
    """Its counters begin again."""
    server = make()
    server.start()
    tell(server, "burn")
    with Monitor(server, every_s=0.1) as monitor:
        server.restart()
    found = monitor.series(0.0)
    assert found.server_share() >= 0
    assert found.other_share(0.0) >= 0
    assert found.replaced[0].startswith("main process '")


@pytest.mark.skipif(len(CORES) < 2, reason="one core: there is nothing to choose")
def test_a_pinned_server_runs_on_its_cores_and_comes_up_there_again(make, engine, request):
    """Every thread that it has, before and after a restart, until it is let go."""
    server = make()
    server.start()
    free = tell(server, "cores")
    assert len(free) >= 2
    assert server.pin([free[-1]])
    assert tell(server, "cores") == [free[-1]]
    server.restart()
    assert tell(server, "cores") == [free[-1]]
    if "container" in request.node.name:
        assert forwarder_cores(engine, server) == set(free[:-1])
    assert server.pin(None)
    assert tell(server, "cores") == free
    server.restart()
    assert tell(server, "cores") == free


def forwarder_cores(engine, server):
    """Return the cores of all containers before the server's."""
    mine = {"label": f"mlgate.session={server._session.id}"}
    found = [box for box in engine.client.containers.list(filters=mine) if box.labels["mlgate.role"] != "server"]
    assert found
    return {core for box in found for core in os.sched_getaffinity(box.attrs["State"]["Pid"])}


@pytest.mark.skipif(len(CORES) < 2, reason="one core: there is nothing to choose")
def test_a_server_that_is_pinned_before_its_start_starts_there(make):
    """Already its imports run on its own core."""
    server = make()
    assert server.pin([CORES[-1]])
    server.start()
    assert tell(server, "cores") == [CORES[-1]]


def test_cores_that_are_not_there_are_refused(make):
    """Nothing changes, and nothing is remembered for the next start."""
    server = make()
    server.start()
    free = tell(server, "cores")
    assert not server.pin([4095])
    assert not server.pin([])
    assert tell(server, "cores") == free


def test_a_server_on_another_machine_is_not_pinned(engine, image, busy_model, session, monkeypatch):
    """Its cores are none that the generator could leave alone."""
    monkeypatch.setitem(engine.__dict__, "on_this_kernel", False)
    server = ContainerServer(engine, image, busy_model, ServerLimits(), session)
    assert not server.pin([CORES[0]])
    assert not server.pin(None)


@pytest.mark.skipif(len(CORES) < 2, reason="one core: there is nothing to choose")
def test_a_given_image_is_read_and_pinned_without_a_shell_of_its_own(engine, serve_given, make_image, sklearn_model):
    """The engine counts; and both forwarders run on the cores that the server leaves."""
    server = serve_given(make_image(sklearn_model, entrypoint=small()), sklearn_model)
    assert server.usage().memory > MIB
    (main,) = server.processes()
    assert server.pin([CORES[-1]])
    for _ in range(2):
        (main,) = server.processes()
        assert os.sched_getaffinity(main) == {CORES[-1]}
        assert forwarder_cores(engine, server) == set(CORES[:-1])
        assert len(list(Path(f"/proc/{main}/task").iterdir())) == server.usage().processes
        server.restart()
