"""F1 of one model, and challenger minus champion on the same rows.

F1 does not depend on rows where the truth and every model say "negative". What is left is a small table, and the
table's counts are sufficient: no row is resampled.

The single F1 is exact: F1 = 2 J / (1 + J) with J = TP / (TP + FP + FN), a plain proportion among the rows left.

The paired difference resamples the table's seven cells with gamma weights (`reweighting.py`). For the lower bound the
two cells that cost the challenger (a positive it lost, a false alarm it added) get one pseudo-row each, so a cell with
no rows has the weight whose 95th percentile is the rule of three, and identical models get an honest interval; for the
upper bound the other two do. Simulated one-sided error at the margin in eight tables (4 000 samples, at 95 %): 0.0-3.2
%; the plain bootstrap 5.0-10.5 %, with half a pseudo-row 4.0-5.7 %.
"""

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Mask, Vector, check_lengths, positive_mask
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.proportions import clopper_pearson_lower, clopper_pearson_upper
from mlgate.statistics.shares import check_confidence

# The Monte Carlo error of the 95th percentile's level is sqrt(0.05 * 0.95 / 10000) = 0.2 points.
DRAWS = 10_000

# Cells: true positive of both, of the champion only, of the challenger only, of neither;
# then false positive of both, of the champion only, of the challenger only.
_SWAPPED = (0, 2, 1, 3, 4, 6, 5)
_LOST, _ADDED_ALARM = 1, 6


def f1_interval(
    y: npt.ArrayLike, predicted: npt.ArrayLike, positive: object, confidence: float
) -> Interval | Undefined:
    """Estimate one model's F1 between exact bounds.

    Args:
        y: True labels, shape (n,), of any type that compares with `==`.
        predicted: Predicted labels, shape (n,).
        positive: The label that counts as positive.
        confidence: Of each bound, in (0.5, 1).

    Returns:
        The interval in [0, 1], Clopper-Pearson's on TP / (TP + FP + FN); `Undefined` when no row is truly positive.

    Raises:
        ValueError: Lengths differ, a label is missing, or the confidence is out of range.
    """
    truth, prediction = positive_mask("y", y, positive), positive_mask("predicted", predicted, positive)
    check_lengths(y=truth.size, predicted=prediction.size)
    check_confidence(confidence)
    n = truth.size
    if not truth.any():
        return Undefined(reason=f"none of {n} rows is truly {positive!r}", n=n)
    hits, rows = int((truth & prediction).sum()), int((truth | prediction).sum())
    return f1_of_counts(hits, rows, int(truth.sum()), n, confidence)


def f1_of_counts(hits: int, rows: int, positives: int, n: int, confidence: float) -> Interval:
    """Estimate one model's F1 from counts.

    Args:
        hits: True positives.
        rows: Rows that are or are called positive, > 0.
        positives: Rows that are positive.
        n: All rows.
        confidence: Of each bound, in (0.5, 1).

    Returns:
        The interval in [0, 1].

    Raises:
        ValueError: The counts do not fit, or the confidence is out of range.
    """
    return Interval(
        estimate=_f1_of_share(hits / rows),
        lower=_f1_of_share(clopper_pearson_lower(hits, rows, confidence)),
        upper=_f1_of_share(clopper_pearson_upper(hits, rows, confidence)),
        confidence=confidence,
        method="Clopper-Pearson on the Jaccard share",
        n=n,
        details={"positives": positives, "true_positives": hits},
    )


def paired_f1_interval(
    y: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    positive: object,
    confidence: float,
    *,
    seed: int,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's F1. Never of zero width.

    Args:
        y: True labels, shape (n,), of any type that compares with `==`.
        challenger: Predicted labels, shape (n,).
        champion: Predicted labels, same rows in the same order.
        positive: The label that counts as positive.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds. Swapping the models mirrors the interval exactly.

    Returns:
        The interval in [-1, 1], with the discordant counts as details; `Undefined` when no row is truly positive.

    Raises:
        ValueError: Lengths differ, a label is missing, or the confidence is out of range.
    """
    truth = positive_mask("y", y, positive)
    new, old = positive_mask("challenger", challenger, positive), positive_mask("champion", champion, positive)
    check_lengths(y=truth.size, challenger=new.size, champion=old.size)
    check_confidence(confidence)
    n = truth.size
    if not truth.any():
        return Undefined(reason=f"none of {n} rows is truly {positive!r}", n=n)
    return paired_f1_of_cells(_cells(truth, new, old), n, confidence, seed=seed)


def paired_f1_of_cells(cells: Vector, n: int, confidence: float, *, seed: int) -> Interval:
    """Estimate the challenger's minus the champion's F1 from counts.

    Args:
        cells: Rows that both, the champion only, the challenger only and neither truly call positive; then those that
            both, the champion only and the challenger only falsely do; shape (7,). The first four are not all 0.
        n: All rows.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.

    Returns:
        The interval in [-1, 1], with the discordant counts as details.

    Raises:
        ValueError: The confidence is out of range.
    """
    check_confidence(confidence)
    estimate = float(_f1_difference(cells))
    draws = _draws(cells, seed)
    mirrored = _draws(cells[list(_SWAPPED)], seed)
    return Interval(
        estimate=estimate,
        lower=min(estimate, float(np.quantile(draws, 1 - confidence))),
        upper=max(estimate, -float(np.quantile(mirrored, 1 - confidence))),
        confidence=confidence,
        method="paired Bayesian bootstrap on the confusion table",
        n=n,
        standard_error=float(draws.std()),
        details={
            "positives": float(cells[:4].sum()),
            "b": float(cells[2] + cells[5]),
            "c": float(cells[_LOST] + cells[_ADDED_ALARM]),
            "seed": seed,
        },
    )


def _cells(truth: Mask, new: Mask, old: Mask) -> Vector:
    """Count the seven cells that F1 depends on."""
    code = 4 * ~truth + 2 * ~new + ~old
    # Codes 0..3: truly positive rows (both, challenger only, champion only, neither say so); 4..7: truly negative rows.
    both, new_only, old_only, neither, false_both, false_new, false_old, _ = np.bincount(code, minlength=8)
    return np.array([both, old_only, new_only, neither, false_both, false_old, false_new], dtype=np.float64)


def _draws(cells: Vector, seed: int) -> Vector:
    """Draw differences of F1, with one pseudo-row in each cell that costs the challenger."""
    shapes = cells.copy()
    shapes[[_LOST, _ADDED_ALARM]] += 1.0
    return _f1_difference(np.random.default_rng(seed).standard_gamma(shapes, (DRAWS, cells.size)))


def _f1_difference(cells: Vector) -> Vector:
    """Give challenger minus champion F1 for tables of shape (..., 7)."""
    both, old_only, new_only, neither, false_both, false_old, false_new = np.moveaxis(cells, -1, 0)
    positives = both + old_only + new_only + neither
    new_f1 = 2 * (both + new_only) / (positives + both + new_only + false_both + false_new)
    old_f1 = 2 * (both + old_only) / (positives + both + old_only + false_both + false_old)
    difference: Vector = new_f1 - old_f1
    return difference


def _f1_of_share(share: float) -> float:
    return 2 * share / (1 + share)
