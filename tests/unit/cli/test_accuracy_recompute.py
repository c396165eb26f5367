"""`mlgate accuracy recompute`: the same findings from the stored scores, or what is not the same."""

import json
import socket
import sys
from dataclasses import replace

import numpy as np
import pytest

from mlgate.artifacts.directory import read_directory
from mlgate.cli import accuracy_recompute, admission, app
from mlgate.evaluation.metric_set import metrics_of
from mlgate.evaluation.paired_scores import PairedScores, cut
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.score_table import FILE, TableFacts, write_scores
from mlgate.evaluation.scored import ScoredModel
from mlgate.evaluation.slices import Column
from mlgate.evidence import Evidence, SuiteResult
from mlgate.policy_file import load_policy
from mlgate.registry.interface import GateRun
from mlgate.registry.memory import MemoryRegistry
from tests.unit.builders import BYTES, admissible

N = 1000
POLICY = """requires: [accuracy]
accuracy:
  data: x.csv
  label: y
  metrics:
    accuracy: {min: 0.6, margin: 0.05}
    my_metrics:wrong: {max: 900}
  slices: [plan]
"""


def pair(policy, loss):
    """The champion is right in 80 %; the challenger turns a share *loss* of that into errors."""
    rng = np.random.default_rng(4)
    rows = EvaluationData.of(
        source="x.csv", digest="sha256:d", features=None, labels=rng.integers(0, 2, N).tolist(), keys=range(N)
    )
    rows = replace(rows, context={"plan": Column.of(rng.choice(["pro", "basic"], N).tolist())})
    truth = rows.truth.codes
    theirs = np.where(rng.random(N) < 0.8, truth, 1 - truth).astype(np.int8)
    ours = np.where(rng.random(N) < loss, 1 - truth, theirs).astype(np.int8)
    base = Sample(truth=truth, classes=rows.truth.classes, positive=1)
    accuracy = policy.values.accuracy
    scores = PairedScores(
        accuracy=accuracy,
        metrics=metrics_of(accuracy, policy.folder, classification=True),
        challenger=ScoredModel(sample=replace(base, labels=ours)),
        champion=ScoredModel(sample=replace(base, labels=theirs)),
        slices=cut(accuracy, rows.context),
        seed=5,
    )
    return scores, rows


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that leaves a run's folder as a gate run does, without models and data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_metrics", raising=False)  # of the test before
    (tmp_path / "mlgate.yaml").write_text(POLICY)
    (tmp_path / "my_metrics.py").write_text(
        "def wrong(truth, prediction):\n    return float((truth != prediction).sum())\n"
    )

    def leave(loss=0.0, folder="run"):
        policy = load_policy(None)
        scores, rows = pair(policy, loss)
        keys = policy.expected_checks(champion=True)["accuracy"]
        facts = TableFacts(data=rows.digest, challenger=BYTES, champion="sha256:b", checks=keys)
        digest = write_scores(tmp_path / folder / FILE, scores, rows, facts)
        checks = [
            replace(check, finding=replace(check.finding, details={**check.finding.details, "scores": digest}))
            if check.key in keys
            else check
            for check in scores.judge_all(keys)
        ]
        evidence = admissible(policy)
        suites = {**evidence.suites, "accuracy": SuiteResult(duration_s=1.0, checks=tuple(checks))}
        evidence = replace(evidence, suites=suites)
        (tmp_path / folder / "evidence.json").write_bytes(evidence.canonical())
        return tmp_path / folder

    return leave


