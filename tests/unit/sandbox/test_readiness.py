import json

import pytest

from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import boot_line, boot_times, failure_of, not_started, server_environment


@pytest.mark.parametrize(
    ("code", "oom", "kind", "word"),
    [
        (7, False, "exited", "status 7"),
        (0, False, "exited", "status 0"),
        (137, True, "oom", "memory"),
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
    error = not_started(failure_of(code=3, oom=False, log=log), 3)
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
