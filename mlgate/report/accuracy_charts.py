"""Geometry of the reliability curve; `templates/accuracy.html.j2` draws it. Pure.

As in `charts`, across is in per cent of the width and down in pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlgate.quantities import format_number, format_share
from mlgate.report.text import number, one_line

LEFT, RIGHT = 11.0, 98.0
TOP, BASE = 34, 270
MAX_BINS = 20
# Ends of an axis: a rare class has scores that a whole axis would squeeze into its corner.
ENDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows of about the same score: the mean score, and how often it came true."""

    n: float
    score: float
    share: float
    lower: float
    upper: float

    @property
    def text(self) -> str:
        """For the table: `score 12.1 %: 11.8 % (10.2 % to 13.6 %), n = 637`."""
        bounds = f"{format_share(self.lower)} to {format_share(self.upper)}"
        return f"{format_share(self.score)}: {format_share(self.share)} ({bounds}), n = {format_number(self.n)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One bin, drawn."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One model's points, from the lowest score to the highest."""

    side: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Both curves against the diagonal, and the table of the same."""

    title: str
    height: int
    left: float
    right: float
    top: int
    base: int
    across: tuple[tuple[float, str], ...]
    down: tuple[tuple[float, str], ...]
    curves: tuple[Curve, ...]
    sides: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    of: str


def reliability(held: Any) -> Reliability | None:
    """Lay out the reliability curve of the evidence's tables; `None` where there is none."""
    if not isinstance(held, Mapping):
        return None
    known = {side: _bins(held.get(side)) for side in ("challenger", "champion")}
    found = {side: bins for side, bins in known.items() if bins}
    if "challenger" not in found:
        return None
    largest = max(max(part.score, part.upper) for bins in found.values() for part in bins)
    end = next(end for end in ENDS if largest <= end)
    ticks = [end * step / 5 for step in range(6)]
    length = max(map(len, found.values()))
    sides = [side.capitalize() for side in found]
    of = held.get("of")
    return Reliability(
        title=f"Reliability of the scores: {' and '.join(sides)}, {length} groups of rows by score",
        height=BASE + 44,
        left=LEFT,
        right=RIGHT,
        top=TOP,
        base=BASE,
        across=tuple((_x(tick, end), format_share(tick)) for tick in ticks),
        down=tuple((_y(tick, end), format_share(tick)) for tick in ticks),
        curves=tuple(
            Curve(side=side, points=tuple(_point(part, end) for part in bins)) for side, bins in found.items()
        ),
        sides=tuple(sides),
        rows=tuple(
            tuple(bins[index].text if index < len(bins) else "" for bins in found.values()) for index in range(length)
        ),
        of=one_line(of, 60) if isinstance(of, str) else "",
    )


def _bins(value: Any) -> list[Bin]:
    found = []
    for item in value[:MAX_BINS] if isinstance(value, list) else []:
        held = item if isinstance(item, Mapping) else {}
        n, score, share, lower, upper = (number(held.get(name)) for name in ("n", "score", "share", "lower", "upper"))
        if n is None or score is None or share is None or lower is None or upper is None:
            continue
        if n > 0 and 0 <= score <= 1 and 0 <= lower <= share <= upper <= 1:
            found.append(Bin(n=n, score=score, share=share, lower=lower, upper=upper))
    return sorted(found, key=lambda part: part.score)


def _point(part: Bin, end: float) -> Point:
    return Point(x=_x(part.score, end), y=_y(part.share, end), low=_y(part.lower, end), high=_y(part.upper, end))


def _x(value: float, end: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * value / end, 2)


def _y(value: float, end: float) -> float:
    return round(BASE - (BASE - TOP) * value / end, 1)
