"""Mean losses, R², and nearness to a target: error at the margin and the widths of what was not seen."""

import numpy as np
import pytest
from scipy import stats

from mlgate.statistics import reweighting
from mlgate.statistics.column_means import group_units, mean_interval
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.mean_losses import mean_loss_interval, paired_mean_loss_interval
from mlgate.statistics.nearness import halved, nearness_interval
from mlgate.statistics.paired_shares import paired_share_interval
from mlgate.statistics.r_squared import paired_r_squared_interval, r_squared, r_squared_interval

SIZE = 100
# 200 samples; at a true error of 5 % a count beyond this has a probability of 1 %.
AT_MOST = stats.binom.ppf(0.99, 200, 0.05) / 200


@pytest.fixture
def fewer_draws(monkeypatch):
    """Draw less often: a simulation needs many intervals, not the last digit of each."""
    monkeypatch.setattr(reweighting, "ROW_DRAWS", 800)


def exponential(rng):
    """Draw losses whose difference is skewed; the challenger's mean is a half higher."""
    champion = rng.exponential(size=SIZE)
    return champion + rng.exponential(0.5, size=SIZE), champion, 0.5


def lognormal(rng):
    """Draw heavily skewed differences, where Student's t alone errs 8.7 %."""
    champion = rng.exponential(size=SIZE)
    return champion + np.exp(rng.normal(size=SIZE)), champion, np.exp(0.5)


def normal(rng):
    """Draw symmetric differences."""
    champion = 5 + rng.normal(size=SIZE)
    return champion + 0.1 + rng.normal(size=SIZE) * 0.3, champion, 0.1


@pytest.mark.parametrize("draw", [normal, exponential, lognormal])
def test_a_challenger_at_the_margin_seldom_passes(draw, fewer_draws):
    """Neither bound misses too often at n = 100."""
    rng = np.random.default_rng(1)
    passed = failed = defined = 0
    for i in range(200):
        new, old, loss = draw(rng)
        found = paired_mean_loss_interval(np.maximum(new, 0), np.maximum(old, 0), 0.95, seed=i)
        if isinstance(found, Interval):
            defined += 1
            passed += found.upper < loss
            failed += found.lower > loss
    assert defined > 190
    assert passed / 200 <= AT_MOST
    assert failed / 200 <= AT_MOST


def test_unskewed_differences_get_students_interval():
    """Analytic where its error is right."""
    rng = np.random.default_rng(2)
    half = rng.normal(size=5000)
    values = np.concatenate([half, -half])
    found = mean_interval(group_units(values, None), 0.95, seed=0)
    assert isinstance(found, Interval)
    assert "Student" in found.method
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), rel=1e-6)
    skewed = mean_interval(group_units(rng.exponential(size=200), None), 0.95, seed=0)
    assert isinstance(skewed, Interval)
    assert "bootstrap" in skewed.method


def test_the_clustered_error_is_the_sandwich_of_statsmodels():
    """Unequal groups: the ratio estimator's variance, without small-sample factors beyond G / (G - 1)."""
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    group = rng.integers(0, 40, 900)
    values = rng.normal(size=900) + rng.normal(size=40)[group]
    fit = sm.OLS(values, np.ones(900)).fit(cov_type="cluster", cov_kwds={"groups": group, "df_correction": False})
    found = mean_interval(group_units(values, group), 0.95, seed=0)
    assert isinstance(found, Interval)
    correction = np.sqrt(40 / 39)
    plain = sm.OLS(values, np.ones(900)).fit(cov_type="cluster", cov_kwds={"groups": group, "use_correction": False})
    assert found.standard_error == pytest.approx(plain.bse[0] * correction, rel=1e-9)
    assert fit.bse[0] == pytest.approx(found.standard_error, rel=0.01)
    assert found.details["groups"] == 40


def test_a_bounded_loss_of_identical_models_gets_the_rule_of_three():
    """Rows that none of 1 000 is are at most 0.3 %, each costing at most 1; also beside differences of 1e-9."""
    losses = np.random.default_rng(4).random(1000) * 0.5
    for shaken in (losses, losses + 1e-9 * np.random.default_rng(5).random(1000)):
        found = paired_mean_loss_interval(shaken, losses, 0.95, seed=0, largest=1.0)
        assert isinstance(found, Interval)
        assert (found.lower, found.upper) == pytest.approx((-0.00299, 0.00299), abs=1e-5)


def test_an_unbounded_difference_on_one_row_is_undefined():
    """One broken row of 500 says nothing of how many there are."""
    old = np.random.default_rng(6).exponential(size=500)
    new = old.copy()
    new[7] += 50
    found = paired_mean_loss_interval(new, old, 0.95, seed=0)
    assert isinstance(found, Undefined)
    assert "carries" in found.reason


