"""Rows that are known to be valid: the logged example, and a sample of the evaluation data. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, Schema, TensorSchema
from mlgate.generation.domain import ValueDomain, identity
from mlgate.scoring.payloads import Batch

# Rows of the evaluation data that are mutated: enough of a kind each, few enough to stay in memory.
SAMPLE = 1000
_TENSOR_SEEN = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The row of the evaluation data that a generated row was made of.

    Attributes:
        key: The row's key.
        changed: Column label to value, where the generated row has another.
    """

    key: int | str
    changed: Mapping[str | int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRows:
    """Rows of the evaluation data, in the order of the domains.

    Attributes:
        rows: One list of values a row.
        keys: Their keys.
        absent: Places of columns that the data lack; there the rows hold the default.
    """

    rows: tuple[list[Any], ...] = ()
    keys: tuple[int | str, ...] = ()
    absent: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.rows)

    def origin(self, key: int | str, labels: Sequence[str | int], row: Sequence[Any]) -> Origin:
        """Return what *row*, which was made of the row *key*, has of its own: columns beside the inputs always."""
        was = self.rows[self.keys.index(key)]
        changed = {
            label: value
            for place, (label, value) in enumerate(zip(labels, row, strict=False))
            if place >= len(was) or place in self.absent or identity(value) != identity(was[place])
        }
        return Origin(key=key, changed=changed)


def known_rows(
    data: Batch | None, keys: Sequence[int | str], domains: Sequence[ValueDomain], *, seed: int, most: int = SAMPLE
) -> KnownRows:
    """Return a seeded sample of those rows of *data* that are valid, spelled as the domains spell them.

    Args:
        data: Rows with named columns.
        keys: One a row.
        domains: Of all inputs, without extras.
        seed: Of the sample.
        most: Largest number of rows.
    """
    if data is None or data.columns is None or not len(data):
        return KnownRows()
    there = {label: place for place, label in enumerate(data.columns)}
    places = [there.get(domain.name) if domain.name is not None else None for domain in domains]
    rows, found = [], []
    for index in np.random.default_rng(seed).permutation(len(data)).tolist():
        row = [
            domain.default if place is None else domain.spelled(data.rows[index][place])
            for domain, place in zip(domains, places, strict=True)
        ]
        if all(domain.holds(value) for domain, value in zip(domains, row, strict=True)):
            rows.append(row)
            found.append(keys[index])
        if len(rows) == most:
            break
    absent = frozenset(place for place, source in enumerate(places) if source is None)
    return KnownRows(rows=tuple(rows), keys=tuple(found), absent=absent)


