"""Measuring one metric of two models on the same rows: intervals and counts, no judgement. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.evaluation.judgement.sides import answers_alike, discordant
from mlgate.evaluation.metrics.interface import Metric
from mlgate.evaluation.sample import Sample
from mlgate.quantities import format_number, format_share
from mlgate.statistics.interval import Interval, Undefined


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was seen.

    Attributes:
        name: The metric, as in the policy.
        n: Rows.
        groups: Groups of rows that are not independent; `None` where each row stands for itself.
        differing: Rows on which any part of the answers differs.
        discordant: Rows where only the challenger is right, and where only the champion is; `None` without labels.
        difference: Challenger - champion, more is better.
        challenger: Its own value.
        champion: Its own value.
    """

    name: str
    n: int
    groups: int | None
    differing: int
    discordant: tuple[int, int] | None
    difference: Interval | Undefined
    challenger: Interval | Undefined
    champion: Interval | Undefined

    @property
    def alike(self) -> bool:
        """Whether the models answer alike on every row."""
        return self.n > 0 and self.differing == 0

    def facts(self) -> dict[str, Any]:
        """Return the counts and both sides, for a finding's details."""
        facts: dict[str, Any] = {"metric": self.name, "rows": self.n, "differing_rows": self.differing}
        facts["groups"] = self.groups
        if self.discordant is not None:
            facts["gained"], facts["lost"] = self.discordant
        for side, interval in (("challenger", self.challenger), ("champion", self.champion)):
            if isinstance(interval, Interval):
                facts[side] = numbers(interval)
        return facts


def measure(
    metric: Metric, name: str, challenger: Sample, champion: Sample, *, confidence: float, seed: int
) -> Measured:
    """Measure both models and their difference."""
    n = len(challenger)
    nothing = Undefined(reason="no rows", n=0)
    return Measured(
        name=name,
        n=n,
        groups=count_groups(challenger),
        differing=n - answers_alike(challenger, champion),
        discordant=discordant(challenger, champion),
        difference=metric.difference(challenger, champion, confidence=confidence, seed=seed) if n else nothing,
        challenger=metric.interval(challenger, confidence=confidence, seed=seed) if n else nothing,
        champion=metric.interval(champion, confidence=confidence, seed=seed) if n else nothing,
    )


def count_groups(sample: Sample) -> int | None:
    """Count the groups of a sample; `None` where there are none."""
    # Codes are small and dense; sorting ten million of them would take longer than the metrics.
    return None if sample.group is None else int(np.count_nonzero(np.bincount(sample.group)))


def numbers(interval: Interval) -> dict[str, float]:
    """Return value and bounds, for a finding's details."""
    return {"value": interval.estimate, "lower": interval.lower, "upper": interval.upper}


def bounds(interval: Interval) -> str:
    """Return the bounds in words."""
    share = format_share(interval.confidence)
    return f"{share} bounds [{format_number(interval.lower)}, {format_number(interval.upper)}]"
