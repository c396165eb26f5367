"""The main job with nothing stood in for: a real MLflow server over HTTP, a real engine, the command line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlgate.registry.mlflow import MlflowRegistry
from mlgate.sandbox.session import SESSION_LABEL

pytestmark = [pytest.mark.engine, pytest.mark.alone]

HERE = Path(__file__).parent
# What an honest host process never does. Written down by an audit hook in every process of the run.
AUDIT = """
    import os, sys
    def hook(event, arguments):
        if event == "pickle.find_class":
            note(f"unpickled {arguments}")
        elif event == "import" and arguments[1] and "/models/sha256/" in str(arguments[1]):
            note(f"imported {arguments[:2]}")
        elif event == "exec" and "/models/sha256/" in str(getattr(arguments[0], "co_filename", "")):
            note(f"executed {arguments[0].co_filename}")
    def note(text):
        with open(os.environ["AUDIT_LOG"], "a") as log:
            log.write(" ".join(sys.argv)[:200] + ": " + text + "\\n")
    sys.addaudithook(hook)
"""


@dataclass(frozen=True)
class Desk:
    """A working directory with a policy, data and a registry."""

    folder: Path
    environment: dict[str, str]

    def mlgate(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mlgate", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def start(self, uri: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", uri]
        with (self.folder / "run.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                # A job in the background of a shell starts with it ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  (no thread runs here)
            )


@pytest.fixture(scope="module")
def desk(mlflow_server, tmp_path_factory) -> Desk:
    """Three registered versions, the first of them the champion."""
    folder = tmp_path_factory.mktemp("desk")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTEST"))}
    environment = clean | {"MLFLOW_TRACKING_URI": mlflow_server.uri, "MLGATE_CACHE": str(folder / "cache")}
    subprocess.run([sys.executable, str(HERE / "register_models.py"), str(folder)], env=environment, check=True, capture_output=True)  # fmt: skip
    return Desk(folder=folder, environment=environment)


@pytest.fixture(scope="module")
def tested(desk) -> Desk:
    """Version 2, tested in a container by all five suites, under an audit hook."""
    spy = desk.folder / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(textwrap.dedent(AUDIT))
    watched = desk.environment | {"PYTHONPATH": str(spy), "AUDIT_LOG": str(desk.folder / "audit.log")}
    done = Desk(folder=desk.folder, environment=watched).mlgate("test", "models:/churn/2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "models:/churn/2: passed" in done.stdout.splitlines()[-1]
    return desk


@pytest.fixture
def registry(mlflow_server) -> MlflowRegistry:
    """The registry, read from here."""
    return MlflowRegistry(mlflow_server.uri)


def tags_of(registry, version):
    """Return a version's tags."""
    from mlgate.model_version import ModelUri

    return registry.tags(registry.resolve(ModelUri.parse(f"models:/churn/{version}")))


def test_the_host_neither_unpickled_nor_imported_the_model(tested):
    """Every Python process of the run had the hook; only the sandbox may run the model."""
    log = tested.folder / "audit.log"
    notes = log.read_text().splitlines() if log.exists() else []
    assert [note for note in notes if "imported" in note or "executed" in note] == []
    # mlflow, pandas and numpy may unpickle their own things; no class of a model's libraries may be among them.
    assert [note for note in notes if "sklearn" in note or "skops" in note or "cloudpickle" in note] == []


def test_the_evidence_lies_in_mlflow_with_its_report(tested, registry, mlflow_server):
    """One run with every file of design §5.5, found by the gate's own search."""
    import mlflow

    (stored,) = registry.evidence("churn")
    document = json.loads(stored.raw)
    assert document["verdict"]["outcome"] == "passed"
    assert set(document["suites"]) == {"environment", "schema", "properties", "accuracy", "cold_start", "load"}
    assert document["champion"]["version"] == "1"
    assert document["sandbox"]["network"] == "none"
    assert document["image"]["pins"]
    client = mlflow.MlflowClient(mlflow_server.uri)
    names = {entry.path for entry in client.list_artifacts(stored.run_id, "mlgate")}
    wanted = {"report.html", "report.md", "evidence.json", "junit.xml", "policy.yaml", "load"}
    assert {f"mlgate/{name}" for name in wanted} <= names
    run = client.get_run(stored.run_id)
    assert run.data.tags["mlflow.runType"] == "test"
    assert "load.p95_latency" in run.data.metrics
    assert "champion.accuracy.regression/metric:accuracy" in run.data.metrics
    logged = client.get_logged_model(document["subject"]["model_id"])
    assert "load.p95_latency" in {metric.key for metric in logged.metrics or []}


def test_the_version_carries_the_verdict(tested, registry):
    """Tags for a search, and a first line for the table of versions."""
    from mlgate.model_version import ModelUri

    tags = tags_of(registry, 2)
    assert tags["mlgate.status"] == "passed"
    assert tags["mlgate.suite.load"] == "passed"
    assert all(len(value.encode()) < 500 for key, value in tags.items() if key.startswith("mlgate."))
    description = registry.description(registry.resolve(ModelUri.parse("models:/churn/2")))
    assert description.splitlines()[0].startswith("mlgate: passed")
    assert len(description.splitlines()[0]) <= 32


