"""Challenger minus champion on the same rows: right or wrong, and mean losses."""

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from mlgate.statistics.arguments import check_counts, finite_vector
from mlgate.statistics.discordance import FEW_ROWS, differing_rows, unseen_share
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.shares import check_confidence
from mlgate.statistics.studentised import half_widths, mean_moments, t_critical


def tango_statistic(b: float, c: float, n: float, difference: float, *, correction: float = 0.0) -> float:
    """Give the score statistic of the hypothesis that challenger minus champion equals *difference*.

    Tango (1998), Stat. Med. 17:891, with the maximum likelihood estimate q of the share of losses under the hypothesis
    in closed form. Approximately standard normal there; for b = c = 0 and -margin it is sqrt(n margin / (1 - margin)).

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.
        n: All rows, > 0.
        difference: Hypothetical difference of the shares, in (-1, 1).
        correction: Rows taken off the distance between data and hypothesis; not in Tango's paper.

    Returns:
        Positive when the data lie above the hypothesis. Infinite where the hypothesis leaves no variance.

    Raises:
        ValueError: b + c > n, or the difference is out of range.
    """
    check_counts(n, b, c)
    if not -1 < difference < 1:
        message = f"difference {difference} is not between -1 and 1"
        raise ValueError(message)
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    q = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    distance = b - c - n * difference - correction
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def tango_lower(b: float, c: float, n: float, confidence: float, *, correction: float = 0.0) -> float:
    """Bound the difference of paired shares (challenger minus champion) from below, by Tango's score interval.

    Never of zero width. The score test is not exact: at its worst (no gains, few losses) a model at the margin passes a
    little more often than 1 - confidence. Enumerated in tests/unit/statistics/test_paired.py: 6.8 % at n = 268 and
    margin 0.01, at 95 %. What gates is therefore `paired_shares.py`.

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.
        n: All rows, > 0.
        confidence: Of this one bound, in (0.5, 1).
        correction: See `tango_statistic`.

    Returns:
        A difference of shares in [-1, 1).

    Raises:
        ValueError: n is 0, b + c > n, or the confidence is out of range.
    """
    check_counts(n, b, c)
    check_confidence(confidence)
    if n <= 0:
        message = "n = 0: there is no bound"
        raise ValueError(message)
    z = float(special.ndtri(confidence))
    estimate, nearly_all = (b - c) / n, -1 + 1e-12
    if estimate <= nearly_all or tango_statistic(b, c, n, nearly_all, correction=correction) <= z:
        return -1.0
    at = min(estimate, 1 - 1e-12)
    return float(
        optimize.brentq(
            lambda difference: tango_statistic(b, c, n, difference, correction=correction) - z, nearly_all, at
        )
    )


def tango_upper(b: float, c: float, n: float, confidence: float) -> float:
    """Bound the difference of paired shares from above: the mirror image of `tango_lower`.

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.
        n: All rows, > 0.
        confidence: Of this one bound, in (0.5, 1).

    Returns:
        A difference of shares in (-1, 1].

    Raises:
        ValueError: n is 0, b + c > n, or the confidence is out of range.
    """
    return -tango_lower(c, b, n, confidence)


def tango_interval(b: int, c: int, n: int, confidence: float) -> Interval | Undefined:
    """Estimate the difference of paired shares between Tango's score bounds.

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.
        n: All rows.
        confidence: Of each bound, in (0.5, 1).

    Returns:
        The interval, in shares, with the discordant counts and McNemar's p-value as details; `Undefined` for no rows.

    Raises:
        ValueError: b + c > n, or the confidence is out of range.
    """
    check_counts(n, b, c)
    check_confidence(confidence)
    if n == 0:
        return Undefined(reason="no rows", n=0)
    estimate = (b - c) / n
    return Interval(
        estimate=estimate,
        lower=min(estimate, tango_lower(b, c, n, confidence)),
        upper=max(estimate, tango_upper(b, c, n, confidence)),
        confidence=confidence,
        method="Tango score",
        n=n,
        # Wald's, for planning only: it is zero when no rows are discordant.
        standard_error=math.sqrt(max(0.0, (b + c) / n - estimate**2) / n),
        details={"b": b, "c": c, "mcnemar_p": mcnemar_exact(b, c)},
    )


def mcnemar_exact(b: int, c: int) -> float:
    """Test whether gains and losses are equally frequent. Reported, never judged: it tests equality, not a margin.

    Args:
        b: Rows where only the challenger is right.
        c: Rows where only the champion is right.

    Returns:
        The exact two-sided p-value (binomial, McNemar 1947); 1.0 without discordant rows.

    Raises:
        ValueError: A count is negative.
    """
    check_counts(b + c, b, c)
    few, n = min(b, c), b + c
    # Twice P(binomial(n, 1/2) <= few). scipy.stats says it in a word, and takes 0.3 s and 30 MB to import.
    return 1.0 if abs(b - c) < 2 else min(1.0, 2 * float(special.betainc(n - few, few + 1, 0.5)))


def paired_mean_interval(
    differences: npt.ArrayLike, confidence: float, *, largest: float | None = None
) -> Interval | Undefined:
    """Estimate the mean of per-row differences of a loss.

    Student's t, with Johnson's correction for skewness where it widens. Simulated one-sided error at the margin for
    n = 100, at 95 %: normal 5.0 %, Laplace 4.9 %, exponential 5.9 % on the side of the long tail, 3.3 % on the other.
    Strong skewness exceeds 5 %: lognormal (sigma 1) 8.7 % on the side of the long tail at n = 100, 6.9 % at 400, 5.5 %
    at 1600.

    When fewer than `FEW_ROWS` rows differ from the median difference, the t interval is (almost) of zero width and must
    not gate. With *largest*, the bounds are then at least `unseen_share` times the largest change away; without it,
    the losses are unbounded and there is no interval.

    Args:
        differences: Challenger's minus champion's loss per row, shape (n,), any unit.
        confidence: Of each bound, in (0.5, 1).
        largest: Largest absolute difference that the loss allows (1.0 for the Brier score); None when it is unbounded.

    Returns:
        The interval in the unit of the loss; `Undefined` for fewer than two rows, or too few differing ones.

    Raises:
        ValueError: A difference is NaN, infinite or beyond *largest*, or the confidence is out of range.
    """
    values = finite_vector("differences", differences)
    check_confidence(confidence)
    n = values.size
    if largest is not None and not np.abs(values).max(initial=0.0) <= largest:
        message = f"a difference exceeds the largest possible one, {largest}"
        raise ValueError(message)
    if n < 2:
        return Undefined(reason=f"{n} rows are too few for a mean", n=n)
    differing = differing_rows(values)
    if differing < FEW_ROWS and largest is None:
        return Undefined(reason=f"only {differing} of {n} rows differ, and the loss is unbounded", n=n)
    mean, variance, third = mean_moments(values)
    error = math.sqrt(variance)
    below, above = half_widths(error, third / variance**1.5 if variance else 0.0, t_critical(confidence, n - 1))
    if differing < FEW_ROWS and largest is not None:
        floor = unseen_share(differing, n, confidence) * (largest + abs(float(np.median(values))))
        below, above = max(below, floor), max(above, floor)
    return Interval(
        estimate=mean,
        lower=mean - below,
        upper=mean + above,
        confidence=confidence,
        method="paired t, skewness-corrected",
        n=n,
        standard_error=error,
        details={"differing": differing},
    )
