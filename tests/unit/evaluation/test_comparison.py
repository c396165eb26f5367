"""The comparison: three-valued, and none of the ways in which peers pass a worse model (peers.md section 3.2)."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evidence import Cause, Outcome
from mlgate.statistics.interval import Interval
from tests.unit.evaluation.judgement.samples import KNOWN, binary, compare, labelled, numbers


def regression(challenger, champion, metric="accuracy", margin=0.01, **section):
    """The finding of one metric on all rows."""
    return compare(challenger, champion, metrics={metric: {"margin": margin}}, **section).regression(metric)


@pytest.mark.parametrize(
    ("wrong", "floor", "outcome"),
    [
        (50, 0.9, Outcome.PASSED),
        (50, 0.95, Outcome.INCONCLUSIVE),
        (50, 0.99, Outcome.FAILED),
        (0, 1.0, Outcome.INCONCLUSIVE),
    ],
)
def test_a_floor_is_judged_by_the_bound(wrong, floor, outcome):
    """Above it passes, below it fails, an interval that straddles it says nothing."""
    finding = compare(binary(1000, wrong), metrics={"accuracy": {"min": floor}}).floor("accuracy")
    assert finding.outcome is outcome
    assert (finding.measured, finding.limit, finding.n) == (1 - wrong / 1000, floor, 1000)
    assert (finding.interval[0] >= floor) is (outcome is Outcome.PASSED)
    assert (finding.interval[1] < floor) is (outcome is Outcome.FAILED)
    assert f"must be ≥ {floor:g}" in finding.reason
    assert bool(finding.advice) is (outcome is not Outcome.PASSED)
    assert finding.details["method"] == "Clopper-Pearson"
    assert finding.details["seed"] == 3


def test_a_floor_that_is_open_says_how_many_rows_would_close_it():
    """And with so many, at the same share of wrong answers, it passes."""
    open_ = compare(binary(1000, 50), metrics={"accuracy": {"min": 0.94}}).floor("accuracy")
    needed = open_.details["rows_needed"]
    assert open_.outcome is Outcome.INCONCLUSIVE
    assert f"{needed:,}".replace(",", " ") in open_.advice
    closed = compare(binary(round(1.1 * needed), round(0.055 * needed)), metrics={"accuracy": {"min": 0.94}})
    assert closed.floor("accuracy").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("ceiling", "outcome"), [(1.3, Outcome.PASSED), (1.0, Outcome.INCONCLUSIVE), (0.8, Outcome.FAILED)]
)
def test_a_ceiling_on_a_loss_is_judged_by_the_other_bound(ceiling, outcome):
    """Less is better for it."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 3, 400)
    sample = numbers(truth, truth + rng.choice([-1, 1], 400) * rng.uniform(0.8, 1.2, 400))
    finding = compare(sample, metrics={"mae": {"max": ceiling}}).floor("mae")
    assert finding.outcome is outcome
    assert "must be ≤" in finding.reason


@pytest.mark.parametrize(
    ("covered", "outcome", "limit"),
    [
        (900, Outcome.PASSED, 0.93),
        (990, Outcome.FAILED, 0.93),
        (700, Outcome.FAILED, 0.85),
        (925, Outcome.INCONCLUSIVE, 0.93),
        (855, Outcome.INCONCLUSIVE, 0.85),
    ],
)
def test_what_is_best_near_a_value_has_a_floor_and_a_ceiling(covered, outcome, limit):
    """Both must hold; the nearer one is the limit that is shown."""
    sample = numbers(np.arange(1000), np.where(np.arange(1000) < covered, 2000, -1))
    spec = {"at": 0.9, "min": 0.85, "max": 0.93}
    finding = compare(sample, metrics={"quantile_coverage": spec}).floor("quantile_coverage")
    assert (finding.outcome, finding.limit) == (outcome, limit)
    assert "≥ 0.85 and ≤ 0.93" in finding.reason


