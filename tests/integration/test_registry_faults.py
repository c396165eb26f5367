"""A real MLflow server behind a proxy that breaks: bounded retries, one line, the right exit status, nothing half-written."""

import os
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from mlgate.artifacts.directory import read_directory
from mlgate.cli import app
from mlgate.errors import RegistryError
from mlgate.evidence import Subject
from mlgate.model_version import ModelUri
from mlgate.policy_file import load_policy
from mlgate.registry import tags
from mlgate.registry.interface import GateRun
from mlgate.registry.mlflow import MlflowRegistry
from mlgate.verdict import format_time
from tests.integration.fault_proxy import fault_proxy
from tests.integration.test_mlflow_registry import add_to_mlflow
from tests.unit.builders import admissible

# Three tries of two seconds and what is between them; a byte now and then would take minutes, a server's default hours.
BOUND_S = 45
TRIES = 3
COMMANDS = {
    "gate": ["gate", "{uri}", "--policy", "{policy}"],
    "promote": ["promote", "{uri}", "--policy", "{policy}", "--yes"],
    "status": ["status", "{name}", "--policy", "{policy}"],
    "report": ["report", "{uri}", "--policy", "{policy}"],
}
# Every call but the first look at the server, which test_mlflow_registry.py breaks.
EARLIEST = {"gate": "model-versions/get", "promote": "model-versions/get", "status": "experiments/get-by-name", "report": "runs/search"}  # fmt: skip


@pytest.fixture
def world(mlflow_server, tmp_path, monkeypatch):
    """A version that the gate admits, behind the proxy; `run` gives exit status, output, error lines and seconds."""
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": {"loader_module": "none"}}}))
    (folder / "weights").write_bytes(os.urandom(50_000))
    (tmp_path / "mlgate.yaml").write_text("requires: [schema]\n")
    name = f"m{uuid.uuid4().hex[:8]}"
    version = add_to_mlflow(mlflow_server.uri, name, folder)
    evidence = _evidence(load_policy(tmp_path / "mlgate.yaml"), version, folder)
    real = MlflowRegistry(mlflow_server.uri)
    real.publish(_run(version, tmp_path / "run", evidence.canonical()))
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    with fault_proxy(mlflow_server.uri) as (uri, faults):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        yield World(real, faults, version, tmp_path, uri)


class World:
    """What a test needs of it."""

    def __init__(self, real, faults, version, folder, uri):
        self.real, self.faults, self.version, self.folder, self.uri = real, faults, version, folder, uri

    def run(self, command, capsys):
        """Run one command; return exit status, standard output, its own lines on standard error, seconds."""
        facts = {"uri": self.version.uri, "name": self.version.name, "policy": self.folder / "mlgate.yaml"}
        capsys.readouterr()
        begun = time.monotonic()
        status = app.run([word.format(**facts) for word in COMMANDS[command]])
        took = time.monotonic() - begun
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, [line for line in err.splitlines() if line.startswith("mlgate: ")], took

    @property
    def champion(self):
        """What the alias says, asked past the proxy."""
        return self.real.aliases(self.version.name).get("champion")


def _evidence(policy, version, folder):
    read = read_directory(folder)
    subject = Subject(
        uri=version.uri, name=version.name, version=version.version, model_id=version.model_id,
        source_run_id=version.source_run_id, artifact_digest=read.digest, files=(),
    )  # fmt: skip
    whole = admissible(policy, champion=False)
    return replace(whole, subject=subject, finished_at=format_time(datetime.now(UTC)))


def _run(version, folder, evidence=b"{}"):
    folder.mkdir()
    (folder / "evidence.json").write_bytes(evidence)
    (folder / "report.html").write_text("<p>")
    return GateRun(version=version, name="gate", tags={tags.STATUS: "passed"}, metrics={"m": 1.0}, folder=folder)


def test_behind_a_proxy_without_faults_everything_goes_well(world, capsys):
    """Without this, no test here could tell a fault from a broken proxy."""
    for command in ("gate", "status", "report", "promote"):
        status, out, lines, _ = world.run(command, capsys)
        assert status == 0, (command, out, lines)
    assert world.champion == "1"


