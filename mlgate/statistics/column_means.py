"""Functions of column means, of one model or of two on the same rows: bounds by rows, kinds of row, or groups of rows.

Most metrics are smooth functions of means: RMSE of the mean square, macro F1 of the shares of each class that are true,
predicted and correct, the difference of two models of both models' means. One engine bounds them all. A bound is the
widest of three:

* the Bayesian bootstrap with pseudo-rows of the least welcome row (`reweighting.py`);
* Student's t on the influence of each row (the delta method), with as many degrees of freedom as rows or groups less 1;
* what the sample can not have seen. With confidence p, a kind of row that none of u rows (or groups) shows has a share of
  at most 1 - (1 - p)^(1/u), about 3 / u. The caller imagines the worst such row; identical models get this width. Where
  no row is the worst that there can be, the share is that of one row seen, about 4.7 / u, of `unseen_losses`.

A few rows may carry all of a difference of unbounded losses: a challenger that is broken on 2 % of 100 rows. The
*effective* number of rows, (sum of squared influence)^2 / sum of its fourth powers, says so. Below `LONE_ROWS` there is
no interval, below `CAUTIOUS_ROWS` the pseudo-rows weigh five times as much. Simulated in rmse.py.

Rows of one group are not independent: then groups are reweighted, each with the sums of its rows, so that a metric
stays the metric of the rows (a ratio of sums; Cochran, Sampling Techniques (1977), chapter 9A).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, check_lengths
from mlgate.statistics.discordance import FEW_ROWS, differing_rows
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.proportions import clopper_pearson_upper
from mlgate.statistics.reweighting import PSEUDO_ROWS, upper_bound
from mlgate.statistics.shares import check_confidence
from mlgate.statistics.studentised import half_widths, t_critical

Statistic = Callable[[Vector], Vector]
# Turns columns so that the statistic changes its sign: swaps two models.
Mirror = Callable[[Vector], Vector]

# The smallest number of groups that was simulated.
MIN_GROUPS = 20
# Relative step of the numerical gradient: the truncation error (its square) and the rounding error are both small.
STEP = 1e-6
# Skewness of a mean up to which Student's t with Johnson's correction is used alone. The Edgeworth expansion gives an
# uncorrected error of phi(z) (2 z^2 + 1) / 6 times the skewness: 0.55 points at 95 %.
SMALL_SKEWNESS = 0.05
# Effective rows; chosen by simulation, see rmse.py.
LONE_ROWS = 1.5
CAUTIOUS_ROWS = 10.0
CAUTIOUS_PSEUDO_ROWS = 10.0
# An unseen row's loss in mean losses, where the largest seen is larger. Without a cap, one outlier of the target would
# make every comparison inconclusive.
UNSEEN_LOSS = 16.0
# The same of squared errors, of which a rare row may be most, whatever was seen. Rows with errors of eight times the RMSE
# are covered, or so many that at most 5.4 % of the samples hold none: 4.7 / n (40 - 1) = 2.9 / n (8^2 - 1).
UNSEEN_SQUARE = 40.0
# And of other losses, where the largest seen is smaller.
LEAST_UNSEEN_LOSS = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """What is reweighted: rows, kinds of row, or groups of rows.

    Attributes:
        sums: Sums of the columns over the rows of each unit, shape (u, k).
        sizes: Rows in each unit, shape (u,).
        counts: How many alike rows each unit stands for, shape (u,); `None`: one. Only where units are kinds of row.
        number: Independent units behind them: rows, or groups.
        grouped: Whether these are groups.
        rows: Rows in all.
        means: Mean of each column over the rows, shape (k,).
    """

    sums: Vector
    sizes: Vector
    counts: Vector | None = None
    number: int
    grouped: bool = False
    rows: int = field(init=False)
    means: Vector = field(init=False)

    def __post_init__(self) -> None:
        """Derive rows and means."""
        rows = float(self.total(self.sizes))
        object.__setattr__(self, "rows", round(rows))
        object.__setattr__(self, "means", self.total(self.sums) / max(rows, 1.0))

    def total(self, values: Vector) -> Vector:
        """Sum over all units, alike rows counted."""
        total: Vector = values.sum(axis=0) if self.counts is None else self.counts @ values
        return total

    def influence(self, gradient: Vector) -> Vector:
        """Give each unit's part in the statistic's error, shape (u,): the error is about their sum, reweighted."""
        influence: Vector = (self.sums @ gradient - self.sizes * (self.means @ gradient)) / self.rows
        return influence

    def standard_error(self, influence: Vector) -> float:
        """Give the standard error by the delta method."""
        return math.sqrt(float(self.total(influence**2)) * self.number / (self.number - 1))


def group_units(columns: npt.ArrayLike, group: npt.ArrayLike | None) -> Units:
    """Sum up rows by group; without groups each row is a unit.

    Args:
        columns: Shape (n, k) or (n,).
        group: Integer code of each row's group, shape (n,), or `None`.

    Returns:
        The units; groups without rows do not count.

    Raises:
        ValueError: Lengths differ.
    """
    table = np.asarray(columns, dtype=np.float64)
    table = table[:, np.newaxis] if table.ndim == 1 else table
    if group is None:
        return Units(sums=table, sizes=np.ones(len(table)), number=len(table))
    codes = compact_codes(group)
    check_lengths(columns=len(table), group=codes.size)
    sizes = np.bincount(codes).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column) for column in table.T]).astype(np.float64, copy=False)
    return Units(sums=sums, sizes=sizes, number=sizes.size, grouped=True)


def compact_codes(group: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Renumber groups from 0 without gaps: the rows of a slice hold some of the groups only."""
    codes = np.asarray(group)
    return np.unique(codes, return_inverse=True)[1].astype(np.intp, copy=False)


