"""Median absolute error."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.metrics.resampled import Kind, ResampledMetric
from mlgate.evaluation.sample import Sample
from mlgate.statistics.bootstrap import Statistic, Units
from mlgate.statistics.median import SortedValues


class MedianAbsoluteError(ResampledMetric):
    """Median of the absolute errors; scikit-learn's `median_absolute_error`."""

    def trouble(self, sample: Sample) -> str:
        """Return why the metric has no value on these rows, or nothing."""
        return "median_absolute_error needs predicted numbers" if sample.numbers is None else ""

    def statistic(self, sample: Sample) -> Statistic:
        """Return the median as a function of the rows' weights."""
        return SortedValues(_errors(sample)).median

    def breakable(self, sample: Sample) -> Iterator[Kind]:
        """Yield the rows at or below the median: of the others none can raise it."""
        errors = _errors(sample)
        yield errors <= np.median(errors)

    def broken(self, sample: Sample, rows: Units) -> Sample:
        """Return the sample with the largest error there is on these rows."""
        numbers = np.array(sample.numbers, dtype=np.float64)
        numbers[rows] = sample.truth[rows] + _errors(sample).max()
        return replace(sample, numbers=numbers)

    def _value(self, sample: Sample) -> float:
        return float(np.median(_errors(sample)))


def _errors(sample: Sample) -> NDArray[np.float64]:
    if sample.numbers is None:
        raise ValueError("the sample has no numbers")
    return np.abs(sample.truth.astype(np.float64) - sample.numbers)


def _make(facts: MetricFacts, at: float | None) -> Metric:
    return MedianAbsoluteError(facts=facts, at=at)


ORDER = Family(names=frozenset({"median_absolute_error"}), make=_make)
