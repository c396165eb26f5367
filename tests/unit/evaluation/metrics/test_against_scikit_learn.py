"""The metrics of counts and means have scikit-learn's values on random inputs."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.statistics.interval import Interval, Undefined

CLASSES = ("a", "b", "c", "d")


@st.composite
def labelled(draw, classes=4):
    """Draw truth and answers, some of which are no known class; not every class needs to occur."""
    n, seed, k = draw(st.integers(2, 80)), draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, classes))
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    said = np.where(rng.random(n) < draw(st.floats(0, 1)), truth, rng.integers(UNKNOWN_CLASS, k, n))
    return Sample(truth=truth, labels=said, classes=CLASSES[:k], positive=1)


def averaged(score, average):
    """Ask scikit-learn for an average over the classes of the truth."""
    return lambda y, p: score(y, p, labels=np.unique(y), average=average, zero_division=0)


def of_positive(score):
    """Ask scikit-learn for the positive class."""
    return lambda y, p: score(y == 1, p == 1, zero_division=0)


REFERENCE = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "mcc": sk.matthews_corrcoef,
    "precision": of_positive(sk.precision_score),
    "recall": of_positive(sk.recall_score),
    "f1": of_positive(sk.f1_score),
    "precision_macro": averaged(sk.precision_score, "macro"),
    "precision_weighted": averaged(sk.precision_score, "weighted"),
    "recall_macro": averaged(sk.recall_score, "macro"),
    "recall_weighted": averaged(sk.recall_score, "weighted"),
    "f1_macro": averaged(sk.f1_score, "macro"),
    "f1_weighted": averaged(sk.f1_score, "weighted"),
    "precision_micro": lambda y, p: sk.precision_score(y, p, average="micro"),
    "recall_micro": lambda y, p: sk.recall_score(y, p, average="micro"),
    "f1_micro": lambda y, p: sk.f1_score(y, p, average="micro"),
}


@pytest.mark.parametrize("name", REFERENCE)
@settings(max_examples=40, deadline=None)
@given(sample=labelled())
def test_a_metric_of_labels_agrees_with_scikit_learn(name, sample):
    """Also where a model says what is no class: a wrong answer."""
    found = find_metric(name).value(sample)
    if isinstance(found, Undefined):
        lone = np.unique(sample.truth).size == 1
        assert not (sample.truth == 1).any() if name in ("precision", "recall", "f1") else lone
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of absent classes and 0 / 0, which are what is tried here
        assert found == pytest.approx(REFERENCE[name](sample.truth, sample.labels), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(sample=labelled(classes=2))
def test_specificity_is_the_recall_of_the_other_class(sample):
    """Of two classes; what is no class is wrong."""
    found = find_metric("specificity").value(sample)
    if isinstance(found, Undefined):
        assert (sample.truth == 1).all()
    else:
        assert found == pytest.approx(sk.recall_score(sample.truth == 0, sample.labels == 0), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), k=st.integers(2, 4), narrow=st.booleans())
def test_losses_of_scores_agree_with_scikit_learn(seed, n, k, narrow):
    """Log loss and Brier score of two classes and of several, with scores of 0 and 1 among them."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(k, 0.3), n)
    scores[0] = np.eye(k)[0]
    scores = scores.astype(np.float32) if narrow else scores
    truth = rng.integers(0, k, n)
    truth[0] = 1
    labels = list(range(k))
    sample = Sample(truth=truth, scores=scores, classes=CLASSES[:k])
    expected = sk.log_loss(truth, scores, labels=labels)
    assert find_metric("log_loss").value(sample) == pytest.approx(expected, rel=1e-5)
    proba = scores[:, 1] if k == 2 else scores
    expected = sk.brier_score_loss(truth, proba, labels=labels, **({"pos_label": 1} if k == 2 else {}))
    assert find_metric("brier").value(sample) == pytest.approx(expected, rel=1e-5)
    if k == 2:
        one = Sample(truth=truth, score=scores[:, 1], classes=("n", "p"), positive=1)
        assert find_metric("brier").value(one) == pytest.approx(expected, rel=1e-5)
        expected = sk.log_loss(truth, scores[:, 1], labels=labels)
        assert find_metric("log_loss").value(one) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 80), noise=st.floats(0.01, 10), at=st.floats(0.01, 0.99))
