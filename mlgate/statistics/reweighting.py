"""The Bayesian bootstrap with pseudo-rows: random weights on the rows, and extra weight on the least welcome one.

Rubin (1981), Ann. Statist. 9:130, draws a row's weight from a gamma distribution with shape 1 (a cell of k rows: shape
k; a group of rows: shape 1). A bootstrap knows only what it has seen, so its bounds are too narrow where rare rows
matter. Adding the least welcome row as pseudo-rows makes the bound conservative; for one proportion and one pseudo-row
it *is* Clopper-Pearson's: the upper bound is the quantile of beta(k + 1, n - k). Fay, Proschan and Brittain (2015),
Biometrics 71:146, combine such distributions in the same way ("melding").
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector

# The Monte Carlo error of the 95th percentile's level is sqrt(0.05 * 0.95 / 4000) = 0.34 points.
ROW_DRAWS = 4_000
# Simulated (see rmse.py): with one pseudo-row the error at the margin reaches 5.8 %, with two it stays under 5 %.
PSEUDO_ROWS = 2.0
# Rows drawn one by one; the weighted sums of the others, each of less influence than these, are normal to good
# approximation. Bounds time and memory: 4 000 x 1 000 draws whatever the number of rows.
EXACT_ROWS = 1_000
# Beyond, the covariance of the others costs more than drawing them one by one.
MAX_NORMAL_COLUMNS = 800
# Numbers held at once for the draws' sums, 32 MB.
DRAWN_AT_ONCE = 4_000_000


def upper_bound(
    rows: Vector,
    influence: Vector,
    worst: Vector,
    statistic: Callable[[Vector], Vector],
    confidence: float,
    *,
    seed: int,
    sizes: Vector | None = None,
    counts: Vector | None = None,
    worst_size: float = 1.0,
    pseudo_rows: float = PSEUDO_ROWS,
) -> float:
    """Bound a function of column means from above.

    Args:
        rows: Shape (n, k): rows, kinds of row, or sums over groups of rows; the statistic is a function of the k means.
        influence: Influence of each row on the statistic, shape (n,); decides which rows are drawn one by one.
        worst: The pseudo-row that would raise the statistic most, shape (k,).
        statistic: Maps means of shape (draws, k) to values of shape (draws,).
        confidence: Of this bound, in (0.5, 1).
        seed: Same seed, same bound.
        sizes: How many rows a group sums up, shape (n,); `None`: one.
        counts: How many alike rows a row stands for, shape (n,); `None`: one.
        worst_size: How many rows the pseudo-row sums up.
        pseudo_rows: Weight of the pseudo-row.

    Returns:
        The quantile of the reweighted statistic.
    """
    if counts is not None:
        # Kinds of row in an order of their own, so that models that are swapped get the same draws.
        order = np.lexsort(rows.T)
        rows, counts, influence = rows[order], counts[order], influence[order]
        sizes = None if sizes is None else sizes[order]
    chosen = _drawn_alone(influence, rows.shape[1])
    alone = np.column_stack([rows[chosen], np.ones(chosen.size) if sizes is None else sizes[chosen]])
    shapes = None if counts is None else counts[chosen]
    base, factor = _others(rows, sizes, counts, alone, shapes)
    # A normal draw may fall below a sum that can not be negative.
    least = np.append(np.where(rows.min(axis=0) >= 0, 0.0, -np.inf), 0.0)
    rng = np.random.default_rng(seed)
    values = []
    for size in _chunks(alone.shape[1]):
        sums = _gamma(rng, shapes, size, chosen.size) @ alone
        sums += base
        if len(factor):
            sums += rng.standard_normal((size, len(factor))) @ factor
        sums += rng.standard_gamma(pseudo_rows, (size, 1)) * np.append(worst, worst_size)
        sums = np.maximum(sums, least)
        values.append(statistic(sums[:, :-1] / sums[:, -1:]))
    return float(np.quantile(np.concatenate(values), confidence))


def _drawn_alone(influence: Vector, columns: int) -> npt.NDArray[np.intp]:
    """Choose the rows to draw one by one."""
    if influence.size <= EXACT_ROWS or columns > MAX_NORMAL_COLUMNS:
        return np.arange(influence.size)
    order = np.argpartition(np.abs(influence), influence.size - EXACT_ROWS)
    # Sorted, so that which draw a row gets does not hang on the last digit of the influences.
    return np.sort(order[-EXACT_ROWS:])


def _others(
    rows: Vector, sizes: Vector | None, counts: Vector | None, alone: Vector, shapes: Vector | None
) -> tuple[Vector, Vector]:
    """Give mean and factor F (F'F the covariance) of the sums over the rows that are not drawn *alone*.

    Unit gamma weights of shape w have mean and variance w, so the covariance is the sum of w x x'. All rows less those
    alone: at ten million rows no copy of the others is made.
    """
    if len(rows) == len(alone):
        return np.zeros(alone.shape[1]), np.zeros((0, alone.shape[1]))
    weighted = rows if counts is None else rows * counts[:, np.newaxis]
    by_size = np.ones(len(rows)) if sizes is None else sizes
    weights = by_size if counts is None else by_size * counts
    # Sums of the columns, and of the sizes.
    total = np.append(weighted.sum(axis=0), weights.sum())
    squares = np.block(
        [[weighted.T @ rows, (by_size @ weighted)[:, np.newaxis]], [by_size @ weighted, weights @ by_size]]
    )
    own = alone if shapes is None else alone * shapes[:, np.newaxis]
    values, vectors = np.linalg.eigh(squares - own.T @ alone)
    factor: Vector = np.sqrt(np.maximum(values, 0.0))[:, np.newaxis] * vectors.T
    return total - own.sum(axis=0), factor


def _gamma(rng: np.random.Generator, shapes: Vector | None, draws: int, rows: int) -> Vector:
    return rng.standard_exponential((draws, rows)) if shapes is None else rng.standard_gamma(shapes, (draws, rows))


def _chunks(columns: int) -> list[int]:
    """Split the draws so that the sums of a chunk fit in memory."""
    size = min(ROW_DRAWS, max(1, DRAWN_AT_ONCE // columns))
    return [min(size, ROW_DRAWS - start) for start in range(0, ROW_DRAWS, size)]
