"""Pairs of valid rows: a row, and the row that a second request has in its place. Pure.

Whatever the second row holds is drawn or computed inside the domains and the order relations; none is thrown away to get
there. Its further values stand in the batch beside the first row's, so that a pair is narrowed and made simple as a row is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgate.errors import PolicyError
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.datetimes import DatetimeDomain
from mlgate.generation.domain import ValueDomain, identity, renamed
from mlgate.generation.input_space import InputSpace
from mlgate.generation.interface import Mode
from mlgate.generation.number import NumberDomain
from mlgate.generation.rebuilt import fixed, labels_of, rebuilt, relations_of, replaced
from mlgate.generation.relation import Relation
from mlgate.generation.shared import shared_domain
from mlgate.generation.unit import ScaledColumn, scaled_column
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    from mlgate.policy_properties import UnitChange


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpace(InputSpace):
    """Rows in which two columns differ wherever their domains have two values.

    Attributes:
        one: A column.
        other: The column, or further column, that is given another value where the two are equal.
    """

    one: str | int
    other: str | int

    def sample(self, n: int, *, seed: int, modes: Mapping[str | int | None, Mode] | None = None) -> Batch:
        """Draw *n* valid rows, as `InputSpace.sample` does."""
        batch = InputSpace.sample(self, n, seed=seed, modes=modes)
        if self.tensors:
            return batch
        values, others = batch.column(self.one), batch.column(self.other)
        equal = [place for place in range(n) if identity(values[place]) == identity(others[place])]
        for turn, place in enumerate(equal):
            others[place] = self._another(batch.take([place]), values[place], turn)
        return replaced(batch, {self.other: others}) if equal else batch

    def _another(self, row: Batch, value: Any, turn: int) -> Any:
        domain = self._left(row)
        choices = [choice for choice in (domain.default, *domain.edges) if identity(choice) != identity(value)]
        for place in range(len(choices)):
            choice = choices[(turn + place) % len(choices)]
            if not self.order.relations or self.holds(replaced(row, {self.other: [choice]})):
                return choice
        return value

    def _left(self, row: Batch) -> ValueDomain:
        """Return what the order relations leave of the other column's domain, beside what stands in *row*."""
        domain, own = self.domain(self.other), [each.name for each in self.domains].index(self.other)
        low, high = -np.inf, np.inf
        if not isinstance(domain, (NumberDomain, DatetimeDomain, ChoiceDomain)) or not self.order.relations:
            return domain
        for first, second, _ in self.order.relations:
            if own in (first, second):
                end = self._number(row, second if own == first else first)
                low, high = (low, np.fmin(high, end)) if own == first else (np.fmax(low, end), high)
        if not np.isfinite([low, high]).any():
            return domain
        least, most = max(float(low), domain.low), min(float(high), domain.high)
        return (domain.narrowed(least, most) if least <= most else None) or domain

    def _number(self, row: Batch, place: int) -> float:
        domain = self.domains[place]
        if not isinstance(domain, (NumberDomain, DatetimeDomain, ChoiceDomain)):
            return np.nan
        return float(domain.numbers(row.column(domain.name))[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs of requests.

    Attributes:
        space: The first rows, with what the second need beside them.
        second: From a batch of *space* to what the second request sends.
    """

    space: InputSpace
    second: Callable[[Batch], Batch]

    def first(self, batch: Batch) -> Batch:
        """Return what the first request sends."""
        return self.space.inputs_of(batch)


def changed_pairs(space: InputSpace, column: str | int, *, nulls: bool = True) -> Pairs:
    """Return rows, and the same rows with another value in *column*.

    Args:
        space: Valid rows.
        column: Label of an input.
        nulls: Whether null is one of the values, where it is valid.
    """
    if not nulls and space.domain(column).nullable:
        space = rebuilt(space, {column: replace(space.domain(column), nullable=False)})
    partner = free_name(space, f"{column} (changed)")
    wide = space.with_extra([renamed(space.domain(column), partner)], stands_for={partner: column})

    def second(batch: Batch) -> Batch:
        return wide.inputs_of(replaced(batch, {column: batch.column(partner)}))

    return Pairs(space=_distinct(wide, column, partner), second=second)


def swapped_pairs(space: InputSpace, one: str | int, other: str | int) -> Pairs:
    """Return rows, and the same rows with the values of two columns swapped: only values that are valid in both.

    Raises:
        PolicyError: The two have no values in common, or an order relation stands between them.
    """
    place = f"properties.symmetric [{one}, {other}]"
    common = shared_domain(space.domain(one), space.domain(other))
    if common is None:
        raise PolicyError(
            f"{place}: no value is valid in both columns", hint="give them the same rule in properties.inputs"
        )
    changes = {
        label: replace(common, name=label, default=was.default if common.holds(was.default) else common.default)
        for label, was in ((one, space.domain(one)), (other, space.domain(other)))
    }
    swap = {str(one): str(other), str(other): str(one)}
    mirrored = [
        Relation(first=swap.get(each.first, each.first), second=swap.get(each.second, each.second), strict=each.strict)
        for each in relations_of(space)
    ]
    try:
        narrow = rebuilt(space, changes, relations=mirrored)
    except PolicyError as error:
        raise PolicyError(f"{place}: what is swapped must keep {error.message}") from error

    def second(batch: Batch) -> Batch:
        return replaced(batch, {one: batch.column(other), other: batch.column(one)})

    return Pairs(space=_distinct(narrow, one, other), second=second)


def scaled_pairs(space: InputSpace, change: "UnitChange") -> Pairs:
    """Return rows in one unit, and the same rows in another.

    Raises:
        PolicyError: A column that holds no numbers, or of which no value is valid in both units.
    """
    place = f"properties.scale '{change.label}'"
    labels = {str(label): label for label in labels_of(space) if label is not None}
    scaled = {
        labels[name]: scaled_column(
            space.domain(labels[name]), change.multiply.get(name, 1.0), change.add.get(name, 0.0), place=place
        )
        for name in change.columns
    }
    _check_order(space, change, place)
    starts = {
        labels[name]: _fixed(space, labels[name], value, f"{place}: where") for name, value in change.where.items()
    }
    ends = {labels[name]: space.domain(labels[name]).spelled(value) for name, value in change.set_.items()}
    for label, value in ends.items():
        _fixed(space, label, value, f"{place}: set")
    narrow = rebuilt(space, {label: column.start for label, column in scaled.items()} | starts)

    def second(batch: Batch) -> Batch:
        columns = {label: _scaled(column, batch.column(label)) for label, column in scaled.items()}
        return replaced(batch, columns | {label: [value] * len(batch) for label, value in ends.items()})

    return Pairs(space=narrow, second=second)


def _scaled(column: ScaledColumn, values: Sequence[Any]) -> list[Any]:
    return [None if value is None else column.end(value) for value in values]


def _fixed(space: InputSpace, label: str | int, value: Any, place: str) -> Any:
    found = fixed(space.domain(label), value)
    if found is None:
        raise PolicyError(f"{place}: {value!r} is no valid value of '{label}'", hint="properties.inputs says what is")
    return found


def _check_order(space: InputSpace, change: "UnitChange", place: str) -> None:
    """Refuse a change of one side of an order relation: what was ordered in kilometres need not be in miles and kilometres.

    Raises:
        PolicyError: The two sides change differently.
    """
    how = {name: (change.multiply.get(name, 1.0), change.add.get(name, 0.0)) for name in change.columns}
    for relation in relations_of(space):
        first, second = (how.get(name) for name in (relation.first, relation.second))
        loose = {relation.first, relation.second} & change.set_.keys()
        if loose or first != second or (first is not None and first[0] < 0):
            raise PolicyError(
                f"{place}: the order '{relation}' would not hold any more", hint="change both sides alike"
            )


def _distinct(space: InputSpace, one: str | int, other: str | int) -> PairSpace:
    return PairSpace(
        **{field.name: getattr(space, field.name) for field in fields(space) if field.init}, one=one, other=other
    )


def free_name(space: InputSpace, name: str) -> str:
    """Return *name*, or a longer one where a column is called so."""
    taken = {str(domain.name) for domain in space.domains}
    while name in taken:
        name += "'"
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class EachInTurn(ChoiceDomain):
    """Listed values of which each batch tries all, as far as its rows go: cases, and no inputs."""

    def fill(self, n: int, mode: Mode, rng: Any) -> list[Any]:
        """Deal them out evenly, in whatever mode."""
        del mode
        return self._at_edges(n, rng)
