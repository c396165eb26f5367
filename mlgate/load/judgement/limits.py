"""Percentile limits and the error rate: the share of requests that violates, against the share that may. Pure."""

import math
from collections.abc import Callable, Mapping

from mlgate.evidence import Finding
from mlgate.load.judgement.bounds import Bounds
from mlgate.load.judgement.causes import cause_of, nothing_measured
from mlgate.load.samples import Samples
from mlgate.load.tally import Mask, Ordered, Tally, judged_ms, latency_details, ordered_latencies, rank_of
from mlgate.quantities import format_number, format_share


def judge_percentile(samples: Samples, *, q: float, limit_ms: float, confidence: float) -> Finding:
    """Judge whether the *q* quantile of the response time, from the intended send, is within *limit_ms*.

    The claim "q quantile ≤ limit" is the claim "at most 1 - q of the requests exceed it", so it is judged by a bound on
    that share. A request without a good answer exceeds every limit. The counts are exact whatever the length of the run;
    beyond `tally.EXACT_UP_TO` requests the quantiles are within 0.1 %.

    Args:
        samples: Every intended request.
        q: Between 0 and 1, such as 0.99.
        limit_ms: In milliseconds.
        confidence: Of each one-sided bound, such as 0.95.

    Returns:
        Measured is the quantile itself in ms, and `None` where it falls among requests without a good answer; the
        interval holds by order statistics, without a distribution.
    """
    if not len(samples):
        return nothing_measured(limit=limit_ms, unit="ms")
    tally = Tally.of(samples, lambda part: judged_ms(part) > limit_ms)
    bounds = Bounds.of_blocks(tally.sizes, tally.counts, limit_share=1 - q, confidence=confidence)
    ordered = ordered_latencies(samples)
    measured = ordered.at(rank_of(q, len(ordered)))
    label, value = f"p{100 * q:g}", f"{measured:.1f} ms" if math.isfinite(measured) else "no good answer"
    without = f", {format_number(tally.failed)} of them without a good answer" if tally.failed else ""
    return Finding(
        outcome=bounds.outcome,
        reason=f"{label} ≤ {format_number(limit_ms)} ms: {bounds.words}{without}; {label} is {value}",
        cause=cause_of(bounds, lost=tally.lost, failed=tally.failed),
        measured=measured,
        limit=limit_ms,
        unit="ms",
        n=bounds.n,
        interval=_quantile_bounds(ordered, bounds),
        confidence=confidence,
        advice=bounds.advice,
        details={**bounds.details, "errors": tally.failed, **latency_details(samples)},
    )


def judge_error_rate(
    samples: Samples,
    *,
    limit_share: float,
    confidence: float,
    classify: Callable[[Samples], Mask] | None = None,
) -> Finding:
    """Judge whether at most *limit_share* of the requests got no good answer.

    Args:
        samples: Every intended request.
        limit_share: Between 0 and 1, such as 0.005.
        confidence: Of each one-sided bound.
        classify: Says which samples are errors, shape (n,), and is asked for a part of them at a time; default: all
            without a good answer.
    """
    if not len(samples):
        return nothing_measured(limit=limit_share, unit="share")
    tally = Tally.of(samples, classify or (lambda part: part.failed))
    bounds = Bounds.of_blocks(tally.sizes, tally.counts, limit_share=limit_share, confidence=confidence)
    share, upper = bounds.violations / bounds.n, format_share(bounds.interval[1])
    kinds = f" ({kinds_in_words(tally.errors)})" if tally.errors else ""
    return Finding(
        outcome=bounds.outcome,
        reason=f"errors ≤ {format_share(limit_share)}: {bounds.words}{kinds}; {format_share(share)}, at most {upper}",
        cause=cause_of(bounds, lost=tally.lost, failed=tally.failed),
        measured=share,
        limit=limit_share,
        unit="share",
        n=bounds.n,
        interval=bounds.interval,
        confidence=confidence,
        advice=bounds.advice,
        details={**bounds.details, "errors": dict(tally.errors), "statuses": dict(tally.statuses)},
    )


def kinds_in_words(errors: Mapping[str, int]) -> str:
    """Return *errors* (kind to count) with the most frequent first: `3 x 5xx, 2 x timeout`."""
    ordered = sorted(errors.items(), key=lambda kind: -kind[1])
    return ", ".join(f"{format_number(count)} x {label.replace('_', ' ')}" for label, count in ordered)


def _quantile_bounds(ordered: Ordered, bounds: Bounds) -> tuple[float, float]:
    """Return the order statistics between which the quantile lies: the limits that just pass and that just fail.

    David and Nagaraja, Order Statistics (2003), section 7.1, at the effective n; `mlgate.statistics.quantiles` has the
    same for independent values.
    """
    n = len(ordered)
    upper = math.inf if bounds.allowed is None else ordered.at(n - min(bounds.allowed, n - 1))
    lower = ordered.at(n + 1 - bounds.failing) if bounds.failing <= n else 0.0
    return lower, upper
