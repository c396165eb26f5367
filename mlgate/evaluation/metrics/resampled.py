"""A metric without an analytic bound: bootstrapped, and widened by what unseen rows could do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import Better, MetricFacts
from mlgate.evaluation.sample import Sample
from mlgate.statistics.bootstrap import Bootstrap, Statistic, Units, Weights, bootstrap_bounds
from mlgate.statistics.clusters import Groups, effective_groups, group_codes, groups_with
from mlgate.statistics.discordance import FEW_ROWS, unseen_share
from mlgate.statistics.interval import Interval, Undefined

Kind = NDArray[np.bool_]

# The fewest independent rows (or groups) that were simulated.
MIN_UNITS = 100
# Random choices of the rows that are broken; their mean effect counts.
CHOICES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledMetric(ABC):
    """A metric whose bounds are bootstrapped.

    The bootstrap knows only what it has seen. The bounds are therefore at least as far away as the metric moves when the
    model's answers are broken, in the worst way there is, on as many more rows as there may be without any being in the
    sample: 3, at 95 %. When fewer than `FEW_ROWS` rows of the two models differ, on as many as Clopper-Pearson's bound
    leaves possible; so identical answers have a width, too.

    Simulated one-sided error at the margin, at 95 %: average precision (1000 samples in each of nine cells, from 51 of 501
    rows positive) at most 4.4 %.

    Attributes:
        facts: Its name, what it needs, and which way is better.
        at: Its parameter.
    """

    facts: MetricFacts
    at: float | None = None

    @abstractmethod
    def trouble(self, sample: Sample) -> str:
        """Return why the metric has no value on these rows, or nothing."""

    @abstractmethod
    def statistic(self, sample: Sample) -> Statistic:
        """Return the metric as a function of weights of the sample's rows, shape (draws, n)."""

    @abstractmethod
    def breakable(self, sample: Sample) -> Iterator[Kind]:
        """Yield kinds of rows (masks) that may break separately."""

    @abstractmethod
    def broken(self, sample: Sample, rows: Units) -> Sample:
        """Return the sample with the worst answers there are on these rows."""

    def scarce(self, sample: Sample, codes: Groups | None) -> str:
        """Return which rows there are too few of for an interval, or nothing."""
        return too_few("", np.ones(len(sample), dtype=np.bool_), codes, MIN_UNITS)

    @property
    def widen(self) -> float:
        """Share by which the bootstrap's bounds are moved outward, for a metric that is not smooth."""
        return 0.0

    @property
    def costly(self) -> bool:
        """Whether one evaluation takes time of the order of all rows."""
        return False

    def value(self, sample: Sample) -> float | Undefined:
        """Return the point estimate alone."""
        trouble = "no rows" if not len(sample) else self.trouble(sample)
        if trouble:
            return Undefined(reason=trouble, n=len(sample))
        return self._value(sample)

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return one model's metric between one-sided bounds, in the metric's own unit."""
        estimate = self.value(sample)
        if isinstance(estimate, Undefined):
            return estimate
        codes = None if sample.group is None else group_codes(sample.group, len(sample))
        scarce = self.scarce(sample, codes)
        if scarce:
            return Undefined(reason=scarce, n=len(sample))
        found = self.bounds((sample,), codes, estimate, confidence, seed)
        width = self._harm(sample, codes, estimate, confidence, seed, FEW_ROWS)
        return _interval(self.facts, estimate, found, (width, width), sample, codes, confidence, {})

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger - champion on the same rows, oriented so that more is better."""
        new, old = self.value(challenger), self.value(champion)
        if isinstance(new, Undefined):
            return new
        if isinstance(old, Undefined):
            return old
        codes = None if challenger.group is None else group_codes(challenger.group, len(challenger))
        scarce = self.scarce(challenger, codes)
        if scarce:
            return Undefined(reason=scarce, n=len(challenger))
        sign = -1.0 if self.facts.better is Better.LESS else 1.0
        estimate = sign * (new - old) + 0.0  # of minus zero, plus zero

        differing = _differing(challenger, champion, codes)
        # Of identical answers every draw is 0: what is left is what unseen rows could do.
        found: Bootstrap | None = Bootstrap(
            lower=0.0, upper=0.0, standard_error=0.0, method="no answer differs", draws=0
        )
        if differing:
            found = self.bounds((challenger, champion), codes, estimate, confidence, seed)
        widths = (
            self._harm(challenger, codes, new, confidence, seed, differing),
            self._harm(champion, codes, old, confidence, seed, differing),
        )
        details = {"differing": float(differing), "challenger": new, "champion": old}
        return _interval(self.facts, estimate, found, widths, challenger, codes, confidence, details)

    def bounds(
        self, models: tuple[Sample, ...], codes: Groups | None, estimate: float, confidence: float, seed: int
    ) -> Bootstrap | None:
        """Return the bounds of one model's metric, or of the oriented difference of two; `None` where there are none."""
        sign = -1.0 if self.facts.better is Better.LESS and len(models) > 1 else 1.0

        def make(units: Units | None) -> Statistic:
            parts = [self.statistic(_some(sample, units, codes)) for sample in models]

            def difference(weights: Weights) -> NDArray[np.float64]:
                first = sign * parts[0](weights)
                return first if len(parts) == 1 else first - sign * parts[1](weights)

            return _by_unit(difference, _codes_of(units, codes))

        rows, units = len(models[0]), _units(len(models[0]), codes)
        return bootstrap_bounds(
            make,
            units,
            estimate,
            confidence,
            seed=seed,
            worth=self._worth(models[0], codes),
            widen=self.widen,
            rows_per_unit=rows / units,
            costly=self.costly,
        )

    def _worth(self, sample: Sample, codes: Groups | None) -> float:
        """Return how many independent units of the rarest kind there are."""
        return min(effective_groups(kind, codes) for kind in self.breakable(sample))

    def _value(self, sample: Sample) -> float:
        return float(self.statistic(sample)(np.ones((1, len(sample)), dtype=np.int32))[0])

    def _harm(
        self, sample: Sample, codes: Groups | None, value: float, confidence: float, seed: int, differing: int
    ) -> float:
        """Return how far the metric moves when as many rows break as may be there unseen; >= 0."""
        harms = [0.0]
        rng = np.random.default_rng(seed)
        for kind in self.breakable(sample):
            worth, rows = int(effective_groups(kind, codes)), np.flatnonzero(kind)
            seen = differing if differing < min(FEW_ROWS, worth) else 0
            count = min(rows.size, math.ceil(rows.size * unseen_share(seen, worth, confidence))) if worth else 0
            moved = [
                value - self._value(self.broken(sample, rng.choice(rows, count, replace=False)))
                for _ in range(CHOICES if len(sample) <= 1_000_000 else 1)
            ]
            harms.append(abs(float(np.nanmean(moved))))
        return max(harms)


