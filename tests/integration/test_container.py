"""The image and the container sandbox, on a real engine."""

import http.client
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from mlgate.errors import EngineError, InstallError, ServerError
from mlgate.images import docker as images
from mlgate.images.docker import ImageBuilder
from mlgate.images.pins import pin_differences
from mlgate.images.recipe import recipe_digest, recipe_key
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL, SessionTag
from mlgate.sandbox.watchdog import sweep

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
ROWS = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9], [0.9, 0.1]]}}
PHASES = ["interpreter", "imports", "load", "warm_up", "ready"]


def ask(server, body=ROWS, timeout=30):
    return requests.post(f"{server.url}/invocations", json=body, timeout=timeout)


def answer(server, body=None):
    """Return the one text that a code model answered with."""
    response = ask(server, body or {"inputs": [1]})
    assert response.status_code == 200, response.text
    return json.loads(response.json()["predictions"])


@pytest.fixture
def serve(engine, image, session):
    """Start servers of the shared image; whatever comes of the test, they are removed."""
    servers = []

    def start(model, **limits):
        server = ContainerServer(engine, image, model, ServerLimits(**limits), session)
        servers.append(server)
        server.boot = server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def left_on(engine, session):
    label = {"label": f"{SESSION_LABEL}={session}"}
    client = engine.client
    return [*client.containers.list(all=True, filters=label, ignore_removed=True), *client.volumes.list(filters=label)]


# --- the image


def test_a_second_build_is_a_hit_with_the_same_facts(engine, recipe, image):
    """The facts come from the image's own labels."""
    again = ImageBuilder(engine).build(recipe)
    assert again.hit
    assert again.facts(threads=1) == image.facts(threads=1)


def test_the_image_holds_what_was_asked_for(image, pins):
    """Pins, Python, and a digest that the gate can compute again."""
    assert pin_differences(pins, image.pins, python=image.python) == ()
    assert image.python.startswith("3.11.")
    facts = image.facts(threads=1)
    parts = {name: getattr(facts, name) for name in ("base_digest", "platform", "apt", "python", "pins", "server")}
    assert recipe_digest(**parts) == image.recipe_digest


def test_nothing_of_the_host_is_in_the_image(engine, image, recipe):
    """Neither its index settings nor the installer, in no layer and no configuration."""
    attrs = engine.client.images.get(image.reference).attrs
    assert {line.partition("=")[0] for line in attrs["Config"]["Env"]} == {"PATH", "PYTHONDONTWRITEBYTECODE"}
    assert not attrs["Config"]["Volumes"]
    assert attrs["Config"]["Labels"][SESSION_LABEL] == ""
    shown = engine.client.containers.run(
        image.reference, entrypoint=["sh", "-c"], command=["ls -A /opt /tmp"], network="none", remove=True
    )
    assert shown.decode().split() == ["/opt:", "venv", "/tmp:"]


def test_a_requirement_that_can_not_be_satisfied_fails_the_version(engine, session, make_recipe):
    """By the name of the package, with the installer's log, and without a trace on the engine."""
    recipe = make_recipe(requirements=["mlflow", "numpy==99.0"])
    with pytest.raises(InstallError, match=r"numpy==99\.0") as caught:
        ImageBuilder(engine, session=session).build(recipe)
    assert "unsatisfiable" in caught.value.log
    assert left_on(engine, session.id) == []
    assert engine.client.images.list(filters={"label": f"mlgate.recipe_key={recipe_key(recipe, 'x')}"}) == []


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_an_index_that_does_not_answer_does_not_fail_the_version(engine, session, make_recipe, name):
    """It is the environment's fault, and can be tried again."""
    # Nothing is in uv's cache under this index, and nothing listens on port 9 of the build container.
    environ = {name: "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"):
        ImageBuilder(engine, session=session, environ=environ).build(
            make_recipe(requirements=["mlflow", "six==1.15.0"])
        )
    assert left_on(engine, session.id) == []


def test_a_build_that_takes_too_long_is_ended(engine, session, make_recipe):
    """Every wait has a deadline, and an ended build leaves nothing."""
    with pytest.raises(EngineError, match="within 1 s"):
        ImageBuilder(engine, session=session, timeout_s=1).build(
            make_recipe(requirements=["mlflow==3.1.0", "six==1.14.0"])
        )
    assert left_on(engine, session.id) == []


