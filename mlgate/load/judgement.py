"""What load samples say about a limit: passed, failed, or not enough to say. Pure."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.samples import CONNECTION, TIMEOUT, Health, Samples
from mlgate.quantities import format_number, format_share
from mlgate.statistics.proportions import clopper_pearson_lower, clopper_pearson_upper, design_effect

Mask = NDArray[np.bool_]

# Requests of one second share their fate (a collection, a stall), so they are one cluster (design §7).
BLOCK_S = 1.0

# Below this share of the sends made, or of the offered rate carried, the run is not the one that was asked for
# (reference/performance-reliability-security.md A1, "How mlgate should measure", 2).
CARRIED_SHARE = 0.99

# A send lag beyond this part of the tightest limit would be measured as the model's latency (same source).
LAG_SHARE = 0.10

# Answers may still be under way when the last request has left; a second is far above what a passing latency takes.
GRACE_S = 1.0

# A backlog that differs by this many requests between two thirds of the run is noise: an arrival falls on either side.
BACKLOG_NOISE = 2

# Where a needed n is searched for: beyond it (28 hours at 100/s), "more requests" is no advice.
MOST_REQUESTS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many of *n* requests violate, and how many may.

    Attributes:
        n: Requests.
        violations: Those beyond the limit.
        design_effect: How many requests say as much as one independent request; at least 1.
        allowed: Most violations that pass; `None` where not even zero would.
        failing: Fewest violations that fail.
        limit_share: Share that may violate.
        confidence: Of each bound, one-sided.
    """

    n: int
    violations: int
    design_effect: float
    allowed: int | None
    failing: int
    limit_share: float
    confidence: float

    @classmethod
    def of(cls, violating: Mask, intended_s: NDArray[np.float64], *, limit_share: float, confidence: float) -> "Bounds":
        """Count *violating* against the share that may, at n_eff = n / design effect over blocks of one second.

        Args:
            violating: Shape (n,), n at least 1.
            intended_s: Shape (n,), intended send times in seconds.
            limit_share: Between 0 and 1, both excluded.
            confidence: Between 0.5 and 1.
        """
        blocks = np.floor(intended_s / BLOCK_S).astype(np.int64)
        n, effect = len(violating), _effect(violating, blocks, limit_share, confidence)

        def is_beyond(k: int) -> bool:
            return clopper_pearson_upper(k / effect, n / effect, confidence) > limit_share

        def is_failing(k: int) -> bool:
            return clopper_pearson_lower(k / effect, n / effect, confidence) > limit_share

        first_beyond = bisect_left(range(n + 1), True, key=is_beyond)
        return cls(
            n=n,
            violations=int(violating.sum()),
            design_effect=effect,
            allowed=first_beyond - 1 if first_beyond else None,
            failing=bisect_left(range(n + 1), True, key=is_failing),
            limit_share=limit_share,
            confidence=confidence,
        )

    @property
    def outcome(self) -> Outcome:
        """Passed up to `allowed`, failed from `failing` on, inconclusive between."""
        if self.allowed is not None and self.violations <= self.allowed:
            return Outcome.PASSED
        return Outcome.FAILED if self.violations >= self.failing else Outcome.INCONCLUSIVE

    @property
    def interval(self) -> tuple[float, float]:
        """One-sided Clopper-Pearson bounds of the share that violates."""
        k, n = self.violations / self.design_effect, self.n / self.design_effect
        return clopper_pearson_lower(k, n, self.confidence), clopper_pearson_upper(k, n, self.confidence)

    @property
    def requests_needed(self) -> int | None:
        """Requests at which the observed share and bursts would pass; `None` where no number would."""
        share = self.violations / self.n
        if share >= self.limit_share:
            return None

        def passes(n: int) -> bool:
            k_effective, n_effective = share * n / self.design_effect, n / self.design_effect
            return clopper_pearson_upper(k_effective, n_effective, self.confidence) <= self.limit_share

        needed = bisect_left(range(1, MOST_REQUESTS), True, key=passes) + 1
        return needed if needed < MOST_REQUESTS else None

    @property
    def words(self) -> str:
        """How many may and how many did: `47 of 6 000 may exceed at 95 % confidence; 12 did`."""
        may = "no number" if self.allowed is None else format_number(self.allowed)
        text = f"{may} of {format_number(self.n)} may exceed at {format_share(self.confidence)} confidence"
        bursts = f" (in bursts: n_eff = {format_number(round(self.n / self.design_effect))})"
        return f"{text}{bursts if self.design_effect > 1 else ''}; {format_number(self.violations)} did"

    @property
    def details(self) -> dict[str, Any]:
        """The numbers behind `outcome`, as JSON."""
        return {
            "allowed": self.allowed,
            "violations": self.violations,
            "n_eff": round(self.n / self.design_effect, 1),
            "design_effect": round(self.design_effect, 3),
        }


