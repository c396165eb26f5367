"""The command line: one line for every error, and the exit status of design §5.2."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mlgate.cli import app
from mlgate.cli import test as test_command
from mlgate.errors import EvidenceError, LockedError, PolicyError, RegistryError, UriError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory with a registry that nobody answers at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:1")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gat"], "No such command 'gat'. Did you mean 'gate'?. Hint: mlgate --help"),
        (["gate"], "Missing argument 'URI'. Hint: mlgate gate --help"),
        (["gate", "models:/x"], "'models:/x' is not a model URI"),
        (["gate", "models:/x/1", "--output", "xml"], "Hint: mlgate gate --help"),
        (["promote", "nonsense://1"], "'nonsense://1' is not a model URI"),
        (["policy", "check", "missing.yaml"], "missing.yaml: can not be read"),
        (["gate", "models:/x/1", "--policy", "missing.yaml"], "missing.yaml: can not be read"),
        (["report"], "Missing argument 'URI'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_status_2(here, capsys, words, says):
    """What, and what to do; no traceback, nothing on standard output."""
    assert app.run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["gate", "models:/x/1"], ["status", "x"], ["promote", "models:/x/1", "--yes"]])
def test_a_registry_that_does_not_answer_is_one_line_and_exit_status_3(here, capsys, words):
    """And the password in its address is in no output."""
    assert app.run(words) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "127.0.0.1:1 does not answer" in err
    assert "secret" not in err


def test_what_mlgate_did_not_expect_is_one_line_and_never_reads_like_a_refusal(here, capsys, monkeypatch):
    """Python's own exit status is 1, which means that the gate refused; the traceback is there for who asks."""
    import mlgate.policy_file

    def full(path):
        raise OSError(28, "No space left on\ndevice")

    monkeypatch.setattr(mlgate.policy_file, "load_policy", full)
    for words, debug in ((["policy", "check"], False), (["policy", "check", "--debug"], True)):
        assert app.run(words) == 3
        err = capsys.readouterr().err.splitlines()
        assert err[-1].startswith(
            "mlgate: OSError: [Errno 28] No space left on device, which mlgate did not expect. Hint: "
        )
        assert ("Traceback" in err[0], len(err) > 1) == (debug, debug)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["gate", "models:/x/1", "--output", "json"], 3),
        (["gate", "models:/x", "--output=json"], 2),
        (["rollback", "--output", "json"], 2),
        (["promote", "models:/x/1", "--output", "json", "--policy", "none.yaml"], 2),
    ],
)
def test_a_machine_is_told_of_an_error_in_json(here, capsys, words, status):
    """The line for people is the same; without --output json nothing is on standard output."""
    assert app.run(words) == status
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": err.removeprefix("mlgate: ").rstrip("\n"), "exit_status": status}


def test_debug_shows_the_traceback_too(here, capsys):
    """For whoever has to mend mlgate itself."""
    assert app.run(["--debug", "gate", "models:/x"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "pytests"),
    [(UriError, 2, 4), (PolicyError, 2, 4), (RegistryError, 3, 3), (EvidenceError, 1, 3), (LockedError, 6, 3)],
)
def test_every_error_has_its_exit_status(error, status, pytests):
    """Pinned: pipelines depend on these numbers."""
    assert (error.exit_code, error.pytest_exit_code) == (status, pytests)


def test_an_interrupt_is_exit_status_130(monkeypatch, capsys):
    """As a shell expects."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlgate.policy_file.load_policy", interrupted)
    assert app.run(["policy", "check"]) == 130
    assert capsys.readouterr().err == "mlgate: interrupted\n"


def test_an_interrupt_while_the_command_line_is_imported_is_one_too(here):
    """It takes a tenth of a second, and more on a busy machine."""
    script = """
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "typer": raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from mlgate.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=here)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(("pytests", "ours"), [(0, 0), (1, 1), (20, 4), (4, 2), (3, 3), (2, 130), (5, 4), (-9, 3)])
def test_pytests_exit_status_is_translated(pytests, ours, monkeypatch):
    """20 is inconclusive, 4 is configuration, 2 is an interrupt; a pytest that was killed could not decide."""
    monkeypatch.setattr(test_command, "run_to_its_end", lambda *_, **__: pytests)
    assert test_command.command("models:/x/1") == ours


_TIDY = """
import sys, time
print("running", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    print("tidy", flush=True)
    sys.exit(2)
print("went on", flush=True)
"""
_PARENT = """
import os, sys
from mlgate.cli.test import run_to_its_end
sys.exit(run_to_its_end([sys.executable, "-c", sys.argv[1]], os.environ))
"""