def test_a_missing_base_image_is_said_in_one_line(engine):
    """With the command that would bring it."""
    recipe = images.Recipe(
        python="3.11",
        base_image="mlgate.invalid/none:1",
        base_is_default=False,
        platform="linux/amd64",
        apt=(),
        requirements=("mlflow",),
        server="s",
    )
    with pytest.raises(EngineError, match=r"base image missing.*docker pull mlgate\.invalid/none:1"):
        ImageBuilder(engine).build(recipe)


@pytest.mark.slow
def test_two_builds_of_one_recipe_at_once_both_succeed(engine, session, make_recipe, pins):
    """The second waits for the first and finds its image."""
    recipe = make_recipe(requirements=[*pins, "six==1.16.0"])
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: ImageBuilder(engine, session=session).build(recipe), range(2))
    try:
        assert sorted([first.hit, second.hit]) == [False, True]
        assert first.image_digest == second.image_digest
        assert left_on(engine, session.id) == []
    finally:
        engine.client.images.remove(first.reference, force=True)


# --- the server


def test_a_model_is_served_and_survives_a_restart(serve, sklearn_model):
    """Same answers, new process, readiness after warm-up."""
    server = serve(sklearn_model)
    assert list(server.boot.phases) == PHASES
    assert sorted(server.boot.phases.values()) == list(server.boot.phases.values())
    assert server.boot.ready_s >= server.boot.phases["ready"]
    assert ask(server).json() == {"predictions": [0, 1]}
    boot = server.restart()
    assert list(boot.phases) == PHASES
    assert ask(server).json() == {"predictions": [0, 1]}
    assert server.failure() is None
    assert '"mlgate_boot"' in server.log()


def test_readiness_tells_the_boot_and_metrics_start_at_zero(serve, sklearn_model):
    """Warm-up predictions are made, and are not counted as traffic."""
    server = serve(sklearn_model)
    ready = requests.get(f"{server.url}/ready", timeout=10).json()
    assert ready["warm_up"] == {"requests": 2, "error": None}
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    assert 'mlgate_requests_total{status="5xx"} 0.0' in text
    assert 'mlgate_requests_total{status="2xx"} 0.0' in text
    ask(server)
    assert 'mlgate_requests_total{status="2xx"} 1.0' in requests.get(f"{server.url}/metrics", timeout=10).text


def test_a_second_server_is_independent_of_the_first(serve, sklearn_model):
    """Champion and challenger run side by side."""
    first = serve(sklearn_model)
    second = first.another()
    try:
        second.start()
        assert first.url != second.url
        first.stop()
        assert ask(second).json() == {"predictions": [0, 1]}
    finally:
        second.stop()


LOOK = """
import json, socket
class Model:
    def predict(self, rows):
        def tried(act):
            try:
                return str(act())
            except OSError as error:
                return f"{type(error).__name__} {error.errno}"
        seen = {
            "uid": os.getuid(), "gid": os.getgid(),
            "environment": sorted(os.environ),
            "connect": tried(lambda: socket.create_connection(("1.1.1.1", 53), 1)),
            "gateway": tried(lambda: socket.create_connection(("172.17.0.1", 22), 1)),
            "resolve": tried(lambda: socket.getaddrinfo("pypi.org", 443)),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "root": tried(lambda: open("/opt/x", "w")), "model": tried(lambda: open("/model/x", "w")),
            "venv": tried(lambda: open("/opt/venv/x", "w")), "tmp": tried(lambda: open("/tmp/x", "w").close()),
            "docker": os.path.exists("/var/run/docker.sock"),
            "status": [line.split() for line in open("/proc/self/status") if line[:3] in ("Cap", "NoN", "Sec")],
            "cpu": [n for n in os.listdir("/sys/fs/cgroup")],
        }
        return json.dumps(seen)
"""


