"""Holm's adjustment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mlgate.statistics.multiplicity import holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_lists)
def test_adjusted_values_equal_statsmodels(p_values):
    """In any order and with ties."""
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_ranks_are_ranks():
    """The vector on which argsort + 1 is not a rank (peers.md section 3.2, entry 6)."""
    assert holm([0.04, 0.001, 0.03, 0.02]) == pytest.approx([0.06, 0.004, 0.06, 0.06])


@given(p_lists)
def test_adjusting_never_lowers_a_p_value(p_values):
    """And keeps them in [0, 1]."""
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= 1).all()


def test_nothing_to_adjust_is_nothing():
    """An empty family does not raise (peers.md section 3.2, entry 6)."""
    assert holm([]).size == 0


@pytest.mark.parametrize("bad", [[math.nan], [1.1], [-0.1], [[0.1]]])
def test_values_that_are_no_p_values_are_refused(bad):
    """NaN would compare as not significant."""
    with pytest.raises(ValueError, match="p_values"):
        holm(bad)
