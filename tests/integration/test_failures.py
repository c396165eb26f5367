"""Every way in which a server can fail is told apart and named, with its last lines: one real container each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from mlgate.errors import FailureKind, ServerError
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.interface import ServerLimits
from mlgate.scoring.client import ScoringClient
from mlgate_suites.findings import explained, problem_of

pytestmark = pytest.mark.engine

MEMORY = 600 << 20


@pytest.fixture
def start(engine, image, session, code_model):
    """Start a server of the given source; it is removed at the end, whatever came of it."""
    servers = []

    def begin(source, **limits):
        server = ContainerServer(engine, image, code_model(source), ServerLimits(memory=MEMORY, **limits), session)
        servers.append(server)
        server.start()
        return server

    yield begin
    for server in servers:
        server.stop()


def load_problem(start, source, **limits):
    """Return the error of a start that has to fail."""
    with pytest.raises(ServerError) as caught:
        start(source, **limits)
    return caught.value


def prediction_problem(server, *, timeout_s=30.0):
    """Return what a check would say of one prediction: reason and details."""
    client = ScoringClient(server, timeout_s=timeout_s)
    answer = client.post(b'{"inputs": [1]}', content_type="application/json")
    problem = problem_of(answer, None, rows=1)
    assert problem is not None
    reason, details = explained(problem, answer, client)
    client.close()
    return reason, details


# --- before it is ready


def test_exited_at_load(start):
    """By its status, and its last words."""
    found = load_problem(start, "print('last words', flush=True)\nos._exit(9)\nclass Model: pass", ready_timeout_s=300)
    assert found.kind is FailureKind.EXITED
    assert found.message == "the server exited with status 9, before it was ready"
    assert "last words" in found.log


def test_killed_by_a_signal_at_load(start):
    """By its name, with the line of the crash: the interpreter's fault handler writes it."""
    found = load_problem(start, "import ctypes\nctypes.string_at(0)\nclass Model: pass")
    assert found.kind is FailureKind.SIGNAL
    assert "SIGSEGV" in found.message
    assert "/model/code/mlgate_test_model.py" in found.log


def test_raised_at_load(start):
    """With the exception."""
    found = load_problem(start, "class Model:\n    def __init__(self):\n        raise ValueError('no column plan')")
    assert found.kind is FailureKind.LOAD_FAILED
    assert "ValueError: no column plan" in found.message


def test_killed_for_memory_at_load(start):
    """It is the server itself, and the limit is said."""
    found = load_problem(start, "class Model:\n    held = bytearray(b'x' * (1 << 30))")
    assert found.kind is FailureKind.OOM
    assert found.message == "the server was killed: it went over the memory limit (600 MiB), before it was ready"
    assert '"mlgate_phase": "imports"' in found.log


WORKER = """
def work():
    child = os.fork()
    if child == 0:
        x = bytearray(b"x" * (1 << 30))
        os._exit(0)
    return os.waitpid(child, 0)[1]
"""


def test_a_worker_killed_for_memory_while_the_server_waits_for_it(start):
    """The engine says that all is well; the kernel's counter says what the load is waiting for."""
    source = f"{WORKER}\nwork()\nimport threading\nthreading.Event().wait()\nclass Model: pass"
    found = load_problem(start, source, ready_timeout_s=15)
    assert found.kind is FailureKind.OOM_WORKER
    assert "a process of it went over the memory limit (600 MiB)" in found.message
    assert "while the model is loaded" in found.message


def test_a_worker_killed_for_memory_and_the_server_after_it(start):
    """The engine's flag is up, and yet it was not the server that was killed."""
    found = load_problem(start, f"{WORKER}\nwork()\nos._exit(5)\nclass Model: pass")
    assert found.kind is FailureKind.OOM_WORKER
    assert "then exited with status 5" in found.message


def test_hangs_at_load(start):
    """The phase, and the line of the model that it stands at, though a lock of the library holds it."""
    source = "import threading\ndef fetch():\n    threading.Event().wait()\nfetch()\nclass Model: pass"
    found = load_problem(start, source, ready_timeout_s=12)
    assert found.kind is FailureKind.HANG_AT_LOAD
    assert "not ready within 12 s: it hangs, while the model is loaded" in found.message
    assert found.message.endswith("at /model/code/mlgate_test_model.py:4 in fetch")
    assert "most recent call first" in found.log


def test_hangs_in_its_warm_up(start, engine, image, session, code_model):
    """The logged example is what it hangs on: another phase, another word."""
    source = "import threading\nclass Model:\n    def predict(self, rows):\n        threading.Event().wait()"
    limits = ServerLimits(memory=MEMORY, ready_timeout_s=12)
    server = ContainerServer(engine, image, code_model(source, example={"inputs": [1]}), limits, session)
    with pytest.raises(ServerError) as caught:
        server.start()
    server.stop()
    assert caught.value.kind is FailureKind.HANG_AT_LOAD
    assert "while it makes its warm-up predictions" in caught.value.message
    assert "mlgate_test_model.py:5 in predict" in caught.value.message


def test_listens_but_answers_500(start):
    """Somebody is there, and it is not well."""
    source = """
    import mlgate_serving.app as app
    async def broken(self, scope, receive, send):
        await app._answer(send, 500, "text/plain", b"no")
    app.ServingApp.__call__ = broken
    class Model:
        def predict(self, rows):
            return rows
    """
    found = load_problem(start, source, ready_timeout_s=12)
    assert found.kind is FailureKind.ERROR_STATUS
    assert "it listens and answers 500" in found.message


