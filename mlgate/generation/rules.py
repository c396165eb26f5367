"""Whether a rule of `properties.inputs` fits the column that it is for. Pure."""

from typing import TYPE_CHECKING, Any, assert_never

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Tensor,
    UnsupportedType,
    type_name,
)
from mlgate.errors import PolicyError
from mlgate.generation.datetimes import moment

if TYPE_CHECKING:
    from mlgate.policy_properties import InputRule

_NUMBER = ("min", "max", "step", "values")
_LENGTHS = ("min_length", "max_length")
_SCALARS: dict[DataType, tuple[str, ...]] = {
    DataType.BOOLEAN: ("values",),
    DataType.INTEGER: _NUMBER,
    DataType.LONG: _NUMBER,
    DataType.FLOAT: _NUMBER,
    DataType.DOUBLE: _NUMBER,
    DataType.STRING: ("values", "pattern", *_LENGTHS),
    DataType.BINARY: _LENGTHS,
    DataType.DATETIME: ("values", "after", "before"),
}
_VALUES: dict[DataType, tuple[type, ...]] = {
    DataType.BOOLEAN: (bool,),
    DataType.INTEGER: (int,),
    DataType.LONG: (int,),
    DataType.FLOAT: (int, float),
    DataType.DOUBLE: (int, float),
    DataType.STRING: (str,),
    DataType.DATETIME: (str,),
}
# MLflow's server converts a whole column before it asks whether it is optional, and these conversions know no null.
TAKES_NO_NULL = frozenset({DataType.INTEGER, DataType.LONG, DataType.BINARY})


def check_rule(key: str, kind: ColumnType, rule: "InputRule", *, required: bool) -> None:
    """Check that *rule* can be kept by a column of type *kind*.

    Raises:
        PolicyError: It can not; names the key.
    """
    place = f"properties.inputs.{key}"
    _check_fields(place, type_name(kind), rule, (*_fitting(kind), "nullable"))
    item = leaf(kind)
    _check_values(place, item, rule)
    if rule.nullable and required:
        raise PolicyError(f"{place}.nullable: the signature says that the column is required")
    if rule.nullable and kind in TAKES_NO_NULL:
        raise PolicyError(
            f"{place}.nullable: MLflow's server refuses null in a {kind} column",
            hint="leave the column out of the request, or log it as double",
        )


def check_tensor_rule(key: str, tensor: Tensor, element: DataType | None, rule: "InputRule") -> None:
    """Check that *rule* can be kept by a tensor whose elements are drawn as *element*; `None` for numbers.

    Raises:
        PolicyError: It can not; names the key.
    """
    place = f"properties.inputs.{key}"
    open_axes = _LENGTHS if -1 in tensor.shape[1:] else ()
    fields = _NUMBER if element is None else tuple(name for name in _SCALARS[element] if name not in _LENGTHS)
    _check_fields(place, f"{tensor.dtype} tensor of shape {tensor.shape}", rule, (*fields, *open_axes), noun="")
    _check_values(place, element or _number_type(tensor), rule)


def leaf(kind: ColumnType) -> ColumnType:
    """Return the type that values of a rule are of: an array's items, a map's values."""
    while isinstance(kind, (ArrayType, MapType)):
        kind = kind.items if isinstance(kind, ArrayType) else kind.values
    return kind


def _number_type(tensor: Tensor) -> DataType:
    return DataType.LONG if "int" in tensor.dtype else DataType.DOUBLE


def _fitting(kind: ColumnType) -> tuple[str, ...]:
    match kind:
        case DataType():
            return _SCALARS[kind]
        case ArrayType(inner) | MapType(inner):
            return tuple(dict.fromkeys((*_LENGTHS, *_fitting(inner))))
        case AnyType():
            return ("values",)
        case ObjectType() | UnsupportedType():
            return ()
        case _:
            assert_never(kind)


def _check_fields(place: str, kind: str, rule: "InputRule", fitting: tuple[str, ...], *, noun: str = " column") -> None:
    given = [name for name in type(rule).model_fields if getattr(rule, name) is not None]
    wrong = [name for name in given if name not in fitting]
    if wrong:
        raise PolicyError(
            f"{place}.{wrong[0]}: does not fit a {kind}{noun}", hint=f"keys that fit: {', '.join(fitting) or 'none'}"
        )


def _check_values(place: str, kind: ColumnType, rule: "InputRule") -> None:
    if not isinstance(kind, DataType):
        return
    for value in rule.values or ():
        if not _is_a(value, kind):
            raise PolicyError(f"{place}.values: {value!r} is no {kind}")


def _is_a(value: Any, kind: DataType) -> bool:
    if not isinstance(value, _VALUES[kind]) or (isinstance(value, bool) and kind is not DataType.BOOLEAN):
        return False
    return kind is not DataType.DATETIME or moment(value) is not None
