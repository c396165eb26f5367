"""The comparison: three-valued, and none of the ways in which peers pass a worse model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.old_metrics import Scored, metric_difference
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Cause, Outcome
from mlgate.policy import Accuracy
from mlgate.scoring.payloads import Batch
from mlgate.statistics.interval import Interval


def compare(truth, challenger, champion=None, *, problem="", mapping=(), confidence="95%", **metrics):
    """A comparison of two models' answers under these metrics."""
    accuracy = Accuracy.model_validate({"metrics": metrics, "confidence": confidence, **dict(mapping)})
    n = len(truth)
    data = EvaluationData(
        source="x.csv",
        digest="sha256:x",
        features=Batch(columns=("a",), rows=([0],) * n),
        labels=tuple(truth),
        keys=tuple(range(n)),
    )
    both = [
        None if rows is None else Scored(rows=list(rows), mapping=OutputMapping.of(accuracy))
        for rows in (challenger, champion)
    ]
    return Comparison(accuracy=accuracy, data=data, challenger=both[0], champion=both[1], champion_problem=problem)


def labels(n, wrong, start=0):
    """All ones but *wrong* of them from *start*."""
    return [0 if start <= index < start + wrong else 1 for index in range(n)]


TRUTH = [1] * 1000


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
    finding = compare(TRUTH, labels(1000, wrong), accuracy={"min": floor}).floor("accuracy")
    assert finding.outcome is outcome
    assert (finding.measured, finding.limit, finding.n) == (1 - wrong / 1000, floor, 1000)
    assert (finding.interval[0] >= floor) is (outcome is Outcome.PASSED)
    assert (finding.interval[1] < floor) is (outcome is Outcome.FAILED)
    assert (finding.cause is None) is (outcome is Outcome.PASSED)
    assert f"must be ≥ {floor:g}" in finding.reason
    assert bool(finding.advice) is (outcome is not Outcome.PASSED)


