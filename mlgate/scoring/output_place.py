"""Where in an answer something stands: named outputs, indices, and paths into objects and arrays. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    ColumnType,
    DataType,
    MapType,
    ObjectType,
    Schema,
    Tensor,
    UnsupportedType,
    type_name,
)

NUMBERS = frozenset({DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE})


class NoSuchOutput(ValueError):
    """A place that the declared outputs do not have; says which there are."""


class NotThere(ValueError):
    """A place that one answer does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPlace:
    """One place in a row of answers.

    Attributes:
        name: For messages.
        index: Number of the output that it is in; `None` where the model declares none.
        output: Name of that output; `None` where it has none.
        only: Whether there is no other output.
        path: From that output on.
        kind: What the signature says stands there; tensors as arrays.
        sizes: Lengths of the arrays that *kind* begins with, -1 for any.
    """

    name: str
    index: int | None
    output: str | None
    only: bool
    path: tuple[str | int, ...]
    kind: ColumnType
    sizes: tuple[int, ...]

    @property
    def is_number(self) -> bool:
        """Whether one number stands here; an array of one is that one."""
        kind, sizes = self.kind, self.sizes
        while isinstance(kind, ArrayType) and sizes[:1] == (1,):
            kind, sizes = kind.items, sizes[1:]
        return kind in NUMBERS

    @property
    def is_array(self) -> bool:
        """Whether several values stand here, in a row of their own."""
        return isinstance(self.kind, (ArrayType, AnyType, UnsupportedType)) and not self.is_number

    @property
    def of_numbers(self) -> bool:
        """Whether nothing but numbers can stand here, as far as the signature says."""
        return all(leaf in NUMBERS or not isinstance(leaf, DataType) for leaf in _leaves(self.kind))

    @property
    def words(self) -> str:
        """The place and what stands there."""
        return f"{self.name}: {_spelled(self.kind, self.sizes)}"

    def value(self, row: object) -> Any:
        """Return what stands here in a row of answers.

        Raises:
            NotThere: Nothing does.
        """
        found = row if self.index is None else self._of_output(row)
        for part in self.path:
            found = _inside(found, part)
        return found

    def number(self, row: object) -> float:
        """Return the number that stands here; an array of one is that one.

        Raises:
            NotThere: No number does.
        """
        found = self.value(row)
        while isinstance(found, list) and len(found) == 1:
            found = found[0]
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise NotThere(f"no number stands at {self.name}")
        return found

    def _of_output(self, row: object) -> Any:
        if isinstance(row, dict):
            if self.output is not None and self.output in row:
                return row[self.output]
            if self.only and self.output is None and self.path and self.path[0] in row:
                return row  # the only output is an object, and so is the row
            if self.only and len(row) == 1:
                return next(iter(row.values()))
            raise NotThere(f"the answer has no output {self.name}")
        if self.only:
            # One column in an array of its own, as numpy's shape (n, 1) gives it.
            wrapped = isinstance(row, list) and len(row) == 1 and not isinstance(self.kind, ArrayType) and not self.path
            return row[0] if wrapped and isinstance(row, list) else row
        return _inside(row, self.index or 0)


def output_places(outputs: Schema | None) -> tuple[OutputPlace, ...]:
    """Return every declared output; one that may be anything where none is declared."""
    if outputs is None:
        return (_undeclared(()),)
    parts: Sequence[Column | Tensor] = outputs.columns if isinstance(outputs, ColumnSchema) else outputs.tensors
    return tuple(_output(index, part, only=len(parts) == 1) for index, part in enumerate(parts))


def find_place(outputs: Schema | None, place: str | int) -> OutputPlace:
    """Return the output at *place*: its name, its index (in the array, where the only output is one), or a dotted path.

    Raises:
        NoSuchOutput: No output has it.
    """
    if outputs is None:
        return _undeclared((place,))
    places = output_places(outputs)
    if isinstance(place, int):
        return _at_index(places, place)
    named = {found.output: found for found in places if found.output is not None}
    if place in named:
        return named[place]
    head, *rest = place.split(".")
    for cut in range(len(rest), 0, -1):  # names may hold dots themselves: the longest that is one
        name = ".".join([head, *rest[: cut - 1]])
        if name in named:
            return _along(named[name], rest[cut - 1 :], place, places)
    if len(places) == 1 and places[0].output is None:
        return _along(places[0], [head, *rest], place, places)
    raise _none_such(place, places)


