"""MLflow's signature as our own types, read from the `MLmodel` file without importing mlflow. Pure.

The JSON is what `mlflow.types.schema` writes (3.17); older spellings that it still reads are read too.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, assert_never

from mlgate.errors import ModelDirectoryError


class DataType(StrEnum):
    """Scalar column types. `integer` is int32, `long` int64, `float` float32, `double` float64."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """A list whose items are all of one type."""

    items: "ColumnType"


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an object."""

    name: str
    type: "ColumnType"
    required: bool


@dataclass(frozen=True, slots=True)
class ObjectType:
    """An object with named properties."""

    properties: tuple[Property, ...]


@dataclass(frozen=True, slots=True)
class MapType:
    """An object with any keys, and values of one type."""

    values: "ColumnType"


@dataclass(frozen=True, slots=True)
class AnyType:
    """Anything JSON can say."""


@dataclass(frozen=True, slots=True)
class UnsupportedType:
    """A type that MLflow names and mlgate does not know, such as `sparkml_vector`."""

    name: str


ColumnType = DataType | ArrayType | ObjectType | MapType | AnyType | UnsupportedType


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: `None` where the columns of a schema are told apart by position.
        type: Its type.
        required: Whether a request must hold it.
        integer_name: The frame had integer labels, and MLflow compares without converting: see *label*.
    """

    name: str | None
    type: ColumnType
    required: bool
    integer_name: bool = False

    @property
    def label(self) -> str | int | None:
        """The name as a request must spell it: `0` and not `"0"` for an integer label."""
        return int(self.name) if self.name is not None and self.integer_name else self.name


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: numpy's name of the type, and the shape with -1 for any length."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """At least one column; all of them named, or none."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """One tensor, or several named ones."""

    tensors: tuple[Tensor, ...]


Schema = ColumnSchema | TensorSchema


@dataclass(frozen=True, slots=True)
class Param:
    """An inference parameter; *shape* is `None` for one value and `(-1,)` for a list of them."""

    name: str
    type: DataType | ObjectType
    default: Any
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model says about its inputs and outputs.

    Attributes:
        inputs: `None` where none are declared: then MLflow checks nothing.
        outputs: `None` where none are declared.
        params: Inference parameters.
        from_type_hint: Written from Python type hints: such a model accepts the `inputs` key only.
    """

    inputs: Schema | None
    outputs: Schema | None
    params: tuple[Param, ...] = ()
    from_type_hint: bool = False


# numpy's names of what JSON can carry to the scoring server.
_TENSOR_DTYPE = re.compile(
    r"u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|bool|str|bytes|object|datetime64(\[\w+\])?|[<|>]?[US]\d*"
)
_SCALARS = frozenset(str(scalar) for scalar in DataType)


def parse_signature(raw: Mapping[str, Any]) -> Signature:
    """Read the signature out of the values of an `MLmodel` file; no signature there gives an empty one.

    Raises:
        ModelDirectoryError: Malformed; the message names the place.
    """
    section = raw.get("signature")
    if section is None:
        return Signature(inputs=None, outputs=None)
    if not isinstance(section, Mapping):
        raise _malformed("signature", "is not a mapping")
    try:
        return Signature(
            inputs=_schema(section.get("inputs"), "signature.inputs"),
            outputs=_schema(section.get("outputs"), "signature.outputs"),
            params=_params(section.get("params"), "signature.params"),
            from_type_hint=raw.get("is_signature_from_type_hint") is True,
        )
    except RecursionError as error:
        raise _malformed("signature", "nests too deep") from error


def unsupported(signature: Signature) -> tuple[str, ...]:
    """Return the input types that no values can be generated for, named with their column, in order."""
    return tuple(dict.fromkeys(_unsupported(signature)))


def _unsupported(signature: Signature) -> Iterator[str]:
    match signature.inputs:
        case ColumnSchema(columns):
            for index, column in enumerate(columns):
                for name in _unknown(column.type):
                    yield f"{column.name if column.name is not None else index}: {name}"
        case TensorSchema(tensors):
            for index, tensor in enumerate(tensors):
                if not _TENSOR_DTYPE.fullmatch(tensor.dtype):
                    yield f"{tensor.name if tensor.name is not None else index}: tensor of {tensor.dtype}"
        case None:
            pass
    for param in signature.params:
        for name in _unknown(param.type):
            yield f"params.{param.name}: {name}"


def _unknown(kind: ColumnType) -> Iterator[str]:
    match kind:
        case UnsupportedType(name):
            yield name
        case ArrayType(inner) | MapType(inner):
            yield from _unknown(inner)
        case ObjectType(properties):
            for part in properties:
                yield from _unknown(part.type)
        case DataType() | AnyType():
            pass
        case _:
            assert_never(kind)


def type_name(column_type: ColumnType) -> str:
    """Return the name MLflow has for a type: `long`, `array`, `sparkml_vector`."""
    match column_type:
        case DataType():
            return str(column_type)
        case ArrayType():
            return "array"
        case ObjectType():
            return "object"
        case MapType():
            return "map"
        case AnyType():
            return "any"
        case UnsupportedType(name):
            return name
        case _:
            assert_never(column_type)


