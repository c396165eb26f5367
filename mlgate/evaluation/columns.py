"""Columns that are kept of the evaluation data, as they come in batches: keys, classes, numbers, and what slices read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray
from pandas.util import hash_array

from mlgate.errors import DataError
from mlgate.evaluation.outputs import label_text
from mlgate.evaluation.rows import Truth, in_order
from mlgate.evaluation.slices import Column

# Above this, a label is an identifier or an amount, and no class.
MAX_CLASSES = 10_000
# A CSV has no nulls, only words for them: what Arrow takes for one in a column of numbers.
_NULL_WORDS = pa.array(pa.csv.ConvertOptions().null_values)
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}


def kind_of(kind: Any) -> str:
    """Return `number`, `truth value`, `text`, `bytes`, `null`, or Arrow's own word for what is none of these."""
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_boolean(kind):
        return "truth value"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    if types.is_null(kind):
        return "null"
    return "time" if types.is_temporal(kind) else str(kind).partition("<")[0]


@dataclass(slots=True)
class Nulls:
    """Rows of a column that hold no value.

    Attributes:
        count: How many.
        first: The first of them.
    """

    count: int = 0
    first: int = 0

    def add(self, mask: Any, start: int) -> None:
        """Count the true ones of *mask*, whose first row is *start*."""
        found = mask.to_numpy(zero_copy_only=False)
        if (count := int(found.sum())) > 0:
            self.first = self.first if self.count else start + int(found.argmax())
            self.count += count

    def refuse(self, what: str, also: str = "") -> None:
        """Refuse any.

        Raises:
            DataError: With the first row and the count.
        """
        if self.count:
            where = f"in row {self.first}" if self.count == 1 else f"in {self.count} rows (first: row {self.first})"
            raise DataError(f"{what} is null{also} {where}")


