"""Metrics of a model, and of two models on the same rows: estimate and one-sided bounds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput
from mlgate.statistics.auc import auc_interval, paired_auc_interval
from mlgate.statistics.confusion import f1_interval, paired_f1_interval
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired import tango_interval
from mlgate.statistics.proportions import proportion_interval
from mlgate.statistics.rmse import paired_rmse_interval, rmse_interval

# Metrics of labels, of scores, and of numbers.
LABEL_METRICS = frozenset({"accuracy", "f1"})
SCORE_METRICS = frozenset({"roc_auc"})
NUMBER_METRICS = frozenset({"rmse"})
# Less is better for these; their differences are turned around so that more is always better.
LOSSES = frozenset({"rmse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One model's answers on the evaluation rows, in the rows' order."""

    rows: Sequence[Any]
    mapping: OutputMapping

    def labels(self) -> NDArray[Any]:
        """Predicted labels as text, so that 1, "1" and 1.0 from CSV, JSON and numpy are one label."""
        return as_labels([self.mapping.label_of(row) for row in self.rows])

    def scores(self) -> NDArray[np.float64]:
        """Scores of the positive class."""
        return np.array([self.mapping.score_of(row) for row in self.rows], dtype=np.float64)

    def numbers(self) -> NDArray[np.float64]:
        """Predicted numbers."""
        return np.array([self.mapping.number_of(row) for row in self.rows], dtype=np.float64)


def as_labels(values: Sequence[Any]) -> NDArray[Any]:
    """Return labels as comparable text: booleans and whole floats read as the integers they stand for."""
    return np.array([_label(value) for value in values], dtype=object)


def _label(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def metric_interval(
    metric: str, truth: Sequence[Any], scored: Scored, *, confidence: float, seed: int
) -> Interval | Undefined:
    """Return one model's metric with its bounds, or why there is none."""
    positive = _label(scored.mapping.positive)
    if metric in LABEL_METRICS:
        y, predicted = as_labels(truth), scored.labels()
        if metric == "accuracy":
            return proportion_interval(int(np.sum(y == predicted)), len(y), confidence)
        return f1_interval(y, predicted, positive, confidence)
    if metric in SCORE_METRICS:
        return auc_interval(as_labels(truth) == positive, scored.scores(), confidence)
    if metric in NUMBER_METRICS:
        return rmse_interval(_truth_numbers(truth) - scored.numbers(), confidence, seed)
    raise ValueError(f"no metric '{metric}'")


def metric_difference(
    metric: str, truth: Sequence[Any], challenger: Scored, champion: Scored, *, confidence: float, seed: int
) -> Interval | Undefined:
    """Return challenger - champion on the same rows, oriented so that more is better, or why there is none."""
    positive = _label(challenger.mapping.positive)
    if metric in LABEL_METRICS:
        y, new, old = as_labels(truth), challenger.labels(), champion.labels()
        if metric == "accuracy":
            gained, lost = int(np.sum((new == y) & (old != y))), int(np.sum((new != y) & (old == y)))
            return tango_interval(gained, lost, len(y), confidence)
        return paired_f1_interval(y, new, old, positive, confidence, seed=seed)
    if metric in SCORE_METRICS:
        return paired_auc_interval(as_labels(truth) == positive, challenger.scores(), champion.scores(), confidence)
    if metric in NUMBER_METRICS:
        y_numbers = _truth_numbers(truth)
        loss = paired_rmse_interval(y_numbers - challenger.numbers(), y_numbers - champion.numbers(), confidence, seed)
        return loss.negated() if isinstance(loss, Interval) else loss
    raise ValueError(f"no metric '{metric}'")


def _truth_numbers(truth: Sequence[Any]) -> NDArray[np.float64]:
    try:
        numbers = np.array([float(value) for value in truth], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnmappedOutput(f"the label is not a number ({error})") from error
    if not np.all(np.isfinite(numbers)):
        raise UnmappedOutput("a label is not a finite number")
    return numbers
