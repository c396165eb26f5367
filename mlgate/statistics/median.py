"""The median, for many weightings of the same rows at once."""

import numpy as np

from mlgate.statistics.arguments import Vector
from mlgate.statistics.bootstrap import Weights


class SortedValues:
    """Values that are sorted once.

    Args:
        values: Shape (n,), finite.
    """

    __slots__ = ("_order", "_sorted")

    def __init__(self, values: Vector) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def median(self, weights: Weights) -> Vector:
        """Give the median of the values, each as often as its weight says; the mean of the middle two if they are even.

        Args:
            weights: Whole numbers, shape (draws, n).

        Returns:
            Shape (draws,); NaN where there is no weight.
        """
        below = np.cumsum(weights[:, self._order], axis=1)
        total = below[:, -1]
        last = self._sorted.size - 1
        low, high = (
            np.minimum((below <= position[:, np.newaxis]).sum(axis=1), last)
            for position in ((total - 1) // 2, total // 2)
        )
        middle = (self._sorted[low] + self._sorted[high]) / 2
        return np.where(total > 0, middle, np.nan)
