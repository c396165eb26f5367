"""Mean losses, paired."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired import paired_mean_interval


def test_symmetric_differences_give_the_t_interval():
    """Without skewness the bounds are SciPy's."""
    half = np.random.default_rng(0).normal(size=50)
    values = np.concatenate([half, -half]) + 0.3
    result = paired_mean_interval(values, 0.95)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert isinstance(result, Interval)
    assert (result.lower, result.upper) == pytest.approx((expected.low, expected.high))
    assert result.standard_error == pytest.approx(stats.sem(values))


@given(st.lists(st.floats(-100, 100), min_size=25, max_size=60, unique=True))
def test_swapping_the_models_mirrors_the_interval(values):
    """The negative differences have the negative bounds, around the estimate and never wider than nothing."""
    one, two = (paired_mean_interval(sign * np.array(values), 0.95) for sign in (1, -1))
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower))
    assert one.lower < one.estimate < one.upper


@pytest.mark.parametrize("values", [[0.0] * 500, [0.2] * 500, [0.0] * 490 + [1e-9] * 10])
def test_hardly_any_variance_is_no_interval_when_the_loss_is_unbounded(values):
    """Zero width never gates, and neither does the width of ten rows."""
    result = paired_mean_interval(values, 0.95)
    assert isinstance(result, Undefined)
    assert "differ" in result.reason


def test_a_bounded_loss_gets_the_rule_of_three():
    """Identical models with a loss in [0, 1]: unseen rows are at most 3/n, each costing at most 1."""
    result = paired_mean_interval(np.zeros(1000), 0.95, largest=1.0)
    assert isinstance(result, Interval)
    assert (result.lower, result.upper) == pytest.approx((-0.00299, 0.00299), abs=1e-5)


def test_a_rarely_broken_challenger_seldom_passes():
    """Losses of 1 on a few rows: the floor keeps the error at the margin under 5 %."""
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(1500):
        result = paired_mean_interval((rng.random(500) < 0.01).astype(float), 0.95, largest=1.0)
        assert isinstance(result, Interval)
        passed += result.upper < 0.01
    assert passed / 1500 <= 0.05


@pytest.mark.parametrize(("name", "at_most"), [("normal", 0.065), ("exponential", 0.07), ("laplace", 0.065)])
def test_a_challenger_at_the_margin_seldom_passes(name, at_most):
    """Simulated one-sided error for n = 100; the limits are 5 % (exponential: 5.9 %) plus the noise of 2000 samples."""
    rng = np.random.default_rng(2)
    true_mean = {"normal": 0.0, "exponential": 1.0, "laplace": 0.0}[name]
    draw = getattr(rng, name)
    results = [paired_mean_interval(draw(size=100), 0.95) for _ in range(2000)]
    uppers = np.array([result.upper for result in results if isinstance(result, Interval)])
    lowers = np.array([result.lower for result in results if isinstance(result, Interval)])
    assert uppers.size == 2000
    assert (uppers < true_mean).mean() <= at_most
    assert (lowers > true_mean).mean() <= at_most


@pytest.mark.parametrize("bad", [[math.nan] * 30, [math.inf] * 30, [[1.0, 2.0]]])
def test_nan_and_wrong_shapes_are_refused(bad):
    """A NaN metric never compares its way to a pass (peers.md section 3.2, entry 1)."""
    with pytest.raises(ValueError, match="differences"):
        paired_mean_interval(bad, 0.95)


def test_differences_beyond_the_largest_are_refused():
    """A loss that exceeds its stated bound would make the floor a lie."""
    with pytest.raises(ValueError, match="exceeds"):
        paired_mean_interval(np.arange(30.0), 0.95, largest=1.0)
    for few in ([], [1.0]):
        assert isinstance(paired_mean_interval(few, 0.95), Undefined)
