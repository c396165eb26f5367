"""Mean losses: log loss, Brier score, absolute, relative and pinball errors. Method: `statistics/mean_losses.py`.

A sample with `score` and no `scores` is binary: `score` is of the positive class. The Brier score of two classes is the
mean of (score - truth)², in [0, 1]; of several the mean sum of squares over the classes, in [0, 2]: scikit-learn's
`scale_by_half="auto"`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.sample import Numbers, Sample
from mlgate.statistics.arguments import Vector
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.mean_losses import mean_loss_interval, paired_mean_loss_interval

# Sums of scores may be off by rounding to float32 in a response.
SUM_TOLERANCE = 1e-3

LossOfRows = Callable[[Sample, float | None], Vector | Undefined]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLoss:
    """The mean of a loss per row; less is better."""

    facts: MetricFacts
    at: float | None

    def value(self, sample: Sample) -> float | Undefined:
        """Return the mean loss."""
        losses = self._losses(sample)
        return losses if isinstance(losses, Undefined) else float(losses.mean())

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the mean loss with its bounds."""
        losses = self._losses(sample)
        if isinstance(losses, Undefined):
            return losses
        return mean_loss_interval(losses, confidence, seed=seed, group=sample.group, largest=self._largest(sample))

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return champion's minus challenger's mean loss."""
        new, old = self._losses(challenger), self._losses(champion)
        if isinstance(new, Undefined):
            return new
        if isinstance(old, Undefined):
            return old
        largest = self._largest(challenger)
        found = paired_mean_loss_interval(new, old, confidence, seed=seed, group=challenger.group, largest=largest)
        return found if isinstance(found, Undefined) else found.negated()

    def _losses(self, sample: Sample) -> Vector | Undefined:
        if not len(sample):
            return Undefined(reason="no rows", n=0)
        return _LOSSES[self.facts.name](sample, self.at)

    def _largest(self, sample: Sample) -> float | None:
        if self.facts.name != "brier":
            return None
        return 2.0 if sample.scores is not None and len(sample.classes) > 2 else 1.0


def numbers_of(sample: Sample) -> Vector:
    """Return the predicted numbers.

    Raises:
        ValueError: The sample has none; the policy should have been refused.
    """
    if sample.numbers is None:
        raise ValueError("the sample holds no numbers")
    return sample.numbers.astype(np.float64, copy=False)


def errors_of(sample: Sample) -> Vector:
    """Return prediction minus truth."""
    errors: Vector = numbers_of(sample) - sample.truth
    return errors


def _absolute(sample: Sample, _: float | None) -> Vector:
    return np.abs(errors_of(sample))


def _relative(sample: Sample, _: float | None) -> Vector | Undefined:
    zeros = int(np.count_nonzero(sample.truth == 0))
    if zeros:
        return Undefined(reason=f"{zeros} of {len(sample)} true values are 0", n=len(sample))
    relative: Vector = np.abs(errors_of(sample) / sample.truth)
    return relative


def _pinball(sample: Sample, at: float | None) -> Vector:
    if at is None:
        raise ValueError("pinball needs the quantile")
    below = -errors_of(sample)
    return np.maximum(at * below, (at - 1) * below)


def _brier(sample: Sample, _: float | None) -> Vector | Undefined:
    scores = _scores(sample)
    if isinstance(scores, Undefined):
        return scores
    if scores.ndim == 1:
        squares: Vector = (scores - (sample.truth == sample.positive)) ** 2
        return squares.astype(np.float64, copy=False)
    of_truth = _of_truth(sample, scores)
    # Sum over classes of (score - truth)², where truth is 1 for one class and 0 for the others.
    squares = np.einsum("ij,ij->i", scores, scores, dtype=np.float64) - 2 * of_truth + 1
    squares = np.maximum(squares, 0.0)
    return squares / 2 if scores.shape[1] == 2 else squares


def _log_loss(sample: Sample, _: float | None) -> Vector | Undefined:
    scores = _scores(sample)
    if isinstance(scores, Undefined):
        return scores
    # As scikit-learn does: a sure error costs -log(eps), and not infinity.
    least = float(np.finfo(scores.dtype).eps)
    if scores.ndim == 1:
        of_truth = np.where(sample.truth == sample.positive, scores, 1 - scores).astype(np.float64, copy=False)
    else:
        of_truth = _of_truth(sample, scores)
    losses: Vector = -np.log(np.clip(of_truth, least, 1 - least))
    return losses


def _scores(sample: Sample) -> Numbers | Undefined:
    """Return probabilities: of every class, or of the positive class, shape (n,)."""
    scores = sample.score if sample.scores is None else sample.scores
    if scores is None or (sample.scores is None and sample.positive is None):
        raise ValueError("the sample holds no scores of classes")
    n = len(sample)
    if scores.min() < 0 or scores.max() > 1:
        return Undefined(reason="the scores are no probabilities: some lie outside of 0 to 1", n=n)
    if scores.ndim == 2 and np.abs(scores.sum(axis=1, dtype=np.float64) - 1).max() > SUM_TOLERANCE:
        return Undefined(reason="the scores are no probabilities: some rows do not sum to 1", n=n)
    return scores


def _of_truth(sample: Sample, scores: Numbers) -> Vector:
    picked: Vector = scores[np.arange(len(sample)), sample.truth].astype(np.float64, copy=False)
    return picked


_LOSSES: Mapping[str, LossOfRows] = {
    "mae": _absolute,
    "mape": _relative,
    "pinball": _pinball,
    "brier": _brier,
    "log_loss": _log_loss,
}

LOSSES = Family(names=frozenset(_LOSSES), make=lambda facts, at: MeanLoss(facts=facts, at=at))
