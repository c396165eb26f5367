"""The user's own metric: a function on arrays that the policy names, `my_pkg.metrics:cost`. Run on the host."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import Better, MetricFacts, Need
from mlgate.evaluation.metrics.resampled import Kind, ResampledMetric
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.statistics.bootstrap import Statistic, Units, Weights
from mlgate.statistics.interval import Interval, Undefined

Function = Callable[..., Any]

# Beside the truth, which comes first. `prediction` is the label or the number, whichever the model gives.
PARAMETERS = ("prediction", "score", "scores", "group")
# Stand for an answer that is no known class, in texts and in whole numbers.
UNKNOWN_TEXT = ""
UNKNOWN_NUMBER = int(np.iinfo(np.int64).min)


class UserMetricFailed(Exception):
    """The user's function raised, or returned what is no number."""


def function_needs(function: Function, *, classification: bool) -> frozenset[Need]:
    """Return what a function asks for, by the names of its parameters.

    Args:
        function: `f(truth, prediction)`; any of `PARAMETERS` after the truth, by name.
        classification: Whether predictions are classes; else they are numbers.

    Raises:
        ValueError: It takes no truth, or a parameter without a default has another name.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except TypeError as error:
        raise ValueError(f"it is no function ({error})") from error
    if not parameters or parameters[0].kind not in (parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD):
        raise ValueError("it takes no arguments; the first is the truth")
    asked = {p.name for p in parameters[1:]} & set(PARAMETERS)
    strange = [
        p.name
        for p in parameters[1:]
        if p.name not in PARAMETERS and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if strange:
        raise ValueError(f"it takes {', '.join(strange)}; after the truth there are {', '.join(PARAMETERS)}")
    if any(p.kind is p.POSITIONAL_ONLY and p.name in asked for p in parameters[1:]):
        raise ValueError("only the truth may be positional-only: the others are passed by name")
    if not asked - {"group"}:
        raise ValueError(f"it takes nothing of the answers; after the truth there are {', '.join(PARAMETERS)}")
    needs = {"prediction": Need.LABELS if classification else Need.NUMBERS, "score": Need.SCORE}
    return frozenset({**needs, "scores": Need.SCORES, "group": Need.GROUP}[name] for name in asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomMetric(ResampledMetric):
    """A metric of the user's own. What it raises or returns wrongly makes it `Undefined`, with its own words.

    Attributes:
        function: The user's.
    """

    function: Function

    @property
    def costly(self) -> bool:
        """A resample of the whole goes through the user's function: weights mean nothing to it."""
        return True

    def value(self, sample: Sample) -> float | Undefined:
        """Return the point estimate alone."""
        try:
            return super(CustomMetric, self).value(sample)
        except UserMetricFailed as error:
            return Undefined(reason=f"{self.facts.name} {error}", n=len(sample))

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return one model's metric between one-sided bounds, in the metric's own unit."""
        try:
            return super(CustomMetric, self).interval(sample, confidence=confidence, seed=seed)
        except UserMetricFailed as error:
            return Undefined(reason=f"{self.facts.name}, on a resample of the rows, {error}", n=len(sample))

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger - champion on the same rows, oriented so that more is better."""
        try:
            return super(CustomMetric, self).difference(challenger, champion, confidence=confidence, seed=seed)
        except UserMetricFailed as error:
            return Undefined(reason=f"{self.facts.name}, on a resample of the rows, {error}", n=len(challenger))

    def trouble(self, sample: Sample) -> str:
        """Return why the metric has no value on these rows, or nothing."""
        missing = [name for name in self._asked if _answers(sample)[name] is None]
        return f"{self.facts.name} needs {' and '.join(missing)}" if missing else ""

    def statistic(self, sample: Sample) -> Statistic:
        """Return the metric as a function of weights: rows are repeated as often as their weight says."""
        truth, given = _truth(sample), {name: _answers(sample)[name] for name in self._asked}

        def of_weights(weights: Weights) -> NDArray[np.float64]:
            return np.array([self._call(truth, given, np.repeat(np.arange(row.size), row)) for row in weights])

        return of_weights

    def breakable(self, sample: Sample) -> Iterator[Kind]:
        """Yield the rows of each class; of a regression, all rows."""
        if not sample.classes:
            yield np.ones(len(sample), dtype=np.bool_)
            return
        for code in np.unique(sample.truth):
            yield sample.truth == code

    def broken(self, sample: Sample, rows: Units) -> Sample:
        """Return the sample with answers on these rows that are as wrong as any that were given."""
        truth = sample.truth[rows]
        changed: dict[str, Any] = {}
        if sample.labels is not None:
            changed["labels"] = np.array(sample.labels)
            changed["labels"][rows] = (truth.astype(np.intp) + 1) % len(sample.classes)
        if sample.numbers is not None:
            changed["numbers"] = np.array(sample.numbers)
            changed["numbers"][rows] = _farthest(sample.numbers, truth)
        if sample.score is not None:
            changed["score"] = np.array(sample.score)
            high = truth.astype(np.float64) if sample.positive is None else truth == sample.positive
            changed["score"][rows] = _farthest(sample.score, np.where(high, sample.score.max(), sample.score.min()))
        if sample.scores is not None:
            changed["scores"] = np.array(sample.scores)
            changed["scores"][rows] = np.roll(np.eye(sample.scores.shape[1]), 1, axis=1)[truth.astype(np.intp)]
        return replace(sample, **changed)

    @property
    def _asked(self) -> tuple[str, ...]:
        parameters = inspect.signature(self.function).parameters
        return tuple(name for name in PARAMETERS if name in parameters)

    def _call(self, truth: NDArray[Any], given: Mapping[str, Any], rows: Units) -> float:
        try:
            answer = self.function(truth[rows], **{name: array[rows] for name, array in given.items()})
        except Exception as error:  # the user's code may raise anything
            raise UserMetricFailed(f"raised {type(error).__name__}: {error}") from error
        try:
            value = float(answer)
        except (TypeError, ValueError) as error:
            raise UserMetricFailed(f"returned {type(answer).__name__}, which is no number") from error
        if not math.isfinite(value):
            raise UserMetricFailed(f"returned {value}, which is no number to compare")
        return value


