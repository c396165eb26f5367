"""Output mapping: which part of an answer is the prediction, and which the score. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import ColumnSchema, DataType, Schema, TensorSchema
from mlgate.errors import PolicyError
from mlgate.policy import Accuracy
from mlgate.typed_json import finite

# Metrics of labels, of scores, and of numbers.
LABEL_METRICS = frozenset({"accuracy", "f1"})
SCORE_METRICS = frozenset({"roc_auc"})
NUMBER_METRICS = frozenset({"rmse"})
DEFAULT_THRESHOLD = 0.5  # two classes: the larger score wins


class UnmappedOutput(ValueError):
    """An answer does not hold what the policy's mapping names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMapping:
    """How to read predictions.

    Attributes:
        prediction: Output name or index of the prediction; `None` for the only one.
        score: Output name or index of the positive class's score; `None` where there is none.
        classes: Labels in index order, where the output is an array of scores.
        positive: The positive class, for F1 and ROC AUC.
        threshold: Score from which the positive class is predicted; `None` for the larger score of an array, and for
            0.5 of a single score.
    """

    prediction: str | int | None
    score: str | int | None
    classes: tuple[Any, ...] | None
    positive: Any
    threshold: float | None

    @classmethod
    def of(cls, accuracy: Accuracy) -> "OutputMapping":
        """Take the mapping from the policy."""
        positive = accuracy.positive
        if positive is None:
            positive = accuracy.classes[1] if accuracy.classes and len(accuracy.classes) == 2 else 1
        return cls(
            prediction=accuracy.prediction,
            score=accuracy.score,
            classes=accuracy.classes,
            positive=positive,
            threshold=accuracy.threshold,
        )

    def label_of(self, row: object) -> Any:
        """Return the predicted label of one answer row.

        Raises:
            UnmappedOutput: The row does not hold it.
        """
        if self.prediction is None and self.score is not None:
            return self._label_from_score(self.score_of(row))
        if self.prediction is None and self.classes and isinstance(row, list):
            if len(row) != len(self.classes):
                raise UnmappedOutput(f"{len(row)} scores for {len(self.classes)} classes")
            if self.threshold is not None and len(row) == 2:
                return self._label_from_score(self.score_of(row))
            return self.classes[max(range(len(row)), key=lambda index: _number(row[index]))]
        value = _pick(row, self.prediction)
        if self.classes and isinstance(value, float):
            return self._label_from_score(value)
        if isinstance(value, float) and not value.is_integer():
            raise UnmappedOutput(f"{value:g} is a score and no label; accuracy.classes names the labels")
        return value

    def score_of(self, row: object) -> float:
        """Return the score of the positive class in one answer row.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        place = self.score
        if place is None and self.classes and isinstance(row, list):
            if self.positive not in self.classes:
                raise UnmappedOutput(f"the positive class {self.positive!r} is none of {list(self.classes)}")
            place = self.classes.index(self.positive)
        return _number(_pick(row, self.prediction if place is None else place))

    def number_of(self, row: object) -> float:
        """Return the predicted number of one answer row.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        return _number(_pick(row, self.prediction))

    def _label_from_score(self, score: float) -> Any:
        threshold = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        negatives = [label for label in self.classes or (0, 1) if label != self.positive]
        return self.positive if score >= threshold else negatives[0]


def check_mapping(accuracy: Accuracy, outputs: Schema | None) -> None:
    """Refuse a metric whose inputs the output signature lacks, before any container starts.

    Raises:
        PolicyError: Names the metric, what it needs and which outputs there are.
    """
    if outputs is None:
        return  # schema.signature fails for this; nothing can be said about the outputs here
    _check_positive(accuracy)
    names = _names(outputs)
    width = _width(outputs)
    for key in ("prediction", "score"):
        place = getattr(accuracy, key)
        beyond = isinstance(place, int) and width is not None and not -width <= place < width
        if beyond or (isinstance(place, str) and place not in names):
            raise PolicyError(
                f"accuracy.{key}: no output {place!r}", hint=f"outputs: {', '.join(names)} ({_describe(outputs)})"
            )
    several = len(names) > 1
    _check_array(accuracy, outputs, width)
    for metric in sorted(accuracy.metrics):
        lacks = several and accuracy.prediction is None
        if metric in SCORE_METRICS:
            lacks = accuracy.score is None and (several or not _can_score(outputs, accuracy))
            if lacks:
                raise PolicyError(
                    f"accuracy.metrics.{metric}: needs a score, and the output is {_describe(outputs)}",
                    hint="name the output that holds it: accuracy.score",
                )
        elif lacks and not (metric in LABEL_METRICS and accuracy.score is not None):
            raise PolicyError(
                f"accuracy.metrics.{metric}: the model has {len(names)} outputs ({', '.join(names)})",
                hint="name the one that holds the prediction: accuracy.prediction",
            )


