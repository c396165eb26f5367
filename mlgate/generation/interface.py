"""What a domain is: the valid values of one column, tensor or parameter. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


class Unsupported(ValueError):
    """A type that rows can not be generated for; names it."""


class Mode(StrEnum):
    """How one column is filled in one batch."""

    MIXED = "mixed"  # spread, a quarter of it edges, and nulls where they are valid
    SPREAD = "spread"
    EDGES = "edges"
    DEFAULT = "default"
    NULL = "null"  # only where null is valid; else as DEFAULT


class Domain(Protocol):
    """Valid values of one column, tensor or parameter. Values are JSON values, as a request holds them."""

    @property
    def name(self) -> str | int | None:
        """The label as a request spells it; `None` for the only, unnamed tensor."""

    @property
    def nullable(self) -> bool:
        """Whether null is valid."""

    @property
    def default(self) -> Any:
        """A valid value that a reader finds plain: the logged example's, else the middle of the domain."""

    @property
    def edges(self) -> Sequence[Any]:
        """Values that coverage counts one by one: ends of a range, declared values, the empty text."""

    def fill(self, n: int, mode: Mode, rng: "np.random.Generator") -> list[Any]:
        """Draw *n* valid values; none is thrown away to get there."""

    def holds(self, value: object) -> bool:
        """Whether *value* is valid."""

    def simpler(self, value: object) -> list[Any]:
        """Return valid values that a reader finds simpler than *value*, simplest first: the default, then near ones."""