def custom_metric(name: str, function: Function, *, better: Better, classification: bool) -> CustomMetric:
    """Return the metric of a user's function.

    Args:
        name: As in the policy: `module:function`.
        function: From `user_function.load_function`.
        better: Which way is better.
        classification: Whether predictions are classes.

    Raises:
        ValueError: The function takes other parameters than there are.
    """
    needs = function_needs(function, classification=classification)
    return CustomMetric(facts=MetricFacts(name=name, needs=needs, better=better), function=function)


def _farthest(values: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """Return the smallest or the largest of the values, whichever is farther from the truth, row by row."""
    low, high = values.min(), values.max()
    farthest: NDArray[Any] = np.where(truth - low > high - truth, low, high)
    return farthest


def _truth(sample: Sample) -> NDArray[Any]:
    return _named(sample.truth, sample.classes) if sample.classes else sample.truth


def _answers(sample: Sample) -> dict[str, NDArray[Any] | None]:
    labels = None if sample.labels is None else _named(sample.labels, sample.classes)
    prediction = sample.numbers if labels is None else labels
    return {"prediction": prediction, "score": sample.score, "scores": sample.scores, "group": sample.group}


def _named(codes: NDArray[Any], classes: tuple[str, ...]) -> NDArray[Any]:
    """Turn codes into the classes as the user knows them: whole numbers where all are, else texts."""
    whole = all(name.removeprefix("-").isdecimal() for name in classes)
    unknown = UNKNOWN_NUMBER if whole else UNKNOWN_TEXT
    names = np.array([*(int(name) for name in classes), unknown] if whole else [*classes, unknown])
    # UNKNOWN_CLASS is -1: the last.
    named: NDArray[Any] = names[np.where(codes == UNKNOWN_CLASS, len(classes), codes).astype(np.intp)]
    return named
