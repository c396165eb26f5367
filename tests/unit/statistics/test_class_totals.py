"""Functions of the confusion table: error at the margin, identical models, groups, and tables too large to hold."""

import numpy as np
import pytest

from mlgate.statistics import class_totals, reweighting
from mlgate.statistics.class_totals import Answers, class_statistic, totals_interval, totals_of
from mlgate.statistics.interval import Interval


@pytest.fixture
def fewer_draws(monkeypatch):
    """Draw less often: a simulation needs many intervals, not the last digit of each."""
    monkeypatch.setattr(reweighting, "ROW_DRAWS", 800)


def table(shares, champion, challenger, together):
    """Give the probability of truth, challenger and champion; *together*: how often they draw the same answer."""
    k = len(shares)
    cells = np.zeros((k, k, k))
    for t, share in enumerate(shares):
        new, old = (np.where(np.arange(k) == t, right[t], (1 - right[t]) / (k - 1)) for right in (challenger, champion))
        same = np.minimum(new, old) * together
        cells[t] = share * (np.diag(same) + np.outer(new - same, old - same) / max((old - same).sum(), 1e-12))
    return cells


CASES = {
    "two classes": (table([0.5, 0.5], [0.8, 0.8], [0.78, 0.8], 0.9), 500),
    "a rare class": (table([0.95, 0.05], [0.97, 0.8], [0.97, 0.7], 0.95), 1000),
    "only losses": (table([0.97, 0.03], [1, 1], [1, 0.9], 1), 1000),
    "three classes": (table([0.8, 0.15, 0.05], [0.9, 0.7, 0.6], [0.9, 0.7, 0.55], 0.9), 400),
    "few rows": (table([0.7, 0.3], [0.9, 0.88], [0.9, 0.8], 0.9), 100),
}


def answers(cells, counts):
    """Turn counts by cell into answers."""
    truth, new, old = np.unravel_index(np.flatnonzero(counts), cells.shape)
    return Answers(truth=truth, models=(new, old), counts=counts[counts > 0].astype(float), classes=len(cells))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["precision", "balanced_accuracy", "f1_macro", "mcc"])
def test_a_challenger_at_the_margin_seldom_passes(case, name, fewer_draws):
    """With 600 samples at most 4.4 %; here 100, of which 11 may pass by chance at 5 % (p = 0.01)."""
    cells, n = CASES[case]
    statistic = class_statistic(name, np.ones(len(cells), dtype=bool), 1 if name == "precision" else None)
    new, old = np.split(totals_of(answers(cells, (cells * 1e9).round().ravel())), 2)
    loss = statistic(new[np.newaxis])[0] - statistic(old[np.newaxis])[0]
    rng = np.random.default_rng(3)
    found = [
        totals_interval(
            answers(cells, rng.multinomial(n, cells.ravel() / cells.sum())), statistic, 0.95, seed=i, limits=(-2, 2)
        )
        for i in range(100)
    ]
    intervals = [interval for interval in found if isinstance(interval, Interval)]
    assert len(intervals) == 100
    assert np.mean([interval.lower > loss + 1e-9 for interval in intervals]) <= 0.11
    assert np.mean([interval.upper < loss - 1e-9 for interval in intervals]) <= 0.11


def perfect(n, group=None):
    """Two models that answer *n* rows of two classes right."""
    truth = np.arange(n) % 2
    return Answers(truth=truth, models=(truth, truth), group=group, classes=2)


@pytest.mark.parametrize("groups", [None, 50])
def test_identical_models_get_a_width_that_falls_with_rows(groups):
    """About the rule of three, over groups where there are any."""
    statistic = class_statistic("balanced_accuracy", np.ones(2, dtype=bool))
    widths = []
    for factor in (1, 8):
        n = 1000 * factor
        group = None if groups is None else np.arange(n) // 2 % (groups * factor)
        found = totals_interval(perfect(n, group), statistic, 0.95, seed=0, limits=(-1, 1))
        assert isinstance(found, Interval)
        assert found.lower < 0 < found.upper
        widths.append(found.width)
        assert found.upper == pytest.approx(3 / (n if groups is None else groups * factor), rel=0.1)
    assert widths[0] / widths[1] == pytest.approx(8, rel=0.15)


@pytest.mark.parametrize("grouped", [False, True])
def test_blocks_of_units_give_nearly_the_same_interval(grouped, monkeypatch):
    """A table too large to hold is put into blocks at random; the bounds hardly move."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 12, 30_000)
    new, old = (np.where(rng.random(truth.size) < 0.8, truth, rng.integers(-1, 12, truth.size)) for _ in range(2))
    group = rng.integers(0, 9_000, truth.size) if grouped else None
    given = Answers(truth=truth, models=(new, old), group=group, classes=12)
    statistic = class_statistic("f1_macro", np.ones(12, dtype=bool))
    whole = totals_interval(given, statistic, 0.95, seed=0, limits=(-1, 1))
    monkeypatch.setattr(class_totals, "MAX_NUMBERS", 150_000)
    blocks = totals_interval(given, statistic, 0.95, seed=0, limits=(-1, 1))
    assert isinstance(whole, Interval)
    assert isinstance(blocks, Interval)
    assert blocks.estimate == pytest.approx(whole.estimate, abs=1e-12)
    assert blocks.n == whole.n == 30_000
    assert blocks.standard_error == pytest.approx(whole.standard_error, rel=0.1)
    assert (blocks.lower, blocks.upper) == pytest.approx((whole.lower, whole.upper), abs=0.15 * whole.width)


def test_grouped_rows_get_wider_bounds_than_rows_taken_alone():
    """Ten copies of each row are worth one."""
    rng = np.random.default_rng(5)
    truth = np.repeat(rng.integers(0, 3, 400), 10)
    new, old = (np.where(np.repeat(rng.random(400) < 0.8, 10), truth, (truth + 1) % 3) for _ in range(2))
    statistic = class_statistic("f1_macro", np.ones(3, dtype=bool))
    alone, grouped = (
        totals_interval(
            Answers(truth=truth, models=(new, old), group=group, classes=3), statistic, 0.95, seed=0, limits=(-1, 1)
        )
        for group in (None, np.repeat(np.arange(400), 10))
    )
    assert isinstance(alone, Interval)
    assert isinstance(grouped, Interval)
    assert grouped.standard_error == pytest.approx(alone.standard_error * np.sqrt(10), rel=0.01)
