"""Studentised means: how far a bound lies from an estimate whose distribution is skewed."""

from scipy import special

from mlgate.statistics.arguments import Vector


def half_widths(standard_error: float, skewness: float, critical: float) -> tuple[float, float]:
    """Give the distances of the lower and the upper bound from the estimate.

    The t interval, moved by Johnson's correction for skewness (1978, JASA 73:536) where that makes it wider and left
    alone where it would make it narrower: half the correction would be lost to the estimate of the skewness.

    Args:
        standard_error: Of the estimate, >= 0.
        skewness: Of the estimate (for a mean: of the rows, over the root of n).
        critical: One-sided critical value, > 0.

    Returns:
        Distance below and distance above, both >= 0.
    """
    shift = skewness * standard_error * (1 + 2 * critical**2) / 6
    return critical * standard_error - min(shift, 0.0), critical * standard_error + max(shift, 0.0)


def mean_moments(values: Vector) -> tuple[float, float, float]:
    """Give the mean, its variance and its third central moment.

    Args:
        values: Shape (n,), n >= 2.

    Returns:
        Mean, variance of the mean (divisor n - 1), third central moment of the mean.
    """
    n = values.size
    centred = values - values.mean()
    return float(values.mean()), float(centred @ centred) / (n - 1) / n, float((centred**3).mean()) / n**2


def t_critical(confidence: float, degrees: float) -> float:
    """Give the one-sided critical value of Student's t with *degrees* of freedom (> 0, may be fractional)."""
    return float(special.stdtrit(degrees, confidence))
