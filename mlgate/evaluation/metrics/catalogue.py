"""The metrics that are built, by their name in the policy."""

from mlgate.evaluation.metric_names import METRICS
from mlgate.evaluation.metrics.interface import Family, Metric

FAMILIES: tuple[Family, ...] = ()


def find_metric(name: str, at: float | None = None) -> Metric:
    """Return the metric *name* with its parameter *at*.

    Raises:
        KeyError: No family computes it.
    """
    facts = METRICS[name]
    family = next((family for family in FAMILIES if name in family.names), None)
    if family is None:
        raise KeyError(name)
    return family.make(facts, facts.at.default if at is None and facts.at is not None else at)
