"""Root mean squared errors."""

import numpy as np
import pytest

from mlgate.statistics import reweighting
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.rmse import paired_rmse_interval, rmse_interval


@pytest.fixture
def fewer_draws(monkeypatch):
    """Draw less often: a simulation needs many intervals, not the last digit of each."""
    monkeypatch.setattr(reweighting, "ROW_DRAWS", 800)


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
def test_a_challenger_at_the_margin_seldom_passes_with_skewed_errors(draw, truth, fewer_draws):
    """Both one-sided errors at n = 100 stay under 5 %, and one row seldom carries it all."""
    rng = np.random.default_rng(4)
    results = [paired_rmse_interval(*draw(rng), 0.95, seed=i) for i in range(200)]
    intervals = [result for result in results if isinstance(result, Interval)]
    assert len(intervals) >= 190
    assert np.mean([result.upper < truth for result in intervals]) <= 0.05
    assert np.mean([result.lower > truth for result in intervals]) <= 0.05


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_a_challenger_that_is_grossly_broken_on_few_rows_seldom_passes(share, fewer_draws):
    """Fourfold errors on 2 or 5 of 100 rows and the champion's elsewhere: 13.5 % pass without the rule for few rows."""
    rng = np.random.default_rng(11)
    margin = np.sqrt(1 + 15 * share) - 1
    passed = 0
    for i in range(300):
        champion = rng.normal(size=100)
        result = paired_rmse_interval(np.where(rng.random(100) < share, 4, 1) * champion, champion, 0.95, seed=i)
        passed += isinstance(result, Interval) and result.upper < margin
    # At a true error of 5 % a share beyond this has a probability of 1 %.
    assert passed / 300 <= 0.083


@pytest.mark.parametrize(("n", "correlation"), [(100, 1.0), (100, 0.9), (1000, 0.9)])
def test_gross_errors_that_many_samples_do_not_hold_never_pass(n, correlation, fewer_draws):
    """Eightfold errors on 2 of n rows: 13 % of the samples hold none, and nothing is to be seen in them."""
    rng = np.random.default_rng(13)
    margin, passed = np.sqrt(1 + 63 * 2 / n) - 1, 0
    for i in range(60):
        champion, own = rng.normal(size=(2, n))
        challenger = correlation * champion + np.sqrt(1 - correlation**2) * own
        broken = np.where(rng.random(n) < 2 / n, 8, 1) * challenger
        result = paired_rmse_interval(broken, champion, 0.95, seed=i)
        passed += isinstance(result, Interval) and result.upper < margin
    assert passed == 0


def test_groups_widen_the_bounds():
    """Ten copies of a row are worth one."""
    rng = np.random.default_rng(12)
    challenger, champion = (np.repeat(rng.normal(size=400), 10) for _ in range(2))
    alone = paired_rmse_interval(challenger, champion, 0.95, seed=0)
    grouped = paired_rmse_interval(challenger, champion, 0.95, seed=0, group=np.repeat(np.arange(400), 10))
    assert isinstance(alone, Interval)
    assert isinstance(grouped, Interval)
    assert grouped.standard_error == pytest.approx(alone.standard_error * np.sqrt(10), rel=0.01)
    assert grouped.width > 2.5 * alone.width


def test_a_single_models_bounds_seldom_miss(fewer_draws):
    """The floor's one-sided errors stay under 5 % for exponential errors at n = 100."""
    rng = np.random.default_rng(5)
    intervals = [rmse_interval(rng.exponential(size=100), 0.95, seed=i) for i in range(200)]
    assert np.mean([result.upper < np.sqrt(2) for result in intervals if isinstance(result, Interval)]) <= 0.05
    assert np.mean([result.lower > np.sqrt(2) for result in intervals if isinstance(result, Interval)]) <= 0.05


@pytest.mark.parametrize("n", [100, 5000])
def test_swapping_the_models_mirrors_the_interval(n):
    """The same seed gives exactly mirrored bounds of equally large errors, also where most rows are drawn together."""
    challenger, champion = exponential(np.random.default_rng(6), n)
    champion = champion * np.sqrt((challenger**2).mean() / (champion**2).mean())
    one = paired_rmse_interval(challenger, champion, 0.95, seed=1)
    two = paired_rmse_interval(champion, challenger, 0.95, seed=1)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower), abs=1e-9)
    assert one.lower < one.estimate < one.upper


def test_a_challenger_does_not_hide_behind_its_own_errors():
    """What the champion may do on unseen rows goes by its errors: a model seven times worse is known to be worse."""
    rng = np.random.default_rng(8)
    champion, challenger = rng.normal(0, 0.05, 400), rng.normal(0, 0.35, 400)
    found = paired_rmse_interval(challenger, champion, 0.95, seed=1)
    assert isinstance(found, Interval)
    assert found.lower > 0.2


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
