"""Geometry of the load charts; `templates/load.html.j2` draws them. Pure.

As in `charts`, down is in pixels. Across, a line's points are per cent of the plot, and the plot stretches: a path of a
hundred points is a tenth of the size of as many line elements.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlgate.quantities import format_duration, format_number, format_size
from mlgate.report.charts import linear_ticks, log_ticks
from mlgate.report.load import Beside, Column, Curve, LatencyLimit, OverTime, cores_text, quantile_name

TALL, LOW = 200, 120
# Room for the first label above the plot, and for the ticks below it.
TOP, FOOT = 14, 24
# Between the smallest and the largest time of a chart; from here on, a linear axis shows the largest and a flat line.
LINEAR_RATIO = 20.0
# A clock's resolution is no latency: 10 µs is below every answer over a socket.
LEAST_MS = 0.01
MEMORY_ROOM = 0.1
MOST_TICKS = 6
MOST_DOWN = 4
MOST_NINES = 4
P95 = 0.95
LEAST_QUANTILE = 0.05

Place = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series: the path in per cent across and pixels down, and its name for the key."""

    kind: str
    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A limit: a level line to *until*, in per cent across; *drop*: a line from its end to the axis below.

    *starts*: the label stands where the line begins; else where it ends.
    """

    y: float
    until: float
    label: str
    starts: bool = False
    drop: bool = False
    kind: str = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Lines over one axis across and one down; *said* is what there is to see, in words."""

    title: str
    said: str
    height: int
    top: int
    base: int
    down: tuple[tuple[float, str], ...]
    across: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    rules: tuple[Rule, ...]
    is_log: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Where a value stands between *top* and *base*, and which of them are named."""

    place: Place
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False


def latency(series: OverTime, limits: Sequence[LatencyLimit]) -> Plot | None:
    """Lay out response and service time over the run, against the limits; `None` where no time is known."""
    drawn = (
        ("longest", "longest response", "response_max_ms"),
        ("service", "service time, p95", "service_p95_ms"),
        ("median", "response time, p50", "response_p50_ms"),
        ("response", "response time, p95", "response_p95_ms"),
    )
    known = [series.known(name) for _, _, name in drawn]
    if not any(known):
        return None
    axis = _times([value for column in known for value in column], [limit.value for limit in limits])
    return _plot(
        axis,
        _seconds(series),
        TALL,
        title=f"Latency over {format_duration(series.duration_s)}. {_latency_said(series, limits)}",
        said=_latency_said(series, limits),
        lines=_lines(series, drawn, axis.place),
        rules=tuple(Rule(y=axis.place(limit.value), until=100.0, label=limit.label) for limit in limits),
    )


def rate(series: OverTime) -> Plot | None:
    """Lay out requests a second: offered, answered and gone wrong; `None` where none were counted."""
    rates = {
        name: tuple(
            None if value is None else value / series.width_s(index)
            for index, value in enumerate(series.columns.get(name, ()))
        )
        for name in ("offered", "answered", "errors")
    }
    whole = OverTime(bin_s=series.bin_s, duration_s=series.duration_s, columns=rates)
    highest = max((value for name in rates for value in whole.known(name)), default=0.0)
    if highest <= 0:
        return None
    axis = _linear(0.0, highest * 1.05, LOW, lambda value: f"{format_number(value)}/s")
    wrong, sent = sum(series.known("errors")), sum(series.known("offered"))
    went = "No request" if not wrong else f"{format_number(wrong)} of {format_number(sent)} requests"
    drawn = (("offered", "offered", "offered"), ("answered", "answered", "answered"))
    bars = Line(kind="errors", name="without a good answer", path=_bars(whole, rates["errors"], axis.place))
    return _plot(
        axis,
        _seconds(series),
        LOW,
        title=f"Requests a second over {format_duration(series.duration_s)}. {went} went wrong.",
        said=f"{went} went wrong.",
        lines=(bars, *_lines(whole, drawn, axis.place)),
    )


def memory(series: OverTime, growth_limit: float | None) -> Plot | None:
    """Lay out the server's memory; *growth_limit* is by how many bytes it may grow. `None` where nobody read it."""
    known = series.known("memory_mib")
    if not known:
        return None
    first, highest = known[0], max(known)
    allowed = None if growth_limit is None else first + growth_limit / 2**20
    # An axis from zero hides a leak, one that fits the line makes a leak of noise: the limit, or a tenth, is the scale.
    high = max(highest, allowed or 0.0, first * (1 + MEMORY_ROOM))
    low = max(0.0, min(known) - (high - min(known)) * 0.15)
    axis = _linear(low, high + (high - low) * 0.05, LOW, lambda value: format_size(value * 2**20))
    said = f"{_size(first)} at the start, {_size(known[-1])} at the end, at most {_size(highest)}."
    rules = (
        []
        if growth_limit is None or allowed is None
        else [Rule(y=axis.place(allowed), until=100.0, label=f"limit: {format_size(growth_limit)} more", starts=True)]
    )
    return _plot(
        axis,
        _seconds(series),
        LOW,
        title=f"Memory of the server over {format_duration(series.duration_s)}. {said}",
        said=said,
        lines=_lines(series, (("server", "server", "memory_mib"),), axis.place),
        rules=tuple(rules),
    )


