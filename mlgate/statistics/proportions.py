"""One proportion: exact bounds, the requests they need, and the design effect of bursts."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from mlgate.statistics.arguments import binary_mask, check_counts, check_lengths, finite_vector
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.shares import check_confidence, check_share


def clopper_pearson_upper(k: float, n: float, confidence: float) -> float:
    """Bound a proportion from above.

    Clopper and Pearson (1934), Biometrika 26:404, as a quantile of the beta distribution, which is also defined for
    counts that are not whole.

    Args:
        k: Count of the event, 0 <= k <= n; may be fractional (count / design effect).
        n: Trials; may be fractional (effective sample size).
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A share in [0, 1]; 1.0 when n is 0.

    Raises:
        ValueError: k is not in [0, n], or the confidence is out of range.
    """
    check_counts(n, k)
    check_confidence(confidence)
    return 1.0 if k >= n else float(special.betaincinv(k + 1, n - k, confidence))


def clopper_pearson_lower(k: float, n: float, confidence: float) -> float:
    """Bound a proportion from below; see `clopper_pearson_upper`.

    Args:
        k: Count of the event, 0 <= k <= n; may be fractional.
        n: Trials; may be fractional.
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A share in [0, 1]; 0.0 when n or k is 0.

    Raises:
        ValueError: k is not in [0, n], or the confidence is out of range.
    """
    check_counts(n, k)
    check_confidence(confidence)
    return 0.0 if k <= 0 else float(special.betaincinv(k, n - k + 1, 1 - confidence))


def clopper_pearson(k: float, n: float, confidence: float) -> tuple[float, float]:
    """Give the two-sided interval: each bound at (1 + confidence) / 2.

    Args:
        k: Count of the event, 0 <= k <= n; may be fractional.
        n: Trials; may be fractional.
        confidence: Of the pair, in (0.5, 1).

    Returns:
        Lower and upper bound, shares in [0, 1].

    Raises:
        ValueError: k is not in [0, n], or the confidence is out of range.
    """
    check_confidence(confidence)
    one_sided = (1 + confidence) / 2
    return clopper_pearson_lower(k, n, one_sided), clopper_pearson_upper(k, n, one_sided)


def wilson(k: float, n: float, confidence: float) -> tuple[float, float]:
    """Give Wilson's two-sided score interval (1927, JASA 22:209); reported, never judged, as it is not exact.

    Args:
        k: Count of the event, 0 <= k <= n; may be fractional.
        n: Trials; may be fractional.
        confidence: Of the pair, in (0.5, 1).

    Returns:
        Lower and upper bound, shares in [0, 1]; (0, 1) when n is 0.

    Raises:
        ValueError: k is not in [0, n], or the confidence is out of range.
    """
    check_counts(n, k)
    check_confidence(confidence)
    if n == 0:
        return 0.0, 1.0
    z = float(special.ndtri((1 + confidence) / 2))
    centre = (k + z * z / 2) / (n + z * z)
    half = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    return max(0.0, centre - half), min(1.0, centre + half)


def proportion_interval(k: int, n: int, confidence: float) -> Interval | Undefined:
    """Estimate a proportion with exact one-sided bounds, for a floor on an accuracy-like metric.

    Args:
        k: Count of the event, 0 <= k <= n.
        n: Rows.
        confidence: Of each bound, in (0.5, 1).

    Returns:
        The interval, in shares; `Undefined` when n is 0.

    Raises:
        ValueError: k is not in [0, n], or the confidence is out of range.
    """
    lower, upper = clopper_pearson_lower(k, n, confidence), clopper_pearson_upper(k, n, confidence)
    if n == 0:
        return Undefined(reason="no rows", n=0)
    return Interval(
        estimate=k / n, lower=lower, upper=upper, confidence=confidence, method="Clopper-Pearson", n=n, details={"k": k}
    )


def violations_allowed(n: float, limit_share: float, confidence: float) -> int | None:
    """Find the most violations in *n* requests whose upper bound stays at or below the limit.

    Args:
        n: Requests; may be fractional (effective sample size).
        limit_share: Largest share of violations that is acceptable, in (0, 1).
        confidence: Of the upper bound, in (0.5, 1).

    Returns:
        The largest k, or None when even zero violations does not suffice at this n.

    Raises:
        ValueError: An argument is out of range.
    """
    check_share("limit_share", limit_share)
    if clopper_pearson_upper(0, n, confidence) > limit_share:
        return None
    fits, exceeds = 0, math.floor(n * limit_share) + 1
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if clopper_pearson_upper(middle, n, confidence) <= limit_share:
            fits = middle
        else:
            exceeds = middle
    return fits


def design_effect(violations: npt.ArrayLike, block: npt.ArrayLike) -> float:
    """Say how much burstiness inflates the variance of the share of violations.

    The variance of the ratio (violations / requests) over blocks of unequal size, Cochran, Sampling Techniques (1977),
    chapter 9A with blocks as clusters: k/(k-1) * sum((y_i - p m_i)^2) / n^2, divided by the binomial p (1 - p) / n.
    Effective sample size: n / design effect.

    Args:
        violations: 0/1 per request, shape (n,).
        block: Integer block (for example second) per request, shape (n,). Blocks without requests do not count.

    Returns:
        At least 1.0. Exactly 1.0 where it can not be computed: fewer than two blocks, or no or only violations.

    Raises:
        ValueError: Lengths differ, or a violation is not 0 or 1.
    """
    is_violation = binary_mask("violations", violations)
    blocks = np.asarray(block)
    check_lengths(violations=is_violation.size, block=blocks.size)
    if not is_violation.size:
        return 1.0
    _, index = np.unique(blocks, return_inverse=True)
    return design_effect_of_blocks(np.bincount(index, weights=is_violation), np.bincount(index))


def design_effect_of_blocks(counts: npt.ArrayLike, sizes: npt.ArrayLike) -> float:
    """Give `design_effect` from what each block holds.

    Args:
        counts: Violations per block, shape (blocks,).
        sizes: Requests per block, shape (blocks,). A block without requests does not count.

    Returns:
        At least 1.0, as `design_effect`.

    Raises:
        ValueError: Lengths differ, or a block holds more violations than requests.
    """
    violations, requests = finite_vector("counts", counts), finite_vector("sizes", sizes)
    check_lengths(counts=violations.size, sizes=requests.size)
    if not ((violations >= 0) & (violations <= requests)).all():
        raise ValueError("a block holds more violations than requests, or fewer than none")
    violations, requests = violations[requests > 0], requests[requests > 0]
    n, count = float(requests.sum()), float(violations.sum())
    if requests.size < 2 or count in {0.0, n}:
        return 1.0
    share = count / n
    residuals = violations - share * requests
    between = requests.size / (requests.size - 1) * float(residuals @ residuals) / n**2
    return max(1.0, between / (share * (1 - share) / n))
