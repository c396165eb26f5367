"""The Bayesian bootstrap with pseudo-rows, against exact bounds and a slow loop."""

import numpy as np
import pytest
from scipy import stats

from mlgate.statistics import reweighting
from mlgate.statistics.proportions import clopper_pearson_upper
from mlgate.statistics.reweighting import upper_bound


def first(means):
    """The mean of the only column."""
    return means[:, 0]


@pytest.mark.parametrize(("k", "n"), [(0, 50), (3, 100), (40, 200)])
def test_one_pseudo_row_on_a_share_is_clopper_pearson(k, n):
    """The quantile of beta(k + 1, n - k), but for the Monte Carlo error of 4 000 draws."""
    rows = (np.arange(n) < k).astype(float)[:, np.newaxis]
    found = upper_bound(rows, rows[:, 0], np.ones(1), first, 0.95, seed=1, pseudo_rows=1.0)
    assert clopper_pearson_upper(k, n, 0.95) == pytest.approx(stats.beta.ppf(0.95, k + 1, n - k))
    assert stats.beta.cdf(found, k + 1, n - k) == pytest.approx(0.95, abs=0.012)


def slowly(rows, sizes, worst, worst_size, statistic, pseudo_rows, draws=4000):
    """One draw after the other: Dirichlet weights on the rows and on the pseudo-row."""
    rng = np.random.default_rng(99)
    shapes = np.append(np.ones(len(rows)), pseudo_rows)
    sums, per_row = np.vstack([rows, worst]), np.append(sizes, worst_size)
    values = [statistic(np.array([w @ sums / (w @ per_row)]))[0] for w in rng.dirichlet(shapes, draws)]
    return np.sort(values)


@pytest.mark.parametrize("n", [150, 3000])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_bound_is_that_of_a_slow_loop(n, grouped, monkeypatch):
    """A difference of roots of means, of rows and of groups; of 3000 rows only 300 are drawn alone."""
    monkeypatch.setattr(reweighting, "EXACT_ROWS", 300)
    rng = np.random.default_rng(n)
    sizes = rng.integers(1, 6, n).astype(float) if grouped else np.ones(n)
    rows = rng.exponential(size=(n, 2)) * sizes[:, np.newaxis]

    def roots(means):
        return np.sqrt(means[:, 0]) - np.sqrt(means[:, 1])

    mean = rows.sum(axis=0) / sizes.sum()
    influence = ((rows - sizes[:, np.newaxis] * mean) / (2 * np.sqrt(mean)) @ [1.0, -1.0]) / sizes.sum()
    index = int(influence.argmax())
    found = upper_bound(
        rows, influence, rows[index], roots, 0.95, seed=3, sizes=sizes, worst_size=sizes[index], pseudo_rows=2.0
    )
    values = slowly(rows, sizes, rows[index], sizes[index], roots, 2.0)
    # Both have a Monte Carlo error of 0.34 points in the level.
    assert np.searchsorted(values, found) / values.size == pytest.approx(0.95, abs=0.015)
