"""The process sandbox: the same server without an engine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from mlgate.errors import EngineError, InstallError, ServerError
from mlgate.images.environment import EnvironmentBuilder
from mlgate.images.pins import pin_differences
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.process import ProcessServer

ROOT = Path(__file__).parents[2]
ROWS = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9], [0.9, 0.1]]}}
LIMITS = {"memory": 2**32}


def ask(server, body=ROWS):
    return requests.post(f"{server.url}/invocations", json=body, timeout=30)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder of these tests alone; downloads come from uv's own cache."""
    return {**os.environ, "MLGATE_CACHE": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="session")
def environment(cache, recipe):
    """The shared environment, as a folder."""
    return EnvironmentBuilder(environ=cache).build(recipe)


@pytest.fixture
def serve(environment, tmp_path):
    """Start servers; whatever comes of the test, they are stopped."""
    servers = []

    def start(model, **limits):
        server = ProcessServer(environment, model, ServerLimits(**(LIMITS | limits)), tmp_dir=tmp_path)
        servers.append(server)
        server.boot = server.start()
        return server

    yield start
    for server in servers:
        server.stop()
    assert list(tmp_path.iterdir()) == []


def test_an_environment_is_made_once(environment, cache, recipe, pins):
    """And it holds what was asked for."""
    again = EnvironmentBuilder(environ=cache).build(recipe)
    assert again.hit
    assert again.facts(threads=1) == environment.facts(threads=1)
    assert pin_differences(pins, environment.pins, python=environment.python) == ()
    assert environment.image_digest == ""
    assert environment.base == f"host python {environment.python}"


def test_what_the_list_of_packages_says_on_standard_error_is_in_no_pin(chatty_freeze, cache, make_recipe):
    """As in a container."""
    built = EnvironmentBuilder(environ=cache).build(make_recipe(requirements=["mlflow-skinny==3.1.0", "six==1.16.0"]))
    assert chatty_freeze(built.pins)


def test_an_environment_that_can_not_be_installed_fails_the_version(cache, make_recipe):
    """By the name of the package."""
    with pytest.raises(InstallError, match=r"numpy==99\.0"):
        EnvironmentBuilder(environ=cache).build(make_recipe(requirements=["mlflow", "numpy==99.0"]))


