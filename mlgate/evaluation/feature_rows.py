"""Features from files: record batches into rows of JSON values, bounded in rows and bytes."""

import base64
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import DataError
from mlgate.evaluation.columns import kind_of, time_text
from mlgate.evaluation.tables import BATCH_ROWS, Misfit, Table
from mlgate.scoring.payloads import Batch

_WHOLE = {DataType.INTEGER, DataType.LONG}
_NUMBERS = {*_WHOLE, DataType.FLOAT, DataType.DOUBLE}
# What a CSV column is read as: the signature says it, and a file can not.
CSV_TYPES: Mapping[DataType, Any] = {
    DataType.BOOLEAN: pa.bool_(),
    DataType.INTEGER: pa.int64(),
    DataType.LONG: pa.int64(),
    DataType.FLOAT: pa.float64(),
    DataType.DOUBLE: pa.float64(),
    DataType.STRING: pa.string(),
    DataType.BINARY: pa.string(),
    DataType.DATETIME: pa.string(),
}
# Longest JSON text of a value, with its comma and space: -1.2345678901234567e-308, -9223372036854775808, false, null.
_FLOAT_BYTES, _INTEGER_BYTES, _WORD_BYTES = 26, 22, 7
# A quote or a backslash takes one byte more, a control character five.
_ESCAPED = r'[\x00-\x1f"\\]'
_ESCAPE_BYTES = 5


