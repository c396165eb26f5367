"""Metrics of the precision-recall curve: average precision, and recall at a fixed precision."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.metrics.resampled import Kind, ResampledMetric, too_few
from mlgate.evaluation.sample import Sample
from mlgate.statistics.bootstrap import Statistic, Units
from mlgate.statistics.clusters import Groups
from mlgate.statistics.precision_recall import PrecisionRecall


class RankedMetric(ResampledMetric):
    """A metric of the order of the rows of two classes. A broken row is last of the positives, or first of the others."""

    def trouble(self, sample: Sample) -> str:
        """Return why the metric has no value on these rows, or nothing."""
        if sample.score is None or sample.positive is None:
            return f"{self.facts.name} needs a score and a positive class"
        return "" if _is_positive(sample).any() else f"none of {len(sample)} rows is positive"

    @property
    def least_class(self) -> int:
        """Return the fewest rows of either class that were simulated."""
        return 50

    def scarce(self, sample: Sample, codes: Groups | None) -> str:
        """Return which rows there are too few of for an interval, or nothing."""
        positive = _is_positive(sample)
        kinds = {"positive": positive, "negative": ~positive}
        found = (too_few(name, rows, codes, self.least_class) for name, rows in kinds.items())
        return next((reason for reason in found if reason), "")

    def breakable(self, sample: Sample) -> Iterator[Kind]:
        """Yield the positive and the negative rows."""
        positive = _is_positive(sample)
        yield positive
        yield ~positive

    def broken(self, sample: Sample, rows: Units) -> Sample:
        """Return the sample with these rows at the wrong end of the order."""
        score = np.array(_score(sample))
        # The ends are whole numbers beyond every score, also where float32 rounds.
        low, high = np.nextafter(score.min(), -np.inf), np.nextafter(score.max(), np.inf)
        score[rows] = np.where(_is_positive(sample)[rows], low, high)
        return replace(sample, score=score)


class AveragePrecision(RankedMetric):
    """Area under the precision-recall curve as a sum of steps; scikit-learn's `average_precision_score`."""

    def statistic(self, sample: Sample) -> Statistic:
        """Return average precision as a function of the rows' weights."""
        return PrecisionRecall(_is_positive(sample), _score(sample)).average_precision


class RecallAtPrecision(RankedMetric):
    """Highest recall at a precision of at least `at`; 0 where no threshold has it.

    A maximum over thresholds is not smooth: BCa alone passes at the margin in 4-7 % (100 and 250 positive rows, 600
    samples in each of four cells), with bounds a quarter farther away in 1-5 %.
    """

    @property
    def least_class(self) -> int:
        """Return the fewest rows of either class that were simulated."""
        return 100

    @property
    def widen(self) -> float:
        """Share by which the bootstrap's bounds are moved outward."""
        return 0.25

    def statistic(self, sample: Sample) -> Statistic:
        """Return the recall as a function of the rows' weights."""
        curve, least = PrecisionRecall(_is_positive(sample), _score(sample)), self.at
        if least is None:
            raise ValueError("recall_at_precision needs the precision: at")
        return lambda weights: curve.recall_at(least, weights)


def _is_positive(sample: Sample) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = sample.truth == sample.positive
    return mask


def _score(sample: Sample) -> NDArray[np.floating]:
    if sample.score is None:
        raise ValueError("the sample has no score")
    return sample.score


def _make(facts: MetricFacts, at: float | None) -> Metric:
    kinds: dict[str, type[ResampledMetric]] = {
        "average_precision": AveragePrecision,
        "recall_at_precision": RecallAtPrecision,
    }
    return kinds[facts.name](facts=facts, at=at)


CURVES = Family(names=frozenset({"average_precision", "recall_at_precision"}), make=_make)
