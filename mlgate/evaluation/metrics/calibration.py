"""Expected calibration error: of the positive class's score where there are two classes, else of the top class."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.metrics.resampled import Kind, ResampledMetric, too_few
from mlgate.evaluation.sample import Sample
from mlgate.statistics.bootstrap import Bootstrap, Statistic, Units
from mlgate.statistics.calibration import CalibrationBins, calibration_bounds
from mlgate.statistics.clusters import Groups

# Rows (or groups): with fewer the bins are too empty. Simulated.
MIN_UNITS = 500


class CalibrationError(ResampledMetric):
    """Expected calibration error; its bounds are `statistics.calibration`'s, widened by what unseen rows could do."""

    def trouble(self, sample: Sample) -> str:
        """Return why the metric has no value on these rows, or nothing."""
        if sample.scores is None and (sample.score is None or sample.positive is None):
            return "ece needs the scores of the classes, or one score and a positive class"
        confidence, _ = _confidence(sample)
        if confidence.min() < 0 or confidence.max() > 1:
            return f"scores from {confidence.min():g} to {confidence.max():g} are no probabilities"
        return ""

    def scarce(self, sample: Sample, codes: Groups | None) -> str:
        """Return which rows there are too few of for an interval, or nothing."""
        return too_few("", np.ones(len(sample), dtype=np.bool_), codes, MIN_UNITS)

    def statistic(self, sample: Sample) -> Statistic:
        """Return the error as a function of weights: of whole rows only, each once."""
        error = _bins(sample).error()
        return lambda weights: np.full(len(weights), error)

    def bounds(
        self,
        models: tuple[Sample, ...],
        codes: Groups | None,
        estimate: float,  # noqa: ARG002 - the bins give it
        confidence: float,
        seed: int,
    ) -> Bootstrap | None:
        """Return the bounds of one model's error, or of the second's minus the first's."""
        bins = [_bins(sample) for sample in models]
        found = calibration_bounds(bins, codes, confidence, seed)
        if len(models) == 1:
            return found
        # Less is better: the difference is turned round.
        return replace(found, lower=-found.upper, upper=-found.lower)

    def breakable(self, sample: Sample) -> Iterator[Kind]:
        """Yield the rows of each class: breaking both at once would cancel within a bin."""
        for code in np.unique(sample.truth):
            yield sample.truth == code

    def broken(self, sample: Sample, rows: Units) -> Sample:
        """Return the sample with full confidence in a wrong class on these rows."""
        if sample.scores is None:
            score = np.array(sample.score)
            score[rows] = sample.truth[rows] != sample.positive
            return replace(sample, score=score)
        scores = np.array(sample.scores)
        scores[rows] = 0.0
        scores[rows, (sample.truth[rows].astype(np.intp) + 1) % scores.shape[1]] = 1.0
        return replace(sample, scores=scores)


def _bins(sample: Sample) -> CalibrationBins:
    return CalibrationBins.of(*_confidence(sample))


def _confidence(sample: Sample) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return the confidence of each row, and whether it was right."""
    if sample.scores is not None:
        return sample.scores.max(axis=1), sample.scores.argmax(axis=1) == sample.truth
    if sample.score is None:
        raise ValueError("the sample has no score")
    return sample.score, sample.truth == sample.positive


def _make(facts: MetricFacts, at: float | None) -> Metric:
    return CalibrationError(facts=facts, at=at)


CALIBRATION = Family(names=frozenset({"ece"}), make=_make)
