"""Placements: how well each row is ranked against the rows of the other class.

The *wins* of a positive row are the negative rows ranked below it, of a negative row the positive rows ranked above it;
a tie is half a win. Wins are counted twice, so that they are whole numbers and sums of them are exact. The placement is
the share of the other class that is won against; the AUC is the mean placement of either class (DeLong, DeLong and
Clarke-Pearson 1988, Biometrics 44:837). One sort per score: Sun and Xu (2014), IEEE Signal Process. Lett. 21:1389.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Mask, check_lengths, finite_vector

Scores = npt.NDArray[np.floating[Any]]
Wins = npt.NDArray[np.int32]
# Beyond this, float32: 10 M rows take 40 MB and the sums are still exact, because they are taken of whole numbers.
SINGLE_PRECISION_ROWS = 2_000_000
# Twice the wins must fit in 31 bits.
MAX_ROWS = 2**30


def score_vector(name: str, values: npt.ArrayLike) -> Scores:
    """Convert to one dimension of finite numbers, leaving float32 as it is: at 10 M rows a copy is 80 MB.

    Raises:
        ValueError: More than one dimension, or a NaN or infinite element.
    """
    array = np.asarray(values)
    if array.dtype != np.float32 or array.ndim != 1:
        return finite_vector(name, array)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains NaN or infinite values")
    return array


def doubled_wins(is_positive: Mask, score: Scores) -> Wins:
    """Count each row's wins, doubled.

    Args:
        is_positive: Shape (n,).
        score: Rises with the chance of being positive, shape (n,); no NaN.

    Returns:
        Whole numbers, shape (n,), in 0 ... twice the rows of the other class.

    Raises:
        ValueError: The lengths differ, or there are more than `MAX_ROWS` rows.
    """
    check_lengths(y=is_positive.size, score=score.size)
    if score.size > MAX_ROWS:
        raise ValueError(f"{score.size} rows are more than {MAX_ROWS}")
    order = np.argsort(score)
    positive, first = is_positive[order], _run_starts(score[order])
    ranked = _untied(positive)
    if not first.all():
        _tie(ranked, positive, first)
    wins: Wins = np.empty(score.size, dtype=np.int32)
    wins[order] = ranked
    return wins


def _untied(positive: Mask) -> Wins:
    """Give the doubled wins of rows in ascending order of score; in place, because this is the peak of memory."""
    before = np.cumsum(positive, dtype=np.int32)
    total = before[-1:].copy()
    before -= positive
    wins: Wins = np.arange(positive.size, dtype=np.int32)
    wins -= before
    np.subtract(total, before, out=before)
    # For a negative row, the positive rows after it; it is none of them.
    np.copyto(wins, before, where=~positive)
    wins *= np.int32(2)
    return wins


def _tie(wins: Wins, positive: Mask, first: Mask) -> None:
    """Correct the doubled wins in runs of equal scores: every row of a run wins half against the other class in it.

    Args:
        wins: As if the rows of a run were in this order, shape (n,); changed in place.
        positive: Rows in ascending order of score.
        first: The first row of each run.
    """
    alone = first.copy()
    alone[:-1] &= first[1:]
    rows = np.flatnonzero(~alone).astype(np.int32)
    tied, starts = positive[rows], np.flatnonzero(first[rows]).astype(np.int32)
    sizes = np.diff(starts, append=np.int32(rows.size)).astype(np.int32)
    inside = np.add.reduceat(tied, starts, dtype=np.int32)
    # Within the run: positive rows before each row. The order gave a positive row the negative ones before it, doubled,
    # and a negative row the positive ones after it; half of those in the run is once their number.
    before = np.cumsum(tied, dtype=np.int32) - tied
    before -= np.repeat(before[starts], sizes)
    place = np.arange(rows.size, dtype=np.int32) - np.repeat(starts, sizes)
    inside_of, sizes_of = np.repeat(inside, sizes), np.repeat(sizes, sizes)
    wins[rows] += np.where(tied, sizes_of - inside_of - 2 * (place - before), inside_of - 2 * (inside_of - before))


def shares(wins: Wins, other: int) -> Scores:
    """Turn doubled wins (or differences of them) into placements.

    Args:
        wins: Shape (k,), of rows of one class.
        other: Rows of the other class.

    Returns:
        Shape (k,), float32 beyond `SINGLE_PRECISION_ROWS`.
    """
    kind = np.float32 if wins.size > SINGLE_PRECISION_ROWS else np.float64
    return np.divide(wins, kind(2 * other), dtype=kind)


def mean_share(wins: Wins, other: int) -> float:
    """Give the mean placement without rounding: the sum is one of whole numbers."""
    return int(wins.sum(dtype=np.int64)) / (2 * other * wins.size)


def _run_starts(ranked: Scores) -> Mask:
    """Mark the first of each run of equal values."""
    first = np.ones(ranked.size, dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    return first
