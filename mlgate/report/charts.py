"""Geometry of the report's charts; `templates/charts.html.j2` draws them. Pure.

Across, positions are per cent of the width, so that a chart narrows to a phone and its text keeps its size; down, they
are pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlgate.evidence import Outcome
from mlgate.quantities import format_duration, format_number
from mlgate.report.measurements import Comparison, Latency, Limit, Repeats

# Room for half a label at either edge, in per cent.
PAD = 5.0
# A difference further out than this many margins is drawn as an arrow: the numbers are in the table.
MAX_MARGINS = 4.0
ROW = 48
DOT_ROW = 64
BARS = 130
MARK = 18
MAX_TICKS = 6
# Far below any time; a number closer to zero has no logarithm once it is divided.
MIN_HIGH = 1e-12
MAX_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line with its label; *anchor* says to which side of *x* the label goes."""

    x: float
    y: float
    label: str
    anchor: str = "start"
    kind: str = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """The interval of one difference; a bound that is unknown or beyond the edge is drawn as an arrow.

    An *empty* one has no bound at all: nothing is drawn but its name.
    """

    label: str
    n: str
    empty: bool
    outcome: Outcome
    y: int
    lower: float
    upper: float
    value: float | None
    open_left: bool
    open_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """Differences in units of their own margin: one limit line fits metrics of any unit."""

    title: str
    height: int
    zero: float
    margin: float
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a histogram."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Requests by latency, on a logarithmic axis."""

    title: str
    height: int
    base: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DotRow:
    """The repeats of one check as dots."""

    label: str
    outcome: Outcome
    y: int
    dots: tuple[float, ...]
    limit: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Repeats against limits, on an axis that starts at zero."""

    title: str
    height: int
    rows: tuple[DotRow, ...]
    ticks: tuple[Mark, ...]


def forest(
    comparisons: Sequence[Comparison], *, beside: Sequence[Comparison] = (), most: int = MAX_ROWS
) -> Forest | None:
    """Lay out the differences that have a margin; `None` where not one of them has a bound.

    Args:
        comparisons: A row each, from the top.
        beside: Comparisons of another chart that is to have the same scale.
        most: Rows that are drawn.
    """
    rows = [(item, _in_margins(item)) for item in comparisons]
    known = [(item, scaled) for item, scaled in rows if scaled is not None][:most]
    if all(_is_empty(scaled) for _, scaled in known):
        return None
    others = [scaled for item in beside if (scaled := _in_margins(item)) is not None]
    ends = [end for scaled in (*(scaled for _, scaled in known), *others) for end in scaled if end is not None]
    low, high = max(-MAX_MARGINS, min(-1.6, *ends)), min(MAX_MARGINS, max(1.0, *ends))

    def place(value: float) -> float:
        return _across(min(max(value, low), high), low, high)

    laid = []
    for index, (item, (value, lower, upper)) in enumerate(known):
        laid.append(
            ForestRow(
                label=item.label,
                n="" if item.check.finding.n is None else f"n = {format_number(item.check.finding.n)}",
                empty=lower is None and upper is None,
                outcome=item.check.outcome,
                y=MARK + 6 + index * ROW,
                lower=place(low if lower is None else lower),
                upper=place(high if upper is None else upper),
                value=None if value is None else place(value),
                open_left=lower is None or lower < low,
                open_right=upper is None or upper > high,
            )
        )
    return Forest(
        title=f"Difference to the champion for {len(laid)} comparison(s), as intervals, against zero and minus the margin",
        height=MARK + 14 + len(laid) * ROW,
        zero=place(0),
        margin=place(-1),
        rows=tuple(laid),
    )


def histogram(latency: Latency) -> Histogram | None:
    """Lay out the latency distribution; `None` where there is only a table to show."""
    if not latency.counts:
        return None
    measured = [
        Limit(label=f"measured {name} {format_duration(value / 1000)}", value=value)
        for name, value in latency.percentiles.get("response", {}).items()
        if name in {"p95", "p99"} and value > 0
    ]
    lines = [(limit, "limit") for limit in latency.limits] + [(value, "measured") for value in measured]
    ends = [math.log10(value) for value in (*latency.edges_ms, *(line.value for line, _ in lines))]
    low, high = min(ends), max(ends)
    base = MARK * len(lines) + 8 + BARS
    highest = max(latency.counts)
    bars = []
    for (left, right), count in zip(pairwise(latency.edges_ms), latency.counts, strict=True):
        if count:
            start, end = _across(math.log10(left), low, high), _across(math.log10(right), low, high)
            # A single slow request must stay visible beside thousands of quick ones.
            height = max(2.0, round(BARS * count / highest, 1))
            bars.append(Bar(x=start, width=round(max(end - start, 0.2), 2), y=base - height, height=height))
    marks = [
        _mark(line.label, _across(math.log10(line.value), low, high), MARK * (index + 1) - 5, kind)
        for index, (line, kind) in enumerate(lines)
    ]
    ticks = [
        Mark(x=_across(math.log10(value), low, high), y=base + 18, label=format_duration(value / 1000), anchor="middle")
        for value in log_ticks(low, high)
    ]
    total = f"{sum(latency.counts):,}".replace(",", " ")
    said = "; ".join(line.label for line, _ in lines)
    return Histogram(
        title=f"Latency of {total} requests, logarithmic axis" + (f": {said}" if said else ""),
        height=base + 26,
        base=base,
        bars=tuple(bars),
        marks=tuple(marks),
        ticks=tuple(ticks),
    )


def dots(rows: Sequence[Repeats]) -> Dots | None:
    """Lay out cold starts, each repeat a dot; `None` where there are none."""
    rows = rows[:MAX_ROWS]
    if not rows:
        return None
    high = max(value for row in rows for value in (*row.times_s, row.limit_s or 0.0)) * 1.05 or 1.0
    laid = []
    for index, row in enumerate(rows):
        y = 30 + index * DOT_ROW
        limit = None
        if row.limit_s is not None and row.limit_s >= 0:
            limit = _mark(f"limit {format_duration(row.limit_s)}", _across(row.limit_s, 0, high), y + 26, "limit")
        places = tuple(_across(time, 0, high) for time in row.times_s)
        laid.append(DotRow(label=row.label, outcome=row.outcome, y=y, dots=places, limit=limit))
    base = 34 + len(laid) * DOT_ROW
    ticks = [
        Mark(x=_across(value, 0, high), y=base, label=f"{value:g} s", anchor="middle") for value in linear_ticks(high)
    ]
    return Dots(
        title=f"Each repeat of {len(laid)} cold start check(s) against its limit",
        height=base + 8,
        rows=tuple(laid),
        ticks=tuple(ticks),
    )


def _in_margins(item: Comparison) -> tuple[float | None, float | None, float | None] | None:
    if item.margin is None or item.margin <= 0:
        return None
    value, lower, upper = item.difference.value, item.difference.lower, item.difference.upper
    scaled = [None if end is None else end / item.margin for end in (value, lower, upper)]
    return scaled[0], scaled[1], scaled[2]


def _is_empty(scaled: tuple[float | None, float | None, float | None]) -> bool:
    return scaled[1] is None and scaled[2] is None


def _across(value: float, low: float, high: float) -> float:
    if high <= low:
        return 50.0
    return round(PAD + (100 - 2 * PAD) * (value - low) / (high - low), 2)


def _mark(label: str, x: float, y: float, kind: str) -> Mark:
    return Mark(x=x, y=y, label=label, anchor="start" if x < 55 else "end", kind=kind)


def linear_ticks(high: float, low: float = 0.0, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers from *low* to *high*: steps of 1, 2 or 5 times a power of ten, about *most* of them."""
    span = high - low
    power = 10 ** math.floor(math.log10(span / most)) if span > MIN_HIGH else 1.0
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= most)
    return [float(f"{step * index:.6g}") for index in range(math.ceil(low / step), int(high / step) + 1)]


def log_ticks(low: float, high: float, most: int = MAX_TICKS) -> list[float]:
    """Return round numbers whose logarithms lie from *low* to *high*, at most *most* of them."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [value for value in found if low <= math.log10(value) <= high]
        if len(inside) <= most:
            break
    return inside[:: -(-len(inside) // most) or 1]
