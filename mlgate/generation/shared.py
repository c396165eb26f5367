"""What two domains have in common. Pure."""

from dataclasses import replace

from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.datetimes import DatetimeDomain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.number import NumberDomain
from mlgate.generation.text import BytesDomain, TextDomain


def shared_domain(first: ValueDomain, second: ValueDomain) -> ValueDomain | None:
    """Return the values that are valid in both, or `None` where there are none, or where they can not be told.

    Args:
        first: Its name is kept.
        second: Of a column of the same type.
    """
    found = _shared(first, second)
    return None if found is None else replace(found, name=first.name, nullable=first.nullable and second.nullable)


def _shared(first: ValueDomain, second: ValueDomain) -> ValueDomain | None:
    if isinstance(second, ChoiceDomain) and not isinstance(first, ChoiceDomain):
        first, second = second, first
    if isinstance(first, ChoiceDomain):
        return _listed(first, second)
    if isinstance(first, NumberDomain) and isinstance(second, NumberDomain):
        return _numbers(first, second)
    if isinstance(first, DatetimeDomain) and isinstance(second, DatetimeDomain):
        alike = (first.grid, first.unit) == (second.grid, second.unit)
        return first.narrowed(second.low, second.high) if alike else None
    if (isinstance(first, TextDomain) and isinstance(second, TextDomain)) or (
        isinstance(first, BytesDomain) and isinstance(second, BytesDomain)
    ):
        return _lengths(first, second)
    blank = replace(first, name=None, nullable=False, default=None)
    return first if blank == replace(second, name=None, nullable=False, default=None) else None


def _listed(first: ChoiceDomain, second: ValueDomain) -> ChoiceDomain | None:
    kept = [place for place, value in enumerate(first.values) if second.valid(value)]
    if not kept:
        return None
    values = tuple(first.values[place] for place in kept)
    ranks = None if first.ranks is None else tuple(first.ranks[place] for place in kept)
    return replace(first, values=values, ranks=ranks, default=values[0])


def _numbers(first: NumberDomain, second: NumberDomain) -> NumberDomain | None:
    if first.dtype != second.dtype or (
        None not in (first.step, second.step) and ((first.step, first.base) != (second.step, second.base))
    ):
        return None
    if first.step is None:
        first, second = second, first
    return first.narrowed(second.low, second.high)


def _lengths(first: TextDomain | BytesDomain, second: TextDomain | BytesDomain) -> ValueDomain | None:
    low, high = max(first.shortest, second.shortest), min(first.longest, second.longest)
    if low > high:
        return None
    found = replace(first, shortest=low, longest=high)
    if isinstance(found, TextDomain) and isinstance(second, TextDomain):
        found = replace(found, plain=found.plain or second.plain)
    edges = [first.default, second.default, *found.edges]
    return replace(found, default=next(value for value in edges if found.valid(value)))
