"""The text of order relations: `start <= end`, `low < mid <= high`. Pure, and cheap to load."""

import re
from dataclasses import dataclass

_SIGN = re.compile(r"\s*(<=|<|>=|>|==?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """*first* is at most *second*, or below it."""

    first: str
    second: str
    strict: bool

    def __str__(self) -> str:
        return f"{self.first} {'<' if self.strict else '<='} {self.second}"


def parse_order(text: str) -> tuple[Relation, ...]:
    """Read `a <= b`, `a < b` or a chain of such.

    Raises:
        ValueError: It is none; says what is expected.
    """
    parts = _SIGN.split(text.strip())
    names, signs = parts[::2], parts[1::2]
    if not signs or not all(names) or not set(signs) <= {"<", "<="}:
        raise ValueError(f"'{text}' is no order: write first <= second, first < second, or a chain of them")
    if len(set(names)) != len(names):
        raise ValueError(f"'{text}' names a column twice")
    return tuple(
        Relation(first=first, second=second, strict=sign == "<")
        for first, sign, second in zip(names, signs, names[1:], strict=False)
    )
