"""A registry that has half of MLflow's routes, as GitLab's: the run is published, the gate decides, nobody promotes."""

import json
import os
import subprocess
import sys

import pytest

from mlgate.registry.interface import Capability
from mlgate.registry.mlflow import MlflowRegistry
from tests.integration.gitlab_like import TOKEN, gitlab_like

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def project(sklearn_model, tmp_path_factory):
    """One version, registered, and a way to run commands beside it."""
    folder = tmp_path_factory.mktemp("gitlab")
    (folder / "mlgate.yaml").write_text("requires: [schema]\n")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PYTEST"))}
    with gitlab_like() as (uri, known):
        number = known.add("churn", sklearn_model)
        settings = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_TOKEN": TOKEN, "MLGATE_CACHE": str(folder / "cache")}

        def run(*words):
            return subprocess.run(
                [sys.executable, "-m", *words],
                cwd=folder, env=clean | settings, capture_output=True, text=True, check=False,
            )  # fmt: skip

        yield known, f"models:/churn/{number}", run, uri


@pytest.fixture(scope="module")
def tested(project):
    """The version after its gate run."""
    known, model, run, uri = project
    done = run("pytest", "-p", "no:locust", "-p", "no:cacheprovider", "--mlgate", model)
    assert done.returncode == 0, done.stdout + done.stderr
    return known, model, run, uri, done.stdout


def test_the_run_holds_the_evidence_and_says_that_no_version_tags_are_written(tested):
    """Verdict as the run's tags and in the description; files without folders, for the package has none."""
    known, model, _, uri, told = tested
    assert f"{uri} has no version tags: none are written, the verdict is on the run" in told
    (run_id,) = [found for found, run in known.runs.items() if run["info"]["experiment_id"] != "0"]
    run = known.runs[run_id]
    assert run["info"]["status"] == "FINISHED"
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["mlgate.status"] == "passed"
    stored = {name.rpartition("/")[2]: raw for name, raw in known.files.items() if f"candidate:{run_id}/" in name}
    assert {"mlgate--evidence.json", "mlgate--report.html", "mlgate--junit.xml"} <= set(stored)
    assert json.loads(stored["mlgate--evidence.json"])["verdict"]["outcome"] == "passed"
    version = known.models["churn"][model.rpartition("/")[2]]
    assert version["description"].startswith("mlgate: passed")
    assert version["tags"] == []


def test_the_gate_and_the_report_read_it_back(tested):
    """Without order, filter or listing, which the server has not."""
    _, model, run, _, _ = tested
    gate = run("mlgate", "gate", model, "--output", "json")
    assert gate.returncode == 0, gate.stdout + gate.stderr
    assert json.loads(gate.stdout)["admitted"] is True
    report = run("mlgate", "report", model)
    assert report.returncode == 0, report.stderr
    assert "passed" in report.stdout
    status = run("mlgate", "status", "churn")
    assert status.returncode == 0, status.stderr
    assert model.rpartition("/")[2] in status.stdout


def test_promote_refuses_at_once_and_says_what_is_missing(tested):
    """Exit 3, one line; nothing but questions was sent, and the two that look like writes hold nothing."""
    known, model, run, _, _ = tested
    before = len(known.asked)
    done = run("mlgate", "promote", model, "--yes")
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("mlgate:")]
    assert "has no aliases and no version tags: promote has nothing to move there. Hint: " in line
    assert TOKEN not in done.stderr
    writes = [asked.rpartition("/")[2] for asked in known.asked[before:] if not asked.startswith("GET")]
    assert sorted(set(writes)) == ["alias", "search", "set-tag"]


def test_doctor_says_what_there_is(project, monkeypatch):
    """Each capability by name."""
    _, _, _, uri = project
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    registry = MlflowRegistry(uri)
    told = registry.capabilities()
    assert {name: told[name] for name in ("version tags", "aliases", "webhooks", "artifact proxy")} == {
        "version tags": "no: HTTP 404",
        "aliases": "no: HTTP 405",
        "webhooks": "no: HTTP 404",
        "artifact proxy": "yes",
    }
    assert registry.lacks(*Capability) == (Capability.TAGS, Capability.ALIASES, Capability.WEBHOOKS)
