"""Simulated one-sided errors of the AUC's bounds at the margin, also near 1, with broken rows, and in groups."""

import math

import numpy as np
import pytest
from scipy import stats

from mlgate.statistics.auc import auc_covariance, auc_interval, paired_auc_interval
from mlgate.statistics.interval import Interval

SAMPLES = 150
# 5 % and three standard errors of the simulation; the figures of longer ones are in auc.py.
AT_MOST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / SAMPLES)


def separation(area: float) -> float:
    """Give the distance of two unit normals with this AUC."""
    return float(stats.norm.ppf(area)) * math.sqrt(2)


def binormal(rng, positives, negatives, champion, challenger, correlation):
    """Draw labels and correlated scores of both models."""
    y = np.repeat([True, False], [positives, negatives])
    old, own = rng.normal(size=(2, y.size))
    new = correlation * old + math.sqrt(1 - correlation**2) * own
    return y, new + separation(challenger) * y, old + separation(champion) * y


def plain_delong_lower(y, new, old):
    """Bound the difference as the textbook does."""
    covariance = auc_covariance(y, new, old)
    areas = [float(np.mean(np.heaviside(s[y][:, None] - s[~y][None, :], 0.5))) for s in (new, old)]
    return areas[0] - areas[1] - 1.645 * math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])


@pytest.mark.parametrize("area", [0.70, 0.90, 0.99, 0.997])
@pytest.mark.parametrize(("positives", "negatives"), [(85, 85), (500, 500), (100, 900)])
def test_a_challenger_at_the_margin_seldom_passes(area, positives, negatives):
    """With a true loss equal to the margin the lower bound is above it in at most 5 % of the samples."""
    rng = np.random.default_rng(2)
    loss, passed, failed = min(0.05, 3 * (1 - area)), 0, 0
    for _ in range(SAMPLES):
        result = paired_auc_interval(*binormal(rng, positives, negatives, area, area - loss, 0.9), 0.95)
        assert isinstance(result, Interval)
        passed += result.lower > -loss
        failed += result.upper < -loss
    assert passed / SAMPLES <= AT_MOST
    assert failed / SAMPLES <= AT_MOST


def test_plain_delong_fails_where_this_does_not():
    """At 0.997 with 85 + 85 rows the textbook's bound misses in more than 10 %: the test above is not idle."""
    rng = np.random.default_rng(3)
    missed = [plain_delong_lower(*binormal(rng, 85, 85, 0.997, 0.992, 0.9)) > -0.005 for _ in range(SAMPLES)]
    assert np.mean(missed) > 0.10


@pytest.mark.parametrize(("positives", "negatives", "area", "loss"), [(85, 85, 0.99, 0.02), (300, 1000, 0.9, 0.02)])
def test_a_challenger_that_breaks_few_rows_seldom_passes(positives, negatives, area, loss):
    """Positives sent to the bottom of an otherwise equal ranking: rows that a small sample may not show."""
    rng, passed, textbook = np.random.default_rng(4), 0, 0
    for _ in range(SAMPLES):
        y, new, old = binormal(rng, positives, negatives, area, area, 0.99)
        new = np.where(y & (rng.random(y.size) < loss / area), -99.0, new)
        result = paired_auc_interval(y, new, old, 0.95)
        assert isinstance(result, Interval)
        passed += result.lower > -loss
        textbook += plain_delong_lower(y, new, old) > -loss
    assert passed / SAMPLES <= AT_MOST
    assert textbook >= passed


def test_equal_models_pass_at_adequate_n():
    """No loss, 1000 rows, an AUC of 0.99 and a margin of 0.01: at least 90 % pass."""
    rng = np.random.default_rng(5)
    results = [paired_auc_interval(*binormal(rng, 500, 500, 0.99, 0.99, 0.95), 0.95) for _ in range(100)]
    assert np.mean([isinstance(result, Interval) and result.lower > -0.01 for result in results]) >= 0.9


@pytest.mark.parametrize("area", [0.85, 0.99])
def test_a_single_models_bounds_seldom_miss(area):
    """The floor's one-sided errors."""
    rng = np.random.default_rng(6)
    results = [auc_interval(*binormal(rng, 100, 400, 0.5, area, 0.0)[:2], 0.95) for _ in range(SAMPLES)]
    assert np.mean([isinstance(result, Interval) and result.lower > area for result in results]) <= AT_MOST
    assert np.mean([isinstance(result, Interval) and result.upper < area for result in results]) <= AT_MOST


def grouped(rng, groups, size, loss):
    """Draw groups of rows of both classes that share what each model gets wrong."""
    group = np.repeat(np.arange(groups), size)
    y = rng.random(group.size) < 0.5
    shared = rng.normal(size=(2, groups))[:, group]
    own = rng.normal(size=(2, group.size))
    # A group's effect acts against the class: it moves the positive rows up and the negative rows down.
    scores = 0.6 * own + 0.8 * shared * np.where(y, 1.0, -1.0) + separation(0.85) * y
    return group, y, scores[0] - loss * y, scores[1]


def test_rows_in_groups_need_the_groups():
    """At the margin, the clustered bound misses in at most 5 %, and the bound for independent rows in far more."""
    rng = np.random.default_rng(7)
    half = separation(0.85) / math.sqrt(2 * (0.36 + 0.64))
    loss = float(stats.norm.cdf(half) - stats.norm.cdf(half - 0.15 / math.sqrt(2)))
    by_group = by_row = 0
    for _ in range(SAMPLES):
        group, y, new, old = grouped(rng, 60, 10, 0.15)
        clustered = paired_auc_interval(y, new, old, 0.95, group=group)
        naive = paired_auc_interval(y, new, old, 0.95)
        assert isinstance(clustered, Interval)
        assert isinstance(naive, Interval)
        by_group += clustered.lower > -loss
        by_row += naive.lower > -loss
    assert by_group / SAMPLES <= AT_MOST
    assert by_row / SAMPLES > 0.12
