"""What a metric is: a name, what it needs of the answers, and an interval for one model and for two on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.sample import Sample
from mlgate.statistics.interval import Interval, Undefined


class Metric(Protocol):
    """One metric. Pure: same sample and seed, same answer.

    A sample with `group` has rows that are not independent: every method here uses its clusters, or answers `Undefined`
    with that reason. No interval is of zero width; what can not be judged with the stated confidence is `Undefined`.
    """

    @property
    def facts(self) -> MetricFacts:
        """Its name, what it needs, and which way is better."""
        ...

    def value(self, sample: Sample) -> float | Undefined:
        """Return the point estimate alone; cheap, for searches and tables."""
        ...

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return one model's metric between one-sided bounds, in the metric's own unit."""
        ...

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return challenger - champion on the same rows, oriented so that more is better.

        The samples have the same truth and groups, row by row. Identical answers get an honest, non-zero width.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a file of this package offers.

    Attributes:
        names: Metrics it computes.
        make: Returns the metric for its facts and its parameter `at` (`None` where it has none).
    """

    names: frozenset[str]
    make: Callable[[MetricFacts, float | None], Metric]
