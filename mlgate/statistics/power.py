"""How many rows a margin needs, and the smallest loss that the rows at hand can show.

All for a non-inferiority question asked of two models that are in truth equally good: the sum of the normal quantiles
of the confidence and of the power, in standard errors, must fit in the margin. Chow, Shao and Wang, Sample Size
Calculations in Clinical Research (2008), chapter 3.
"""

import math
from dataclasses import dataclass

from scipy import special

from mlgate.statistics.arguments import check_counts
from mlgate.statistics.interval import Interval
from mlgate.statistics.paired import tango_lower
from mlgate.statistics.paired_shares import CORRECTION, paired_share_lower
from mlgate.statistics.shares import check_confidence, check_share


def rows_needed_identical(margin: float, confidence: float) -> int:
    """Count the rows at which two models with identical answers pass a margin of paired shares.

    Without gains the bound is the larger of Clopper-Pearson's on no losses, 1 - (1 - confidence)**(1/n), and Tango's,
    whose statistic is sqrt(n margin / (1 - margin)): see `paired_shares.py`.

    Args:
        margin: Largest acceptable loss, a share in (0, 1).
        confidence: One-sided, in (0.5, 1).

    Returns:
        The smallest n: 299 for a margin of 0.01 at 95 %, 59 for 0.05.

    Raises:
        ValueError: An argument is out of range.
    """
    check_share("margin", margin)
    check_confidence(confidence)
    by_tango = math.floor(float(special.ndtri(confidence)) ** 2 * (1 - margin) / margin) + 1
    exactly = math.floor(math.log1p(-confidence) / math.log1p(-margin)) + 1
    return max(by_tango, exactly)


def rows_needed_proportion(
    b: float, c: float, n: float, margin: float, confidence: float, *, power: float = 0.8
) -> int:
    """Count the rows needed for an accuracy-like margin from the discordance seen so far.

    The rows at which `minimum_detectable_share` is the margin, at least `rows_needed_identical`. The textbook's
    (z_confidence + z_power)^2 (p01 + p10) / margin^2 takes the variance without a loss, the score test that of a loss of
    the margin: with 5 % discordant and a margin of 5 points its rows have a power of 67 % for 80 %.

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.
        n: All rows; 0 means that nothing is known yet, and gives the least number.
        margin: Largest acceptable loss, a share in (0, 1).
        confidence: One-sided, in (0.5, 1).
        power: Chance to pass when the models are equally good, in (0, 1).

    Returns:
        Rows in all, those at hand included.

    Raises:
        ValueError: An argument is out of range, or b + c > n.
    """
    check_counts(n, b, c)
    least = rows_needed_identical(margin, confidence)
    if not b + c:
        return least

    def enough(rows: int) -> bool:
        return minimum_detectable_share(rows, (b + c) / n, confidence, power=power) <= margin

    if enough(least):
        return least
    low, high = least, 2 * least
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def minimum_detectable_share(rows: float, discordance: float, confidence: float, *, power: float = 0.8) -> float:
    """Give the smallest margin of paired shares at which two equally good models would pass with the stated power.

    The width of the score bound on the counts expected, carried from its confidence to confidence and power. Enumerated
    for discordances of 0.2-20 %, margins of 1-10 points and powers of 80, 90 and 98 %: the power is at least the stated
    one, and above it by 1.5 points at most where more than 30 rows are discordant.

    Args:
        rows: Rows that count, >= 1.
        discordance: Share of them on which only one of the two is right, in (0, 1].
        confidence: One-sided, in (0.5, 1).
        power: In (0, 1).

    Returns:
        A share.

    Raises:
        ValueError: An argument is out of range.
    """
    if (1 - discordance) ** rows >= power:
        # So rarely does any row differ that what identical answers show is enough.
        return -paired_share_lower(0, 0, math.floor(rows), confidence)
    half = rows * discordance / 2
    width = -tango_lower(half, half, rows, confidence, correction=CORRECTION)
    return width * _quantile_sum(confidence, power) / _z(confidence)


def rows_needed_unseen(
    deviation: float, unseen: float, margin: float, confidence: float, *, power: float = 0.8
) -> float:
    """Count the rows needed for a margin where the bound is the wider of what varies and of what unseen rows could do.

    The rows at which `minimum_detectable_unseen` is the margin.

    Args:
        deviation: Of one row's contribution to the difference, in the metric's unit, > 0.
        unseen: What unseen rows could do, times the rows, in the metric's unit, >= 0.
        margin: Largest acceptable loss, in the metric's unit, > 0.
        confidence: One-sided, in (0.5, 1).
        power: In (0, 1).

    Returns:
        Rows, not rounded.

    Raises:
        ValueError: An argument is out of range.
    """
    spread = _power_errors(power) * deviation
    if not margin > 0:
        raise ValueError(f"margin = {margin} must be positive")
    within = margin / SLACK
    # With x one over the root of the rows: unseen x^2 + spread x = within.
    by_unseen = (spread + math.sqrt(spread**2 + 4 * unseen * within)) / (2 * within)
    return float(max(by_unseen, (WIDER * _z(confidence) * deviation + spread) / within) ** 2)