@pytest.fixture
def offline(monkeypatch):
    """Nobody can be asked."""

    def refuse(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize(
    ("loss", "verdict", "status"), [(0.0, "passed", 0), (0.3, "failed", 1), (0.06, "inconclusive", 4)]
)
def test_the_findings_are_those_of_the_run_and_the_exit_status_is_the_verdicts(
    run, offline, capsys, loss, verdict, status
):
    """From the file alone."""
    folder = run(loss)
    assert app.run(["accuracy", "recompute", str(folder)]) == status
    out = capsys.readouterr().out
    assert f"{folder}: {verdict} (accuracy, recomputed from 1 000 rows)" in out
    assert "The same findings as in the run's evidence." in out
    assert "accuracy.slice[metric=accuracy,plan=pro]" in out


def test_the_file_itself_can_be_named_and_machines_get_json(run, offline, capsys):
    """The evidence beside its folder is found."""
    folder = run()
    assert app.run(["accuracy", "recompute", str(folder / FILE), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    evidence = Evidence.from_bytes((folder / "evidence.json").read_bytes())
    assert document["equals_evidence"] is True
    assert document["evidence"] == evidence.digest
    told = {check.key: check.finding for check in evidence.suites["accuracy"].checks}
    assert {check["id"] for check in document["checks"]} == set(told)
    for check in document["checks"]:
        assert check["measured"] == told[check["id"]].measured
        assert check["reason"] == told[check["id"]].reason


def test_without_evidence_it_says_that_there_is_nothing_to_compare_with(run, capsys):
    """A file that was mailed alone."""
    folder = run()
    (folder / "evidence.json").unlink()
    assert app.run(["accuracy", "recompute", str(folder)]) == 0
    assert "There is no evidence.json beside the scores" in capsys.readouterr().out


def test_a_swapped_file_is_noticed_and_is_no_pass(run, capsys):
    """Better scores of another run, put into the folder of one that failed."""
    failed, good = run(0.3, folder="failed"), run(0.0, folder="good")
    (failed / FILE).write_bytes((good / FILE).read_bytes())
    assert app.run(["accuracy", "recompute", str(failed)]) == 1
    out = capsys.readouterr().out
    assert "NOT what the run's evidence says" in out
    assert "this is another file" in out
    assert "accuracy.regression[metric=accuracy]: passed now, failed in the evidence" in out


def test_an_edited_finding_is_noticed(run, capsys):
    """Evidence that says passed over scores that say failed."""
    folder = run(0.3)
    raw = (folder / "evidence.json").read_text().replace('"outcome":"failed"', '"outcome":"passed"')
    (folder / "evidence.json").write_text(raw)
    assert app.run(["accuracy", "recompute", str(folder)]) == 1
    assert "failed now, passed in the evidence" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", [b"", b"not a table", None])
def test_a_missing_or_damaged_file_is_one_line(run, capsys, spoil):
    """Exit status 1: nothing is admitted by it."""
    folder = run()
    if spoil is None:
        (folder / FILE).unlink()
    else:
        (folder / FILE).write_bytes(spoil)
    assert app.run(["accuracy", "recompute", str(folder)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "scores.parquet: " in err


def test_a_metric_of_the_users_own_that_is_gone_is_one_line(run, tmp_path, capsys):
    """Its code is in no file of ours."""
    folder = run()
    (tmp_path / "my_metrics.py").unlink()
    assert app.run(["accuracy", "recompute", str(folder)]) == 2
    assert "accuracy.metrics.my_metrics:wrong: there is no my_metrics.py" in capsys.readouterr().err


@pytest.fixture
def registry(run, tmp_path, monkeypatch):
    """A registry that holds the run of version 3."""
    folder = run(0.3)
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {python_function: {loader_module: x}}\nmodel_uuid: x\n")
    found = MemoryRegistry()
    for _ in range(3):
        version = found.add("churn", model)
    assert read_directory(model).digest
    found.publish(GateRun(version=version, name="x", tags={}, metrics={}, folder=folder))
    monkeypatch.setattr(admission, "open_registry", lambda: found)
    return found


def test_a_versions_newest_run_is_read_from_the_registry(registry, capsys):
    """Scores and evidence are downloaded, and both are looked at."""
    assert app.run(["accuracy", "recompute", "models:/churn/3"]) == 1
    out = capsys.readouterr().out
    assert "models:/churn/3: failed (accuracy, recomputed from 1 000 rows)" in out
    assert "The same findings as in the run's evidence." in out
    assert app.run(["accuracy", "recompute", "models:/churn/2"]) == 1
    assert "no evidence for models:/churn/2" in capsys.readouterr().err


def test_the_help_shows_an_example(capsys):
    """As every command's."""
    assert app.run(["accuracy", "recompute", "--help"]) == 0
    assert "mlgate accuracy recompute .mlgate/churn-3" in " ".join(capsys.readouterr().out.split())
    assert accuracy_recompute.NAME == "recompute"