def test_swapping_the_models_mirrors_the_interval():
    """Where the bootstrap is used, too."""
    rng = np.random.default_rng(7)
    new, old = rng.exponential(size=3000), rng.lognormal(0, 1.5, size=3000)
    one, two = paired_mean_loss_interval(new, old, 0.95, seed=1), paired_mean_loss_interval(old, new, 0.95, seed=1)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert "bootstrap" in one.method
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower), abs=1e-9)


def test_few_rows_and_constant_losses_are_undefined_and_nan_refused():
    """Each with its reason."""
    rng = np.random.default_rng(8)
    assert isinstance(mean_loss_interval(rng.random(99), 0.95, seed=0), Undefined)
    assert isinstance(mean_loss_interval(np.ones(200), 0.95, seed=0), Undefined)
    assert isinstance(mean_loss_interval(rng.random(19), 0.95, seed=0, largest=1.0), Undefined)
    assert isinstance(paired_mean_loss_interval(np.zeros(200), np.zeros(200), 0.95, seed=0), Undefined)
    grouped = mean_loss_interval(rng.random(200), 0.95, seed=0, group=np.arange(200) % 19)
    assert isinstance(grouped, Undefined)
    assert "19 groups" in grouped.reason
    with pytest.raises(ValueError, match="NaN"):
        paired_mean_loss_interval(np.full(200, np.nan), np.ones(200), 0.95, seed=0)
    with pytest.raises(ValueError, match="exceeds"):
        mean_loss_interval(np.full(200, 1.5), 0.95, seed=0, largest=1.0)


def test_a_worse_negative_r_squared_does_not_pass_and_a_better_one_does():
    """Champion -0.5, challenger -0.6 or -0.4 (peers.md section 3.2, entry 2): a ratio of the two turns around."""
    rng = np.random.default_rng(9)
    y = rng.normal(size=20_000)
    errors = [np.sqrt(1 + loss) * rng.permutation(y) for loss in (0.6, 0.5, 0.4)]
    worse, champion, better = (r_squared(y, e) for e in errors)
    assert worse < champion < better < 0
    down = paired_r_squared_interval(y, errors[0], errors[1], 0.95, 0)
    up = paired_r_squared_interval(y, errors[2], errors[1], 0.95, 0)
    assert isinstance(down, Interval)
    assert isinstance(up, Interval)
    assert down.upper < -0.05
    assert up.lower > 0.05


def test_r_squared_of_constant_truth_is_undefined_and_of_large_truth_exact():
    """No variance to explain; and a truth of 1e9 + noise keeps its digits."""
    rng = np.random.default_rng(10)
    assert isinstance(r_squared_interval(np.ones(200), rng.normal(size=200), 0.95, 0), Undefined)
    assert isinstance(r_squared([], []), Undefined)
    y, e = rng.normal(size=500), rng.normal(size=500) / 2
    near, far = (r_squared_interval(truth, e, 0.95, 0) for truth in (y, y + 1e9))
    assert isinstance(near, Interval)
    assert isinstance(far, Interval)
    assert far.lower == pytest.approx(near.lower, abs=1e-5)
    assert near.lower < 0.75 < near.upper


def test_r_squared_at_the_margin_seldom_passes(fewer_draws):
    """Errors that are half shared, n = 200."""
    rng = np.random.default_rng(11)
    passed = 0
    for i in range(200):
        y, shared = rng.normal(size=200), rng.normal(size=200) * 0.4
        new, old = shared + rng.normal(size=200) * 0.5, shared + rng.normal(size=200) * 0.4
        found = paired_r_squared_interval(y, new, old, 0.95, i)
        passed += isinstance(found, Interval) and found.lower > -(0.25 - 0.16)
    assert passed / 200 <= AT_MOST


@pytest.mark.parametrize(("champion", "challenger"), [(0.9, 0.85), (0.9, 0.95), (0.92, 0.85), (0.87, 0.97)])
def test_a_coverage_at_the_margin_seldom_passes(champion, challenger):
    """Also with the champion right on its target of 0.9, where the absolute value has its kink; both sides of it."""
    rng = np.random.default_rng(12)
    gain = -abs(challenger - 0.9) + abs(champion - 0.9)
    passed = failed = 0
    for _ in range(400):
        latent = rng.random(300)
        mixed = np.where(rng.random(300) < 0.7, latent, rng.random(300))
        new, old = mixed < challenger, latent < champion
        apart = paired_share_interval(int((new & ~old).sum()), int((old & ~new).sum()), 300, halved(0.95))
        together = paired_share_interval(int((new & old).sum()), int((~new & ~old).sum()), 300, halved(0.95))
        found = nearness_interval(apart, together, 0.9, 0.95)
        assert found.estimate == pytest.approx(-abs(new.mean() - 0.9) + abs(old.mean() - 0.9))
        passed += found.lower > gain + 1e-12
        failed += found.upper < gain - 1e-12
    limit = stats.binom.ppf(0.99, 400, 0.05) / 400
    assert passed / 400 <= limit
    assert failed / 400 <= limit
