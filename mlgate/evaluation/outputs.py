"""Output mapping: which part of an answer is the prediction, and which the score. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import ColumnSchema, DataType, Schema, TensorSchema
from mlgate.errors import PolicyError
from mlgate.policy import Accuracy

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
        threshold: Score from which the positive class is predicted.
    """

    prediction: str | int | None
    score: str | int | None
    classes: tuple[Any, ...] | None
    positive: Any
    threshold: float

    @classmethod
    def of(cls, accuracy: Accuracy) -> "OutputMapping":
        """Take the mapping from the policy."""
        threshold = DEFAULT_THRESHOLD if accuracy.threshold is None else accuracy.threshold
        positive = accuracy.positive
        if positive is None:
            positive = accuracy.classes[1] if accuracy.classes and len(accuracy.classes) == 2 else 1
        return cls(
            prediction=accuracy.prediction,
            score=accuracy.score,
            classes=accuracy.classes,
            positive=positive,
            threshold=threshold,
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
            return self.classes[max(range(len(row)), key=row.__getitem__)]
        value = _pick(row, self.prediction)
        if self.classes and isinstance(value, float):
            return self._label_from_score(value)
        return value

    def score_of(self, row: object) -> float:
        """Return the score of the positive class in one answer row.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        place = self.score
        if place is None and self.classes and isinstance(row, list):
            place = self.classes.index(self.positive)
        return _number(_pick(row, self.prediction if place is None else place))

    def number_of(self, row: object) -> float:
        """Return the predicted number of one answer row.

        Raises:
            UnmappedOutput: The row does not hold a number there.
        """
        return _number(_pick(row, self.prediction))

    def _label_from_score(self, score: float) -> Any:
        negatives = [label for label in self.classes or (0, 1) if label != self.positive]
        return self.positive if score >= self.threshold else negatives[0]


def check_mapping(accuracy: Accuracy, outputs: Schema | None) -> None:
    """Refuse a metric whose inputs the output signature lacks, before any container starts.

    Raises:
        PolicyError: Names the metric, what it needs and which outputs there are.
    """
    if outputs is None:
        return  # schema.signature fails for this; nothing can be said about the outputs here
    names = _names(outputs)
    for key in ("prediction", "score"):
        place = getattr(accuracy, key)
        if isinstance(place, str) and place not in names:
            raise PolicyError(
                f"accuracy.{key}: no output '{place}'", hint=f"outputs: {', '.join(names) or 'one array'}"
            )
    several = len(names) > 1
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
    return float(value)
