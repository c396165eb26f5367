"""Challenger against champion, measured in turns on the same host. Pure."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement.causes import culprit
from mlgate.load.judgement.drift import DRAWS, bounds_of_ratio
from mlgate.load.judgement.words import latency_words
from mlgate.load.samples import Samples
from mlgate.load.tally import BLOCK_S, judged_ms
from mlgate.quantities import format_number, format_share
from mlgate.statistics.block_quantiles import BlockTable, block_weights, common_grid, expanded_level

# A block of the challenger and one of the champion beside it (AB or BA): what the host does meets both.
PAIR_S = 2 * BLOCK_S

# As for drift: below, the level is beyond what the draws can show.
FEWEST_PAIRS = 8

Q = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ratio:
    """The ratio of p95, challenger over champion, with one-sided bounds; p95 in ms, infinite for no good answer."""

    challenger_ms: float
    champion_ms: float
    lower: float
    upper: float
    pairs: int
    n: int

    @property
    def estimate(self) -> float:
        """The observed ratio."""
        return self.challenger_ms / self.champion_ms


def judge_regression(
    challenger: Samples,
    champion: Samples,
    *,
    max_ratio: float,
    confidence: float,
    seed: int,
    pair_s: float = PAIR_S,
) -> Finding:
    """Judge whether the challenger's p95 is at most *max_ratio* times the champion's, from blocks that took turns.

    Bootstrap over pairs of neighbouring blocks, so that what both sides of a pair share drops out. A request without a
    good answer took infinitely long.

    Args:
        challenger: Its requests, with the times of the common run.
        champion: The champion's requests of the same run.
        max_ratio: Limit, challenger over champion.
        confidence: Of each one-sided bound.
        seed: Same seed, same bounds.
        pair_s: Length in seconds of a block of one and a block of the other (ABBA: twice a block's length).
    """
    pairs, sides = _pairs(challenger, champion, pair_s)
    if pairs < FEWEST_PAIRS:
        return _undecided(f"{pairs} pairs of blocks can not decide; {FEWEST_PAIRS} are needed", max_ratio, pairs)
    ratio = _ratio(sides, pairs, confidence, seed)
    if math.isinf(ratio.champion_ms):
        told = f"the champion left more than {format_share(1 - Q)} of its requests without a good answer: nothing to compare with"
        return _undecided(told, max_ratio, ratio.n, cause=Cause.ENVIRONMENT, advice="bring the champion back to life")
    outcome = Outcome.INCONCLUSIVE
    if ratio.upper <= max_ratio:
        outcome = Outcome.PASSED
    elif ratio.lower > max_ratio:
        outcome = Outcome.FAILED
    told = f"p95 {latency_words(ratio.challenger_ms)}, the champion's {latency_words(ratio.champion_ms)}: {format_number(ratio.estimate, 3)} times"
    bounds = f"between {format_number(ratio.lower, 3)} and {format_number(ratio.upper, 3)} at {format_share(confidence)} confidence each"
    return Finding(
        outcome=outcome,
        reason=f"{told}, {bounds} ({pairs} pairs of blocks in turns); limit {format_number(max_ratio, 3)}",
        cause=None if outcome is Outcome.PASSED else culprit(challenger),
        measured=ratio.estimate,
        limit=max_ratio,
        n=ratio.n,
        interval=(ratio.lower, ratio.upper),
        confidence=confidence,
        advice=_advice(outcome, ratio, max_ratio),
        details={
            "challenger_p95_ms": ratio.challenger_ms,
            "champion_p95_ms": ratio.champion_ms,
            "pairs": pairs,
            "pair_s": pair_s,
            "errors": dict(challenger.error_counts),
            "champion_errors": dict(champion.error_counts),
        },
    )


_Side = tuple[NDArray[np.float64], NDArray[np.int64]]


def _pairs(challenger: Samples, champion: Samples, pair_s: float) -> tuple[int, tuple[_Side, _Side]]:
    """Return how many pairs both sides have requests in, and each side's times with the pair that each is of."""
    places = [np.floor(side.intended_s / pair_s).astype(np.int64) for side in (challenger, champion)]
    common = np.intersect1d(places[0], places[1])
    ours, theirs = (
        (judged_ms(side)[inside], np.searchsorted(common, place[inside]))
        for side, place in zip((challenger, champion), places, strict=True)
        for inside in (np.isin(place, common),)
    )
    return len(common), (ours, theirs)


def _ratio(sides: tuple[_Side, _Side], pairs: int, confidence: float, seed: int) -> _Ratio:
    grid = common_grid(sides[0][0], sides[1][0])
    weights = block_weights(pairs, DRAWS, np.random.default_rng(seed))
    tables = [BlockTable.of(times, pair, pairs, grid) for times, pair in sides]
    once = np.ones((1, pairs), np.float32)
    ours_ms, theirs_ms = (float(table.quantiles(Q, once)[0]) for table in tables)
    drawn = [table.quantiles(Q, weights) for table in tables]
    lower, upper = bounds_of_ratio(drawn[0], drawn[1], expanded_level(confidence, pairs))
    n = sum(len(times) for times, _ in sides)
    return _Ratio(challenger_ms=ours_ms, champion_ms=theirs_ms, lower=lower, upper=upper, pairs=pairs, n=n)


def _advice(outcome: Outcome, ratio: _Ratio, max_ratio: float) -> str:
    """Say how much would decide: the bounds of the logarithm draw together as 1/sqrt(pairs)."""
    if outcome is not Outcome.INCONCLUSIVE:
        return (
            ""
            if outcome is Outcome.PASSED
            else "profile the challenger's predict, or allow it: load.max_ratio_to_champion"
        )
    bound = ratio.upper if ratio.estimate < max_ratio else ratio.lower
    gap = math.log(max_ratio / ratio.estimate) if math.isfinite(ratio.estimate) else 0.0
    if not 0 < bound < math.inf or abs(gap) < 0.005:
        return "the ratio is at the limit; a faster challenger or a wider load.max_ratio_to_champion would decide"
    factor = max(1.0, (math.log(bound / ratio.estimate) / gap) ** 2)
    needed = f"{format_number(math.ceil(factor * ratio.n))} requests ({format_number(math.ceil(factor * ratio.pairs))} pairs of blocks)"
    return f"about {needed} would decide at the same ratio; lengthen load.duration"


def _undecided(reason: str, max_ratio: float, n: int, *, cause: Cause = Cause.HARNESS, advice: str = "") -> Finding:
    return Finding(
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
        cause=cause,
        limit=max_ratio,
        n=n,
        advice=advice or "lengthen load.duration",
    )
