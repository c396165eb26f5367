"""Quantiles of values that come in blocks, bootstrapped over whole blocks.

What is in a block may depend on its neighbours there; blocks are exchangeable. Davison and Hinkley (1997, Bootstrap
Methods and their Application, section 3.8): draw whole blocks with replacement. The percentile bootstrap of few units is
too narrow by sqrt((n - 1) / n) and by the normal quantile in place of Student's: its levels are moved outward as in
Hesterberg (2015, Am. Stat. 69:371, section 4.3.3).

Each block is a row of counts over a common grid of values, so that a draw is a weighted sum of rows whatever the number
of values.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mlgate.statistics.arguments import Vector
from mlgate.statistics.studentised import t_critical

# Values of the grid: a quantile is off by at most 1/4096 of the values in rank, far less than its sampling error.
CELLS = 4_096
# Cells of drawn counts held at a time: 32 MB.
AT_A_TIME = 4_000_000


def common_grid(*values: Vector) -> Vector:
    """Return up to `CELLS` of *values* (finite or infinite, shape (n,) each), ascending; the largest is among them."""
    distinct = np.unique(np.concatenate(values))
    if distinct.size <= CELLS:
        return distinct
    return np.unique(np.quantile(np.concatenate(values), np.linspace(0, 1, CELLS), method="inverted_cdf"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockTable:
    """How many values of each block are at each value of the grid.

    Attributes:
        grid: Shape (g,), ascending.
        counts: Shape (blocks, g).
    """

    grid: Vector
    counts: npt.NDArray[np.float32]

    @classmethod
    def of(cls, values: Vector, block: npt.NDArray[np.int64], blocks: int, grid: Vector) -> "BlockTable":
        """Count *values*, each rounded up to the grid.

        Args:
            values: Shape (n,), none above the grid's last.
            block: Shape (n,), in 0..blocks - 1.
            blocks: How many there are.
            grid: As `common_grid` gives it.
        """
        cell = block * grid.size + np.searchsorted(grid, values, side="left")
        counts = np.bincount(cell, minlength=blocks * grid.size).reshape(blocks, grid.size)
        return cls(grid=grid, counts=counts.astype(np.float32))

    def quantiles(self, q: float, weights: npt.NDArray[np.float32]) -> Vector:
        """Return the *q* quantile (an observed value) under each row of *weights*, shape (draws, blocks); shape (draws,)."""
        size = max(1, AT_A_TIME // self.grid.size)
        parts = [self._quantiles(q, weights[start : start + size]) for start in range(0, len(weights), size)]
        return np.concatenate(parts)

    def _quantiles(self, q: float, weights: npt.NDArray[np.float32]) -> Vector:
        reached = np.cumsum(weights @ self.counts, axis=1, dtype=np.float64)
        # Half a value of slack: the product q * n may round above the whole number that it is.
        wanted = np.ceil(q * reached[:, -1:] - 1e-9)
        places = (reached >= np.maximum(wanted, 1) - 0.5).argmax(axis=1)
        quantiles: Vector = self.grid[places]
        return quantiles


def block_weights(blocks: int, draws: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return how often each block is in each draw of as many blocks, shape (draws, blocks)."""
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=draws).astype(np.float32)


def expanded_level(confidence: float, blocks: int) -> float:
    """Return the level of the bootstrap's quantile that bounds at *confidence* (one-sided) with so few *blocks* (2 or more)."""
    return float(special.ndtr(np.sqrt(blocks / (blocks - 1)) * t_critical(confidence, blocks - 1)))
