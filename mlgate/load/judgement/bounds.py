"""How many of a run's requests violate a limit, and how many may. Pure."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Outcome
from mlgate.load.tally import BLOCK_S, Mask
from mlgate.quantities import format_number, format_share
from mlgate.statistics.proportions import clopper_pearson_lower, clopper_pearson_upper, design_effect_of_blocks

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
        sizes = np.bincount(blocks)
        counts = np.bincount(blocks[violating], minlength=len(sizes))
        return cls.of_blocks(sizes, counts, limit_share=limit_share, confidence=confidence)

    @classmethod
    def of_blocks(
        cls, sizes: NDArray[np.int64], counts: NDArray[np.int64], *, limit_share: float, confidence: float
    ) -> "Bounds":
        """Do the same from what each block of one second holds, which is all that it takes.

        Args:
            sizes: Requests per block, shape (blocks,), at least one in all; empty blocks do not count.
            counts: Those of them that violate, shape (blocks,).
            limit_share: Between 0 and 1, both excluded.
            confidence: Between 0.5 and 1.
        """
        n = int(sizes.sum())
        effect = _effect(counts[sizes > 0], sizes[sizes > 0], limit_share, confidence)

        def is_beyond(k: int) -> bool:
            return clopper_pearson_upper(k / effect, n / effect, confidence) > limit_share

        def is_failing(k: int) -> bool:
            return clopper_pearson_lower(k / effect, n / effect, confidence) > limit_share

        first_beyond = bisect_left(range(n + 1), True, key=is_beyond)
        return cls(
            n=n,
            violations=int(counts.sum()),
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
    def advice(self) -> str:
        """What would decide, in words; empty where it is decided."""
        if self.outcome is not Outcome.INCONCLUSIVE:
            return ""
        needed = self.requests_needed
        if needed is None:
            return "the observed share is over the limit; a longer run would most likely fail"
        return f"about {format_number(needed)} requests would pass at the same share; lengthen load.duration or raise load.rate"

    @property
    def details(self) -> dict[str, Any]:
        """The numbers behind `outcome`, as JSON."""
        return {
            "allowed": self.allowed,
            "violations": self.violations,
            "n_eff": round(self.n / self.design_effect, 1),
            "design_effect": round(self.design_effect, 3),
        }


def _effect(counts: NDArray[np.int64], sizes: NDArray[np.int64], limit_share: float, confidence: float) -> float:
    """Return the design effect to judge with: of all violations, or of the burst among them that alone forbids a pass.

    Violations scattered around a burst dilute its design effect, and below an effective count of about three that
    outweighs the violations they add: 13 in one second of 60 s at 100/s are inconclusive at p99, with 5 elsewhere they
    would pass. A pass must not be had by violating more.
    """
    whole, n = design_effect_of_blocks(counts, sizes), int(sizes.sum())
    burstiest = np.argsort(-counts, kind="stable")
    ordered = counts[burstiest].astype(np.float64)
    bursts: list[float] = np.cumsum(ordered)[ordered > 0].tolist()
    effects: list[float] = _burst_effects(ordered, sizes[burstiest])[ordered > 0].tolist()
    for k, effect in [(int(counts.sum()), whole), *zip(bursts, effects, strict=True)]:
        if clopper_pearson_upper(k / effect, n / effect, confidence) > limit_share:
            return effect
    return whole


def _burst_effects(counts: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
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
