"""One batch of answers, read whole: by functions that loop in C, each looked at once. Pure.

Nothing here says that an answer is wrong: what is not all of one shape is `None`, and then read row by row.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput

Floats = NDArray[np.float64]
Place = str | int | None
Kinds = frozenset[type]

_NUMBERS = frozenset({int, float})
_NESTED = frozenset({list, dict})


class AnswerBatch:
    """Answers to one request.

    Args:
        rows: One JSON value a row.
        mapping: How to read one.
    """

    def __init__(self, rows: Sequence[Any], mapping: OutputMapping) -> None:
        self.rows = rows
        self._mapping = mapping
        self._columns: dict[Place, tuple[Sequence[Any] | None, Kinds]] = {}
        self._floats: dict[Place, Floats | None] = {}

    def each(self, read: Callable[[Any], Any]) -> list[Any]:
        """Read row by row.

        Raises:
            UnmappedOutput: With the row.
        """
        values = []
        for index, row in enumerate(self.rows):
            try:
                values.append(read(row))
            except UnmappedOutput as error:
                raise UnmappedOutput(str(error), row=index) from None
        return values

    def column(self, place: Place) -> tuple[Sequence[Any] | None, Kinds]:
        """Return what `outputs.pick` returns for each row, and the types that occur.

        `None` where the rows are of several shapes, or lack it.
        """
        if place not in self._columns:
            self._columns[place] = self._column(place)
        return self._columns[place]

    def floats(self, place: Place) -> Floats | None:
        """Return the column at *place*; `None` where it is not all finite numbers."""
        if place not in self._floats:
            self._floats[place] = _floats(*self.column(place))
        return self._floats[place]

    @cached_property
    def matrix(self) -> Floats | None:
        """Scores of all classes, (n, k) in the order of the policy's; `None` where not every row has them, finite."""
        part, kinds = self._part
        names = self._mapping.class_names
        if not part or not names:
            return None
        if kinds == {list} and len(names) > 1 and set(map(len, part)) == {len(names)}:
            flat = list(chain.from_iterable(part))
            found = _floats(flat, _kinds(flat))
            return None if found is None else found.reshape(len(part), len(names))
        return _named_matrix(part, names) if kinds == {dict} else None

    @cached_property
    def may_hold_scores(self) -> bool:
        """Whether some rows may hold the scores of all classes, though there is no `matrix` of them."""
        part, kinds = self._part
        if part is None:
            return True
        if not self._mapping.classes or not kinds & _NESTED:
            return False
        if kinds == {dict}:
            return any(map(dict.__contains__, part, repeat(self._mapping.class_names[0])))
        return kinds != {list} or set(map(len, part)) != {1}

    @cached_property
    def _row_kinds(self) -> Kinds:
        return _kinds(self.rows)

    @cached_property
    def _lengths(self) -> frozenset[int]:
        """Of rows that are all lists, or all dicts."""
        return frozenset(map(len, self.rows))

    @cached_property
    def _part(self) -> tuple[Sequence[Any] | None, Kinds]:
        """What `OutputMapping.scored_part` returns for each row."""
        if self._mapping.score is not None:
            return self.column(self._mapping.score)
        if self._row_kinds == {dict}:
            only = self._at(None) if self._lengths == {1} else None
            inner = frozenset() if only is None else _kinds(only)
            if not inner & _NESTED:
                return self.rows, self._row_kinds
            return (only, inner) if len(inner) == 1 else (None, inner)
        return (self.rows, self._row_kinds) if self._mapping.prediction is None else self.column(self._mapping.prediction)  # fmt: skip

    def _column(self, place: Place) -> tuple[Sequence[Any] | None, Kinds]:
        values = self._at(place)
        if values is None:
            return None, frozenset()
        kinds = self._row_kinds if values is self.rows else _kinds(values)
        if list not in kinds:
            return values, kinds
        lengths = set(map(len, values)) if kinds == {list} else {1}
        if lengths == {1} and kinds == {list}:
            alone = list(map(itemgetter(0), values))
            return alone, _kinds(alone)
        return (None, frozenset()) if 1 in lengths else (values, kinds)

    def _at(self, place: Place) -> Sequence[Any] | None:
        if self._row_kinds == {dict}:
            name = place if isinstance(place, str) else self._name_at(place)
            if name is None or (place is None and self._lengths != {1}):
                return None
            try:
                return list(map(itemgetter(name), self.rows))
            except KeyError:
                return None
        if self._row_kinds == {list}:
            size = next(iter(self._lengths)) if len(self._lengths) == 1 else 0
            if place is None:
                return list(map(itemgetter(0), self.rows)) if size == 1 else None
            inside = isinstance(place, int) and -size <= place < size
            return list(map(itemgetter(place), self.rows)) if inside else None
        return self.rows if place in (None, 0) and not self._row_kinds & _NESTED else None

    def _name_at(self, place: int | None) -> str | None:
        """Return the name at an index of rows that all have the same names in the same order."""
        names = list(self.rows[0])
        same = len(set(map(tuple, self.rows))) == 1
        index = 0 if place is None else place
        return names[index] if same and -len(names) <= index < len(names) else None


def _kinds(values: Sequence[Any]) -> Kinds:
    return frozenset(map(type, values))


def _named_matrix(part: Sequence[Any], names: Sequence[str]) -> Floats | None:
    columns = []
    for name in names:
        try:
            values = list(map(itemgetter(name), part))
        except KeyError:
            return None
        column = _floats(values, _kinds(values))
        if column is None:
            return None
        columns.append(column)
    return np.stack(columns, axis=1)


def _floats(values: Sequence[Any] | None, kinds: Kinds) -> Floats | None:
    """Return finite numbers; `None` where anything else is among them."""
    if values is None or not kinds <= _NUMBERS:
        return None
    try:
        found = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    return found if bool(np.isfinite(found).all()) else None