def test_a_model_sees_no_network_no_host_and_nothing_to_write_on(serve, code_model, monkeypatch):
    """It holds no capability and is nobody."""
    monkeypatch.setenv("MLGATE_TEST_SECRET", "swordfish")
    seen = answer(serve(code_model(LOOK), env={"GIVEN": "1"}))
    assert (seen["uid"], seen["gid"]) == (65534, 65534)
    assert seen["connect"] == seen["gateway"] == "OSError 101"
    assert seen["resolve"].startswith("gaierror")
    assert seen["interfaces"] == ["lo"]
    assert seen["root"] == seen["model"] == seen["venv"] == "OSError 30"
    assert seen["tmp"] == "None"
    assert not seen["docker"]
    status = dict(seen["status"])
    assert {int(status[name], 16) for name in ("CapEff:", "CapPrm:", "CapBnd:", "CapInh:")} == {0}
    assert status["NoNewPrivs:"] == "1"
    assert status["Seccomp:"] == "2"
    assert "GIVEN" in seen["environment"]
    assert not {"MLGATE_TEST_SECRET", "SSL_CERT_FILE", "DOCKER_HOST", "PIP_CERT"} & set(seen["environment"])


def test_a_crash_is_named_with_its_exit_status_and_log(serve, code_model):
    """And the server comes back on restart."""
    server = serve(
        code_model(
            "class Model:\n    def predict(self, rows):\n        print('last words', flush=True)\n        os._exit(7)"
        )
    )
    with pytest.raises(requests.ConnectionError):
        ask(server, {"inputs": [1]})
    failure = ended(server)
    assert (failure.kind, failure.message) == ("exited", "the server exited with status 7")
    assert "last words" in failure.log
    server.restart()
    assert server.failure() is None


def test_a_crash_in_native_code_is_named_by_its_signal(serve, code_model):
    """128 + 11 is a segmentation fault."""
    server = serve(code_model("import ctypes\nclass Model:\n    def predict(self, rows):\n        ctypes.string_at(0)"))
    with pytest.raises(requests.ConnectionError):
        ask(server, {"inputs": [1]})
    failure = ended(server)
    assert failure.kind == "signal"
    assert "SIGSEGV" in failure.message


def ended(server):
    """Wait until the engine has noticed the death of the server, and return what it says."""
    server._server.wait(timeout=30)
    return server.failure()


def test_a_server_that_outgrows_its_memory_is_named_so(serve, code_model):
    """The kernel's kill is told from any other SIGKILL."""
    server = serve(
        code_model("class Model:\n    def predict(self, rows):\n        x = bytearray(1 << 30)\n        return len(x)"),
        memory=512 * 2**20,
    )
    with pytest.raises(requests.ConnectionError):
        ask(server, {"inputs": [1]})
    assert ended(server).kind == "oom"


WORKER = """
class Model:
    def predict(self, rows):
        child = os.fork()
        if child == 0:
            x = bytearray(1 << 30)
            os._exit(0)
        return str(os.waitpid(child, 0)[1])
"""


def test_a_worker_that_is_killed_for_memory_is_named_under_a_living_parent(serve, code_model):
    """The engine's own flag says nothing of it."""
    server = serve(code_model(WORKER), memory=512 * 2**20)
    assert ask(server, {"inputs": [1]}).json() == {"predictions": "9"}
    failure = server.failure()
    assert failure.kind == "oom_worker"
    assert "still runs" in failure.message


def test_peak_memory_is_what_the_server_held(serve, code_model):
    """Read inside the container."""
    source = "class Model:\n    def predict(self, rows):\n        return len(bytearray(b'x') * (300 << 20))"
    server = serve(code_model(source))
    before = server.peak_memory()
    assert ask(server, {"inputs": [1]}).json() == {"predictions": 300 << 20}
    assert before + (150 << 20) < server.peak_memory() <= 1 << 30


@pytest.mark.parametrize("how", ["raise ValueError('no such column: plan')", "raise SystemExit(0)"])
def test_a_model_that_can_not_be_loaded_is_named_with_its_last_line(serve, code_model, how):
    """Whatever it raises, and at once."""
    with pytest.raises(ServerError, match=how.split("(")[0].removeprefix("raise ")) as caught:
        serve(code_model(f"class Model:\n    def __init__(self):\n        {how}"))
    assert caught.value.kind == "load_failed"
    assert "Traceback" in caught.value.log


