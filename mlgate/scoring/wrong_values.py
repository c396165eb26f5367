"""Values that are wrong for a type, by construction: no reading of the signature makes one of them valid. Pure."""

import math
from collections.abc import Mapping
from typing import Any, assert_never

import numpy as np

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Property,
    Schema,
    Tensor,
    TensorSchema,
    UnsupportedType,
)

WORD = "twelve"
NUMBERS = frozenset({DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE})
# Beyond the largest double, and so beyond every number type.
HUGE = 10**400
_OTHER_KIND: Mapping[DataType, tuple[Any, ...]] = {
    DataType.BOOLEAN: (WORD, 2),
    DataType.INTEGER: (WORD, "5", True),
    DataType.LONG: (WORD, "5", True),
    DataType.FLOAT: (WORD, "1.5", True),
    DataType.DOUBLE: (WORD, "1.5", True),
    DataType.STRING: (5, True, [WORD]),
    DataType.BINARY: (5, "not base64!"),
    DataType.DATETIME: (WORD, 5, True),
}
_LOSSY: Mapping[DataType, tuple[Any, ...]] = {
    DataType.INTEGER: (1.5, 2**31),
    DataType.LONG: (1.5, 2**63),
    DataType.FLOAT: (1e300,),
}


def of_another_kind(kind: ColumnType, value: object) -> tuple[Any, ...]:
    """Return values that no value of *kind* is: a word for a number, a number for text. Nothing is wrong for `any`.

    Args:
        kind: The column's type.
        value: A valid value, in which one part is made wrong where the type has parts.
    """
    match kind:
        case DataType():
            return _OTHER_KIND[kind]
        case ArrayType(items):
            inside = of_another_kind(items, value[0] if isinstance(value, list) and value else None)
            return (5, WORD, *([wrong] for wrong in inside[:1]))
        case ObjectType(properties):
            return (5, [WORD], *_wrong_property(properties, value))
        case MapType(values):
            first = next(iter(value.values()), None) if isinstance(value, dict) else None
            return (5, [WORD], *({"key": wrong} for wrong in of_another_kind(values, first)[:1]))
        case AnyType() | UnsupportedType():
            return ()
        case _:
            assert_never(kind)


def _wrong_property(properties: tuple[Property, ...], value: object) -> list[Any]:
    if not isinstance(value, dict):
        return []
    wrongs = ((part, of_another_kind(part.type, value.get(part.name))) for part in properties)
    changed = [{**value, part.name: wrong[0]} for part, wrong in wrongs if wrong][:1]
    required = next((part.name for part in properties if part.required), None)
    without = [] if required is None else [{name: inner for name, inner in value.items() if name != required}]
    return [*changed, *without]


def lossy(kind: ColumnType) -> tuple[Any, ...]:
    """Return numbers that the type can not hold: a fraction among whole numbers, one beyond its range."""
    return _LOSSY.get(kind, ()) if isinstance(kind, DataType) else ()


def tensor_of_another_kind(dtype: str) -> tuple[Any, ...]:
    """Return leaves that no tensor of *dtype* has."""
    if dtype.startswith("str"):
        return (5,)
    return (WORD, True) if _bounds(dtype) is not None else (WORD,)


def tensor_lossy(dtype: str) -> tuple[Any, ...]:
    """Return numbers that a tensor of *dtype* can not hold."""
    bounds = _bounds(dtype)
    if bounds is None or dtype == "float64":
        return ()
    if dtype.startswith("float"):
        return (1e300,)
    return (1.5, int(bounds[1]) + 1, int(bounds[0]) - 1)


def _bounds(dtype: str) -> tuple[float, float] | None:
    kind = np.dtype(dtype) if dtype.startswith(("int", "uint", "float")) else None
    if kind is None:
        return None
    info: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return info.min, info.max


def is_number(place: Column | Tensor) -> bool:
    """Return whether a column or tensor holds numbers."""
    if isinstance(place, Tensor):
        return _bounds(place.dtype) is not None
    return isinstance(place.type, DataType) and place.type in NUMBERS


def places(inputs: Schema | None) -> tuple[Column | Tensor, ...]:
    """Return the columns or tensors of an input signature."""
    match inputs:
        case ColumnSchema(columns=columns):
            return columns
        case TensorSchema(tensors=tensors):
            return tensors
        case None:
            return ()
        case _:
            assert_never(inputs)


def with_leaf(value: object, leaf: object) -> Any:
    """Return a nested list with its first leaf replaced; a tensor without any leaf gives `None`."""
    if not isinstance(value, list):
        return leaf
    if not value:
        return None
    first = with_leaf(value[0], leaf)
    return None if first is None else [first, *value[1:]]


def of_another_shape(value: object, shape: tuple[int, ...]) -> Any:
    """Return a row's tensor with an axis too long, or, where no axis is fixed, with one axis too many.

    Args:
        value: A valid one.
        shape: The row's declared shape, -1 for any length.
    """
    for depth, size in enumerate(shape):
        longer = _longer(value, depth) if size != -1 and math.prod(shape[:depth]) != 0 else None
        if longer is not None:
            return longer
    return [value]


def _longer(value: Any, depth: int) -> Any:
    if not isinstance(value, list) or not value:
        return None
    if depth == 0:
        return [*value, value[-1]]
    # Every row of it, so that the array stays one: a ragged one is another mistake.
    inner = [_longer(item, depth - 1) for item in value]
    return None if None in inner else inner
