"""Whether the server's memory grows under load: a slope with its interval. Pure."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.usage import UsageSeries
from mlgate.quantities import format_duration, format_share, format_size
from mlgate.statistics.studentised import t_critical

# The first part fills caches, pools and worker threads; what they hold is no leak.
WARM_UP_SHARE = 0.1

# Eight block means: more would resemble their neighbours more, fewer would leave no degrees of freedom.
BLOCKS = 8
# A mean of two readings at least.
FEWEST_READINGS = 2 * BLOCKS

# What eight residuals show of their autocorrelation is far too little: fitting a line biases it by about -(2 + 4r) / blocks
# (Kendall 1954, Biometrika 41:403), and it is itself known to +-0.35. So it is raised by the bias and never taken as
# smaller than 0.5; five parameters (line, scale, autocorrelation and its floor) leave three degrees of freedom. Simulated,
# one-sided error at zero growth, AR(1) of 0 / 0.5 / 0.8 / 0.9 a second and levels that switch: over 30 s 0.7 / 1 / 3 / 6.5 %
# and 4-6 %, over 60 s at most 4 %, over 300 s at most 1 %. Without it: 15 % at 0.9 over 30 s.
BIAS = 0.4
LEAST_AUTOCORRELATION, LARGEST_AUTOCORRELATION = 0.5, 0.9
DEGREES = 3

# Where a needed length is looked for; beyond, "a longer run" is no advice.
LONGEST_FACTOR = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Bytes by which memory grew over a run, with one-sided bounds."""

    estimate: float
    lower: float
    upper: float


def judge_memory(series: UsageSeries | None, *, limit_bytes: float, duration_s: float, confidence: float) -> Finding:
    """Judge whether the server's memory grew by at most *limit_bytes* over the run.

    Args:
        series: Readings; `None`: there are none.
        limit_bytes: Largest growth over the whole run, in bytes.
        duration_s: Length of the run in seconds.
        confidence: Of each one-sided bound.

    Returns:
        Passed where the upper bound is within the limit, failed where the lower one is beyond it. A worker that died
        and came again took its memory with it, so that nothing can be said but that: failed.
    """
    if series is not None and series.replaced:
        return _restarted(series, limit_bytes)
    at_s, memory = (np.empty(0), np.empty(0)) if series is None else series.memory_growth_inputs
    inside = (at_s >= WARM_UP_SHARE * duration_s) & (at_s <= duration_s)
    at_s, memory = at_s[inside], memory[inside]
    if len(memory) < FEWEST_READINGS:
        return _too_few(len(memory), limit_bytes)
    growth = growth_over(at_s, memory, duration_s=duration_s, confidence=confidence)
    outcome = _outcome(growth, limit_bytes)
    told = (
        f"memory {_signed(growth.estimate)} over {format_duration(duration_s)}, between {_signed(growth.lower)} and "
        f"{_signed(growth.upper)} at {format_share(confidence)} confidence each; limit {format_size(limit_bytes)}"
    )
    return Finding(
        outcome=outcome,
        reason=f"{told}; {format_size(float(memory[0]))} at first, {format_size(float(memory[-1]))} at last",
        cause=_cause(outcome),
        measured=growth.estimate,
        limit=limit_bytes,
        unit="bytes",
        n=len(memory),
        interval=(growth.lower, growth.upper),
        confidence=confidence,
        advice=_advice(outcome, growth, limit_bytes, duration_s),
        details={"bytes_per_s": round(growth.estimate / duration_s, 1), "peak_bytes": float(memory.max())},
    )


def growth_over(
    at_s: NDArray[np.float64], memory: NDArray[np.float64], *, duration_s: float, confidence: float
) -> Growth:
    """Estimate the growth over *duration_s* by least squares on the means of `BLOCKS` blocks.

    Readings resemble their predecessors, and so do the means of blocks yet: the standard error is raised to that of a
    first-order autoregression, by sqrt((1 + r) / (1 - r)) with r from the residuals (see `BIAS`).

    Args:
        at_s: Shape (m,), m at least `FEWEST_READINGS`, ascending, in seconds.
        memory: Shape (m,), bytes.
        duration_s: Seconds to which the slope is extended.
        confidence: Of each bound.
    """
    x, y = (np.array([part.mean() for part in np.array_split(column, BLOCKS)]) for column in (at_s, memory))
    centred = x - x.mean()
    squares = float(centred @ centred)
    slope = float(centred @ y) / squares
    residuals = y - y.mean() - slope * centred
    variance = float(residuals @ residuals) / (BLOCKS - 2)
    error = math.sqrt(variance / squares) * _inflation(residuals)
    half = t_critical(confidence, DEGREES) * error
    return Growth(estimate=slope * duration_s, lower=(slope - half) * duration_s, upper=(slope + half) * duration_s)


def _inflation(residuals: NDArray[np.float64]) -> float:
    square = float(residuals @ residuals)
    if not square:
        return 1.0
    observed = float(residuals[1:] @ residuals[:-1]) / square
    assumed = min(LARGEST_AUTOCORRELATION, max(LEAST_AUTOCORRELATION, observed + BIAS))
    return math.sqrt((1 + assumed) / (1 - assumed))


def _outcome(growth: Growth, limit_bytes: float) -> Outcome:
    if growth.upper <= limit_bytes:
        return Outcome.PASSED
    return Outcome.FAILED if growth.lower > limit_bytes else Outcome.INCONCLUSIVE


def _cause(outcome: Outcome) -> Cause | None:
    return {Outcome.PASSED: None, Outcome.FAILED: Cause.MODEL}.get(outcome, Cause.HARNESS)


def _advice(outcome: Outcome, growth: Growth, limit_bytes: float, duration_s: float) -> str:
    """Say what would decide. Over a run k times as long a leak grows k times, and the noise of the growth by 1/sqrt(k)."""
    if outcome is Outcome.FAILED:
        return (
            "the model or its server keeps what it was sent: look for caches without a bound and lists that only grow"
        )
    if outcome is Outcome.PASSED:
        return ""
    half, estimate = growth.upper - growth.estimate, growth.estimate
    for factor in np.geomspace(1.1, LONGEST_FACTOR, 60).tolist():
        noise = half / math.sqrt(factor)
        if factor * estimate + noise <= limit_bytes or factor * estimate - noise > limit_bytes:
            return f"a run of about {format_duration(math.ceil(factor * duration_s))} would decide at the same slope; lengthen load.duration"
    return "raise load.max_memory_growth above what the server's memory moves by itself, or lengthen load.duration"


def _restarted(series: UsageSeries, limit_bytes: float) -> Finding:
    names = ", ".join(series.replaced)
    return Finding(
        outcome=Outcome.FAILED,
        reason=f"worker restarted during the run: {names}",
        cause=Cause.MODEL,
        limit=limit_bytes,
        unit="bytes",
        n=len(series),
        advice="read the server's log for why it died; a worker that ran out of memory is killed without a word",
        details={"replaced": list(series.replaced)},
    )


def _too_few(readings: int, limit_bytes: float) -> Finding:
    counted = "nobody could read the server's memory" if not readings else f"{readings} readings of the server's memory"
    return Finding(
        outcome=Outcome.INCONCLUSIVE,
        reason=f"{counted} after the first tenth of the run; a slope needs {FEWEST_READINGS}",
        cause=Cause.HARNESS,
        limit=limit_bytes,
        unit="bytes",
        n=readings,
        advice="lengthen load.duration" if readings else "use a sandbox that counts memory: cgroup v1 or v2",
    )


def _signed(size: float) -> str:
    return f"{'+' if size >= 0 else '-'}{format_size(abs(size))}"
