"""Whether a batch of answers surely conforms to the output signature, found out at once. Pure.

`scoring.answers.nonconformities` says what is wrong, row by row; at a million rows that takes longer than the metrics.
This says yes for the usual shapes of right answers, and else leaves it to that function.
"""

import math
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Schema, Tensor, TensorSchema
from mlgate.scoring.answers import first_bad_row

_BITS = {DataType.INTEGER: 31, DataType.LONG: 63}
_KINDS: dict[Any, frozenset[type]] = {
    DataType.BOOLEAN: frozenset({bool}),
    DataType.STRING: frozenset({str}),
    DataType.INTEGER: frozenset({int}),
    DataType.LONG: frozenset({int}),
    DataType.FLOAT: frozenset({int, float}),
    DataType.DOUBLE: frozenset({int, float}),
}


def bad_row(rows: Sequence[Any], outputs: Schema | None) -> tuple[int, str] | None:
    """Return index and problem of the first row that does not conform; as `first_bad_row`, and faster where none is."""
    return None if surely_conform(rows, outputs) else first_bad_row(rows, outputs)


def surely_conform(rows: Sequence[Any], outputs: Schema | None) -> bool:
    """Return whether every row is right; `False` says nothing."""
    if not rows:
        return True
    match outputs:
        case ColumnSchema(columns=columns):
            return _columns_conform(rows, columns)
        case TensorSchema(tensors=tensors):
            return _tensors_conform(rows, tensors)
        case None:
            return _are_finite(rows)


def _columns_conform(rows: Sequence[Any], columns: Sequence[Column]) -> bool:
    found = _by_place(rows, [column.name for column in columns])
    return found is not None and all(_are(values, column.type) for values, column in zip(found, columns, strict=True))


def _tensors_conform(rows: Sequence[Any], tensors: Sequence[Tensor]) -> bool:
    if len(tensors) == 1 and type(rows[0]) is not dict:
        return _is_tensor(rows, tensors[0])
    found = _by_place(rows, [tensor.name for tensor in tensors])
    return found is not None and all(_is_tensor(values, tensor) for values, tensor in zip(found, tensors, strict=True))


def _by_place(rows: Sequence[Any], names: Sequence[str | None]) -> list[Sequence[Any]] | None:
    """Return the values of each output; `None` where the rows are of several shapes or have others."""
    kinds = set(map(type, rows))
    if kinds == {dict} and set(map(len, rows)) == {len(names)}:
        try:
            return [list(map(itemgetter(name), rows)) for name in names]
        except KeyError:
            return None
    if kinds == {list} and set(map(len, rows)) == {len(names)}:
        return list(zip(*rows, strict=True))
    return [rows] if len(names) == 1 and not kinds & {dict, list} else None


def _is_tensor(values: Sequence[Any], tensor: Tensor) -> bool:
    if len(tensor.shape) == 2:
        if set(map(type, values)) != {list}:
            return False
        lengths = set(map(len, values))
        if tensor.shape[1] != -1 and lengths != {tensor.shape[1]}:
            return False
        values = list(chain.from_iterable(values))
    elif len(tensor.shape) != 1:
        return False
    dtype = tensor.dtype
    if dtype.startswith("float"):
        return _are(values, DataType.DOUBLE)
    if dtype.startswith(("int", "uint")):
        return set(map(type, values)) <= {int} and (dtype[0] == "i" or not values or min(values) >= 0)
    return dtype in {"bool", "str"} and _are(values, DataType.BOOLEAN if dtype == "bool" else DataType.STRING)


def _are(values: Sequence[Any], kind: object) -> bool:
    if not set(map(type, values)) <= _KINDS.get(kind, frozenset()):
        return False
    if isinstance(kind, DataType) and kind in _BITS:
        return bool(-(2 ** _BITS[kind]) <= min(values) and max(values) < 2 ** _BITS[kind])
    return kind not in {DataType.FLOAT, DataType.DOUBLE} or _are_finite(values)


def _are_finite(values: Sequence[Any]) -> bool:
    try:
        return all(map(math.isfinite, values))
    except OverflowError:  # an integer beyond 1.8e308
        return False
    except TypeError:  # a text, an array, null
        return set(map(type, values)) <= {str, bool}
