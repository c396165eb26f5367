"""Evaluation data: truth, keys and groups in memory, features row by row from wherever they are. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Protocol

import numpy as np

from mlgate.artifacts.signature import ColumnSchema, Schema
from mlgate.errors import DataError
from mlgate.evaluation.outputs import label_text
from mlgate.evaluation.sample import UNKNOWN_CLASS, Codes, Numbers
from mlgate.evaluation.slices import Column
from mlgate.scoring.payloads import Batch

# Few requests, and each well within a second at a millisecond a row.
ROWS_PER_REQUEST = 1000
# nginx refuses a body above 1 MiB unless it is told otherwise (client_max_body_size).
BYTES_PER_REQUEST = 1_000_000


def in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Return classes, each once: whole numbers by value, before texts."""

    def place(name: str) -> tuple[bool, int, str]:
        whole = re.fullmatch(r"-?[0-9]{1,300}", name) is not None
        return not whole, int(name) if whole else 0, name

    return tuple(sorted(set(classes), key=place))


class Features(Protocol):
    """The rows that a model is asked about. Each call reads them anew, in the same order."""

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Labels of the columns, as a request spells them."""

    def batches(self, *, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield all rows in order, in batches of at most *max_rows* rows and *max_bytes* bytes of JSON.

        A row that is larger than *max_bytes* is a batch of its own.

        Raises:
            DataError: The files can not be read any more, or are not what they were.
        """

    def for_inputs(self, inputs: ColumnSchema) -> "Features":
        """Return the same rows for a model with other inputs.

        Raises:
            DataError: They lack a column that it needs, or hold one of another type.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesInMemory:
    """Features that are there already."""

    batch: Batch

    @property
    def columns(self) -> tuple[str | int, ...]:
        """Labels of the columns."""
        return self.batch.columns or ()

    def batches(self, *, max_rows: int, max_bytes: int) -> Iterator[Batch]:
        """Yield the rows; see `Features`."""
        size, start = 0, 0
        for index, row in enumerate(self.batch.rows):
            more = len(json.dumps(row)) + 2
            if index > start and (index - start >= max_rows or size + more > max_bytes):
                yield self.batch.take(range(start, index))
                size, start = 0, index
            size += more
        if start < len(self.batch):
            yield self.batch.take(range(start, len(self.batch)))

    def for_inputs(self, inputs: ColumnSchema) -> "FeaturesInMemory":
        """Return the rows for another model; see `Features`."""
        wanted = [column.label for column in inputs.columns if column.required or column.label in self.columns]
        missing = [label for label in wanted if label not in self.columns]
        if missing:
            raise DataError(f"the evaluation data has no column {', '.join(map(repr, missing))}")
        places = [self.columns.index(label) for label in wanted if label is not None]
        rows = tuple([row[place] for place in places] for row in self.batch.rows)
        return FeaturesInMemory(batch=Batch(columns=tuple(self.columns[place] for place in places), rows=rows))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """The true labels: classes, numbers, or both where numbers are the classes.

    Attributes:
        codes: Positions in *classes*, shape (n,); `None` where the labels are numbers only.
        classes: Text of each class that the policy lists, in its order, else of each class found, in natural order.
        numbers: Finite numbers, shape (n,); `None` where the labels are classes only.
    """

    codes: Codes | None = None
    classes: tuple[str, ...] = ()
    numbers: Numbers | None = None

    @classmethod
    def of(cls, labels: Sequence[Any]) -> "Truth":
        """Read plain values: classes by their text, and numbers too where all are numbers."""
        texts = [label_text(label) for label in labels]
        classes = in_order(texts)
        place = {text: code for code, text in enumerate(classes)}
        numbers = None
        if all(isinstance(label, (int, float)) for label in labels):
            numbers = np.array(labels, dtype=np.float64)
        codes = np.array([place[text] for text in texts], dtype=np.int32)
        return cls(codes=codes, classes=classes, numbers=numbers)

    def __len__(self) -> int:
        array = self.numbers if self.codes is None else self.codes
        return 0 if array is None else len(array)

    def codes_in(self, names: Sequence[str]) -> Codes:
        """Return the labels as positions in another list of classes; `UNKNOWN_CLASS` where it lacks one.

        Raises:
            ValueError: The labels are numbers.
        """
        if self.codes is None:
            raise ValueError("the labels are numbers and no classes")
        if tuple(names) == self.classes:
            return self.codes
        place = {name: code for code, name in enumerate(names)}
        table = np.array([place.get(name, UNKNOWN_CLASS) for name in self.classes], dtype=np.int32)
        codes: Codes = table[self.codes]
        return codes

    @property
    def found(self) -> tuple[str, ...]:
        """Classes that at least one row has."""
        if self.codes is None:
            return ()
        counts = np.bincount(self.codes, minlength=len(self.classes))
        return tuple(name for name, count in zip(self.classes, counts, strict=True) if count)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationData:
    """Rows with their truth. What is here grows with the rows; the features do not.

    Attributes:
        source: The policy's text for where it is, or the logged dataset's.
        digest: `sha256:` over the files' bytes, in the order of their paths.
        truth: The labels.
        keys: What pairs challenger and champion, each once; the row number where the policy names no key.
        features: The rows, in the order of the input signature.
        group: Code of the group that a row belongs to, shape (n,); `None` where the policy names none.
        context: Columns beside the truth that slices and gaps read, by name.
        warnings: What a reader should know of the data, and no error: one class only.
    """

    source: str
    digest: str
    truth: Truth
    keys: Sequence[int | str]
    features: Features
    group: Codes | None = None
    context: Mapping[str, Column] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, *, source: str, digest: str, features: Batch, labels: Sequence[Any], keys: Sequence[Any] | None = None
    ) -> "EvaluationData":
        """Return rows that are in memory already, as evaluation data."""
        return cls(
            source=source,
            digest=digest,
            truth=Truth.of(labels),
            keys=range(len(labels)) if keys is None else keys,
            features=FeaturesInMemory(batch=features),
        )

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def labels(self) -> Sequence[Any]:
        """The truth as plain values, one object a row: for small data and for readers."""
        if self.truth.codes is None:
            return [] if self.truth.numbers is None else list(self.truth.numbers.tolist())
        return [self.truth.classes[code] for code in self.truth.codes]

    def batches(self, *, max_rows: int = ROWS_PER_REQUEST, max_bytes: int = BYTES_PER_REQUEST) -> Iterator[Batch]:
        """Yield the features in requests of at most *max_rows* rows and *max_bytes* bytes; see `Features.batches`."""
        return self.features.batches(max_rows=max_rows, max_bytes=max_bytes)

    def for_inputs(self, inputs: Schema | None) -> "EvaluationData":
        """Return the same rows with the features that a model with other inputs takes.

        Raises:
            DataError: Its inputs have no names, or the data lack a column.
        """
        if not isinstance(inputs, ColumnSchema) or any(column.name is None for column in inputs.columns):
            raise DataError("the evaluation data has named columns, the model's input signature has not")
        return replace(self, features=self.features.for_inputs(inputs))

    def head(self, rows: int) -> Batch:
        """Return the features of the first *rows* rows, or of all where there are fewer."""
        found: list[Any] = []
        for batch in self.features.batches(max_rows=max(rows, 1), max_bytes=BYTES_PER_REQUEST):
            found += islice(batch.rows, rows - len(found))
            if len(found) >= rows:
                break
        return Batch(columns=self.features.columns or None, rows=tuple(found))

    def take(self, rows: Sequence[int]) -> Batch:
        """Return the features of some rows, in the order given; reads the data once, up to the last of them."""
        wanted, found, start = set(rows), dict[int, Any](), 0
        for batch in self.batches():
            found |= {row: batch.rows[row - start] for row in wanted if start <= row < start + len(batch)}
            start += len(batch)
            if len(found) == len(wanted):
                break
        return Batch(columns=self.features.columns or None, rows=tuple(found[row] for row in rows))
