"""Each check of the accuracy suite fails its mutant, and no other check of the suite does."""

import numpy as np

from tests.suites.conftest import POLICY, healthy, holdout


def flipped(share):
    """Return a model that gives another row's answer for a share of the rows, chosen by the row itself."""

    def predict(frame, params=None):
        answer = healthy(frame)
        chosen = (frame["age"].to_numpy() * 10).astype(int) % 100 < share * 100
        return np.where(chosen, 1 - answer, answer)

    return predict


def states(outcomes):
    """Return the checks by outcome."""
    return {outcome: {key for key, found in outcomes.items() if found == outcome} for outcome in set(outcomes.values())}


def test_a_model_below_its_floor_fails_the_floor_check_and_only_it(bench):
    """As bad as its champion, so nothing is lost; but below the floor of 0.70 for both metrics that have one."""
    outcomes = bench(flipped(0.3), champion=flipped(0.3)).outcomes("accuracy")
    assert states(outcomes)["failed"] == {"accuracy.floor[metric=accuracy]", "accuracy.floor[metric=roc_auc]"}
    assert states(outcomes)["passed"] == {key for key in outcomes if "regression" in key}


def test_a_worse_challenger_fails_the_regression_check_and_only_it(bench):
    """Still above the floor, but eight points below the champion on the same rows."""
    outcomes = bench(flipped(0.12), champion=healthy, policy=POLICY.replace("0.70", "0.55")).outcomes("accuracy")
    assert states(outcomes)["failed"] == {key for key in outcomes if "regression" in key}
    assert states(outcomes)["passed"] == {key for key in outcomes if "floor" in key}


def test_a_challenger_at_the_edge_of_the_margin_is_inconclusive(bench):
    """Four points are allowed, about four are lost: 2 000 rows can not tell, and the rows needed are said."""
    findings = bench(flipped(0.06), champion=healthy).findings("accuracy")
    found = findings["accuracy.regression[metric=accuracy]"]
    assert str(found.outcome) == "inconclusive"
    assert found.advice


def test_without_a_champion_there_is_no_regression_check(bench):
    """Floors only, and they pass."""
    outcomes = bench().outcomes("accuracy")
    assert outcomes == {"accuracy.floor[metric=accuracy]": "passed", "accuracy.floor[metric=roc_auc]": "passed"}


def test_a_champion_that_can_not_be_scored_makes_the_comparison_inconclusive(bench):
    """Never passed: nobody knows what it would have answered."""

    def broken(frame, params=None):
        raise RuntimeError("the champion's data base is gone")

    findings = bench(champion=broken).findings("accuracy")
    regressions = [found for key, found in findings.items() if "regression" in key]
    assert len(regressions) == 3
    assert {str(found.outcome) for found in regressions} == {"inconclusive"}
    assert "data base is gone" in regressions[0].reason


def test_a_row_that_is_not_answered_fails_and_is_not_dropped(bench):
    """Scoring only the easy rows would make the model look better than it is."""

    def predict(frame, params=None):
        return np.where(frame["age"].to_numpy() > 89.5, np.nan, healthy(frame))

    findings = bench(predict, champion=healthy).findings("accuracy")
    assert {str(found.outcome) for found in findings.values()} == {"failed"}
    first = int(np.flatnonzero(holdout()[0]["age"].to_numpy() > 89.5)[0])
    assert f"row {first}: the answer holds NaN" in next(iter(findings.values())).reason


def test_the_regression_metric_of_numbers_is_judged_the_other_way_round(bench, data):
    """RMSE: less is better, so a larger error is the loss."""
    policy = POLICY.replace(
        "    accuracy: {min: 0.70, margin: 0.04}\n    f1: {margin: 0.06}\n    roc_auc: {min: 0.70, margin: 0.04}\n",
        "    rmse: {max: 0.6, margin: 0.02}\n",
    )
    good = bench(champion=healthy, policy=policy).outcomes("accuracy")
    assert set(good.values()) == {"passed"}
    bad = bench(flipped(0.3), champion=healthy, policy=policy).outcomes("accuracy")
    assert bad["accuracy.regression[metric=rmse]"] == "failed"
