"""Order-statistic bounds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.quantiles import (
    attained_confidence,
    lower_rank,
    median_upper_rank,
    quantile_interval,
    quantile_lower,
    quantile_upper,
    upper_rank,
)


# From the binomial table for p = 0.5: P(X <= 14) = 0.979, P(X <= 13) = 0.942 for n = 20, and so on.
@pytest.mark.parametrize(("n", "rank"), [(1, None), (4, None), (5, 5), (6, 6), (7, 7), (8, 7), (10, 9), (20, 15)])
def test_the_median_is_bounded_by_the_rank_of_the_binomial_table(n, rank):
    """The slowest of five bounds the median at 95 %; four are too few."""
    assert median_upper_rank(n, 0.95) == rank


def test_the_slowest_of_five_is_a_96_9_percent_claim():
    """1 - 0.5**5."""
    assert attained_confidence(5, 5, 0.5) == pytest.approx(0.96875)


def test_the_median_of_five_lies_between_fastest_and_slowest():
    """What the cold-start checks judge."""
    result = quantile_interval([3.0, 1.0, 5.0, 2.0, 4.0], 0.5, 0.95)
    assert isinstance(result, Interval)
    assert (result.lower, result.estimate, result.upper) == (1.0, 3.0, 5.0)


@pytest.mark.parametrize(("q", "n"), [(0.5, 5), (0.95, 59), (0.99, 299)])
def test_an_upper_bound_needs_the_violation_free_n(q, n):
    """The largest value bounds the quantile from the n where q**n falls under 5 %."""
    assert quantile_upper(np.arange(n), q, 0.95) == n - 1
    assert quantile_upper(np.arange(n - 1), q, 0.95) is None
    assert quantile_lower(np.arange(n - 1), 1 - q, 0.95) is None
    assert isinstance(quantile_interval(np.arange(n - 1.0), q, 0.95), Undefined)


@given(st.integers(1, 500), st.floats(0.01, 0.99))
def test_ranks_are_the_tightest_that_hold(n, q):
    """The rank attains the confidence and the one below does not; the lower rank is its mirror image."""
    rank = upper_rank(n, q, 0.95)
    if rank is None:
        assert attained_confidence(n, n, q) < 0.95
        return
    assert attained_confidence(n, rank, q) >= 0.95 - 1e-9
    assert rank == 1 or attained_confidence(n, rank - 1, q) < 0.95
    assert lower_rank(n, 1 - q, 0.95) in {n + 1 - rank, n - rank, n + 2 - rank}


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=80))
def test_bounds_enclose_the_estimate(values):
    """Also with ties."""
    result = quantile_interval(values, 0.5, 0.95)
    assert isinstance(result, Interval)
    assert result.lower <= result.estimate <= result.upper


def test_the_bound_holds_as_often_as_it_says():
    """95th percentile of 100 exponentials: the true one lies above the bound at most 5 % of the time."""
    rng = np.random.default_rng(0)
    bounds = [quantile_upper(np.sort(rng.exponential(size=100)), 0.95, 0.95) for _ in range(2000)]
    assert np.mean(np.array(bounds) < -math.log(0.05)) <= 0.05


def test_bad_values_are_refused():
    """NaN, unsorted values, and ranks that are not there."""
    with pytest.raises(ValueError, match="NaN"):
        quantile_interval([1.0, math.nan], 0.5, 0.95)
    with pytest.raises(ValueError, match="ascending"):
        quantile_upper([2.0, 1.0], 0.5, 0.95)
    with pytest.raises(ValueError, match="rank"):
        attained_confidence(5, 6, 0.5)
    with pytest.raises(ValueError, match="q"):
        upper_rank(5, 95, 0.95)
    assert upper_rank(0, 0.5, 0.95) is None
