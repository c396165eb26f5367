"""The interval of a difference of medians: against a slow search, and by simulation."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.median import CORRECTION, UNSEEN, median_interval, paired_median_interval

QUARTILE = float(stats.norm.ppf(0.75))


def slowly(new, old, confidence=0.95):
    """The largest compatible difference: every pair of a difference and a champion's median, counted row by row."""
    n, z = new.size, stats.norm.ppf(confidence)
    largest = -math.inf
    for rank, middle in enumerate(np.sort(old), start=1):
        for below, value in enumerate(np.sort(new)):
            one = int(((new < value) != (old <= middle)).sum())
            same, apart = n - one, max(below - rank - CORRECTION, 0)
            together = max(abs(below + rank - n) - CORRECTION, 0)
            if apart**2 / (one + UNSEEN) + together**2 / max(same, 1) <= z**2:
                largest = max(largest, value - middle)
    return largest


@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_the_bounds_are_those_of_a_slow_search(correlation):
    """Of 100 rows every pair of ranks is tried one by one."""
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(2, 100))
    new, old = np.abs(1.3 * (correlation * common + math.sqrt(1 - correlation**2) * own)), np.abs(common)
    found = paired_median_interval(new, old, 0.95)
    assert isinstance(found, Interval)
    assert found.estimate == pytest.approx(np.median(new) - np.median(old))
    assert found.upper == pytest.approx(slowly(new, old))
    assert found.lower == pytest.approx(-slowly(old, new))


def test_a_row_is_a_group_of_one():
    """Groups of single rows give the rows' interval, but for Student's t."""
    rng = np.random.default_rng(2)
    old = rng.exponential(size=2000)
    new = old * rng.uniform(0.8, 1.3, 2000)
    alone, grouped = (paired_median_interval(new, old, 0.95, group=group) for group in (None, np.arange(2000)))
    assert (grouped.lower, grouped.upper) == pytest.approx((alone.lower, alone.upper), rel=0.02)
    single = median_interval(new, 0.95, group=np.arange(2000))
    assert (single.lower, single.upper) == pytest.approx(
        (median_interval(new, 0.95).lower, median_interval(new, 0.95).upper), abs=0.02 * single.width
    )


def test_swapped_models_have_the_mirrored_interval():
    """Exactly: nothing is drawn."""
    new, old = np.random.default_rng(3).exponential(size=(2, 1500))
    one, two = paired_median_interval(new, old, 0.95), paired_median_interval(old, new, 0.95)
    assert (one.lower, one.upper) == (-two.upper, -two.lower)


def scaled(rng, n):
    """Errors 1.5 times as large, independent of the champion's."""
    return 1.5 * np.abs(rng.normal(size=n)), np.abs(rng.normal(size=n))


def alike(rng, n):
    """Lognormal errors a tenth larger, hardly different from the champion's; a BCa bootstrap passes 6.7 % of n = 1000."""
    common, own = rng.normal(size=(2, n))
    return 1.1 * np.exp(0.97 * common + math.sqrt(1 - 0.97**2) * own), np.exp(common)


def broken(rng, n):
    """The champion, but for one row of five without any sense."""
    old = np.abs(rng.normal(size=n))
    return np.where(rng.random(n) < 0.2, 50.0, old), old


def gap(rng, n):
    """The champion's errors are small on 55 % of the rows, else large; the challenger breaks 6 %, so that its median is large."""
    small, size = rng.random(n) < 0.55, rng.random(n)
    old = np.where(small, size, 9 + size)
    return np.where(small & (rng.random(n) < 0.06 / 0.55), 9 + size, old), old


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize(
    ("draw", "loss"),
    [
        (scaled, 0.5 * QUARTILE),
        (alike, 0.1),
        (broken, float(stats.norm.ppf((1 + 0.5 / 0.8) / 2)) - QUARTILE),
        (gap, 9 + 0.01 / 0.51 - 0.5 / 0.55),
    ],
)
def test_a_challenger_at_the_margin_seldom_passes(draw, loss, n):
    """In 400 samples; at a true error of 5 % more than 30 have a probability of 1 %."""
    passed = 0
    for seed in range(400):
        found = paired_median_interval(*draw(np.random.default_rng([n, seed]), n), 0.95)
        passed += isinstance(found, Interval) and found.upper < loss
    assert passed <= 30


def groups_of_ten(rng, groups, worse):
    """Groups of ten rows of nearly one size of error; on a third of the groups the challenger's is *worse* times as large."""
    group = np.repeat(np.arange(groups), 10)
    size, touched = np.exp(rng.normal(size=groups)), rng.random(groups) < 1 / 3
    old = size[group] * np.exp(0.1 * rng.normal(size=group.size))
    return np.where(touched, worse, 1.0)[group] * old, old, group


def test_rows_of_one_group_are_not_independent():
    """With the group the error at the margin holds; the same rows taken alone pass far too often."""
    spread = math.hypot(1, 0.1)

    def share_below(value):
        return 2 / 3 * stats.norm.cdf(math.log(value) / spread) + 1 / 3 * stats.norm.cdf(math.log(value / 2) / spread)

    loss = optimize.brentq(lambda value: share_below(value) - 0.5, 1, 2) - 1
    passed = {True: 0, False: 0}
    for seed in range(300):
        new, old, group = groups_of_ten(np.random.default_rng(seed), 150, 2.0)
        for grouped in passed:
            found = paired_median_interval(new, old, 0.95, group=group if grouped else None)
            passed[grouped] += isinstance(found, Interval) and found.upper < loss
    assert passed[True] <= 24
    assert passed[False] > 24


def test_one_models_median_by_group_holds():
    """Both bounds miss at most 5 % of the time; the order statistics of the rows miss far more."""
    missed = {True: 0, False: 0}
    for seed in range(300):
        _, old, group = groups_of_ten(np.random.default_rng(seed), 120, 1.0)
        for grouped in missed:
            missed[grouped] += median_interval(old, 0.95, group=group if grouped else None).upper < 1.0
    assert missed[True] <= 24
    assert missed[False] > 40


def test_identical_errors_have_a_width_that_falls_with_the_rows():
    """What a few rows could change, about their number over n."""
    errors = np.abs(np.random.default_rng(5).normal(size=40_000))
    few, many = (paired_median_interval(errors[:n], errors[:n], 0.95) for n in (1000, 40_000))
    assert few.estimate == many.estimate == 0
    assert few.details["differing"] == 0
    assert 0 < many.width < few.width / 10


def test_whole_errors_are_bounded_by_whole_numbers():
    """Ties: 45 % of the errors are 0 and 30 % are 1; the median is 1, and may be 0, and not more, of other rows."""
    errors = np.repeat([0.0, 1.0, 2.0], [90, 60, 50])
    found = paired_median_interval(errors, errors, 0.95)
    assert (found.lower, found.upper) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("errors", "group", "words"),
    [
        (np.arange(99.0), None, "99 rows are fewer than 100"),
        (np.arange(990.0), np.arange(990) // 10, "99 groups are fewer than 100"),
        (np.ones(200), None, "the errors are the same in all of 200 rows"),
        (np.repeat([0.0, 1.0], [900, 100]), None, "nothing varies about the medians of 1000 rows"),
        (np.zeros(0), None, "no rows"),
    ],
)
def test_what_can_not_be_bounded_is_said(errors, group, words):
    """By number; no interval of zero width."""
    found = paired_median_interval(errors, errors, 0.95, group=group)
    assert isinstance(found, Undefined)
    assert found.reason == words
