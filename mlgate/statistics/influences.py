"""Bounds of an estimate from the influence of each independent unit (a row, or a group of rows) on it.

The estimate is a sum of means, one per *stratum* of units: of the two classes' placements, or of one value per group.
Two methods, for the same input:

* Student's t with Satterthwaite's degrees of freedom and Johnson's correction for skewness (`studentised.py`).
* Reweighting: the Bayesian bootstrap (Rubin 1981, Ann. Statist. 9:130), with `PSEUDO_UNITS` units' worth of extra weight
  on the least welcome unit of each stratum. For small or strongly skewed strata, where t bounds are too narrow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector
from mlgate.statistics.placements import Scores
from mlgate.statistics.studentised import half_widths, t_critical

# The Monte Carlo error of the 95th percentile's level is sqrt(0.05 * 0.95 / 2000) = 0.5 points.
DRAWS = 2_000
# Simulated (see auc.py): with one pseudo-unit the error at the margin reaches 7.5 % at an AUC of 0.997, with two 3.5 %.
PSEUDO_UNITS = 2.0
# Units drawn one by one; the weighted sum of the others, each of less influence than these, is normal to good
# approximation. Bounds time and memory whatever the number of units.
EXACT_UNITS = 400
# Bounds the memory of the float64 copies.
CHUNK = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the bounds are from an estimate.

    Attributes:
        standard_error: Of the estimate.
        below: Distance of the lower bound, >= 0.
        above: Distance of the upper bound, >= 0.
    """

    standard_error: float
    below: float
    above: float

    def at_least(self, below: float, above: float) -> "Spread":
        """Widen to these distances where they are larger."""
        return Spread(standard_error=self.standard_error, below=max(self.below, below), above=max(self.above, above))


def studentised(
    strata: Sequence[Scores], confidence: float, *, degrees: float = math.inf, widen: float = 1.0
) -> Spread:
    """Give the t bounds, skewness-corrected.

    Args:
        strata: Values of the units, shape (k,) each, k >= 2; the estimate is the sum of their means.
        confidence: Of each bound, in (0.5, 1).
        degrees: Upper limit of the degrees of freedom.
        widen: Factor on the standard error.
    """
    moments = [_moments(values) for values in strata]
    variance, third = sum(m[0] for m in moments), sum(m[1] for m in moments)
    if not variance:
        return Spread(standard_error=0.0, below=0.0, above=0.0)
    weights = sum(m[0] ** 2 / (values.size - 1) for m, values in zip(moments, strata, strict=True))
    error = math.sqrt(variance) * widen
    critical = t_critical(confidence, min(degrees, variance**2 / weights))
    below, above = half_widths(error, third / variance**1.5, critical)
    return Spread(standard_error=error, below=below, above=above)


def reweighted(strata: Sequence[Scores], confidence: float, *, seed: int) -> tuple[float, float]:
    """Give the distances below and above of the reweighted bounds; swapping the sign of the values swaps them.

    Args:
        strata: As for `studentised`.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
    """
    below, above = np.zeros(DRAWS), np.zeros(DRAWS)
    for index, values in enumerate(strata):
        drawn = _draw(values, seed, index)
        mean = float(values.mean(dtype=np.float64))
        totals = drawn.totals + drawn.pseudo
        below += (drawn.sums + drawn.noise + drawn.pseudo * (float(values.min()) - mean)) / totals
        # The noise changes its sign, so that values of the other sign give the mirror image and not another draw.
        above += (drawn.sums - drawn.noise + drawn.pseudo * (float(values.max()) - mean)) / totals
    low, high = float(np.quantile(below, 1 - confidence)), float(np.quantile(above, confidence))
    return max(0.0, -low), max(0.0, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """Weighted sums of the centred values of one stratum, shape (DRAWS,) each.

    Attributes:
        sums: Of the units that are drawn one by one, with what the others' weights have to do with them.
        noise: The rest of the others' sum.
        totals: Sums of the weights.
        pseudo: Weight of the pseudo-units.
    """

    sums: Vector
    noise: Vector
    totals: Vector
    pseudo: Vector


def _draw(values: Scores, seed: int, stratum: int) -> _Drawn:
    mean = float(values.mean(dtype=np.float64))
    centred = values[_most_extreme(values, mean)].astype(np.float64) - mean
    weights, totals, (pseudo, others, noise) = _weights(seed, stratum, centred.size)
    sums, rest = weights @ centred.astype(np.float32), values.size - centred.size
    if not rest:
        return _Drawn(sums=sums.astype(np.float64), noise=0.0 * noise, totals=totals, pseudo=pseudo)
    # A sum of k units with unit exponential weights has mean sum(x) and variance sum(x^2); their weights, k and k.
    square = max(0.0, _moments(values)[0] * values.size * (values.size - 1) - float(centred @ centred))
    slope = -float(centred.sum()) / rest
    others = rest + math.sqrt(rest) * others
    noise = math.sqrt(max(0.0, square - slope**2 * rest)) * noise
    return _Drawn(sums=sums + slope * others, noise=noise, totals=totals + others, pseudo=pseudo)


# The same for every metric and slice with the same seed: a few of 3 MB are kept.
@lru_cache(maxsize=4)
def _weights(
    seed: int, stratum: int, units: int
) -> tuple[npt.NDArray[np.float32], Vector, tuple[Vector, Vector, Vector]]:
    """Draw unit exponential weights, shape (DRAWS, units), their sums, the pseudo-units' weights and two normals."""
    rng = np.random.default_rng([seed, stratum])
    weights = rng.standard_exponential((DRAWS, units), dtype=np.float32)
    rest = rng.standard_gamma(PSEUDO_UNITS, DRAWS), rng.standard_normal(DRAWS), rng.standard_normal(DRAWS)
    return weights, weights.sum(axis=1, dtype=np.float64), rest


def _most_extreme(values: Scores, mean: float) -> npt.NDArray[np.intp]:
    if values.size <= EXACT_UNITS:
        return np.arange(values.size)
    return np.argpartition(np.abs(values - values.dtype.type(mean)), values.size - EXACT_UNITS)[-EXACT_UNITS:]


def _moments(values: Scores) -> tuple[float, float]:
    """Give variance and third central moment of the mean, in chunks of float64."""
    n, mean = values.size, float(values.mean(dtype=np.float64))
    square = cube = 0.0
    for start in range(0, n, CHUNK):
        centred = values[start : start + CHUNK].astype(np.float64) - mean
        square += float(centred @ centred)
        cube += float((centred * centred) @ centred)
    return square / (n - 1) / n, cube / n**3