@pytest.mark.parametrize(
    ("new_wrong", "old_wrong", "margin", "outcome"),
    [
        (50, 50, 0.01, Outcome.PASSED),
        (20, 50, 0.01, Outcome.PASSED),
        (58, 50, 0.01, Outcome.INCONCLUSIVE),
        (60, 50, 0.01, Outcome.INCONCLUSIVE),
        (62, 50, 0.01, Outcome.INCONCLUSIVE),
        (150, 50, 0.01, Outcome.FAILED),
        (150, 50, 0.2, Outcome.PASSED),
    ],
)
def test_a_regression_has_three_outcomes(new_wrong, old_wrong, margin, outcome):
    """Within the margin, beyond it, or not decided at this n: and then the rows that would do are printed."""
    finding = regression(binary(1000, new_wrong), binary(1000, old_wrong), margin=margin)
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx((old_wrong - new_wrong) / 1000)
    assert finding.limit == -margin
    assert (finding.interval[0] > -margin) is (outcome is Outcome.PASSED)
    assert (finding.cause is None) is (outcome is Outcome.PASSED)
    details = finding.details
    assert details["challenger"]["value"] == pytest.approx(1 - new_wrong / 1000)
    assert details["champion"]["value"] == pytest.approx(1 - old_wrong / 1000)
    assert (details["gained"], details["lost"]) == (max(0, old_wrong - new_wrong), max(0, new_wrong - old_wrong))
    if new_wrong == 58:
        assert "rows would decide" in finding.advice
        assert details["rows_needed"] > 1000
    if new_wrong == 60:
        assert finding.advice == "more rows would decide"
        assert details["rows_needed"] is None
    if new_wrong == 62:
        assert "against the challenger" in finding.advice


def test_a_difference_carries_everything_that_it_rests_on():
    """For the report and for whoever recomputes it."""
    details = regression(binary(1000, 55), binary(1000, 50), group=None).details
    assert {
        "metric", "method", "margin", "difference", "challenger", "champion", "rows", "groups", "gained", "lost",
        "differing_rows", "seed", "minimum_detectable_loss", "rows_needed_for_margin", "rows_needed",
        "adjusted_confidence", "identical", "counts",
    } <= details.keys()  # fmt: skip
    assert details["difference"].keys() == {"value", "lower", "upper"}
    json.dumps(dict(details), allow_nan=False)


def test_groups_are_counted():
    """Forty rows of ten households are not forty opinions."""
    group = np.arange(400) % 10
    sample = binary(400, 20, group=group)
    finding = regression(sample, binary(400, 20, group=group), margin=0.1)
    assert (finding.details["groups"], finding.details["rows"]) == (10, 400)


@pytest.mark.parametrize(("n", "passes"), [(150, False), (2000, True)])
def test_identical_answers_pass_only_on_enough_rows_and_are_flagged(n, passes):
    """An interval of zero width never gates; and the same model twice is told."""
    finding = regression(binary(n, 20), binary(n, 20))
    assert (finding.outcome is Outcome.PASSED) is passes
    assert "is this the same model?" in finding.reason
    assert finding.details["identical"] is True
    assert (finding.details["minimum_detectable_loss"] < 0.01) is passes
    if not passes:
        enough = finding.details["rows_needed"]
        assert regression(binary(enough + 30, 20), binary(enough + 30, 20)).outcome is Outcome.PASSED


def test_the_same_labels_with_other_scores_are_not_the_same_model():
    """Every part of the answers counts."""
    score = np.linspace(0.5, 1, 2000)
    finding = regression(binary(2000, 20, score=score), binary(2000, 20, score=score / 2))
    assert "same model" not in finding.reason
    assert finding.details["differing_rows"] == 2000


@pytest.mark.parametrize(("better", "outcome"), [(True, Outcome.PASSED), (False, Outcome.FAILED)])
def test_the_margin_of_a_loss_is_turned_the_right_way_round(better, outcome):
    """A smaller error is a gain."""
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 3, 500)
    good, bad = numbers(truth, truth + rng.normal(0, 0.5, 500)), numbers(truth, truth + rng.normal(0, 1.0, 500))
    new, old = (good, bad) if better else (bad, good)
    finding = regression(new, old, metric="mae", margin=0.1)
    assert finding.outcome is outcome
    assert (finding.measured > 0) is better
    assert (finding.details["challenger"]["value"] < finding.details["champion"]["value"]) is better


