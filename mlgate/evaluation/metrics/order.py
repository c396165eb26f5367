"""Median absolute error. Method: `statistics/median.py`."""

from dataclasses import dataclass

import numpy as np

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.metrics.losses import errors_of
from mlgate.evaluation.sample import Sample
from mlgate.statistics.arguments import Vector
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.median import median_interval, paired_median_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianAbsoluteError:
    """Median of the absolute errors; scikit-learn's `median_absolute_error`. Less is better."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return it in the unit of the truth."""
        if not len(sample):
            return Undefined(reason="no rows", n=0)
        return float(np.median(_errors(sample)))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:  # noqa: ARG002 - nothing is drawn
        """Return it with its bounds."""
        return median_interval(_errors(sample), confidence, group=sample.group)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:  # noqa: ARG002 - nothing is drawn
        """Return champion's minus challenger's."""
        found = paired_median_interval(_errors(challenger), _errors(champion), confidence, group=challenger.group)
        return found if isinstance(found, Undefined) else found.negated()


def _errors(sample: Sample) -> Vector:
    return np.abs(errors_of(sample))


def _make(facts: MetricFacts, _: float | None) -> Metric:
    return MedianAbsoluteError(facts=facts)


ORDER = Family(names=frozenset({"median_absolute_error"}), make=_make)
