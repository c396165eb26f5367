"""Domains of arrays, objects and maps, nested at any depth. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgate.generation.domain import ValueDomain, distinct
from mlgate.generation.interface import Mode

_LEFT_OUT = 0.15
_FEW = 3  # parts of a value whose simpler forms are tried
_EDGES_SHOWN = 6  # edges of one part that are edges of the whole
# Keys of a map of which no known row shows any.
KEYS = ("a", "b", "key", "ключ", "🔑", " ", "a.b")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayDomain(ValueDomain):
    """Lists of *shortest* to *longest* items, all of one domain."""

    items: ValueDomain
    shortest: int
    longest: int

    @property
    def edges(self) -> Sequence[Any]:
        """The shortest and the longest, and one of each edge of the items."""
        plain = [
            [self.items.default] * size for size in dict.fromkeys((self.shortest, min(1, self.longest), self.longest))
        ]
        size = max(self.shortest, 1)
        odd = [[edge] * size for edge in list(self.items.edges)[:_EDGES_SHOWN]] if size <= self.longest else []
        return distinct(value for value in [*plain, *odd] if self.shortest <= len(value))

    def valid(self, value: Any) -> bool:
        """Whether it is a list of valid items, of a valid length."""
        if not isinstance(value, list) or not self.shortest <= len(value) <= self.longest:
            return False
        return all(map(self.items.holds, value))

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw lengths, then the items of all lists at once."""
        ends = np.cumsum(rng.integers(self.shortest, self.longest, n, endpoint=True)).tolist()
        if not ends:
            return []
        items = self.items.fill(ends[-1], Mode.MIXED, rng)
        return [items[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield shorter lists, then lists with a simpler item."""
        for size in (0, 1, len(value) // 2, len(value) - 1):
            yield value[: max(size, self.shortest)]
        for place, item in enumerate(value[:_FEW]):
            for simpler in self.items.simpler(item)[:2]:
                yield [*value[:place], simpler, *value[place + 1 :]]

    def spelled(self, value: Any) -> Any:
        """Return the list with its items as they are spelled."""
        return [self.items.spelled(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDomain(ValueDomain):
    """Objects with the *properties* that a signature names, and no others.

    Attributes:
        properties: Name to domain; an optional one is nullable.
        required: Names that must be there.
    """

    properties: Mapping[str, ValueDomain]
    required: frozenset[str]

    @property
    def edges(self) -> Sequence[Any]:
        """Only what is required, everything, each optional one as null, and each property at its edges."""
        full: dict[str, Any] = {name: domain.default for name, domain in self.properties.items()}
        bare = {name: value for name, value in full.items() if name in self.required}
        nulls = [{**full, name: None} for name, domain in self.properties.items() if domain.nullable]
        odd = [{**full, name: edge} for name, domain in self.properties.items() for edge in list(domain.edges)[:_FEW]]
        # MLflow takes an object without any property for one that is missing.
        return distinct(value for value in [bare, full, *nulls[:_EDGES_SHOWN], *odd[: 2 * _EDGES_SHOWN]] if value)

    def valid(self, value: Any) -> bool:
        """Whether it has all that is required, nothing else, and valid values."""
        if not isinstance(value, dict) or not value or not self.required <= value.keys() <= self.properties.keys():
            return False
        return all(self.properties[name].holds(inner) for name, inner in value.items())

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw each property for all objects at once; an optional one is left out now and then."""
        values: list[Any] = [{} for _ in range(n)]
        for name, domain in self.properties.items():
            there = np.ones(n, dtype=bool) if name in self.required else rng.random(n) >= _LEFT_OUT
            for value, inner, kept in zip(values, domain.fill(n, Mode.MIXED, rng), there.tolist(), strict=True):
                if kept:
                    value[name] = inner
        return [value or self._something() for value in values]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield it without each optional property, then with a simpler value of each."""
        for name in value:
            if name not in self.required:
                yield {other: inner for other, inner in value.items() if other != name}
        for name, inner in value.items():
            for simpler in self.properties[name].simpler(inner)[:1]:
                yield {**value, name: simpler}

    def spelled(self, value: Any) -> Any:
        """Return the object with its values as they are spelled."""
        if not isinstance(value, dict):
            return value
        known = self.properties
        return {name: known[name].spelled(inner) if name in known else inner for name, inner in value.items()}

    def _something(self) -> dict[str, Any]:
        name, domain = next(iter(self.properties.items()))
        return {name: domain.default}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDomain(ValueDomain):
    """Objects with any of *keys*, and values of one domain.

    Attributes:
        values: Domain of each value.
        keys: Keys that are drawn; any text is valid.
        shortest: Fewest entries.
        longest: Most entries.
    """

    values: ValueDomain
    keys: tuple[str, ...]
    shortest: int
    longest: int

    @property
    def edges(self) -> Sequence[Any]:
        """The fewest and the most entries, and one entry of each edge of the values."""
        sizes = dict.fromkeys((self.shortest, min(1, self.longest), self.longest))
        plain = [dict.fromkeys(self.keys[:size], self.values.default) for size in sizes]
        size = max(self.shortest, 1)
        odd = [dict.fromkeys(self.keys[:size], edge) for edge in list(self.values.edges)[:_EDGES_SHOWN]]
        return distinct(value for value in [*plain, *odd] if self.shortest <= len(value) <= self.longest)

    def valid(self, value: Any) -> bool:
        """Whether it is an object of valid values, with a valid number of them."""
        if not isinstance(value, dict) or not self.shortest <= len(value) <= self.longest:
            return False
        return all(isinstance(key, str) for key in value) and all(map(self.values.holds, value.values()))

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw keys, then the values of all objects at once."""
        sizes = rng.integers(self.shortest, self.longest, n, endpoint=True).tolist()
        inner = iter(self.values.fill(sum(sizes), Mode.MIXED, rng))
        starts = rng.integers(0, len(self.keys), n).tolist()
        return [
            {self.keys[(start + place) % len(self.keys)]: next(inner) for place in range(size)}
            for start, size in zip(starts, sizes, strict=True)
        ]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield fewer entries, then a simpler value of each."""
        entries = list(value.items())
        for size in (0, 1, len(entries) // 2, len(entries) - 1):
            yield dict(entries[: max(size, self.shortest)])
        for key, inner in entries[:_FEW]:
            for simpler in self.values.simpler(inner)[:2]:
                yield {**value, key: simpler}

    def spelled(self, value: Any) -> Any:
        """Return the object with its values as they are spelled."""
        return {key: self.values.spelled(inner) for key, inner in value.items()} if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyDomain(ValueDomain):
    """Anything JSON can say, and null where that is valid: a little of each kind."""

    kinds: tuple[ValueDomain, ...]

    @property
    def edges(self) -> Sequence[Any]:
        """A few edges of each kind."""
        return distinct(edge for kind in self.kinds for edge in list(kind.edges)[:_FEW])

    def valid(self, value: Any) -> bool:
        """Whether it is finite JSON."""
        if isinstance(value, list):
            return all(inner is None or self.valid(inner) for inner in value)
        if isinstance(value, dict):
            return all(isinstance(key, str) and (inner is None or self.valid(inner)) for key, inner in value.items())
        return isinstance(value, (str, bool, int)) or (isinstance(value, float) and abs(value) < float("inf"))

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw every kind, and choose."""
        filled = [kind.fill(n, Mode.MIXED, rng) for kind in self.kinds]
        return [filled[kind][place] for place, kind in enumerate(rng.integers(0, len(filled), n).tolist())]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield what is simpler in its own kind."""
        for kind in self.kinds:
            if kind.valid(value):
                yield from kind.simpler(value)
                return
