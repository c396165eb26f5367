"""Coverage of a predicted quantile: the share of rows whose truth is at most the prediction; near its target is better."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.metrics.losses import numbers_of
from mlgate.evaluation.sample import Sample
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.nearness import halved, nearness_interval
from mlgate.statistics.paired_shares import grouped_share_interval, paired_share_interval
from mlgate.statistics.proportions import proportion_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileCoverage:
    """The share of rows with truth <= prediction; of a right 90 % quantile 0.9."""

    facts: MetricFacts
    at: float

    def value(self, sample: Sample) -> float | Undefined:
        """Return the share."""
        covered = _covered(sample)
        return float(covered.mean()) if covered.size else Undefined(reason="no rows", n=0)

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the share with its bounds; both `min` and `max` may be asked of it."""
        covered = _covered(sample)
        if sample.group is None:
            return proportion_interval(int(covered.sum()), covered.size, confidence)
        return grouped_share_interval(covered, sample.group, confidence, seed=seed)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return how much nearer to the target the challenger's share is: -|challenger - at| + |champion - at|."""
        new, old = _covered(challenger), _covered(champion)
        level = halved(confidence)
        apart = _paired(new, old, challenger, level, seed)
        together = _paired(new, ~old, challenger, level, seed)
        if isinstance(apart, Undefined):
            return apart
        if isinstance(together, Undefined):
            return together
        return nearness_interval(apart, together, self.at, confidence)


def _covered(sample: Sample) -> NDArray[np.bool_]:
    covered: NDArray[np.bool_] = sample.truth <= numbers_of(sample)
    return covered


def _paired(
    new: NDArray[np.bool_], old: NDArray[np.bool_], sample: Sample, confidence: float, seed: int
) -> Interval | Undefined:
    if sample.group is None:
        return paired_share_interval(int((new & ~old).sum()), int((old & ~new).sum()), new.size, confidence)
    return grouped_share_interval(new.astype(np.int8) - old, sample.group, confidence, seed=seed, lowest=-1.0)


def _make(facts: MetricFacts, at: float | None) -> QuantileCoverage:
    if at is None:
        raise ValueError("quantile_coverage needs the quantile")
    return QuantileCoverage(facts=facts, at=at)


COVERAGE = Family(names=frozenset({"quantile_coverage"}), make=_make)