def middle_first(values: Sequence[Any]) -> list[Any]:
    """Return one value for the default of a column, from values of the evaluation data; nothing where there are none.

    The first row would do, but for this: defaults are stored with failures, and must not be anybody's row.
    """
    if not values:
        return []
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        finite = [value for value in values if abs(value) < math.inf] or [0]
        middle = min(finite) / 2 + max(finite) / 2
        return [int(middle) if all(isinstance(value, int) for value in finite) else middle]
    return [sorted(values, key=str)[len(values) // 2]]


def example_batch(raw: bytes | None, inputs: Schema | None = None) -> Batch | None:
    """Return the rows of a logged `serving_input_example.json`, or `None` where they can not be told.

    Args:
        raw: The file.
        inputs: The input signature: says what `inputs` and `instances` mean; without it only a data frame is read.
    """
    try:
        document = json.loads(raw or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if "dataframe_split" in document:
        return _frame(document["dataframe_split"], inputs)
    if "dataframe_records" in document:
        return _records(document["dataframe_records"], inputs)
    values = document.get("inputs", document.get("instances"))
    if values is None or inputs is None:
        return None
    if isinstance(inputs, TensorSchema):
        return _tensors(values, inputs)
    return _values(values, inputs)


def _frame(split: Any, inputs: Schema | None) -> Batch | None:
    columns, rows = (split.get("columns"), split.get("data")) if isinstance(split, dict) else (None, None)
    if not isinstance(rows, list):
        return None
    if columns is None and isinstance(inputs, ColumnSchema):
        columns = labels(inputs)
    if not isinstance(columns, (list, tuple)) or not all(isinstance(label, (str, int)) for label in columns):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        return None
    return Batch(columns=tuple(columns), rows=tuple(rows))


def _records(records: Any, inputs: Schema | None) -> Batch | None:
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        return None
    names = (
        labels(inputs)
        if isinstance(inputs, ColumnSchema)
        else list(dict.fromkeys(key for row in records for key in row))
    )
    return Batch(columns=tuple(names), rows=tuple([record.get(name) for name in names] for record in records))


def _values(values: Any, inputs: ColumnSchema) -> Batch | None:
    names = labels(inputs)
    if inputs.columns[0].name is None:
        if not isinstance(values, list):
            return None
        rows = values if len(names) > 1 else [_one(value, inputs.columns[0]) for value in values]
        return _frame({"columns": names, "data": rows}, inputs)
    if isinstance(values, list):
        return _records(values, inputs)
    if not isinstance(values, dict):
        return None
    columns = [values.get(str(name), values.get(name)) for name in names]
    lists = [
        value
        for value, column in zip(columns, inputs.columns, strict=True)
        if isinstance(value, list) and not isinstance(column.type, ArrayType)
    ]
    if not lists:
        return Batch(columns=tuple(names), rows=(columns,))
    if len(lists) != len(columns) or len({len(value) for value in lists}) != 1:
        return None
    return Batch(columns=tuple(names), rows=tuple(list(row) for row in zip(*columns, strict=True)))


def _one(value: Any, column: Column) -> list[Any]:
    # A list of rows of one value, or a list of the values themselves.
    if isinstance(value, list) and len(value) == 1 and not isinstance(column.type, ArrayType):
        return value
    return [value]


def _tensors(values: Any, inputs: TensorSchema) -> Batch | None:
    if len(inputs.tensors) == 1 and inputs.tensors[0].name is None:
        return Batch(columns=None, rows=tuple(values)) if isinstance(values, list) else None
    if isinstance(values, list) and len(inputs.tensors) == 1:
        values = {inputs.tensors[0].name: values}
    if not isinstance(values, dict) or not all(tensor.name in values for tensor in inputs.tensors):
        return None
    lists = {tensor.name: values[tensor.name] for tensor in inputs.tensors if tensor.shape}
    if not lists or not all(isinstance(value, list) for value in lists.values()):
        return None
    rows = min(len(value) for value in lists.values())
    fixed = {tensor.name: values[tensor.name] for tensor in inputs.tensors if not tensor.shape}
    return Batch(
        columns=None,
        rows=tuple({**{name: value[row] for name, value in lists.items()}, **fixed} for row in range(rows)),
    )


def labels(inputs: ColumnSchema) -> list[str | int]:
    """Return the label of each column as a request spells it; its place where the columns have no names."""
    return [place if column.label is None else column.label for place, column in enumerate(inputs.columns)]


def tensor_seen(batches: Sequence[Batch], name: str | None) -> list[Any]:
    """Return what known rows hold of one tensor, a nested list a row."""
    found = []
    for batch in batches:
        if batch.columns is None:
            found += [row.get(name) if isinstance(row, dict) else row for row in batch.rows]
    return [value for value in found if value is not None]


def elements(values: Sequence[Any]) -> list[Any]:
    """Return the leaves of nested lists, as many as are needed to see their range."""
    level: list[Any] = list(values)
    while level and isinstance(level[0], list):
        level = [leaf for inner in level if isinstance(inner, list) for leaf in inner]
    return (
        [level[0], min_max[0], min_max[1], *level[:_TENSOR_SEEN]] if (min_max := _ends(level)) else level[:_TENSOR_SEEN]
    )


def _ends(leaves: Sequence[Any]) -> tuple[Any, Any] | None:
    numbers = [leaf for leaf in leaves if isinstance(leaf, (int, float)) and not isinstance(leaf, bool)]
    return (min(numbers), max(numbers)) if numbers else None


def lengths_seen(values: Sequence[Any], rank: int, *, most: int = SAMPLE) -> list[tuple[int, ...]]:
    """Return the shapes of the first *most* nested lists that have *rank* axes; below an empty one all are zero."""
    shapes = []
    for value in values[:most]:
        shape: list[int] = []
        level = value
        while isinstance(level, list) and len(shape) < rank:
            shape.append(len(level))
            level = level[0] if level else []
        if len(shape) == rank:
            shapes.append(tuple(shape))
    return shapes
