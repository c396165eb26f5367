"""Holm's adjustment and his steps, Benjamini and Hochberg's adjustment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mlgate.statistics.multiplicity import benjamini_hochberg, holm, step_down

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


@given(p_lists)
def test_false_discovery_rates_equal_statsmodels(p_values):
    """In any order and with ties."""
    assert benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


def test_no_values_have_no_false_discoveries():
    """And what is no p-value is refused."""
    assert benjamini_hochberg([]).size == 0
    with pytest.raises(ValueError, match="p_values"):
        benjamini_hochberg([math.nan])


@given(p_lists, st.integers(0, 5))
def test_steps_reject_what_the_adjustment_rejects(p_values, undefined):
    """Asked by confidence instead of p-value; a test that is not defined counts as one that does not reject."""
    alpha = 0.05
    adjusted = holm([*p_values, *[1.0] * undefined])
    expected = {index for index, value in enumerate(p_values) if adjusted[index] < alpha}
    candidates = [index for index, p in enumerate(p_values) if p < alpha]
    family = len(p_values) + undefined
    rejected, level = step_down(
        candidates, lambda index, confidence: p_values[index] < 1 - confidence, family=family, confidence=1 - alpha
    )
    close = {index for index, value in enumerate(adjusted[: len(p_values)]) if abs(value - alpha) < 1e-9}
    assert rejected ^ expected <= close
    assert level == pytest.approx(1 - alpha / max(1, family - len(rejected)))


def test_nothing_to_reject_is_nothing_rejected():
    """An empty family does not divide by zero."""
    assert step_down([], lambda *_: True, family=0, confidence=0.95) == (frozenset(), pytest.approx(0.95))
