"""Placements: how well each row is ranked against the rows of the other class.

The *wins* of a positive row are the negative rows ranked below it, of a negative row the positive rows ranked above it;
a tie is half a win. Wins are counted twice, so that they are whole numbers and sums of them are exact. The placement is
the share of the other class that is won against; the AUC is the mean placement of either class (DeLong, DeLong and
Clarke-Pearson 1988, Biometrics 44:837). One sort per score: Sun and Xu (2014), IEEE Signal Process. Lett. 21:1389.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
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
# Rows that stay in a processor's cache.
CHUNK = 32_768
# Bounds the memory of a sort to 32 MB where few scores are equal.
SORTED_AT_ONCE = 4_000_000
# Scores that say where a range ends.
SAMPLED = 10_000


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
    wins: Wins = np.empty(is_positive.size, dtype=np.int32)
    for rows, won in _won(is_positive, score):
        wins[rows] = won
    return wins


def subtract_doubled_wins(wins: Wins, is_positive: Mask, score: Scores) -> None:
    """Subtract the doubled wins of another score of the same rows, in place: at 10 M rows an array is 40 MB.

    Args:
        wins: Of the first score, shape (n,).
        is_positive: Shape (n,).
        score: As for `doubled_wins`.

    Raises:
        ValueError: As `doubled_wins`.
    """
    for rows, won in _won(is_positive, score):
        wins[rows] -= won


def _won(is_positive: Mask, score: Scores) -> Iterator[tuple[npt.NDArray[np.int64], Wins]]:
    """Yield rows in ascending order of score, with their doubled wins."""
    check_lengths(y=is_positive.size, score=score.size)
    if score.size > MAX_ROWS:
        raise ValueError(f"{score.size} rows are more than {MAX_ROWS}")
    positives_after, negatives_before = int(np.count_nonzero(is_positive)), 0
    for rows, ranked in _ascending(score):
        positive, starts = is_positive[rows], np.flatnonzero(_run_starts(ranked))
        sizes = np.diff(starts, append=rows.size)
        # Of each run of equal scores: its positive rows, those above it, and the negative rows below it.
        inside = np.add.reduceat(positive, starts, dtype=np.int64)
        above = positives_after - np.cumsum(inside)
        below = negatives_before + starts - (positives_after - above - inside)
        of_positive, of_negative = 2 * below + sizes - inside, 2 * above + inside
        if starts.size < rows.size:
            of_positive, of_negative = np.repeat(of_positive, sizes), np.repeat(of_negative, sizes)
        yield rows, np.where(positive, of_positive, of_negative).astype(np.int32)
        found = int(inside.sum())
        positives_after, negatives_before = positives_after - found, negatives_before + rows.size - found


def _ascending(score: Scores) -> Iterator[tuple[npt.NDArray[np.int64], Scores]]:
    """Yield rows in ascending order of score, with their scores, a chunk at a time; equal scores are in one chunk.

    What is sorted are whole numbers of the score's leading bits and the row, in place. An argsort reads the scores in
    random order: at 10 M rows it takes three times as long, where at 1 M the processor's cache holds them.
    """
    row = (1 << max(1, (score.size - 1).bit_length())) - 1
    for low, high in _ranges(score):
        keys = _keys(score, row, low, high)
        keys.sort()
        start = 0
        while start < keys.size:
            last = keys[min(start + CHUNK, keys.size) - 1]
            end = int(np.searchsorted(keys, last | row, side="right"))
            rows = keys[start:end] & row
            ranked = score[rows]
            if (ranked[1:] < ranked[:-1]).any():
                # These differ only in bits for which the keys have no room.
                order = np.argsort(ranked, kind="stable")
                rows, ranked = rows[order], ranked[order]
            yield rows, ranked
            start = end


def _ranges(score: Scores) -> Iterable[tuple[float, float]]:
    """Give ranges of scores, ascending, from the first up to the second, with about `SORTED_AT_ONCE` rows each."""
    parts = -(-score.size // SORTED_AT_ONCE)
    if parts < 2:
        return [(-math.inf, math.inf)]
    cuts = np.quantile(score[:: max(1, score.size // SAMPLED)], np.arange(1, parts) / parts)
    return pairwise([-math.inf, *np.unique(cuts).tolist(), math.inf])


def _keys(score: Scores, row: int, low: float, high: float) -> npt.NDArray[np.int64]:
    """Give numbers in the order of the scores in a range, but for their bits in the mask *row*, which hold the row."""
    # Memory that is not written to is not taken.
    keys, filled = np.empty(score.size, dtype=np.int64), 0
    for start in range(0, score.size, CHUNK):
        # A sum, so that -0 becomes 0.
        part = np.add(score[start : start + CHUNK], 0.0, dtype=np.float64)
        rows = np.flatnonzero((part >= low) & (part < high))
        bits = part[rows].view(np.int64)
        # The bits of a negative float grow with its magnitude.
        bits ^= (bits >> 63) & np.iinfo(np.int64).max
        keys[filled : filled + rows.size] = (bits & ~row) | (rows + start)
        filled += rows.size
    return keys[:filled]


def shares(wins: Wins, other: int, members: Mask | None = None) -> Scores:
    """Turn doubled wins (or differences of them) into placements.

    Args:
        wins: Shape (k,).
        other: Rows of the class that the rows were compared with.
        members: Rows to take, shape (k,); `None`: all.

    Returns:
        One per row taken, float32 beyond `SINGLE_PRECISION_ROWS`.
    """
    size = wins.size if members is None else int(np.count_nonzero(members))
    kind = np.float32 if size > SINGLE_PRECISION_ROWS else np.float64
    found: Scores = np.empty(size, dtype=kind)
    filled = 0
    for start in range(0, wins.size, CHUNK):
        part = wins[start : start + CHUNK]
        part = part if members is None else part[members[start : start + CHUNK]]
        np.divide(part, kind(2 * other), out=found[filled : filled + part.size], dtype=kind)
        filled += part.size
    return found


def mean_share(wins: Wins, other: int, members: Mask | None = None) -> float:
    """Give the mean placement without rounding: the sum is one of whole numbers. Arguments as for `shares`."""
    if members is None:
        return int(wins.sum(dtype=np.int64)) / (2 * other * wins.size)
    return int(wins.sum(dtype=np.int64, where=members)) / (2 * other * int(np.count_nonzero(members)))


def _run_starts(ranked: Scores) -> Mask:
    """Mark the first of each run of equal values."""
    first = np.ones(ranked.size, dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    return first
