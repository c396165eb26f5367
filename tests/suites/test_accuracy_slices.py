"""Slices and gaps: a model that is worse on one slice only fails that slice; one that is worse on one side, the gap."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlgate.evaluation.score_table import read_scores
from mlgate.evaluation.slices import Column
from tests.suites.conftest import POLICY, healthy, holdout
from tests.suites.test_accuracy_mutants import states

METRICS = POLICY[POLICY.index("  metrics:") : POLICY.index("  confidence:")]
SLICED = POLICY.replace(
    METRICS,
    """  metrics:
    accuracy: {margin: 0.15}
  slices: [plan, "age >= 65", {column: age, bins: [40, 60]}]
  gaps: [{column: plan, metric: accuracy, max: 0.15}]
""",
)


@pytest.fixture
def sliced(data):
    """The evaluation data with the columns that are sliced by."""
    frame, _ = holdout()
    return replace(data, context={name: Column.of(frame[name].tolist()) for name in ("plan", "age")})


def worse_on(chosen):
    """Return a model that gives every other row of the chosen ones the other answer."""

    def predict(frame, params=None):
        answer = healthy(frame)
        flipped = chosen(frame) & ((frame["age"].to_numpy() * 10).astype(int) % 2 == 0)
        return np.where(flipped, 1 - answer, answer)

    return predict


def test_a_healthy_model_passes_every_slice_and_the_gap(bench, sliced):
    """Each value found in the data has a check of its own beside the one of the whole."""
    put = bench(champion=healthy, policy=SLICED, data=sliced)
    outcomes = put.outcomes("accuracy")
    assert set(outcomes.values()) == {"passed"}, outcomes
    assert set(put.parts) == {
        "accuracy.slice[metric=accuracy,plan=basic]",
        "accuracy.slice[metric=accuracy,plan=pro]",
        "accuracy.slice[metric=accuracy,slice=age%20%3E%3D%2065]",
        "accuracy.slice[age=%3C40,metric=accuracy]",
        "accuracy.slice[age=%5B40%2C60%29,metric=accuracy]",
        "accuracy.slice[age=%3E%3D60,metric=accuracy]",
    }
    assert {str(found.outcome) for found in put.parts.values()} == {"passed"}


def test_a_model_that_loses_on_the_old_only_fails_their_slices_only(bench, sliced):
    """Overall it loses less than the margin: only who looks at the slices sees it."""
    put = bench(worse_on(lambda frame: frame["age"].to_numpy() >= 70), champion=healthy, policy=SLICED, data=sliced)
    findings = put.findings("accuracy")
    assert str(findings["accuracy.regression[metric=accuracy]"].outcome) == "passed"
    assert states({key: str(found.outcome) for key, found in put.parts.items()})["failed"] == {
        "accuracy.slice[metric=accuracy,slice=age%20%3E%3D%2065]",
        "accuracy.slice[age=%3E%3D60,metric=accuracy]",
    }
    whole = findings["accuracy.slices[slice=age%20%3E%3D%2065]"]
    assert str(whole.outcome) == "failed"
    assert "age >= 65" in whole.reason


def test_a_model_that_serves_one_side_worse_fails_the_gap_and_only_it(bench, sliced):
    """As its champion does: nothing is lost, and one plan is served worse than the other."""
    unfair = worse_on(lambda frame: frame["plan"].to_numpy(object) == "pro")
    outcomes = bench(unfair, champion=unfair, policy=SLICED, data=sliced).outcomes("accuracy")
    assert states(outcomes)["failed"] == {"accuracy.gap[column=plan,metric=accuracy]"}
    assert states(outcomes)["passed"] == {key for key in outcomes if "gap" not in key}


def test_a_slice_that_the_data_do_not_hold_is_inconclusive_and_not_lost(bench, sliced):
    """The gate expects the check of the whole by its name."""
    without = replace(sliced, context={"age": sliced.context["age"]})
    findings = bench(champion=healthy, policy=SLICED, data=without).findings("accuracy")
    assert str(findings["accuracy.slices[slice=plan]"].outcome) == "inconclusive"
    assert str(findings["accuracy.gap[column=plan,metric=accuracy]"].outcome) == "inconclusive"


def test_the_scores_are_stored_and_their_digest_is_in_every_finding(bench, sliced):
    """From them the same findings come again."""
    put = bench(worse_on(lambda frame: frame["age"].to_numpy() >= 70), champion=healthy, policy=SLICED, data=sliced)
    findings = put.findings("accuracy")
    stored = read_scores(put.output / "accuracy" / "scores.parquet")
    assert {found.details["scores"] for found in findings.values()} == {stored.digest}
    scoring = next(iter(findings.values())).details["scoring"]
    assert scoring["challenger"]["failed_requests"] == 0
    assert scoring["champion"]["cached"] is False


@pytest.mark.parametrize("rows", ["synthetic", "full"])
def test_features_of_the_rows_that_are_shown_are_there_only_where_the_policy_allows_it(bench, sliced, rows):
    """Keys may leave, features not."""
    policy = f"{SLICED}evidence: {{rows: {rows}}}\n"
    put = bench(worse_on(lambda frame: frame["age"].to_numpy() >= 70), champion=healthy, policy=policy, data=sliced)
    findings = put.findings("accuracy")
    carrying = [found for found in findings.values() if "tables" in found.details]
    assert len(carrying) == 1
    shown = carrying[0].details["tables"]["only_challenger"]["rows"]
    assert 0 < len(shown) <= 50
    frame, _ = holdout()
    for row in shown:
        assert ("features" in row) == (rows == "full")
        if rows == "full":
            assert row["features"]["age"] == frame["age"][int(row["key"])]
    assert rows == "full" or '"tenure"' not in json.dumps([found.details for found in findings.values()], default=str)
