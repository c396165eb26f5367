"""Data that a metric of counts or means can not speak of: each a clear outcome, never a number that gates."""

import numpy as np
import pytest

from mlgate.evaluation.metric_names import METRICS, Need
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.metrics.coverage import COVERAGE
from mlgate.evaluation.metrics.losses import LOSSES
from mlgate.evaluation.metrics.ranking import RANKINGS
from mlgate.evaluation.metrics.shares import SHARES
from mlgate.evaluation.metrics.squares import SQUARES
from mlgate.evaluation.metrics.tables import TABLES
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.statistics.interval import Interval, Undefined

NAMES = sorted(frozenset().union(*(family.names for family in (SHARES, TABLES, LOSSES, SQUARES, COVERAGE, RANKINGS))))
CLASSES = ("stay", "churn")


def metric_of(name):
    """Find a metric, with some parameter where it needs one."""
    return find_metric(name, 0.9 if name in ("pinball", "quantile_coverage") else None)


def sample(name, n=400, *, seed=0, grouped=False):
    """Draw a sample that holds what the metric needs."""
    rng = np.random.default_rng(seed)
    needs = METRICS[name].needs
    group = np.arange(n) // 4 if grouped or Need.GROUP in needs else None
    if Need.GROUP in needs:
        return Sample(truth=rng.integers(0, 3, n), score=rng.random(n), group=group)
    if Need.NUMBERS in needs:
        truth = 5 + np.random.default_rng(99).normal(size=n)
        return Sample(truth=truth, numbers=truth + rng.normal(0.5, 0.5, n), group=group)
    truth = np.random.default_rng(99).integers(0, 2, n)
    labels = np.where(rng.random(n) < 0.8, truth, 1 - truth)
    score = np.clip(0.2 + 0.5 * truth + rng.normal(0, 0.2, n), 0, 1)
    return Sample(truth=truth, labels=labels, score=score, classes=CLASSES, positive=1, group=group)


