import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.schedule import constant, poisson


def test_a_constant_schedule_is_evenly_spaced_and_starts_at_once():
    """100/s for 60 s is 6 000 sends, 10 ms apart, from 0 to 59.99 s."""
    schedule = constant(100, 60)
    assert len(schedule) == 6000
    assert schedule.sends_s[0] == 0
    assert np.allclose(np.diff(schedule.sends_s), 0.01)
    assert schedule.sends_s[-1] == pytest.approx(59.99)


@given(st.floats(0.5, 500), st.floats(2, 30), st.integers(0, 2**32))
def test_every_send_lies_within_the_run(rate, duration_s, seed):
    """Both schedules hold rate times duration sends, ascending, none after the end."""
    for schedule in (constant(rate, duration_s), poisson(rate, duration_s, seed)):
        assert len(schedule) == round(rate * duration_s)
        assert schedule.sends_s.dtype == np.float64
        assert (np.diff(schedule.sends_s) >= 0).all()
        # Rounding the count up by half a request may put the last send at the very end.
        assert 0 <= schedule.sends_s[0] <= schedule.sends_s[-1] <= duration_s + 0.5 / rate


def test_a_poisson_schedule_repeats_with_its_seed():
    """The same seed gives the same times, another seed gives others."""
    assert (poisson(50, 10, 7).sends_s == poisson(50, 10, 7).sends_s).all()
    assert (poisson(50, 10, 7).sends_s != poisson(50, 10, 8).sends_s).any()


def test_poisson_gaps_have_the_spread_of_an_exponential():
    """Mean and standard deviation of the gaps agree, as they do for an exponential distribution only."""
    gaps = np.diff(poisson(100, 200, 1).sends_s)
    assert gaps.mean() == pytest.approx(0.01, rel=0.01)
    assert gaps.std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 10), (-1, 10), (10, 0), (0.01, 10), (float("nan"), 10)])
def test_a_schedule_without_a_request_is_refused(rate, duration_s):
    """An empty schedule would pass every check, so there is none."""
    with pytest.raises(ValueError, match=r"no load|no request"):
        constant(rate, duration_s)
