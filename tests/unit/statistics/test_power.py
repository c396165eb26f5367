"""Rows needed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.statistics import reweighting
from mlgate.statistics.paired import tango_interval
from mlgate.statistics.paired_shares import paired_share_lower
from mlgate.statistics.power import (
    minimum_detectable_unseen,
    power_of,
    rows_needed_identical,
    rows_needed_proportion,
    rows_needed_unseen,
)
from mlgate.statistics.rmse import paired_rmse_interval


@given(st.floats(0.002, 0.5))
def test_identical_models_pass_from_exactly_the_rows_needed(margin):
    """The closed form is where the bound crosses the margin."""
    n = rows_needed_identical(margin, 0.95)
    assert paired_share_lower(0, 0, n + 1, 0.95) > -margin
    assert n == 1 or paired_share_lower(0, 0, n - 1, 0.95) <= -margin


def test_the_numbers_of_the_design_come_out():
    """299 rows for a margin of one point, 59 for five: Tango's 268 and 52 would let 6.8 % pass at the margin."""
    assert (rows_needed_identical(0.01, 0.95), rows_needed_identical(0.05, 0.95)) == (299, 59)


def test_the_formula_by_hand():
    """(1.6449 + 0.8416)^2 = 6.1826; 10 % discordance and 1 point: 6183 rows, and 97 more for the variance under a loss."""
    assert rows_needed_proportion(50, 50, 1000, 0.01, 0.95) == 6280


def test_the_rows_needed_give_the_stated_power():
    """Two equally good models pass at that n some 80 % of the time."""
    n = rows_needed_proportion(50, 50, 1000, 0.02, 0.95)
    tables = np.random.default_rng(0).multinomial(n, [0.05, 0.05, 0.9], size=1000)
    assert np.mean([paired_share_lower(b, c, n, 0.95) > -0.02 for b, c, _ in tables]) == pytest.approx(0.8, abs=0.04)


def test_no_discordance_still_needs_rows():
    """Neither identical models nor an empty sample ask for zero rows."""
    assert rows_needed_proportion(0, 0, 50, 0.01, 0.95) == 299
    assert rows_needed_proportion(0, 0, 0, 0.01, 0.95) == 299


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0.005, 0.2))
def test_more_discordance_never_needs_fewer_rows(b, c, margin):
    """And neither does a smaller margin."""
    needed = rows_needed_proportion(b, c, 300, margin, 0.95)
    assert rows_needed_proportion(b + 1, c, 300, margin, 0.95) >= needed
    assert rows_needed_proportion(b, c, 300, margin / 2, 0.95) >= needed


@pytest.mark.parametrize("margin", [0.0, -0.01, math.nan])
def test_a_margin_that_is_none_is_refused(margin):
    """A zero or negative margin has no number of rows."""
    with pytest.raises(ValueError, match="margin"):
        rows_needed_unseen(0.01, 0.0, margin, 0.95)
    with pytest.raises(ValueError, match="margin"):
        rows_needed_identical(margin, 0.95)
    with pytest.raises(ValueError, match="power"):
        minimum_detectable_unseen(0.01, 0.0, 100, 0.95, power=1.5)


