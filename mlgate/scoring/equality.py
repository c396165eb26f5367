"""When two answers are equal: labels, integers and strings exactly, floats within a tolerance. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import ColumnSchema, DataType, Schema, TensorSchema

# Design §6: a double keeps 15 digits through JSON, a float32 seven; sums in another order cost a few of them.
DOUBLE_TOLERANCE = 1e-6
FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """How equal two answers must be.

    Attributes:
        tolerance: Allowed |a - b| / max(1, |a|) of floats.
        label: Output that holds a label (name or index), with *score*; `None` where the output has no such pair.
        score: Output that holds the label's score.
        threshold: Score at which the label flips; beside it, within the tolerance, a label may differ.
    """

    tolerance: float = DOUBLE_TOLERANCE
    label: str | int | None = None
    score: str | int | None = None
    threshold: float | None = None

    def same(self, first: object, second: object) -> bool:
        """Return whether two rows of predictions are equal."""
        return self._same(first, second) or self._label_flipped_at_threshold(first, second)

    def first_difference(self, first: Sequence[Any], second: Sequence[Any]) -> int | None:
        """Return the index of the first row that differs, or `None`. A missing row differs."""
        for index, (left, right) in enumerate(zip(first, second, strict=False)):
            if not self.same(left, right):
                return index
        return None if len(first) == len(second) else min(len(first), len(second))

    def _same(self, first: object, second: object) -> bool:
        if isinstance(first, bool) or isinstance(second, bool):
            return first is second
        if isinstance(first, int) and isinstance(second, int):
            return first == second
        if isinstance(first, (int, float)) and isinstance(second, (int, float)):
            return first == second or self._near(first, second)
        if isinstance(first, dict) and isinstance(second, dict):
            return first.keys() == second.keys() and all(self._same(first[key], second[key]) for key in first)
        if isinstance(first, list) and isinstance(second, list):
            return len(first) == len(second) and all(map(self._same, first, second))
        return type(first) is type(second) and first == second

    def _near(self, first: float, second: float) -> bool:
        try:
            room = self.tolerance * max(1.0, abs(first))
            return math.isfinite(room) and abs(first - second) <= room
        except OverflowError:  # an integer beyond what a float holds
            return False

    def _label_flipped_at_threshold(self, first: object, second: object) -> bool:
        if self.label is None or self.score is None or self.threshold is None:
            return False
        scores = [_pick(row, self.score) for row in (first, second)]
        near = all(
            isinstance(score, (int, float)) and not isinstance(score, bool) and self._near(score, self.threshold)
            for score in scores
        )
        return near and self._same(_without(first, self.label), _without(second, self.label))


def equality_for(outputs: Schema | None, *, tolerance: float | None = None, **label: Any) -> Equality:
    """Return the equality that fits an output signature; *tolerance* from the policy wins."""
    if tolerance is None:
        tolerance = FLOAT_TOLERANCE if _has_float32(outputs) else DOUBLE_TOLERANCE
    return Equality(tolerance=tolerance, **label)


def _has_float32(outputs: Schema | None) -> bool:
    match outputs:
        case ColumnSchema(columns=columns):
            return any(column.type is DataType.FLOAT for column in columns)
        case TensorSchema(tensors=tensors):
            return any(tensor.dtype in {"float16", "float32"} for tensor in tensors)
        case _:
            return False


def _pick(row: object, place: str | int) -> object:
    if isinstance(row, dict):
        return row.get(_name(row, place))
    if isinstance(row, list) and isinstance(place, int) and place < len(row):
        return row[place]
    return None


def _name(row: dict[Any, Any], place: str | int) -> Any:
    """Return the name of a named output; the policy may say its index instead."""
    return list(row)[place] if isinstance(place, int) and place < len(row) else place


def _without(row: object, place: str | int) -> object:
    if isinstance(row, dict):
        return {key: value for key, value in row.items() if key != _name(row, place)}
    if isinstance(row, list):
        return [value for index, value in enumerate(row) if index != place]
    return None
