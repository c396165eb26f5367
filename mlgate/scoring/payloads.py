"""Rows of model input, and the encodings that MLflow's `/invocations` takes. Pure."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows as JSON values.

    Attributes:
        columns: Column labels of a column signature (integers where the frame had integers); `None` for tensors and for rows without names.
        rows: Columns: one list of values a row, in the order of *columns* (`None` is null). One tensor: a nested list
            a row. Named tensors: a dict of name to nested list a row.
        keys: Key of the evaluation row that each row was made of, `None` where it was of none; empty: all were of none.
            It goes with the rows and is never sent; see `mlgate.generation.input_space.InputSpace.origin`.
    """

    columns: tuple[str | int, ...] | None
    rows: tuple[Any, ...]
    keys: tuple[str | int | None, ...] = field(default=(), compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Sequence[int]) -> Self:
        """Return the rows at *indices*, in that order."""
        keys = tuple(self.keys[index] for index in indices) if self.keys else ()
        return replace(self, rows=tuple(self.rows[index] for index in indices), keys=keys)

    def column(self, name: str | int | None) -> list[Any]:
        """Return the values of one column or named tensor; `None` is the only, unnamed tensor.

        Raises:
            ValueError: There is no such column.
            KeyError: There is no such tensor.
        """
        if self.columns is not None:
            place = self.columns.index(0 if name is None else name)
            return [row[place] for row in self.rows]
        if self.rows and isinstance(self.rows[0], dict):
            return [row["" if name is None else name] for row in self.rows]
        return list(self.rows)

    def without_column(self, name: str | int | None) -> Self:
        """Return the batch without one column or named tensor."""
        if self.columns is None:
            return replace(self, rows=tuple({k: v for k, v in row.items() if k != name} for row in self.rows))
        place = self.columns.index(0 if name is None else name)
        return replace(
            self,
            columns=self.columns[:place] + self.columns[place + 1 :],
            rows=tuple([*row[:place], *row[place + 1 :]] for row in self.rows),
        )

    def with_value(self, name: str | int | None, value: object) -> Self:
        """Return the batch with one column set to *value* in every row."""
        if self.columns is None:
            named = bool(self.rows) and isinstance(self.rows[0], dict)
            return replace(self, rows=tuple({**row, name: value} if named else value for row in self.rows))
        place = self.columns.index(0 if name is None else name)
        return replace(self, rows=tuple([*row[:place], value, *row[place + 1 :]] for row in self.rows))

    def records(self) -> list[Any]:
        """Return the rows for a reader: dicts where columns have names."""
        if self.columns is None:
            return list(self.rows)
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Encoding(StrEnum):
    """The four JSON encodings of MLflow's scoring protocol, and CSV."""

    SPLIT = "dataframe_split"
    RECORDS = "dataframe_records"
    INPUTS = "inputs"
    INSTANCES = "instances"
    CSV = "csv"


def default_encoding(batch: Batch) -> Encoding:
    """Return the encoding that keeps types best: `instances` turns records column-wise and may change them."""
    return Encoding.INPUTS if batch.columns is None else Encoding.SPLIT


def encode(batch: Batch, encoding: Encoding | None = None) -> tuple[bytes, str]:
    """Return body and content type of a request.

    Raises:
        ValueError: A value that strict JSON does not have (NaN, infinity), or tensors as a data frame.
    """
    match encoding or default_encoding(batch):
        case Encoding.SPLIT:
            document: dict[str, Any] = {"dataframe_split": {"columns": list(_named(batch)), "data": list(batch.rows)}}
        case Encoding.RECORDS:
            _named(batch)
            document = {"dataframe_records": batch.records()}
        case Encoding.INPUTS | Encoding.INSTANCES as key:
            document = {str(key): _tensors(batch) if batch.columns is None else batch.records()}
        case Encoding.CSV:
            return _encode_csv(batch), CSV_TYPE
    return _json(document)


def encode_inputs(values: object) -> tuple[bytes, str]:
    """Return body and content type of a request with *values* under `inputs`.

    Raises:
        ValueError: A value that strict JSON does not have.
    """
    return _json({str(Encoding.INPUTS): values})


def bare_rows(batch: Batch) -> list[Any]:
    """Return the rows as a model with type hints gets them: the only column's values, or one object a row."""
    if batch.columns is None or len(batch.columns) != 1 or isinstance(batch.columns[0], str):
        return batch.records()
    return [row[0] for row in batch.rows]


def _json(document: object) -> tuple[bytes, str]:
    return json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8", "surrogatepass"), JSON_TYPE


def _named(batch: Batch) -> tuple[str | int, ...]:
    if batch.columns is None:
        raise ValueError("tensors have no data frame encoding")
    return batch.columns


def _tensors(batch: Batch) -> Any:
    """Named tensors travel as one array a name, not as one object a row."""
    if batch.rows and isinstance(batch.rows[0], dict):
        return {name: [row[name] for row in batch.rows] for name in batch.rows[0]}
    return list(batch.rows)


def _encode_csv(batch: Batch) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_named(batch))
    writer.writerows(batch.rows)
    return text.getvalue().encode()
