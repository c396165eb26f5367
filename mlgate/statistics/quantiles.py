"""Quantiles bounded by order statistics, without assuming a distribution.

The count of values below the quantile q is binomial(n, q), so the r-th smallest value is at or above the quantile with
probability P(binomial(n, q) <= r - 1): David and Nagaraja, Order Statistics (2003), section 7.1. With ties and with
discrete values the bound is conservative. All values equal gives bounds that coincide; that is a statement about the
data's resolution, not a zero variance, so it may gate.
"""

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, finite_vector
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.shares import check_confidence, check_share


def upper_rank(n: int, q: float, confidence: float) -> int | None:
    """Find the order statistic that bounds the quantile *q* from above.

    Args:
        n: Values measured.
        q: Quantile, in (0, 1).
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A rank in 1..n (1 is the smallest value), or None when n is too small for any.

    Raises:
        ValueError: An argument is out of range.
    """
    from scipy import stats  # noqa: PLC0415 - takes 0.3 s and 30 MB, which other metrics do without

    check_share("q", q)
    check_confidence(confidence)
    if n < 1:
        return None
    rank = int(stats.binom.ppf(confidence, n, q)) + 1
    return rank if rank <= n else None


def lower_rank(n: int, q: float, confidence: float) -> int | None:
    """Find the order statistic that bounds the quantile *q* from below: the mirror image of `upper_rank`.

    Args:
        n: Values measured.
        q: Quantile, in (0, 1).
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A rank in 1..n (1 is the smallest value), or None when n is too small for any.

    Raises:
        ValueError: An argument is out of range.
    """
    mirrored = upper_rank(n, 1 - q, confidence)
    return None if mirrored is None else n + 1 - mirrored


def median_upper_rank(n: int, confidence: float) -> int | None:
    """Find the order statistic that bounds the median from above.

    Args:
        n: Repeats measured.
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A rank in 1..n; 5 (the slowest) for 5 repeats at 95 %, None for fewer than 5.

    Raises:
        ValueError: The confidence is out of range.
    """
    return upper_rank(n, 0.5, confidence)


def attained_confidence(n: int, rank: int, q: float) -> float:
    """Say how sure it is that the value of this rank is at or above the quantile *q*.

    Args:
        n: Values measured.
        rank: In 1..n; 1 is the smallest value.
        q: Quantile, in (0, 1).

    Returns:
        A probability in [0, 1]; 0.96875 = 1 - 0.5**5 for the slowest of 5 and the median.

    Raises:
        ValueError: The rank is not in 1..n, or q is out of range.
    """
    from scipy import stats  # noqa: PLC0415 - as above

    check_share("q", q)
    if not 1 <= rank <= n:
        message = f"rank {rank} is not in 1..{n}"
        raise ValueError(message)
    return float(stats.binom.cdf(rank - 1, n, q))


def quantile_upper(sorted_values: npt.ArrayLike, q: float, confidence: float) -> float | None:
    """Bound the quantile *q* from above.

    Args:
        sorted_values: Ascending, shape (n,), any unit.
        q: Quantile, in (0, 1).
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        One of the values, or None when n is too small for a bound.

    Raises:
        ValueError: A value is NaN or infinite, the values are not ascending, or an argument is out of range.
    """
    values = _ascending(sorted_values)
    rank = upper_rank(values.size, q, confidence)
    return None if rank is None else float(values[rank - 1])


def quantile_lower(sorted_values: npt.ArrayLike, q: float, confidence: float) -> float | None:
    """Bound the quantile *q* from below.

    Args:
        sorted_values: Ascending, shape (n,), any unit.
        q: Quantile, in (0, 1).
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        One of the values, or None when n is too small for a bound.

    Raises:
        ValueError: A value is NaN or infinite, the values are not ascending, or an argument is out of range.
    """
    values = _ascending(sorted_values)
    rank = lower_rank(values.size, q, confidence)
    return None if rank is None else float(values[rank - 1])


def quantile_interval(values: npt.ArrayLike, q: float, confidence: float) -> Interval | Undefined:
    """Estimate the quantile *q* between order statistics. The median of five lies between fastest and slowest.

    Args:
        values: In any order, shape (n,), any unit.
        q: Quantile, in (0, 1).
        confidence: Of each bound, in (0.5, 1).

    Returns:
        The interval, in the unit of the values; `Undefined` when n is too small for both bounds.

    Raises:
        ValueError: A value is NaN or infinite, or an argument is out of range.
    """
    ordered = np.sort(finite_vector("values", values))
    n = ordered.size
    below, above = lower_rank(n, q, confidence), upper_rank(n, q, confidence)
    if below is None or above is None:
        return Undefined(reason=f"{n} values are too few to bound the {q:g} quantile at {confidence:.1%}", n=n)
    # The default linear interpolation may leave the bounds by rounding; the middle order statistics can not.
    lower, upper = float(ordered[below - 1]), float(ordered[above - 1])
    return Interval(
        estimate=min(max(float(np.quantile(ordered, q)), lower), upper),
        lower=lower,
        upper=upper,
        confidence=confidence,
        method="order statistics",
        n=n,
        details={"lower_rank": below, "upper_rank": above, "attained": attained_confidence(n, above, q)},
    )


def _ascending(sorted_values: npt.ArrayLike) -> Vector:
    values = finite_vector("sorted_values", sorted_values)
    if (np.diff(values) < 0).any():
        message = "sorted_values are not ascending"
        raise ValueError(message)
    return values