def plain(array: Any, *, words: bool = False) -> Any:
    """Return an Arrow array in one of a few types: int64, float64, bool or text; NaN is null, a time is ISO 8601.

    Args:
        array: Any array but nested ones and bytes; one of nulls only stays as it is.
        words: Whether text such as "" or "NaN" means null, as it does in a CSV.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_integer(kind):
        # Above 2^63 there are identifiers and nothing to calculate with.
        fits = kind != pa.uint64() or (pc.max(array).as_py() or 0) < 2**63
        return array.cast(pa.int64() if fits else pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
        return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    if pa.types.is_boolean(kind):
        return array
    if pa.types.is_null(kind):
        return array  # of whatever type the other files have
    if pa.types.is_temporal(kind):
        return pa.array([None if value is None else time_text(value) for value in array.to_pylist()], pa.string())
    text = array.cast(pa.string())
    return pc.if_else(pc.is_in(text, _NULL_WORDS), pa.scalar(None, pa.string()), text) if words else text


def time_text(value: Any) -> str:
    """Return a time as ISO 8601 has it; a length of time, which it has not, as Python writes it."""
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


class Keys:
    """The column that pairs the rows.

    Args:
        what: The column, for messages.
        words: See `plain`.
    """

    def __init__(self, what: str, *, words: bool) -> None:
        self._what, self._words = what, words
        self._chunks: list[Any] = []
        self._nulls, self._rows = Nulls(), 0

    def add(self, array: Any) -> None:
        """Take the next rows."""
        keys = plain(array, words=self._words)
        self._nulls.add(pc.is_null(keys), self._rows)
        self._rows += len(keys)
        # A copy: what is a part of a whole batch would keep all of it, features and all.
        self._chunks.append(pa.concat_arrays([keys, keys.slice(0, 0)]))

    def finish(self) -> Sequence[int | str]:
        """Return the keys: whole numbers or texts.

        Raises:
            DataError: A null, a number with a fraction, or a key that is there twice.
        """
        if self._nulls.count:
            first, count = self._nulls.first, self._nulls.count
            more = "" if count == 1 else f", and in {count - 1} rows more"
            raise DataError(f"{self._what} is null (row {first}){more}; every row needs its own")
        keys = self._united()
        prints = np.concatenate([_fingerprint(chunk) for chunk in keys.chunks])
        ordered = np.sort(prints)
        same = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(same):
            self._refuse_twice(keys, np.flatnonzero(np.isin(prints, same)))
        return KeyColumn(keys)

    def _united(self) -> Any:
        kinds = {chunk.type for chunk in self._chunks}
        if kinds == {pa.int64(), pa.float64()} or kinds == {pa.float64()}:
            kinds = {pa.int64()}
        # Files of other types beside each other: what is written is what is compared.
        target = kinds.pop() if len(kinds) == 1 and pa.bool_() not in kinds else pa.string()
        chunks, self._chunks = self._chunks, []
        try:
            # In chunks as they came: in one piece they would be there twice for a while.
            return pa.chunked_array([chunk.cast(target) for chunk in chunks], type=target)
        except pa.ArrowInvalid as error:
            raise DataError(f"{self._what} holds fractions, or numbers that lost digits: {_first(error)}") from error

    def _refuse_twice(self, keys: Any, rows: NDArray[np.intp]) -> None:
        """Refuse keys that are equal; two texts may share a fingerprint."""
        first = {keys[row].as_py(): row for row in reversed(rows.tolist())}
        repeats = [row for row in rows.tolist() if first[keys[row].as_py()] != row]
        if repeats:
            row, key = repeats[0], keys[repeats[0]].as_py()
            more = "" if len(repeats) == 1 else f"; {len(repeats)} rows repeat a key"
            raise DataError(f"{self._what} is {key!r} twice (row {row}); every row needs its own{more}")


def _fingerprint(keys: Any) -> NDArray[Any]:
    """Return eight bytes a key: numbers as they are, texts hashed, so that sorting takes little memory."""
    array = keys.to_numpy(zero_copy_only=False)
    return array if keys.type == pa.int64() else hash_array(array, categorize=False)


class KeyColumn(Sequence[int | str]):
    """Keys in an Arrow array, read one by one.

    Attributes:
        array: An Arrow chunked array of int64 or text, for a file.
    """

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row: Any) -> Any:
        return KeyColumn(self.array[row]) if isinstance(row, slice) else self.array[int(row)].as_py()


class Coded:
    """A column by its distinct values.

    Args:
        what: The column, for messages.
        words: See `plain`.
        most: Distinct values, at most.
    """

    def __init__(self, what: str, *, words: bool = False, most: int | None = None) -> None:
        self._what, self._words, self._most = what, words, most
        self._chunks: list[NDArray[Any]] = []
        self._dictionaries: list[Any] = []
        self._seen: set[Any] = set()
        self.nulls, self._rows = Nulls(), 0

    def add(self, array: Any) -> None:
        """Take the next rows.

        Raises:
            DataError: More distinct values than a class label has.
        """
        values = plain(array, words=self._words)
        self.nulls.add(pc.is_null(values), self._rows)
        self._rows += len(values)
        if pa.types.is_null(values.type):
            self._chunks.append(np.full(len(values), -1, dtype=np.int8))
            self._dictionaries.append(pa.nulls(0))
            return
        coded = values.dictionary_encode()
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
        self._chunks.append(codes.astype(_code_type(len(coded.dictionary))))
        self._dictionaries.append(coded.dictionary)
        if self._most is not None:
            self._seen.update(coded.dictionary.to_pylist())
            if len(self._seen) > self._most:
                raise DataError(
                    f"{self._what} has more than {self._most} distinct values: no class label",
                    hint="metrics of numbers are rmse, mae, r2, …",
                )

    def finish(self) -> Column:
        """Return codes and values."""
        codes, values = self._finish()
        numbers = kind_of(values.type) == "number"
        return Column(codes=codes, values=values.to_numpy() if numbers else tuple(values.to_pylist()))

    def codes(self) -> NDArray[Any]:
        """Return the codes alone."""
        return self._finish()[0]

    def _finish(self) -> tuple[NDArray[Any], Any]:
        """Unite the dictionaries of the batches, and let go of each batch's codes as they are translated."""
        kinds = {dictionary.type for dictionary in self._dictionaries} - {pa.null()}
        if kinds == {pa.int64(), pa.float64()}:
            kinds = {pa.float64()}
        target = kinds.pop() if len(kinds) == 1 else pa.string()
        lengths = [len(dictionary) for dictionary in self._dictionaries]
        places, values = _distinct(pa.concat_arrays([part.cast(target) for part in self._dictionaries]))
        self._dictionaries = []
        # The place after the last is that of -1, in each batch.
        codes, row, start = np.empty(self._rows, dtype=_code_type(len(values))), 0, 0
        for index, length in enumerate(lengths):
            chunk, self._chunks[index] = self._chunks[index], np.empty(0)
            table = np.append(places[start : start + length], -1)
            codes[row : row + len(chunk)] = table[chunk]
            row, start = row + len(chunk), start + length
        return codes, values


