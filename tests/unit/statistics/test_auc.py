"""Area under the ROC curve."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from mlgate.statistics.auc import auc, auc_covariance, auc_interval, paired_auc_interval
from mlgate.statistics.interval import Interval, Undefined


def separation(area: float) -> float:
    """Give the distance of two unit normals with this AUC."""
    return float(stats.norm.ppf(area)) * math.sqrt(2)


def draw(rng, *configuration):
    """Draw labels and correlated binormal scores of challenger and champion with the AUCs of the configuration."""
    positives, negatives, champion, challenger, correlation = configuration
    n = positives + negatives
    y = np.repeat([1, 0], [positives, negatives])
    old = rng.normal(size=n)
    new = correlation * old + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    return y, new + separation(challenger) * y, old + separation(champion) * y


@given(st.lists(st.tuples(st.booleans(), st.integers(-5, 5)), min_size=2, max_size=80))
def test_the_value_equals_scikit_learn_also_with_ties(rows):
    """Mid-ranks count ties half, as roc_auc_score does."""
    y, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    value = auc(y, score)
    if 0 < y.sum() < y.size:
        assert value == pytest.approx(roc_auc_score(y, score))
    else:
        assert isinstance(value, Undefined)


def test_the_covariance_equals_the_definition():
    """The fast mid-rank form equals DeLong's double sum over all pairs."""
    y, one, two = draw(np.random.default_rng(0), 30, 40, 0.8, 0.7, 0.5)
    one = np.round(one, 1)
    kernels = [np.heaviside(s[y == 1][:, None] - s[y == 0][None, :], 0.5) for s in (one, two)]
    expected = np.cov([k.mean(axis=1) for k in kernels]) / 30 + np.cov([k.mean(axis=0) for k in kernels]) / 40
    assert auc_covariance(y, one, two) == pytest.approx(expected)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0, 0.999))
def test_swapping_the_models_mirrors_the_interval(seed, correlation):
    """Challenger minus champion is the negative of champion minus challenger, and the bounds enclose it."""
    y, new, old = draw(np.random.default_rng(seed), 150, 200, 0.8, 0.75, correlation)
    one, two = paired_auc_interval(y, new, old, 0.95), paired_auc_interval(y, old, new, 0.95)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower))
    assert one.lower < one.estimate < one.upper


def test_a_monotone_change_of_scale_changes_nothing():
    """Only ranks count: a champion with logits and a challenger with probabilities are comparable."""
    y, new, old = draw(np.random.default_rng(1), 200, 300, 0.8, 0.75, 0.9)
    assert paired_auc_interval(y, new, np.exp(old), 0.95) == paired_auc_interval(y, new, old, 0.95)


def test_identical_scores_get_a_width():
    """No changed placement bounds the share of broken rows of either class by the rule of three."""
    y, _, old = draw(np.random.default_rng(5), 1000, 1000, 0.8, 0.8, 0.0)
    result = paired_auc_interval(y, old, old, 0.95)
    assert isinstance(result, Interval)
    assert (result.lower, result.estimate, result.upper) == pytest.approx((-0.00423, 0, 0.00423), abs=1e-5)


def test_constant_scores_get_a_width():
    """A model that scores every row alike has AUC 0.5 and no variance; its interval is not a point."""
    result = auc_interval(np.repeat([0, 1], 200), np.zeros(400), 0.95)
    assert isinstance(result, Interval)
    assert result.estimate == 0.5
    assert result.lower < 0.49
    assert result.upper > 0.51


def test_too_few_rows_of_a_class_have_no_interval():
    """29 rows are a reason and not a number; 30 of either class are enough for a wide one."""
    y, new, old = draw(np.random.default_rng(6), 29, 5000, 0.8, 0.8, 0.5)
    result = paired_auc_interval(y, new, old, 0.95)
    assert isinstance(result, Undefined)
    assert result.reason == "the rarer class has 29 rows, fewer than 30"
    assert isinstance(auc_interval(y, new, 0.95), Undefined)
    wide = paired_auc_interval(*draw(np.random.default_rng(6), 30, 5000, 0.8, 0.8, 0.5), 0.95)
    assert isinstance(wide, Interval)
    assert wide.lower < -0.09  # three broken rows of 30 can hide


def test_perfect_scores_have_a_width():
    """At AUC 1 there is no variance, and still 3 of 500 rows of either class may be misranked without being seen."""
    y = np.repeat([0, 1], 500)
    result, paired = auc_interval(y, y, 0.95), paired_auc_interval(y, y, y, 0.95)
    assert auc(y, y) == 1.0
    assert isinstance(result, Interval)
    assert (result.lower, result.upper) == pytest.approx((1 - 0.00845, 1.0), abs=1e-5)
    assert isinstance(paired, Interval)
    assert (paired.lower, paired.upper) == pytest.approx((-0.00845, 0.00845), abs=1e-5)


def test_single_class_data_are_undefined():
    """Without a pair there is nothing to rank."""
    assert isinstance(paired_auc_interval(np.ones(9), np.ones(9), np.ones(9), 0.95), Undefined)
    assert isinstance(auc_interval(np.zeros(9), np.ones(9), 0.95), Undefined)
    assert isinstance(auc(np.zeros(9), np.ones(9)), Undefined)
    assert isinstance(auc_covariance([0, 1], [0, 1], [0, 1]), Undefined)


def test_nan_scores_and_wrong_labels_are_refused():
    """A NaN score has no rank, and labels are 0 and 1."""
    with pytest.raises(ValueError, match="NaN"):
        auc([0, 1], [0.1, math.nan])
    with pytest.raises(ValueError, match="other than 0 and 1"):
        auc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="lengths"):
        auc([0, 1], [0.1])
