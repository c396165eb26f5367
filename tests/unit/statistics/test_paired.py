"""Tango's interval against published numbers, and its exact error at the margin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired import mcnemar_exact, tango_interval, tango_lower, tango_statistic, tango_upper

tables = (
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2000))
    .map(lambda t: (t[0], t[1], t[0] + t[1] + t[2]))
    .filter(lambda t: t[2] > 0)
)


def test_tangos_lens_trial_comes_out():
    """Tango (1998), section 6.1: n = 44, b = 0, c = 1; Z = 1.709 at margin 0.1, 90 % interval from -0.096."""
    assert tango_statistic(0, 1, 44, -0.1) == pytest.approx(1.709, abs=5e-4)
    assert tango_lower(0, 1, 44, 0.95) == pytest.approx(-0.096, abs=5e-4)


def test_tangos_sleep_study_comes_out():
    """Tango (1998), section 6.2: n = 32, b = 9, c = 3; 95 % interval -0.027 to 0.390."""
    assert tango_lower(9, 3, 32, 0.975) == pytest.approx(-0.027, abs=5e-4)
    assert tango_upper(9, 3, 32, 0.975) == pytest.approx(0.390, abs=5e-4)


def test_fagerlands_airway_example_comes_out():
    """Fagerland, Lydersen and Laake (2014, Stat. Med. 33:2850): 21 rows, b = 1, c = 7; 95 %: -0.517 to -0.026."""
    assert tango_lower(1, 7, 21, 0.975) == pytest.approx(-0.517, abs=5e-4)
    assert tango_upper(1, 7, 21, 0.975) == pytest.approx(-0.026, abs=5e-4)


@pytest.mark.parametrize(("b", "c", "n"), [(40, 20, 160), (9, 3, 32), (0, 4, 50), (30, 30, 1000), (1, 0, 9)])
def test_bounds_are_roots_of_the_quartic(b, c, n):
    """The non-iterative form (Yang, Sun and Hardin 2013, Stat. Med. 32:1336) has the same bounds among its roots."""
    g = stats.norm.ppf(0.95) ** 2
    d, s = b - c, b + c
    quartic = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * (s / g + 1),
        n * d * (2 * s / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - s) / g,
    ]
    roots = np.roots(quartic)
    for bound in (tango_lower(b, c, n, 0.95), tango_upper(b, c, n, 0.95)):
        assert np.abs(roots - bound).min() < 1e-6


@pytest.mark.parametrize(("margin", "n"), [(0.01, 268), (0.05, 52)])
def test_identical_models_pass_only_with_enough_rows(margin, n):
    """design.md section 7: no discordant rows pass a margin of 1 point from 268 rows, of 5 points from 52."""
    assert tango_lower(0, 0, n, 0.95) > -margin
    assert not tango_lower(0, 0, n - 1, 0.95) > -margin


@given(tables)
def test_intervals_enclose_the_estimate_and_have_width(table):
    """Lower < upper whatever the counts, within [-1, 1]."""
    result = tango_interval(*table, 0.95)
    assert isinstance(result, Interval)
    assert -1 <= result.lower <= result.estimate <= result.upper <= 1
    assert result.width > 0


@given(tables)
def test_swapping_the_models_mirrors_the_interval(table):
    """Challenger minus champion is the negative of champion minus challenger."""
    b, c, n = table
    one, two = tango_interval(b, c, n, 0.95), tango_interval(c, b, n, 0.95)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.upper) == (-two.upper, -two.lower)


@given(tables)
def test_one_more_loss_never_raises_the_lower_bound(table):
    """A concordant row that turns into a loss is never good news."""
    b, c, n = table
    assert tango_lower(b, c + 1, n + 1, 0.95) <= tango_lower(b, c, n + 1, 0.95) + 1e-9


@given(tables)
def test_the_lower_bound_is_where_the_test_turns(table):
    """The interval and the score test say the same."""
    b, c, n = table
    lower = tango_lower(b, c, n, 0.95)
    if lower > -0.999:
        assert tango_statistic(b, c, n, lower) == pytest.approx(stats.norm.ppf(0.95), abs=1e-4)


@pytest.mark.parametrize(("b", "c", "n"), [(0, 5, 5), (5, 0, 5), (0, 0, 1), (2, 3, 5)])
def test_models_that_are_always_wrong_have_bounds(b, c, n):
    """A champion or challenger at zero accuracy needs no ratio (peers.md section 3.2, entry 5)."""
    result = tango_interval(b, c, n, 0.95)
    assert isinstance(result, Interval)
    assert -1 <= result.lower < result.upper <= 1


def test_no_rows_are_undefined_and_impossible_counts_refused():
    """Data that are not there get a reason; counts that can not be are errors."""
    assert isinstance(tango_interval(0, 0, 0, 0.95), Undefined)
    with pytest.raises(ValueError, match="n = 0"):
        tango_lower(0, 0, 0, 0.95)
    with pytest.raises(ValueError, match="counts"):
        tango_lower(3, 3, 5, 0.95)
    with pytest.raises(ValueError, match="difference"):
        tango_statistic(0, 0, 5, -1.0)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 5), (3, 9), (20, 20), (1, 7)])
def test_mcnemar_equals_statsmodels(b, c):
    """The exact p-value agrees with statsmodels."""
    assert mcnemar_exact(b, c) == pytest.approx(mcnemar([[5, b], [c, 5]], exact=True).pvalue, abs=1e-12)


def error_at_margin(n: int, margin: float, gains: float) -> float:
    """Enumerate the probability that a challenger exactly at the margin passes."""
    losses = gains + margin
    reach = [int(n * p + 8 * np.sqrt(n * p + 1)) + 2 for p in (gains, losses)]
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(reach[0]), np.arange(reach[1])))
    passes = np.array([tango_statistic(i, j, n, -margin) > stats.norm.ppf(0.95) for i, j in zip(b, c, strict=True)])
    table = np.column_stack([b, c, n - b - c])[passes]
    return float(stats.multinomial.pmf(table, n, [gains, losses, 1 - gains - losses]).sum())


@pytest.mark.parametrize(
    ("n", "margin", "gains", "at_most"),
    [
        (268, 0.01, 0.0, 0.068),  # the worst: no gains, at the least n that can pass; 0.99**268
        (299, 0.01, 0.0, 0.050),
        (268, 0.01, 0.01, 0.051),
        (1000, 0.01, 0.0, 0.050),
        (1000, 0.01, 0.02, 0.051),
        (52, 0.05, 0.0, 0.070),
        (300, 0.05, 0.02, 0.051),
    ],
)
def test_a_challenger_at_the_margin_seldom_passes(n, margin, gains, at_most):
    """The exact error of the score test is 5 % but for the corner without gains, where it reaches 7 %."""
    assert error_at_margin(n, margin, gains) <= at_most
