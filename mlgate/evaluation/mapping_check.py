"""Whether a model's declared outputs hold what the policy's metrics need: asked before anything is started. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Schema, Tensor
from mlgate.errors import PolicyError
from mlgate.evaluation.metric_names import METRICS, Need
from mlgate.evaluation.outputs import OutputMapping, label_text
from mlgate.policy_accuracy import Accuracy

_FLOATS = {DataType.DOUBLE, DataType.FLOAT}
_NUMBERS = {*_FLOATS, DataType.INTEGER, DataType.LONG}
_OF_CLASSES = frozenset({Need.LABELS, Need.SCORES, Need.POSITIVE})
_OF_NUMBERS = frozenset({Need.NUMBERS, Need.GROUP})


def check_mapping(accuracy: Accuracy, outputs: Schema | None) -> None:
    """Refuse a metric whose inputs the output signature lacks, before any container starts.

    A metric of the user's own is not looked at: what it needs is known from its function only.

    Raises:
        PolicyError: Names the metric, what it needs and which outputs there are.
    """
    _check_truth(accuracy)
    _check_classes(accuracy)
    if outputs is None:
        return  # schema.signature fails for this; nothing can be said about the outputs here
    shape = _Shape.of(outputs)
    for key in ("prediction", "score"):
        shape.check_place(key, getattr(accuracy, key))
    if accuracy.classes and accuracy.prediction is None and accuracy.score is None:
        shape.check_width(len(accuracy.classes))
    for metric in sorted(accuracy.metrics):
        if metric in METRICS:
            _check_metric(metric, accuracy, shape)


def truth_kind(accuracy: Accuracy) -> str | None:
    """Return whether the metrics are of `classes` or of `numbers`; `None` where only the labels can tell."""
    needs = {need for metric in accuracy.metrics if metric in METRICS for need in METRICS[metric].needs}
    if needs & _OF_NUMBERS:
        return "numbers"
    mapped = accuracy.classes or accuracy.positive is not None or accuracy.threshold is not None
    return "classes" if needs & _OF_CLASSES or mapped else None


def _check_truth(accuracy: Accuracy) -> None:
    """Refuse metrics of classes beside metrics of numbers: one column is one or the other."""
    known = sorted(metric for metric in accuracy.metrics if metric in METRICS)
    of_classes = [metric for metric in known if METRICS[metric].needs & _OF_CLASSES]
    of_numbers = [metric for metric in known if METRICS[metric].needs & _OF_NUMBERS]
    if of_classes and of_numbers:
        raise PolicyError(
            f"accuracy.metrics.{of_numbers[0]}: is of numbers, and {of_classes[0]} of classes; "
            "one label column is one or the other",
            hint="brier is the squared error of a probability" if "rmse" in of_numbers else None,
        )


def _check_classes(accuracy: Accuracy) -> None:
    """Refuse classes that stand there twice, or without the positive one where it is asked for."""
    if not accuracy.classes:
        return
    names = [label_text(label) for label in accuracy.classes]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise PolicyError(f"accuracy.classes: {double} stands there twice")
    positive, asked = OutputMapping.of(accuracy).positive, accuracy.positive is not None
    needed = any(Need.POSITIVE in METRICS[metric].needs for metric in accuracy.metrics if metric in METRICS)
    if label_text(positive) not in names and (asked or needed):
        what = f"positive: {positive!r} is none of the classes" if asked else "positive is missing"
        raise PolicyError(f"accuracy.{what}", hint=f"classes: {', '.join(names)}")


def _check_metric(metric: str, accuracy: Accuracy, shape: "_Shape") -> None:
    asks: dict[Need, Callable[[Accuracy, _Shape], _Lack | None]] = {
        Need.LABELS: _lack_of_label,
        Need.SCORE: _lack_of_score,
        Need.SCORES: _lack_of_scores,
        Need.NUMBERS: _lack_of_number,
    }
    for need in sorted(METRICS[metric].needs & asks.keys()):
        lack = asks[need](accuracy, shape)
        if lack is not None:
            raise PolicyError(f"accuracy.metrics.{metric}: {lack.what}", hint=lack.hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lack:
    """What is not there, and what to write."""

    what: str
    hint: str


def _lack_of_label(accuracy: Accuracy, shape: "_Shape") -> _Lack | None:
    if accuracy.prediction is not None:
        return None
    if accuracy.score is not None:
        two = len(accuracy.classes or (0, 1)) == 2 and (accuracy.classes or accuracy.positive in (None, 0, 1, "0", "1"))
        hint = "name the two in accuracy.classes, or the output that holds the label in accuracy.prediction"
        lack = _Lack(what="one score tells two classes apart, and accuracy.classes does not name two", hint=hint)
        return None if two or (accuracy.classes and shape.is_array(accuracy.score)) else lack
    if shape.array is not None:
        hint = "say how to read it: accuracy.classes, or accuracy.prediction for one index"
        return None if accuracy.classes else _Lack(what=f"the output is {shape.text}", hint=hint)
    return None if len(shape.names) == 1 or shape.holds_classes(accuracy) else _several(shape)


def _lack_of_score(accuracy: Accuracy, shape: "_Shape") -> _Lack | None:
    hint = "name the output that holds it: accuracy.score"
    lack = _Lack(what=f"needs a score, and the output is {shape.text}", hint=hint)
    if accuracy.score is not None:
        return None if shape.is_a(accuracy.score, _NUMBERS) else lack
    if shape.holds_classes(accuracy):
        return None
    if shape.array is not None:
        return None if accuracy.classes and accuracy.prediction is None and shape.floats else lack
    return None if len(shape.names) == 1 and shape.floats else lack


def _lack_of_scores(accuracy: Accuracy, shape: "_Shape") -> _Lack | None:
    if len(accuracy.classes or ()) <= 2:
        return _lack_of_score(accuracy, shape)
    if shape.holds_classes(accuracy) or shape.is_array(accuracy.score):
        return None
    hint = "name the output that is an array of them: accuracy.score, or give each class a column of its own"
    return _Lack(what=f"needs a score for each of {len(accuracy.classes or ())} classes, and the output is {shape.text}", hint=hint)  # fmt: skip


def _lack_of_number(accuracy: Accuracy, shape: "_Shape") -> _Lack | None:
    if accuracy.prediction is None and shape.array is not None:
        return _Lack(
            what=f"the output is {shape.text}", hint="name the index that holds the number: accuracy.prediction"
        )
    if accuracy.prediction is None and len(shape.names) > 1:
        return _several(shape)
    if shape.is_a(accuracy.prediction, _NUMBERS):
        return None
    return _Lack(what=f"needs a number, and the output is {shape.text}", hint="name another: accuracy.prediction")


def _several(shape: "_Shape") -> _Lack:
    return _Lack(
        what=f"the model has {len(shape.names)} outputs ({', '.join(shape.names)})",
        hint="name the one that holds the prediction: accuracy.prediction",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The declared outputs of one row.

    Attributes:
        parts: Columns or tensors.
        names: Their names; the index where one has none.
        array: Values in a row of the only output, where that is an array without names: -1 for any number, `None`
            where it is none.
        text: For messages.
    """

    parts: tuple[Column | Tensor, ...]
    names: tuple[str, ...]
    array: int | None
    text: str

    @classmethod
    def of(cls, outputs: Schema) -> "_Shape":
        parts: tuple[Column | Tensor, ...] = outputs.columns if isinstance(outputs, ColumnSchema) else outputs.tensors
        only = parts[0] if len(parts) == 1 else None
        return cls(
            parts=parts,
            names=tuple(str(index) if part.name is None else str(part.name) for index, part in enumerate(parts)),
            array=None if only is None else _array(only),
            text=_describe(parts),
        )

    def check_width(self, classes: int) -> None:
        """Refuse an array of another length than there are classes.

        Raises:
            PolicyError: It is.
        """
        if self.array not in (None, -1, classes):
            raise PolicyError(f"accuracy.classes: {classes} classes for {self.array} outputs")

    @property
    def floats(self) -> bool:
        """Whether every output is a fraction, as scores are."""
        return all(_is_a(part, _FLOATS) for part in self.parts)

    def is_a(self, place: str | int | None, kinds: set[DataType]) -> bool:
        """Whether the output at *place* is of *kinds*."""
        part = self._part(place)
        return part is None or _is_a(part, kinds)

    def is_array(self, place: str | int | None) -> bool:
        """Whether the output at *place* has several values a row."""
        if self.array is not None:
            return place is None
        part = None if place is None else self._part(place)
        return part is not None and _array(part) is not None

    def holds_classes(self, accuracy: Accuracy) -> bool:
        """Whether there is a column a class."""
        return bool(accuracy.classes) and {label_text(label) for label in accuracy.classes or ()} <= set(self.names)

    def check_place(self, key: str, place: str | int | None) -> None:
        """Refuse a name or an index that no output has.

        Raises:
            PolicyError: Lists the outputs.
        """
        width = self.array if self.array is not None else len(self.parts)
        beyond = isinstance(place, int) and width != -1 and not -width <= place < width
        if beyond or (isinstance(place, str) and place not in self.names):
            hint = f"outputs: {', '.join(self.names)} ({self.text})"
            raise PolicyError(f"accuracy.{key}: no output {place!r}", hint=hint)

    def _part(self, place: str | int | None) -> Column | Tensor | None:
        """Return the output at *place*; `None` where the signature does not tell it."""
        if len(self.parts) == 1:
            return self.parts[0]
        if isinstance(place, int):
            return self.parts[place]
        return self.parts[self.names.index(place)] if place in self.names else None


def _array(part: Column | Tensor) -> int | None:
    if isinstance(part, Column):
        return -1 if isinstance(part.type, ArrayType) else None
    return part.shape[1] if len(part.shape) > 1 and part.shape[1] != 1 else None


def _is_a(part: Column | Tensor, kinds: set[DataType]) -> bool:
    if isinstance(part, Tensor):
        return part.dtype.startswith("float" if kinds == _FLOATS else ("float", "int", "uint"))
    kind: Any = part.type.items if isinstance(part.type, ArrayType) else part.type
    return kind in kinds or not isinstance(kind, DataType)  # an object or a map may hold anything


def _describe(parts: Sequence[Column | Tensor]) -> str:
    return ", ".join(
        f"{part.name or 0}: {part.type}" if isinstance(part, Column) else f"{part.dtype} of shape {list(part.shape)}"
        for part in parts
    )