def minimum_detectable_unseen(
    deviation: float, unseen: float, rows: float, confidence: float, *, power: float = 0.8
) -> float:
    """Give the smallest margin at which two equally good models would pass: the inverse of `rows_needed_unseen`.

    Args:
        deviation: Of one row's contribution to the difference, in the metric's unit, > 0.
        unseen: What unseen rows could do, times the rows, in the metric's unit, >= 0.
        rows: Rows that count, > 0.
        confidence: One-sided, in (0.5, 1).
        power: In (0, 1).

    Returns:
        A loss in the metric's unit.

    Raises:
        ValueError: An argument is out of range.
    """
    error = deviation / math.sqrt(rows)
    return SLACK * (max(WIDER * _z(confidence) * error, unseen / rows) + _power_errors(power) * error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the rows at hand can show.

    Attributes:
        minimum_detectable_loss: Smallest margin at which two equally good models would pass, in the metric's unit.
        rows_for_margin: Rows at which they would pass at the margin asked for; `None` beyond any number of rows.
        rows_to_decide: Rows at which the difference seen would be decided, one way or the other; `None` where no number
            would do: the difference seen is the margin itself.
    """

    minimum_detectable_loss: float
    rows_for_margin: int | None
    rows_to_decide: int | None


# How much farther the width at hand is carried. At other rows it is another draw, and longer where the estimate is lower:
# simulated, 200 groups of 20 rows would have a power of 88 % where 90 % is asked for.
SLACK = 1.08
# How much wider than the normal bound the bootstrap with pseudo-rows is, at thousands of rows (rmse.py).
WIDER = 1.2
# Beyond this many rows "more rows" is no advice.
_NO_ADVICE = 1e12


def power_of(difference: Interval, margin: float, *, alike: bool, power: float = 0.8) -> Power:
    """Read from an interval what its method could show with fewer or more rows.

    The width that the method gave at this n stands for its standard error, so that a method wider than the normal one
    is planned as it is, and `SLACK` is added. The width falls with the root of the rows. Where the models answer alike on
    every row, or where rows that were not seen make it, it says how rare a difference can be, and falls with the rows.

    Args:
        difference: Challenger - champion, more is better; n >= 1.
        margin: Largest acceptable loss, in the metric's unit, > 0.
        alike: Whether the models answer alike on every row.
        power: Chance to pass when the models are equally good (or to decide, at the difference seen), in (0, 1).

    Returns:
        The smallest loss and the rows, those at hand included.

    Raises:
        ValueError: An argument is out of range.
    """
    if difference.n < 1 or not margin > 0:
        message = f"n = {difference.n} and margin = {margin} must be positive"
        raise ValueError(message)
    factor = 1.0 if alike else SLACK * _quantile_sum(difference.confidence, power) / _z(difference.confidence)
    below, above = difference.estimate - difference.lower, difference.upper - difference.estimate
    room = margin + min(0.0, difference.estimate)
    if not alike and _by_unseen(difference, below):
        return _power_by_unseen(difference, below, margin, room, power)
    to_decide = _rows(difference.n, factor * (below if room > 0 else above), abs(room), alike=alike)
    return Power(
        minimum_detectable_loss=factor * below,
        rows_for_margin=_rows(difference.n, factor * below, margin, alike=alike),
        rows_to_decide=to_decide,
    )


def _by_unseen(difference: Interval, below: float) -> bool:
    """Say whether unseen rows make the width, which then falls with the rows, and not what varies."""
    return below > 0 and bool(difference.standard_error) and difference.details.get("unseen", 0.0) >= 0.95 * below


def _power_by_unseen(difference: Interval, below: float, margin: float, room: float, power: float) -> Power:
    """Add the normal spread of the difference to the width, each falling at its own rate."""
    error = difference.standard_error or 0.0
    spread = _power_errors(power) * error

    def rows(space: float) -> int | None:
        if not space > 0:
            return None
        # With x the root of (rows at hand / rows): below x^2 + spread x = space, and wide enough for what varies.
        within = space / SLACK
        unseen = (math.sqrt(spread**2 + 4 * below * within) - spread) / (2 * below)
        varying = within / (WIDER * _z(difference.confidence) * error + spread)
        return _rows(difference.n, 1.0, min(unseen, varying), alike=False)

    return Power(
        minimum_detectable_loss=SLACK * (below + spread), rows_for_margin=rows(margin), rows_to_decide=rows(abs(room))
    )


def _rows(n: int, width: float, room: float, *, alike: bool) -> int | None:
    ratio = width / room if room > 0 else math.inf
    rows = n * (ratio if alike else ratio * ratio)
    return max(1, math.ceil(rows)) if rows < _NO_ADVICE else None


def _z(confidence: float) -> float:
    check_confidence(confidence)
    return float(special.ndtri(confidence))


def _power_errors(power: float) -> float:
    """Give how many standard errors of the difference the power takes; a power below one half takes none."""
    check_share("power", power)
    return max(0.0, float(special.ndtri(power)))


def _quantile_sum(confidence: float, power: float) -> float:
    check_confidence(confidence)
    check_share("power", power)
    # A power so small that the sum is negative would ask for fewer rows the noisier the metric is.
    return max(0.0, float(special.ndtri(confidence) + special.ndtri(power)))