def _check_positive(accuracy: Accuracy) -> None:
    """Refuse classes without the positive one where it is asked for."""
    positive, asked = OutputMapping.of(accuracy).positive, accuracy.positive is not None
    if accuracy.classes and positive not in accuracy.classes and (asked or {"f1", "roc_auc"} & accuracy.metrics.keys()):
        what = f"positive: {positive!r} is none of the classes" if asked else "positive is missing"
        raise PolicyError(f"accuracy.{what}", hint=f"classes: {', '.join(map(str, accuracy.classes))}")


def _check_array(accuracy: Accuracy, outputs: Schema, width: int | None) -> None:
    """Refuse metrics of one output where the output is an array and nothing says how to read it."""
    if not isinstance(outputs, TensorSchema) or len(outputs.tensors) > 1 or width == 1:
        return
    if accuracy.classes and width is not None and len(accuracy.classes) != width:
        raise PolicyError(f"accuracy.classes: {len(accuracy.classes)} classes for {width} outputs")
    for metric in sorted(accuracy.metrics.keys() - SCORE_METRICS):
        read = metric in LABEL_METRICS and (accuracy.classes or accuracy.score is not None)
        if accuracy.prediction is None and not read:
            raise PolicyError(
                f"accuracy.metrics.{metric}: the output is {_describe(outputs)}",
                hint="say how to read it: accuracy.classes, or accuracy.prediction for one index",
            )


def _width(outputs: Schema) -> int | None:
    """Return how many outputs a row has; `None` where the signature leaves it open."""
    if isinstance(outputs, ColumnSchema):
        return len(outputs.columns)
    if len(outputs.tensors) > 1 or len(outputs.tensors[0].shape) == 1:
        return len(outputs.tensors)
    size = outputs.tensors[0].shape[1]
    return None if size == -1 else size


def _can_score(outputs: Schema, accuracy: Accuracy) -> bool:
    match outputs:
        case ColumnSchema(columns=columns):
            return columns[0].type in {DataType.DOUBLE, DataType.FLOAT}
        case TensorSchema(tensors=tensors):
            array = len(tensors[0].shape) > 1 and tensors[0].shape[1] != 1
            return tensors[0].dtype.startswith("float") and (not array or accuracy.classes is not None)


def _names(outputs: Schema) -> list[str]:
    parts: Sequence[Any] = outputs.columns if isinstance(outputs, ColumnSchema) else outputs.tensors
    return [str(index) if part.name is None else str(part.name) for index, part in enumerate(parts)]


def _describe(outputs: Schema) -> str:
    match outputs:
        case ColumnSchema(columns=columns):
            return ", ".join(f"{column.name or 0}: {column.type}" for column in columns)
        case TensorSchema(tensors=tensors):
            return ", ".join(f"{tensor.dtype} of shape {list(tensor.shape)}" for tensor in tensors)


def _pick(row: object, place: str | int | None) -> Any:
    if isinstance(row, dict):
        if place is None and len(row) == 1:
            return next(iter(row.values()))
        if isinstance(place, int):
            row = list(row.values())
        elif place in row:
            return row[place]
        else:
            raise UnmappedOutput(f"no output '{place}' among {sorted(map(str, row))}")
    if isinstance(row, list):
        if place is None and len(row) == 1:
            return row[0]
        if isinstance(place, int) and -len(row) <= place < len(row):
            return row[place]
        raise UnmappedOutput(f"an array of {len(row)} outputs and no index {place!r}")
    if place in (None, 0):
        return row
    raise UnmappedOutput(f"one value, and the policy asks for output {place!r}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnmappedOutput(f"{value!r} is not a number")
    number = finite(value)
    if number is None:
        raise UnmappedOutput(f"{str(value)[:20]} is not a finite number")
    return number
