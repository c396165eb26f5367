"""The space of inputs with some domains replaced: cut to what the order relations leave of them. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.datetimes import DatetimeDomain
from mlgate.generation.domain import ValueDomain
from mlgate.generation.input_space import InputSpace
from mlgate.generation.known import KnownRows
from mlgate.generation.number import NumberDomain
from mlgate.generation.order import ordered
from mlgate.generation.relation import Relation
from mlgate.scoring.payloads import Batch


def rebuilt(
    space: InputSpace, changes: Mapping[str | int, ValueDomain], *, relations: Iterable[Relation] = ()
) -> InputSpace:
    """Return *space* with other domains for some inputs; known rows that are no longer valid are not drawn from.

    Args:
        space: Without further columns.
        changes: Label to domain, of the same label.
        relations: Further order relations.

    Raises:
        PolicyError: The order relations leave no value.
    """
    drawn = [
        space.domains[place] if label is None else changes.get(label, space.domains[place])
        for place, label in enumerate(labels_of(space))
    ]
    domains, order = ordered(drawn, dict.fromkeys([*relations_of(space), *relations]))
    plain = replace(space, domains=domains, order=order, known=KnownRows())
    names = tuple(label for label in labels_of(space) if label is not None)
    kept = [place for place, row in enumerate(space.known.rows) if plain.holds(Batch(columns=names, rows=(row,)))]
    known = replace(
        space.known,
        rows=tuple(space.known.rows[place] for place in kept),
        keys=tuple(space.known.keys[place] for place in kept),
    )
    return replace(plain, known=known)


def labels_of(space: InputSpace) -> list[str | int | None]:
    """Return the label of each input."""
    return [domain.name for domain in space.domains[: space.inputs]]


def relations_of(space: InputSpace) -> list[Relation]:
    """Return the order relations of *space* by name."""
    names = [str(domain.name) for domain in space.domains]
    return [Relation(first=names[one], second=names[two], strict=strict) for one, two, strict in space.order.relations]


def fixed(domain: ValueDomain, value: Any) -> ValueDomain | None:
    """Return *domain* with *value* alone, or `None` where that is not valid."""
    value = domain.spelled(value)
    if not domain.valid(value):
        return None
    if isinstance(domain, (NumberDomain, DatetimeDomain)) or (isinstance(domain, ChoiceDomain) and domain.ranks):
        number = float(domain.numbers([value])[0])
        cut = domain.narrowed(number, number)
        return None if cut is None else replace(cut, nullable=False)
    return ChoiceDomain(name=domain.name, values=(value,), declared=True, default=value)


def replaced(batch: Batch, columns: Mapping[str | int, Sequence[Any]]) -> Batch:
    """Return *batch* with other values in some columns or named tensors."""
    if batch.columns is None:
        tensors = [{**row, **{name: values[n] for name, values in columns.items()}} for n, row in enumerate(batch.rows)]
        return replace(batch, rows=tuple(tensors))
    rows = [list(row) for row in batch.rows]
    for name, values in columns.items():
        place = batch.columns.index(name)
        for row, value in zip(rows, values, strict=True):
            row[place] = value
    return replace(batch, rows=tuple(rows))
