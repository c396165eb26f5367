"""The metrics that are built, by their name in the policy."""

from mlgate.evaluation.metric_names import METRICS
from mlgate.evaluation.metrics.auc import AREAS
from mlgate.evaluation.metrics.calibration import CALIBRATION
from mlgate.evaluation.metrics.coverage import COVERAGE
from mlgate.evaluation.metrics.curves import CURVES
from mlgate.evaluation.metrics.interface import Family, Metric
from mlgate.evaluation.metrics.losses import LOSSES
from mlgate.evaluation.metrics.order import ORDER
from mlgate.evaluation.metrics.ranking import RANKINGS
from mlgate.evaluation.metrics.shares import SHARES
from mlgate.evaluation.metrics.squares import SQUARES
from mlgate.evaluation.metrics.tables import TABLES

FAMILIES: tuple[Family, ...] = (
    SHARES,
    TABLES,
    LOSSES,
    SQUARES,
    COVERAGE,
    RANKINGS,
    AREAS,
    CALIBRATION,
    CURVES,
    ORDER,
)


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