@pytest.mark.parametrize(
    ("ceiling", "outcome"), [(1.3, Outcome.PASSED), (1.0, Outcome.INCONCLUSIVE), (0.8, Outcome.FAILED)]
)
def test_a_ceiling_on_a_loss_is_judged_by_the_other_bound(ceiling, outcome):
    """Less is better for rmse."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 3, 400)
    answers = truth + np.where(np.arange(400) % 2, 1.0, -1.0) * rng.uniform(0.8, 1.2, 400)
    finding = compare(truth.tolist(), answers.tolist(), rmse={"max": ceiling}).floor("rmse")
    assert finding.outcome is outcome
    assert "must be ≤" in finding.reason


@pytest.mark.parametrize(
    ("new_wrong", "old_wrong", "margin", "outcome"),
    [
        (50, 50, 0.01, Outcome.PASSED),
        (20, 50, 0.01, Outcome.PASSED),
        (58, 50, 0.01, Outcome.INCONCLUSIVE),
        (60, 50, 0.01, Outcome.INCONCLUSIVE),
        (150, 50, 0.01, Outcome.FAILED),
        (150, 50, 0.2, Outcome.PASSED),
    ],
)
def test_a_regression_has_three_outcomes(new_wrong, old_wrong, margin, outcome):
    """Within the margin, beyond it, or not decided at this n: and then the rows that would do are printed."""
    comparison = compare(TRUTH, labels(1000, new_wrong), labels(1000, old_wrong), accuracy={"margin": margin})
    finding = comparison.regression("accuracy")
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx((old_wrong - new_wrong) / 1000)
    assert finding.limit == -margin
    assert (finding.interval[0] > -margin) is (outcome is Outcome.PASSED)
    assert (finding.cause is None) is (outcome is Outcome.PASSED)
    assert finding.details["challenger"]["value"] == pytest.approx(1 - new_wrong / 1000)
    assert finding.details["champion"]["value"] == pytest.approx(1 - old_wrong / 1000)
    if new_wrong == 58:
        assert "rows would decide" in finding.advice
        assert finding.details["rows_needed"] > 1000


def test_a_model_at_the_margin_itself_needs_no_number_of_rows():
    """No number of them would decide: none is invented."""
    finding = compare(TRUTH, labels(1000, 60), labels(1000, 50), accuracy={"margin": 0.01}).regression("accuracy")
    assert finding.advice == "more rows would decide"
    assert finding.details["rows_needed"] is None


@pytest.mark.parametrize(("n", "outcome"), [(267, Outcome.INCONCLUSIVE), (268, Outcome.PASSED)])
def test_two_models_with_identical_answers_pass_from_the_row_the_score_test_says(n, outcome):
    """268 rows for a margin of one point: an interval of zero width never gates."""
    same = labels(n, 20)
    assert compare([1] * n, same, same, accuracy={"margin": 0.01}).regression("accuracy").outcome is outcome


@pytest.mark.parametrize(("better", "outcome"), [(True, Outcome.PASSED), (False, Outcome.FAILED)])
def test_the_margin_of_a_loss_is_turned_the_right_way_round(better, outcome):
    """A smaller rmse is a gain."""
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 3, 500)
    good, bad = truth + rng.normal(0, 0.5, 500), truth + rng.normal(0, 1.0, 500)
    new, old = (good, bad) if better else (bad, good)
    finding = compare(truth.tolist(), new.tolist(), old.tolist(), rmse={"margin": 0.1}).regression("rmse")
    assert finding.outcome is outcome
    assert (finding.measured > 0) is better
    assert (finding.details["challenger"]["value"] < finding.details["champion"]["value"]) is better


@pytest.mark.parametrize(
    ("champion_noise", "margin", "outcome"),
    [
        (0.0, 0.2, Outcome.INCONCLUSIVE),
        (0.0, 0.01, Outcome.INCONCLUSIVE),
        (1e-6, 0.2, Outcome.PASSED),
        (1e-6, 0.01, Outcome.FAILED),
    ],
)
def test_a_champion_without_error_is_no_division_by_zero(champion_noise, margin, outcome):
    """Its rmse is 0 or nearly: peers divide by it. Without any error there is nothing to estimate from, and it says so."""
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 3, 500)
    new, old = truth + rng.normal(0, 0.05, 500), truth + rng.normal(0, 1, 500) * champion_noise
    finding = compare(truth.tolist(), new.tolist(), old.tolist(), rmse={"margin": margin}).regression("rmse")
    assert finding.outcome is outcome
    assert ("without any error" in finding.reason) is (champion_noise == 0)


def test_a_champion_that_is_never_right_is_no_division_by_zero():
    """A ratio to its accuracy of 0 would be infinite; the difference is a difference."""
    finding = compare(TRUTH, labels(1000, 500), labels(1000, 1000), accuracy={"margin": 0.01}).regression("accuracy")
    assert finding.outcome is Outcome.PASSED
    assert finding.measured == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_negative_values_do_not_turn_a_verdict_around(shift):
    """Truth and answers far below zero: the worse model still fails."""
    rng = np.random.default_rng(3)
    truth = rng.normal(shift, 3, 500)
    good, bad = truth + rng.normal(0, 0.5, 500), truth + rng.normal(0, 1.0, 500)
    assert (
        compare(truth.tolist(), bad.tolist(), good.tolist(), rmse={"margin": 0.1}).regression("rmse").outcome
        is Outcome.FAILED
    )
    assert (
        compare(truth.tolist(), good.tolist(), bad.tolist(), rmse={"margin": 0.1}).regression("rmse").outcome
        is Outcome.PASSED
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
@pytest.mark.parametrize("metric", ["rmse", "roc_auc"])
def test_nan_never_passes(metric, bad):
    """`(nan - b) / b < min` is false: a peer passes it. Errored here, on either side."""
    truth = [0, 1] * 100
    clean, dirty = [0.1, 0.9] * 100, [*([0.1, 0.9] * 99), 0.1, bad]
    spec = {metric: {"margin": 0.1, "max" if metric == "rmse" else "min": 0.5}}
    for new, old in ((dirty, clean), (clean, dirty)):
        finding = compare(truth, new, old, **spec).regression(metric)
        assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
    assert compare(truth, dirty, clean, **spec).floor(metric).outcome is Outcome.ERRORED


@pytest.mark.parametrize("problem", ["the server never became ready", ""])
@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "rmse"])
def test_a_champion_that_could_not_be_scored_makes_it_inconclusive(metric, problem):
    """Never passed, and the reason is told; the floors stand on their own."""
    spec = {metric: {"margin": 0.5, "max" if metric == "rmse" else "min": 0.5}}
    comparison = compare([0, 1] * 100, [0, 1] * 100, None, problem=problem, **spec)
    finding = comparison.regression(metric)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert f"could not be scored: {problem or 'unknown'}" in finding.reason
    assert "champion" in finding.advice


@pytest.mark.parametrize("metric", ["f1", "roc_auc"])
def test_a_metric_that_the_rows_do_not_define_is_inconclusive(metric):
    """A single class in the truth: for the floor and for the difference."""
    comparison = compare([0] * 200, [0.0] * 200, [0.0] * 200, **{metric: {"min": 0.5, "margin": 0.1}})
    for finding in (comparison.floor(metric), comparison.regression(metric)):
        assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.HARNESS)
        assert finding.reason.startswith(f"{metric}: ")
        assert finding.measured is None


def test_answers_that_the_mapping_does_not_fit_are_errored():
    """The harness could not measure: not the model's failure, and no pass."""
    comparison = compare(
        [0, 1] * 50,
        [{"a": 1}] * 100,
        [{"b": 1}] * 100,
        mapping={"prediction": "a"},
        accuracy={"min": 0.5, "margin": 0.1},
    )
    finding = comparison.regression("accuracy")
    assert (finding.outcome, finding.cause) == (Outcome.ERRORED, Cause.HARNESS)
    assert "no output 'a'" in finding.reason
    assert comparison.floor("accuracy").outcome is not Outcome.ERRORED


