"""Order between columns, kept by construction: domains are cut until every first value has a second. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeGuard

import numpy as np

from mlgate.errors import PolicyError
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.datetimes import DatetimeDomain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.number import NumberDomain, Numbers
from mlgate.generation.relation import Relation

Ordered = NumberDomain | DatetimeDomain | ChoiceDomain
_KEY = "properties.order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Relations between domains, by place.

    Attributes:
        relations: Place of the first, place of the second, whether equal values are refused; no circle.
    """

    relations: tuple[tuple[int, int, bool], ...] = ()

    def arranged(self, domains: Sequence[ValueDomain], columns: list[list[Any]]) -> None:
        """Raise values in *columns* (one list a domain) until every relation holds; null relates to nothing."""
        numbers = self._numbers(domains, columns)
        for place in self._upwards():
            domain, was = domains[place], numbers.get(place)
            if was is None or not _is_ordered(domain):
                continue
            floor = self._floor(place, numbers)
            low = np.flatnonzero(was < floor)
            if not len(low):
                continue
            now = domain.raised(was, floor)
            numbers[place] = now
            for row, value in zip(low.tolist(), domain.listed(now[low]), strict=True):
                columns[place][row] = value

    def kept(self, domains: Sequence[ValueDomain], columns: list[list[Any]]) -> bool:
        """Whether every relation holds in every row of *columns*, whose values are valid."""
        numbers = self._numbers(domains, columns)
        return not any(
            np.any(numbers[first] >= numbers[second]) if strict else np.any(numbers[first] > numbers[second])
            for first, second, strict in self.relations
        )

    def with_stand_ins(self, places: Mapping[int, Sequence[int]]) -> "Order":
        """Return the order in which further columns stand for others: what holds for a column holds for each of them."""
        more = dict.fromkeys(
            (one, other, strict)
            for first, second, strict in self.relations
            for one in (first, *places.get(first, ()))
            for other in (second, *places.get(second, ()))
        )
        return Order(relations=tuple(more))

    def _numbers(self, domains: Sequence[ValueDomain], columns: list[list[Any]]) -> dict[int, Numbers]:
        related = {place for first, second, _ in self.relations for place in (first, second)}
        found = {}
        for place in related:
            domain = domains[place]
            if _is_ordered(domain):
                found[place] = domain.numbers(columns[place])
        return found

    def _floor(self, place: int, numbers: Mapping[int, Numbers]) -> Numbers:
        floors = [
            np.nextafter(numbers[first], np.inf) if strict else numbers[first]
            for first, second, strict in self.relations
            if second == place
        ]
        empty: Numbers = np.full(len(numbers[place]), np.nan)
        for floor in floors:
            empty = np.fmax(empty, floor)  # of a number and NaN, the number
        return empty

    def _upwards(self) -> list[int]:
        graph: dict[int, set[int]] = {}
        for first, second, _ in self.relations:
            graph.setdefault(second, set()).add(first)
        return list(TopologicalSorter(graph).static_order())


def ordered(domains: Sequence[ValueDomain], relations: Iterable[Relation]) -> tuple[tuple[ValueDomain, ...], Order]:
    """Return *domains* cut to what the relations leave of them, and the order between them.

    Raises:
        PolicyError: A name that is no column, columns that have no order with each other, a circle, or no value left.
    """
    relations = tuple(relations)
    places = {str(domain.name): place for place, domain in enumerate(domains)}
    for relation in relations:
        _check_names(relation, places, domains)
    order = Order(
        relations=tuple((places[relation.first], places[relation.second], relation.strict) for relation in relations)
    )
    try:
        upwards = order._upwards()  # noqa: SLF001  (the same module's)
    except CycleError as error:
        circle = " <= ".join(str(domains[place].name) for place in error.args[1])
        raise PolicyError(f"{_KEY}: goes in a circle: {circle}") from error
    cut = _same_unit(domains, upwards)
    for place in upwards:
        for first, second, strict in order.relations:
            if second == place:
                _cut(cut, place, low=_end(cut, first, high=False), strict=strict, names=(first, second))
    for place in reversed(upwards):
        for first, second, strict in order.relations:
            if first == place:
                _cut(cut, place, high=_end(cut, second, high=True), strict=strict, names=(first, second))
    return _with_ordered_defaults(cut, order), order


