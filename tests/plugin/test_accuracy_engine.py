"""`accuracy.engine`: where the rows of both models are scored."""

import importlib.util

import numpy as np
import pytest

from mlgate.errors import EngineError
from mlgate.evaluation.engines.interface import find_engine
from mlgate.evaluation.engines.local import LOCAL
from pytest_mlgate import session
from tests.plugin.seam import EXAMPLE, score

ACCURACY = "accuracy: {{data: rows.csv, label: truth, prediction: score, engine: {engine}, metrics: {{rmse: {{max: 0.5, margin: 0.1}}}}}}"


class Recorded:
    """Scores here, and notes what it is given; *lost* is whose rows it loses, by their place."""

    name = "ray"

    def __init__(self, lost: int | None = None) -> None:
        self.events, self.replicas, self.lost = [], [], lost

    def __enter__(self):
        self.events.append("begin")
        return self

    def __exit__(self, *exc):
        self.events.append("end")

    def score_data(self, *arguments, replica=None, **options):
        self.events.append("score")
        self.replicas.append(replica)
        if len(self.replicas) - 1 == self.lost:
            raise EngineError("4 Ray workers died over these rows", hint="look at them")
        return LOCAL.score_data(*arguments, **options)


@pytest.fixture
def compared(gated, monkeypatch):
    """Two versions, of which the first is the champion, rows to compare them on, and an engine that notes."""
    rows = EXAMPLE.sample(400, replace=True, random_state=1, ignore_index=True)
    rows["age"] += rows.index * 0.01
    rows["truth"] = score(rows)["score"] + np.random.default_rng(1).normal(0, 0.05, len(rows))
    rows.to_csv(gated.pytester.path / "rows.csv", index=False)
    gated.policy("accuracy", ACCURACY.format(engine="ray"))
    gated.register()
    gated.register()
    gated.world.registry.set_alias("churn", "champion", "1")
    gated.world.registry.writes.clear()
    gated.engine = Recorded()
    gated.asked = []
    monkeypatch.setattr(session, "find_engine", lambda name: gated.asked.append(name) or gated.engine)
    return gated


def test_both_models_are_scored_by_one_engine_that_begins_and_ends_once(compared):
    """Each has a replica of its own version and bytes for other machines; the evidence says which engine it was."""
    assert compared.run(uri="models:/churn/2").ret == 0
    assert compared.asked == ["ray"]
    assert compared.engine.events == ["begin", "score", "score", "end"]
    assert [replica.version.version for replica in compared.engine.replicas] == ["2", "1"]
    evidence = compared.evidence(".mlgate/churn-2")
    digests = [evidence.subject.artifact_digest, evidence.champion.artifact_digest]
    assert [replica.digest for replica in compared.engine.replicas] == digests
    assert {replica.sandbox for replica in compared.engine.replicas} == {"container"}
    scoring = next(check for check in evidence.checks() if check.id == "accuracy.floor").finding.details["scoring"]
    assert (scoring["challenger"]["engine"], scoring["champion"]["engine"]) == ("ray", "ray")


def test_the_champions_scores_are_kept_whichever_engine_made_them(compared):
    """The second challenger of a day does not ask it again, and another engine does not either."""
    assert compared.run(uri="models:/churn/2").ret == 0
    compared.policy("accuracy", ACCURACY.format(engine="local"))
    compared.engine = other = Recorded()
    assert compared.run(uri="models:/churn/2").ret == 0
    assert other.events == ["begin", "score", "end"]
    scoring = next(iter(compared.evidence(".mlgate/churn-2").suites["accuracy"].checks)).finding.details["scoring"]
    assert scoring["champion"]["cached"]


@pytest.mark.parametrize(("lost", "who"), [(0, "challenger"), (1, "champion")])
def test_rows_that_an_engine_loses_are_no_models_fault(compared, lost, who):
    """Neither does the challenger fail by it, nor is the champion called broken; the engine ends all the same."""
    compared.engine.lost = lost
    assert compared.run(uri="models:/churn/2").ret == 20
    assert compared.engine.events[-1] == "end"
    checks = [check for check in compared.evidence(".mlgate/churn-2").checks() if check.id.startswith("accuracy")]
    assert {str(check.outcome) for check in checks} == {"errored"}
    assert {str(check.finding.cause) for check in checks} == {"harness"}
    assert all(f"the {who} could not be scored: 4 Ray workers died" in check.finding.reason for check in checks)


def test_without_ray_the_run_is_refused_in_one_line_before_anything_starts(compared, monkeypatch):
    """With what to install; an engine that nobody knows likewise."""
    monkeypatch.setattr(session, "find_engine", find_engine)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more))
    compared.world.at = dict.fromkeys(("resolve", "fetch", "guard", "build"), AssertionError("something was begun"))
    wanted = "ERROR: accuracy.engine: ray needs Ray, which is not installed. Hint: pip install 'mlgate[ray]'"
    assert compared.refusal(compared.run(uri="models:/churn/2")) == wanted
    compared.policy("accuracy", ACCURACY.format(engine="spark"))
    wanted = "ERROR: accuracy.engine: there is no 'spark'. Hint: engines: local, ray"
    assert compared.refusal(compared.run(uri="models:/churn/2")) == wanted


def test_an_engine_is_looked_for_only_where_rows_are_scored(compared):
    """A policy may name one that another suite's run needs not have."""
    compared.policy("schema", ACCURACY.format(engine="ray"))
    assert compared.run(uri="models:/churn/2").ret == 0
    assert compared.asked == []


def test_a_given_image_stays_on_this_machine():
    """No registry hands it to a worker."""
    run = session.GateSession(session.Request(uri="models:/churn/2"), tell=print)
    run.given = object()
    assert run.replica is None


def test_ray_is_not_imported_where_rows_are_scored_here(compared):
    """It takes seconds, and is an extra."""
    compared.policy("accuracy", ACCURACY.format(engine="local"))
    assert compared.run_subprocess(versions=("good", "good"), champion="1", uri="models:/churn/2").ret == 0
    assert "ray" not in compared.told["modules"]
    scoring = next(iter(compared.evidence(".mlgate/churn-2").suites["accuracy"].checks)).finding.details["scoring"]
    assert scoring["champion"]["engine"] == "local"
