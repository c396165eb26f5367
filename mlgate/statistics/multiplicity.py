"""Many tests: adjusted p-values, and Holm's steps."""

from collections.abc import Callable, Collection
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, finite_vector

Key = TypeVar("Key")


def holm(p_values: npt.ArrayLike) -> Vector:
    """Adjust p-values by Holm's step-down method (1979, Scand. J. Statist. 6:65), which holds under any dependence.

    Args:
        p_values: Unadjusted p-values in [0, 1], shape (m,), in any order. May be empty.

    Returns:
        Adjusted p-values in the order given, shape (m,). Rejecting those <= alpha keeps the family-wise error at alpha.

    Raises:
        ValueError: A p-value is NaN or outside [0, 1].
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.maximum.accumulate((p.size - np.arange(p.size)) * p[order]))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted


def benjamini_hochberg(p_values: npt.ArrayLike) -> Vector:
    """Adjust p-values by Benjamini and Hochberg (1995, J. R. Statist. Soc. B 57:289): the false discovery rate.

    Args:
        p_values: Unadjusted p-values in [0, 1], shape (m,), in any order. May be empty.

    Returns:
        Adjusted p-values in the order given, shape (m,). Of those <= q, a share of at most q is expected to be false;
        where nothing is there to be found, the chance that any is <= q is at most q.

    Raises:
        ValueError: A p-value is NaN or outside [0, 1].
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * p.size / ranks)) if p.size else p
    return adjusted


def step_down(
    candidates: Collection[Key], rejects: Callable[[Key, float], bool], *, family: int, confidence: float
) -> tuple[frozenset[Key], float]:
    """Reject by Holm's steps where a test gives no p-value but can be asked at any confidence.

    Args:
        candidates: Those that are rejected without any adjustment; no other can be rejected with one.
        rejects: Whether the test of one rejects at a confidence.
        family: Tests in all, the candidates among them.
        confidence: One-sided, of the whole family, in (0.5, 1).

    Returns:
        Those rejected, and the confidence at which the others were not.
    """
    rejected: set[Key] = set()
    while True:
        level = 1 - (1 - confidence) / max(1, family - len(rejected))
        found = {key for key in candidates if key not in rejected and rejects(key, level)}
        if not found:
            return frozenset(rejected), level
        rejected |= found


def _checked(p_values: npt.ArrayLike) -> Vector:
    p = finite_vector("p_values", p_values)
    if p.size and (p.min() < 0 or p.max() > 1):
        message = "p_values are not all in [0, 1]"
        raise ValueError(message)
    return p