def test_the_gate_admits_it_and_says_so_as_data(tested):
    """Exit status 0, and a machine form without reasons against."""
    done = tested.mlgate("gate", "models:/churn/2", "--output", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["admitted"] is True
    assert document["reasons"] == []


def test_the_gate_refuses_a_version_with_a_forged_tag(tested, registry):
    """Anybody who may edit a model can write the tag; nothing was tested."""
    from mlgate.model_version import ModelUri

    registry.set_tags(registry.resolve(ModelUri.parse("models:/churn/3")), {"mlgate.status": "passed"})
    done = tested.mlgate("gate", "models:/churn/3", "--output", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["reasons"][0]["code"] == "no_evidence"
    assert tested.mlgate("promote", "models:/churn/3", "--yes").returncode == 1


def test_the_gate_refuses_artifacts_that_were_replaced_after_the_test(tested, mlflow_server):
    """One byte in the store, behind the registry's back."""
    (model,) = [path for path in mlflow_server.artifacts.rglob("MLmodel") if _is_version(path, tested, "2")]
    good = model.read_bytes()
    model.write_bytes(good + b"\n")
    try:
        done = tested.mlgate("gate", "models:/churn/2", "--output", "json")
    finally:
        model.write_bytes(good)
    assert done.returncode == 1
    assert json.loads(done.stdout)["reasons"][0]["code"] == "other_bytes"


def _is_version(path: Path, desk: Desk, version: str) -> bool:
    evidence = json.loads((desk.folder / ".mlgate" / f"churn-{version}" / "evidence.json").read_bytes())
    return evidence["subject"]["model_id"] in path.read_text()


def test_the_gate_refuses_under_another_policy(tested):
    """A weaker limit is another policy: what was judged by the old one does not count."""
    policy = tested.folder / "weaker.yaml"
    policy.write_text((tested.folder / "mlgate.yaml").read_text().replace("margin: 0.05", "margin: 0.2"))
    done = tested.mlgate("gate", "models:/churn/2", "--policy", str(policy), "--output", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["reasons"][0]["code"] == "other_policy"


def test_promotion_moves_the_alias_only_when_it_is_meant(tested, registry):
    """A dry run writes nothing; the real one moves the alias and reads it back; a second one has nothing to do."""
    dry = tested.mlgate("promote", "models:/churn/2", "--dry-run")
    assert dry.returncode == 0
    assert "would move champion: 1 → 2" in dry.stdout
    assert registry.aliases("churn")["champion"] == "1"
    done = tested.mlgate("promote", "models:/churn/2", "--yes", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["moved"] is True
    assert registry.aliases("churn")["champion"] == "2"
    assert "already" in tested.mlgate("promote", "models:/churn/2", "--yes").stdout
    status = json.loads(tested.mlgate("status", "churn", "--output", "json").stdout)
    assert next(row for row in status["versions"] if row["version"] == "2")["aliases"] == ["champion"]


def test_the_report_of_a_version_can_be_read_without_mlflow(tested):
    """As Markdown on standard output, as a page in a file."""
    assert "models:/churn/2" in tested.mlgate("report", "models:/churn/2").stdout
    page = tested.folder / "page.html"
    assert tested.mlgate("report", "models:/churn/2", "--html", str(page)).returncode == 0
    assert page.stat().st_size < 500_000


def containers(engine, pid):
    """Return the labelled containers of a process."""
    found = engine.client.containers.list(all=True, filters={"label": SESSION_LABEL}, ignore_removed=True)
    return [box for box in found if box.labels.get("mlgate.owner", "").split(":")[0] == str(pid)]


def wait_for(condition, *, within_s):
    """Wait until *condition* holds; fail with its last word where it does not."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"not within {within_s} s: {condition.__name__}")


@pytest.mark.parametrize(("sign", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 2)])
def test_a_run_that_is_ended_half_way_leaves_nothing_that_admits(desk, registry, engine, scratch_of, sign, status):
    """Killed or interrupted while its containers run: they go, no evidence stays, the gate says no."""
    before = len(registry.evidence("churn"))
    run = desk.start("models:/churn/3")

    def it_serves():
        return len(containers(engine, run.pid)) >= 2 or run.poll() is not None

    wait_for(it_serves, within_s=240)
    assert run.poll() is None, (desk.folder / "run.log").read_text()
    scratch = scratch_of(run.pid)
    assert scratch.exists()
    run.send_signal(sign)
    assert run.wait(120) == status

    def its_containers_are_gone():
        return not containers(engine, run.pid)

    def its_folder_is_gone():
        return not scratch.exists()

    wait_for(its_containers_are_gone, within_s=60)
    wait_for(its_folder_is_gone, within_s=30)
    assert len(registry.evidence("churn")) == before
    assert tags_of(registry, 3).get("mlgate.status") != "passed" or sign is signal.SIGINT
    assert desk.mlgate("gate", "models:/churn/3").returncode == 1


def test_the_quickstart_of_the_readme_works(tmp_path):
    """The file that the README shows, in an empty folder, with no policy and a SQLite registry."""
    shutil.copy(HERE.parents[1] / "examples" / "quickstart.py", tmp_path)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTEST"))}
    environment = clean | {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "MLGATE_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "quickstart.py"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    desk = Desk(folder=tmp_path, environment=environment)
    done = desk.mlgate("test", "models:/churn/1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.mlgate("gate", "models:/churn/1").returncode == 0
    assert desk.mlgate("promote", "models:/churn/1", "--yes").returncode == 0
    assert "champion" in desk.mlgate("status", "churn").stdout
