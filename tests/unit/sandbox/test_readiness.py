import contextlib
import json
import socket
import threading

import pytest

from mlgate.errors import FailureKind
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import (
    PHASES,
    Look,
    boot_line,
    boot_times,
    failure_of,
    look,
    never_ready,
    not_started,
    place_of_hang,
    server_environment,
)


@pytest.mark.parametrize(
    ("code", "oom", "kind", "word"),
    [
        (7, False, "exited", "status 7"),
        (0, False, "exited", "status 0"),
        (137, True, "oom", "memory"),
        (1, True, "oom_worker", "then exited with status 1"),
        (137, False, "signal", "SIGKILL"),
        (139, False, "signal", "SIGSEGV"),
        (-6, False, "signal", "SIGABRT"),
        (255, False, "exited", "status 255"),
    ],
)
def test_the_end_of_a_server_is_named(code, oom, kind, word):
    """By what the engine knows of it."""
    failure = failure_of(code=code, oom=oom, log="a\nb")
    assert failure.kind == kind
    assert word in failure.message
    assert failure.log == "a\nb"


def test_a_load_failure_is_told_by_the_servers_own_last_line():
    """And only when the server said so: a model may exit with status 3 too."""
    log = "Traceback\nmlgate: the model can not be loaded: ValueError: no"
    error = not_started(failure_of(code=3, oom=False, log=log))
    assert error.kind == "load_failed"
    assert "ValueError: no" in error.message
    assert failure_of(code=3, oom=False, log="").message == "the server exited with status 3"


def test_phases_count_from_the_engines_start():
    """The server counts from the start of its own process."""
    said = {"started_at": 100.5, "phases": {"imports": 1.0, "ready": 2.0}}
    times = boot_times(said, started_at=100.25, ready_at=103.0)
    assert dict(times.phases) == {"imports": 1.25, "ready": 2.25}
    assert times.ready_s == 2.75


@pytest.mark.parametrize("said", [{}, {"started_at": "x", "phases": {}}, {"started_at": 1, "phases": {"a": None}}])
def test_a_boot_line_that_is_none_leaves_what_we_measured(said):
    """A model may print whatever it likes."""
    times = boot_times(said, started_at=100.0, ready_at=103.0)
    assert (times.ready_s, dict(times.phases)) == (3.0, {})


def test_the_boot_line_is_found_among_other_output():
    """Libraries print too."""
    line = json.dumps({"mlgate_boot": 1, "phases": {}})
    assert boot_line(f'noise\n{{"mlgate_boot": broken\n{line}\nmore') == {"mlgate_boot": 1, "phases": {}}
    assert boot_line("noise") is None


def test_a_server_gets_nothing_of_the_hosts_environment(monkeypatch):
    """Only what is named here and in the policy."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    environment = server_environment(ServerLimits(cpus=1.5, request_timeout_s=0.5, env={"GIVEN": "1", "LANG": "C"}))
    assert "swordfish" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"] == "1"
    assert (environment["GIVEN"], environment["LANG"]) == ("1", "C")


STACKS = """{"mlgate_phase": "interpreter"}
{"mlgate_phase": "imports"}
Fatal Python error: Aborted

Thread 0x00007f7c (most recent call first):
  File "/opt/venv/lib/python3.11/site-packages/mlflow/tracking/x.py", line 9 in run

Current thread 0x00007fff (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 324 in wait
  File "/model/code/mine.py", line 4 in fetch
  File "/opt/venv/lib/python3.11/site-packages/mlflow/pyfunc/__init__.py", line 1 in load_model
  File "/opt/venv/lib/python3.11/site-packages/mlgate_serving/__main__.py", line 44 in main
"""


def test_a_hang_is_told_by_its_phase_and_its_place():
    """The last line of the model's own code, not the lock that it waits on."""
    error = never_ready(ServerLimits(ready_timeout_s=5), STACKS, seen=Look())
    assert error.kind is FailureKind.HANG_AT_LOAD
    assert str(error) == (
        "the server was not ready within 5 s: it hangs, while the model is loaded, at /model/code/mine.py:4 in fetch"
    )


def test_the_place_of_a_hang_in_a_library_is_the_librarys():
    """There is no line of the model to name."""
    log = STACKS.replace(
        '  File "/model/code/mine.py", line 4 in fetch\n',
        '  File "/opt/venv/lib/python3.11/site-packages/torch/x.py", line 2 in f\n',
    )
    assert place_of_hang(log) == "/opt/venv/lib/python3.11/site-packages/torch/x.py:2 in f"
    assert place_of_hang("no stacks") is None


@pytest.mark.parametrize(
    ("seen", "phases", "kind", "words"),
    [
        (Look(), 0, "no_listener", "nobody listens"),
        (Look(), 1, "hang_at_load", "while the server is imported"),
        (Look(), 3, "hang_at_load", "warm-up"),
        (Look(), 5, "no_listener", "nobody listens"),
        (Look(silent=True), 5, "hang_at_load", "does not answer"),
        (Look(status=500), 5, "error_status", "answers 500"),
        (Look(status=500), 2, "error_status", "answers 500"),
        (Look(status=503), 2, "hang_at_load", "while the model is loaded"),
        (Look(status=404), 0, "hang_at_load", "answers 404"),
    ],
)
def test_a_server_that_does_not_get_ready_is_named_by_what_was_seen(seen, phases, kind, words):
    """How far it said it came, and what its port did."""
    log = "\n".join(f'{{"mlgate_phase": "{name}"}}' for name in PHASES[:phases])
    error = never_ready(ServerLimits(), log, seen=seen)
    assert error.kind == kind
    assert words in error.message


@pytest.mark.parametrize(
    "said",
    [
        {"started_at": float("inf"), "phases": {"ready": 1.0}},
        {"started_at": 10**400, "phases": {"ready": 1.0}},
        {"started_at": 1.0, "phases": {"ready": float("inf")}},
        {"started_at": 1.0, "phases": {"x" * 65: 1.0}},
        {"started_at": 1.0, "phases": {str(n): 1.0 for n in range(33)}},
        {"started_at": 1.0, "phases": {}, "imports": {"load": {"a": {"b": 10**400}}}},
    ],
)
def test_boot_facts_that_no_server_of_ours_tells_are_left_out(said):
    """They would end up in the evidence, whose numbers are finite."""
    assert dict(boot_times(said, started_at=100.0, ready_at=103.0).phases) == {}


class Server:
    """A listener on loopback that answers one connection after another with the same function."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                self.answer(connection)


def trickle(connection):
    """Send one byte after another, for ever."""
    over = threading.Event()
    while True:
        connection.sendall(b"H")
        over.wait(0.02)


def endless(connection):
    """Send a body without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"[" * 65536)


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (lambda _: None, Look()),
        (lambda connection: connection.sendall(b"SSH-2.0\r\n"), Look()),
        (lambda connection: connection.sendall(b"HTTP/1.1 500 No\r\n\r\n"), Look(status=500)),
        (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n[1]"), Look(status=200)),
        (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'), Look(said={"a": 1}, status=200)),
        (trickle, Look(silent=True)),
        (endless, Look(status=200)),
    ],
    ids=["closed", "no_http", "error", "no_facts", "facts", "byte_by_byte", "without_end"],
)  # fmt: skip
def test_one_look_sees_one_thing_and_ends(answer, seen):
    """Whatever a model makes of the connection. The time is up for one that is silent alone, however slow the machine."""
    server = Server(answer)
    try:
        assert look("127.0.0.1", server.port, timeout_s=1.0 if seen.silent else 60.0) == seen
    finally:
        server.listener.close()