@pytest.mark.parametrize("ask", ["floor", "regression"])
def test_a_metric_that_the_policy_does_not_ask_for_is_a_mistake_of_ours(ask):
    """Judged without a limit, everything would pass."""
    comparison = compare(TRUTH, TRUTH, TRUTH, accuracy={"margin": 0.1} if ask == "floor" else {"min": 0.5})
    with pytest.raises(ValueError, match="in the policy"):
        getattr(comparison, ask)("accuracy")


def holm_comparison(loss, confidence="95%"):
    """Four metrics that are all worse by about *loss* standard errors beyond a tiny margin."""
    rng = np.random.default_rng(5)
    n = 600
    truth = rng.integers(0, 2, n)
    old = np.clip(truth + rng.normal(0, 0.45, n), 0, 1)
    new = np.clip(truth + rng.normal(0, 0.45 + loss, n), 0, 1)
    rows = [[{"label": int(score >= 0.5), "p": float(score)} for score in side] for side in (new, old)]
    return compare(
        truth.tolist(), *rows, mapping={"prediction": "label", "score": "p"}, confidence=confidence,
        accuracy={"margin": 0.001}, f1={"margin": 0.001}, roc_auc={"margin": 0.001},
    )  # fmt: skip


def at(comparison, metric, confidence):
    """Whether the difference is below the margin at *confidence*."""
    found = metric_difference(
        metric,
        comparison.data.labels,
        comparison.challenger,
        comparison.champion,
        confidence=confidence,
        seed=comparison.seed,
    )
    assert isinstance(found, Interval)
    return found.upper < -0.001


@pytest.mark.parametrize("loss", [0.0, 0.03, 0.05, 0.07, 0.1, 0.15, 0.3])
def test_failing_is_corrected_for_the_number_of_comparisons(loss):
    """Holm's steps: the first at 1 - 5 %/3, the last at 95 %; passing is not corrected."""
    comparison = holm_comparison(loss)
    open_, lost = {"accuracy", "f1", "roc_auc"}, set()
    while open_ and (found := {metric for metric in open_ if at(comparison, metric, 1 - 0.05 / len(open_))}):
        lost |= found
        open_ -= found
    for metric in ("accuracy", "f1", "roc_auc"):
        finding = comparison.regression(metric)
        if finding.interval[0] > -0.001:
            assert finding.outcome is Outcome.PASSED
        else:
            assert finding.outcome is (Outcome.FAILED if metric in lost else Outcome.INCONCLUSIVE)


def test_one_loss_among_many_needs_more_than_one_alone():
    """A margin between the bounds at 95 % and 97.5 %: alone it fails, beside another comparison it is not decided."""
    new, old = labels(1000, 74), labels(1000, 50)
    upper = [
        -compare(TRUTH, new, old, confidence=level, accuracy={"margin": 0.5}).regression("accuracy").interval[1]
        for level in ("95%", "97.5%")
    ]
    margin = sum(upper) / 2
    alone = compare(TRUTH, new, old, accuracy={"margin": margin})
    among = compare(TRUTH, new, old, accuracy={"margin": margin}, f1={"margin": 0.2})
    assert alone.regression("accuracy").outcome is Outcome.FAILED
    assert among.regression("accuracy").outcome is Outcome.INCONCLUSIVE
    assert among.regression("f1").outcome is Outcome.PASSED


counts = st.integers(0, 60)


@given(counts, counts, st.integers(1, 200), st.floats(0.001, 0.3))
def test_a_worse_challenger_is_never_judged_better(gained, lost, more, margin):
    """One more row that only the champion has right never improves the outcome."""
    order = {Outcome.PASSED: 2, Outcome.INCONCLUSIVE: 1, Outcome.FAILED: 0}
    n = gained + lost + more + 1
    new = [1] * gained + [0] * lost + [1] * (more + 1)
    old = [0] * gained + [1] * lost + [1] * (more + 1)
    worse = [1] * gained + [0] * (lost + 1) + [1] * more
    before = compare([1] * n, new, old, accuracy={"margin": margin}).regression("accuracy")
    after = compare([1] * n, worse, old, accuracy={"margin": margin}).regression("accuracy")
    assert order[after.outcome] <= order[before.outcome]
    assert math.isfinite(before.measured)