def _schema(raw: Any, place: str) -> Schema | None:
    entries = _json_list(raw, place)
    if not entries:
        return None
    specs = [_mapping(entry, f"{place}[{index}]") for index, entry in enumerate(entries)]
    tensors = [spec.get("type") == "tensor" for spec in specs]
    if any(tensors) and not all(tensors):
        raise _malformed(place, "mixes tensors and columns")
    schema: Schema
    if all(tensors):
        schema = TensorSchema(tuple(_tensor(spec, f"{place}[{index}]") for index, spec in enumerate(specs)))
        names = [tensor.name for tensor in schema.tensors]
        if len(names) > 1 and None in names:
            raise _malformed(place, "has several tensors, and not all are named")
    else:
        schema = ColumnSchema(tuple(_column(spec, f"{place}[{index}]") for index, spec in enumerate(specs)))
        names = [column.name for column in schema.columns]
        if None in names and set(names) != {None}:
            raise _malformed(place, "mixes named and unnamed columns")
    named = [name for name in names if name is not None]
    if len(set(named)) != len(named):
        raise _malformed(place, "names a column twice")
    return schema


def _column(spec: Mapping[str, Any], place: str) -> Column:
    # MLflow writes `required: null` for nothing it knows of, and reads a missing one as true.
    return Column(_name(spec, place), _type(spec, place), _required(spec, place), isinstance(spec.get("name"), int))


def _tensor(spec: Mapping[str, Any], place: str) -> Tensor:
    info = _mapping(spec.get("tensor-spec"), f"{place}.tensor-spec")
    dtype = info.get("dtype")
    if not isinstance(dtype, str) or not dtype:
        raise _malformed(f"{place}.tensor-spec.dtype", "is not text")
    return Tensor(_name(spec, place), dtype, _shape(info.get("shape"), f"{place}.tensor-spec.shape"))


def _type(spec: Mapping[str, Any], place: str) -> ColumnType:
    name = spec.get("type", spec.get("dtype"))
    if not isinstance(name, str):
        raise _malformed(f"{place}.type", "is missing")
    match name:
        case "array":
            return ArrayType(_type(_mapping(spec.get("items"), f"{place}.items"), f"{place}.items"))
        case "map":
            return MapType(_type(_mapping(spec.get("values"), f"{place}.values"), f"{place}.values"))
        case "object":
            return _object(spec, place)
        case "any":
            return AnyType()
        case _ if name in _SCALARS:
            return DataType(name)
        case _:
            return UnsupportedType(name)


def _object(spec: Mapping[str, Any], place: str) -> ObjectType:
    properties = _mapping(spec.get("properties"), f"{place}.properties")
    if not properties:
        raise _malformed(f"{place}.properties", "is empty")
    found = []
    for name, raw in properties.items():
        inner = f"{place}.properties.{name}"
        body = _mapping(raw, inner)
        found.append(Property(name, _type(body, inner), _required(body, inner)))
    return ObjectType(tuple(found))


def _params(raw: Any, place: str) -> tuple[Param, ...]:
    return tuple(
        _param(_mapping(entry, f"{place}[{index}]"), f"{place}[{index}]")
        for index, entry in enumerate(_json_list(raw, place))
    )


def _param(spec: Mapping[str, Any], place: str) -> Param:
    name = _name(spec, place)
    if name is None:
        raise _malformed(f"{place}.name", "is missing")
    param_type = _type(spec, place)
    if not isinstance(param_type, DataType | ObjectType):
        raise _malformed(f"{place}.type", f"is '{type_name(param_type)}', no parameter type")
    shape = spec.get("shape")
    return Param(name, param_type, spec.get("default"), None if shape is None else _shape(shape, f"{place}.shape"))


def _json_list(raw: Any, place: str) -> list[Any]:
    if raw is None or raw == "":
        return []
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError as error:
            raise _malformed(place, f"is not JSON ({error})") from error
    if not isinstance(raw, list):
        raise _malformed(place, "is not a list")
    return raw


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _malformed(place, "is not a mapping")
    return value


def _name(spec: Mapping[str, Any], place: str) -> str | None:
    name = spec.get("name")
    if name is not None and not isinstance(name, str):
        # A frame with integer column labels: MLflow keeps the number.
        if isinstance(name, int) and not isinstance(name, bool):
            return str(name)
        raise _malformed(f"{place}.name", "is not text")
    return name


def _required(spec: Mapping[str, Any], place: str) -> bool:
    required = spec.get("required", not spec.get("optional", False))
    if required is None:
        return True
    if not isinstance(required, bool):
        raise _malformed(f"{place}.required", "is not true or false")
    return required


def _shape(raw: Any, place: str) -> tuple[int, ...]:
    if not isinstance(raw, list) or not all(isinstance(size, int) and not isinstance(size, bool) for size in raw):
        raise _malformed(place, "is not a list of integers")
    return tuple(raw)


def _malformed(place: str, what: str) -> ModelDirectoryError:
    return ModelDirectoryError(f"MLmodel: {place[:300]} {what}")