def gradient_at(statistic: Statistic, means: Vector) -> Vector:
    """Differentiate numerically, by central differences.

    Args:
        statistic: Maps means of shape (m, k) to values of shape (m,).
        means: Shape (k,).

    Returns:
        Shape (k,).
    """
    steps = STEP * np.where(means == 0.0, 1.0, np.abs(means))
    gradient = np.empty_like(means)
    chunk = max(1, 1_000_000 // means.size)
    for start in range(0, means.size, chunk):
        places = np.arange(start, min(start + chunk, means.size))
        moves = np.zeros((places.size, means.size))
        moves[np.arange(places.size), places] = steps[places]
        gradient[places] = (statistic(means + moves) - statistic(means - moves)) / (2 * steps[places])
    return gradient


def means_interval(
    units: Units,
    statistic: Statistic,
    confidence: float,
    *,
    seed: int,
    imagined: Vector | None = None,
    pseudo: tuple[Vector, Vector] | None = None,
    mirror: Mirror | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
    bounded: bool = True,
) -> Interval | Undefined:
    """Estimate a function of column means between one-sided bounds. Never of zero width.

    Args:
        units: Rows, kinds of row, or groups.
        statistic: Maps means of shape (draws, k) to values of shape (draws,).
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        imagined: Rows that were not seen but must be reckoned with, shape (m, k); `None`: none.
        pseudo: The worst rows that there can be, which would lower and raise the statistic most, shape (k,) each;
            `None`: the worst units seen.
        mirror: Swaps two models, so that swapped models get the mirrored interval with the same seed; `None`: one model.
        limits: Values that the statistic can not pass.
        bounded: Whether no row can be worse than the worst that is imagined.

    Returns:
        The interval; `Undefined` for too few units, or when nothing in the sample says how wide it should be.

    Raises:
        ValueError: The confidence is out of range.
    """
    check_confidence(confidence)
    refused = too_few(units)
    if refused is not None:
        return refused
    gradient = gradient_at(statistic, units.means)
    influence = units.influence(gradient)
    carried = math.inf if bounded else effective_rows(influence)
    if carried < LONE_ROWS:
        return Undefined(reason=f"hardly more than one of {units.number} carries the difference", n=units.rows)
    error = units.standard_error(influence)
    half = t_critical(confidence, units.number - 1) * error
    below, above = unseen_widths(units, gradient, imagined, confidence, bounded=bounded)
    estimate = float(statistic(units.means[np.newaxis])[0])
    worst = pseudo or (None, None)
    # One pseudo-row is Clopper-Pearson's where no row can be worse than it; the worst row *seen* needs more.
    weight = 1.0 if pseudo is not None else PSEUDO_ROWS if carried >= CAUTIOUS_ROWS else CAUTIOUS_PSEUDO_ROWS
    downwards, turn = (_negative(statistic), _unturned) if mirror is None else (statistic, mirror)
    mirrored = replace(units, sums=turn(units.sums))
    least = None if worst[0] is None else turn(worst[0])
    drawn_below = -_drawn_bound(mirrored, downwards, -influence, least, confidence, seed, weight)
    drawn_above = _drawn_bound(units, statistic, influence, worst[1], confidence, seed, weight)
    lower = max(limits[0], min(drawn_below, estimate - max(half, below)))
    upper = min(limits[1], max(drawn_above, estimate + max(half, above)))
    if not lower < upper:
        return Undefined(reason=f"nothing varies in {units.rows} rows", n=units.rows)
    return Interval(
        estimate=estimate,
        lower=min(lower, estimate),
        upper=max(upper, estimate),
        confidence=confidence,
        method=_method("Bayesian bootstrap with pseudo-rows", units),
        n=units.rows,
        standard_error=error,
        details={"seed": seed, "unseen": max(below, above), **_groups(units)},
    )


def mean_interval(
    units: Units,
    confidence: float,
    *,
    seed: int,
    imagined: Vector | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
    bounded: bool = True,
) -> Interval | Undefined:
    """Estimate the mean of the only column: by Student's t where the rows' skewness is small, else by `means_interval`.

    Args:
        units: Rows, or groups; one column.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        imagined: Values that were not seen but must be reckoned with, shape (m, 1); `None`: none.
        limits: Values that the mean can not pass.
        bounded: Whether no row can be worse than the worst that is imagined.

    Returns:
        The interval; `Undefined` for too few units, or when nothing in the sample says how wide it should be.

    Raises:
        ValueError: The confidence is out of range.
    """
    check_confidence(confidence)
    refused = too_few(units)
    if refused is not None:
        return refused
    influence = units.influence(np.ones(1))
    error = units.standard_error(influence)
    skewness = float(units.total(influence**3)) / error**3 if error else 0.0
    if abs(skewness) > SMALL_SKEWNESS or not (bounded or effective_rows(influence) >= CAUTIOUS_ROWS):
        return means_interval(
            units,
            only_column,
            confidence,
            seed=seed,
            imagined=imagined,
            mirror=np.negative,
            limits=limits,
            bounded=bounded,
        )
    low, high = half_widths(error, skewness, t_critical(confidence, units.number - 1))
    below, above = unseen_widths(units, np.ones(1), imagined, confidence, bounded=bounded)
    estimate = float(units.means[0])
    if not max(low, high, below, above) > 0:
        return Undefined(reason=f"nothing varies in {units.rows} rows", n=units.rows)
    return Interval(
        estimate=estimate,
        lower=min(estimate, max(limits[0], estimate - max(low, below))),
        upper=max(estimate, min(limits[1], estimate + max(high, above))),
        confidence=confidence,
        method=_method("Student's t, skewness-corrected", units),
        n=units.rows,
        standard_error=error,
        details={"unseen": max(below, above), **_groups(units)},
    )


def too_few(units: Units) -> Undefined | None:
    """Say why there are too few units, or None where there are enough."""
    if units.grouped and units.number < MIN_GROUPS:
        return Undefined(reason=f"{units.number} groups are fewer than {MIN_GROUPS}", n=units.rows)
    if units.number < 2:
        return Undefined(reason=f"{units.number} rows are too few", n=units.rows)
    return None


def unseen_losses(
    challenger: Vector, champion: Vector, largest: float | None = None, *, squared: bool = False
) -> Vector:
    """Imagine the rows on which one model is at its worst and the other makes no loss.

    Args:
        challenger: Losses, shape (n,), >= 0.
        champion: Losses, same rows.
        largest: What no loss can exceed; `None` where losses are unbounded: then `UNSEEN_LOSS` times the mean loss, or
            the largest loss seen where that is less and the models differ on more than a few rows, but at least
            `LEAST_UNSEEN_LOSS` times the mean; of squares always `UNSEEN_SQUARE` times their mean. The challenger is
            reckoned with the larger mean of both: one that made hardly a loss may make as large ones as the champion. The
            champion with its own, or a challenger could hide behind its own losses.
        squared: Whether losses are squares, of which one rare row may be most of the mean.

    Returns:
        Shape (2, 2): columns challenger and champion.
    """
    if largest is not None:
        return np.array([[largest, 0.0], [0.0, largest]])
    alike = differing_rows(challenger - champion) < FEW_ROWS
    means = np.array([challenger.mean(), champion.mean()])
    means[0] = means.max()
    worst = means * (UNSEEN_SQUARE if squared else UNSEEN_LOSS)
    if not (alike or squared):
        seen = max(challenger.max(), champion.max())
        worst = np.minimum(worst, np.maximum(seen, LEAST_UNSEEN_LOSS * means))
    return np.diag(worst)


def effective_rows(influence: Vector) -> float:
    """Say how many rows of equal influence would vary as much: 1 where a single one differs; infinite for none."""
    squares = influence**2
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth else math.inf


def unseen_widths(
    units: Units, gradient: Vector, imagined: Vector | None, confidence: float, *, bounded: bool
) -> tuple[float, float]:
    """Give how far below and above the estimate the statistic may lie because of rows that are *imagined*."""
    if imagined is None:
        return 0.0, 0.0
    share = clopper_pearson_upper(0 if bounded else 1, units.number, confidence)
    change = (imagined - units.means) @ gradient
    return share * max(0.0, -float(change.min())), share * max(0.0, float(change.max()))


def only_column(means: Vector) -> Vector:
    """The statistic of a plain mean: shape (m, 1) to (m,)."""
    return means[:, 0]


def _drawn_bound(
    units: Units,
    statistic: Statistic,
    influence: Vector,
    worst: Vector | None,
    confidence: float,
    seed: int,
    weight: float,
) -> float:
    index = int(influence.argmax())
    return upper_bound(
        units.sums,
        influence,
        units.sums[index] if worst is None else worst,
        statistic,
        confidence,
        seed=seed,
        sizes=units.sizes,
        counts=units.counts,
        worst_size=float(units.sizes[index]) if worst is None else 1.0,
        pseudo_rows=weight,
    )


def _unturned(columns: Vector) -> Vector:
    return columns


def _negative(statistic: Statistic) -> Statistic:
    return lambda means: -statistic(means)


def _method(name: str, units: Units) -> str:
    return f"{name}, by group" if units.grouped else name


def _groups(units: Units) -> dict[str, float]:
    return {"groups": units.number} if units.grouped else {}
