"""The two answers of every estimate: an interval, or the reason why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate between two one-sided bounds.

    Each bound holds on its own with `confidence`; together they are a two-sided interval at `2 * confidence - 1`.

    Attributes:
        estimate: The point estimate, in the metric's own unit.
        lower: One-sided lower bound, same unit.
        upper: One-sided upper bound, same unit.
        confidence: Confidence of each bound, in (0.5, 1).
        method: Name of the method, for the report.
        n: Rows (or requests, or repeats) the estimate rests on.
        standard_error: Same unit as the estimate. None where the method has none (exact and order-statistic bounds).
        details: Further numbers for the report (counts, observed values), by name.
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    method: str
    n: int
    standard_error: float | None = None
    details: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse bounds that do not enclose the estimate.

        Raises:
            ValueError: A bound or the estimate is NaN, or they are out of order.
        """
        if not self.lower <= self.estimate <= self.upper:
            message = f"{self.method}: {self.lower} <= {self.estimate} <= {self.upper} does not hold"
            raise ValueError(message)

    @property
    def width(self) -> float:
        """Distance between the bounds, in the unit of the estimate."""
        return self.upper - self.lower

    def negated(self) -> "Interval":
        """Mirror at zero, so that a loss difference (less is better) reads as a gain (more is better)."""
        return replace(self, estimate=-self.estimate, lower=-self.upper, upper=-self.lower)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    """No interval can be given: the caller says inconclusive.

    Attributes:
        reason: One clause for the report, with the numbers.
        n: Rows that were there.
    """

    reason: str
    n: int
