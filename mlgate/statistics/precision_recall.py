"""Average precision, and recall at a fixed precision, for many weightings of the same rows at once."""

import numpy as np

from mlgate.statistics.arguments import Mask, Vector
from mlgate.statistics.bootstrap import Weights
from mlgate.statistics.placements import Scores


class PrecisionRecall:
    """The precision-recall curve of rows that are sorted once. Tied scores are one point of the curve.

    Args:
        is_positive: Shape (n,).
        score: Rises with the chance of being positive, shape (n,); no NaN.
    """

    __slots__ = ("_last_of_run", "_order", "_positive_at", "_run_end", "_tied")

    def __init__(self, is_positive: Mask, score: Scores) -> None:
        self._order = np.argsort(-score, kind="stable")
        ranked, positive = score[self._order], is_positive[self._order]
        self._positive_at = np.flatnonzero(positive)
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        # Points without a positive row of their own have lower precision at the same recall: they decide nothing.
        run_of = np.searchsorted(ends, self._positive_at)
        last = np.flatnonzero(np.append(run_of[1:] != run_of[:-1], True)) if run_of.size else run_of
        self._tied = last.size < run_of.size
        self._last_of_run = last
        self._run_end = ends[run_of[last]]

    def average_precision(self, weights: Weights) -> Vector:
        """Give the sum over the curve of the gain in recall times the precision there, as scikit-learn does.

        Args:
            weights: Shape (draws, n).

        Returns:
            In [0, 1], shape (draws,); NaN where no positive row has weight.
        """
        hits, precision = self._curve(weights)
        gains = np.diff(hits, axis=1, prepend=0.0)
        return _share(np.einsum("ij,ij->i", gains, precision), hits)

    def recall_at(self, least: float, weights: Weights) -> Vector:
        """Give the highest recall at a precision of at least *least*; 0 where the curve never reaches it.

        Args:
            least: In [0, 1].
            weights: Shape (draws, n).

        Returns:
            In [0, 1], shape (draws,); NaN where no positive row has weight.
        """
        hits, precision = self._curve(weights)
        return _share(np.where((precision >= least) & (hits > 0), hits, 0.0).max(axis=1, initial=0.0), hits)

    def _curve(self, weights: Weights) -> tuple[Vector, Vector]:
        """Give weighted hits and precision at each point with a positive row, shape (draws, points)."""
        ordered = weights[:, self._order]
        hits = np.cumsum(ordered[:, self._positive_at], axis=1, dtype=np.float64)
        if self._tied:
            hits = hits[:, self._last_of_run]
        listed = np.cumsum(ordered, axis=1, out=ordered)[:, self._run_end]
        return hits, hits / np.maximum(listed, 1)


def _share(amount: Vector, hits: Vector) -> Vector:
    """Divide by all positive weight."""
    if not hits.shape[1]:
        return np.full(hits.shape[0], np.nan)
    total = hits[:, -1]
    share: Vector = np.divide(amount, total, out=np.full(total.size, np.nan), where=total > 0)
    return share
