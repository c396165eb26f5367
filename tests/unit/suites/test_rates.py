"""Rates: how many broken rows are within what is tolerated, by Clopper and Pearson."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from mlgate_suites.rates import Rate


def rate(*batches, tolerate=0.01):
    return Rate(batches=tuple(batches), tolerate=tolerate)


@pytest.mark.parametrize(
    ("broken", "outcome"), [(0, "passed"), (1, "inconclusive"), (6, "inconclusive"), (7, "failed"), (299, "failed")]
)
def test_the_bounds_decide(broken, outcome):
    """299 rows without a failure bound the share at 1 % (95 %); seven broken rows put its lower bound above."""
    assert str(rate((299, broken)).outcome) == outcome


@given(st.integers(0, 50), st.integers(50, 5000))
def test_the_interval_is_clopper_and_pearsons(broken, rows):
    """Against the beta quantiles themselves; one batch has no design effect."""
    lower, upper = rate((rows, broken)).interval
    assert lower == pytest.approx(beta.ppf(0.05, broken, rows - broken + 1) if broken else 0, abs=1e-12)
    assert upper == pytest.approx(beta.ppf(0.95, broken + 1, rows - broken) if broken < rows else 1, abs=1e-12)


def test_broken_rows_of_one_batch_count_as_fewer():
    """One plan drew them: they are no independent rows."""
    spread = rate((100, 5), (100, 5), (100, 5), (100, 5), tolerate=0.1)
    burst = rate((100, 20), (100, 0), (100, 0), (100, 0), tolerate=0.1)
    assert (spread.effect, spread.broken) == (1.0, burst.broken)
    assert burst.effect > 5
    assert burst.interval[1] > spread.interval[1]
    assert str(spread.outcome) == "passed"
    assert str(burst.outcome) == "inconclusive"
    assert "in bursts" in burst.words


def test_the_rows_needed_would_pass():
    """At the share that was seen; where that is above what is tolerated, no number would."""
    few = rate((300, 1))
    needed = few.rows_needed
    assert needed is not None
    assert str(rate((needed, round(needed / 300))).outcome) == "passed"
    assert rate((300, 3)).rows_needed is None


def test_the_words_hold_both_numbers():
    """What was counted, the bound, and what may be."""
    assert rate((5000, 2), tolerate=0.001).words == "2 of 5 000 rows break it: at most 0.126 % at 95 %, 0.1 % tolerated"
