"""In which encodings the same rows have to get the same answer. Pure.

MLflow's server takes four in JSON, and CSV, and hands some values over differently in some of them, whatever the model is.
Such rows and columns are left out, by name: the comparison is of the model, on what reaches it unchanged.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Signature, type_name
from mlgate.scoring.payloads import Batch, Encoding

# What pandas.read_csv reads as null (pandas._libs.parsers.STR_NA_VALUES), beside the empty text.
NA_WORDS = frozenset(
    {"-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "NA", "NULL",
     "NaN", "None", "n/a", "nan", "null"}
)  # fmt: skip
# A lone surrogate has no UTF-8.
_NOT_CSV = re.compile("[\0\r\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparable:
    """What may be compared.

    Attributes:
        reference: The encoding that the others are compared with.
        fits: Encoding to a test of whether a row reaches the model as by the reference.
        left_out: Encoding to the reason why no row does.
    """

    reference: Encoding | None
    fits: Mapping[Encoding, Callable[[Any], bool]]
    left_out: Mapping[Encoding, str]

    def rows(self, batch: Batch, encoding: Encoding, *, limit: int) -> Batch:
        """Return the rows of *batch*, at most *limit*, that may be sent in *encoding*."""
        fits = self.fits[encoding]
        return batch.take([index for index, row in enumerate(batch.rows) if fits(row)][:limit])


def comparable(signature: Signature, batch: Batch) -> Comparable:
    """Return the encodings of MLflow's scoring protocol that a model with *signature* takes.

    Args:
        signature: The model's.
        batch: Any valid rows: whether they have labels is seen from them.
    """
    if signature.from_type_hint:
        hint = "a model with type hints takes 'inputs' only"
        return Comparable(reference=Encoding.INPUTS, fits={}, left_out=dict.fromkeys(_others(Encoding.INPUTS), hint))
    if batch.columns is None or not isinstance(signature.inputs, ColumnSchema):
        told = "rows without names are no data frame"
        left_out = dict.fromkeys((Encoding.SPLIT, Encoding.RECORDS, Encoding.CSV), told)
        return Comparable(reference=Encoding.INPUTS, fits={Encoding.INSTANCES: _always}, left_out=left_out)
    if any(not isinstance(label, str) for label in batch.columns):
        told = "labels that are numbers: JSON keys and CSV heads are text, and MLflow does not convert"
        return Comparable(reference=Encoding.SPLIT, fits={}, left_out=dict.fromkeys(_others(Encoding.SPLIT), told))
    return _table(signature.inputs.columns)


def _others(reference: Encoding) -> tuple[Encoding, ...]:
    return tuple(encoding for encoding in Encoding if encoding is not reference)


def _always(row: object) -> bool:
    del row
    return True


def _table(columns: tuple[Column, ...]) -> Comparable:
    fits: dict[Encoding, Callable[[Any], bool]] = {Encoding.RECORDS: _always}
    left_out: dict[Encoding, str] = {}
    for encoding, why_not, unchanged in (
        (Encoding.INPUTS, _not_as_inputs, _same_as_inputs),
        (Encoding.INSTANCES, _not_as_instances, _same_as_inputs),
        (Encoding.CSV, _not_as_csv, _same_as_csv),
    ):
        reasons = [reason for column in columns if (reason := why_not(column)) is not None]
        if reasons:
            left_out[encoding] = reasons[0]
        else:
            fits[encoding] = _each(columns, unchanged)
    return Comparable(reference=Encoding.SPLIT, fits=fits, left_out=left_out)


def _each(columns: tuple[Column, ...], unchanged: Callable[[Column, Any], bool]) -> Callable[[Any], bool]:
    def fits(row: Any) -> bool:
        return all(unchanged(column, value) for column, value in zip(columns, row, strict=True))

    return fits


def _not_as_inputs(column: Column) -> str | None:
    if column.type is DataType.BINARY:
        return f"'{column.name}' is binary: MLflow decodes base64 in data frames only"
    if isinstance(column.type, DataType) or type_name(column.type) in {"object", "map", "any"}:
        return None
    return f"'{column.name}' is {type_name(column.type)}: MLflow hands it over as a numpy array"


def _not_as_instances(column: Column) -> str | None:
    if isinstance(column.type, DataType):
        return _not_as_inputs(column)
    return f"'{column.name}' is {type_name(column.type)}: MLflow makes one array of all rows"


def _not_as_csv(column: Column) -> str | None:
    if isinstance(column.type, DataType) and column.type not in {DataType.BINARY, DataType.DATETIME}:
        return None
    return f"'{column.name}' is {type_name(column.type)}: MLflow does not read that from CSV"


def _same_as_inputs(column: Column, value: object) -> bool:
    if column.type is not DataType.STRING:
        return True
    # numpy makes the word "None" of a null, and cuts zeros off the end of a text.
    return isinstance(value, str) and not value.endswith("\0")


def _same_as_csv(column: Column, value: object) -> bool:
    del column
    if not isinstance(value, str):
        return value is not None
    # A line of blanks is no row, and a bare carriage return ends one; the parser ends a field at a zero byte.
    return bool(value.strip()) and value not in NA_WORDS and not _NOT_CSV.search(value)
