"""Whether what was a valid request for one model is valid for another: a relation over signatures. Pure.

Inputs and params may widen and never narrow; outputs stay the same. The table of rules is in `docs/schema.md`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

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
    Param,
    Schema,
    Signature,
    Tensor,
    TensorSchema,
    UnsupportedType,
    type_name,
)

# Each value of the first is a value of the second, without loss. Not integer to float: 24 bits do not hold 32. Long to
# double does: JSON carries whole numbers up to 2^53, and so does a double.
_WIDER = {
    (DataType.INTEGER, DataType.LONG),
    (DataType.INTEGER, DataType.DOUBLE),
    (DataType.LONG, DataType.DOUBLE),
    (DataType.FLOAT, DataType.DOUBLE),
}
# Inside of arrays, objects and maps MLflow converts no whole number to a double: [5] is no array of double (3.17.2).
_WIDER_INSIDE = {(DataType.INTEGER, DataType.LONG), (DataType.FLOAT, DataType.DOUBLE)}

Extra = Literal["ignore", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between two signatures.

    Attributes:
        place: Where: `inputs.age`, `outputs`, `params.limit`.
        text: What changed, from the old to the new.
        breaks: Whether something that was valid is not any more, or an answer is of another type.
    """

    place: str
    text: str
    breaks: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def differences(old: Signature, new: Signature, *, extra: Extra = "ignore") -> tuple[Difference, ...]:
    """Return how *new* differs from *old*, in the signature's order; the ones that break first.

    Args:
        old: Its inputs and outputs are declared.
        new: What has to accept every valid request of *old*.
        extra: What the server does with a column that its signature does not have: under `refuse`, a column that is
            gone makes every old request invalid.
    """
    found = [*_envelopes(old, new), *_inputs(old.inputs, new.inputs, extra), *_params(old.params, new.params)]
    found += _outputs(old.outputs, new.outputs)
    return tuple(sorted(found, key=lambda difference: not difference.breaks))


def accepts(new: ColumnType, old: ColumnType, *, inside: bool = False) -> bool:
    """Return whether every value of type *old* is one of type *new*.

    Args:
        new: The type that has to take them.
        old: Theirs.
        inside: They are parts of an array, an object or a map.
    """
    match new:
        case AnyType():
            return True
        case DataType():
            wider = _WIDER_INSIDE if inside else _WIDER
            return old == new or (isinstance(old, DataType) and (old, new) in wider)
        case ArrayType(items):
            return isinstance(old, ArrayType) and accepts(items, old.items, inside=True)
        case MapType(values):
            return _map_accepts(values, old)
        case ObjectType():
            return isinstance(old, ObjectType) and _object_accepts(new, old)
        case UnsupportedType():
            return old == new
        case _:
            assert_never(new)


def _map_accepts(values: ColumnType, old: ColumnType) -> bool:
    if isinstance(old, ObjectType):  # null may stand for an optional property, and is no value of a map
        return all(part.required and accepts(values, part.type, inside=True) for part in old.properties)
    return isinstance(old, MapType) and accepts(values, old.values, inside=True)


def _object_accepts(new: ObjectType, old: ObjectType) -> bool:
    known = {part.name: part for part in old.properties}
    parts = {part.name: part for part in new.properties}
    if not known.keys() <= parts.keys():  # MLflow refuses a property that the type does not have
        return False
    if any(part.required and name not in known for name, part in parts.items()):
        return False
    return all(
        accepts(parts[name].type, part.type, inside=True) and (part.required or not parts[name].required)
        for name, part in known.items()
    )


def _envelopes(old: Signature, new: Signature) -> Iterator[Difference]:
    if new.from_type_hint and not old.from_type_hint:
        text = "written from type hints now: only the key 'inputs' is accepted"
        yield Difference(place="inputs", text=text, breaks=True)


def _inputs(old: Schema | None, new: Schema | None, extra: Extra) -> Iterator[Difference]:
    match old, new:
        case ColumnSchema(columns=before), ColumnSchema(columns=after):
            yield from _columns(before, after, extra)
        case TensorSchema(tensors=first), TensorSchema(tensors=second):
            yield from _tensors(first, second, extra)
        case _ if old != new:
            yield Difference(place="inputs", text=f"{_kind(old)}, now {_kind(new)}", breaks=True)


def _columns(old: Sequence[Column], new: Sequence[Column], extra: Extra) -> Iterator[Difference]:
    if (old[0].name is None) != (new[0].name is None):
        named = "without names, now with" if old[0].name is None else "with names, now without"
        yield Difference(place="inputs", text=f"columns {named}", breaks=True)
        return
    before, after = _labelled(old), _labelled(new)
    for label, column in before.items():
        if label in after:
            yield from _column(f"inputs.{label}", column, after[label])
        else:
            yield _gone(f"inputs.{label}", extra)
    for label, column in after.items():
        if label not in before:
            # Without names MLflow counts: even one that may be null has to be there.
            needed = column.required or column.name is None
            text = f"new, {type_name(column.type)}, {'required' if needed else 'optional'}"
            yield Difference(place=f"inputs.{label}", text=text, breaks=needed)


def _labelled(columns: Sequence[Column]) -> dict[Any, Column]:
    # 0 and "0" are two labels: MLflow compares without converting.
    return {place if column.label is None else column.label: column for place, column in enumerate(columns)}


def _gone(place: str, extra: Extra) -> Difference:
    what = "ignored" if extra == "ignore" else "refused"
    return Difference(place=place, text=f"gone: requests that hold it are {what}", breaks=extra == "refuse")


