"""Root mean squared errors: of one model, and challenger minus champion on the same rows.

Simulated one-sided error at the margin (3 000 samples at n = 100, 1 500 at n = 400, at 95 %), in both directions, for
normal, exponential, t(5) and lognormal errors: delta method 3.6-8.9 %, BCa (n = 100) 4.9-9.6 %, bootstrap-t (n = 100)
4.5-8.1 %; the method used here (Bayesian bootstrap with two pseudo-rows, at least as wide as the delta method)
1.1-2.7 %.

A few grossly broken rows that the sample hardly contains, or not at all: where hardly more than one row carries the
difference there is no interval; where few do, the pseudo-rows weigh more; and rows that were not seen are reckoned with
errors of up to eight times the RMSE, which adds 95 / n of the RMSE (`column_means.py`). So a margin of 5 % takes 1 900
rows, also of two models that are equal. Without the last, eightfold errors on 2 of 1000 rows, which 13 % of the samples do
not hold, passed at the margin 26 % of the time, and on 1 of 100 rows 40 %; now none of 2 000 samples
(`benchmarks/error_rates.py`). Rows that are broken more grossly and more rarely can not be seen, nor bounded.
Below `MIN_ROWS` there is no interval.

The width over the delta method's, for errors that are half shared: at n = 1000 normal 2.2, t(5) 1.8, lognormal 3.5; at
n = 10 000 1.1, 1.4, 1.7.
"""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, check_lengths, finite_vector
from mlgate.statistics.column_means import group_units, means_interval, unseen_losses
from mlgate.statistics.discordance import FEW_ROWS, differing_rows
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.shares import check_confidence

# The smallest n that was simulated.
MIN_ROWS = 100


def rmse_interval(
    errors: npt.ArrayLike, confidence: float, seed: int, *, group: npt.ArrayLike | None = None
) -> Interval | Undefined:
    """Estimate one model's root mean squared error, for a floor.

    Args:
        errors: Prediction minus truth per row, shape (n,), in the unit of the target.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        group: Integer code of each row's group, shape (n,), where rows are not independent.

    Returns:
        The interval in the unit of the target; `Undefined` below `MIN_ROWS` or when all errors have the same size.

    Raises:
        ValueError: An error is NaN or infinite, lengths differ, or the confidence is out of range.
    """
    squares = finite_vector("errors", errors) ** 2
    check_confidence(confidence)
    n = squares.size
    if n < MIN_ROWS:
        return Undefined(reason=f"{n} rows are fewer than {MIN_ROWS}", n=n)
    if differing_rows(squares) < FEW_ROWS:
        return Undefined(reason=f"fewer than {FEW_ROWS} of {n} errors differ in size", n=n)
    return means_interval(group_units(squares, group), _root, confidence, seed=seed, limits=(0.0, math.inf))


def paired_rmse_interval(
    errors_challenger: npt.ArrayLike,
    errors_champion: npt.ArrayLike,
    confidence: float,
    seed: int,
    *,
    group: npt.ArrayLike | None = None,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's root mean squared error; positive means worse.

    Identical models get a bound of about 95 RMSE / n instead of a zero width. It assumes that unseen errors are at most
    eight times the RMSE.

    Args:
        errors_challenger: Prediction minus truth per row, shape (n,), in the unit of the target.
        errors_champion: Same for the champion, same rows in the same order.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds. Swapping the models mirrors the interval exactly.
        group: Integer code of each row's group, shape (n,), where rows are not independent.

    Returns:
        The interval in the unit of the target; `Undefined` below `MIN_ROWS`, when a model makes no error at all, or
        when hardly more than one row carries the difference.

    Raises:
        ValueError: Lengths differ, an error is NaN or infinite, or the confidence is out of range.
    """
    challenger = finite_vector("errors_challenger", errors_challenger) ** 2
    champion = finite_vector("errors_champion", errors_champion) ** 2
    check_lengths(errors_challenger=challenger.size, errors_champion=champion.size)
    check_confidence(confidence)
    n = challenger.size
    if n < MIN_ROWS:
        return Undefined(reason=f"{n} rows are fewer than {MIN_ROWS}", n=n)
    if not (challenger.any() and champion.any()):
        return Undefined(reason="a model without any error has no error distribution to resample", n=n)
    units = group_units(np.column_stack([challenger, champion]), group)
    imagined = unseen_losses(challenger, champion, squared=True)
    found = means_interval(
        units, _root_difference, confidence, seed=seed, imagined=imagined, mirror=_swapped, bounded=False
    )
    if isinstance(found, Undefined):
        return found
    return replace(found, details={**found.details, "differing": differing_rows(challenger - champion)})


def _root(means: Vector) -> Vector:
    root: Vector = np.sqrt(np.maximum(means[:, 0], 0.0))
    return root


def _swapped(columns: Vector) -> Vector:
    return columns[..., ::-1]


def _root_difference(means: Vector) -> Vector:
    roots = np.sqrt(np.maximum(means, 0.0))
    difference: Vector = roots[:, 0] - roots[:, 1]
    return difference