def test_metrics_of_numbers_agree_with_scikit_learn(seed, n, noise, at):
    """R² may be negative."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(1e3, 1.0, n)
    numbers = truth + noise * rng.normal(size=n)
    sample = Sample(truth=truth, numbers=numbers)
    expected = {
        "rmse": sk.root_mean_squared_error(truth, numbers),
        "mae": sk.mean_absolute_error(truth, numbers),
        "mape": sk.mean_absolute_percentage_error(truth, numbers),
        "r2": sk.r2_score(truth, numbers),
        "pinball": sk.mean_pinball_loss(truth, numbers, alpha=at),
        "quantile_coverage": np.mean(truth <= numbers),
    }
    for name, value in expected.items():
        assert find_metric(name, at).value(sample) == pytest.approx(value, rel=1e-9), name


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), places=st.integers(1, 12), ties=st.booleans())
def test_ndcg_agrees_with_scikit_learn(seed, places, ties):
    """The mean over queries of unequal length, in any order of rows, with ties and queries without relevant items."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 15, 6)
    query = rng.permutation(np.repeat(np.arange(6) * 3, sizes))
    truth = rng.integers(0, 4, query.size) * (query != 3)
    score = rng.integers(0, 4, query.size) / 4 if ties else rng.random(query.size)
    sample = Sample(truth=truth, score=score, group=query)
    rows = [query == code for code in np.unique(query)]
    expected = np.mean([sk.ndcg_score([truth[row]], [score[row]], k=places) for row in rows])
    assert find_metric("ndcg", places).value(sample) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ties=st.booleans())
def test_mrr_agrees_with_scikit_learn_where_one_item_is_relevant(seed, ties):
    """There the label ranking average precision is the reciprocal rank, and gives a tie its last place too."""
    rng = np.random.default_rng(seed)
    truth = np.eye(7)[rng.integers(0, 7, 5)]
    score = rng.integers(0, 4, (5, 7)) / 4 if ties else rng.random((5, 7))
    sample = Sample(truth=truth.ravel(), score=score.ravel(), group=np.repeat(np.arange(5), 7))
    expected = sk.label_ranking_average_precision_score(truth, score)
    assert find_metric("mrr").value(sample) == pytest.approx(expected, abs=1e-12)


def test_mrr_is_of_the_first_relevant_item():
    """By hand: places 2 (of items at 2 and 3) and 1, and no relevant item."""
    truth = np.array([0, 1, 1, 1, 0, 0, 0])
    score = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.5, 0.1])
    sample = Sample(truth=truth, score=score, group=np.array([0, 0, 0, 1, 1, 2, 2]))
    assert find_metric("mrr").value(sample) == pytest.approx((1 / 2 + 1 + 0) / 3)


@pytest.mark.parametrize("name", [*REFERENCE, "specificity"])
@pytest.mark.parametrize("grouped", [False, True])
def test_an_interval_of_labels_holds_the_value(name, grouped):
    """The estimates of interval and difference are the values', between bounds with width."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 600)
    new, old = (np.where(rng.random(600) < p, truth, rng.integers(-1, 3, 600)) for p in (0.8, 0.7))
    group = rng.integers(0, 60, 600) * 7 if grouped else None
    one, two = (Sample(truth=truth, labels=p, classes=("a", "b", "c"), positive=1, group=group) for p in (new, old))
    metric = find_metric(name)
    single = metric.interval(one, confidence=0.95, seed=1)
    paired = metric.difference(one, two, confidence=0.95, seed=1)
    assert isinstance(single, Interval)
    assert isinstance(paired, Interval)
    assert single.estimate == pytest.approx(metric.value(one), abs=1e-12)
    assert paired.estimate == pytest.approx(metric.value(one) - metric.value(two), abs=1e-12)
    assert single.lower < single.estimate < single.upper
    assert paired.lower < paired.estimate < paired.upper
    assert single.n == paired.n == 600
    assert paired.details["b"] > paired.details["c"] > 0
    # Groups without a row of the class say nothing of its recall.
    assert paired.details.get("groups", 0) <= 60 * grouped
    assert ("groups" in paired.details) is grouped
    mirrored = metric.difference(two, one, confidence=0.95, seed=1)
    assert (mirrored.lower, mirrored.upper) == pytest.approx((-paired.upper, -paired.lower), abs=1e-9)
