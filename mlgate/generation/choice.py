"""Domains that are lists of values: declared ones, seen categories, true and false. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from mlgate.generation.domain import ValueDomain, identity
from mlgate.generation.number import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDomain(ValueDomain):
    """One of *values*.

    Attributes:
        values: All valid values, as a request spells them.
        declared: They stand in the policy, and may be named in the evidence; else they were seen in data.
        ranks: A number for each value, where they have an order (numbers, dates).
        kind: Everything of their type; says how a value is spelled.
    """

    values: tuple[Any, ...]
    declared: bool = False
    ranks: tuple[float, ...] | None = None
    kind: ValueDomain | None = None
    _known: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {identity(value): place for place, value in enumerate(self.values)}
        object.__setattr__(self, "_known", places)

    @property
    def edges(self) -> Sequence[Any]:
        """Every value."""
        return self.values

    def valid(self, value: Any) -> bool:
        """Whether it is one of them."""
        return identity(value) in self._known

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw each equally often."""
        return [self.values[place] for place in rng.integers(0, len(self.values), n).tolist()]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield nothing but the default: no category is simpler than another."""
        del value
        yield from ()

    def spelled(self, value: Any) -> Any:
        """Return a known row's value as the listed ones are spelled."""
        return value if self.kind is None else self.kind.spelled(value)

    @property
    def low(self) -> float:
        """The least rank."""
        return min(self.ranks or (0.0,))

    @property
    def high(self) -> float:
        """The greatest rank."""
        return max(self.ranks or (0.0,))

    def narrowed(self, low: float, high: float) -> Self | None:
        """Return the values with ranks from *low* to *high*, or `None` where there are none."""
        kept = [(value, rank) for value, rank in zip(self.values, self.ranks or (), strict=True) if low <= rank <= high]
        if not kept:
            return None
        values = tuple(value for value, _ in kept)
        default = self.default if identity(self.default) in map(identity, values) else values[0]
        return replace(self, values=values, ranks=tuple(rank for _, rank in kept), default=default)

    def numbers(self, values: Sequence[Any]) -> Numbers:
        """Return the ranks of *values*, null as NaN."""
        ranks = self.ranks or ()
        found = (np.nan if value is None else ranks[self._known[identity(value)]] for value in values)
        return np.fromiter(found, dtype=np.float64, count=len(values))

    def listed(self, numbers: Numbers) -> list[Any]:
        """Return the values of ranks."""
        by_rank = dict(zip(self.ranks or (), self.values, strict=True))
        return [by_rank[number] for number in numbers.tolist()]

    def raised(self, numbers: Numbers, floor: Numbers) -> Numbers:
        """Return *numbers* with those below their *floor* moved to a rank at or above it."""
        ranks = np.sort(np.array(self.ranks or (), dtype=np.float64))
        share = np.searchsorted(ranks, numbers) / len(ranks)
        first = np.minimum(np.searchsorted(ranks, floor), len(ranks) - 1)
        moved = ranks[np.minimum(first + (share * (len(ranks) - first)).astype(np.int64), len(ranks) - 1)]
        return np.where(numbers < floor, moved, numbers)