def cpu(series: OverTime, cpus: float | None) -> Plot | None:
    """Lay out the CPU of the server and of everything else, in cores; *cpus* is what the server may use."""
    known = [value for name in ("server_cores", "other_cores") for value in series.known(name)]
    if not known:
        return None
    server = series.known("server_cores")
    axis = _linear(0.0, max(*known, cpus or 0.0, 0.1) * 1.05, LOW, lambda value: f"{format_number(value)}")
    said = f"At its busiest the server used {cores_text(max(server))}." if server else ""
    drawn = (("other", "everything else on the host", "other_cores"), ("server", "server", "server_cores"))
    rule = (
        [] if not cpus else [Rule(y=axis.place(cpus), until=100.0, label=f"the server has {_cores(cpus)}", kind="has")]
    )
    return _plot(
        axis,
        _seconds(series),
        LOW,
        title=f"CPU in cores over {format_duration(series.duration_s)}. {said}",
        said=said,
        lines=_lines(series, drawn, axis.place),
        rules=tuple(rule),
    )


def percentiles(curve: Curve, limits: Sequence[LatencyLimit]) -> Plot | None:
    """Lay out response and service time by percentile, each nine as wide as the one before, against the limits."""
    drawn = (
        ("service", "service time", curve, curve.service_ms),
        ("response", "response time", curve, curve.response_ms),
    )
    said = [
        f"{quantile_name(q)} {format_duration(value / 1000)}"
        for q in (0.5, 0.95, 0.99, 0.999)
        if (value := curve.at(q)) is not None
    ]
    return _curves(f"Latency by percentile, n = {format_number(curve.n)}: {', '.join(said)}.", drawn, limits)


def versions(held: Beside) -> Plot | None:
    """Lay out the response time of challenger and champion by percentile."""
    drawn = (
        ("champion", "champion", held.champion, held.champion.response_ms),
        ("challenger", "challenger", held.challenger, held.challenger.response_ms),
    )
    said = "; ".join(f"{name} {ours} against {theirs}" for name, ours, theirs, _ in held.rows)
    return _curves(f"Challenger and champion by percentile: {said}." if said else "Challenger and champion", drawn, ())


