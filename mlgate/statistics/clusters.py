"""Groups of rows that are not independent: sums per group, and how many independent groups their sizes are worth."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Mask, Vector, check_lengths

Groups = npt.NDArray[np.intp]


def group_codes(group: npt.ArrayLike, n: int) -> Groups:
    """Number the groups 0, 1, 2, ... without gaps.

    Args:
        group: A group per row, of any sortable type, shape (n,).
        n: Rows expected.

    Raises:
        ValueError: Another number of rows.
    """
    values: npt.NDArray[Any] = np.asarray(group)
    check_lengths(rows=n, group=values.size)
    codes: Groups = np.unique(values, return_inverse=True)[1]
    return codes


def group_sums(values: npt.ArrayLike, codes: Groups) -> Vector:
    """Sum the values of each group.

    Args:
        values: Shape (n,).
        codes: From `group_codes`, shape (n,).

    Returns:
        Shape (groups,).
    """
    sums: Vector = np.bincount(codes, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)
    return sums


def effective_groups(rows: Mask, codes: Groups | None) -> float:
    """Give how many groups of equal size the marked rows are worth: Kish's (1965) n_eff, (sum m)^2 / sum m^2.

    Args:
        rows: The rows that count, shape (n,).
        codes: From `group_codes`; `None` where every row is its own group.

    Returns:
        At most the number of marked rows; 0 when there is none.
    """
    marked = int(np.count_nonzero(rows))
    if codes is None or not marked:
        return float(marked)
    sizes = np.bincount(codes[rows])
    return marked**2 / float(sizes @ sizes)


def groups_with(rows: Mask, codes: Groups | None) -> int:
    """Count the groups (the rows, where *codes* is `None`) that hold a marked row."""
    return int(np.count_nonzero(rows)) if codes is None else int(np.unique(codes[rows]).size)
