"""Judging one model's metric by a floor or a ceiling: by the bound, not by the point. Pure."""

from typing import Any

from mlgate.evaluation.judgement.measure import bounds, count_groups, numbers
from mlgate.evaluation.judgement.sides import challenger_problem
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.sample import Sample
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.quantities import format_number
from mlgate.statistics.interval import Interval, Undefined


def judge_floor(
    metric: Metric,
    name: str,
    sample: Sample,
    *,
    low: float | None,
    high: float | None,
    confidence: float,
    seed: int,
) -> Finding:
    """Judge one metric of the challenger.

    Args:
        metric: What is measured.
        name: As in the policy.
        sample: The challenger's answers.
        low: The policy's `min`; the lower bound must reach it.
        high: The policy's `max`; the upper bound must not pass it.
        confidence: Of each bound.
        seed: Of the resampling.

    Raises:
        ValueError: Neither limit is given: everything would pass.
    """
    limit = low if low is not None else high
    if limit is None:
        raise ValueError(f"{name} has no floor in the policy")
    problem = challenger_problem(sample, metric.facts, limit=limit)
    if problem is not None:
        return problem
    nothing = Undefined(reason="no rows", n=0)
    interval = metric.interval(sample, confidence=confidence, seed=seed) if len(sample) else nothing
    details: dict[str, Any] = {"metric": name, "min": low, "max": high, "seed": seed, "groups": count_groups(sample)}
    if isinstance(interval, Undefined):
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.HARNESS,
            reason=f"{name}: {interval.reason}",
            limit=limit,
            n=interval.n,
            advice="more evaluation rows, of the rarer class above all, or another metric",
            details=details,
        )
    return _judge(name, interval, low=low, high=high, details=details)


def _judge(name: str, interval: Interval, *, low: float | None, high: float | None, details: dict[str, Any]) -> Finding:
    passed = (low is None or interval.lower >= low) and (high is None or interval.upper <= high)
    failed = (low is not None and interval.upper < low) or (high is not None and interval.lower > high)
    limit, needed = _nearer(interval, low, high), _rows_needed(interval, low, high)
    wanted = " and ".join(
        f"{sign} {format_number(edge)}" for sign, edge in (("≥", low), ("≤", high)) if edge is not None
    )
    reason = f"{name} {format_number(interval.estimate)}, {bounds(interval)}; must be {wanted}"
    more = f"about {format_number(needed)} evaluation rows" if needed else "more evaluation rows"
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
        cause=None if passed else Cause.MODEL,
        reason=f"{reason} (n = {format_number(interval.n)})",
        measured=interval.estimate,
        limit=limit,
        n=interval.n,
        interval=(interval.lower, interval.upper),
        confidence=interval.confidence,
        advice="" if passed else "retrain or correct the model" if failed else f"{more} would decide",
        details={
            **details,
            "method": interval.method,
            "challenger": numbers(interval),
            "counts": dict(interval.details),
            "rows_needed": needed,
        },
    )


def _nearer(interval: Interval, low: float | None, high: float | None) -> float | None:
    """Return the limit that the value stands nearer to, or beyond."""
    if low is None or high is None:
        return high if low is None else low
    return low if interval.estimate - low < high - interval.estimate else high


def _rows_needed(interval: Interval, low: float | None, high: float | None) -> int | None:
    """Count the rows at which the bounds at hand would clear the limits: their width falls with the root of the rows."""
    sides = []
    if low is not None:
        room = interval.estimate - low
        sides.append((interval.estimate - interval.lower if room > 0 else interval.upper - interval.estimate, room))
    if high is not None:
        room = high - interval.estimate
        sides.append((interval.upper - interval.estimate if room > 0 else interval.estimate - interval.lower, room))
    ratios = [width / abs(room) if room else float("inf") for width, room in sides]
    rows = interval.n * max(ratios) ** 2
    return int(rows) + 1 if rows < 1e12 else None
