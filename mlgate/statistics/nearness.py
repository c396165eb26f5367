"""How near two shares are to a target on the same rows: the coverage of a predicted quantile.

With x and y the distances of challenger and champion from the target, |x| - |y| is the larger of x - |y| and -x - |y|,
and x - |y| the smaller of x - y and x + y. So it is below a limit where for each sign one of two linear bounds is:
both at half the error, and the claim holds at the kinks, where a bootstrap does not. x - y is a paired difference of
shares, x + y one with the champion's rows turned around.
"""

from mlgate.statistics.interval import Interval


def nearness_interval(apart: Interval, together: Interval, target: float, confidence: float) -> Interval:
    """Estimate how much nearer the challenger's share is to the target than the champion's.

    Args:
        apart: Challenger's share minus champion's; its confidence is 1 - (1 - confidence) / 2.
        together: Challenger's share minus the share of rows that the champion's share leaves; same confidence.
        target: In (0, 1).
        confidence: Of each bound, in (0.5, 1).

    Returns:
        -|challenger - target| + |champion - target|, in [-1, 1].

    Raises:
        ValueError: The intervals' confidence is not what *confidence* needs.
    """
    if abs(apart.confidence - halved(confidence)) > 1e-12 or together.confidence != apart.confidence:
        raise ValueError(f"confidence {apart.confidence} does not make {confidence}")
    shift = 1 - 2 * target
    low, high = together.lower + shift, together.upper + shift
    x = (apart.estimate + together.estimate + shift) / 2
    y = (together.estimate + shift - apart.estimate) / 2
    estimate = abs(y) - abs(x)
    return Interval(
        estimate=estimate,
        lower=min(estimate, -max(min(apart.upper, high), min(-low, -apart.lower))),
        upper=max(estimate, min(-apart.lower, high), min(-low, apart.upper)),
        confidence=confidence,
        method=f"{apart.method}, both sides of the target",
        n=apart.n,
        standard_error=apart.standard_error,
        details=apart.details,
    )


def halved(confidence: float) -> float:
    """Give the confidence with half the error."""
    return 1 - (1 - confidence) / 2
