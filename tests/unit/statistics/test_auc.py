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


@pytest.mark.parametrize(
    "configuration",
    [(100, 100, 0.9, 0.88, 0.9), (100, 1000, 0.8, 0.75, 0.9), (1000, 100, 0.85, 0.8, 0.8), (300, 300, 0.96, 0.94, 0.9)],
)
def test_a_challenger_at_the_margin_seldom_passes(configuration):
    """Simulated one-sided error at the margin: 5 % plus the noise of 1500 samples (two standard errors)."""
    rng = np.random.default_rng(2)
    truth = configuration[3] - configuration[2]
    passed = failed = 0
    for _ in range(1500):
        result = paired_auc_interval(*draw(rng, *configuration), 0.95)
        if isinstance(result, Interval):
            passed += result.lower > truth
            failed += result.upper < truth
    assert passed / 1500 <= 0.061
    assert failed / 1500 <= 0.061


@pytest.mark.parametrize("lost", [3, 10, 30])
def test_a_challenger_that_breaks_few_rows_seldom_passes(lost):
    """Positives sent to the bottom of the ranking: the floor keeps the error at the margin at 5 % plus noise."""
    rng = np.random.default_rng(3)
    share, passed = lost / 300, 0
    for _ in range(800):
        y, _, old = draw(rng, 300, 1000, 0.9, 0.9, 0.0)
        new = np.where((y == 1) & (rng.random(y.size) < share), -99.0, old)
        result = paired_auc_interval(y, new, old, 0.95)
        passed += isinstance(result, Interval) and result.lower > -0.9 * share
    assert passed / 800 <= 0.065


def test_a_single_models_bounds_seldom_miss():
    """The floor's one-sided errors are 5 % plus the noise of 1500 samples."""
    rng = np.random.default_rng(4)
    results = [auc_interval(*draw(rng, 100, 400, 0.85, 0.5, 0.0)[::2], 0.95) for _ in range(1500)]
    assert np.mean([isinstance(result, Interval) and result.lower > 0.85 for result in results]) <= 0.061
    assert np.mean([isinstance(result, Interval) and result.upper < 0.85 for result in results]) <= 0.061


def test_identical_scores_get_a_width():
    """No changed placement bounds the share of rows that would change by the rule of three in either class."""
    y, _, old = draw(np.random.default_rng(5), 1000, 1000, 0.8, 0.8, 0.0)
    result = paired_auc_interval(y, old, old, 0.95)
    assert isinstance(result, Interval)
    assert (result.lower, result.estimate, result.upper) == pytest.approx((-0.00736, 0, 0.00736), abs=1e-5)


def test_constant_scores_get_a_width():
    """A model that scores every row alike has AUC 0.5 and no variance; its interval is not a point."""
    result = auc_interval(np.repeat([0, 1], 200), np.zeros(400), 0.95)
    assert isinstance(result, Interval)
    assert result.estimate == 0.5
    assert result.lower < 0.49
    assert result.upper > 0.51


@pytest.mark.parametrize(
    "configuration",
    [
        (99, 5000, 0.8, 0.8, 0.5),
        (1000, 1000, 0.99, 0.9, 0.5),
        (1000, 1000, 0.9, 0.99, 0.5),
        (100, 5000, 0.95, 0.9, 0.5),
    ],
)
def test_where_delong_fails_there_is_no_interval(configuration):
    """Few rows of a class, or an AUC near 1, are a reason and not a number."""
    result = paired_auc_interval(*draw(np.random.default_rng(6), *configuration), 0.95)
    assert isinstance(result, Undefined)
    assert "class" in result.reason or "AUC" in result.reason


def test_perfect_and_single_class_data_are_undefined():
    """Zero variance at AUC 1 never becomes a zero width."""
    y = np.repeat([0, 1], 500)
    assert auc(y, y) == 1.0
    assert isinstance(auc_interval(y, y, 0.95), Undefined)
    assert isinstance(paired_auc_interval(y, y, y, 0.95), Undefined)
    assert isinstance(paired_auc_interval(np.ones(9), np.ones(9), np.ones(9), 0.95), Undefined)
    assert isinstance(auc_covariance([0, 1], [0, 1], [0, 1]), Undefined)


def test_nan_scores_and_wrong_labels_are_refused():
    """A NaN score has no rank, and labels are 0 and 1."""
    with pytest.raises(ValueError, match="NaN"):
        auc([0, 1], [0.1, math.nan])
    with pytest.raises(ValueError, match="other than 0 and 1"):
        auc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="lengths"):
        auc([0, 1], [0.1])
