"""Areas, curves, calibration and medians as metrics of samples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.sample import Sample
from mlgate.statistics.interval import Interval, Undefined

SCORED = ("roc_auc", "average_precision", "recall_at_precision", "ece")
AT = {"recall_at_precision": 0.7}


def metric(name):
    """The metric with its parameter."""
    return find_metric(name, AT.get(name))


def binary(rng, n, *, noise=1.0, group=None, positive=1):
    """Two classes and a probability."""
    truth = (np.arange(n) % 3 == 0).astype(np.int8)
    logit = 2.0 * (truth == positive) - 1.0 + noise * rng.normal(size=n)
    return Sample(truth=truth, score=1 / (1 + np.exp(-logit)), classes=("no", "yes"), positive=positive, group=group)


def several(rng, n, k=4):
    """More classes and their probabilities."""
    truth = np.arange(n) % k
    logits = np.eye(k)[truth] * 1.5 + rng.normal(size=(n, k))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Sample(truth=truth, scores=scores, classes=tuple("abcdefg"[:k]))


def regression(rng, n, *, noise=1.0, group=None):
    """Numbers and predictions."""
    truth = rng.normal(size=n)
    return Sample(truth=truth, numbers=truth + noise * rng.normal(size=n), group=group)


def pair(name, rng, n, *, group=None):
    """Challenger and champion on the same rows, the challenger a little worse."""
    if name == "median_absolute_error":
        old = regression(rng, n, group=group)
        return Sample(truth=old.truth, numbers=old.numbers + 0.2 * rng.normal(size=n), group=group), old
    old = binary(rng, n, group=group)
    logit = np.log(old.score / (1 - old.score)) + 0.2 * rng.normal(size=n)
    return Sample(truth=old.truth, score=1 / (1 + np.exp(-logit)), classes=old.classes, positive=1, group=group), old


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60), st.sampled_from([0, 1]))
def test_values_of_two_classes_agree_with_scikit_learn(rows, positive):
    """roc_auc_score, average_precision_score and precision_recall_curve, with ties, whichever class is positive."""
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    sample = Sample(truth=truth.astype(np.int8), score=score / 8, classes=("a", "b"), positive=positive)
    y = truth == bool(positive)
    if not 0 < y.sum() < y.size:
        assert isinstance(metric("roc_auc").value(sample), Undefined)
        return
    precision, recall, _ = sk.precision_recall_curve(y, score)
    assert metric("roc_auc").value(sample) == pytest.approx(sk.roc_auc_score(y, score))
    assert metric("average_precision").value(sample) == pytest.approx(sk.average_precision_score(y, score))
    assert metric("recall_at_precision").value(sample) == pytest.approx(recall[precision >= 0.7].max())


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(3, 5))
def test_one_against_the_rest_agrees_with_scikit_learn(seed, k):
    """roc_auc_score(multi_class="ovr"), macro."""
    sample = several(np.random.default_rng(seed), 60, k)
    expected = sk.roc_auc_score(sample.truth, sample.scores, multi_class="ovr")
    assert metric("roc_auc_ovr").value(sample) == pytest.approx(expected)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=40))
def test_the_median_agrees_with_scikit_learn(rows):
    """median_absolute_error."""
    truth, numbers = (np.array(column) for column in zip(*rows, strict=True))
    sample = Sample(truth=truth, numbers=numbers)
    expected = sk.median_absolute_error(truth, numbers)
    assert metric("median_absolute_error").value(sample) == pytest.approx(expected)


def test_calibration_of_several_classes_is_that_of_the_top_class():
    """Confidence is the largest score, a hit the right class: the same as two classes with that score."""
    sample = several(np.random.default_rng(0), 900)
    hit = sample.scores.argmax(axis=1) == sample.truth
    two = Sample(truth=hit.astype(int), score=sample.scores.max(axis=1), classes=("wrong", "right"), positive=1)
    assert metric("ece").value(sample) == pytest.approx(metric("ece").value(two))
    assert isinstance(metric("ece").interval(sample, confidence=0.95, seed=1), Interval)


@pytest.mark.parametrize("name", [*SCORED, "median_absolute_error"])
def test_an_interval_encloses_the_value(name):
    """Of one model, with a method, a number of rows and a width."""
    sample = pair(name, np.random.default_rng(1), 900)[0]
    found = metric(name).interval(sample, confidence=0.95, seed=1)
    assert isinstance(found, Interval)
    assert found.lower < found.estimate == metric(name).value(sample) < found.upper
    assert found.n == 900
    assert found.method


@pytest.mark.parametrize("name", [*SCORED, "median_absolute_error"])
def test_a_difference_is_oriented_and_mirrors(name):
    """More is better, also of a loss; swapping the models swaps the sign, and about mirrors the bounds."""
    challenger, champion = pair(name, np.random.default_rng(2), 900)
    better = -1 if name in ("ece", "median_absolute_error") else 1
    one = metric(name).difference(challenger, champion, confidence=0.95, seed=1)
    two = metric(name).difference(champion, challenger, confidence=0.95, seed=1)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    expected = better * (metric(name).value(challenger) - metric(name).value(champion))
    assert one.estimate == pytest.approx(expected, abs=1e-12)
    assert one.lower == pytest.approx(-two.upper, abs=0.15 * one.width)
    assert one.details["differing"] > 600


@pytest.mark.parametrize("name", [*SCORED, "median_absolute_error"])
def test_identical_answers_have_a_width_that_falls_with_the_rows(name):
    """What unseen rows could do: a tenth with ten times the rows, and never zero."""
    widths = []
    for n in (900, 9000):
        champion = pair(name, np.random.default_rng(3), n)[1]
        found = metric(name).difference(champion, champion, confidence=0.95, seed=1)
        assert isinstance(found, Interval)
        assert found.estimate == 0
        assert found.details["differing"] == 0
        widths.append(found.width)
    assert 0 < widths[1] < 0.4 * widths[0]


@pytest.mark.parametrize("name", [*SCORED, "median_absolute_error"])
def test_copied_rows_are_worth_no_more_with_their_group(name):
    """Nine copies of each row: with the group the interval is as wide as of the rows, without it far narrower."""
    rng = np.random.default_rng(4)
    challenger, champion = pair(name, rng, 600)
    copies = np.repeat(np.arange(600), 9)
    many = [sample.take(copies) for sample in (challenger, champion)]
    grouped = [Sample(**{**fields(sample), "group": copies}) for sample in many]
    once = metric(name).difference(challenger, champion, confidence=0.95, seed=1)
    naive = metric(name).difference(*many, confidence=0.95, seed=1)
    clustered = metric(name).difference(*grouped, confidence=0.95, seed=1)
    assert clustered.width == pytest.approx(once.width, rel=0.3)
    assert naive.width < 0.6 * clustered.width
    assert clustered.details["groups"] == 600


def fields(sample):
    """The fields of a sample by name."""
    return {name: getattr(sample, name) for name in Sample.__dataclass_fields__}


@pytest.mark.parametrize(
    ("name", "n", "words"),
    [
        ("average_precision", 120, "40 positive rows are fewer than 50"),
        ("recall_at_precision", 240, "80 positive rows are fewer than 100"),
        ("ece", 499, "499 rows are fewer than 500"),
        ("median_absolute_error", 99, "99 rows are fewer than 100"),
    ],
)
def test_too_few_rows_are_undefined_by_number(name, n, words):
    """Below what was simulated there is no interval."""
    challenger, champion = pair(name, np.random.default_rng(5), n)
    found = metric(name).difference(challenger, champion, confidence=0.95, seed=1)
    assert isinstance(found, Undefined)
    assert found.reason == words
    assert isinstance(metric(name).interval(challenger, confidence=0.95, seed=1), Undefined)


@pytest.mark.parametrize("name", [*SCORED, "roc_auc_ovr", "median_absolute_error"])
def test_zero_rows_are_undefined(name):
    """No rows, no number."""
    rng = np.random.default_rng(6)
    empty = (several(rng, 40) if name == "roc_auc_ovr" else pair(name, rng, 40)[0]).take(slice(0, 0))
    assert isinstance(metric(name).value(empty), Undefined)
    assert isinstance(metric(name).interval(empty, confidence=0.95, seed=1), Undefined)
    assert isinstance(metric(name).difference(empty, empty, confidence=0.95, seed=1), Undefined)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "recall_at_precision"])
def test_one_class_only_is_undefined_or_said(name):
    """Without a positive row nothing can be found or ranked."""
    sample = binary(np.random.default_rng(7), 600)
    negative = sample.take(sample.truth == 0)
    found = metric(name).difference(negative, negative, confidence=0.95, seed=1)
    assert isinstance(found, Undefined)
    assert "positive" in found.reason


def test_scores_that_are_no_probabilities_have_no_calibration():
    """Logits are a score, and no confidence."""
    sample = binary(np.random.default_rng(8), 600)
    logits = Sample(truth=sample.truth, score=10 * sample.score, classes=sample.classes, positive=1)
    found = metric("ece").interval(logits, confidence=0.95, seed=1)
    assert isinstance(found, Undefined)
    assert "no probabilities" in found.reason


def test_recall_that_is_never_reached_is_zero():
    """At a precision that no threshold has, the recall is 0 and not missing."""
    rng = np.random.default_rng(9)
    sample = Sample(truth=np.arange(900) % 3 == 0, score=rng.random(900), classes=("a", "b"), positive=1)
    assert find_metric("recall_at_precision", 0.999).value(sample) <= 0.02


@pytest.mark.parametrize("name", ["average_precision", "median_absolute_error"])
def test_a_challenger_at_the_margin_seldom_passes(name, monkeypatch):
    """Simulated with fewer draws: at most 5 % and three standard errors; the longer simulation is in the docstrings."""
    monkeypatch.setattr("mlgate.statistics.bootstrap.DRAWS", 300)
    rng, samples, found = np.random.default_rng(10), 120, metric(name)
    large = pair(name, rng, 300_000)
    better = -1 if name == "median_absolute_error" else 1
    loss = better * (found.value(large[0]) - found.value(large[1]))
    results = [found.difference(*pair(name, rng, 300), confidence=0.95, seed=s) for s in range(samples)]
    passed = np.mean([isinstance(result, Interval) and result.lower > loss for result in results])
    assert loss < 0
    assert passed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / samples)


def test_more_rows_than_a_bag_are_bagged():
    """Beyond 10 000 rows the method changes, and is named."""
    challenger, champion = pair("average_precision", np.random.default_rng(11), 12_000)
    found = metric("average_precision").difference(challenger, champion, confidence=0.95, seed=1)
    assert isinstance(found, Interval)
    assert found.method == "bag of little bootstraps"
    assert found.lower < found.estimate < found.upper