@pytest.mark.parametrize(("number", "kill"), [(signal.SIGTERM, os.kill), (signal.SIGINT, os.killpg)])
def test_an_interrupted_pytest_ends_in_order(number, kill):
    """A cancelled job's SIGTERM reaches mlgate alone, a terminal's Ctrl-C both: no run goes on, none is cut off."""
    words = [sys.executable, "-c", _PARENT, _TIDY]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout.readline() == "running\n"
        time.sleep(0.5)  # until the parent waits: it starts its child just before
        kill(process.pid, number)
        assert process.communicate(timeout=50)[0] == "tidy\n"
    assert process.returncode == 2


def test_init_writes_a_policy_that_can_be_used_and_never_writes_over_one(here, capsys):
    """The file that is there is somebody's work."""
    assert app.run(["init"]) == 0
    assert app.run(["policy", "check"]) == 0
    (here / "mlgate.yaml").write_text("# mine\n")
    assert app.run(["init"]) == 2
    assert (here / "mlgate.yaml").read_text() == "# mine\n"


@pytest.mark.parametrize("key", ["signers", "waivers"])
def test_policy_check_reads_the_keys_that_are_listed(here, capsys, key):
    """A waiver would be found to count for nothing on the day that it is needed."""
    (here / "mlgate.yaml").write_text(f"evidence: {{{key}: [nobody.pub]}}\n")
    assert app.run(["policy", "check"]) == 2
    assert "nobody.pub is not a file" in capsys.readouterr().err


def test_policy_show_names_the_origin_of_each_value(here, capsys):
    """A line of the file, or the default."""
    (here / "mlgate.yaml").write_text("requires: [load]\nload:\n  rate: 50/s\n")
    assert app.run(["policy", "show", "--output", "json"]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert values["load.rate"] == {"value": 50.0, "origin": "mlgate.yaml:3"}
    assert values["load.duration"]["origin"] == "default"


def test_policy_schema_is_json(here, capsys):
    """For an editor."""
    assert app.run(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "mlgate policy"


def test_doctor_names_what_is_missing_and_ends_with_3(here, monkeypatch, capsys):
    """No engine, no registry: each on its line, and the rest is looked at all the same."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{here}/nothing.sock")
    assert app.run(["doctor", "--output", "json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert {name for name, line in found.items() if not line["ok"]} >= {"engine", "base image", "registry"}
    assert found["python"]["ok"]
    assert "secret" not in json.dumps(found)


def test_a_reader_that_has_enough_is_no_error(here):
    """`mlgate policy show | head -1` ends quietly."""
    command = f"{sys.executable} -m mlgate policy show | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=here)
    assert done.stderr == ""


def test_pytest_says_once_that_the_registry_does_not_answer(here):
    """Exit status 3, one line, no folder left behind."""
    command = [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", "models:/x/1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)
    assert done.returncode == 3
    assert (done.stdout + done.stderr).count("does not answer") == 1
    assert list(here.iterdir()) == []


def test_a_policy_whose_keys_can_not_be_read_is_not_ok(here, capsys):
    """Neither those that sign nor those that waive: the gate would stop at them."""
    for key in ("signers", "waivers"):
        (here / "mlgate.yaml").write_text(f"requires: [schema]\nevidence: {{{key}: [gone.pub]}}\n")
        assert app.run(["policy", "check"]) == 2
        assert "gone.pub is not a file" in capsys.readouterr().err


def test_the_decision_is_the_exit_status_whoever_reads(here):
    """A closed, a left and a full standard output, and one that has no arrow: no traceback, and no refusal by accident."""
    ours = f"{sys.executable} -m mlgate policy"
    (here / "mlgate.yaml").write_text("model: Überraschung→\n", encoding="utf-8")

    def run(command):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=here)
        return done.returncode, done.stdout, done.stderr

    assert run(f"{ours} check >&-") == (0, "", "")
    assert run(f"{ours} check nothing.yaml 2>&-") == (2, "", "")
    assert run(f"set -o pipefail; {ours} schema | true") == (0, "", "")
    code, _, said = run(f"{ours} check > /dev/full")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("mlgate: standard output can not be written (No space left on device)")
    code, shown, _ = run(f"PYTHONIOENCODING=latin-1 {ours} show --output json")
    assert code == 0
    assert json.loads(shown)["values"]["model"]["value"] == "Überraschung→"
    code, shown, _ = run(f"PYTHONIOENCODING=ascii {ours} show --output markdown")
    assert code == 0
    assert "\\u2192" in shown


@pytest.mark.parametrize("group", [[], ["policy"], ["accuracy"]])
def test_a_group_without_a_command_shows_its_commands_one_a_line(capsys, group):
    """And exits as for any other usage."""
    assert app.run(group) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "\nCommands:\n" in err
