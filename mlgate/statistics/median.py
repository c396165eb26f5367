"""Medians of errors: of one model, and challenger minus champion on the same rows. No distribution is assumed.

One model: between order statistics. Two: the score test is inverted. A difference d and a champion's median m say that
half of the challenger's errors lie below m + d and half of the champion's below m. On each row the two statements hold
both, neither, or one of them; sums of their difference and of their sum over the rows give a chi-square statistic, and
d belongs to the interval where it is small enough for *some* m: the profile over the nuisance parameter, as empirical
likelihood has it (Owen, Empirical Likelihood (2001), sections 3.5 and 3.6). Needs no density and no resampling, and a
gap in the errors at the median, where a bootstrap fails, makes the interval wide.

Rows of one group are not independent: their statements are summed by group.

Ties are broken by the order of the rows, the same for both models, as an infinitely small difference would.

Half a row is taken off the distance, and `UNSEEN` discordant rows are added to the variance: a challenger that loses a
few rows and gains none passes more often than it may without (Tango's score test has the same defect, `paired_shares.py`).
Simulated one-sided error at the margin (tests/unit/statistics/test_median.py, at 95 %): at most 4.5 %, 100 rows of which
the challenger breaks 6 at a gap of the errors (a BCa bootstrap 8.7 %); else under 4 %. At n = 1000 the width is 1.1 to
1.3 times that of the BCa bootstrap, which passes up to 6.7 %.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, check_lengths, finite_vector
from mlgate.statistics.clusters import Groups, group_codes
from mlgate.statistics.discordance import differing_rows
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.quantiles import quantile_interval
from mlgate.statistics.shares import check_confidence
from mlgate.statistics.studentised import t_critical

# The smallest number of rows, or of groups, that was simulated.
MIN_UNITS = 100
# Discordant rows added, and taken off the distance; chosen by simulation.
UNSEEN = 3.0
CORRECTION = 0.5
# Values tried for the champion's median, at most.
TRIED = 65
# How far beyond the critical value ranks are looked at, in standard errors of a rank.
BEYOND = 3.0


def median_interval(
    values: npt.ArrayLike, confidence: float, *, group: npt.ArrayLike | None = None
) -> Interval | Undefined:
    """Estimate one model's median error, for a floor.

    Args:
        values: Per row, shape (n,), any unit.
        confidence: Of each bound, in (0.5, 1).
        group: A group per row, shape (n,), where rows are not independent.

    Returns:
        The interval in the unit of the values; `Undefined` for fewer than `MIN_UNITS` rows (or groups), or where all
        values are equal.

    Raises:
        ValueError: A value is NaN or infinite, lengths differ, or the confidence is out of range.
    """
    errors = finite_vector("values", values)
    check_confidence(confidence)
    codes = None if group is None else group_codes(group, errors.size)
    refused = _refused(codes, errors)
    if refused is not None:
        return refused
    if codes is None:
        return quantile_interval(errors, 0.5, confidence)
    estimate = float(np.median(errors))
    return Interval(
        estimate=estimate,
        lower=min(estimate, -_upper(-errors, codes, confidence)),
        upper=max(estimate, _upper(errors, codes, confidence)),
        confidence=confidence,
        method="score test of the median, by group",
        n=errors.size,
        details={"groups": int(codes.max()) + 1},
    )


def paired_median_interval(
    challenger: npt.ArrayLike, champion: npt.ArrayLike, confidence: float, *, group: npt.ArrayLike | None = None
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's median error; positive means worse. Never of zero width.

    Args:
        challenger: Errors per row, shape (n,), any unit.
        champion: Errors, same rows in the same order.
        confidence: Of each bound, in (0.5, 1).
        group: A group per row, shape (n,), where rows are not independent.

    Returns:
        The interval in the unit of the errors, mirrored exactly for swapped models; `Undefined` for fewer than
        `MIN_UNITS` rows (or groups), or where the errors vary too little to bound their medians.

    Raises:
        ValueError: Lengths differ, an error is NaN or infinite, or the confidence is out of range.
    """
    new, old = finite_vector("challenger", challenger), finite_vector("champion", champion)
    check_lengths(challenger=new.size, champion=old.size)
    check_confidence(confidence)
    codes = None if group is None else group_codes(group, new.size)
    refused = _refused(codes, new, old)
    if refused is not None:
        return refused
    estimate = float(np.median(new)) - float(np.median(old))
    above = _largest_difference(new, old, codes, confidence)
    below = _largest_difference(old, new, codes, confidence)
    if above is None or below is None:
        return Undefined(reason=f"{new.size} rows are too few to bound the medians at {confidence:.1%}", n=new.size)
    if not (above > estimate or -below < estimate):
        return Undefined(reason=f"nothing varies about the medians of {new.size} rows", n=new.size)
    groups = {} if codes is None else {"groups": int(codes.max()) + 1}
    return Interval(
        estimate=estimate,
        lower=min(estimate, -below),
        upper=max(estimate, above),
        confidence=confidence,
        method=f"score test of the medians{'' if codes is None else ', by group'}",
        n=new.size,
        details={**groups, "differing": differing_rows(new - old)},
    )


def _refused(codes: Groups | None, *errors: Vector) -> Undefined | None:
    n = errors[0].size
    units = n if codes is None or not n else int(codes.max()) + 1
    if units < MIN_UNITS:
        kind = "rows" if codes is None else "groups"
        return Undefined(reason=f"{units} {kind} are fewer than {MIN_UNITS}" if n else "no rows", n=n)
    if all(part.min() == part.max() for part in errors):
        return Undefined(reason=f"the errors are the same in all of {n} rows", n=n)
    return None


