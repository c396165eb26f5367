"""Metrics, held against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate.evaluation.old_metrics import LOSSES, Scored, as_labels, metric_difference, metric_interval
from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput
from mlgate.policy import Accuracy
from mlgate.statistics.interval import Interval, Undefined

PLAIN = OutputMapping.of(Accuracy())
CONFIDENCE = 0.95
METRICS = ("accuracy", "f1", "roc_auc", "rmse")


def scored(rows, **values):
    """A model's answers under a mapping."""
    return Scored(rows=list(rows), mapping=OutputMapping.of(Accuracy.model_validate(values)))


def model(metric, rng, truth, quality):
    """Answers that are right with probability *quality* (or near, for numbers and scores)."""
    noise = rng.normal(0, 1.5 - quality, len(truth))
    if metric in ("rmse", "roc_auc"):
        return [float(value) for value in truth + noise]
    return [int(value) if rng.random() < quality else int(1 - value) for value in truth]


def expected(metric, truth, answers):
    """The same number by scikit-learn."""
    match metric:
        case "accuracy":
            return sk.accuracy_score(truth, answers)
        case "f1":
            return sk.f1_score(truth, answers)
        case "roc_auc":
            return sk.roc_auc_score(truth, answers)
        case _:
            return math.sqrt(sk.mean_squared_error(truth, answers))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(8))
def test_a_metric_agrees_with_scikit_learn(metric, seed):
    """The estimate to the last digits, between its bounds."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 300)
    answers = model(metric, rng, truth, 0.6 + 0.04 * seed)
    found = metric_interval(metric, truth.tolist(), scored(answers), confidence=CONFIDENCE, seed=1)
    assert isinstance(found, Interval)
    assert found.estimate == pytest.approx(expected(metric, truth, answers), abs=1e-12)
    assert found.lower < found.estimate < found.upper
    assert found.n == 300


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_a_difference_is_that_of_the_metrics_and_more_is_better(metric, seed):
    """Challenger minus champion; turned around for a loss; and antisymmetric."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 300)
    new, old = model(metric, rng, truth, 0.75), model(metric, rng, truth, 0.7)
    sides = {"confidence": CONFIDENCE, "seed": 1}
    found = metric_difference(metric, truth.tolist(), scored(new), scored(old), **sides)
    other = metric_difference(metric, truth.tolist(), scored(old), scored(new), **sides)
    assert isinstance(found, Interval)
    assert isinstance(other, Interval)
    sign = -1 if metric in LOSSES else 1
    difference = sign * (expected(metric, truth, new) - expected(metric, truth, old))
    assert found.estimate == pytest.approx(difference, abs=1e-12)
    assert other.estimate == pytest.approx(-difference, abs=1e-12)
    assert found.lower < found.estimate < found.upper


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_accuracy_and_f1_agree_with_scikit_learn_on_any_labels(pairs):
    """Text labels, three classes, however lopsided."""
    truth, answers = [list(side) for side in zip(*pairs, strict=True)]
    model_rows = scored(answers, positive="a")
    accuracy = metric_interval("accuracy", truth, model_rows, confidence=CONFIDENCE, seed=0)
    assert accuracy.estimate == pytest.approx(sk.accuracy_score(truth, answers))
    f1 = metric_interval("f1", truth, model_rows, confidence=CONFIDENCE, seed=0)
    if isinstance(f1, Interval):
        wanted = sk.f1_score(truth, answers, labels=["a"], average="macro", zero_division=0)
        assert f1.estimate == pytest.approx(wanted)
    else:
        assert "a" not in truth or "a" not in answers


LABELS = [1, 1.0, True, "1"]


@pytest.mark.parametrize("truth", LABELS)
@pytest.mark.parametrize("answer", LABELS)
def test_one_label_is_one_label_in_every_spelling(truth, answer):
    """From CSV, JSON and numpy."""
    assert as_labels([truth]) == as_labels([answer])
    other = as_labels([0])
    assert as_labels([truth]) != other


def test_labels_that_differ_stay_apart():
    """1.5 is not 1, and text is text."""
    assert len(set(as_labels([0, 1, 1.5, "a", "A", "1.0", -1, None]))) == 8


def test_the_positive_class_is_found_in_every_spelling():
    """The policy says 1, the data 1.0, the model true."""
    truth, answers = [1.0, 0.0, 1.0, 0.0] * 20, [True, False, False, False] * 20
    found = metric_interval("f1", truth, scored(answers, positive=1), confidence=CONFIDENCE, seed=0)
    assert found.estimate == pytest.approx(sk.f1_score([1, 0, 1, 0] * 20, [1, 0, 0, 0] * 20))


@pytest.mark.parametrize("metric", ["f1", "roc_auc"])
def test_a_single_class_has_no_such_metric(metric):
    """Undefined, with a reason: never 0 and never 1."""
    truth, answers = [0] * 200, [0.0] * 200
    found = metric_interval(metric, truth, scored(answers), confidence=CONFIDENCE, seed=0)
    assert isinstance(found, Undefined)
    assert found.reason
    difference = metric_difference(metric, truth, scored(answers), scored(answers), confidence=CONFIDENCE, seed=0)
    assert isinstance(difference, Undefined)


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows_are_undefined(metric):
    """Nothing was judged."""
    assert isinstance(metric_interval(metric, [], scored([]), confidence=CONFIDENCE, seed=0), Undefined)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "high", 10**400])
@pytest.mark.parametrize("metric", ["roc_auc", "rmse"])
def test_an_answer_that_is_no_number_is_unmapped(metric, bad):
    """The harness says errored; NaN never compares as not worse."""
    truth, answers = [0, 1] * 60, [0.1, 0.9] * 59 + [0.1, bad]
    with pytest.raises(UnmappedOutput):
        metric_interval(metric, truth, scored(answers), confidence=CONFIDENCE, seed=0)
    for pair in ((answers, truth), (truth, answers)):
        with pytest.raises(UnmappedOutput):
            metric_difference(metric, truth, scored(pair[0]), scored(pair[1]), confidence=CONFIDENCE, seed=0)


@pytest.mark.parametrize("bad", ["stay", None, "inf", "nan", 10**400])
def test_a_truth_that_is_no_number_has_no_rmse(bad):
    """The label column is the wrong one."""
    with pytest.raises(UnmappedOutput, match="label"):
        metric_interval("rmse", [1.0, bad], scored([1.0, 2.0]), confidence=CONFIDENCE, seed=0)


def test_an_unknown_metric_is_a_mistake_of_ours():
    """The policy refuses it long before."""
    with pytest.raises(ValueError, match="no metric 'auc'"):
        metric_interval("auc", [1], scored([1]), confidence=CONFIDENCE, seed=0)
    with pytest.raises(ValueError, match="no metric 'auc'"):
        metric_difference("auc", [1], scored([1]), scored([1]), confidence=CONFIDENCE, seed=0)
