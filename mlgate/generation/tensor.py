"""Domains of tensors: one row's part, as nested lists. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.generation.domain import ValueDomain, distinct
from mlgate.generation.interface import Mode

# An edge in every element; a picture has too many elements to be drawn once more for each of a dozen edges.
_SMALL = 4096
_EDGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDomain(ValueDomain):
    """Tensors of one row, all of one shape in a request.

    Attributes:
        element: Domain of the elements.
        shape: Without the axis of the rows; -1 for any length.
        shortest: Smallest length of an open axis.
        longest: Largest length of an open axis.
        usual: Length of each open axis in the default.
        shared: Open axes have the length of another tensor's: a simpler value keeps it.
        whole: The tensor has no axis of rows, and its one value goes for the whole request.
    """

    element: ValueDomain
    shape: tuple[int, ...]
    shortest: int = 1
    longest: int = 8
    usual: tuple[int, ...] = ()
    shared: bool = False
    whole: bool = False

    @property
    def edges(self) -> Sequence[Any]:
        """Every element the same edge; lengths are the request's, see `InputSpace.sample`."""
        shape = self.sized(())
        most = _EDGES if math.prod(shape) <= _SMALL else 2
        return distinct(constant(edge, shape) for edge in list(self.element.edges)[:most])

    @property
    def open_axes(self) -> tuple[int, ...]:
        """Places of the axes of any length."""
        return tuple(place for place, size in enumerate(self.shape) if size == -1)

    def sized(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """Return the shape with *lengths* in its open axes, in order; none given: the default's."""
        given = iter(lengths or self.usual)
        return tuple(next(given) if size == -1 else size for size in self.shape)

    def lengths(self, rng: np.random.Generator, mode: Mode = Mode.MIXED) -> tuple[int, ...]:
        """Draw the lengths of the open axes, half of the time at their edges."""
        if mode is Mode.DEFAULT:
            return self.usual
        ends = sorted({self.shortest, min(self.shortest + 1, self.longest), self.longest})
        at_edge = mode is Mode.EDGES or (mode is Mode.MIXED and rng.random() < 0.5)
        return tuple(
            ends[int(rng.integers(len(ends)))]
            if at_edge
            else int(rng.integers(self.shortest, self.longest, endpoint=True))
            for _ in self.open_axes
        )

    def fill(self, n: int, mode: Mode, rng: np.random.Generator) -> list[Any]:
        """Draw *n* tensors of one shape."""
        return self.fill_sized(n, self.lengths(rng, mode), mode, rng)

    def fill_sized(self, n: int, lengths: Sequence[int], mode: Mode, rng: np.random.Generator) -> list[Any]:
        """Draw *n* tensors with *lengths* in the open axes."""
        shape = self.sized(lengths)
        if mode in {Mode.DEFAULT, Mode.NULL}:
            value = self.default if shape == self.sized(()) else constant(self.element.default, shape)
            return [value] * n
        if self.whole:
            return nested(self.element.fill(math.prod(shape), mode, rng), (1, *shape)) * n
        tensors = nested(self.element.fill(n * math.prod(shape), mode, rng), (n, *shape))
        if mode is not Mode.SPREAD:  # elements at random hardly ever are all zero, or all at one end
            edges = list(self.element.edges)[: _EDGES if math.prod(shape) <= _SMALL else 2]
            places = np.flatnonzero(rng.random(n) < (1.0 if mode is Mode.EDGES else 0.25)).tolist()
            chosen = rng.permutation(np.resize(np.arange(len(edges)), len(places))).tolist()
            for place, edge in zip(places, chosen, strict=True):
                tensors[place] = constant(edges[edge], shape)
        return tensors

    def valid(self, value: Any) -> bool:
        """Whether it has the shape and valid elements."""
        level: list[Any] = [value]
        found: list[int] = []
        for size in self.shape:
            if not level:
                break  # an axis of length zero
            lengths = {len(inner) if isinstance(inner, list) else -1 for inner in level}
            if len(lengths) != 1 or -1 in lengths or (size != -1 and lengths != {size}):
                return False
            if size == -1:
                found += lengths
            level = [leaf for inner in level for leaf in inner]
        return all(self.shortest <= length <= self.longest for length in found) and all(map(self.element.valid, level))

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw elements from all over their domain."""
        return self.fill(n, Mode.SPREAD, rng)

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield shorter tensors, the same element everywhere, and half of the elements plain."""
        array = np.array(value, dtype=object)
        if array.ndim != len(self.shape):
            return
        plain = self.element.default
        if not self.shared:
            for axis in self.open_axes:
                for size in dict.fromkeys((self.shortest, array.shape[axis] // 2)):
                    yield np.take(array, range(max(size, self.shortest)), axis=axis).tolist()
        zero = [edge for edge in self.element.edges if not isinstance(edge, str) and edge == 0]
        for element in [plain, *zero]:
            yield np.full(array.shape, element, dtype=object).tolist()
        for part in (slice(None, array.size // 2), slice(array.size // 2, None)):
            half = array.flatten()
            half[part] = plain
            yield half.reshape(array.shape).tolist()

    def special(self, value: Any) -> list[int]:
        """Return the places of the elements that are not plain, in the flattened tensor."""
        plain = self.element.default
        return [place for place, element in enumerate(np.array(value, dtype=object).flat) if element != plain]

    def plain_but(self, value: Any, kept: Sequence[int]) -> Any:
        """Return the tensor with the plain element everywhere but at the places *kept* of the flattened one."""
        array = np.array(value, dtype=object)
        thin = np.full(array.size, self.element.default, dtype=object)
        thin[list(kept)] = array.flatten()[list(kept)]
        return thin.reshape(array.shape).tolist()

    def spelled(self, value: Any) -> Any:
        """Return the tensor with its elements as they are spelled."""
        return [self.spelled(inner) for inner in value] if isinstance(value, list) else self.element.spelled(value)


def constant(element: Any, shape: Sequence[int]) -> Any:
    """Return nested lists of *shape* with one element everywhere; without axes, the element."""
    value = element
    for size in reversed(shape):
        value = [value] * size
    return value


def nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    """Return *flat* as nested lists of *shape*."""
    for place in range(len(shape) - 1, 0, -1):
        size, count = shape[place], math.prod(shape[:place])
        flat = [flat[index * size : (index + 1) * size] for index in range(count)]
    return flat