def _upper(values: Vector, codes: Groups, confidence: float) -> float:
    """Give the largest value that may be the median: the score test of one statement, by group."""
    order = np.argsort(values, kind="stable")
    sizes = np.bincount(codes)
    start, earlier = -sizes / 2, _occurrence(codes[order])
    moved = start[codes[order]] + earlier
    # After k = 0, 1, ... rows.
    squares = _running(float(start @ start), 2 * moved + 1)
    above = np.arange(values.size + 1) - values.size / 2
    z = t_critical(confidence, sizes.size - 1)
    last = int(np.flatnonzero(above <= z * np.sqrt(squares))[-1])
    return float(values[order[min(last, values.size - 1)]])


def _largest_difference(new: Vector, old: Vector, codes: Groups | None, confidence: float) -> float | None:
    """Give the largest compatible difference of the medians; `None` where none is refused."""
    new_order, old_order = np.argsort(new, kind="stable"), np.argsort(old, kind="stable")
    n = new.size
    sizes = None if codes is None else np.bincount(codes).astype(np.float64)
    per_unit = 1.0 if sizes is None else float(sizes @ sizes) / n
    z = t_critical(confidence, math.inf if sizes is None else sizes.size - 1)
    reach = (z + BEYOND) * math.sqrt(n * per_unit) / 2 + 2 * UNSEEN * per_unit
    first, last = max(1, math.floor(n / 2 - reach)), min(n, math.ceil(n / 2 + reach))
    walk = (_Rows if codes is None else _Groups)(new_order, old_order, codes, first, last)
    largest = -math.inf
    for rank in np.unique(np.linspace(first, last, TRIED).round().astype(np.intp)):
        allowed = np.flatnonzero(_statistic(walk.moments(int(rank)), per_unit) <= z**2)
        if not allowed.size:
            continue
        below = first + int(allowed[-1])
        if below >= n:
            return None
        largest = max(largest, float(new[new_order[below]] - old[old_order[rank - 1]]))
    return largest if math.isfinite(largest) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moments:
    """Sums over the units for each number of the challenger's errors that are taken as below, shape (k,) each.

    Of a unit: how many more of the challenger's than of the champion's errors are below (apart), and how many of both,
    less the number of its rows (together).
    """

    apart: Vector
    together: Vector
    apart_squares: Vector
    together_squares: Vector
    products: Vector


def _statistic(moments: _Moments, per_unit: float) -> Vector:
    """Give the chi-square statistic of both sums' being zero; one-sided in the difference."""
    apart = np.maximum(moments.apart - CORRECTION * per_unit, 0.0)
    together = np.maximum(np.abs(moments.together) - CORRECTION * per_unit, 0.0) * np.sign(moments.together)
    a, c, b = moments.apart_squares + UNSEEN * per_unit**2, moments.together_squares, moments.products
    c = np.maximum(c, per_unit**2)
    statistic: Vector = (apart**2 * c - 2 * apart * together * b + together**2 * a) / np.maximum(a * c - b * b, 1e-12)
    return statistic


class _Rows:
    """Each row is a unit."""

    def __init__(self, new: Groups, old: Groups, _: Groups | None, first: int, last: int) -> None:
        self.n, self.first = new.size, first
        rank = np.empty(new.size, dtype=np.intp)
        rank[old] = np.arange(new.size)
        self.before, self.walked = np.sort(rank[new[:first]]), rank[new[first:last]]

    def moments(self, rank: int) -> _Moments:
        """Take the champion's *rank* smallest errors as below."""
        both = _running(float(np.searchsorted(self.before, rank)), (self.walked < rank).astype(np.float64))
        below = self.first + np.arange(both.size, dtype=np.float64)
        apart = below + rank - 2 * both
        return _Moments(
            apart=below - rank, together=below + rank - self.n,
            apart_squares=apart, together_squares=self.n - apart, products=np.zeros(both.size),
        )  # fmt: skip


class _Groups:
    """Each group is a unit."""

    def __init__(self, new: Groups, old: Groups, codes: Groups | None, first: int, last: int) -> None:
        if codes is None:
            raise ValueError("no groups")
        self.first, self.sizes, self.old = first, np.bincount(codes).astype(np.float64), codes[old]
        self.before = np.bincount(codes[new[:first]], minlength=self.sizes.size)
        self.walked = codes[new[first:last]]
        self.earlier = _occurrence(self.walked)

    def moments(self, rank: int) -> _Moments:
        """Take the champion's *rank* smallest errors as below."""
        of_old = np.bincount(self.old[:rank], minlength=self.sizes.size)
        apart, together = self.before - of_old, self.before + of_old - self.sizes
        # A further row adds one to both of its group, so 2 x + 1 to a square, x + y + 1 to a product.
        x, y = (start[self.walked] + self.earlier for start in (apart, together))
        steps = np.arange(x.size + 1)
        return _Moments(
            apart=apart.sum() + steps, together=together.sum() + steps,
            apart_squares=_running(float(apart @ apart), 2 * x + 1),
            together_squares=_running(float(together @ together), 2 * y + 1),
            products=_running(float(apart @ together), x + y + 1),
        )  # fmt: skip


def _running(start: float, steps: npt.ArrayLike) -> Vector:
    running: Vector = start + np.concatenate([[0.0], np.cumsum(steps)])
    return running


def _occurrence(codes: Groups) -> Groups:
    """Say of each row how many rows of its group come before it."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    found = np.empty(codes.size, dtype=np.intp)
    found[order] = np.arange(codes.size) - np.repeat(starts, np.diff(np.append(starts, codes.size)))
    return found
