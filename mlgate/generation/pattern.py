"""Texts that match a regular expression: a pool, drawn once by hypothesis. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np

from mlgate.generation.domain import ValueDomain

POOL = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternDomain(ValueDomain):
    """Texts that *pattern* matches from end to end.

    Attributes:
        pattern: Regular expression, as Python's `re` has them.
        pool: The texts that are drawn, shortest first.
    """

    pattern: str
    pool: tuple[str, ...] = field(repr=False)

    @property
    def edges(self) -> Sequence[Any]:
        """The shortest and the longest of the pool."""
        return list(dict.fromkeys([self.pool[0], self.pool[-1]]))

    def valid(self, value: Any) -> bool:
        """Whether it matches."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def spread(self, n: int, rng: np.random.Generator) -> list[Any]:
        """Draw from the pool."""
        return [self.pool[place] for place in rng.integers(0, len(self.pool), n).tolist()]

    def nearer(self, value: Any) -> Iterator[Any]:
        """Yield the shortest texts of the pool."""
        del value
        yield from self.pool[:3]


@lru_cache(maxsize=64)
def matching(pattern: str, *, n: int = POOL) -> tuple[str, ...]:
    """Return up to *n* texts that match *pattern*, shortest first; the same ones every time.

    Raises:
        ValueError: No text was found.
    """
    # Here and not above: 150 ms, and few policies have a pattern.
    from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: PLC0415
    from hypothesis import strategies as st  # noqa: PLC0415
    from hypothesis.errors import HypothesisException  # noqa: PLC0415

    found: dict[str, None] = {}
    letters = st.characters(codec="utf-8", exclude_characters="\0")

    @seed(crc32(pattern.encode()))
    @settings(
        max_examples=n, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.from_regex(re.compile(pattern), fullmatch=True, alphabet=letters))
    def collect(text: str) -> None:
        found[text] = None

    try:
        collect()
    except HypothesisException as error:
        raise ValueError(f"no text matches it ({error})") from error
    if not found:
        raise ValueError("no text matches it")
    return tuple(sorted(found, key=lambda text: (len(text), text)))
