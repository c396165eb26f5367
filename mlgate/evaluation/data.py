"""Read evaluation data from files: features as model input, the truth, and the digest that names it."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.artifacts.signature import ColumnSchema, Schema
from mlgate.errors import DataError
from mlgate.evaluation.rows import EvaluationData
from mlgate.scoring.payloads import Batch

if TYPE_CHECKING:
    import pyarrow as pa

    from mlgate.policy import Accuracy

SUFFIXES = (".parquet", ".csv", ".feather", ".arrow")


def load_data(accuracy: "Accuracy", inputs: Schema | None, *, folder: Path) -> EvaluationData:
    """Read the evaluation data that the policy names.

    Args:
        accuracy: The policy's section; `data` and `label` are set.
        inputs: The input signature: which columns are features, and in which order.
        folder: Relative paths start here.

    Raises:
        DataError: Missing, unreadable, empty, without a column that is needed, a null label, or a duplicate key.
    """
    source = accuracy.data or ""
    files = _files(source, folder)
    table = _read(files, source)
    if not isinstance(inputs, ColumnSchema) or any(column.name is None for column in inputs.columns):
        raise DataError(f"{source}: evaluation data has named columns, the model's input signature has not")
    present = [column for column in inputs.columns if column.required or column.name in table.column_names]
    needed = [str(column.name) for column in present]
    _require(table, [accuracy.label or "", *([accuracy.key] if accuracy.key else []), *needed], source)
    if table.num_rows == 0:
        raise DataError(f"{source}: no rows")
    columns = [_json_values(table.column(str(column.name))) for column in present]
    labels = _json_values(table.column(accuracy.label or ""))
    if None in labels:
        raise DataError(f"{source}: label '{accuracy.label}' is null in row {labels.index(None)}")
    return EvaluationData(
        source=source,
        digest=_digest(files),
        features=Batch(
            columns=tuple(0 if column.label is None else column.label for column in present),
            rows=tuple(list(row) for row in zip(*columns, strict=True)),
        ),
        labels=tuple(labels),
        keys=_keys(table, accuracy.key, source),
    )


def _files(source: str, folder: Path) -> list[Path]:
    if "://" in source:
        raise DataError(f"{source}: only files and folders can be read yet", hint="download it beside the policy")
    path = folder / source
    files = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no {', '.join(SUFFIXES)} file in it")
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: no such data file", hint="accuracy.data is relative to the policy file")
        if file.suffix not in SUFFIXES:
            raise DataError(f"{file}: unknown kind; there are {', '.join(SUFFIXES)}")
    return files


def _read(files: Sequence[Path], source: str) -> "pa.Table":
    # Here and not above: pyarrow takes 0.2 s that a run without data need not pay.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.csv  # noqa: PLC0415
    import pyarrow.feather  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    readers = {".parquet": pa.parquet.read_table, ".csv": pa.csv.read_csv}
    try:
        return pa.concat_tables([readers.get(file.suffix, pa.feather.read_table)(file) for file in files])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{source}: can not be read ({str(error).splitlines()[0]})") from error


def _require(table: "pa.Table", names: Sequence[str], source: str) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        have = ", ".join(table.column_names[:20])
        raise DataError(f"{source}: no column {', '.join(repr(name) for name in missing)}", hint=f"columns: {have}")
    for name in names:
        if table.column_names.count(name) > 1:
            raise DataError(f"{source}: {table.column_names.count(name)} columns are called '{name}'")
        # Arrow reads text that is not UTF-8 as bytes, which JSON does not have.
        if "binary" in str(table.schema.field(name).type):
            raise DataError(f"{source}: column '{name}' holds bytes and no text", hint="is the file UTF-8?")


def _json_values(column: "pa.ChunkedArray") -> list[Any]:
    return [_json_value(value) for value in column.to_pylist()]


def _json_value(value: object) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # pandas writes a missing number as NaN; in JSON that is null
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _keys(table: "pa.Table", key: str | None, source: str) -> tuple[Any, ...]:
    if key is None:
        return tuple(range(table.num_rows))
    keys = _json_values(table.column(key))
    seen: set[Any] = set()
    for row, value in enumerate(keys):
        if value is None or value in seen:
            what = "null" if value is None else f"{value!r} twice"
            raise DataError(f"{source}: key '{key}' is {what} (row {row}); every row needs its own")
        seen.add(value)
    return tuple(keys)


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