def test_a_port_that_never_opens(start):
    """The server says that it is ready, and nobody can reach it."""
    source = """
    import threading, time, contextlib
    def hide():
        while True:
            with contextlib.suppress(OSError):
                # Not before uvicorn has set the mode: without the file it would end there.
                if os.stat("/run/mlgate/server.sock").st_mode & 0o777 == 0o666:
                    os.unlink("/run/mlgate/server.sock")
            time.sleep(0.001)
    threading.Thread(target=hide, daemon=True).start()
    class Model:
        def predict(self, rows):
            return rows
    """
    found = load_problem(start, source, ready_timeout_s=12)
    assert found.kind is FailureKind.NO_LISTENER
    assert "nobody listens" in found.message
    assert '"mlgate_phase": "ready"' in found.log


# --- once it is ready


def test_exits_at_a_prediction(start):
    """The check's reason says how."""
    source = "class Model:\n    def predict(self, rows):\n        print('last words', flush=True)\n        os._exit(7)"
    reason, details = prediction_problem(start(source))
    assert reason == "the server died; the server exited with status 7"
    assert details["kind"] == "exited"
    assert "last words" in details["log"]


def test_is_killed_for_memory_at_a_prediction(start):
    """By the limit."""
    reason, details = prediction_problem(
        start("class Model:\n    def predict(self, rows):\n        return len(bytearray(b'x' * (1 << 30)))")
    )
    assert "it went over the memory limit (600 MiB)" in reason
    assert details["kind"] == "oom"


def test_loses_a_worker_for_memory_at_a_prediction(start):
    """The answer is an error of the model's; why is the kernel's to say."""
    source = f"{WORKER}\nclass Model:\n    def predict(self, rows):\n        raise RuntimeError(f'worker: {{work()}}')"
    server = start(source)
    reason, details = prediction_problem(server)
    assert "worker: 9" in reason
    assert (
        "a process of the server went over the memory limit (600 MiB) and was killed; the server still runs" in reason
    )
    assert details["kind"] == "oom_worker"
    assert 0 < server.peak_memory() <= MEMORY


def test_hangs_at_a_prediction(start):
    """Where, in the thread that predicts."""
    source = "import threading\nclass Model:\n    def predict(self, rows):\n        threading.Event().wait()"
    server = start(source, request_timeout_s=1)
    reason, details = prediction_problem(server)
    assert reason.startswith("hangs: no answer within")
    assert "a prediction hangs at /model/code/mlgate_test_model.py:5 in predict" in reason
    assert details["kind"] == "hang_at_predict"
    assert "most recent call first" in details["log"]


def test_answers_500_at_a_prediction(start):
    """The server's own error, not the model's exception."""
    source = """
    import mlgate_serving.app as app
    async def broken(self, scope, receive, send):
        await app._answer(send, 500, "application/json", b"{}")
    app.ServingApp._counted = broken
    class Model:
        def predict(self, rows):
            return rows
    """
    reason, details = prediction_problem(start(source))
    assert "the server answers 500" in reason
    assert details["kind"] == "error_status"


def test_closes_the_connection_and_lives(start):
    """No answer, and no death to blame it on."""
    source = """
    import socket
    class Model:
        def predict(self, rows):
            for name in os.listdir("/proc/self/fd"):
                try:
                    made = socket.socket(fileno=os.dup(int(name)))
                    if made.family == socket.AF_UNIX and made.getsockname() and not made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        made.shutdown(socket.SHUT_RDWR)
                    made.close()
                except OSError:
                    pass
    """
    reason, details = prediction_problem(start(source))
    assert "and still runs" in reason
    assert details["kind"] == "connection_lost"


def test_a_wrong_first_prediction_is_named_in_the_evidence(code_model, tmp_path):
    """By the gate itself: every fresh server answers its first request by another rule than the warm one."""
    source = """
    class Model:
        asked = 0
        def predict(self, rows):
            Model.asked += 1
            return [float(Model.asked == 1)] * len(rows)
    """
    path = code_model(source)
    document = yaml.safe_load((path / "MLmodel").read_text())
    number = {"type": "double", "required": True}
    document["signature"] = {"inputs": json.dumps([{**number, "name": "x"}]), "outputs": json.dumps([number])}
    (path / "MLmodel").write_text(yaml.safe_dump(document))
    (tmp_path / "mlgate.yaml").write_text("requires: [cold_start]\ncold_start: {ready: 60s, first_prediction: 60s}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", str(path), "--mlgate-output", "out"],
        cwd=tmp_path, env={**os.environ, "MLGATE_CACHE": str(tmp_path / "cache"), "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_bytes())
    checks = {check["id"]: check for check in evidence["suites"]["cold_start"]["checks"]}
    found = checks["cold_start.first_prediction"]
    assert "the first prediction is wrong" in found["reason"]
    assert found["details"]["kind"] == "wrong_first_prediction"
    assert "mlgate_boot" in found["details"]["log"]


def test_every_kind_has_its_test():
    """A kind that is added needs a container that shows it."""
    source = Path(__file__).read_text()
    assert {kind for kind in FailureKind if f"FailureKind.{kind.name}\n" in source or f'== "{kind}"' in source} == set(
        FailureKind
    )


def test_a_stopped_server_is_gone(start):
    """Not dead: nobody is to blame."""
    server = start("class Model:\n    def predict(self, rows):\n        return rows")
    server.stop()
    assert server.failure().kind == "gone"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/ping", timeout=2)