def _check_names(relation: Relation, places: Mapping[str, int], domains: Sequence[ValueDomain]) -> None:
    for name in (relation.first, relation.second):
        if name not in places:
            have = ", ".join(list(places)[:20])
            raise PolicyError(f"{_KEY}: '{relation}' names '{name}', which is no input column", hint=f"columns: {have}")
    kinds = [_kind(domains[places[name]]) for name in (relation.first, relation.second)]
    if None in kinds or kinds[0] != kinds[1]:
        raise PolicyError(f"{_KEY}: '{relation}' needs two columns of numbers, or two of dates")


def _kind(domain: ValueDomain) -> str | None:
    if isinstance(domain, NumberDomain):
        return "numbers"
    if isinstance(domain, DatetimeDomain):
        return "dates"
    if isinstance(domain, ChoiceDomain) and domain.ranks is not None:
        return "dates" if isinstance(domain.kind, DatetimeDomain) else "numbers"
    return None


def _same_unit(domains: Sequence[ValueDomain], places: Iterable[int]) -> list[ValueDomain]:
    """Return *domains* with those at *places* in microseconds where one of them is."""
    related = set(places)
    kinds = [domain.kind if isinstance(domain, ChoiceDomain) else domain for domain in domains]
    fine = any(isinstance(kind, DatetimeDomain) and kind.unit == "us" for kind in map(kinds.__getitem__, related))
    return [_in_microseconds(domain) if fine and place in related else domain for place, domain in enumerate(domains)]


def _in_microseconds(domain: ValueDomain) -> ValueDomain:
    if isinstance(domain, DatetimeDomain):
        return domain.finer()
    if not isinstance(domain, ChoiceDomain) or not isinstance(domain.kind, DatetimeDomain):
        return domain
    kind = domain.kind.finer()
    values = tuple(map(kind.spelled, domain.values))
    ranks = tuple(kind.numbers(values).tolist())
    return replace(domain, kind=kind, values=values, ranks=ranks, default=kind.spelled(domain.default))


def _is_ordered(domain: ValueDomain) -> TypeGuard[Ordered]:
    return _kind(domain) is not None


def _end(domains: Sequence[ValueDomain], place: int, *, high: bool) -> float:
    domain = domains[place]
    if not _is_ordered(domain):
        raise TypeError(f"'{domain.name}' has no order")
    return float(domain.high if high else domain.low)


def _cut(
    domains: list[ValueDomain],
    place: int,
    *,
    names: tuple[int, int],
    strict: bool,
    low: float = -np.inf,
    high: float = np.inf,
) -> None:
    domain = domains[place]
    if not _is_ordered(domain):
        return
    low, high = (np.nextafter(low, np.inf), np.nextafter(high, -np.inf)) if strict else (low, high)
    least, most = max(float(low), domain.low), min(float(high), domain.high)
    found = None
    if least <= most:
        found = (
            domain.narrowed(least, most, exact=True)
            if isinstance(domain, NumberDomain)
            else domain.narrowed(least, most)
        )
    if found is None:
        first, second = (domains[name].name for name in names)
        sign = "<" if strict else "<="
        raise PolicyError(f"{_KEY}: no values of '{first}' and '{second}' meet {first} {sign} {second}")
    domains[place] = found


def _with_ordered_defaults(domains: list[ValueDomain], order: Order) -> tuple[ValueDomain, ...]:
    columns = [[domain.default] for domain in domains]
    order.arranged(domains, columns)
    return tuple(
        domain if column[0] == domain.default else replace(domain, default=column[0])
        for domain, column in zip(domains, columns, strict=True)
    )
