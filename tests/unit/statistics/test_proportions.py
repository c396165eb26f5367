"""Exact bounds against SciPy and statsmodels, request counts, and the design effect."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.proportions import (
    clopper_pearson,
    clopper_pearson_lower,
    clopper_pearson_upper,
    design_effect,
    proportion_interval,
    violations_allowed,
    wilson,
)
from mlgate.statistics.shares import requests_needed

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (47, 6000), (3, 4)])
def test_two_sided_bounds_equal_scipy_and_statsmodels(k, n):
    """Three implementations of Clopper-Pearson agree."""
    ours = clopper_pearson(k, n, 0.95)
    theirs = stats.binomtest(k, n).proportion_ci(confidence_level=0.95, method="exact")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-10)
    assert ours == pytest.approx(proportion_confint(k, n, 0.05, method="beta"), abs=1e-10)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (47, 6000)])
def test_wilson_equals_statsmodels(k, n):
    """Wilson's interval agrees with statsmodels."""
    assert wilson(k, n, 0.95) == pytest.approx(proportion_confint(k, n, 0.05, method="wilson"), abs=1e-10)


def test_a_published_clopper_pearson_interval_comes_out():
    """Newcombe (1998, Stat. Med. 17:857), table I: 81 of 263 gives 0.2527 to 0.3676; 0 of 20 gives 0 to 0.1684."""
    assert clopper_pearson(81, 263, 0.95) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert clopper_pearson(0, 20, 0.95) == pytest.approx((0, 0.1684), abs=5e-5)


@given(counts)
def test_bounds_enclose_the_share_and_mirror(count):
    """Lower <= share <= upper, and counting the complement mirrors the bounds."""
    k, n = count
    lower, upper = clopper_pearson_lower(k, n, 0.95), clopper_pearson_upper(k, n, 0.95)
    assert lower <= k / n <= upper
    assert lower < upper
    assert clopper_pearson_upper(n - k, n, 0.95) == pytest.approx(1 - lower, abs=1e-9)


@given(st.floats(0, 50), st.floats(0, 10), st.floats(60, 1000))
def test_upper_bound_rises_with_fractional_violations(k, more, n):
    """More violations never lower the bound, also for effective (fractional) counts."""
    assert clopper_pearson_upper(k + more, n, 0.95) >= clopper_pearson_upper(k, n, 0.95) - 1e-12


def test_no_trials_bound_nothing():
    """Without data the share lies anywhere, and the interval says so with a reason."""
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)
    assert wilson(0, 0, 0.95) == (0.0, 1.0)
    assert isinstance(proportion_interval(0, 0, 0.95), Undefined)


def test_the_bounds_of_an_interval_are_one_sided():
    """The floor's interval at 95 % is the two-sided interval at 90 %."""
    result = proportion_interval(90, 100, 0.95)
    assert isinstance(result, Interval)
    assert (result.lower, result.upper) == pytest.approx(clopper_pearson(90, 100, 0.9))


@pytest.mark.parametrize(
    ("k", "n", "confidence"), [(2, 1, 0.95), (-1, 5, 0.95), (math.nan, 5, 0.95), (1, 5, 0.5), (1, 5, 1.0), (1, 5, 95)]
)
def test_impossible_arguments_are_refused(k, n, confidence):
    """Counts beyond n, NaN and percentages are programming errors."""
    with pytest.raises(ValueError, match=r"counts|confidence"):
        clopper_pearson_upper(k, n, confidence)


@pytest.mark.parametrize(("limit", "n"), [(0.001, 2995), (0.01, 299), (0.05, 59)])
def test_requests_needed_is_the_smallest_violation_free_n(limit, n):
    """At n the bound fits, one request earlier it does not."""
    assert requests_needed(limit, 0.95) == n
    assert clopper_pearson_upper(0, n, 0.95) <= limit < clopper_pearson_upper(0, n - 1, 0.95)
    assert violations_allowed(n, limit, 0.95) == 0
    assert violations_allowed(n - 1, limit, 0.95) is None


def test_six_thousand_requests_allow_47_violations_of_one_percent():
    """The example of the load suite."""
    assert violations_allowed(6000, 0.01, 0.95) == 47


@given(st.integers(60, 20_000), st.sampled_from([0.001, 0.01, 0.05]))
def test_allowed_violations_are_the_largest_count_that_fits(n, limit):
    """The next count exceeds the limit, and with it any n passes fewer than its share."""
    allowed = violations_allowed(n, limit, 0.95)
    if allowed is not None:
        assert clopper_pearson_upper(allowed, n, 0.95) <= limit < clopper_pearson_upper(allowed + 1, n, 0.95)


def test_independent_violations_have_a_design_effect_near_one():
    """Without bursts nothing is taken off the sample size."""
    rng = np.random.default_rng(0)
    effects = [design_effect(rng.random(6000) < 0.05, np.arange(6000) // 20) for _ in range(50)]
    assert 1.0 <= np.mean(effects) < 1.1


def test_blocks_that_fail_whole_have_a_design_effect_of_their_size():
    """Twenty requests that fail together carry the information of one."""
    rng = np.random.default_rng(0)
    bad = rng.random(300) < 0.1
    assert design_effect(np.repeat(bad, 20), np.repeat(np.arange(300), 20)) == pytest.approx(20, rel=0.01)


def test_design_effect_of_unequal_blocks_equals_the_formula_by_hand():
    """Blocks of 1, 2 and 5 requests with 1, 0 and 1 violations."""
    violations, block = [1, 0, 0, 1, 0, 0, 0, 0], [7, 3, 3, 9, 9, 9, 9, 9]
    residuals = np.array([1 - 0.25, 0 - 0.5, 1 - 1.25])
    by_hand = 3 / 2 * (residuals**2).sum() / 64 / (0.25 * 0.75 / 8)
    assert design_effect(violations, block) == pytest.approx(max(1.0, by_hand))


@pytest.mark.parametrize(("violations", "block"), [([], []), ([0, 0], [0, 1]), ([1, 1], [0, 1]), ([0, 1], [4, 4])])
def test_design_effect_is_one_where_it_can_not_be_computed(violations, block):
    """No violations, only violations, or fewer than two blocks."""
    assert design_effect(violations, block) == 1.0


def test_design_effect_refuses_values_other_than_zero_and_one():
    """Latencies instead of violations are a programming error, as is NaN."""
    for bad in ([0.5, 1.0], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="contains"):
            design_effect(bad, [0, 1])
    with pytest.raises(ValueError, match="lengths"):
        design_effect([0, 1], [0])
