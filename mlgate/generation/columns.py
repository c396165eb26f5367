"""From a column's type, its rule and known values to its domain. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, assert_never

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Property,
    UnsupportedType,
)
from mlgate.errors import PolicyError
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.datetimes import datetime_domain, every_time, moment
from mlgate.generation.domain import ValueDomain, distinct
from mlgate.generation.interface import Unsupported
from mlgate.generation.nested import KEYS, AnyDomain, ArrayDomain, MapDomain, ObjectDomain
from mlgate.generation.number import every_number, number_domain
from mlgate.generation.pattern import PatternDomain, matching
from mlgate.generation.text import BytesDomain, TextDomain

if TYPE_CHECKING:
    from mlgate.policy_properties import InputRule

NUMBERS = frozenset({DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE})
# Categories beyond these are free text that was seen: a sample of it is as good.
MOST_CATEGORIES = 1000
_MOST_SEEN = 20_000  # items of known arrays that are looked at
_DEEPEST = 40  # a signature is the model's: it may nest as deep as its author likes
_LENGTHS = (4, 3, 2, 1)  # longest array or map where nothing is known, by depth: what nests stays small


def column_domain(
    name: str | int | None,
    kind: ColumnType,
    *,
    rule: "InputRule | None" = None,
    seen: Sequence[Any] = (),
    nullable: bool = False,
    depth: int = 0,
) -> ValueDomain:
    """Return what is valid in a column: its rule first, else what known rows show, else what its type can say.

    Args:
        name: Label, or a dotted path for what is nested.
        kind: Its type.
        rule: Of `properties.inputs`; checked already (`check_rule`).
        seen: Values of known rows, without nulls; the first is the default where it is valid.
        nullable: Whether null is valid.
        depth: How deep it is nested.

    Raises:
        Unsupported: A type that MLflow names and mlgate does not know, or too deep a nest.
        PolicyError: No value meets the rule.
    """
    if depth > _DEEPEST:
        raise Unsupported(f"column '{str(name)[:60]}' nests deeper than {_DEEPEST} levels")
    domain = _domain(name, kind, rule, seen, depth)
    return replace(domain, nullable=True) if nullable else domain


def _domain(
    name: str | int | None, kind: ColumnType, rule: "InputRule | None", seen: Sequence[Any], depth: int
) -> ValueDomain:
    match kind:
        case DataType():
            return scalar_domain(name, kind, rule, seen)
        case ArrayType(items):
            return _array(name, items, rule, seen, depth)
        case MapType(values):
            return _map(name, values, rule, seen, depth)
        case ObjectType(properties):
            return _object(name, properties, seen, depth)
        case AnyType():
            return _anything(name, rule, seen)
        case UnsupportedType():
            raise Unsupported(f"column '{name}' has type {kind.name}, which mlgate does not know")
        case _:
            assert_never(kind)


def scalar_domain(name: str | int | None, kind: DataType, rule: "InputRule | None", seen: Sequence[Any]) -> ValueDomain:
    """Return the domain of a scalar type; arguments and errors as for `column_domain`."""
    listed = rule.values if rule is not None else None
    if kind in NUMBERS:
        return number_or_choice(name, kind, rule, seen)
    if kind is DataType.DATETIME:
        return _datetime(name, rule, seen)
    if listed is not None:
        return choice(name, listed, seen, declared=True)
    if kind is DataType.BOOLEAN:
        return choice(name, (False, True), [value for value in seen if isinstance(value, bool)])
    if kind is DataType.BINARY:
        low, high = _lengths(rule, [], (0, BytesDomain(name=name).longest))
        domain: ValueDomain = BytesDomain(name=name, shortest=low, longest=high)
        return _with_default(domain, [*seen[:1], "YQ==", *domain.edges])
    return _text(name, rule, seen)


def choice(
    name: str | int | None,
    values: Sequence[Any],
    seen: Sequence[Any],
    *,
    declared: bool = False,
    kind: ValueDomain | None = None,
) -> ChoiceDomain:
    """Return the domain of listed *values*; the first seen one that is listed is the default, else the first listed.

    Args:
        name: The column's.
        values: At least one.
        seen: Values of known rows.
        declared: The policy lists them.
        kind: Everything of their type, which says how a value is spelled.
    """
    spelled = [value if kind is None else kind.spelled(value) for value in values]
    domain = ChoiceDomain(name=name, values=tuple(distinct(spelled)), declared=declared, default=spelled[0], kind=kind)
    known = [value for value in map(domain.spelled, seen[:1]) if domain.valid(value)]
    return replace(domain, default=known[0]) if known else domain


def number_or_choice(
    name: str | int | None, kind: DataType | str, rule: "InputRule | None", seen: Sequence[Any]
) -> ValueDomain:
    """Return the domain of numbers of a column type or a tensor's dtype: a range, or the declared values.

    Raises:
        PolicyError: No number of that type meets the rule.
    """
    if rule is not None and rule.values is not None:
        return _listed_numbers(name, kind, rule.values, seen)
    low, high, step = (None, None, None) if rule is None else (rule.min, rule.max, rule.step)
    whole = every_number(name, kind).whole
    if whole and step is not None and not (step.is_integer() and float(low or 0).is_integer()):
        raise PolicyError(f"properties.inputs.{name}.step: step and min of a {kind} must be whole")
    number = number_domain(name, kind, low=low, high=high, step=step, seen=seen)
    if number is None:
        raise PolicyError(f"properties.inputs.{name}: no {kind} lies between min and max{' on a step' if step else ''}")
    return number


def _listed_numbers(
    name: str | int | None, kind: DataType | str, values: Sequence[Any], seen: Sequence[Any]
) -> ChoiceDomain:
    everything = every_number(name, kind)
    domain = choice(name, values, seen, declared=True, kind=everything)
    bad = [value for value in domain.values if not everything.valid(value)]
    if bad:
        raise PolicyError(f"properties.inputs.{name}.values: {bad[0]!r} is beyond what a {kind} holds")
    return replace(domain, ranks=tuple(map(float, domain.values)))


def _datetime(name: str | int | None, rule: "InputRule | None", seen: Sequence[Any]) -> ValueDomain:
    if rule is not None and rule.values is not None:
        everything = every_time(name, filter(None, map(moment, rule.values)))
        domain = choice(name, rule.values, seen, declared=True, kind=everything)
        bad = [value for value in domain.values if not everything.valid(value)]
        if bad:
            raise PolicyError(f"properties.inputs.{name}.values: {bad[0]} is beyond what MLflow takes (1677 to 2262)")
        return replace(domain, ranks=tuple(everything.numbers(domain.values).tolist()))
    after, before = (None, None) if rule is None else (rule.after, rule.before)
    found = datetime_domain(name, after=after, before=before, seen=seen)
    if found is None:
        raise PolicyError(
            f"properties.inputs.{name}: no time lies between after and before (MLflow takes 1677 to 2262)"
        )
    return found


def _text(name: str | int | None, rule: "InputRule | None", seen: Sequence[Any]) -> ValueDomain:
    words = [value for value in seen if isinstance(value, str)]
    if rule is not None and rule.pattern is not None:
        try:
            pool = matching(rule.pattern)
        except ValueError as error:
            raise PolicyError(f"properties.inputs.{name}.pattern: {error}") from error
        domain: ValueDomain = PatternDomain(name=name, pattern=rule.pattern, pool=pool, default=pool[0])
        return _with_default(domain, [*words[:1], pool[0]])
    if rule is not None and (rule.min_length, rule.max_length) != (None, None):
        low, high = _lengths(rule, [], (0, TextDomain(name=name).longest))
        return _with_default(
            TextDomain(name=name, shortest=low, longest=high), [*words[:1], "a", "a" * low, "a" * high]
        )
    found = [word for word in distinct(words) if TextDomain(name=name, longest=len(word)).valid(word)]
    if found:  # unknown words are as invalid to an encoder as unknown columns: only a rule may widen this
        return choice(name, found[:MOST_CATEGORIES], words)
    return TextDomain(name=name)


def _array(
    name: str | int | None, items: ColumnType, rule: "InputRule | None", seen: Sequence[Any], depth: int
) -> ValueDomain:
    known = [value for value in seen if isinstance(value, list)]
    low, high = _lengths(rule, [len(value) for value in known], (0, _LENGTHS[min(depth, len(_LENGTHS) - 1)]))
    inner = [item for item in islice((item for value in known for item in value), _MOST_SEEN) if item is not None]
    item = column_domain(f"{name}[]", items, rule=_inner_rule(rule), seen=inner, depth=depth + 1)
    domain = ArrayDomain(name=name, items=item, shortest=low, longest=high)
    return _with_default(domain, [*known[:1], [item.default] * max(low, min(2, high))])


def _map(
    name: str | int | None, values: ColumnType, rule: "InputRule | None", seen: Sequence[Any], depth: int
) -> ValueDomain:
    known = [value for value in seen if isinstance(value, dict)]
    low, high = _lengths(rule, [len(value) for value in known], (0, _LENGTHS[min(depth, len(_LENGTHS) - 1)]))
    inner = [item for value in known for item in value.values() if item is not None][:_MOST_SEEN]
    value = column_domain(f"{name}{{}}", values, rule=_inner_rule(rule), seen=inner, depth=depth + 1)
    keys = list(dict.fromkeys([*(key for one in known for key in one if isinstance(key, str))]))[
        :MOST_CATEGORIES
    ] or list(KEYS)
    keys += [f"key{place}" for place in range(high - len(keys))]
    domain = MapDomain(name=name, values=value, keys=tuple(keys), shortest=low, longest=high)
    return _with_default(domain, [*known[:1], dict.fromkeys(keys[: max(low, min(1, high))], value.default)])


def _object(name: str | int | None, properties: Sequence[Property], seen: Sequence[Any], depth: int) -> ValueDomain:
    known = [value for value in seen if isinstance(value, dict)]
    inner = {
        part.name: column_domain(
            f"{name}.{part.name}",
            part.type,
            seen=[value[part.name] for value in known if value.get(part.name) is not None],
            nullable=not part.required,
            depth=depth + 1,
        )
        for part in properties
    }
    required = frozenset(part.name for part in properties if part.required)
    domain = ObjectDomain(name=name, properties=inner, required=required)
    return _with_default(domain, [*known[:1], {key: value.default for key, value in inner.items()}])


def _anything(name: str | int | None, rule: "InputRule | None", seen: Sequence[Any]) -> ValueDomain:
    if rule is not None and rule.values is not None:
        return choice(name, rule.values, seen, declared=True)
    if seen:  # a column that may hold anything, and holds messages: other JSON is no message
        return choice(name, distinct(seen)[:MOST_CATEGORIES], seen)
    numbers = (number_or_choice(name, kind, None, ()) for kind in (DataType.DOUBLE, DataType.LONG))
    plain: list[ValueDomain] = [TextDomain(name=name), choice(name, (False, True), ()), *numbers]
    lists = [ArrayDomain(name=name, items=kind, shortest=0, longest=2, default=[]) for kind in plain]
    maps = [
        MapDomain(name=name, values=kind, keys=KEYS, shortest=0, longest=2, default={}) for kind in (*plain, *lists)
    ]
    return AnyDomain(name=name, kinds=(*plain, *lists, *maps), default="a")


def _lengths(rule: "InputRule | None", seen: Sequence[int], unknown: tuple[int, int]) -> tuple[int, int]:
    low, high = unknown
    if seen:
        width = max(seen) - min(seen)
        low, high = max(min(seen) - width, min(*seen, 1)), max(seen) + width
    least, most = (None, None) if rule is None else (rule.min_length, rule.max_length)
    span = high - low
    if least is not None:
        low, high = least, max(high, least + (span if most is None else 0))
    if most is not None:
        low, high = min(low, most), most
    return low, high


def _inner_rule(rule: "InputRule | None") -> "InputRule | None":
    return None if rule is None else rule.model_copy(update={"min_length": None, "max_length": None, "nullable": None})


def _with_default(domain: ValueDomain, candidates: Sequence[Any]) -> ValueDomain:

    spelled = (domain.spelled(value) for value in candidates)
    return replace(domain, default=next((value for value in spelled if domain.valid(value)), domain.default))