def _column(place: str, old: Column, new: Column) -> Iterator[Difference]:
    if old.type != new.type:
        text = f"{spelled(old.type)}, now {spelled(new.type)}"
        yield Difference(place=place, text=text, breaks=not accepts(new.type, old.type))
    if old.required != new.required:
        text = "required, now optional" if old.required else "optional, now required"
        yield Difference(place=place, text=text, breaks=new.required)


def _tensors(old: Sequence[Tensor], new: Sequence[Tensor], extra: Extra) -> Iterator[Difference]:
    before, after = ({tensor.name: tensor for tensor in tensors} for tensors in (old, new))
    if (None in before) != (None in after):
        yield Difference(place="inputs", text="a tensor with a name against one without", breaks=True)
        return
    for name, tensor in before.items():
        if name not in after:
            yield _gone(_tensor_place(name), extra)
        elif tensor != after[name]:
            breaks = not _tensor_accepts(after[name], tensor)
            yield Difference(
                place=_tensor_place(name), text=f"{_show(tensor)}, now {_show(after[name])}", breaks=breaks
            )
    for name in [name for name in after if name not in before]:
        yield Difference(place=_tensor_place(name), text="new, and no tensor is optional", breaks=True)


def _tensor_place(name: str | None) -> str:
    return "inputs" if name is None else f"inputs.{name}"


def _tensor_accepts(new: Tensor, old: Tensor) -> bool:
    if len(new.shape) != len(old.shape):
        return False
    sizes = zip(new.shape, old.shape, strict=True)
    return _dtype_accepts(new.dtype, old.dtype) and all(size in {-1, before} for size, before in sizes)


def _dtype_accepts(new: str, old: str) -> bool:
    if new == old:
        return True
    try:
        kinds = np.dtype(new).kind, np.dtype(old).kind
        # Numbers among each other only: true is no 1, and a word no number.
        return all(kind in "iuf" for kind in kinds) and np.can_cast(old, new, "safe")
    except TypeError:
        return False


def _params(old: Sequence[Param], new: Sequence[Param]) -> Iterator[Difference]:
    before, after = ({param.name: param for param in params} for params in (old, new))
    for name, param in before.items():
        place = f"params.{name}"
        if name not in after:
            # Unlike a column that a model no longer needs: who sends a param asks for something, and is not told.
            yield Difference(place=place, text="gone: MLflow ignores it without a word", breaks=True)
            continue
        now = after[name]
        if param.shape != now.shape:
            yield Difference(place=place, text=f"shape {_shape(param.shape)}, now {_shape(now.shape)}", breaks=True)
        if param.type != now.type:
            text = f"{spelled(param.type)}, now {spelled(now.type)}"
            yield Difference(place=place, text=text, breaks=not accepts(now.type, param.type))
        if not _same_value(param.default, now.default):
            text = f"default {json.dumps(param.default)}, now {json.dumps(now.default)}"
            yield Difference(place=place, text=text, breaks=False)
    for name in [name for name in after if name not in before]:
        yield Difference(place=f"params.{name}", text="new, with a default", breaks=False)


def _same_value(first: object, second: object) -> bool:
    # True == 1 to Python; to a caller they are two values.
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def _outputs(old: Schema | None, new: Schema | None) -> Iterator[Difference]:
    """Yield what a caller that reads answers would notice: everything but the order of names."""
    match old, new:
        case ColumnSchema(columns=before), ColumnSchema(columns=after):
            first, second = _named(before), _named(after)
            for name in dict.fromkeys((*first, *second)):
                if first.get(name) != second.get(name):
                    text = f"{first.get(name, 'nothing')}, now {second.get(name, 'nothing')}"
                    yield Difference(place=f"outputs.{name}", text=text, breaks=True)
        case TensorSchema(tensors=first_ones), TensorSchema(tensors=second_ones):
            tensors = [{tensor.name: tensor for tensor in side} for side in (first_ones, second_ones)]
            if tensors[0] != tensors[1]:
                shown = [", ".join(map(_show, side.values())) for side in tensors]
                yield Difference(place="outputs", text=f"{shown[0]}, now {shown[1]}", breaks=True)
        case _ if old != new:
            yield Difference(place="outputs", text=f"{_kind(old)}, now {_kind(new)}", breaks=True)


def _named(columns: Sequence[Column]) -> dict[Any, str]:
    # By name and not by label: an answer's JSON has text for either.
    spelling = (f"{spelled(column.type)}{'' if column.required else ', optional'}" for column in columns)
    names = (place if column.name is None else column.name for place, column in enumerate(columns))
    return dict(zip(names, spelling, strict=True))


def spelled(kind: ColumnType) -> str:
    """Return a type with what is inside of it: `array of long`, `object {a: long, b: string?}`."""
    match kind:
        case ArrayType(items):
            return f"array of {spelled(items)}"
        case MapType(values):
            return f"map of {spelled(values)}"
        case ObjectType(properties):
            parts = (f"{part.name}: {spelled(part.type)}{'' if part.required else '?'}" for part in properties)
            return f"object {{{', '.join(parts)}}}"
        case _:
            return type_name(kind)


def _kind(schema: Schema | None) -> str:
    match schema:
        case ColumnSchema():
            return "columns"
        case TensorSchema():
            return "tensors"
        case None:
            return "not declared"
        case _:
            assert_never(schema)


def _show(tensor: Tensor) -> str:
    return f"{'' if tensor.name is None else f'{tensor.name} '}{tensor.dtype}{list(tensor.shape)}"


def _shape(shape: tuple[int, ...] | None) -> str:
    return "of one value" if shape is None else str(list(shape))
