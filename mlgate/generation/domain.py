"""What all domains share: how a mode fills a column, where null comes in, what is simpler. Pure."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mlgate.generation.interface import Mode

if TYPE_CHECKING:
    from mlgate.generation.interface import Domain

_NULL_SHARE = 0.1
_EDGE_SHARE = 0.25
# A row is made minimal by one request a candidate.
_MOST_CANDIDATES = 12

D = TypeVar("D", bound="Domain")


def identity(value: object) -> object:
    """Return what two values share only if they are the same JSON: `1`, `1.0` and `true` are three."""
    if value is None or isinstance(value, (str, int, float)):
        return type(value), value
    return json.dumps(value, sort_keys=True)


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return *values*, each once, in order."""
    found: dict[object, Any] = {}
    for value in values:
        found.setdefault(identity(value), value)
    return list(found.values())


def renamed(domain: D, name: str) -> D:
    """Return *domain* under another name, to be drawn beside the inputs."""
    return replace(domain, name=name)  # type: ignore[type-var]  # all of ours are dataclasses; the protocol does not say so


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDomain(ABC):
    """Base of all domains; see `mlgate.generation.interface.Domain` for what each part promises.

    Attributes:
        name: Label as a request spells it.
        nullable: Whether null is valid.
        default: A valid value that a reader finds plain.
    """

    name: str | int | None
    nullable: bool = False
    default: Any = None

    @property
    @abstractmethod
    def edges(self) -> Sequence[Any]:
        """Values that are tried and counted one by one; at least one."""

    @abstractmethod
    def valid(self, value: Any) -> bool:
        """Whether *value*, which is not null, is valid."""

    @abstractmethod
    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw *n* values from all over the domain."""

    def nearer(self, value: Any) -> Iterable[Any]:
        """Yield what may be simpler than *value*, simplest first; need not be valid."""
        del value
        return ()

    def spelled(self, value: Any) -> Any:
        """Return a known row's value as this domain spells it (a long's 4.0 as 4); what is none stays what it is."""
        return value

    def fill(self, n: int, mode: Mode, rng: np.random.Generator) -> list[Any]:
        """Draw *n* valid values."""
        match mode:
            case Mode.NULL if self.nullable:
                return [None] * n
            case Mode.NULL | Mode.DEFAULT:
                return [self.default] * n
            case Mode.EDGES:
                return self._at_edges(n, rng)
            case Mode.SPREAD:
                return self.spread(n, rng)
            case Mode.MIXED:
                return self._mixed(n, rng)

    def holds(self, value: object) -> bool:
        """Whether *value* is valid."""
        return self.nullable if value is None else self.valid(value)

    def simpler(self, value: object) -> list[Any]:
        """Return valid values that a reader finds simpler than *value*, simplest first."""
        near = () if value is None else self.nearer(value)
        candidates = distinct([self.default, *([None] if self.nullable else []), *near])
        known = [identity(candidate) for candidate in candidates]
        end = known.index(identity(value)) if identity(value) in known else len(known)
        return [candidate for candidate in candidates[:end] if self.holds(candidate)][:_MOST_CANDIDATES]

    def _mixed(self, n: int, rng: np.random.Generator) -> list[Any]:
        values = self.spread(n, rng)
        places = np.flatnonzero(rng.random(n) < _EDGE_SHARE).tolist()
        for place, edge in zip(places, self._at_edges(len(places), rng), strict=True):
            values[place] = edge
        if self.nullable:
            for place in np.flatnonzero(rng.random(n) < _NULL_SHARE).tolist():
                values[place] = None
        return values

    def _at_edges(self, n: int, rng: np.random.Generator) -> list[Any]:
        # All equally often, so that few rows try each; shuffled, so that no two columns go in step.
        edges = self.edges
        return [edges[place] for place in rng.permutation(np.resize(np.arange(len(edges)), n)).tolist()]
