"""Answers and slices as columns of a Parquet file, and back: classes and values by their text, numbers as they are."""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlgate.evaluation.sample import Sample

# Rows at a time: a few megabytes a column.
ROWS = 131_072
# The key of mlgate's own facts in the file's metadata.
FACTS = b"mlgate"


def coded(codes: NDArray[Any], texts: Sequence[str]) -> Any:
    """Return codes as a dictionary column; a code of none is null."""
    indices = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(texts), pa.string()))


def answers(sample: Sample, rows: slice, prefix: str) -> dict[str, Any]:
    """Return one model's answers to some rows, by column name."""
    found: dict[str, Any] = {}
    if sample.labels is not None:
        found[f"{prefix}.label"] = coded(sample.labels[rows], sample.classes)
    if sample.score is not None:
        found[f"{prefix}.score"] = pa.array(sample.score[rows])
    if sample.scores is not None:
        part = sample.scores[rows]
        for code, name in enumerate(sample.classes):
            found[f"{prefix}.score.{name}"] = pa.array(np.ascontiguousarray(part[:, code]))
    if sample.numbers is not None:
        found[f"{prefix}.number"] = pa.array(sample.numbers[rows])
    return found


def chunks(count: int) -> Iterator[slice]:
    """Yield *count* rows, a few at a time."""
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


def write(path: Path, batches: Iterator[Mapping[str, Any]], facts: bytes) -> None:
    """Write columns and facts to *path*: the old file or the new one, never a half.

    Args:
        path: Its folder is made.
        batches: Column name to Arrow array; the same names in each, at least one.
        facts: JSON of mlgate's own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(handle)
    try:
        writer = None
        for columns in batches:
            batch = pa.RecordBatch.from_pydict(dict(columns)).replace_schema_metadata({FACTS: facts})
            if writer is None:
                texts = [field.name for field in batch.schema if not pa.types.is_floating(field.type)]
                writer = pq.ParquetWriter(
                    partial, batch.schema, compression="zstd", use_dictionary=texts, write_page_checksum=True
                )
            writer.write_batch(batch, row_group_size=ROWS)
        if writer is not None:
            writer.close()
        Path(partial).replace(path)
    finally:
        Path(partial).unlink(missing_ok=True)


class Reader:
    """A file's columns as arrays, without pandas, which Arrow's `to_numpy`, `scalar` and `array` import: 0.7 s and 50 MB.

    Args:
        path: Written by `write`.

    Raises:
        OSError: It is not there, or no Parquet file.
    """

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path, page_checksum_verification=True)
        self.names = tuple(self._file.schema_arrow.names)
        self.facts: bytes = (self._file.schema_arrow.metadata or {}).get(FACTS, b"")
        self.rows: int = self._file.metadata.num_rows

    def codes(self, name: str, texts: Sequence[str]) -> NDArray[Any]:
        """Return a dictionary column as positions in *texts*; -1 where it is null.

        Raises:
            ValueError: It holds another text.
        """
        place = {text: code for code, text in enumerate(texts)}
        codes = np.empty(self.rows, dtype=np.min_scalar_type(-max(len(texts), 1)))
        start = 0
        for column in self._column(name):
            encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            known = encoded.dictionary.to_pylist()
            strange = [text for text in known if text not in place]
            if strange:
                raise ValueError(f"column '{name}' holds {strange[0]!r}, which is none of its values")
            table = np.array([*(place[text] for text in known), -1], dtype=codes.dtype)
            codes[start : start + len(column)] = table[_indices(encoded.indices)]
            start += len(column)
        return codes

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers.

        Raises:
            ValueError: A value is missing.
        """
        nothing = pa.nulls(0, self._file.schema_arrow.field(name).type)
        values = np.empty(self.rows, dtype=np.from_dlpack(nothing).dtype)
        start = 0
        for column in self._column(name):
            if column.null_count:
                raise ValueError(f"column '{name}' lacks a value")
            values[start : start + len(column)] = np.from_dlpack(column)
            start += len(column)
        return values

    def answers(self, prefix: str, classes: Sequence[str]) -> dict[str, Any]:
        """Return one model's answers, as fields of a `Sample`."""
        found: dict[str, Any] = {}
        if f"{prefix}.label" in self.names:
            found["labels"] = self.codes(f"{prefix}.label", classes)
        for field, column in (("score", "score"), ("numbers", "number")):
            if f"{prefix}.{column}" in self.names:
                found[field] = self.numbers(f"{prefix}.{column}")
        scores = [name for text in classes if (name := f"{prefix}.score.{text}") in self.names]
        if classes and len(scores) == len(classes):
            matrix = np.empty((self.rows, len(classes)))
            for code, name in enumerate(scores):
                matrix[:, code] = self.numbers(name)
            found["scores"] = matrix
        return found

    def _column(self, name: str) -> Iterator[Any]:
        # One group after the other: all at once, they are read ahead and held.
        for group in range(self._file.num_row_groups):
            for batch in self._file.iter_batches(batch_size=ROWS, row_groups=[group], columns=[name]):
                yield batch.column(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _indices(column: Any) -> NDArray[Any]:
    """Return whole numbers, -1 where there is none."""
    validity, numbers = column.buffers()
    found = np.from_dlpack(pa.Array.from_buffers(column.type, len(column), [None, numbers], offset=column.offset))
    if not column.null_count:
        return found
    bits = np.frombuffer(validity, dtype=np.uint8)
    valid = np.unpackbits(bits, count=column.offset + len(column), bitorder="little")[column.offset :]
    return np.where(valid, found, -1)


def content_digest(arrays: Mapping[str, NDArray[Any] | None]) -> str:
    """Return `sha256:` over the values of arrays, each with its name and type."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        if array is not None:
            found.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            found.update(np.ascontiguousarray(array).data)
    return f"sha256:{found.hexdigest()}"


def file_digest(path: Path) -> str:
    """Return `sha256:` over a file's bytes."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
