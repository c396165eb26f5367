"""The first pass over the evaluation data: digest, truth, keys, groups, and the columns of slices; no features."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

import pyarrow as pa

from mlgate.artifacts.signature import Column, DataType
from mlgate.errors import DataError
from mlgate.evaluation.columns import MAX_CLASSES, Coded, Keys, Numbers, classes_of, kind_of, plain
from mlgate.evaluation.feature_rows import CSV_TYPES
from mlgate.evaluation.layout import Layout, name_of
from mlgate.evaluation.metric_names import METRICS, Need
from mlgate.evaluation.outputs import label_text
from mlgate.evaluation.tables import Misfit, Table
from mlgate.policy_accuracy import Accuracy

_OF_CLASSES = frozenset({Need.LABELS, Need.SCORES, Need.POSITIVE})
_OF_NUMBERS = frozenset({Need.NUMBERS, Need.GROUP})


def truth_kind(accuracy: Accuracy) -> str | None:
    """Return whether the metrics are of `classes` or of `numbers`; `None` where only the labels can tell."""
    needs = {need for metric in accuracy.metrics if metric in METRICS for need in METRICS[metric].needs}
    if needs & _OF_NUMBERS:
        return "numbers"
    mapped = accuracy.classes or accuracy.positive is not None or accuracy.threshold is not None
    return "classes" if needs & _OF_CLASSES or mapped else None


def _csv_type(column: Column) -> Any:
    return CSV_TYPES.get(column.type, pa.string()) if isinstance(column.type, DataType) else pa.string()


def _try_cast(words: Any, kind: Any) -> None:
    plain(words, words=True).cast(kind)


class _Restart(Exception):
    """A CSV column holds more than its type was thought to: read again with the next one."""


class FirstPass:
    """Reads every file once, but for a CSV whose columns turn out to be of another type."""

    def __init__(self, accuracy: Accuracy, layout: Layout) -> None:
        self._accuracy, self._layout = accuracy, layout
        self._label, self._key, self._group = accuracy.label or "", accuracy.key, accuracy.group
        self._kind = truth_kind(accuracy) or self._kind_by_type()
        self._fixed = {self._label, self._key, self._group}
        self._ladders = self._make_ladders() if layout.is_csv else {}

    def run(self) -> Self:
        """Read, again where a type was wrong: each time a column climbs its ladder, which ends at text."""
        while True:
            try:
                self._read()
            except _Restart:
                continue
            return self._finish()

    @property
    def feature_types(self) -> Mapping[str, Any]:
        """What the input columns of a CSV are read as."""
        if not self._layout.is_csv:
            return {}
        inputs = {name_of(column): column for column in self._layout.inputs}
        fixed = {name: _csv_type(column) for name, column in inputs.items() if name in self._fixed}
        return {name: self._ladders[name][0] for name in inputs} | fixed

    @property
    def count(self) -> int:
        """Rows of all files."""
        return sum(self.rows)

    def _kind_by_type(self) -> str:
        """A metric of the user's own says nothing: fractions are numbers, and all that is text are classes."""
        kinds = {kind_of(kind) for kind in self._layout.kinds_of(self._label)}
        return "numbers" if not kinds or "number" in kinds else "classes"

    def _make_ladders(self) -> dict[str, list[Any]]:
        """Types to try for each column of a CSV, the narrowest first."""
        free = [pa.int64(), pa.float64(), pa.bool_(), pa.string()]
        ladders = {name: list(free) for name in self._accuracy.context_columns}
        # Text as it stands: "007" is another key than "7", and 20 digits are no float.
        ladders |= {name: [pa.string()] for name in (self._label, self._key, self._group) if name}
        if self._kind == "numbers":
            ladders[self._label] = [pa.float64()]
        for column in self._layout.inputs:
            kind = _csv_type(column)
            if name_of(column) not in self._fixed:
                # pandas writes whole numbers beside a missing one as 3.0.
                ladders[name_of(column)] = [kind, pa.float64()] if kind == pa.int64() else [kind]
        return ladders

    def _read(self) -> None:
        source, csv = self._layout.source, self._layout.is_csv
        what = f"{source}: label '{self._label}'"
        self.digests: list[bytes] = []
        self.rows: list[int] = []
        numbers = self._kind == "numbers"
        self._labels = Numbers(what) if numbers else Coded(what, words=csv, most=MAX_CLASSES)
        self._keys = Keys(f"{source}: key '{self._key}'", words=csv) if self._key else None
        self._groups = Coded(f"{source}: group '{self._group}'", words=csv) if self._group else None
        context = self._accuracy.context_columns
        self._context = {name: Coded(f"{source}: column '{name}'", words=csv) for name in context}
        if numbers and not csv:
            self._check_numbers(what)
        wanted = dict.fromkeys(name for name in [*self._fixed, *context] if name)
        # A CSV is converted whole, so that a value that does not fit is known before anything starts.
        types = {name: ladder[0] for name, ladder in self._ladders.items()} if csv else dict.fromkeys(wanted)
        for table in self._layout.tables:
            with table.file.unchanged():
                try:
                    self._take(table, types)
                except Misfit as error:
                    self._climb(error, table)

    def _check_numbers(self, what: str) -> None:
        for found in self._layout.kinds_of(self._label):
            if kind_of(found) in ("text", "time"):
                raise DataError(f"{what} holds {kind_of(found)}s, and {self._metric()} needs numbers")

    def _metric(self) -> str:
        return min(self._accuracy.metrics, default="the metric")

    def _take(self, table: Table, types: Mapping[str, Any]) -> None:
        count = 0
        for batch in table.batches(types, digest=True):
            if isinstance(batch, bytes):
                self.digests.append(batch)
                continue
            count += batch.num_rows
            for name, taker in self._takers():
                taker(batch.column(name))
        self.rows.append(count)

    def _takers(self) -> Iterator[tuple[str, Callable[[Any], object]]]:
        """Yield each column and what becomes of it."""
        yield self._label, self._labels.add
        if self._key is not None and self._keys is not None:
            yield self._key, self._keys.add
        if self._group is not None and self._groups is not None:
            yield self._group, self._groups.add
        yield from ((name, column.add) for name, column in self._context.items())
        for column in self._layout.inputs if self._layout.is_csv else ():
            if name_of(column) in self._fixed:  # read as text here, and as what it is when the model is asked
                yield name_of(column), partial(_try_cast, kind=_csv_type(column))

    def _climb(self, misfit: Misfit, table: Table) -> None:
        """Give a column its next type.

        Raises:
            _Restart: There was one.
            DataError: There was none.
        """
        name = misfit.column
        ladder = self._ladders[name]
        if misfit.value is not None and len(ladder) > 1:
            del ladder[0]
            raise _Restart
        if misfit.value is not None and name == self._label and truth_kind(self._accuracy) is None:
            self._kind = "classes"
            self._ladders = self._make_ladders()
            raise _Restart
        place = self._layout.source if len(self._layout.tables) == 1 else table.file.name
        row = "" if misfit.row is None else f" in row {misfit.row}"
        if misfit.value is None:
            raise DataError(
                f"{place}: column '{name}' holds bytes and no text{row}", hint="is the file UTF-8?"
            ) from misfit
        shown = repr(misfit.value[:60])
        if name == self._label:
            raise DataError(f"{place}: label '{name}' is {shown}{row}, and {self._metric()} needs numbers") from misfit
        wanted = next((column.type for column in self._layout.inputs if name_of(column) == name), ladder[0])
        raise DataError(f"{place}: column '{name}' is {shown}{row}, and the model's input is {wanted}") from misfit

    def _finish(self) -> Self:
        if self.count == 0:
            raise DataError(f"{self._layout.source}: no rows")
        if isinstance(self._labels, Coded):
            what = f"{self._layout.source}: label '{self._label}'"
            self._labels.nulls.refuse(what)
            listed = [label_text(label) for label in self._accuracy.classes or ()]
            self.truth = classes_of(self._labels.finish(), what, listed, words=self._layout.is_csv)
        else:
            self.truth = self._labels.finish()
        self.keys: Sequence[int | str] = self._keys.finish() if self._keys else range(self.count)
        self.group = None
        if self._groups is not None:
            self._groups.nulls.refuse(f"{self._layout.source}: group '{self._group}'")
            self.group = self._groups.codes()
        self.context = {name: column.finish() for name, column in self._context.items()}
        return self