def test_the_rows_for_a_margin_give_the_power_that_they_promise():
    """Equally good models, 6 % discordant: at the rows said, about four of five pass; with half of them, fewer."""
    margin, seen = 0.02, power_of(tango_interval(30, 30, 1000, 0.95), 0.02, alike=False)
    rng = np.random.default_rng(1)

    def passes(n, draws=400):
        gained, lost, _ = rng.multinomial(n, [0.03, 0.03, 0.94], draws).T
        return (
            sum(paired_share_lower(int(b), int(c), n, 0.95) > -margin for b, c in zip(gained, lost, strict=True))
            / draws
        )

    assert seen.rows_for_margin == seen.rows_to_decide > 900
    assert 0.76 < passes(seen.rows_for_margin) < 0.92
    assert passes(seen.rows_for_margin // 2) < 0.65


def test_the_smallest_loss_is_the_margin_at_which_the_rows_are_enough():
    """Two ways to ask the same."""
    interval = tango_interval(40, 40, 2000, 0.95)
    loss = power_of(interval, 0.01, alike=False).minimum_detectable_loss
    assert power_of(interval, loss, alike=False).rows_for_margin == pytest.approx(2000, abs=1)


def test_models_that_answer_alike_need_rows_in_proportion_to_the_margin():
    """Half of the margin, twice the rows: what did not differ bounds a share."""
    interval = tango_interval(0, 0, 1000, 0.95)
    wide, narrow = (power_of(interval, margin, alike=True).rows_for_margin for margin in (0.02, 0.01))
    assert narrow == pytest.approx(2 * wide, abs=2)
    assert power_of(interval, 0.01, alike=True).minimum_detectable_loss == pytest.approx(-interval.lower)


@pytest.mark.parametrize(("b", "c", "decidable"), [(40, 50, True), (40, 60, False), (40, 80, True)])
def test_a_difference_at_the_margin_itself_is_decided_by_no_number_of_rows(b, c, decidable):
    """Above it and below it, some number would do."""
    found = power_of(tango_interval(b, c, 1000, 0.95), 0.02, alike=False)
    assert (found.rows_to_decide is not None) is decidable
    assert not decidable or found.rows_to_decide > 1000


def test_no_margin_has_no_power():
    """Nothing would ever be enough."""
    with pytest.raises(ValueError, match="must be positive"):
        power_of(tango_interval(1, 1, 10, 0.95), 0.0, alike=False)


def test_rows_for_what_was_not_seen_are_where_the_smallest_loss_is_the_margin():
    """Whichever of the two makes the width: the unseen rows at a large margin, the spread at a small one."""
    by_unseen, by_spread = (rows_needed_unseen(0.44, 95.0, margin, 0.95) for margin in (0.1, 0.002))
    assert minimum_detectable_unseen(0.44, 95.0, by_unseen, 0.95) == pytest.approx(0.1)
    assert minimum_detectable_unseen(0.44, 95.0, by_spread, 0.95) == pytest.approx(0.002)
    assert 950 < by_unseen < 1300
    assert by_spread == pytest.approx(((1.2 * 1.6449 + 0.8416) * 0.44 * 1.08 / 0.002) ** 2, rel=1e-3)
    with pytest.raises(ValueError, match="must be positive"):
        rows_needed_unseen(0.44, 95.0, 0.0, 0.95)


def test_a_width_of_unseen_rows_falls_with_the_rows_and_not_with_their_root():
    """1000 normal errors: a margin of a third of the smallest loss takes some three times the rows, and not nine."""
    rng = np.random.default_rng(6)
    common, own = rng.normal(size=(2, 1000))
    found = paired_rmse_interval(0.9 * common + math.sqrt(0.19) * own, common, 0.95, seed=0).negated()
    loss = power_of(found, 1.0, alike=False).minimum_detectable_loss
    assert power_of(found, loss, alike=False).rows_for_margin == pytest.approx(1000, abs=1)
    assert 3000 < power_of(found, loss / 3, alike=False).rows_for_margin < 4500


def test_the_rows_for_a_margin_are_enough_of_squared_errors(monkeypatch):
    """Read from 300 rows; at the rows said, equally good models pass 80 % of the time and more."""
    monkeypatch.setattr(reweighting, "ROW_DRAWS", 800)
    rng = np.random.default_rng(7)

    def interval(n, seed):
        common, own = rng.normal(size=(2, n))
        return paired_rmse_interval(0.9 * common + math.sqrt(0.19) * own, common, 0.95, seed=seed)

    rows = np.median([power_of(interval(300, seed).negated(), 0.1, alike=False).rows_for_margin for seed in range(15)])
    assert 900 < rows < 1600
    passed = sum(interval(int(rows), seed).upper < 0.1 for seed in range(100))
    assert passed >= 70
