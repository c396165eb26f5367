"""Bootstrap bounds for a statistic of weighted units, where no analytic bound exists.

Units are rows, or groups of rows that are not independent: the cluster bootstrap draws whole groups (Davison and Hinkley
1997, Bootstrap Methods and their Application, section 3.8).

Up to `SUBSET` units: BCa (Efron 1987, JASA 82:171; DiCiccio and Efron 1996, Stat. Sci. 11:189), its acceleration from
a jackknife over at most `JACKKNIFE_GROUPS` parts. Beyond: the bag of little bootstraps (Kleiner, Talwalkar, Sarkar and
Jordan 2014, JRSSB 76:795): of `SUBSETS` random subsets, each re-weighted to the size of the whole, the quantiles of the
deviations are averaged. It needs memory and time for the subsets only, whatever the number of rows.

A bootstrap of few units is too narrow (Hesterberg 2015, Am. Stat. 69:371, section 4.2): BCa's bounds are moved outward by
`SMALL_SAMPLE` over the rarest kind of units. What unseen rows could do the caller must add. Statistics are asked for many draws at once, with at most `CELLS` weights in one call.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mlgate.statistics.arguments import Vector
from mlgate.statistics.shares import check_confidence

# Whole weights of units, shape (draws, units).
Weights = npt.NDArray[np.int32]
Units = npt.NDArray[np.intp]
# Maps weights, shape (draws, units), to values, shape (draws,). NaN where a draw has none (a class was not drawn).
Statistic = Callable[[Weights], Vector]

# The Monte Carlo error of the 95th percentile's level is sqrt(0.05 * 0.95 / 2000) = 0.5 points; DiCiccio and Efron's number.
DRAWS = 2_000
# n^0.6 and more, as Kleiner et al. recommend, up to 5 M units.
SUBSET = 10_000
SUBSETS = 8
DRAWS_PER_SUBSET = 200
JACKKNIFE_GROUPS = 200
CELLS = 2_000_000
# As in auc.py: 8 % at 100 units, 0.8 % at 1000. Simulated: without it the error at the margin reaches 7 % (average
# precision, 51 positive rows).
SMALL_SAMPLE = 8.0
# Draws without a value (no positive row, say) beyond this share leave no distribution to speak of.
MAX_WITHOUT_VALUE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Bounds, and what they rest on.

    Attributes:
        lower: One-sided lower bound.
        upper: One-sided upper bound.
        standard_error: Standard deviation of the draws.
        method: For the report.
        draws: Number of draws.
    """

    lower: float
    upper: float
    standard_error: float
    method: str
    draws: int


def bootstrap_bounds(
    make: Callable[[Units | None], Statistic],
    units: int,
    estimate: float,
    confidence: float,
    *,
    seed: int,
    worth: float | None = None,
    widen: float = 0.0,
    rows_per_unit: float = 1.0,
    costly: bool = False,
) -> Bootstrap | None:
    """Bound a statistic by the bootstrap.

    Args:
        make: Gives the statistic of some units (`None`: of all), as a function of their weights.
        units: Independent units, >= 2.
        estimate: The statistic of all units, each once.
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        worth: Units of the rarest kind that the statistic needs; `None`: all are of one kind.
        widen: Share by which the bounds are moved outward, for a statistic that is not smooth.
        rows_per_unit: Mean number of rows in a unit, for the bound on memory.
        costly: Whether one evaluation costs time of the order of all rows: then a quarter of the draws per subset.

    Returns:
        The bounds, widened; `None` where too many draws have no value.

    Raises:
        ValueError: The confidence is out of range.
    """
    check_confidence(confidence)
    rng = np.random.default_rng(seed)
    if units <= SUBSET:
        size, widen = max(1, int(CELLS / units / rows_per_unit)), widen + SMALL_SAMPLE / (worth or units)
        return _bca(make(None), units, size, estimate, confidence, widen, rng)
    draws = DRAWS_PER_SUBSET // 4 if costly else DRAWS_PER_SUBSET
    size = max(1, int(CELLS / SUBSET / rows_per_unit))
    return _little_bootstraps(make, units, size, estimate, confidence, widen, draws, rng)