@pytest.mark.parametrize("fault", ["500", "503", "login", "hang", "reset", "trickle"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_breaks_half_way_is_one_line_and_exit_3(world, monkeypatch, capsys, command, fault):
    """Within a bound, after at most two repetitions, with nothing on standard output and nothing written."""
    if fault in ("hang", "trickle"):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    world.faults.only(fault, EARLIEST[command])
    status, out, lines, took = world.run(command, capsys)
    assert (status, out) == (3, "")
    (line,) = lines
    assert world.uri in line
    assert "Hint: " in line
    assert took < BOUND_S
    assert 1 <= world.faults.count <= TRIES
    assert world.champion is None


@pytest.mark.parametrize("fault", ["500", "503", "reset"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_breaks_once_is_asked_again(world, capsys, command, fault):
    """And nobody hears of it."""
    world.faults.only(fault, EARLIEST[command], times=1)
    status, _, lines, _ = world.run(command, capsys)
    assert status == 0, lines
    assert world.faults.count == 1
    assert not [line for line in lines if "broken" in line or world.uri in line]


@pytest.mark.parametrize("command", ["gate", "promote"])
@pytest.mark.parametrize("fault", ["truncate", "500", "trickle"])
def test_a_model_that_does_not_come_whole_admits_nothing(world, monkeypatch, capsys, command, fault):
    """No digest of half a file is compared, and the next run finds no half in the cache."""
    if fault == "trickle":
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    world.faults.only(fault, "/weights")
    status, out, lines, took = world.run(command, capsys)
    assert (status, out) == (3, "")
    assert len(lines) == 1
    assert took < BOUND_S
    assert world.champion is None
    world.faults.only("", "")
    assert world.run(command, capsys)[0] == 0


def test_evidence_that_does_not_come_whole_is_no_missing_evidence(world, capsys):
    """Exit 3, not 1: an older pass must not stand in for what could not be read."""
    world.faults.only("truncate", "/evidence.json")
    status, out, lines, _ = world.run("gate", capsys)
    assert (status, out) == (3, "")
    assert len(lines) == 1


@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
def test_a_move_whose_answer_is_lost_is_told_and_the_next_promote_agrees(world, capsys, times):
    """Repeated where that helps; else exit 3, and running it again finds the alias where it belongs."""
    world.faults.only("lost", "POST /api/2.0/mlflow/registered-models/alias", times=times)
    # The probe of what the registry can is lost as well, and is no reason to stop.
    status, _, lines, took = world.run("promote", capsys)
    assert took < BOUND_S
    if status:
        assert status == 3
        assert len(lines) == 1
    assert world.champion == "1"
    world.faults.only("", "")
    assert world.run("promote", capsys)[0] == 0
    assert world.champion == "1"


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("lost", "POST /api/2.0/mlflow/experiments/create"),
        ("lost", "POST /api/2.0/mlflow/runs/create"),
        ("lost", "PUT "),
        ("lost", "POST /api/2.0/mlflow/runs/log-batch"),
        ("lost", "POST /api/2.0/mlflow/runs/update"),
        ("503", "PUT "),
        ("reset", "POST /api/2.0/mlflow/runs/update"),
    ],
)
def test_a_publication_that_is_broken_once_is_whole(world, mlflow_server, tmp_path, fault, part):
    """One evidence, whatever was done twice because nobody heard that it was done."""
    other = add_to_mlflow(mlflow_server.uri, f"{world.version.name}b", world.folder / "model")
    world.faults.only(fault, part, times=1)
    run_id = MlflowRegistry(world.uri).publish(_run(other, tmp_path / "r", b'{"n": 1}'))
    assert world.faults.count == 1
    assert [(one.run_id, one.raw) for one in world.real.evidence(other.name)] == [(run_id, b'{"n": 1}')]


@pytest.mark.parametrize("part", ["experiments/create", "runs/create", "PUT ", "log-batch", "runs/update"])
@pytest.mark.parametrize("fault", ["500", "hang"])
def test_a_publication_that_stays_broken_is_an_error_and_no_evidence(
    world, mlflow_server, tmp_path, monkeypatch, fault, part
):
    """One line, in time; the run that was begun reads like no pass."""
    if fault == "hang":
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    other = add_to_mlflow(mlflow_server.uri, f"{world.version.name}b", world.folder / "model")
    world.faults.only(fault, part)
    begun = time.monotonic()
    with pytest.raises(RegistryError, match="publishing the gate run") as caught:
        MlflowRegistry(world.uri).publish(_run(other, tmp_path / "r"))
    assert time.monotonic() - begun < BOUND_S
    assert "\n" not in str(caught.value)
    assert list(world.real.evidence(other.name)) == []


def test_a_bearer_token_is_asked_for_sent_and_never_shown(world, monkeypatch, capsys):
    """Missing and wrong: exit 3, one line that names the variables; the proxy repeats what it was given, we do not."""
    world.faults.token = "swordfish-9"
    for token in (None, "guessed-secret"):
        if token:
            monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
        for command in COMMANDS:
            status, out, lines, _ = world.run(command, capsys)
            assert (status, out) == (3, "")
            (line,) = lines
            assert "401" in line
            assert "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in line
            assert ("set, and not accepted" in line) == (token is not None)
            assert "guessed-secret" not in line
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "swordfish-9")
    assert world.run("gate", capsys)[0] == 0
    assert MlflowRegistry().resolve(ModelUri.parse(world.version.uri)).version == "1"