def _curves(title: str, drawn: Sequence[tuple[str, str, Curve, Column]], limits: Sequence[LatencyLimit]) -> Plot | None:
    # The quickest few would take half of a logarithmic axis, and nobody asks for them: they stand at its foot.
    times = [
        value
        for _, _, held, column in drawn
        for q, value in zip(held.quantiles, column, strict=True)
        if value is not None and q >= LEAST_QUANTILE
    ]
    end = max(_nines(held.quantiles[-1]) for _, _, held, _ in drawn)
    if not times or end <= 0:
        return None
    axis = _times(times, [limit.value for limit in limits])

    def across(quantile: float) -> float:
        return round(100 * min(_nines(quantile) / end, 1.0), 2)

    lines = [
        Line(kind=kind, name=name, path=_path([across(q) for q in held.quantiles], column, axis.place))
        for kind, name, held, column in drawn
    ]
    nines = range(1, math.floor(end) + 1)
    # More labels than this run into each other on a phone; the first half is as wide as a third of a nine.
    named = [1 - 10.0**-n for n in nines[:: -(-len(nines) // MOST_NINES) or 1]]
    halves = [0.5] if end <= MOST_NINES + 1 else []
    ticks = [(across(q), f"{round(100 * q, 7):g} %") for q in (*halves, *named)]
    return _plot(
        axis,
        ticks,
        TALL,
        title=title,
        said="",
        lines=tuple(lines),
        rules=[
            Rule(y=axis.place(limit.value), until=across(limit.quantile), label=limit.label, starts=True, drop=True)
            for limit in limits
        ],
    )


def _nines(quantile: float) -> float:
    """Return -log10(1 - q): 1 at p90, 2 at p99; what lies beyond a float's last digit is not told apart."""
    return abs(math.log10(max(1 - quantile, 1e-12)))


def _times(values: Sequence[float], limits: Sequence[float]) -> Axis:
    """Return an axis for ms: linear from zero, or logarithmic where the largest is far beyond the smallest."""
    known = [max(value, LEAST_MS) for value in (*values, *limits)]
    low, high = min(known), max(known)
    if high <= LINEAR_RATIO * low:
        return _linear(0.0, high * 1.08, TALL, _duration)
    start, end = math.log10(low), math.log10(high)
    pad = 0.06 * (end - start)
    start, end = start - pad, end + pad

    def place(value: float) -> float:
        return _down((math.log10(max(value, LEAST_MS)) - start) / (end - start), TALL)

    ticks = tuple((place(value), _duration(value)) for value in log_ticks(start, end))
    return Axis(place=place, ticks=ticks, is_log=True)


def _linear(low: float, high: float, height: int, label: Callable[[float], str]) -> Axis:
    span = high - low if high > low else 1.0

    def place(value: float) -> float:
        return _down((value - low) / span, height)

    most = MOST_TICKS if height == TALL else MOST_DOWN
    return Axis(place=place, ticks=tuple((place(value), label(value)) for value in linear_ticks(low + span, low, most)))


def _down(share: float, height: int) -> float:
    return round(TOP + height * (1 - min(max(share, 0.0), 1.0)), 1)


def _plot(
    axis: Axis,
    across: Sequence[tuple[float, str]],
    height: int,
    *,
    title: str,
    lines: Sequence[Line],
    rules: Sequence[Rule] = (),
    said: str = "",
) -> Plot:
    return Plot(
        title=title,
        said=said,
        height=TOP + height + FOOT,
        top=TOP,
        base=TOP + height,
        down=axis.ticks,
        across=tuple(across),
        lines=tuple(lines),
        rules=tuple(rules),
        is_log=axis.is_log,
    )


def _seconds(series: OverTime) -> list[tuple[float, str]]:
    """Return the ticks of a run's time, in the largest unit that it has a few of."""
    unit_s, unit = next(
        (held for held in ((3600.0, "h"), (60.0, "min")) if series.duration_s >= 4 * held[0]), (1.0, "s")
    )
    length = series.duration_s / unit_s
    return [(round(100 * value / length, 2), f"{value:g} {unit}") for value in linear_ticks(length)]


def _lines(series: OverTime, drawn: Sequence[tuple[str, str, str]], place: Place) -> list[Line]:
    found = []
    for kind, name, column in drawn:
        if series.known(column):
            values = series.columns[column]
            middles = [_middle(series, index) for index in range(len(values))]
            found.append(Line(kind=kind, name=name, path=_path(middles, values, place)))
    return found


def _middle(series: OverTime, index: int) -> float:
    return round(min(100.0, 100 * (index * series.bin_s + series.width_s(index) / 2) / series.duration_s), 2)


def _path(across: Sequence[float], values: Column, place: Place) -> str:
    """Return the path through what is known; what is not known is a hole, and a point alone is a dot."""
    parts, is_open = [], False
    for x, value in zip(across, values, strict=True):
        if value is None:
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{x:g} {place(value):g}{'' if is_open else 'h0'}")
        is_open = True
    return "".join(parts)


def _bars(series: OverTime, values: Column, place: Place) -> str:
    """Return a bar from the axis up for each bin that has any."""
    base, parts = place(0.0), []
    for index, value in enumerate(values):
        if value:
            left = min(100.0, 100 * index * series.bin_s / series.duration_s)
            width = 100 * series.width_s(index) / series.duration_s
            # A single error must stay visible beside a hundred answers.
            parts.append(f"M{left:.4g} {base:g}V{min(place(value), base - 2):g}h{width:.4g}V{base:g}z")
    return "".join(parts)


def _latency_said(series: OverTime, limits: Sequence[LatencyLimit]) -> str:
    """Name the worst bin, and in how many of them p95 was beyond its limit."""
    column = series.columns.get("response_p95_ms", ())
    known = [(value, index) for index, value in enumerate(column) if value is not None]
    if not known:
        return ""
    worst, index = max(known)
    limit = next((limit for limit in limits if limit.quantile == P95), None)
    over = 0 if limit is None else sum(value > limit.value for value, _ in known)
    part = "second" if series.bin_s == 1 else f"part of {format_duration(series.bin_s)}"
    beyond = f"{over or 'none'} of {len(known)} {'is' if over < 2 else 'are'} beyond the limit"
    at_s = format_duration(index * series.bin_s) if index else "the start"
    return f"The worst {part} has a p95 of {_duration(worst)} (at {at_s}){'' if limit is None else f'; {beyond}'}."


def _duration(milliseconds: float) -> str:
    return format_duration(milliseconds / 1000)


def _size(mebibytes: float) -> str:
    return format_size(mebibytes * 2**20)


def _cores(value: float) -> str:
    return "one core" if value == 1 else f"{format_number(value, 3)} cores"
