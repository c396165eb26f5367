"""JSON values: numbers that survive a round trip, and dataclasses whose fields are held to their types. Pure."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

# RFC 8785 numbers are IEEE doubles: an integer from here on would come back as another one.
MAX_INTEGER = 2**53 - 1


def finite(value: float | None) -> float | None:
    """Return *value* as a float, `None` where it is none that JSON can carry."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:  # an integer beyond 1.8e308
        return None
    return number if math.isfinite(number) else None


def jsonable(value: object) -> Any:
    """Return *value* as JSON that RFC 8785 can carry, whatever a model or a fuzzer put in it.

    Non-finite numbers and integers beyond 2^53 become text, lone surrogates are escaped, keys become text.
    """
    match value:
        case None | bool():
            return value
        case str():
            return str(value).encode("utf-8", "backslashreplace").decode()
        case int():
            return int(value) if abs(value) <= MAX_INTEGER else str(int(value))
        case float():
            return float(value) if math.isfinite(value) else str(float(value))
        case bytes():
            return value.hex()
        case Mapping():
            return {jsonable(str(key)): jsonable(inner) for key, inner in value.items()}
        case list() | tuple():
            return [jsonable(inner) for inner in value]
        case set() | frozenset():  # in an order that does not change from process to process
            return sorted((jsonable(inner) for inner in value), key=repr)
        case _ if hasattr(value, "tolist"):  # numpy scalars and arrays
            return jsonable(value.tolist())
        case _:
            return jsonable(str(value))


def read_number(text: str) -> float:
    """Read a JSON number back as what was written: RFC 8785 prints the double 1e17 without an exponent.

    Raises:
        ValueError: More than a double holds, or a token that JSON does not have.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return int(text) if abs(number) <= MAX_INTEGER and text.removeprefix("-").isdigit() else number


def typed(kind: Any, value: object, place: str) -> Any:
    """Return *value*, a JSON value, as *kind*.

    Every field of a dataclass must be there and none besides: a key that nobody reads could hide what it says.

    Args:
        kind: A dataclass, `str`, `int`, `float`, `bool`, an enum, `tuple`, `Mapping`, `X | None` of these, or `Any`.
        value: What `json.loads` returned.
        place: Where it stands, for the message.

    Raises:
        ValueError: Not of that kind; names the place.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:
        return None if value is None else typed(next(part for part in inner if part is not NoneType), value, place)
    if origin is tuple:
        return _tuple(inner, value, place)
    if origin is Mapping:
        return {key: typed(inner[1], part, f"{place}.{key}") for key, part in _object(value, place).items()}
    if is_dataclass(kind):
        return _dataclass(kind, value, place)
    if issubclass(kind, Enum):
        return kind(value)
    # Canonical JSON prints 2.0 as 2, so a whole number may stand for a float.
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{place} is no {kind.__name__}")
    return value


def _tuple(inner: tuple[Any, ...], value: object, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or (inner[-1] is not Ellipsis and len(value) != len(inner)):
        raise ValueError(f"{place} is no list of {'any length' if inner[-1] is Ellipsis else len(inner)}")
    return tuple(typed(inner[0], part, f"{place}[{index}]") for index, part in enumerate(value))


def _dataclass(kind: Any, value: object, place: str) -> Any:
    found, hints = _object(value, place), get_type_hints(kind)
    wrong = found.keys() ^ {item.name for item in fields(kind)}
    if wrong:
        raise ValueError(f"{place} lacks, or has no place for, {', '.join(sorted(wrong))}")
    return kind(**{name: typed(hints[name], part, f"{place}.{name}") for name, part in found.items()})


def _object(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{place} is no object")  # noqa: TRY004  (one error type for whoever reads a file)
    return value
