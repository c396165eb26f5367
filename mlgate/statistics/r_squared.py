"""R², the share of the truth's variance that is explained: of one model, and challenger minus champion.

A function of the means of squared errors, of the truth and of its square: `column_means.py`. May be negative; a
difference needs no ratio of the models' values.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, check_lengths, finite_vector
from mlgate.statistics.column_means import Units, group_units, means_interval, unseen_losses
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.rmse import MIN_ROWS
from mlgate.statistics.shares import check_confidence


def r_squared(truth: npt.ArrayLike, errors: npt.ArrayLike) -> float | Undefined:
    """Give 1 - mean squared error / variance of the truth.

    Args:
        truth: Shape (n,).
        errors: Prediction minus truth, shape (n,).

    Returns:
        At most 1; `Undefined` for constant truth.

    Raises:
        ValueError: Lengths differ, or a value is NaN or infinite.
    """
    y, e = finite_vector("truth", truth), finite_vector("errors", errors)
    check_lengths(truth=y.size, errors=e.size)
    return _constant(y) or 1.0 - float((e**2).mean()) / float(((y - y.mean()) ** 2).mean())


def r_squared_interval(
    truth: npt.ArrayLike, errors: npt.ArrayLike, confidence: float, seed: int, *, group: npt.ArrayLike | None = None
) -> Interval | Undefined:
    """Estimate one model's R², for a floor.

    Args:
        truth: Shape (n,).
        errors: Prediction minus truth, shape (n,).
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        group: Integer code of each row's group, shape (n,), where rows are not independent.

    Returns:
        The interval, at most 1; `Undefined` below `MIN_ROWS` or for constant truth.

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, or the confidence is out of range.
    """
    units = _units(truth, [errors], confidence, group)
    if isinstance(units, Undefined):
        return units
    return means_interval(units, _one, confidence, seed=seed, limits=(-math.inf, 1.0))


def paired_r_squared_interval(
    truth: npt.ArrayLike,
    errors_challenger: npt.ArrayLike,
    errors_champion: npt.ArrayLike,
    confidence: float,
    seed: int,
    *,
    group: npt.ArrayLike | None = None,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's R². Never of zero width.

    Args:
        truth: Shape (n,).
        errors_challenger: Prediction minus truth, shape (n,).
        errors_champion: Same for the champion, same rows in the same order.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds. Swapping the models mirrors the interval exactly.
        group: Integer code of each row's group, shape (n,), where rows are not independent.

    Returns:
        The interval; `Undefined` below `MIN_ROWS`, for constant truth, or where hardly more than one row carries the
        difference.

    Raises:
        ValueError: Lengths differ, a value is NaN or infinite, or the confidence is out of range.
    """
    units = _units(truth, [errors_challenger, errors_champion], confidence, group)
    if isinstance(units, Undefined):
        return units
    losses = unseen_losses(np.asarray(errors_challenger) ** 2, np.asarray(errors_champion) ** 2, squared=True)
    # Rows of average truth and variance, so that what is imagined is the models' errors only.
    imagined = np.column_stack([np.zeros(2), np.full(2, units.means[1]), losses])
    return means_interval(units, _difference, confidence, seed=seed, imagined=imagined, mirror=_swapped, bounded=False)


def _constant(y: Vector) -> Undefined | None:
    if y.size and y.min() < y.max():
        return None
    return Undefined(reason=f"the truth is the same in all of {y.size} rows" if y.size else "no rows", n=y.size)


def _units(
    truth: npt.ArrayLike, errors: Sequence[npt.ArrayLike], confidence: float, group: npt.ArrayLike | None
) -> Units | Undefined:
    """Build units with the columns truth, its square, and each model's squared error."""
    check_confidence(confidence)
    y = finite_vector("truth", truth)
    squares = [finite_vector("errors", part) ** 2 for part in errors]
    check_lengths(truth=y.size, **{f"errors_{place}": part.size for place, part in enumerate(squares)})
    if 0 < y.size < MIN_ROWS:
        return Undefined(reason=f"{y.size} rows are fewer than {MIN_ROWS}", n=y.size)
    constant = _constant(y)
    if constant is not None:
        return constant
    # Around the mean: a variance from raw moments would lose all its digits for a truth of 1e9 + noise.
    centred = y - y.mean()
    return group_units(np.column_stack([centred, centred**2, *squares]), group)


def _explained(over: Vector, means: Vector) -> Vector:
    variance = means[:, 1] - means[:, 0] ** 2
    ratio: Vector = over / np.maximum(variance, np.finfo(np.float64).tiny)
    return ratio


def _one(means: Vector) -> Vector:
    return 1.0 - _explained(means[:, 2], means)


def _difference(means: Vector) -> Vector:
    return _explained(means[:, 3] - means[:, 2], means)


def _swapped(columns: Vector) -> Vector:
    return columns[..., [0, 1, 3, 2]]