def _effect(violating: Mask, blocks: NDArray[np.int64], limit_share: float, confidence: float) -> float:
    """Return the design effect to judge with: of all violations, or of the burst among them that alone forbids a pass.

    Violations scattered around a burst dilute its design effect, and below an effective count of about three that
    outweighs the violations they add: 13 in one second of 60 s at 100/s are inconclusive at p99, with 5 elsewhere they
    would pass. A pass must not be had by violating more.
    """
    whole = design_effect(violating, blocks)
    _, index = np.unique(blocks, return_inverse=True)
    in_block = np.bincount(index, weights=violating).astype(np.float64)
    burstiest = np.argsort(-in_block, kind="stable")
    counts, sizes = in_block[burstiest], np.bincount(index)[burstiest]
    bursts: list[float] = np.cumsum(counts)[counts > 0].tolist()
    effects: list[float] = _burst_effects(counts, sizes)[counts > 0].tolist()
    for k, effect in [(int(violating.sum()), whole), *zip(bursts, effects, strict=True)]:
        if clopper_pearson_upper(k / effect, len(violating) / effect, confidence) > limit_share:
            return effect
    return whole


def _burst_effects(counts: NDArray[np.float64], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the design effect of the violations in the first j blocks alone, for each j: `design_effect`, all at once.

    Args:
        counts: Violations per block, shape (blocks,).
        sizes: Requests per block, shape (blocks,).
    """
    blocks, n = len(counts), sizes.sum()
    share = np.cumsum(counts) / n
    squares = np.cumsum(counts**2) - 2 * share * np.cumsum(counts * sizes) + share**2 * float(sizes @ sizes)
    binomial = share * (1 - share) * n
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = squares * blocks / (blocks - 1) / binomial
    return np.maximum(1.0, np.where(np.isfinite(effects), effects, 1.0))


def judge_percentile(samples: Samples, *, q: float, limit_ms: float, confidence: float) -> Finding:
    """Judge whether the *q* quantile of the response time, from the intended send, is within *limit_ms*.

    The claim "q quantile ≤ limit" is the claim "at most 1 - q of the requests exceed it", so it is judged by a bound on
    that share. A request without a good answer exceeds every limit.

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
        return _nothing_measured(limit=limit_ms, unit="ms")
    times = np.where(samples.failed, np.inf, samples.response_ms)
    bounds = Bounds.of(times > limit_ms, samples.intended_s, limit_share=1 - q, confidence=confidence)
    ordered = np.sort(times)
    measured = float(ordered[max(math.ceil(q * len(ordered)), 1) - 1])
    label, value = f"p{100 * q:g}", f"{measured:.1f} ms" if math.isfinite(measured) else "no good answer"
    errors = int(samples.failed.sum())
    without = f", {format_number(errors)} of them without a good answer" if errors else ""
    return Finding(
        outcome=bounds.outcome,
        reason=f"{label} ≤ {format_number(limit_ms)} ms: {bounds.words}{without}; {label} is {value}",
        cause=_cause(samples, bounds),
        measured=measured,
        limit=limit_ms,
        unit="ms",
        n=bounds.n,
        interval=_quantile_bounds(ordered, bounds),
        confidence=confidence,
        advice=_advice(bounds),
        details={**bounds.details, "errors": errors, "histogram": samples.histogram(), **samples.summary()},
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
        classify: Says which samples are errors, shape (n,); default: all without a good answer.
    """
    if not len(samples):
        return _nothing_measured(limit=limit_share, unit="share")
    is_error = samples.failed if classify is None else classify(samples)
    bounds = Bounds.of(is_error, samples.intended_s, limit_share=limit_share, confidence=confidence)
    share = bounds.violations / bounds.n
    codes, counts = np.unique(samples.error[is_error], return_counts=True)
    statuses, status_counts = np.unique(samples.status[is_error], return_counts=True)
    upper = format_share(bounds.interval[1])
    return Finding(
        outcome=bounds.outcome,
        reason=f"errors ≤ {format_share(limit_share)}: {bounds.words}; {format_share(share)}, at most {upper}",
        cause=_cause(samples, bounds),
        measured=share,
        limit=limit_share,
        unit="share",
        n=bounds.n,
        interval=bounds.interval,
        confidence=confidence,
        advice=_advice(bounds),
        details={
            **bounds.details,
            "errors": dict(zip(codes.tolist(), counts.tolist(), strict=True)),
            "statuses": {str(code): count for code, count in zip(statuses, status_counts.tolist(), strict=True)},
        },
    )


def judge_rate(samples: Samples, *, rate: float) -> Finding:
    """Judge whether the server carried *rate* requests per second: answered in time, and no backlog that grows.

    An error is an answer here; `judge_error_rate` judges those.

    Args:
        samples: Every intended request.
        rate: Offered rate, requests per second.
    """
    n = len(samples)
    if not n:
        return _nothing_measured(limit=rate, unit="1/s")
    end_s = float(samples.intended_s[-1]) + 1 / rate
    done_s = samples.done_s[samples.answered]
    in_time = int((done_s <= end_s + GRACE_S).sum())
    growth = _backlog_growth(samples.intended_s, done_s, end_s)
    carried = max(0.0, min(rate * in_time / n, rate - growth))
    passed = carried >= CARRIED_SHARE * rate
    backlog = f", backlog growing by {format_number(growth, 3)}/s" if growth > 0 else ""
    answered = f"{format_number(in_time)} of {format_number(n)} answered within the run{backlog}"
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        reason=f"carried {format_number(carried, 3)}/s of {format_number(rate)}/s offered: {answered}",
        cause=None if passed else _server_or_model(samples),
        measured=carried,
        limit=rate,
        unit="1/s",
        n=n,
        advice="" if passed else "more CPUs or a faster model; or offer the rate that one replica has to carry",
        details={"answered_in_time": in_time, "backlog_growth_per_s": round(growth, 4), "grace_s": GRACE_S},
    )


def unhealthy(samples: Samples, health: Health, tightest_limit_ms: float) -> str | None:
    """Say why the run can not be judged, and what to change; `None` where the generator did what it was asked to.

    Args:
        samples: Every intended request.
        health: Of the generator.
        tightest_limit_ms: The smallest latency limit that the run is judged by, in ms.
    """
    if not len(samples) or not samples.sent.any():
        return "no request was sent; read the generator's log"
    sent_share = min(int(samples.sent.sum()) / len(samples), health.achieved_rate / health.offered_rate)
    if sent_share < CARRIED_SHARE:
        made = f"{format_number(health.achieved_rate, 3)}/s of {format_number(health.offered_rate)}/s"
        dropped = f"{made}, {format_number(health.dropped)} dropped"
        return f"the generator sent {dropped}; lower the rate, raise the limit of open files or give it a free core"
    if health.send_lag_p99_ms > LAG_SHARE * tightest_limit_ms:
        allowed = f"{format_number(LAG_SHARE * tightest_limit_ms, 3)} ms (10 % of the tightest limit)"
        lag = f"requests left {format_number(health.send_lag_p99_ms, 3)} ms late at p99 > {allowed}"
        return f"{lag}, generator CPU {format_share(health.cpu_share)}; free a core for the generator and run again"
    return None


def not_judged(reason: str) -> Finding:
    """Return the finding of every load check of a run that is `unhealthy` for *reason*."""
    what, _, advice = reason.partition("; ")
    return Finding(outcome=Outcome.INCONCLUSIVE, reason=what, cause=Cause.HARNESS, advice=advice)


def _nothing_measured(*, limit: float, unit: str) -> Finding:
    reason = "no samples: nothing was measured"
    return Finding(outcome=Outcome.ERRORED, reason=reason, cause=Cause.HARNESS, limit=limit, unit=unit, n=0)


def _quantile_bounds(ordered: NDArray[np.float64], bounds: Bounds) -> tuple[float, float]:
    """Return the order statistics between which the quantile lies: the limits that just pass and that just fail.

    David and Nagaraja, Order Statistics (2003), section 7.1, at the effective n; `mlgate.statistics.quantiles` has the
    same for independent values.
    """
    n = len(ordered)
    upper = math.inf if bounds.allowed is None else float(ordered[n - 1 - min(bounds.allowed, n - 1)])
    lower = float(ordered[n - bounds.failing]) if bounds.failing <= n else 0.0
    return lower, upper


def _backlog_growth(intended_s: NDArray[np.float64], done_s: NDArray[np.float64], end_s: float) -> float:
    """Return requests per second by which the least backlog of the last third exceeds that of the middle, at least 0.

    The least, because a stall that the server recovers from lets the backlog return to nothing; overload never does.
    Not the first third: there the backlog of a slow but steady server is still being filled.
    """
    grid = np.linspace(0.0, end_s, 301)[1:]  # 100 points a third
    arrived = np.searchsorted(intended_s, grid, side="right")
    backlog = arrived - np.searchsorted(np.sort(done_s), grid, side="right")
    growth = float(backlog[200:].min() - backlog[100:200].min()) - BACKLOG_NOISE
    return max(0.0, growth) / (end_s / 3)


def _cause(samples: Samples, bounds: Bounds) -> Cause | None:
    if bounds.outcome is Outcome.PASSED:
        return None
    # Too few requests is ours to change; more than the limit is theirs, even before it is certain.
    too_few = bounds.outcome is Outcome.INCONCLUSIVE and bounds.violations < bounds.limit_share * bounds.n
    return Cause.HARNESS if too_few else _server_or_model(samples)


def _server_or_model(samples: Samples) -> Cause:
    """A model is slow or answers with errors; a server refuses, resets or never answers."""
    lost = int(np.isin(samples.error, (TIMEOUT, CONNECTION)).sum())
    return Cause.SERVER if 2 * lost > max(1, int(samples.failed.sum())) else Cause.MODEL


def _advice(bounds: Bounds) -> str:
    if bounds.outcome is not Outcome.INCONCLUSIVE:
        return ""
    needed = bounds.requests_needed
    if needed is None:
        return "the observed share is over the limit; a longer run would most likely fail"
    return f"about {format_number(needed)} requests would pass at the same share; lengthen load.duration or raise load.rate"