def test_a_model_that_kills_its_server_while_it_loads_is_named(serve, code_model):
    """It does not wait for the deadline."""
    with pytest.raises(ServerError, match="status 9") as caught:
        serve(code_model("os._exit(9)\nclass Model: pass"), ready_timeout_s=300)
    assert caught.value.kind == "exited"


def test_a_model_that_never_gets_ready_is_ended_at_the_deadline(serve, code_model):
    """There is no wait for ever."""
    with pytest.raises(ServerError, match="not ready within 6 s") as caught:
        serve(code_model("import threading\nthreading.Event().wait()\nclass Model: pass"), ready_timeout_s=6)
    assert caught.value.kind == "hang_at_load"


def test_a_warm_up_that_raises_is_reported_and_does_not_stop_the_server(serve, code_model):
    """The schema suite will find the same."""
    source = "class Model:\n    def predict(self, rows):\n        raise ValueError('bad example')"
    server = serve(code_model(source, example={"inputs": [1]}))
    error = requests.get(f"{server.url}/ready", timeout=10).json()["warm_up"]["error"]
    assert error.startswith("400")
    assert ask(server, {"inputs": [1]}).status_code == 400


def test_a_hanging_prediction_times_out_inside_the_server(serve, code_model):
    """By the policy's request timeout."""
    source = "import threading\nclass Model:\n    def predict(self, rows):\n        threading.Event().wait()"
    assert ask(serve(code_model(source), request_timeout_s=1), {"inputs": [1]}).status_code == 504


def test_a_fork_bomb_meets_the_limit(serve, code_model):
    """The host does not notice."""
    source = """
    class Model:
        def predict(self, rows):
            children = []
            try:
                while len(children) < 500:
                    child = os.fork()
                    if child == 0:
                        import signal
                        signal.pause()
                    children.append(child)
            except OSError:
                pass
            for child in children:
                os.kill(child, 9)
            return str(len(children))
    """
    assert 10 < answer(serve(code_model(source), pids=64)) < 64


def test_a_full_temporary_directory_is_the_models_own(serve, code_model):
    """It gets ENOSPC, the host keeps its disk."""
    source = """
    class Model:
        def predict(self, rows):
            try:
                with open("/tmp/x", "wb") as file:
                    for _ in range(64):
                        file.write(bytes(1 << 20))
            except OSError as error:
                return str(error.errno)
            return "0"
    """
    assert answer(serve(code_model(source), tmp_size=8 * 2**20)) == 28


def test_a_flood_of_output_is_capped(serve, code_model, engine):
    """The log driver keeps the last megabytes."""
    source = "class Model:\n    def predict(self, rows):\n        for _ in range(200):\n            print('x' * 100_000)\n        return '1'"
    server = serve(code_model(source))
    answer(server)
    assert len(server.log(lines=100_000)) < 6 * 2**20


def test_big_requests_and_answers_pass_the_forwarder_whole(serve, code_model):
    """Back-pressure on the way, nothing lost, order kept."""
    source = """
    class Model:
        def predict(self, rows):
            return [float(x) for x in rows]
    """
    rows = [float(n) for n in range(500_000)]
    assert ask(serve(code_model(source), memory=2**31), {"inputs": rows}).json()["predictions"] == rows


def test_a_connection_is_kept_alive_through_the_forwarder(serve, sklearn_model):
    """One connection carries many requests."""
    server = serve(sklearn_model)
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=30)
    for _ in range(3):
        connection.request("POST", "/invocations", json.dumps(ROWS), {"content-type": "application/json"})
        response = connection.getresponse()
        assert json.loads(response.read()) == {"predictions": [0, 1]}
        assert not response.will_close
    connection.close()


def test_a_model_directory_that_the_sandbox_can_not_read_is_said(engine, image, session, sklearn_model, tmp_path):
    """It would look like a broken model otherwise."""
    import shutil

    model = shutil.copytree(sklearn_model, tmp_path / "model")
    (model / "MLmodel").chmod(0o600)
    with pytest.raises(EngineError, match="not readable for the sandbox's user"):
        ContainerServer(engine, image, model, ServerLimits(), session).start()