def bca_quantiles(draws: Vector, estimate: float, acceleration: float, confidence: float) -> tuple[float, float]:
    """Give the BCa bounds of a sorted bootstrap distribution.

    Args:
        draws: Values of the statistic, shape (B,), ascending.
        estimate: The statistic of the sample.
        acceleration: Skewness of the jackknife influences over 6.
        confidence: Of each bound.

    Returns:
        Lower and upper bound. The bias correction counts ties half.
    """
    below = (np.searchsorted(draws, estimate, "left") + np.searchsorted(draws, estimate, "right")) / 2 / draws.size
    # Half a draw from the ends: an estimate beyond all draws would have an infinite correction.
    bias = float(special.ndtri(min(max(below, 0.5 / draws.size), 1 - 0.5 / draws.size)))
    bounds = []
    for z in (special.ndtri(1 - confidence), special.ndtri(confidence)):
        shifted = bias + float(z)
        level = float(special.ndtr(bias + shifted / max(1e-9, 1 - acceleration * shifted)))
        bounds.append(float(np.quantile(draws, level)))
    return bounds[0], bounds[1]


def acceleration(values: Vector) -> float:
    """Give BCa's acceleration from leave-out values, shape (g,): Efron (1987), equation 7.3 by the jackknife."""
    centred = values.mean() - values
    square = float(centred @ centred)
    return float((centred**3).sum()) / (6 * square**1.5) if square > 0 else 0.0


def _bca(
    statistic: Statistic,
    units: int,
    size: int,
    estimate: float,
    confidence: float,
    widen: float,
    rng: np.random.Generator,
) -> Bootstrap | None:
    values = _evaluate(statistic, size, DRAWS, lambda count: _multinomial(rng, count, units))
    known = np.sort(values[np.isfinite(values)])
    if known.size < (1 - MAX_WITHOUT_VALUE) * DRAWS:
        return None
    left_out = _jackknife(statistic, units, size, rng)
    lower, upper = bca_quantiles(known, estimate, acceleration(left_out[np.isfinite(left_out)]), confidence)
    return Bootstrap(
        lower=min(lower, estimate) - widen * max(0.0, estimate - lower),
        upper=max(upper, estimate) + widen * max(0.0, upper - estimate),
        standard_error=float(known.std(ddof=1)),
        method="BCa bootstrap",
        draws=DRAWS,
    )


def _little_bootstraps(
    make: Callable[[Units | None], Statistic],
    units: int,
    size: int,
    estimate: float,
    confidence: float,
    widen: float,
    draws: int,
    rng: np.random.Generator,
) -> Bootstrap | None:
    rate = units / SUBSET
    found = []
    for _ in range(SUBSETS):
        statistic = make(np.sort(rng.choice(units, SUBSET, replace=False, shuffle=False)))
        centre = float(statistic(np.ones((1, SUBSET), dtype=np.int32))[0])
        values = _evaluate(statistic, size, draws, lambda count: rng.poisson(rate, (count, SUBSET)).astype(np.int32))
        if not (np.isfinite(values).all() and math.isfinite(centre)):
            return None
        deviations = values - centre
        found.append((*np.quantile(deviations, [1 - confidence, confidence]), values.std(ddof=1)))
    below, above, error = (float(column) for column in np.mean(found, axis=0))
    return Bootstrap(
        lower=min(estimate, estimate + (1 + widen) * below),
        upper=max(estimate, estimate + (1 + widen) * above),
        standard_error=error,
        method="bag of little bootstraps",
        draws=SUBSETS * draws,
    )


def _evaluate(statistic: Statistic, size: int, draws: int, weights: Callable[[int], Weights]) -> Vector:
    """Ask for *size* draws at a time."""
    return np.concatenate([statistic(weights(min(size, draws - start))) for start in range(0, draws, size)])


def _multinomial(rng: np.random.Generator, draws: int, units: int) -> Weights:
    """Draw with replacement: how often each unit was drawn."""
    drawn = rng.integers(0, units, (draws, units)) + units * np.arange(draws)[:, np.newaxis]
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.int32)


def _jackknife(statistic: Statistic, units: int, size: int, rng: np.random.Generator) -> Vector:
    """Leave out each unit, or each of `JACKKNIFE_GROUPS` random parts of them: the sums of their cubes agree on average."""
    groups = min(units, JACKKNIFE_GROUPS)
    part = rng.permutation(units) % groups
    return np.concatenate(
        [
            statistic((part[np.newaxis, :] != block[:, np.newaxis]).astype(np.int32))
            for block in np.array_split(np.arange(groups), math.ceil(groups / size))
        ]
    )
