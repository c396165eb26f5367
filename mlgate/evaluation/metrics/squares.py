"""Squared errors: RMSE and R². Methods: `statistics/rmse.py`, `statistics/r_squared.py`."""

import math
from dataclasses import dataclass

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.metrics.losses import errors_of
from mlgate.evaluation.sample import Sample
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.r_squared import paired_r_squared_interval, r_squared, r_squared_interval
from mlgate.statistics.rmse import paired_rmse_interval, rmse_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RootMeanSquare:
    """The root of the mean squared error; less is better."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return it in the unit of the truth."""
        if not len(sample):
            return Undefined(reason="no rows", n=0)
        return math.sqrt(float((errors_of(sample) ** 2).mean()))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return it with its bounds."""
        return rmse_interval(errors_of(sample), confidence, seed, group=sample.group)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return champion's minus challenger's."""
        found = paired_rmse_interval(
            errors_of(challenger), errors_of(champion), confidence, seed, group=challenger.group
        )
        return found if isinstance(found, Undefined) else found.negated()


@dataclass(frozen=True, slots=True, kw_only=True)
class RSquared:
    """The share of the truth's variance that is explained; may be negative."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return it; `Undefined` for constant truth."""
        return r_squared(sample.truth, errors_of(sample))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return it with its bounds."""
        return r_squared_interval(sample.truth, errors_of(sample), confidence, seed, group=sample.group)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger's minus champion's."""
        return paired_r_squared_interval(
            challenger.truth, errors_of(challenger), errors_of(champion), confidence, seed, group=challenger.group
        )


def _make(facts: MetricFacts, _: float | None) -> RootMeanSquare | RSquared:
    return RootMeanSquare(facts=facts) if facts.name == "rmse" else RSquared(facts=facts)


SQUARES = Family(names=frozenset({"rmse", "r2"}), make=_make)
