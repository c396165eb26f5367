"""What the details of findings hold for tables and charts, read with suspicion: anything may be absent or odd. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
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
        "champion_percentile_curve",
        "champion_timeline",
        "curl",
        "difference",
        "environment_image",
        "example",
        "from_disk",
        "generator",
        "headroom",
        "histogram",
        "log",
        "margin",
        "over_time",
        "page_cache",
        "percentile_curve",
        "percentiles",
        "phases",
        "response_ms",
        "service_ms",
        "steps",
        "stopped",
        "tables",
        "timeline",
        "times_s",
        "weak_slices",
        "weak_slices_search",
    }
)

MAX_BINS = 200
MAX_REPEATS = 100
# More comparisons than this are a long scroll: those slices that passed are folded.
MAX_OPEN = 12


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
        return one_line(", ".join(part for part in (self.metric, self.slice) if part), 60)

    @property
    def metric(self) -> str:
        """The metric; where a check has none, its id."""
        return self.check.params.get("metric", self.check.id)

    @property
    def slice(self) -> str:
        """The part of the data that it is about: `region=EU`, or `age >= 65`; empty for all rows."""
        return params_text({key: value for key, value in self.check.params.items() if key != "metric"})

    @property
    def detectable(self) -> float | None:
        """Smallest loss that these rows could have shown, in the metric's unit."""
        return number(self.check.finding.details.get("minimum_detectable_loss"))

    @property
    def rows_for_margin(self) -> float | None:
        """Rows at which the margin itself could be shown to be kept, by two models that are equally good."""
        return number(self.check.finding.details.get("rows_needed_for_margin"))

    @property
    def rows_missing(self) -> int | None:
        """How many more rows would decide; `None` where that is not known, or no more are needed."""
        return rows_missing(self.check)

    @property
    def slack(self) -> float:
        """How far inside the margin the lower bound lies, in margins; least where a bound is not known."""
        lower, margin = self.difference.lower, self.margin
        return -math.inf if lower is None or not margin or margin < 0 else lower / margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The slices of one column between which a metric differs most; a value may be unknown."""

    metric: str
    column: str
    best: str
    best_value: float | None
    worst: str
    worst_value: float | None


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
    return comparisons_of(evidence.checks())


def comparisons_of(checks: Sequence[CheckResult]) -> list[Comparison]:
    """Return those of *checks* that set the challenger beside the champion."""
    return [found for check in checks if (found := _comparison(check)) is not None]


def arranged(found: Sequence[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Return the comparisons to show, and those to fold: the slices that passed, where there are many.

    First those over all rows, as they were judged; then the slices, the worst first.
    """
    whole = [item for item in found if not item.slice]
    slices = sorted((item for item in found if item.slice), key=_rank)
    if len(found) <= MAX_OPEN:
        return [*whole, *slices], []
    open_ = [item for item in slices if item.check.outcome is not Outcome.PASSED]
    return [*whole, *open_], [item for item in slices if item.check.outcome is Outcome.PASSED]


def params_text(params: Any) -> str:
    """Return params as a person writes a slice: `region=EU, plan=pro`; an expression stands for itself."""
    if not isinstance(params, Mapping):
        return "" if params is None else str(params)
    return ", ".join(str(value) if key == "slice" else f"{key}={value}" for key, value in sorted(params.items()))


def rows_missing(check: CheckResult) -> int | None:
    """Return how many rows more than there were would decide *check*; `None` where none are known to be missing."""
    needed, n = number(check.finding.details.get("rows_needed")), check.finding.n
    return round(needed - n) if needed is not None and n is not None and needed > n else None


def gap_of(check: CheckResult) -> Gap:
    """Return which slices a gap is between."""
    ends = {}
    for name in ("best", "worst"):
        end = check.finding.details.get(name)
        held = end if isinstance(end, Mapping) else {}
        ends[name] = (params_text(held.get("slice")), number(held.get("value")))
    (best, best_value), (worst, worst_value) = ends["best"], ends["worst"]
    return Gap(
        metric=check.params.get("metric", ""),
        column=check.params.get("column", ""),
        best=best,
        best_value=best_value,
        worst=worst,
        worst_value=worst_value,
    )


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


def _rank(item: Comparison) -> tuple[int, float]:
    return -item.check.outcome.badness, item.slack


def _suite(evidence: Evidence, name: str) -> Iterator[CheckResult]:
    suite = evidence.suites.get(name)
    yield from suite.checks if suite else ()


def _estimate(value: Any) -> Estimate:
    if isinstance(value, Mapping):
        return Estimate(**{name: number(value.get(name)) for name in ("value", "lower", "upper")})
    return Estimate(value=number(value))


def _comparison(check: CheckResult) -> Comparison | None:
    if check.id == "accuracy.gap":  # its sides are two slices of the challenger
        return None
    details = check.finding.details
    parts = {name: _estimate(details.get(name)) for name in ("challenger", "champion", "difference")}
    margin, empty = number(details.get("margin")), Estimate()
    nothing = parts["difference"] == empty and empty in {parts["champion"], parts["challenger"]}
    # A slice that was too small to be measured is named all the same.
    if nothing and (margin is None or check.id not in {"accuracy.regression", "accuracy.slice"}):
        return None
    return Comparison(check=check, margin=margin, **parts)


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
    own = {name: details[name] for name in ("response_ms", "service_ms") if name in details}
    held = details.get("percentiles", own)
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