def test_a_champion_that_is_never_right_is_no_division_by_zero():
    """A ratio to its accuracy of 0 would be infinite; the difference is a difference."""
    finding = regression(binary(1000, 500), binary(1000, 1000))
    assert finding.outcome is Outcome.PASSED
    assert finding.measured == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_negative_values_do_not_turn_a_verdict_around(shift):
    """Truth and answers far below zero: the worse model still fails."""
    rng = np.random.default_rng(3)
    truth = rng.normal(shift, 3, 500)
    good, bad = numbers(truth, truth + rng.normal(0, 0.5, 500)), numbers(truth, truth + rng.normal(0, 1.0, 500))
    assert regression(bad, good, metric="mae", margin=0.1).outcome is Outcome.FAILED
    assert regression(good, bad, metric="mae", margin=0.1).outcome is Outcome.PASSED


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_never_passes(bad):
    """`(nan - b) / b < min` is false: a peer passes it. On neither side, and for no floor."""
    truth = np.arange(200.0)
    clean, dirty = numbers(truth, truth + 0.1), numbers(truth, np.where(truth == 7, bad, truth + 0.1))
    spec = {"mae": {"margin": 0.1, "max": 0.5}}
    assert compare(dirty, clean, metrics=spec).regression("mae").outcome is Outcome.ERRORED
    assert compare(dirty, clean, metrics=spec).floor("mae").outcome is Outcome.ERRORED
    broken = compare(clean, dirty, metrics=spec).regression("mae")
    assert (broken.outcome, broken.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)


def test_no_rows_are_no_pass():
    """Neither for the floor nor for the difference."""
    comparison = compare(binary(0, 0), binary(0, 0), metrics={"accuracy": {"min": 0.1, "margin": 0.5}})
    for finding in (comparison.floor("accuracy"), comparison.regression("accuracy")):
        assert finding.outcome is Outcome.INCONCLUSIVE
        assert "no rows" in finding.reason


def test_unequal_rows_are_not_compared():
    """Another number of rows, or another truth: peers compare the averages of both all the same."""
    spec = {"accuracy": {"margin": 0.1}}
    shuffled = labelled([1] * 99 + [0], [1] * 100)
    for champion in (binary(99, 5), shuffled):
        finding = compare(binary(100, 5), champion, metrics=spec).regression("accuracy")
        assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
        assert "not scored on the same rows: 100 and" in finding.reason


def test_a_metric_that_only_the_champion_lacks_is_inconclusive():
    """A peer raises a KeyError there, or compares with nothing."""
    score = np.full(500, 0.7)
    finding = regression(binary(500, 5, score=score), binary(500, 5), metric="roc_auc", margin=0.1)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert "another signature" in finding.reason
    assert "no score" in finding.reason


def test_a_metric_that_the_challenger_lacks_is_errored():
    """The mapping of outputs does not fit: not the model's failure, and no pass."""
    finding = regression(binary(500, 5), binary(500, 5), metric="roc_auc", margin=0.1)
    assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
    assert "accuracy.prediction" in finding.advice


@pytest.mark.parametrize(
    ("champion", "says"),
    [
        (NoChampion(absence=Absence.FIRST), "there is no champion"),
        (NoChampion(absence=Absence.BROKEN, reason="exited with 1"), "could not be scored: exited with 1"),
        (NoChampion(absence=Absence.SIGNATURE, reason="needs column tenure"), "another signature: needs column tenure"),
    ],
)
def test_without_a_champion_nothing_is_passed_but_the_floors(champion, says):
    """First model, broken champion, champion with another signature: told apart, and never a pass."""
    spec = {"accuracy": {"min": 0.5, "margin": 0.5}}
    comparison = compare(binary(500, 5), champion, metrics=spec, slices=["region"], context={"region": ["a"] * 500})
    finding = comparison.regression("accuracy")
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert says in finding.reason
    assert finding.advice
    assert comparison.floor("accuracy").outcome is Outcome.PASSED
    assert comparison.slices("region").outcome is Outcome.INCONCLUSIVE


def test_a_champion_with_another_set_of_labels_is_not_compared():
    """Each of its labels would count as wrong, and any challenger would look like a gain."""
    champion = binary(500, 5, classes=("stay", "churn"))
    finding = regression(binary(500, 250), champion, margin=0.1)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert "the champion answers [stay, churn], the challenger [0, 1]" in finding.reason


