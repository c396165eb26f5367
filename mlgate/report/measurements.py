"""What the details of findings hold for tables and charts, read with suspicion: anything may be absent or odd. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.quantities import format_duration
from mlgate.report.text import MAX_NUMBER, number, numbers, one_line

# Details that the page shows in a form of their own; the rest is shown as JSON.
SHOWN = frozenset(
    {
        "advice",
        "advisory",
        "bytes",
        "challenger",
        "champion",
        "champion_timeline",
        "curl",
        "difference",
        "environment_image",
        "example",
        "from_disk",
        "histogram",
        "log",
        "margin",
        "page_cache",
        "percentiles",
        "phases",
        "timeline",
        "times_s",
    }
)

MAX_BINS = 200
MAX_REPEATS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value and its bounds; each may be unknown."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Challenger beside champion in one check. *difference* is oriented so that more is better."""

    check: CheckResult
    challenger: Estimate
    champion: Estimate
    difference: Estimate
    margin: float | None

    @property
    def label(self) -> str:
        """The metric, and the slice where there is one: `f1, region=EU`."""
        params = dict(self.check.params)
        metric = params.pop("metric", self.check.id)
        return one_line(", ".join([metric, *(f"{key}={value}" for key, value in sorted(params.items()))]), 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit with the check it belongs to, in the unit of the chart."""

    label: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latency under load, in ms. *percentiles* maps a series (`response`, `service`) to name and value."""

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]
    percentiles: Mapping[str, Mapping[str, float]]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Each repeat of a cold start, in seconds, against the limit."""

    label: str
    outcome: Outcome
    times_s: tuple[float, ...]
    limit_s: float | None


def comparisons(evidence: Evidence) -> list[Comparison]:
    """Return every check that set the challenger beside the champion."""
    return [found for check in evidence.checks() if (found := _comparison(check)) is not None]


def latency(evidence: Evidence) -> Latency | None:
    """Return the distribution of the first check that holds one, with the percentiles of any; `None` for neither."""
    checks = list(_suite(evidence, "load"))
    histogram = next(filter(None, (_histogram(check.finding.details.get("histogram")) for check in checks)), None)
    percentiles = next(filter(None, (_percentiles(check.finding.details) for check in checks)), {})
    if histogram is None and not percentiles:
        return None
    edges, counts = histogram or ((), ())
    limits = [limit for check in checks if (limit := _limit_ms(check)) is not None]
    return Latency(edges_ms=edges, counts=counts, percentiles=percentiles, limits=tuple(limits[:4]))


def repeats(evidence: Evidence) -> list[Repeats]:
    """Return the checks of the cold start that hold each repeat."""
    found = []
    for check in _suite(evidence, "cold_start"):
        times = [time for time in numbers(check.finding.details.get("times_s"))[:MAX_REPEATS] if time >= 0]
        if times:
            limit = number(_seconds(check.finding.limit, check.finding.unit))
            found.append(
                Repeats(label=one_line(check.key, 80), outcome=check.outcome, times_s=tuple(times), limit_s=limit)
            )
    return found


def _suite(evidence: Evidence, name: str) -> Iterator[CheckResult]:
    suite = evidence.suites.get(name)
    yield from suite.checks if suite else ()


def _estimate(value: Any) -> Estimate:
    if isinstance(value, Mapping):
        return Estimate(**{name: number(value.get(name)) for name in ("value", "lower", "upper")})
    return Estimate(value=number(value))


def _comparison(check: CheckResult) -> Comparison | None:
    details = check.finding.details
    parts = {name: _estimate(details.get(name)) for name in ("challenger", "champion", "difference")}
    empty = Estimate()
    if parts["difference"] == empty and (parts["champion"] == empty or parts["challenger"] == empty):
        return None
    margin = details.get("margin")
    return Comparison(check=check, margin=number(margin), **parts)


def _histogram(value: Any) -> tuple[tuple[float, ...], tuple[int, ...]] | None:
    if not isinstance(value, Mapping):
        return None
    edges, counts = numbers(value.get("edges_ms")), numbers(value.get("counts"))
    fits = 1 <= len(counts) <= MAX_BINS and len(edges) == len(counts) + 1
    if not fits or edges[0] <= 0 or min(counts) < 0 or max(counts) <= 0:
        return None
    if any(left >= right for left, right in pairwise(edges)):
        return None
    return tuple(edges), tuple(map(int, counts))


def _percentiles(details: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    held = details.get("percentiles")
    if not isinstance(held, Mapping):
        return {}
    flat = _named_numbers(held)
    if flat:
        return {"response": flat}
    series = {str(name).removesuffix("_ms"): _named_numbers(inner) for name, inner in sorted(held.items())[:4]}
    return {name: inner for name, inner in series.items() if inner}


def _named_numbers(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    found = {str(name): number(inner) for name, inner in sorted(value.items())[:12]}
    # By value: p50 before p99, and the same order whatever order they were stored in.
    known = [(name, inner) for name, inner in found.items() if inner is not None]
    return dict(sorted(known, key=lambda item: (item[1], item[0])))


def _seconds(value: float | None, unit: str) -> float | None:
    factor = {"s": 1.0, "ms": 0.001}.get(unit)
    return None if value is None or factor is None else value * factor


def _limit_ms(check: CheckResult) -> Limit | None:
    seconds = _seconds(check.finding.limit, check.finding.unit)
    if seconds is None or not 0 < seconds <= MAX_NUMBER:
        return None
    name = one_line(check.id.rpartition(".")[2].removesuffix("_latency"), 30)
    return Limit(label=f"{name} limit {format_duration(seconds)}", value=seconds * 1000)