def test_stopping_removes_everything_and_may_be_repeated(serve, sklearn_model, engine, session):
    """Containers and the volume of the socket."""
    server = serve(sklearn_model)
    assert len(left_on(engine, session.id)) == 3
    server.stop()
    server.stop()
    assert left_on(engine, session.id) == []
    assert server.failure().kind == "gone"


# --- nothing outlives the run

OWNER = """
import signal, sys, threading
# Under nohup, as CI's runners have it, and in the background of a shell they would be ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
import tempfile
from mlgate.images.docker import ImageBuilder
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import connect
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import Watchdog
from mlgate.images.recipe import recipe_for, server_identity
engine, session = connect(), SessionTag.new()
recipe = recipe_for(requirements={pins!r}, python_version="3.11.7", flavors=["python_function"], base_image=None,
                    platform="linux/amd64", apt=None, server=server_identity())
tmp = Path(tempfile.mkdtemp(prefix="mlgate-test-"))
(tmp / "file").touch()
watchdog = Watchdog.start(session, tmp) if {watched} else None
server = ContainerServer(engine, ImageBuilder(engine).build(recipe), Path({model!r}), ServerLimits(), session)
server.start()
print(session.id, tmp, watchdog.pid if watchdog else 0, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def own(sklearn_model, pins, image):
    """Start a process that owns a server; return it, its session, its temporary directory and its watchdog's pid."""

    def start(*, watched):
        source = OWNER.format(pins=pins, model=str(sklearn_model), watched=watched)
        owner = subprocess.Popen(
            [sys.executable, "-c", source],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        session, tmp, pid = owner.stdout.readline().split()
        return owner, session, Path(tmp), int(pid)

    return start


def wait_for_exit(pid):
    """Block until the process is gone; it is not a child of ours."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([descriptor], [], [], 60)[0], "the watchdog does not end"
    os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_an_owner_that_is_killed(engine, own, number):
    """The signal goes to the whole group, as from a terminal or a cancelled CI job."""
    owner, session, tmp, watchdog = own(watched=True)
    assert len(left_on(engine, session)) == 3
    os.killpg(owner.pid, number)
    owner.wait(30)
    wait_for_exit(watchdog)
    assert left_on(engine, session) == []
    assert not tmp.exists()


def test_the_watchdog_itself_ignores_what_ends_others(engine, own):
    """It is there for afterwards."""
    owner, session, _, watchdog = own(watched=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(watchdog, number)
    owner.kill()
    owner.wait(30)
    wait_for_exit(watchdog)
    assert left_on(engine, session) == []


@pytest.mark.alone
def test_a_sweep_removes_what_a_dead_owner_left_and_nothing_else(serve, engine, own, sklearn_model):
    """Another run that is alive keeps its containers."""
    alive = serve(sklearn_model)
    owner, session, tmp, _ = own(watched=False)
    sweep(engine)
    assert len(left_on(engine, session)) == 3
    owner.kill()
    owner.wait(30)
    assert sweep(engine) >= 3
    assert left_on(engine, session) == []
    assert ask(alive).status_code == 200
    (tmp / "file").unlink()
    tmp.rmdir()


@pytest.mark.alone
def test_a_sweep_leaves_what_it_can_not_judge(engine, image):
    """An owner in another pid namespace may be the CI job next door."""
    tag = SessionTag.new()
    _, start, boot, _ = tag.owner.split(":")
    foreign = SessionTag(id=tag.id, owner=f"999999:{start}:{boot}:1")
    volume = engine.client.volumes.create(labels=foreign.labels())
    try:
        sweep(engine)
        assert volume.id in [found.id for found in engine.client.volumes.list(filters={"label": OWNER_LABEL})]
    finally:
        volume.remove()


def test_no_reaper_of_testcontainers_is_ever_started(serve, engine, sklearn_model):
    """It would need the engine's socket."""
    serve(sklearn_model)
    names = [container.name for container in engine.client.containers.list(all=True, ignore_removed=True)]
    assert not [name for name in names if "ryuk" in name]