def test_an_index_that_does_not_answer_does_not_fail_the_version(cache, make_recipe):
    """It can be tried again."""
    environ = cache | {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:9"):
        EnvironmentBuilder(environ=environ).build(make_recipe(requirements=["mlflow", "six==1.15.0"]))


def test_a_model_is_served_and_survives_a_restart(serve, sklearn_model):
    """By the same rules as in a container."""
    server = serve(sklearn_model)
    assert list(server.boot.phases) == ["interpreter", "imports", "load", "warm_up", "ready"]
    assert ask(server).json() == {"predictions": [0, 1]}
    assert server.peak_memory() > 50 << 20
    server.restart()
    assert ask(server).json() == {"predictions": [0, 1]}
    assert server.failure() is None
    assert (server.sandbox.kind, server.sandbox.network) == ("process", "host")


def test_a_server_gets_nothing_of_the_hosts_environment(serve, code_model, monkeypatch):
    """It has the user's rights, but not the user's secrets in its environment."""
    monkeypatch.setenv("MLGATE_TEST_SECRET", "swordfish")
    source = "import json\nclass Model:\n    def predict(self, rows):\n        return json.dumps([sorted(os.environ), os.getcwd()])"
    server = serve(code_model(source), env={"GIVEN": "1"})
    names, folder = json.loads(ask(server, {"inputs": [1]}).json()["predictions"])
    assert "GIVEN" in names
    assert not {"MLGATE_TEST_SECRET", "SSL_CERT_FILE", "PYTHONPATH"} & set(names)
    assert "mlgate-server-" in folder


def test_a_crash_is_named(serve, code_model):
    """With its exit status and its last words."""
    source = "class Model:\n    def predict(self, rows):\n        print('last words', flush=True)\n        os._exit(7)"
    server = serve(code_model(source))
    with pytest.raises(requests.ConnectionError):
        ask(server, {"inputs": [1]})
    server._process.wait(30)
    failure = server.failure()
    assert (failure.kind, failure.message) == ("exited", "the server exited with status 7")
    assert "last words" in failure.log


def test_a_crash_in_native_code_is_named_by_its_signal(serve, code_model):
    """128 + 11 is a segmentation fault."""
    server = serve(code_model("import ctypes\nclass Model:\n    def predict(self, rows):\n        ctypes.string_at(0)"))
    with pytest.raises(requests.ConnectionError):
        ask(server, {"inputs": [1]})
    server._process.wait(30)
    assert server.failure().kind == "signal"
    assert "SIGSEGV" in server.failure().message


def test_a_model_that_can_not_be_loaded_is_named(serve, code_model):
    """With its exception."""
    with pytest.raises(ServerError, match="no such column: plan") as caught:
        serve(code_model("class Model:\n    def __init__(self):\n        raise ValueError('no such column: plan')"))
    assert caught.value.kind == "load_failed"


def test_memory_is_bounded(serve, code_model):
    """By a MemoryError inside, not by a kill."""
    source = "class Model:\n    def predict(self, rows):\n        return len(bytearray(3 << 30))"
    response = ask(serve(code_model(source), memory=2**31), {"inputs": [1]})
    assert response.status_code == 400
    assert "MemoryError" in response.text


def test_it_lives_outside_the_project_in_a_folder_of_its_own(serve, environment, cache, code_model):
    """The environment is in mlgate's cache; what the server writes to is nobody else's to read."""
    assert Path(environment.reference).is_relative_to(cache["MLGATE_CACHE"])
    assert not Path(environment.reference).is_relative_to(ROOT)
    source = "import json, tempfile\nclass Model:\n    def predict(self, rows):\n        return json.dumps([tempfile.gettempdir(), os.getpgid(0), os.getppid()])"
    server = serve(code_model(source))
    folder, group, parent = json.loads(ask(server, {"inputs": [1]}).json()["predictions"])
    assert "mlgate-server-" in folder
    assert Path(folder).parent.stat().st_mode & 0o777 == 0o700
    assert group not in {os.getpgid(0), os.getpgid(parent)}


def test_a_file_of_its_own_is_bounded_and_so_is_its_log(serve, code_model):
    """Also the log: a flood ends in an error of the model's, not in a full disk."""
    source = """
    import json, resource
    class Model:
        def predict(self, rows):
            seen = []
            for path in ("x", "/dev/stdout"):
                try:
                    with open(path, "ab") as file:
                        for _ in range(64):
                            file.write(bytes(1 << 20))
                            file.flush()
                    seen.append("")
                except OSError as error:
                    seen.append(error.strerror)
            return json.dumps([*seen, resource.getrlimit(resource.RLIMIT_CORE)])
    """
    server = serve(code_model(source), tmp_size=16 << 20)
    assert json.loads(ask(server, {"inputs": [1]}).json()["predictions"]) == ["File too large"] * 2 + [[0, 0]]
    assert sum(path.stat().st_size for path in server._home.rglob("*") if path.is_file()) <= 33 << 20
    assert len(server.log(lines=10_000)) <= 1 << 16


def test_a_hang_at_load_is_named_with_its_place(serve, code_model):
    """As in a container; printing the stacks ends the process here."""
    source = "import threading\ndef fetch():\n    threading.Event().wait()\nfetch()\nclass Model: pass"
    with pytest.raises(ServerError, match=r"while the model is loaded, at .*mlgate_test_model.py:4 in fetch") as caught:
        serve(code_model(source), ready_timeout_s=10)
    assert caught.value.kind == "hang_at_load"


CHILD = """
class Model:
    def predict(self, rows):
        import signal
        child = os.fork()
        if child == 0:
            signal.pause()
        return [child, os.getpid()]
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_stopping_takes_the_whole_group(serve, code_model):
    """Also what the model has started."""
    server = serve(code_model(CHILD))
    pids = ask(server, {"inputs": [1]}).json()["predictions"]
    assert all(alive(pid) for pid in pids)
    server.stop()
    server.stop()
    assert not any(alive(pid) for pid in pids)


OWNER = """
import sys, threading
from pathlib import Path
import requests
from mlgate.images.environment import EnvironmentBuilder
from mlgate.images.recipe import recipe_for, server_identity
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.process import ProcessServer
recipe = recipe_for(requirements={pins!r}, python_version="3.11.7", flavors=["python_function"], base_image=None,
                    platform="linux/amd64", apt=None, server=server_identity())
server = ProcessServer(EnvironmentBuilder().build(recipe), Path({model!r}), ServerLimits(memory=2**32), tmp_dir=Path({tmp!r}))
# From a thread that ends at once: the server must outlive it.
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
pids = requests.post(server.url + "/invocations", json={{"inputs": [1]}}, timeout=30).json()["predictions"]
print(*pids, flush=True)
threading.Event().wait()
"""


def test_no_server_outlives_an_owner_that_is_killed(environment, cache, code_model, pins, tmp_path):
    """Neither the server nor what it has started."""
    source = OWNER.format(pins=pins, model=str(code_model(CHILD)), tmp=str(tmp_path))
    owner = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env={**cache, "PYTHONPATH": str(ROOT)}
    )
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    descriptors = [os.pidfd_open(pid) for pid in pids]
    owner.send_signal(signal.SIGKILL)
    owner.wait(30)
    for descriptor in descriptors:
        import select

        assert select.select([descriptor], [], [], 30)[0], "it outlives its owner"
        os.close(descriptor)
