"""The gap between the best and the worst of several independent values, from the interval of each.

Which value is best and which is worst is not known, only seen, and the two that are seen stand apart by chance alone.

*Above*: the true gap is the difference of one pair, whichever it is. So the largest of all pairs' upper bounds, each at
the confidence asked for, bounds it at that confidence: every pair must be shown to lie below the limit (Berger 1982,
Technometrics 24:295), and no correction is due. *Below*: one pair of many that lies beyond the limit by chance would
fail a fair model, so the lower bounds are to be taken at a confidence corrected for all ordered pairs (Bonferroni).

The difference of two independent values from their two intervals: MOVER, Zou and Donner (2008), Stat. Med. 27:1693.
Values that are not independent get the sum of their distances instead, each at half of the error, which holds whatever
ties them. The error at the limit is simulated in tests/unit/statistics/test_largest_gap.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from mlgate.statistics.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The largest difference.

    Attributes:
        estimate: Largest less smallest value, >= 0, in the unit of the values.
        lower: One-sided lower bound, >= 0.
        upper: One-sided upper bound.
        most: Position of the largest value.
        least: Position of the smallest value.
    """

    estimate: float
    lower: float
    upper: float
    most: int
    least: int


def gap_confidences(count: int, confidence: float, *, independent: bool) -> tuple[float, float]:
    """Say at which confidence each value's interval is to be taken.

    Args:
        count: Number of values, >= 2.
        confidence: Of each bound of the gap, in (0.5, 1).
        independent: Whether no value has anything to do with another.

    Returns:
        For the gap's upper bound, and for its lower one.
    """
    error = (1 - confidence) if independent else (1 - confidence) / 2
    return 1 - error, 1 - error / (count * (count - 1))


def largest_gap(values: Sequence[Interval], corrected: Sequence[Interval], *, independent: bool) -> Gap:
    """Bound the gap.

    Args:
        values: One interval a value, at the first of `gap_confidences`; at least two.
        corrected: The same values at the second.
        independent: As there.

    Returns:
        The gap between one-sided bounds.

    Raises:
        ValueError: Fewer than two values, or unequal numbers of them.
    """
    if len(values) < 2 or len(values) != len(corrected):
        message = f"{len(values)} and {len(corrected)} values have no gap"
        raise ValueError(message)
    numbers = [value.estimate for value in values]
    most, least = numbers.index(max(numbers)), numbers.index(min(numbers))
    return Gap(
        estimate=numbers[most] - numbers[least],
        lower=max(0.0, *(-_reach(b, a, independent=independent) for a, b in permutations(corrected, 2))),
        upper=max(_reach(a, b, independent=independent) for a, b in permutations(values, 2)),
        most=most,
        least=least,
    )


def _reach(first: Interval, second: Interval, *, independent: bool) -> float:
    """Bound *first* less *second* from above."""
    above, below = first.upper - first.estimate, second.estimate - second.lower
    distance = math.hypot(above, below) if independent else above + below
    return first.estimate - second.estimate + distance
