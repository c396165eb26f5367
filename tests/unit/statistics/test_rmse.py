"""Root mean squared errors."""

import numpy as np
import pytest

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.rmse import paired_rmse_interval, rmse_interval


def exponential(rng, n=100):
    """Draw skewed champion and challenger errors; the challenger's RMSE is sqrt(1.5), the champion's sqrt(2)."""
    x = rng.exponential(size=n)
    return (x + rng.exponential(size=n)) / 2, x


def lognormal(rng, n=100):
    """Draw lognormal errors; the RMSEs are 1.1 and 1 times exp(0.25)."""
    z = rng.normal(size=n)
    return 1.1 * np.exp(0.4 * z + 0.3 * rng.normal(size=n)), np.exp(0.5 * z)


@pytest.mark.parametrize(
    ("draw", "truth"),
    [(exponential, np.sqrt(1.5) - np.sqrt(2)), (lognormal, 0.1 * np.exp(0.25))],
    ids=["exponential", "lognormal"],
)
def test_a_challenger_at_the_margin_seldom_passes_with_skewed_errors(draw, truth):
    """Both one-sided errors at n = 100 stay under 5 %."""
    rng = np.random.default_rng(4)
    results = [paired_rmse_interval(*draw(rng), 0.95, seed=i) for i in range(400)]
    intervals = [result for result in results if isinstance(result, Interval)]
    assert len(intervals) == 400
    assert np.mean([result.upper < truth for result in intervals]) <= 0.05
    assert np.mean([result.lower > truth for result in intervals]) <= 0.05


def test_a_single_models_bounds_seldom_miss():
    """The floor's one-sided errors stay under 5 % for exponential errors at n = 100."""
    rng = np.random.default_rng(5)
    intervals = [rmse_interval(rng.exponential(size=100), 0.95, seed=i) for i in range(400)]
    assert np.mean([result.upper < np.sqrt(2) for result in intervals if isinstance(result, Interval)]) <= 0.05
    assert np.mean([result.lower > np.sqrt(2) for result in intervals if isinstance(result, Interval)]) <= 0.05


@pytest.mark.parametrize("n", [100, 5000])
def test_swapping_the_models_mirrors_the_interval(n):
    """The same seed gives exactly mirrored bounds, also where most rows are drawn together."""
    challenger, champion = exponential(np.random.default_rng(6), n)
    one = paired_rmse_interval(challenger, champion, 0.95, seed=1)
    two = paired_rmse_interval(champion, challenger, 0.95, seed=1)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower), abs=1e-9)
    assert one.lower < one.estimate < one.upper


def test_the_same_seed_gives_the_same_bounds():
    """Evidence can be recomputed."""
    errors = exponential(np.random.default_rng(7))
    assert paired_rmse_interval(*errors, 0.95, seed=3) == paired_rmse_interval(*errors, 0.95, seed=3)
    assert rmse_interval(errors[0], 0.95, seed=3) == rmse_interval(errors[0], 0.95, seed=3)


def test_identical_models_get_a_width():
    """No differing row bounds the loss by unseen rows with the largest error, and more rows bound it closer."""
    errors = np.random.default_rng(8).normal(size=4000)
    widths = []
    for n in (200, 4000):
        result = paired_rmse_interval(errors[:n], errors[:n], 0.95, seed=0)
        assert isinstance(result, Interval)
        assert result.lower < result.estimate == 0 < result.upper
        widths.append(result.width)
    assert widths[0] > 5 * widths[1] > 0


def test_many_rows_approach_the_delta_method():
    """With 200 000 light-tailed rows the pseudo-rows hardly matter."""
    rng = np.random.default_rng(9)
    result = paired_rmse_interval(rng.normal(size=200_000), rng.normal(size=200_000), 0.95, seed=0)
    assert isinstance(result, Interval)
    assert result.standard_error is not None
    assert result.width < 1.1 * 2 * 1.645 * result.standard_error


def test_small_or_constant_data_are_undefined():
    """Too few rows, no error at all, and errors of one size have no interval."""
    rng = np.random.default_rng(10)
    assert isinstance(paired_rmse_interval(rng.normal(size=99), rng.normal(size=99), 0.95, seed=0), Undefined)
    assert isinstance(paired_rmse_interval(np.zeros(200), rng.normal(size=200), 0.95, seed=0), Undefined)
    assert isinstance(rmse_interval(np.ones(200), 0.95, seed=0), Undefined)
    assert isinstance(rmse_interval(rng.normal(size=99), 0.95, seed=0), Undefined)


def test_nan_and_unequal_lengths_are_refused():
    """Programming errors are not data."""
    with pytest.raises(ValueError, match="NaN"):
        rmse_interval([np.nan] * 200, 0.95, seed=0)
    with pytest.raises(ValueError, match="lengths"):
        paired_rmse_interval(np.ones(200), np.ones(201), 0.95, seed=0)
