"""Models that answer almost alike: what the rows that did not differ still leave possible.

A normal approximation on a handful of differing rows gives an interval of almost no width, and on none a width of zero.
What such a sample does show is that rows on which the models differ are rare: their share is bounded by
Clopper-Pearson.
"""

import numpy as np

from mlgate.statistics.arguments import Vector
from mlgate.statistics.proportions import clopper_pearson_upper

# Chosen by us: for 20 of many rows the exact upper bound lies 9.1 above the count, Wald's 7.4; for none, 3.0 and 0.
# Simulated in tests/unit/statistics/test_auc.py and test_paired_means.py.
FEW_ROWS = 20


def differing_rows(differences: Vector) -> int:
    """Count the rows that differ from the most usual (median) difference; 0 for a constant vector or an empty one."""
    return int((differences != np.median(differences)).sum()) if differences.size else 0


def unseen_share(differing: int, n: int, confidence: float) -> float:
    """Bound the share of differing rows in the population beyond the share seen.

    Args:
        differing: Differing rows seen, 0 <= differing <= n.
        n: Rows.
        confidence: One-sided, in (0.5, 1).

    Returns:
        Clopper-Pearson's upper bound minus differing / n, in [0, 1]; about 3 / n when none differed, at 95 %.
    """
    return clopper_pearson_upper(differing, n, confidence) - (differing / n if n else 0.0)
