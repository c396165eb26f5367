"""One data file as record batches of the columns that are asked for, in bounded memory: Parquet, CSV, Arrow IPC."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from mlgate.errors import DataError
from mlgate.evaluation.sources import DataFile

# Rows that are decoded at once: a few megabytes for a hundred columns.
BATCH_ROWS = 16_384
_BLOCK = 1024 * 1024
# Read ahead by so much of each Parquet column, and not by a whole row group, which may be the whole file.
_BUFFER, _REMOTE_BUFFER = 128 * 1024, 1024 * 1024
# How Arrow says where a CSV value does not fit its type.
_MISFIT = re.compile(
    r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to [\w\[\]]+: invalid (value '(.*)'|UTF8 data)",
    re.DOTALL,
)


class Misfit(Exception):
    """A value of a CSV column does not fit the type that was tried.

    Attributes:
        column: Its name.
        row: Row in the file, from 0; `None` where it is not known.
        value: The value's text; `None` where it is not UTF-8.
    """

    def __init__(self, column: str, row: int | None, value: str | None) -> None:
        super().__init__(f"column '{column}': {value!r}")
        self.column, self.row, self.value = column, row, value


class Digest(io.RawIOBase):
    """A stream of a file's bytes that digests what is read, so that a CSV is read once for both."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream, self._digest = stream, hashlib.sha256()

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        block: bytes = self._stream.read(size if size >= 0 else None)
        self._digest.update(block)
        return block

    def close(self) -> None:
        """Close the file below it."""
        self._stream.close()
        super().close()

    def finish(self) -> bytes:
        """Return SHA-256 of the whole file."""
        while self.read(_BLOCK):
            pass
        return self._digest.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file's columns.

    Attributes:
        file: The file.
        names: Its columns, in order; a name may be there twice.
        types: Arrow's type of each column; none are known of a CSV.
    """

    file: DataFile
    names: tuple[str, ...]
    types: tuple[Any, ...]

    @classmethod
    def open(cls, file: DataFile) -> "Table":
        """Read what the file says of its columns."""
        if file.suffix == ".csv":
            return cls(file=file, names=_header(file), types=())
        with file.open() as stream:
            parquet = file.suffix == ".parquet"
            schema = pa.parquet.ParquetFile(stream).schema_arrow if parquet else _ipc(stream).schema
        return cls(file=file, names=tuple(schema.names), types=tuple(schema.types))

    def type_of(self, name: str) -> Any:
        """Return Arrow's type of a column, without a dictionary around it; `None` in a CSV."""
        if not self.types:
            return None
        found = self.types[self.names.index(name)]
        return found.value_type if pa.types.is_dictionary(found) else found

    def batches(self, types: Mapping[str, Any], *, digest: bool, rows: int = BATCH_ROWS) -> Iterator[Any]:
        """Yield record batches of the columns *types*, then, where asked for, the file's SHA-256 as bytes.

        Args:
            types: Column to the type that a CSV is read with; other files know their own.
            digest: Whether the digest comes last.
            rows: Rows at a time; a CSV has its own measure.

        Raises:
            Misfit: A CSV has a value that does not fit.
        """
        if self.file.suffix == ".csv":
            yield from self._csv(types, digest=digest)
            return
        if digest:
            found = self.file.digest()
        with self.file.open() as stream:
            if self.file.suffix == ".parquet":
                buffer = _REMOTE_BUFFER if self.file.remote else _BUFFER
                table = pa.parquet.ParquetFile(stream, buffer_size=buffer, pre_buffer=False)
                yield from table.iter_batches(batch_size=rows, columns=list(types), use_threads=False)
            else:
                yield from _ipc_batches(stream, [self.names.index(name) for name in types], rows)
        if digest:
            yield found

    def _csv(self, types: Mapping[str, Any], *, digest: bool) -> Iterator[Any]:
        stream = Digest(self.file.open())
        with stream:
            try:
                yield from pa.csv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
                    # Without this, a line break in quotes at the edge of a block breaks the row.
                    parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                    convert_options=pa.csv.ConvertOptions(include_columns=list(types), column_types=dict(types)),
                )
            except pa.ArrowInvalid as error:
                if match := _MISFIT.search(str(error)):
                    row = int(match[2]) - 2 if match[2] else None  # counted from 1, the header's line included
                    raise Misfit(self.names[int(match[1])], row, match[4]) from error
                raise
            if digest:
                yield stream.finish()


def _header(file: DataFile) -> tuple[str, ...]:
    with file.open() as stream:
        raw = io.BytesIO(stream.read(_BLOCK))
    # What comes after the header is for Arrow to judge, which knows the column and the row.
    text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        names = next(csv.reader(text, strict=True), None)
        "".join(names or ()).encode()
    except (csv.Error, UnicodeEncodeError) as error:
        raise DataError(f"{file.name}: can not be read (it has no CSV header)", hint="is it UTF-8?") from error
    if not names:
        raise DataError(f"{file.name}: can not be read (it is empty)")
    return tuple(names)


def _ipc(stream: Any) -> Any:
    try:
        return pa.ipc.open_file(stream)
    except pa.ArrowInvalid:
        stream.seek(0)
        head = stream.read(4)
        if head == b"FEA1":
            raise pa.ArrowInvalid("Feather of version 1; write it anew as version 2") from None
        raise


def _ipc_batches(stream: Any, places: list[int], rows: int) -> Iterator[Any]:
    # The names stand where they stood, so the places are rising.
    options = pa.ipc.IpcReadOptions(included_fields=sorted(places), use_threads=False)
    reader = pa.ipc.open_file(stream, options=options)
    for index in range(reader.num_record_batches):
        batch = reader.get_batch(index)
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)