def _interval(
    facts: MetricFacts,
    estimate: float,
    found: Bootstrap | None,
    widths: tuple[float, float],
    sample: Sample,
    codes: Groups | None,
    confidence: float,
    details: dict[str, float],
) -> Interval | Undefined:
    n = len(sample)
    if found is None:
        return Undefined(reason=f"{facts.name} has no value on too many resamples of {n} rows", n=n)
    lower, upper = min(found.lower, estimate - widths[0]), max(found.upper, estimate + widths[1])
    if not upper > lower:
        return Undefined(reason=f"{facts.name} does not vary over {n} rows: an interval would have no width", n=n)
    groups = {} if codes is None else {"groups": float(_units(n, codes))}
    return Interval(
        estimate=estimate,
        lower=lower,
        upper=upper,
        confidence=confidence,
        method=f"{found.method}{', by groups' if codes is not None else ''}",
        n=n,
        standard_error=found.standard_error or None,
        details={**details, **groups, "draws": float(found.draws), "unseen_rows": widths[0]},
    )


def too_few(name: str, rows: Kind, codes: Groups | None, least: int) -> str:
    """Return that fewer than *least* of the marked rows (or of the groups with one) are there, or nothing."""
    count = groups_with(rows, codes)
    unit = "rows" if codes is None else "groups with rows" if name else "groups"
    return f"{count} {name} {unit} are fewer than {least}".replace("  ", " ") if count < least else ""


def _units(rows: int, codes: Groups | None) -> int:
    return rows if codes is None else int(codes.max()) + 1


def _some(sample: Sample, units: Units | None, codes: Groups | None) -> Sample:
    if units is None:
        return sample
    return sample.take(units if codes is None else np.flatnonzero(np.isin(codes, units)))


def _codes_of(units: Units | None, codes: Groups | None) -> Groups | None:
    """Renumber the groups of some units."""
    if codes is None or units is None:
        return codes
    return np.searchsorted(units, codes[np.isin(codes, units)])


def _by_unit(statistic: Statistic, codes: Groups | None) -> Statistic:
    """Turn a function of the rows' weights into one of the groups' weights."""
    if codes is None:
        return statistic

    def of_groups(weights: Weights) -> NDArray[np.float64]:
        return statistic(weights[:, codes])

    return of_groups


def _differing(challenger: Sample, champion: Sample, codes: Groups | None) -> int:
    """Count the rows (or groups) on which any answer differs."""
    differs = np.zeros(len(challenger), dtype=np.bool_)
    for name in ("labels", "score", "scores", "numbers"):
        new, old = getattr(challenger, name), getattr(champion, name)
        if new is not None and old is not None:
            unequal = new != old
            differs |= unequal if unequal.ndim == 1 else unequal.any(axis=1)
    return int(differs.sum()) if codes is None else int(np.unique(codes[differs]).size)
