"""Which columns of the evaluation data are read: all there, in every file, and of types that fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import Column, ColumnSchema, Schema
from mlgate.errors import DataError
from mlgate.evaluation.columns import kind_of
from mlgate.evaluation.feature_rows import misfit_kind
from mlgate.evaluation.sources import DataFile
from mlgate.evaluation.tables import Table
from mlgate.policy_accuracy import Accuracy


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which columns are read of which files.

    Attributes:
        source: For messages.
        tables: The files.
        inputs: Input columns that the files have, in the order of the signature.
    """

    source: str
    tables: tuple[Table, ...]
    inputs: tuple[Column, ...]

    @property
    def is_csv(self) -> bool:
        """Whether the files are text, whose types have to be found out."""
        return self.tables[0].file.suffix == ".csv"

    def kinds_of(self, name: str) -> list[Any]:
        """Return Arrow's types of a column over all files; none of a CSV."""
        return [kind for table in self.tables if (kind := table.type_of(name)) is not None]


def name_of(column: Column) -> str:
    """Return the column's name in a file."""
    return str(column.name)


def find_layout(accuracy: Accuracy, inputs: Schema | None, source: str, files: Sequence[DataFile]) -> Layout:
    """Look into the files for the columns that the policy and the signature name.

    Raises:
        DataError: A column is not there, is there twice, or is of a type that does not fit.
    """
    if not isinstance(inputs, ColumnSchema) or any(column.name is None for column in inputs.columns):
        raise DataError(f"{source}: evaluation data has named columns, the model's input signature has not")
    tables = []
    for file in files:
        with file.unchanged():
            tables.append(Table.open(file))
    present = tuple(column for column in inputs.columns if column.required or column.name in tables[0].names)
    own = [accuracy.label, accuracy.key, accuracy.group, *accuracy.context_columns]
    needed = list(dict.fromkeys([*(name for name in own if name), *map(name_of, present)]))
    for table in tables:
        _check_names(table, needed, source)
    layout = Layout(source=source, tables=tuple(tables), inputs=present)
    _check_types(layout, needed)
    return layout


def _check_names(table: Table, needed: Sequence[str], source: str) -> None:
    missing = [name for name in needed if name not in table.names]
    place = source if source.endswith(table.file.suffix) else table.file.name
    if missing:
        have = ", ".join(table.names[:20])
        raise DataError(f"{place}: no column {', '.join(map(repr, missing[:20]))}", hint=f"columns: {have}")
    for name in needed:
        if table.names.count(name) > 1:
            raise DataError(f"{place}: {table.names.count(name)} columns are called '{name}'")


def _check_types(layout: Layout, needed: Sequence[str]) -> None:
    """Refuse columns that are no input of that type, hold bytes or lists, or are of one kind here and another there."""
    inputs = {name_of(column): column for column in layout.inputs}
    for name in needed:
        first: tuple[str, str] | None = None
        for table in layout.tables:
            if (found := table.type_of(name)) is None:
                continue
            kind, column = kind_of(found), inputs.get(name)
            wrong = misfit_kind(column, found) if column else None
            if column is None and kind not in ("number", "truth value", "text", "time", "null"):
                wrong = "holds bytes and no text" if kind == "bytes" else f"holds {kind}s"
            if wrong:
                wanted = f", and the model's input is {column.type}" if column and "bytes" not in wrong else ""
                hint = "is the file UTF-8?" if "bytes" in wrong else None
                raise DataError(f"{layout.source}: column '{name}' {wrong}{wanted}", hint=hint)
            if first and "null" not in (kind, first[0]) and kind != first[0]:
                raise DataError(
                    f"{layout.source}: column '{name}' holds {first[0]}s in {first[1]} and {kind}s in {table.file.name}",
                    hint="write the files with one schema",
                )
            first = first if first and kind == "null" else (kind, table.file.name)
