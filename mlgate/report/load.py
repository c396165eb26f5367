"""What the report shows of a load run, read with suspicion: series, curves, words and tables. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.quantities import format_duration, format_number, format_share
from mlgate.report import words
from mlgate.report.text import number, one_line

SUITE = "load"
REGRESSION = "load.regression"
MEMORY = "load.memory"
COLUMNS = (
    "offered",
    "answered",
    "errors",
    "response_p50_ms",
    "response_p95_ms",
    "response_max_ms",
    "service_p50_ms",
    "service_p95_ms",
    "memory_mib",
    "server_cores",
    "other_cores",
)
# Twice what `mlgate.load.series` makes; more is not ours, and no chart of this page shows it.
MAX_POINTS = 240
MAX_STEPS = 40
# No run is shorter; a rate is a number of requests over such a time.
LEAST_S = 0.001
NAMED = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_QUANTILE = re.compile(r"load\.p(\d{1,2}(?:\.\d{1,3})?)_latency")

Column = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTime:
    """Columns of one length, a value a bin; `None`: not known."""

    bin_s: float
    duration_s: float
    columns: Mapping[str, Column]

    def known(self, name: str) -> list[float]:
        """Return the values of a column that are known; nothing where there is no such column."""
        return [value for value in self.columns.get(name, ()) if value is not None]

    def width_s(self, index: int) -> float:
        """Return the seconds of a bin: the last may be cut short."""
        return max(min(self.bin_s, self.duration_s - index * self.bin_s), self.bin_s / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Times in ms at quantiles, ascending; `None` where no good answer came."""

    n: int
    quantiles: tuple[float, ...]
    response_ms: Column
    service_ms: Column

    def at(self, quantile: float) -> float | None:
        """Return the response time at *quantile* in ms; `None` where the curve does not hold it."""
        index = self._index(quantile)
        return None if index is None else self.response_ms[index]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """Percentile, response and service time, as text: of all requests, so that an error is beyond every time."""
        places = [(quantile_name(q), index) for q in NAMED if (index := self._index(q)) is not None]
        places.append(("max", len(self.quantiles) - 1))
        return [(name, [_time(column[at]) for column in (self.response_ms, self.service_ms)]) for name, at in places]

    def _index(self, quantile: float) -> int | None:
        return next((index for index, q in enumerate(self.quantiles) if abs(q - quantile) < 1e-9), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """A limit in ms on a quantile of the response time."""

    quantile: float
    value: float

    @property
    def label(self) -> str:
        """For the chart: `p95 limit 100 ms`."""
        return f"{quantile_name(self.quantile)} limit {format_duration(self.value / 1000)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The challenger's curve and the champion's, of the same run, and what was found."""

    challenger: Curve
    champion: Curve
    outcome: Outcome
    symbol: str
    reason: str

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Percentile, challenger, champion and the ratio, for those that both have."""
        found = []
        for q in NAMED:
            ours, theirs = self.challenger.at(q), self.champion.at(q)
            if ours is not None and theirs is not None:
                ratio = f"{format_number(ours / theirs, 3)} times" if theirs > 0 else ""
                found.append((quantile_name(q), _ms(ours), _ms(theirs), ratio))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the search for capacity, as text; *latencies* are p95 and p99."""

    callers: str
    rate: str
    latencies: tuple[str, ...]
    errors: str
    within: str
    is_within: bool


def over_time(evidence: Evidence) -> OverTime | None:
    """Return the series of the first load check that holds one."""
    return next(filter(None, (_over_time(details.get("over_time")) for details in _details(evidence))), None)


def curve(evidence: Evidence) -> Curve | None:
    """Return the percentile curve of the run that is judged by its limits: not that of the comparison."""
    held = (check.finding.details for check in _checks(evidence) if check.id != REGRESSION)
    return next(filter(None, (_curve(details.get("percentile_curve")) for details in held)), None)


def beside(evidence: Evidence) -> Beside | None:
    """Return challenger and champion, where they were asked in turns."""
    for check in _checks(evidence):
        ours = _curve(check.finding.details.get("percentile_curve"))
        theirs = _curve(check.finding.details.get("champion_percentile_curve"))
        if ours is not None and theirs is not None:
            return Beside(
                challenger=ours,
                champion=theirs,
                outcome=check.outcome,
                symbol=words.SYMBOLS[check.outcome],
                reason=one_line(check.finding.reason, 400),
            )
    return None


def limits(evidence: Evidence) -> list[LatencyLimit]:
    """Return the limits on the response time, by quantile."""
    found = []
    for check in _checks(evidence):
        match, value = _QUANTILE.fullmatch(check.id), number(check.finding.limit)
        if match and value is not None and value > 0 and check.finding.unit == "ms":
            found.append(LatencyLimit(quantile=float(match[1]) / 100, value=value))
    return sorted(found, key=lambda limit: limit.quantile)[:4]


def memory_limit(evidence: Evidence) -> float | None:
    """Return by how many bytes the server's memory may grow."""
    for check in _checks(evidence):
        value = number(check.finding.limit)
        if check.id == MEMORY and check.finding.unit == "bytes" and value is not None and value > 0:
            return value
    return None


def sentences(evidence: Evidence) -> list[str]:
    """Return in words how the run ended early, where it did, and how much room the server has left."""
    texts = {
        name: next(filter(None, (_text(details.get(name)) for details in _details(evidence))), "")
        for name in ("stopped", "headroom")
    }
    told = f"The run was stopped early: {texts['stopped']}" if texts["stopped"] else ""
    return [_sentence(text) for text in (told, texts["headroom"]) if text]


def generator(evidence: Evidence) -> list[str]:
    """Return in words and numbers whether the generator did what it was asked to, and who used the CPU."""
    held = next((found for details in _details(evidence) if isinstance(found := details.get("generator"), Mapping)), {})
    return [
        _sentence(text)
        for text in (_sent(held), _cpu(held), _pinned(held), _calibration(held.get("calibration")))
        if text
    ]


def steps(evidence: Evidence) -> list[Step]:
    """Return the steps of the search for capacity, in the order they ran."""
    held = next((found for details in _details(evidence) if isinstance(found := details.get("steps"), list)), [])
    return [step for item in held[:MAX_STEPS] if isinstance(item, Mapping) and (step := _step(item)) is not None]


def quantile_name(quantile: float) -> str:
    """Print a quantile as people say it: `p95`, `p99.9`."""
    return f"p{format_number(round(quantile * 100, 6), 8)}"


def cores_text(value: float) -> str:
    """Print CPU use: `63 % of one core`, `1.3 cores`."""
    return f"{format_share(value)} of one core" if value < 1 else f"{format_number(value, 3)} cores"


def _checks(evidence: Evidence) -> Sequence[CheckResult]:
    suite = evidence.suites.get(SUITE)
    return suite.checks if suite else ()


def _details(evidence: Evidence) -> Iterator[Mapping[str, Any]]:
    yield from (check.finding.details for check in _checks(evidence))


def _over_time(value: Any) -> OverTime | None:
    held = value if isinstance(value, Mapping) else {}
    bin_s, duration_s = number(held.get("bin_s")), number(held.get("duration_s"))
    if bin_s is None or duration_s is None or min(bin_s, duration_s) < LEAST_S:
        return None
    columns = {name: column for name in COLUMNS if (column := _column(held.get(name)))}
    length = len(next(iter(columns.values()), ()))
    fits = all(len(column) == length for column in columns.values())
    # A bin that no request and no reading falls into is a hole in the line; more bins than the run has time for are no run.
    if not length or not fits or length > duration_s / bin_s + 1:
        return None
    return OverTime(bin_s=bin_s, duration_s=duration_s, columns=columns)


def _curve(value: Any) -> Curve | None:
    held = value if isinstance(value, Mapping) else {}
    n, quantiles = number(held.get("n")), _column(held.get("quantiles"))
    known = [q for q in quantiles if q is not None and q < 1]
    response, service = _column(held.get("response_ms")), _column(held.get("service_ms"))
    if n is None or n < 1 or len(known) < 2 or len(known) != len(quantiles) or len(response) != len(known):
        return None
    if known != sorted(set(known)):
        return None
    if len(service) != len(known):
        return None
    return Curve(n=int(n), quantiles=tuple(known), response_ms=response, service_ms=service)


def _column(value: Any) -> Column:
    """Return a list of numbers from zero on, unknown where one is no such number; empty for anything else."""
    if not isinstance(value, list | tuple) or len(value) > MAX_POINTS:
        return ()
    read = [number(item) for item in value]
    return tuple(None if item is None or item < 0 else item for item in read)


def _sent(held: Mapping[str, Any]) -> str:
    offered, achieved = number(held.get("offered_rate")), number(held.get("achieved_rate"))
    lag, dropped = number(held.get("send_lag_p99_ms")), number(held.get("dropped"))
    if offered is None or achieved is None:
        return ""
    parts = [f"The generator sent {format_number(achieved, 4)}/s of {format_number(offered, 4)}/s"]
    parts += [] if lag is None else [f"{_ms(lag)} late at p99"]
    parts += [] if not dropped else [f"{format_number(dropped)} requests never left"]
    return ", ".join(parts)


def _cpu(held: Mapping[str, Any]) -> str:
    named = (("generator", "generator_cores"), ("server", "server_cores"), ("everything else", "other_cores"))
    read = [(name, number(held.get(key))) for name, key in named]
    told = [f"{name} {cores_text(value)}" for name, value in read if value is not None and value >= 0]
    return f"CPU over the run: {', '.join(told)}" if told else ""


def _pinned(held: Mapping[str, Any]) -> str:
    match held.get("pinned"):
        case True:
            return "Generator and server ran on cores of their own"
        case False:
            return "Generator and server shared the host's cores"
        case _:
            return ""


def _calibration(value: Any) -> str:
    if isinstance(value, str):
        return f"Calibration: {_text(value)}" if value else ""
    held = value if isinstance(value, Mapping) else {}
    service, added = number(held.get("service_ms")), number(held.get("added_p99_ms"))
    if service is None or added is None:
        return ""
    return f"Calibration: to a server that takes {_ms(service)}, generator and host add {_ms(max(added, 0.0))} at p99"


def _step(item: Mapping[str, Any]) -> Step | None:
    rate, callers, errors = (number(item.get(name)) for name in ("rate", "callers", "error_share"))
    if rate is None or callers is None:
        return None
    exceeded = _text(item.get("exceeded"))
    return Step(
        callers=format_number(callers),
        rate=f"{format_number(rate, 3)}/s",
        latencies=tuple(
            "" if (value := number(item.get(name))) is None else _ms(value) for name in ("p95_ms", "p99_ms")
        ),
        errors="" if errors is None else format_share(errors),
        within=exceeded or "within the limits",
        is_within=not exceeded,
    )


def _text(value: Any) -> str:
    return one_line(value, 300) if isinstance(value, str) else ""


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _time(value: float | None) -> str:
    return "no good answer" if value is None else _ms(value)


def _ms(value: float) -> str:
    return format_duration(value / 1000)
