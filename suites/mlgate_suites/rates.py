"""Whether the share of rows that break a claim is within what the policy tolerates."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from mlgate.evidence import Outcome
from mlgate.policy_properties import TOLERATED_AT
from mlgate.quantities import format_number, format_share
from mlgate.statistics.proportions import clopper_pearson_lower, clopper_pearson_upper, design_effect

CONFIDENCE = TOLERATED_AT
# Where a needed n is searched for; `properties.examples` takes no more.
_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Rows that break a claim, against the share that may.

    Attributes:
        batches: Rows and broken rows of each batch. Rows of one batch were drawn by one plan, so they are one cluster.
        tolerate: Share that may break the claim, in (0, 1).
    """

    batches: tuple[tuple[int, int], ...]
    tolerate: float

    @property
    def rows(self) -> int:
        """Rows tried."""
        return sum(rows for rows, _ in self.batches)

    @property
    def broken(self) -> int:
        """Rows of them that broke the claim."""
        return sum(broken for _, broken in self.batches)

    @property
    def effect(self) -> float:
        """How many rows say as much as one that is independent of the others."""
        mask = [place < broken for rows, broken in self.batches for place in range(rows)]
        blocks = np.repeat(np.arange(len(self.batches)), [rows for rows, _ in self.batches])
        return design_effect(np.array(mask, dtype=bool), blocks)

    @property
    def interval(self) -> tuple[float, float]:
        """One-sided Clopper-Pearson bounds of the share."""
        k, n = self.broken / self.effect, self.rows / self.effect
        return clopper_pearson_lower(k, n, CONFIDENCE), clopper_pearson_upper(k, n, CONFIDENCE)

    @property
    def outcome(self) -> Outcome:
        """Passed where the upper bound is within what is tolerated, failed where the lower one is beyond."""
        lower, upper = self.interval
        if upper <= self.tolerate:
            return Outcome.PASSED
        return Outcome.FAILED if lower > self.tolerate else Outcome.INCONCLUSIVE

    @property
    def rows_needed(self) -> int | None:
        """Rows at which the observed share would pass; `None` where no number would."""
        share, effect = self.broken / self.rows, self.effect
        if share >= self.tolerate:
            return None

        def passes(n: int) -> bool:
            return clopper_pearson_upper(share * n / effect, n / effect, CONFIDENCE) <= self.tolerate

        needed = bisect_left(range(1, _MOST_ROWS), True, key=passes) + 1
        return needed if needed < _MOST_ROWS else None

    @property
    def words(self) -> str:
        """What was counted, against what may be: `2 of 5 000 rows break it: at most 0.126 % at 95 %, 0.1 % tolerated`."""
        upper = format_share(float(f"{self.interval[1]:.3g}"))
        counted = f"{format_number(self.broken)} of {format_number(self.rows)} rows break it"
        bursts = f" (in bursts: n_eff = {format_number(round(self.rows / self.effect))})" if self.effect > 1 else ""
        return (
            f"{counted}{bursts}: at most {upper} at {format_share(CONFIDENCE)}, {format_share(self.tolerate)} tolerated"
        )