def outcomes(name, one, two):
    """Ask all three questions."""
    metric = metric_of(name)
    return (
        metric.value(one),
        metric.interval(one, confidence=0.95, seed=1),
        metric.difference(one, two, confidence=0.95, seed=1),
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_are_undefined(name):
    """Zero rows are no pass (peers.md section 3.2)."""
    empty = sample(name).take(slice(0, 0))
    for found in outcomes(name, empty, empty):
        assert isinstance(found, Undefined)
        assert found.n == 0
        assert "no " in found.reason or "none of" in found.reason or "fewer" in found.reason or "0 rows" in found.reason


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_difference_is_oriented_so_that_more_is_better(name, grouped):
    """A model that is worse has a negative difference, and swapping the two mirrors the interval.

    Of unbounded losses, what the challenger may do on unseen rows is reckoned at least as large as the champion's.
    """
    good, bad = sample(name, grouped=grouped), sample(name, seed=5, grouped=grouped)
    metric = metric_of(name)
    found, turned = (metric.difference(*pair, confidence=0.95, seed=2) for pair in ((good, bad), (bad, good)))
    assert isinstance(found, Interval)
    assert isinstance(turned, Interval)
    ours, theirs = metric.value(good), metric.value(bad)
    expected = {"more": ours - theirs, "less": theirs - ours, "near": abs(theirs - 0.9) - abs(ours - 0.9)}
    assert found.estimate == pytest.approx(expected[metric.facts.better.value], abs=1e-12)
    if name in {"rmse", "mae", "mape", "pinball", "r2"}:
        assert found.lower <= -turned.upper + 1e-9
        assert found.upper <= -turned.lower + 1e-9
    else:
        assert (found.lower, found.upper) == pytest.approx((-turned.upper, -turned.lower), abs=1e-9)
    assert found.lower < found.estimate < found.upper


@pytest.mark.parametrize("name", NAMES)
def test_identical_answers_have_a_width_that_falls_with_rows(name):
    """No interval of zero width; 16 times the rows leave less than a fifth of it."""
    widths = []
    for n in (400, 6400):
        one = sample(name, n)
        found = metric_of(name).difference(one, one, confidence=0.95, seed=1)
        assert isinstance(found, Interval)
        assert found.lower < found.estimate == 0 < found.upper
        widths.append(found.width)
    assert widths[1] < widths[0] / 5


@pytest.mark.parametrize("name", [name for name in NAMES if Need.GROUP not in METRICS[name].needs])
def test_too_few_groups_are_undefined_with_their_number(name):
    """Nineteen groups are no sample of groups."""
    one = sample(name)
    few = Sample(**{field: getattr(one, field) for field in ("truth", "labels", "score", "numbers", "classes", "positive")}, group=np.arange(400) % 19)  # fmt: skip
    _, single, paired = outcomes(name, few, few)
    for found in (single, paired):
        assert isinstance(found, Undefined)
        assert "19 groups" in found.reason


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_answer(name):
    """Evidence can be recomputed."""
    one, two = sample(name), sample(name, seed=5)
    metric = metric_of(name)
    first, again = (metric.difference(one, two, confidence=0.95, seed=3) for _ in range(2))
    assert first == again
    assert "seed" in first.details or any(word in first.method for word in ("Tango", "Student"))


def labels(truth, said, positive=1, classes=CLASSES):
    """Make a sample of labels."""
    return Sample(truth=np.array(truth), labels=np.array(said), classes=classes, positive=positive)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_no_positives_are_undefined_by_name(name):
    """Whatever the model says."""
    for found in outcomes(name, labels([0] * 50, [0, 1] * 25), labels([0] * 50, [0] * 50)):
        assert isinstance(found, Undefined)
        assert "none of 50 rows is truly 'churn'" in found.reason


def test_no_negatives_leave_specificity_undefined():
    """The mirror image."""
    for found in outcomes("specificity", labels([1] * 50, [0, 1] * 25), labels([1] * 50, [1] * 50)):
        assert isinstance(found, Undefined)
        assert "truly not 'churn'" in found.reason


@pytest.mark.parametrize("name", ["balanced_accuracy", "mcc", "f1_macro", "precision_weighted"])
def test_one_class_only_is_undefined_by_name(name):
    """An average over classes needs two."""
    for found in outcomes(name, labels([1] * 50, [0, 1] * 25), labels([1] * 50, [1] * 50)):
        assert isinstance(found, Undefined)
        assert "only class 'churn'" in found.reason


def test_an_absent_class_is_left_out_and_accuracy_of_one_class_is_defined():
    """Three declared classes, two in the truth: the average is over two."""
    one = labels([0, 1] * 50, [0, 0] * 50, classes=("a", "b", "c"))
    assert find_metric("recall_macro").value(one) == 0.5
    assert find_metric("accuracy").value(labels([1] * 9, [1] * 9)) == 1.0


@pytest.mark.parametrize("name", ["precision", "precision_macro", "mcc"])
def test_a_model_that_says_one_thing_only_has_no_interval_of_0_over_0(name):
    """The value is scikit-learn's 0; the next row could make it anything."""
    truth = [0, 1] * 50
    silent, other = labels(truth, [0] * 100), labels(truth, [0, 1] * 50)
    assert find_metric(name).value(silent) == pytest.approx(0.25 if name == "precision_macro" else 0.0)
    for found in outcomes(name, silent, other)[1:]:
        assert isinstance(found, Undefined)
        assert "0 / 0" in found.reason


def test_a_champion_at_zero_needs_no_ratio():
    """A champion that is always wrong is a number like any other (peers.md section 3.2, entry 5)."""
    truth = [0, 1] * 200
    for name in ("accuracy", "recall", "f1", "f1_macro", "balanced_accuracy", "precision"):
        right, wrong = labels(truth, truth), labels(truth, [1, 0] * 200)
        found = find_metric(name).difference(right, wrong, confidence=0.95, seed=1)
        assert isinstance(found, Interval)
        assert found.estimate == 1
        assert found.lower > 0.9


def test_what_is_no_known_class_is_an_error():
    """In accuracy, recall, specificity and MCC; and no class's prediction."""
    truth = np.array([0, 1] * 100)
    said = truth.copy()
    said[:40] = UNKNOWN_CLASS
    one = labels(truth, said)
    assert find_metric("accuracy").value(one) == 0.8
    assert find_metric("recall").value(one) == 0.8
    assert find_metric("specificity").value(one) == 0.8
    assert find_metric("precision").value(one) == 1.0
    assert find_metric("f1").value(one) == pytest.approx(2 * 80 / (100 + 80))
    paired = find_metric("f1").difference(one, labels(truth, truth), confidence=0.95, seed=1)
    assert paired.estimate == pytest.approx(2 * 80 / 180 - 1)
    assert paired.details["c"] == 20


def test_mape_of_zero_truth_is_undefined_with_their_number():
    """scikit-learn divides by machine epsilon instead."""
    truth = np.array([0.0, 0.0] + [1.0] * 200)
    one = Sample(truth=truth, numbers=truth + 0.1)
    for found in outcomes("mape", one, one):
        assert isinstance(found, Undefined)
        assert "2 of 202 true values are 0" in found.reason


def test_scores_that_are_no_probabilities_are_undefined():
    """A margin of a support vector machine has no log loss."""
    rng = np.random.default_rng(0)
    for name in ("log_loss", "brier"):
        beyond = Sample(truth=rng.integers(0, 2, 200), score=rng.normal(size=200), classes=CLASSES, positive=1)
        unequal = Sample(truth=rng.integers(0, 3, 200), scores=rng.random((200, 3)) / 3, classes=("a", "b", "c"))
        for one in (beyond, unequal):
            for found in outcomes(name, one, one):
                assert isinstance(found, Undefined)
                assert "no probabilities" in found.reason


def test_a_negative_relevance_is_undefined():
    """NDCG has no meaning there."""
    one = Sample(truth=np.tile([-1, 0, 1], 50), score=np.arange(150.0), group=np.arange(150) // 3)
    for found in outcomes("ndcg", one, one):
        assert isinstance(found, Undefined)


def test_queries_are_what_a_ranking_rests_on():
    """The n counts queries; nineteen are too few."""
    one = sample("ndcg")
    found = find_metric("ndcg").interval(one, confidence=0.95, seed=0)
    assert isinstance(found, Interval)
    assert (found.n, found.details["groups"], found.details["rows"]) == (100, 100, 400)
    few = find_metric("mrr").interval(one.take(slice(0, 76)), confidence=0.95, seed=0)
    assert isinstance(few, Undefined)
    assert "19 queries" in few.reason


def test_many_classes_are_counted_without_a_table_of_them_all():
    """Three hundred classes: 27 million cells, of which a few hundred are filled."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 300, 5000)
    said = np.where(rng.random(5000) < 0.9, truth, rng.integers(0, 300, 5000))
    names = tuple(map(str, range(300)))
    one, two = (Sample(truth=truth, labels=p, classes=names) for p in (said, truth))
    for name in ("accuracy", "f1_macro"):
        found = find_metric(name).difference(one, two, confidence=0.95, seed=0)
        assert isinstance(found, Interval)
        assert found.lower < found.estimate < -0.05