def misfit_kind(column: Column, found: Any) -> str | None:
    """Return why a column of Arrow's type *found* can not be this input; `None` where it can."""
    kind = kind_of(found)
    if not isinstance(column.type, DataType):
        return None  # nested: the server says what it thinks of it
    if kind == "bytes":
        return None if column.type is DataType.BINARY else "holds bytes and no text"
    fits = {
        DataType.BOOLEAN: {"truth value"},
        DataType.STRING: {"text", "time", "number"} if pa.types.is_decimal(found) else {"text", "time"},
        DataType.DATETIME: {"text", "time"},
        DataType.BINARY: {"text"},
    }.get(column.type, {"number"})
    if kind in fits or kind == "null":
        return None
    return f"holds {kind}s ({found})" if kind in ("number", "truth value", "text", "time") else f"holds {kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFeatures:
    """Features in files, each checked to be what it was.

    Attributes:
        tables: The files.
        inputs: Input columns that the files have, in the order of the signature.
        csv_types: What the columns of a CSV are read as.
        digests: SHA-256 of each file.
        rows: Rows of each file.
    """

    tables: tuple[Table, ...]
    inputs: tuple[Column, ...]
    csv_types: Mapping[str, Any]
    digests: tuple[bytes, ...]
    rows: tuple[int, ...]

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Labels of the columns, as a request spells them."""
        return tuple(0 if column.label is None else column.label for column in self.inputs)

    def batches(self, *, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield all rows in order; see `mlgate.evaluation.rows.Features`."""
        room = max_bytes - len(json.dumps(self.columns)) - 100  # the envelope
        for index in range(len(self.tables)):
            for part in self._parts(index, max_rows):
                columns = [part.column(str(column.name)) for column in self.inputs]
                sizes = sum((_sizes(column) for column in columns), np.zeros(part.num_rows, dtype=np.int64) + 4)
                for start, end in _cuts(sizes, max_rows, room):
                    values = [
                        _values(array.slice(start, end - start), column)
                        for array, column in zip(columns, self.inputs, strict=True)
                    ]
                    yield Batch(columns=self.columns, rows=tuple(map(list, zip(*values, strict=True))))

    def for_inputs(self, inputs: ColumnSchema) -> "FileFeatures":
        """Return the same rows for a model with other inputs; see `mlgate.evaluation.rows.Features`."""
        names = self.tables[0].names
        present = tuple(column for column in inputs.columns if column.required or column.name in names)
        for column in present:
            for table in self.tables:
                if column.name not in table.names:
                    raise DataError(f"{table.file.name}: no column '{column.name}'")
                kind = table.type_of(column.name)
                wrong = None if kind is None else misfit_kind(column, kind)
                if wrong:
                    raise DataError(
                        f"{table.file.name}: column '{column.name}' {wrong}, and the input is {column.type}"
                    )
        own = {
            str(column.name): CSV_TYPES.get(column.type, pa.string())
            for column in present
            if isinstance(column.type, DataType)
        }
        return replace(self, inputs=present, csv_types={**own, **self.csv_types})

    def _parts(self, index: int, max_rows: int) -> Iterator[Any]:
        table, count, digest = self.tables[index], 0, b""
        types = {str(column.name): self.csv_types.get(str(column.name)) for column in self.inputs}
        rows = max(BATCH_ROWS // max_rows, 1) * max_rows
        is_csv = table.file.suffix == ".csv"
        with table.file.unchanged():
            try:
                # The digest of a CSV costs nothing here; of other files the stamp has to do.
                for part in table.batches(types, digest=is_csv, rows=min(rows, 4 * BATCH_ROWS)):
                    if isinstance(part, bytes):
                        digest = part
                    else:
                        count += part.num_rows
                        yield part
            except Misfit as error:
                raise table.file.changed() from error
        if count != self.rows[index] or (is_csv and digest != self.digests[index]):
            raise table.file.changed()


def _cuts(sizes: NDArray[np.int64], max_rows: int, max_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the row after the last of each batch."""
    ends, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        end = int(np.searchsorted(ends, before + max_bytes, side="right"))
        end = max(min(end, start + max_rows), start + 1)
        yield start, end
        start = end


def _sizes(array: Any) -> NDArray[np.int64]:
    """Return for each value a bound on the bytes of its JSON text."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = kind_of(array.type)
    if kind == "text":
        lengths = pc.fill_null(pc.binary_length(array), 4).to_numpy(zero_copy_only=False).astype(np.int64)
        escaped = pc.fill_null(pc.count_substring_regex(array, _ESCAPED), 0).to_numpy(zero_copy_only=False)
        texts: NDArray[np.int64] = lengths + 4 + _ESCAPE_BYTES * escaped.astype(np.int64)
        return texts
    if kind == "bytes":
        lengths = pc.fill_null(pc.binary_length(array), 3).to_numpy(zero_copy_only=False).astype(np.int64)
        coded: NDArray[np.int64] = lengths * 4 // 3 + 10
        return coded
    fixed = {"number": _FLOAT_BYTES, "truth value": _WORD_BYTES, "null": _WORD_BYTES, "time": 50}
    if pa.types.is_integer(array.type):
        fixed["number"] = _INTEGER_BYTES
    if pa.types.is_decimal(array.type):
        fixed["number"] = 90
    if kind in fixed:
        return np.full(len(array), fixed[kind], dtype=np.int64)
    return np.array([len(json.dumps(_json(value)).encode()) + 2 for value in array.to_pylist()], dtype=np.int64)


def _values(array: Any, column: Column) -> list[Any]:
    """Return a column as JSON values; NaN is null, as pandas writes a missing number."""
    kind, whole = array.type, column.type in _WHOLE
    if pa.types.is_decimal(kind) and column.type in _NUMBERS:
        array, kind = array.cast(pa.float64()), pa.float64()
    if pa.types.is_floating(kind):
        numbers = array.to_numpy(zero_copy_only=False).astype(np.float64)
        values: list[Any] = numbers.tolist()
        if whole:  # whole numbers that had to make room for a null
            values = [int(value) if math.isfinite(value) and value.is_integer() else value for value in values]
        if not np.isfinite(numbers).all():
            values = [value if math.isfinite(value) else None for value in values]
        return values
    if pa.types.is_integer(kind) and array.null_count == 0:
        whole_numbers: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
        return whole_numbers
    values = array.to_pylist()
    plain = kind_of(kind) in ("text", "number", "truth value") and not pa.types.is_decimal(kind)
    return values if plain else [_json(value) for value in values]


def _json(value: Any) -> Any:
    """Return what JSON has in the place of *value*."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case list():
            return [_json(inner) for inner in value]
        case dict():
            return {str(key): _json(inner) for key, inner in value.items()}
        case _:
            return time_text(value)
