"""Values of a batch by row and input, whatever shape the batch has."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlgate.generation.input_space import UNNAMED, InputSpace
from mlgate.scoring.payloads import Batch

# A row, and the place of a domain.
Cell = tuple[int, int]


def value_at(batch: Batch, space: InputSpace, cell: Cell) -> Any:
    """Return the value of one input in one row."""
    row, name = batch.rows[cell[0]], space.domains[cell[1]].name
    if isinstance(row, dict):
        return row[UNNAMED if name is None else name]
    return row if batch.columns is None else row[_place(batch.columns, name)]


def with_values(batch: Batch, space: InputSpace, values: Mapping[Cell, Any]) -> Batch:
    """Return *batch* with some values changed."""
    rows = list(batch.rows)
    for (row, place), value in values.items():
        name = space.domains[place].name
        if isinstance(rows[row], dict):
            rows[row] = {**rows[row], UNNAMED if name is None else name: value}
        elif batch.columns is None:
            rows[row] = value
        else:
            changed = list(rows[row])
            changed[_place(batch.columns, name)] = value
            rows[row] = changed
    return replace(batch, rows=tuple(rows))


def _place(columns: tuple[str | int, ...], name: str | int | None) -> int:
    return columns.index(0 if name is None else name)


def not_default(batch: Batch, space: InputSpace) -> list[Cell]:
    """Return the cells whose value is not the default."""
    cells = [(row, place) for row in range(len(batch)) for place in range(len(space.domains))]
    return [cell for cell in cells if value_at(batch, space, cell) != space.domains[cell[1]].default]


def changed_names(batch: Batch, space: InputSpace) -> tuple[str | int, ...]:
    """Return the inputs that some row does not have at their default."""
    places = dict.fromkeys(place for _, place in not_default(batch, space))
    names = {place: space.domains[place].name for place in sorted(places)}
    return tuple(place if name is None else name for place, name in names.items())
