"""Where the time of a cold start goes: the challenger's phases over the champion's, on one scale. Pure.

As in `charts`, across is in per cent of the width and down in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.cold_start.timeline import ORDER, Timeline
from mlgate.evidence import Evidence
from mlgate.quantities import format_duration, format_size
from mlgate.report.text import number, one_line

SUITE = "cold_start"
PHASES = {
    "create": "Container is created",
    "start": "Container starts",
    "interpreter": "Interpreter starts",
    "imports": "Libraries import",
    "load": "Model loads",
    "warm_up": "Warm-up predictions",
    "ready": "Ready",
    "first_prediction": "First correct prediction",
}
COLOURS = 8
MAX_PARTS = 16
ROW = 66
BAR = 34
# In per cent of the width: below it, the number does not fit inside on a phone.
FITS = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One version's middle start."""

    label: str
    timeline: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One phase in a bar; the number is that of its row in the table."""

    number: int
    x: float
    width: float

    @property
    def fits(self) -> bool:
        """Whether the number is written inside."""
        return self.width >= FITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One start; *begin* is where the engine had started the container, from which the limits count."""

    label: str
    y: int
    begin: float | None
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """One phase in the table: what it takes on each side, empty where that side has none."""

    number: int
    label: str
    takes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """The bars, and the table of the same."""

    title: str
    height: int
    bars: tuple[Bar, ...]
    rows: tuple[PhaseRow, ...]


def sides(evidence: Evidence) -> list[Side]:
    """Return the challenger's start, and the champion's where one was measured, of the check that holds most."""
    best: list[Side] = []
    for details in _details(evidence):
        held = details.get("timeline")
        timeline = Timeline.from_json(held if isinstance(held, Mapping) else {"phases": details.get("phases")})
        champion = Timeline.from_json(details.get("champion_timeline"))
        found = [Side(label="Challenger", timeline=timeline), Side(label="Champion", timeline=champion)]
        found = [side for side in found if side.timeline.parts()]
        if len(found) > len(best) and found[0].label == "Challenger":
            best = found
    return best


def bars(found: Sequence[Side]) -> Bars | None:
    """Lay out one bar per side on a common scale; `None` where there are none."""
    longest = max((side.timeline.total_s for side in found), default=0.0)
    if longest <= 0:
        return None
    names = _names(found)
    numbers = {name: index for index, name in enumerate(names, start=1)}
    laid = []
    for index, side in enumerate(found):
        segments = [
            Segment(
                number=numbers[part.name],
                x=round(100 * (part.until_s - part.seconds) / longest, 2),
                width=round(100 * part.seconds / longest, 2),
            )
            for part in side.timeline.parts()
            if part.name in numbers
        ]
        before = sum(side.timeline.before.values())
        laid.append(
            Bar(
                label=f"{side.label}: {format_duration(side.timeline.total_s)}",
                y=18 + index * ROW,
                begin=round(100 * before / longest, 2) if before > 0 else None,
                segments=tuple(segments),
            )
        )
    said = "; ".join(f"{side.label}: {_said(side.timeline)}" for side in found)
    rows = [
        PhaseRow(
            number=numbers[name],
            label=PHASES.get(name) or one_line(name, 40),
            takes=tuple(_takes(side.timeline, name) for side in found),
        )
        for name in names
    ]
    title = f"Where a cold start goes. {said}"
    return Bars(title=title, height=18 + len(laid) * ROW - (ROW - BAR - 14), bars=tuple(laid), rows=tuple(rows))


def sentence(found: Sequence[Side]) -> str:
    """Name the slowest thing on each side; empty where nothing is known."""
    told = [f"{side.label}: {slowest}" for side in found if (slowest := side.timeline.slowest())]
    return one_line("Slowest. " + "; ".join(told) + "." if told else "", 400)


def circumstances(evidence: Evidence) -> list[str]:
    """Return in words what the times depend on: the image, the page cache, a big model's bytes."""
    found: dict[str, str] = {}
    for details in _details(evidence):
        for key, words in (("environment_image", "Environment image"), ("page_cache", "Page cache")):
            if isinstance(details.get(key), str) and details[key]:
                found.setdefault(key, one_line(f"{words}: {details[key]}.", 200))
        for key, words in (("bytes", "Model"), ("from_disk", "Once more, the model's files not in the page cache")):
            read = _bytes_text(words, details.get(key))
            if read:
                found.setdefault(key, read)
    return list(found.values())


def _bytes_text(words: str, value: Any) -> str:
    held = value if isinstance(value, Mapping) else {}
    size, load_s, rate = (number(held.get(name)) for name in ("model_bytes", "load_s", "mb_per_s"))
    if size is None or load_s is None or rate is None or min(size, load_s, rate) < 0:
        return ""
    disk = number(held.get("disk_bytes"))
    from_disk = f", {format_size(disk)} of it read from the disk" if disk is not None and disk >= 0 else ""
    return f"{words}: {format_size(size)} loaded in {format_duration(load_s)}, {rate:.4g} MB/s{from_disk}."


def _details(evidence: Evidence) -> list[Mapping[str, Any]]:
    suite = evidence.suites.get(SUITE)
    return [check.finding.details for check in suite.checks] if suite else []


def _names(found: Sequence[Side]) -> list[str]:
    """Return the phases of all sides, in the order of time."""
    seen = dict.fromkeys(part.name for side in found for part in side.timeline.parts())
    known = [name for name in ORDER if name in seen]
    return [*known, *(name for name in seen if name not in ORDER)][:MAX_PARTS]


def _takes(timeline: Timeline, name: str) -> str:
    return next((format_duration(part.seconds) for part in timeline.parts() if part.name == name), "")


def _said(timeline: Timeline) -> str:
    parts = [f"{PHASES.get(part.name, part.name)} {format_duration(part.seconds)}" for part in timeline.parts()]
    return one_line(", ".join(parts), 600)
