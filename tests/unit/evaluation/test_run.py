"""The accuracy suite's work with clients that are plain objects: whose fault it is when there is nothing to judge."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Signature
from mlgate.errors import DataError, PolicyError
from mlgate.evaluation.champion_scores import ChampionScores
from mlgate.evaluation.rows import EvaluationData, FeaturesInMemory
from mlgate.evaluation.run import AccuracyRun, NoScores, check_metrics, run_accuracy
from mlgate.evidence import Cause, Outcome
from mlgate.policy_file import load_policy, parse_policy
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch

N = 400
INPUTS = ColumnSchema((Column("a", DataType.DOUBLE, True),))
OUTPUTS = ColumnSchema((Column("y", DataType.LONG, True),))
POLICY = parse_policy("accuracy: {data: x, label: y, metrics: {accuracy: {min: 0.9, margin: 0.05}}}")
FEATURES = Batch(columns=("a",), rows=tuple([float(index % 2)] for index in range(N)))
DATA = EvaluationData.of(source="x", digest="sha256:d", features=FEATURES, labels=[index % 2 for index in range(N)])


class Echo:
    """Answers what it is asked: always right."""

    asked = 0

    def score(self, batch):
        self.asked += len(batch)
        body = json.dumps({"predictions": [int(row[0]) for row in batch.rows]}).encode()
        return Answer(status=200, content_type="application/json", body=body, elapsed_s=0.0)


class EchoChampion:
    """A champion whose scores may be kept."""

    signature = Signature(inputs=INPUTS, outputs=OUTPUTS)
    artifact_digest = "sha256:m"
    replica = None

    def __init__(self) -> None:
        self.client = Echo()

    def recipe_digest(self):
        return "sha256:r"

    @contextmanager
    def serving(self):
        yield self.client


@pytest.fixture
def run(tmp_path):
    """Return a function that runs with everything healthy but what is given."""

    def with_(**changes):
        healthy = {
            "client": Echo(),
            "outputs": OUTPUTS,
            "champion": EchoChampion(),
            "data": DATA,
            "policy": POLICY,
            "checks": POLICY.expected_checks(champion=True)["accuracy"],
            "challenger_digest": "sha256:c",
            "judged_before": frozenset(),
            "folder": tmp_path / "files",
            "seed": 1,
            "tell": print,
            "cache": ChampionScores(tmp_path / "cache"),
        }
        return run_accuracy(**{**healthy, **changes})

    return with_


class Vanishing(FeaturesInMemory):
    """Features that can be read a number of times."""

    times = 1

    def batches(self, **bounds):
        if type(self).times == 0:
            raise DataError("x.csv changed while it was read")
        type(self).times -= 1
        return super().batches(**bounds)

    def for_inputs(self, inputs):
        return self


@pytest.mark.parametrize("times", [0, 1])
def test_data_that_change_meanwhile_are_nobodys_model(run, times):
    """Neither the challenger fails by it, nor is the champion called broken."""
    Vanishing.times = times
    found = run(data=replace(DATA, features=Vanishing(batch=FEATURES)))
    assert found == NoScores(reason="x.csv changed while it was read", cause=Cause.HARNESS)


def test_no_data_is_an_error_of_ours(run):
    """And not one of the model's."""
    assert run(data=None) == NoScores(reason="no evaluation data", cause=Cause.HARNESS)


def test_only_the_first_check_carries_the_tables(run):
    """They are large, and the same for all."""
    found = run()
    assert isinstance(found, AccuracyRun)
    details = [found.judge(key)[0].details for key in found.checks]
    assert ["tables" in one for one in details] == [True, False]
    assert len({one["scores"] for one in details}) == 1


def test_the_champion_is_asked_once_for_two_challengers(run):
    """Each row once."""
    champion = EchoChampion()
    for _ in range(2):
        found = run(champion=champion)
        assert found.judge("accuracy.regression[metric=accuracy]")[0].outcome is Outcome.PASSED
    assert champion.client.asked == N


def test_without_a_champion_the_floors_are_judged(run):
    """The first model."""
    found = run(champion=None, checks=("accuracy.floor[metric=accuracy]",))
    assert found.judge("accuracy.floor[metric=accuracy]")[0].outcome is Outcome.PASSED


def test_a_metric_of_the_users_own_is_refused_before_anything_is_started(tmp_path, monkeypatch):
    """Not found, and one that lies in the model's directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlgate.yaml").write_text("accuracy: {data: x, label: y, metrics: {own.cost:total: {max: 1}}}\n")
    with pytest.raises(PolicyError, match=r"own.cost:total: there is no own/cost.py"):
        check_metrics(load_policy(None), DATA, model=tmp_path / "model")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "cost.py").write_text("raise SystemExit\n")
    with pytest.raises(PolicyError, match="lies in the model directory"):
        check_metrics(load_policy(None), DATA, model=tmp_path / "own")


def test_data_that_too_many_challengers_were_judged_on_warn_once(run):
    """With the count, this one among them; a second run of the same version is no other challenger."""
    first, second = POLICY.expected_checks(champion=True)["accuracy"][:2]
    many = frozenset(f"sha256:{number}" for number in range(20))
    warned = run(judged_before=many)
    assert warned.judge(first)[0].details["warning"].startswith("21 different challengers")
    assert "warning" not in warned.judge(second)[0].details
    assert "warning" not in run(judged_before=many - {"sha256:0"}).judge(first)[0].details
    assert "warning" not in run(judged_before=many - {"sha256:0"} | {"sha256:c"}).judge(first)[0].details
