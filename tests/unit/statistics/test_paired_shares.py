"""The bound of paired shares that gates: its exact error at the margin, and rows in groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired_shares import (
    CORRECTION,
    grouped_share_interval,
    paired_share_interval,
    paired_share_lower,
)
from mlgate.statistics.power import rows_needed_identical

tables = (
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2000))
    .map(lambda t: (t[0], t[1], t[0] + t[1] + t[2]))
    .filter(lambda t: t[2] > 0)
)


def passes(b, c, n, margin):
    """Say which tables lie above -margin, all at once: the tests that the bound turns around."""
    linear = -b - c - (2 * n - b + c) * margin
    constant = c * margin * (1 + margin)
    q = (np.sqrt(linear**2 - 8 * n * constant) - linear) / (4 * n)
    variance = n * (2 * q - margin * (1 + margin))
    score = (b - c + n * margin - CORRECTION * (b > 0)) / np.sqrt(np.maximum(variance, 1e-300))
    exact = stats.beta.ppf(0.95, c + 1, n - c) < margin
    return (score > stats.norm.ppf(0.95)) & ((b > 0) | exact)


def error_at_margin(n, margin, gains):
    """Enumerate the probability that a challenger exactly at the margin passes."""
    losses = gains + margin
    reach = [min(n, int(n * p + 8 * np.sqrt(n * p + 1)) + 2) for p in (gains, losses)]
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(reach[0] + 1), np.arange(reach[1] + 1)))
    b, c = b[b + c <= n], c[b + c <= n]
    b, c = (counts[passes(b, c, n, margin)] for counts in (b, c))
    rest = n - b - c
    ways = special.gammaln(n + 1) - special.gammaln(b + 1) - special.gammaln(c + 1) - special.gammaln(rest + 1)
    return float(
        np.exp(ways + special.xlogy(b, gains) + special.xlogy(c, losses) + rest * np.log1p(-gains - losses)).sum()
    )


@given(tables, st.floats(0.005, 0.2))
def test_the_enumerated_test_is_the_bound(table, margin):
    """What the next test enumerates is what gates."""
    b, c, n = table
    lower = paired_share_lower(b, c, n, 0.95)
    if abs(lower + margin) > 1e-6:
        assert bool(passes(np.array(b), np.array(c), n, margin)) is (lower > -margin)


@pytest.mark.parametrize("margin", [0.002, 0.005, 0.01, 0.02, 0.05, 0.1])
def test_a_challenger_at_the_margin_passes_at_most_5_percent(margin):
    """Exactly, for n from 50 to 5 000, from no gains (Tango's alone: 7.2 %) to many, and at the least n that passes."""
    least = rows_needed_identical(margin, 0.95)
    errors = {
        (n, gains): error_at_margin(n, margin, gains)
        for n in (50, 52, 59, 75, 100, 150, 200, 268, 299, 450, 1500, 5000, least, least + 7)
        for gains in (0.0, 0.0005, 0.002, 0.01, 0.02, 0.05, 0.1, 0.2)
        if n * gains < 300
    }
    assert max(errors.values()) <= 0.05
    # The bound is not merely loose: somewhere it spends nearly all of its error.
    assert max(errors.values()) > 0.04


@pytest.mark.parametrize(("margin", "n"), [(0.01, 299), (0.05, 59)])
def test_identical_models_pass_from_the_rows_of_the_exact_bound(margin, n):
    """Tango's alone passes them from 268 and 52 rows, and with them a model that loses the margin, 7 % of the time."""
    assert rows_needed_identical(margin, 0.95) == n
    assert paired_share_lower(0, 0, n, 0.95) > -margin
    assert not paired_share_lower(0, 0, n - 1, 0.95) > -margin


@given(tables)
def test_intervals_enclose_the_estimate_and_mirror(table):
    """Within [-1, 1], with width, and the negative for swapped models."""
    b, c, n = table
    one, two = paired_share_interval(b, c, n, 0.95), paired_share_interval(c, b, n, 0.95)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert -1 <= one.lower <= one.estimate <= one.upper <= 1
    assert one.width > 0
    assert (one.lower, one.upper) == (-two.upper, -two.lower)


@given(tables)
def test_a_gain_never_lowers_the_bound(table):
    """Also from none to the first, where the method changes."""
    b, c, n = table
    assert paired_share_lower(b + 1, c, n + 1, 0.95) >= paired_share_lower(b, c, n + 1, 0.95) - 1e-9


def test_no_rows_are_undefined():
    """Neither with groups nor without."""
    assert isinstance(paired_share_interval(0, 0, 0, 0.95), Undefined)
    assert isinstance(grouped_share_interval([], [], 0.95, seed=0), Undefined)
    few = grouped_share_interval(np.ones(95), np.arange(95) % 19, 0.95, seed=0)
    assert isinstance(few, Undefined)
    assert "19 groups" in few.reason


def test_identical_models_in_groups_get_the_rule_of_three_over_groups():
    """200 groups of 50 rows without a difference: some 1.5 % of the groups may be lost, not of the rows."""
    result = grouped_share_interval(np.zeros(10_000), np.repeat(np.arange(200), 50), 0.95, seed=0, lowest=-1.0)
    assert isinstance(result, Interval)
    assert result.lower == pytest.approx(-(1 - 0.05 ** (1 / 200)))
    assert result.upper == -result.lower
    assert result.n == 10_000
    assert result.details["groups"] == 200


def test_losses_in_groups_seldom_pass_at_the_margin_and_rows_taken_alone_often_do():
    """Losses that come by group: the bound over groups keeps 5 %, the one over rows passes a fifth and more."""
    rng = np.random.default_rng(6)
    # Mean of losses, less that of gains among the rows that are not lost.
    margin = 0.5 / 6.5 - 0.5 / 12.5 * 6 / 6.5
    by_group = by_row = 0
    for i in range(300):
        group = np.repeat(np.arange(60), rng.integers(2, 40, 60))
        losing, gaining = (rng.beta(0.5, b, 60)[group] for b in (6, 12))
        lost = rng.random(group.size) < losing
        won = ~lost & (rng.random(group.size) < gaining)
        found = grouped_share_interval(won.astype(int) - lost, group, 0.95, seed=i, lowest=-1.0)
        assert isinstance(found, Interval)
        by_group += found.lower > -margin
        by_row += paired_share_lower(int(won.sum()), int(lost.sum()), group.size, 0.95) > -margin
    assert by_group / 300 <= 0.05
    assert by_row / 300 > 0.1
