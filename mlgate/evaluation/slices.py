"""Slices of the evaluation rows: which rows belong to which value of what the policy declares. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.slice_expression import Condition, Every, Member, Missing, Not, Order, Scalar, Some
from mlgate.evaluation.slice_spec import BinSlice, ColumnSlice, CrossSlice, ExpressionSlice, SliceSpec, number_text
from mlgate.statistics.interval import Undefined

# More values than a person reads, and each a comparison that every challenger must win.
MAX_VALUES = 50
NULL = "null"
# Keys of a check id that mean something else: a column of that name is written as slice=<column>=<value>.
_TAKEN = frozenset({"metric", "slice"})

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column of the evaluation data beside features and truth, dictionary coded.

    Attributes:
        codes: Positions in *values*, shape (n,); -1 where the value is null.
        values: The distinct values, all numbers (never NaN), all texts or all truth values.
    """

    codes: NDArray[np.signedinteger[Any]]
    values: Sequence[Scalar] | NDArray[Any]

    @classmethod
    def of(cls, values: Sequence[Scalar | None]) -> "Column":
        """Code plain values; `None` is null."""
        known: dict[Scalar, int] = {}
        codes = [-1 if value is None else known.setdefault(value, len(known)) for value in values]
        return cls(codes=np.array(codes, dtype=np.int64), values=tuple(known))

    @property
    def kind(self) -> str:
        """`number`, `text` or `truth value`; `null` where there is no value at all."""
        if len(self.values) == 0:
            return "null"
        first = self.values[0]
        if isinstance(first, (bool, np.bool_)):
            return "truth value"
        return "text" if isinstance(first, str) else "number"

    def __len__(self) -> int:
        return len(self.codes)

    def spread(self, of_values: NDArray[Any], null: Any) -> NDArray[Any]:
        """Give each row what *of_values* says of its value, and *null* where it has none."""
        # -1 picks the last element, which is the null's.
        table = np.append(of_values, np.array([null], dtype=of_values.dtype))
        rows: NDArray[Any] = table[self.codes]
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceValue:
    """One slice.

    Attributes:
        params: What stands in its check ids beside the metric.
        name: For people: `region=EU`.
    """

    params: Mapping[str, str]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """Rows by slice value; a row belongs to one value at most.

    Attributes:
        spec: Name of what the policy declares.
        codes: Positions in *values*, shape (n,); -1 for the rows outside of an expression.
        values: The slices; one without rows is there where the policy names it itself (a bin, an expression).
    """

    spec: str
    codes: NDArray[np.int16]
    values: tuple[SliceValue, ...]

    def rows(self, index: int) -> NDArray[np.intp]:
        """Return the rows of one value, rising."""
        return np.flatnonzero(self.codes == index)

    @property
    def counts(self) -> NDArray[np.intp]:
        """Rows of each value, shape (number of values,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


def partition(spec: SliceSpec, columns: Mapping[str, Column]) -> Partition | Undefined:
    """Say which rows belong to which slice.

    Args:
        spec: What the policy declares.
        columns: By name, all of one length.

    Returns:
        The partition; `Undefined` where a column is missing, has another kind than the comparison needs, or has more
        than `MAX_VALUES` values.
    """
    for column in spec.columns:
        if column not in columns:
            near = ", ".join(sorted(columns)) or "none"
            return Undefined(reason=f"the evaluation data has no column '{column}' to slice by (kept: {near})", n=0)
    try:
        return _partition(spec, columns)
    except _NotSliceable as error:
        return Undefined(reason=str(error), n=len(columns[spec.columns[0]]))


class _NotSliceable(Exception):
    """The data do not allow this slice."""


def _partition(spec: SliceSpec, columns: Mapping[str, Column]) -> Partition:
    match spec:
        case ExpressionSlice():
            true, _ = _hold(spec.condition, columns)
            value = SliceValue(params={"slice": spec.text}, name=spec.text)
            return Partition(spec=spec.name, codes=np.where(true, 0, -1).astype(np.int16), values=(value,))
        case CrossSlice(first=first, second=second):
            return _cross(spec.name, _single(first, columns[first.column]), _single(second, columns[second.column]))
        case ColumnSlice() | BinSlice():
            return _single(spec, columns[spec.column])
        case _:
            assert_never(spec)


def _single(spec: ColumnSlice | BinSlice, column: Column) -> Partition:
    codes, names = _binned(spec, column) if isinstance(spec, BinSlice) else _valued(spec, column)
    return Partition(
        spec=spec.name,
        codes=codes,
        values=tuple(_slice_value(spec.column, name) for name in names),
    )


def _slice_value(column: str, value: str) -> SliceValue:
    name = f"{column}={value}"
    return SliceValue(params={"slice": name} if column in _TAKEN else {column: value}, name=name)


def _valued(spec: ColumnSlice, column: Column) -> tuple[NDArray[np.int16], list[str]]:
    """Number the values that occur, in their own order, null last."""
    found = np.flatnonzero(np.bincount(np.add(column.codes, 1, dtype=np.int64), minlength=len(column.values) + 1)) - 1
    _refuse_many(spec.name, len(found))
    values = sorted((column.values[code], code) for code in found.tolist() if code >= 0)
    names = [_text(value) for value, _ in values]
    of_values = np.zeros(len(column.values), dtype=np.int16)
    of_values[[code for _, code in values]] = np.arange(len(values), dtype=np.int16)
    if found.size and found[0] == -1:
        # A text "null" may stand beside real nulls: two slices, two names.
        names.append(NULL if NULL not in names else f"{NULL} (missing)")
    return column.spread(of_values, len(values)), names


def _binned(spec: BinSlice, column: Column) -> tuple[NDArray[np.int16], list[str]]:
    """Number the declared bins; what lies outside, and null, where rows lie there."""
    if column.kind not in {"number", "null"}:
        raise _NotSliceable(f"{spec.column} holds {column.kind}s, and only numbers can be cut into bins")
    edges = [number_text(edge) for edge in spec.edges]
    inner = [f"[{low},{high})" for low, high in pairwise(edges)]
    names = [f"<{edges[0]}", *inner, f">={edges[-1]}", NULL]
    of_values = np.digitize(np.asarray(column.values, dtype=np.float64), spec.edges)
    codes = column.spread(of_values.astype(np.int16), len(names) - 1)
    # With a single edge there is no bin between two: both sides are what the policy names.
    declared = set(range(1, len(names) - 2)) or {0, 1}
    counts = np.bincount(codes, minlength=len(names))
    kept = [index for index in range(len(names)) if index in declared or counts[index]]
    _refuse_many(spec.name, len(kept))
    renumbered = np.full(len(names), -1, dtype=np.int16)
    renumbered[kept] = np.arange(len(kept), dtype=np.int16)
    return renumbered[codes], [names[index] for index in kept]


def _cross(name: str, first: Partition, second: Partition) -> Partition:
    pairs = first.codes.astype(np.int64) * len(second.values) + second.codes
    counts = np.bincount(pairs, minlength=len(first.values) * len(second.values))
    found = np.flatnonzero(counts)
    _refuse_many(name, len(found))
    of_pairs = np.zeros(counts.size, dtype=np.int16)
    of_pairs[found] = np.arange(len(found), dtype=np.int16)
    parts = [(first.values[pair // len(second.values)], second.values[pair % len(second.values)]) for pair in found]
    return Partition(spec=name, codes=of_pairs[pairs], values=tuple(join_values(*both) for both in parts))


def join_values(first: SliceValue, second: SliceValue) -> SliceValue:
    """Name the rows that belong to both values."""
    name = f"{first.name}, {second.name}"
    if first.params.keys() & second.params.keys():  # two columns whose names are taken
        return SliceValue(params={"slice": name}, name=name)
    return SliceValue(params={**first.params, **second.params}, name=name)


def _refuse_many(name: str, count: int) -> None:
    if count > MAX_VALUES:
        raise _NotSliceable(f"{name} has {count} values, more than {MAX_VALUES}: cut it into bins, or name the rows")


def _text(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    return value if isinstance(value, str) else number_text(value)


def _hold(condition: Condition, columns: Mapping[str, Column]) -> tuple[Mask, Mask]:
    """Say for each row whether the condition is true, and whether it is false; of a null it is neither (Kleene)."""
    match condition:
        case Not(condition=inner):
            true, false = _hold(inner, columns)
            return false, true
        case Every(conditions=parts):
            held = [_hold(part, columns) for part in parts]
            return _all([true for true, _ in held]), _any([false for _, false in held])
        case Some(conditions=parts):
            held = [_hold(part, columns) for part in parts]
            return _any([true for true, _ in held]), _all([false for _, false in held])
        case Missing(column=name):
            missing = columns[name].codes < 0
            return missing, ~missing
        case Member() | Order():
            column = columns[condition.column]
            of_values = _of_values(condition, column)
            return column.spread(of_values, null=False), column.spread(~of_values, null=False)
        case _:
            assert_never(condition)


def _of_values(condition: Member | Order, column: Column) -> Mask:
    """Say for each distinct value whether the condition holds."""
    asked = condition.values if isinstance(condition, Member) else (condition.value,)
    wanted = "truth value" if isinstance(asked[0], bool) else "text" if isinstance(asked[0], str) else "number"
    if column.kind not in {wanted, "null"}:
        raise _NotSliceable(f"column '{condition.column}' holds {column.kind}s and is compared with a {wanted}")
    kind: Any = np.float64 if wanted == "number" else np.bool_ if wanted == "truth value" else np.str_
    values = np.asarray(column.values, dtype=kind)
    if isinstance(condition, Member):
        return np.isin(values, np.asarray(asked, dtype=kind))
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[condition.operator]
    held: Mask = compare(values, np.asarray(asked[0], dtype=kind))
    return held


def _all(masks: Sequence[Mask]) -> Mask:
    held: Mask = np.logical_and.reduce(masks)
    return held


def _any(masks: Sequence[Mask]) -> Mask:
    held: Mask = np.logical_or.reduce(masks)
    return held
