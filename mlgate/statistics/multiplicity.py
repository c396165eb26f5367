"""Many tests: adjusted p-values."""

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector, finite_vector


def holm(p_values: npt.ArrayLike) -> Vector:
    """Adjust p-values by Holm's step-down method (1979, Scand. J. Statist. 6:65), which holds under any dependence.

    Args:
        p_values: Unadjusted p-values in [0, 1], shape (m,), in any order. May be empty.

    Returns:
        Adjusted p-values in the order given, shape (m,). Rejecting those <= alpha keeps the family-wise error at alpha.

    Raises:
        ValueError: A p-value is NaN or outside [0, 1].
    """
    p = finite_vector("p_values", p_values)
    if p.size and (p.min() < 0 or p.max() > 1):
        message = "p_values are not all in [0, 1]"
        raise ValueError(message)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.maximum.accumulate((p.size - np.arange(p.size)) * p[order]))
    adjusted = np.empty_like(p)
    adjusted[order] = stepped
    return adjusted
