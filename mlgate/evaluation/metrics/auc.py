"""Area under the ROC curve, of two classes and one class against the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.sample import Sample
from mlgate.statistics import auc_ovr
from mlgate.statistics.auc import auc, auc_interval, paired_auc_interval
from mlgate.statistics.interval import Interval, Undefined


@dataclass(frozen=True, slots=True, kw_only=True)
class RocAuc:
    """AUC of the positive class's score; scikit-learn's `roc_auc_score` of two classes."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return the point estimate alone."""
        return auc(_is_positive(sample), _score(sample))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return one model's AUC between one-sided bounds."""
        return auc_interval(_is_positive(sample), _score(sample), confidence, group=sample.group, seed=seed)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger - champion on the same rows."""
        scores = _score(challenger), _score(champion)
        return paired_auc_interval(_is_positive(challenger), *scores, confidence, group=challenger.group, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RocAucOneVsRest:
    """Unweighted mean of each class's AUC against the rest; scikit-learn's `roc_auc_score(multi_class="ovr")`."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return the point estimate alone."""
        return auc_ovr.auc_ovr(sample.truth, _scores(sample))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return one model's mean AUC between one-sided bounds."""
        return auc_ovr.auc_ovr_interval(sample.truth, _scores(sample), confidence, group=sample.group, seed=seed)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger - champion on the same rows."""
        scores = _scores(challenger), _scores(champion)
        return auc_ovr.paired_auc_ovr_interval(challenger.truth, *scores, confidence, group=challenger.group, seed=seed)


def _is_positive(sample: Sample) -> NDArray[np.bool_]:
    if sample.positive is None:
        raise ValueError("the sample has no positive class")
    mask: NDArray[np.bool_] = sample.truth == sample.positive
    return mask


def _score(sample: Sample) -> NDArray[np.floating]:
    if sample.score is None:
        raise ValueError("the sample has no score")
    return sample.score


def _scores(sample: Sample) -> NDArray[np.floating]:
    if sample.scores is not None:
        return sample.scores
    # Two classes: the score of the other class is the mirror image.
    score, positive = _score(sample), sample.positive
    return np.column_stack([score, -score] if positive == 0 else [-score, score])


def _make(facts: MetricFacts, at: float | None) -> Metric:  # noqa: ARG001 - an AUC has no parameter
    return RocAuc(facts=facts) if facts.name == "roc_auc" else RocAucOneVsRest(facts=facts)


AREAS = Family(names=frozenset({"roc_auc", "roc_auc_ovr"}), make=_make)
