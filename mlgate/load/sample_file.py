"""Raw samples as a Parquet file: what anybody may read, and what a later run reads back."""

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlgate.load.samples import ErrorKind, Samples

# Column of the file to field of the samples, in the file's order.
_COLUMNS = {
    "intended_s": "intended_s",
    "sent_s": "sent_s",
    "done_s": "done_s",
    "status": "status",
    "bytes": "size",
    "error": "error",
    "body": "body",
    "target": "target",
}
_KINDS = {kind.label: kind for kind in ErrorKind}


def write_samples(samples: Samples, path: Path) -> None:
    """Write *samples* to *path*, whole or not at all; times not known are null, errors are their labels."""
    labels = pa.array([ErrorKind(code).label for code in range(len(ErrorKind))])
    columns = {
        name: pa.array(np.ascontiguousarray(getattr(samples, field)), from_pandas=True)
        for name, field in _COLUMNS.items()
    }
    columns["error"] = pa.DictionaryArray.from_arrays(columns["error"].cast(pa.int8()), labels).dictionary_decode()
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        pq.write_table(pa.table(columns), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_samples(path: Path) -> Samples:
    """Read what `write_samples` wrote; answers are not in it, and `answer` is -1 throughout.

    Raises:
        OSError: No such file.
        ValueError: Not such a file: a column is missing, of another type, or holds what it can not.
    """
    with path.open("rb") as file:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path.name} holds no load samples ({error})") from error
    unsent = Samples.unsent(np.zeros(len(table)))
    types = {field.name: getattr(unsent, field.name).dtype for field in fields(Samples)}
    if table.column_names != list(_COLUMNS):
        raise ValueError(f"{path.name} holds no load samples (its columns are {', '.join(table.column_names)[:200]})")
    try:
        columns = {field: _column(table.column(name), types[field], field) for name, field in _COLUMNS.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} holds no load samples ({error})") from error
    return Samples(**columns, answer=unsent.answer)


def _column(column: Any, kind: "np.dtype[Any]", field: str) -> NDArray[Any]:
    if field == "error":
        return np.array([_KINDS[label] for label in column.to_pylist()], kind)
    if column.null_count and kind.kind != "f":
        raise ValueError(f"{field} holds null")
    values: NDArray[Any] = column.to_numpy()
    if values.dtype != kind and len(values):
        raise TypeError(f"{field} is {values.dtype}, not {kind}")
    return values.astype(kind)
