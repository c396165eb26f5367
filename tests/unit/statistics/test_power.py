"""Rows needed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.statistics.paired import tango_lower
from mlgate.statistics.power import (
    minimum_detectable_loss,
    rows_needed,
    rows_needed_identical,
    rows_needed_proportion,
)


@given(st.floats(0.002, 0.5))
def test_identical_models_pass_from_exactly_the_rows_needed(margin):
    """The closed form is where Tango's bound crosses the margin."""
    n = rows_needed_identical(margin, 0.95)
    assert tango_lower(0, 0, n + 1, 0.95) > -margin
    assert n == 1 or tango_lower(0, 0, n - 1, 0.95) <= -margin


def test_the_numbers_of_the_design_come_out():
    """268 rows for a margin of one point, 52 for five."""
    assert (rows_needed_identical(0.01, 0.95), rows_needed_identical(0.05, 0.95)) == (268, 52)


def test_the_formula_by_hand():
    """(1.6449 + 0.8416)^2 = 6.1826; 10 % discordance and a margin of 1 point need 6183 rows."""
    assert rows_needed_proportion(50, 50, 1000, 0.01, 0.95) == 6183
    assert minimum_detectable_loss(0.01, 0.95) == pytest.approx(0.024865, abs=1e-6)
    assert rows_needed(0.01, 1000, 0.01, 0.95) == 6183


def test_the_rows_needed_give_the_stated_power():
    """Two equally good models pass at that n some 80 % of the time."""
    n = rows_needed_proportion(50, 50, 1000, 0.02, 0.95)
    tables = np.random.default_rng(0).multinomial(n, [0.05, 0.05, 0.9], size=1000)
    assert np.mean([tango_lower(b, c, n, 0.95) > -0.02 for b, c, _ in tables]) == pytest.approx(0.8, abs=0.04)


def test_no_discordance_still_needs_rows():
    """Neither identical models nor an empty sample ask for zero rows."""
    assert rows_needed_proportion(0, 0, 50, 0.01, 0.95) == 268
    assert rows_needed_proportion(0, 0, 0, 0.01, 0.95) == 268
    assert rows_needed(0.0, 10, 0.01, 0.95) == 1


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
        rows_needed(0.01, 100, margin, 0.95)
    with pytest.raises(ValueError, match="margin"):
        rows_needed_identical(margin, 0.95)
    with pytest.raises(ValueError, match="standard_error"):
        minimum_detectable_loss(math.nan, 0.95)
