"""Whether the server slows down as it runs: the last third against the first. Pure."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement.causes import culprit, nothing_measured
from mlgate.load.judgement.words import latency_words, rounded
from mlgate.load.samples import Samples
from mlgate.load.tally import BLOCK_S, judged_ms
from mlgate.quantities import format_duration, format_number, format_share
from mlgate.statistics.block_quantiles import BlockTable, block_weights, common_grid, expanded_level

# As in mlgate/statistics/bootstrap.py: the level of the 95th percentile is then known to half a point.
DRAWS = 2_000

# Below five blocks on a side the outward-moved level of the bootstrap is beyond what its draws can show.
FEWEST_BLOCKS = 5

# Blocks whose rate is this near the run's usual one compare: latency depends on the rate. Three standard deviations of a
# Poisson count where that is more.
RATE_SPREAD = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thirds:
    """Drawn medians of both thirds in ms, shapes (draws,), and the observed ones."""

    first: NDArray[np.float64]
    last: NDArray[np.float64]
    observed: tuple[float, float]
    blocks: tuple[int, int]
    level: float
    n: int


def judge_drift(samples: Samples, *, max_ratio: float, floor_ms: float, confidence: float, seed: int) -> Finding:
    """Judge whether the median response of the run's last third is at most *max_ratio* times that of its first.

    Bootstrap over whole blocks of one second, either third by itself. Only blocks at the run's usual rate are compared,
    so that a spike in the middle does no harm; a ramp has no such blocks in both thirds and is inconclusive.

    Args:
        samples: Every intended request.
        max_ratio: Last over first.
        floor_ms: A difference up to this many ms is nothing that anybody notices: it passes whatever the ratio.
        confidence: Of each one-sided bound.
        seed: Same seed, same bounds.

    Returns:
        Passed where the upper bound of the ratio is within the limit, or that of the difference within the floor; failed
        where both lower bounds are beyond; else inconclusive.
    """
    if not len(samples):
        return nothing_measured(limit=max_ratio, unit="")
    thirds = _thirds(samples, confidence, seed)
    if isinstance(thirds, str):
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=thirds,
            cause=Cause.HARNESS,
            limit=max_ratio,
            advice="lengthen load.duration, or use a profile whose rate stays: constant, soak or spike",
        )
    ratio = bounds_of_ratio(thirds.last, thirds.first, thirds.level)
    with np.errstate(invalid="ignore"):
        differences = np.nan_to_num(thirds.last - thirds.first, nan=math.inf, posinf=math.inf)
    least, most = (
        float(np.quantile(differences, level, method="inverted_cdf")) for level in (1 - thirds.level, thirds.level)
    )
    outcome = Outcome.INCONCLUSIVE
    if ratio[1] <= max_ratio or most <= floor_ms:
        outcome = Outcome.PASSED
    elif ratio[0] > max_ratio and least > floor_ms:
        outcome = Outcome.FAILED
    return _finding(samples, thirds, outcome, ratio, (max_ratio, floor_ms, confidence))


def _finding(
    samples: Samples,
    thirds: _Thirds,
    outcome: Outcome,
    ratio: tuple[float, float],
    limits: tuple[float, float, float],
) -> Finding:
    (first, last), (max_ratio, floor_ms, confidence) = thirds.observed, limits
    measured = last / first
    told = f"median response {latency_words(first)} in the first third, {latency_words(last)} in the last: {format_number(measured, 3)} times"
    between = f"between {format_number(ratio[0], 3)} and {format_number(ratio[1], 3)} at {format_share(confidence)} confidence each"
    small = f"; a difference up to {format_duration(floor_ms / 1000)} passes" if ratio[1] > max_ratio else ""
    advice = {
        Outcome.PASSED: "",
        Outcome.FAILED: "something fills up as it runs: a queue, a cache without a bound, a log, a heap that is collected ever longer",
        Outcome.INCONCLUSIVE: _more(thirds, ratio, max_ratio),
    }[outcome]
    return Finding(
        outcome=outcome,
        reason=f"{told}, {between}; limit {format_number(max_ratio, 3)}{small}",
        cause=None if outcome is Outcome.PASSED else culprit(samples),
        measured=measured,
        limit=max_ratio,
        n=thirds.n,
        interval=ratio,
        confidence=confidence,
        advice=advice,
        details={
            "first_ms": rounded(first),
            "last_ms": rounded(last),
            "floor_ms": floor_ms,
            "blocks": sum(thirds.blocks),
        },
    )


def _thirds(samples: Samples, confidence: float, seed: int) -> _Thirds | str:
    """Return the drawn medians of both thirds, or why they do not compare."""
    times, block = judged_ms(samples), np.floor(samples.intended_s / BLOCK_S).astype(np.int64)
    sizes = np.bincount(block)
    usual = float(np.median(sizes[sizes > 0]))
    comparable = (sizes > 0) & (np.abs(sizes - usual) <= max(RATE_SPREAD * usual, 3 * math.sqrt(usual)))
    third = len(sizes) // 3
    sides = np.flatnonzero(comparable[:third]), len(sizes) - third + np.flatnonzero(comparable[len(sizes) - third :])
    blocks = len(sides[0]), len(sides[1])
    if min(blocks) < FEWEST_BLOCKS:
        seconds = f"{blocks[0]} and {blocks[1]} seconds at about {format_number(usual / BLOCK_S, 3)}/s"
        return f"first and last third do not compare: {seconds}, {FEWEST_BLOCKS} each are needed"
    first, last = (np.isin(block, side) for side in sides)
    grid, rng = common_grid(times[first | last]), np.random.default_rng(seed)
    drawn, observed = [], []
    for side, mine in zip(sides, (first, last), strict=True):
        table = BlockTable.of(times[mine], np.searchsorted(side, block[mine]), len(side), grid)
        drawn.append(table.quantiles(0.5, block_weights(len(side), DRAWS, rng)))
        observed.append(float(table.quantiles(0.5, np.ones((1, len(side)), np.float32))[0]))
    if math.isinf(observed[0]):
        return "most requests of the first third got no good answer: there is nothing to compare with"
    level = expanded_level(confidence, min(blocks))
    n = int((first | last).sum())
    return _Thirds(first=drawn[0], last=drawn[1], observed=(observed[0], observed[1]), blocks=blocks, level=level, n=n)


def bounds_of_ratio(over: NDArray[np.float64], under: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Bound the ratio of drawn quantiles; a draw without a good answer below the line counts against either claim."""
    with np.errstate(invalid="ignore"):
        ratio = over / under
    lower = np.quantile(np.where(np.isinf(under), 0.0, ratio), 1 - level, method="inverted_cdf")
    upper = np.quantile(np.where(np.isinf(under), np.inf, ratio), level, method="inverted_cdf")
    return float(lower), float(upper)


def _more(thirds: _Thirds, ratio: tuple[float, float], max_ratio: float) -> str:
    """Say how long a run would decide: the bounds of the logarithm draw together as 1/sqrt(blocks)."""
    first, last = thirds.observed
    bound = ratio[1] if last / first < max_ratio else ratio[0]
    gap = math.log(max_ratio * first / last) if math.isfinite(last) else 0.0
    if not (0 < bound < math.inf) or abs(gap) < 0.01:
        return "the ratio is at the limit; raise load.max_drift or look for what slows the server"
    factor = (math.log(bound * first / last) / gap) ** 2
    seconds = math.ceil(3 * factor * min(thirds.blocks) * BLOCK_S)
    return f"a run of about {format_duration(seconds)} would decide at the same ratio; lengthen load.duration"