def _distinct(values: Any) -> tuple[NDArray[Any], Any]:
    """Return the place of each value among the distinct ones, and these as they first appear.

    Sorting takes a fifth of the memory of Arrow's hash table, which counts where each row has a group of its own.
    """
    kind = kind_of(values.type)
    if kind in ("number", "text"):
        array = values.to_numpy() if kind == "number" else _fingerprint(values)
        _, first, places = np.unique(array, return_index=True, return_inverse=True)
        order = np.argsort(first)
        places = np.argsort(order)[places]
        distinct = values.take(pa.array(first[order]))
        # Two texts may share a fingerprint.
        if kind == "number" or pc.all(pc.equal(distinct.take(pa.array(places)), values)).as_py() is not False:
            return places, distinct
    coded = values.dictionary_encode()
    return coded.indices.to_numpy(zero_copy_only=False), coded.dictionary


def _code_type(values: int) -> Any:
    return np.min_scalar_type(-max(values, 1))


class Numbers:
    """A column of finite numbers.

    Args:
        what: The column, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._chunks: list[NDArray[np.float64]] = []
        self._nulls, self._rows = Nulls(), 0

    def add(self, array: Any) -> None:
        """Take the next rows."""
        values = plain(array).cast(pa.float64(), safe=False)
        self._nulls.add(pc.invert(pc.fill_null(pc.is_finite(values), fill_value=False)), self._rows)
        self._rows += len(values)
        self._chunks.append(values.to_numpy(zero_copy_only=False).copy())  # as for keys

    def finish(self) -> Truth:
        """Return the numbers.

        Raises:
            DataError: A null, NaN or infinity.
        """
        self._nulls.refuse(self._what, " or not finite")
        return Truth(numbers=np.concatenate(self._chunks))


def classes_of(column: Column, what: str, listed: Sequence[str], *, words: bool) -> Truth:
    """Return a label column as classes.

    Args:
        column: The labels; none is null.
        what: The column, for messages.
        listed: Texts of the classes that the policy names; empty where it names none.
        words: Whether the labels come from a CSV, which has text only.

    Raises:
        DataError: A label with a fraction, or one that the policy does not list.
    """
    values = _listed(column.values)
    if words and column.kind == "text":
        values = _from_words(values)
    texts = [_class_text(value, column, code, what) for code, value in enumerate(values)]
    classes = tuple(listed) or in_order(texts)
    counts = np.bincount(column.codes, minlength=len(texts))
    for code, text in enumerate(texts):
        if text not in classes and counts[code]:
            first = int((column.codes == code).argmax())
            rows = f"row {first}" if counts[code] == 1 else f"{counts[code]} rows (first: row {first})"
            raise DataError(
                f"{what} is {text!r} in {rows}, a class the model never saw",
                hint=f"accuracy.classes lists {', '.join(classes[:20])}",
            )
    place = {name: index for index, name in enumerate(classes)}
    table = np.array([place.get(text, -1) for text in texts], dtype=_code_type(len(classes)))
    return Truth(codes=table[column.codes], classes=classes)


def _class_text(value: Any, column: Column, code: int, what: str) -> str:
    if isinstance(value, float) and not value.is_integer():
        row = int((column.codes == code).argmax())
        raise DataError(
            f"{what} is {value:g} in row {row}: a number and no class", hint="metrics of numbers are rmse, mae, r2, …"
        )
    return label_text(value)


def _listed(values: Any) -> list[Any]:
    listed: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return listed


def _from_words(words: list[str]) -> list[Any]:
    """Return a CSV's labels as JSON would have them: truth values or numbers where all of them are."""
    if set(words) <= _TRUE | _FALSE:
        return [word in _TRUE for word in words]
    if any(re.match(r"[-+]?0[0-9]", word) for word in words):
        return words  # "007" is a name
    try:
        return [int(word) if re.fullmatch(r"-?[0-9]{1,300}", word) else float(word) for word in words]
    except ValueError:
        return words


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
