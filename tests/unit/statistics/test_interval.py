"""The shared value types."""

import dataclasses
import math

import pytest

from mlgate.statistics.interval import Interval, Undefined


def interval(**changes) -> Interval:
    """Build an interval."""
    values = {"estimate": 0.1, "lower": -0.2, "upper": 0.3, "confidence": 0.95, "method": "test", "n": 7}
    return Interval(**(values | changes))


def test_negating_mirrors_the_bounds():
    """A loss difference turns into a gain, with the bounds changing places."""
    mirrored = interval().negated()
    assert (mirrored.lower, mirrored.estimate, mirrored.upper) == (-0.3, -0.1, 0.2)
    assert mirrored.width == interval().width


@pytest.mark.parametrize("changes", [{"lower": 0.2}, {"upper": 0.0}, {"estimate": math.nan}, {"lower": math.nan}])
def test_bounds_that_do_not_enclose_the_estimate_are_refused(changes):
    """NaN and swapped bounds never become a value (peers.md section 3.2, entry 1)."""
    with pytest.raises(ValueError, match="does not hold"):
        interval(**changes)


def test_values_can_not_be_changed():
    """Intervals and reasons are frozen, and can be members of a set."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        interval().lower = 0.0
    assert len({interval(), interval(), Undefined(reason="no rows", n=0)}) == 2
