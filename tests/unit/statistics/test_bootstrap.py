"""The bootstrap against scipy, and its little bags against itself."""

import math

import numpy as np
import pytest
from scipy import stats

from mlgate.statistics import bootstrap
from mlgate.statistics.bootstrap import acceleration, bca_quantiles, bootstrap_bounds


def mean_of(values):
    """The weighted mean, as a function of weights of some of the values."""

    def make(units):
        chosen = values if units is None else values[units]
        return lambda weights: (weights @ chosen) / weights.sum(axis=1)

    return make


def test_bca_equals_scipy_on_the_same_draws():
    """Bias correction and acceleration of scipy.stats.bootstrap, from its own bootstrap distribution."""
    values = np.random.default_rng(0).exponential(size=60)
    theirs = stats.bootstrap((values,), np.mean, confidence_level=0.9, n_resamples=4000, method="BCa", rng=1)
    left_out = (values.sum() - values) / 59
    ours = bca_quantiles(
        np.sort(theirs.bootstrap_distribution), float(values.mean()), acceleration(left_out), confidence=0.95
    )
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_agree_with_scipys(seed):
    """Own draws against scipy's: the same but for Monte Carlo error and the small-sample factor, 8 / n."""
    values = np.random.default_rng(seed).lognormal(size=300)
    theirs = stats.bootstrap((values,), np.mean, confidence_level=0.9, n_resamples=4000, method="BCa", rng=seed)
    found = bootstrap_bounds(mean_of(values), 300, float(values.mean()), 0.95, seed=seed)
    low, high, mean = *theirs.confidence_interval, float(values.mean())
    assert found is not None
    assert found.method == "BCa bootstrap"
    assert mean - found.lower == pytest.approx((mean - low) * (1 + 8 / 300), rel=0.1)
    assert found.upper - mean == pytest.approx((high - mean) * (1 + 8 / 300), rel=0.1)
    assert found.standard_error == pytest.approx(theirs.standard_error, rel=0.1)


def test_little_bags_agree_with_the_analytic_bounds(monkeypatch):
    """30 000 values in bags of 2 000: the quantiles of the mean are those of the normal."""
    monkeypatch.setattr(bootstrap, "SUBSET", 2_000)
    values = np.random.default_rng(1).exponential(size=30_000)
    found = bootstrap_bounds(mean_of(values), values.size, float(values.mean()), 0.95, seed=2)
    error = float(values.std()) / math.sqrt(values.size)
    assert found is not None
    assert found.method == "bag of little bootstraps"
    assert found.standard_error == pytest.approx(error, rel=0.07)
    assert values.mean() - found.lower == pytest.approx(1.645 * error, rel=0.12)
    assert found.upper - values.mean() == pytest.approx(1.645 * error, rel=0.12)


def test_the_same_seed_gives_the_same_bounds():
    """A rerun repeats, and another seed does not."""
    values = np.random.default_rng(3).normal(size=150)
    one, two, other = (bootstrap_bounds(mean_of(values), 150, float(values.mean()), 0.95, seed=s) for s in (5, 5, 6))
    assert one == two
    assert one != other


def test_memory_is_bounded_by_the_chunks(monkeypatch):
    """No call asks for more weights than `CELLS`, also where a unit is many rows."""
    monkeypatch.setattr(bootstrap, "CELLS", 10_000)
    asked = []

    def make(units):
        def statistic(weights):
            asked.append(weights.size)
            return weights[:, 0] * 1.0

        return statistic

    bootstrap_bounds(make, 50, 1.0, 0.95, seed=1, rows_per_unit=4.0)
    assert max(asked) <= 10_000 / 4
    assert len(asked) > 40


def test_draws_without_a_value_leave_no_interval():
    """A statistic that has none on more than 1 % of the resamples has no distribution."""
    found = bootstrap_bounds(
        lambda units: lambda weights: np.where(weights[:, 0] > 0, 1.0, np.nan), 50, 1.0, 0.95, seed=1
    )
    assert found is None


def test_a_confidence_that_is_none_is_refused():
    """At one half a lower bound would lie above its estimate."""
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_bounds(mean_of(np.ones(5)), 5, 1.0, 0.4, seed=1)