def test_a_champion_that_answers_unknown_labels_is_not_compared():
    """The same, where the classes are the policy's and the answers are not among them."""
    champion = binary(500, 5)
    champion = replace(champion, labels=np.where(np.arange(500) < 3, -1, champion.labels))
    finding = regression(binary(500, 250), champion, margin=0.1)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "3 of the champion's 500 answers are none of [0, 1]" in finding.reason
    assert "accuracy.classes" in finding.advice


@pytest.mark.parametrize("ask", ["floor", "regression"])
def test_a_metric_that_the_policy_does_not_ask_for_is_a_mistake_of_ours(ask):
    """Judged without a limit, everything would pass."""
    spec = {"accuracy": {"margin": 0.1} if ask == "floor" else {"min": 0.5}}
    with pytest.raises(ValueError, match="in the policy"):
        getattr(compare(binary(9, 1), binary(9, 1), metrics=spec), ask)("accuracy")


def test_a_gap_that_the_policy_does_not_ask_for_is_a_mistake_of_ours():
    """As above."""
    with pytest.raises(ValueError, match="in the policy"):
        compare(binary(9, 1), metrics={"accuracy": {"min": 0.1}}).gap("region", "accuracy")


def test_one_loss_among_many_needs_more_than_one_alone():
    """A margin between the bounds at 95 % and 97.5 %: alone it fails, beside another comparison it is not decided."""
    new, old = binary(1000, 74), binary(1000, 50)
    found = [KNOWN["accuracy"].difference(new, old, confidence=level, seed=0).upper for level in (0.95, 0.975)]
    margin = -sum(found) / 2
    alone = compare(new, old, metrics={"accuracy": {"margin": margin}}).regression("accuracy")
    assert alone.outcome is Outcome.FAILED
    halves = {"half": ["a", "b"] * 500}
    among = compare(new, old, metrics={"accuracy": {"margin": margin}}, slices=["half"], context=halves)
    finding = among.regression("accuracy")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.details["adjusted_confidence"] == pytest.approx(1 - 0.05 / 3)
    assert finding.details["adjusted"]["upper"] > -margin
    assert finding.details["rows_needed"] > 1000


@pytest.mark.parametrize("loss", [0, 20, 40, 60, 80, 120])
def test_failing_is_corrected_for_all_comparisons_step_by_step(loss):
    """Holm over metric and slices; passing is not corrected."""
    n, margin = 1200, 0.01
    region = np.array(["a", "b", "c"])[np.arange(n) % 3]
    new, old = binary(n, 40 + loss), binary(n, 40)
    comparison = compare(
        new, old, metrics={"accuracy": {"margin": margin}}, slices=["region"], context={"region": region.tolist()}
    )
    findings = [comparison.regression("accuracy"), *(check.finding for check in comparison.slice_checks("region"))]
    rows = [np.arange(n), *(np.flatnonzero(region == value) for value in "abc")]

    def lost_at(index, level):
        found = KNOWN["accuracy"].difference(new.take(rows[index]), old.take(rows[index]), confidence=level, seed=0)
        assert isinstance(found, Interval)
        return found.upper < -margin

    open_, lost = {0, 1, 2, 3}, set()
    while open_ and (found := {index for index in open_ if lost_at(index, 1 - 0.05 / len(open_))}):
        lost |= found
        open_ -= found
    for index, finding in enumerate(findings):
        if finding.interval[0] > -margin:
            assert finding.outcome is Outcome.PASSED
        else:
            assert finding.outcome is (Outcome.FAILED if index in lost else Outcome.INCONCLUSIVE)


counts = st.integers(0, 60)


@given(counts, counts, st.integers(1, 200), st.floats(0.001, 0.3))
def test_a_worse_challenger_is_never_judged_better(gained, lost, more, margin):
    """One more row that only the champion has right never improves the outcome."""
    order = {Outcome.PASSED: 2, Outcome.INCONCLUSIVE: 1, Outcome.FAILED: 0}
    n = gained + lost + more + 1
    truth, old = [1] * n, [0] * gained + [1] * lost + [1] * (more + 1)
    new, worse = [1] * gained + [0] * lost + [1] * (more + 1), [1] * gained + [0] * (lost + 1) + [1] * more
    before = regression(labelled(truth, new), labelled(truth, old), margin=margin)
    after = regression(labelled(truth, worse), labelled(truth, old), margin=margin)
    assert order[after.outcome] <= order[before.outcome]
    assert math.isfinite(before.measured)