def _undeclared(path: tuple[str | int, ...]) -> OutputPlace:
    name = str(path[0]) if path else "the output"
    return OutputPlace(name=name, index=None, output=None, only=True, path=path, kind=AnyType(), sizes=())


def _output(index: int, part: Column | Tensor, *, only: bool) -> OutputPlace:
    kind, sizes = (part.type, ()) if isinstance(part, Column) else (_tensor_kind(part), part.shape[1:])
    name = str(index) if part.name is None else part.name
    return OutputPlace(name=name, index=index, output=part.name, only=only, path=(), kind=kind, sizes=sizes)


def _tensor_kind(tensor: Tensor) -> ColumnType:
    known = {"float": DataType.DOUBLE, "int": DataType.LONG, "uint": DataType.LONG, "bool": DataType.BOOLEAN}
    kind: ColumnType = known.get(tensor.dtype.rstrip("0123456789"), DataType.STRING)
    for _ in tensor.shape[1:]:
        kind = ArrayType(kind)
    return kind


def _at_index(places: tuple[OutputPlace, ...], index: int) -> OutputPlace:
    only = places[0] if len(places) == 1 else None
    if only is not None and isinstance(only.kind, ArrayType) and not only.is_number:
        return _along(only, [str(index)], index, places)
    if not -len(places) <= index < len(places):
        raise _none_such(index, places)
    return places[index]


def _along(start: OutputPlace, parts: Sequence[str], asked: str | int, places: Sequence[OutputPlace]) -> OutputPlace:
    kind, sizes, path = start.kind, start.sizes, start.path
    for part in parts:
        step = _step(kind, sizes[:1], part)
        if step is None:
            raise _none_such(asked, places)
        inside, kind = step
        sizes, path = sizes[1:], (*path, inside)
    return OutputPlace(
        name=str(asked), index=start.index, output=start.output, only=start.only, path=path, kind=kind, sizes=sizes
    )


def _step(kind: ColumnType, size: tuple[int, ...], part: str) -> tuple[str | int, ColumnType] | None:
    match kind:
        case ArrayType(items):
            index = int(part) if part.removeprefix("-").isdecimal() else None
            width = size[0] if size else -1
            inside = index is not None and (width == -1 or -width <= index < width)
            return (index, items) if inside and index is not None else None
        case ObjectType(properties):
            return next(((part, found.type) for found in properties if found.name == part), None)
        case MapType(values):
            return part, values
        case AnyType() | UnsupportedType():
            return part, AnyType()
        case DataType():
            return None


def _none_such(place: str | int, places: Sequence[OutputPlace]) -> NoSuchOutput:
    return NoSuchOutput(f"no output {place!r} among {'; '.join(found.words for found in places[:20])}")


def _inside(value: object, part: str | int) -> Any:
    if isinstance(value, dict):
        if part in value:
            return value[part]
        if isinstance(part, int) and -len(value) <= part < len(value):
            return list(value.values())[part]
    if isinstance(value, list) and (isinstance(part, int) or part.removeprefix("-").isdecimal()):
        index = int(part)
        if -len(value) <= index < len(value):
            return value[index]
    raise NotThere(f"nothing stands at {part!r}")


def _leaves(kind: ColumnType) -> Iterator[ColumnType]:
    match kind:
        case ArrayType(inner) | MapType(inner):
            yield from _leaves(inner)
        case ObjectType(properties):
            for part in properties:
                yield from _leaves(part.type)
        case _:
            yield kind


def _spelled(kind: ColumnType, sizes: tuple[int, ...]) -> str:
    if not isinstance(kind, ArrayType):
        return type_name(kind)
    size = f" of {sizes[0]}" if sizes and sizes[0] != -1 else ""
    return f"array{size} of {_spelled(kind.items, sizes[1:])}"
