"""The metrics by name: what each needs of the answers and which way is better. Pure, and without numpy: the policy asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Need(StrEnum):
    """What a metric reads of a sample, beside the truth."""

    LABELS = "labels"
    SCORE = "score"
    SCORES = "scores"
    NUMBERS = "numbers"
    POSITIVE = "positive"
    GROUP = "group"


class Better(StrEnum):
    """Which way is better."""

    MORE = "more"
    LESS = "less"
    NEAR = "near"  # to its parameter, as the coverage of a quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """A metric's parameter: the policy's `at`.

    Attributes:
        what: In words, for the schema and for errors.
        low: Smallest value.
        high: Largest value.
        whole: Whether it must be whole.
        default: `None` where the policy must give it.
    """

    what: str
    low: float
    high: float
    whole: bool = False
    default: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """One metric.

    Attributes:
        name: As in the policy; scikit-learn's word where it has one.
        needs: What the answers must hold.
        better: Which way is better.
        at: Its parameter, or `None`.
    """

    name: str
    needs: frozenset[Need]
    better: Better = Better.MORE
    at: At | None = None


_LABELS = frozenset({Need.LABELS})
_POSITIVE = frozenset({Need.LABELS, Need.POSITIVE})
_SCORE = frozenset({Need.SCORE, Need.POSITIVE})
_SCORES = frozenset({Need.SCORES})
_NUMBERS = frozenset({Need.NUMBERS})
_RANKING = frozenset({Need.SCORE, Need.GROUP})


def _all() -> list[MetricFacts]:
    less, near = Better.LESS, Better.NEAR
    averages = [f"{name}_{way}" for name in ("precision", "recall", "f1") for way in ("macro", "micro", "weighted")]
    return [
        *(MetricFacts(name=name, needs=_LABELS) for name in ("accuracy", "balanced_accuracy", "mcc", *averages)),
        *(MetricFacts(name=name, needs=_POSITIVE) for name in ("precision", "recall", "f1", "specificity")),
        # Of two classes from the score, of several from the scores: a sample with `score` and no `scores` is binary.
        MetricFacts(name="log_loss", needs=_SCORES, better=less),
        MetricFacts(name="brier", needs=_SCORES, better=less),
        MetricFacts(name="ece", needs=_SCORES, better=less),
        MetricFacts(name="roc_auc", needs=_SCORE),
        MetricFacts(name="roc_auc_ovr", needs=_SCORES),
        MetricFacts(name="average_precision", needs=_SCORE),
        MetricFacts(name="recall_at_precision", needs=_SCORE, at=At(what="the precision that is kept", low=0.0, high=1.0)),
        *(MetricFacts(name=name, needs=_NUMBERS, better=less) for name in ("rmse", "mae", "mape", "median_absolute_error")),
        MetricFacts(name="r2", needs=_NUMBERS),
        MetricFacts(name="pinball", needs=_NUMBERS, better=less, at=At(what="the quantile that is predicted", low=0.0, high=1.0)),
        MetricFacts(
            name="quantile_coverage", needs=_NUMBERS, better=near, at=At(what="the quantile that is predicted", low=0.0, high=1.0)
        ),
        MetricFacts(name="ndcg", needs=_RANKING, at=At(what="how many places count", low=1, high=10_000, whole=True, default=10)),
        MetricFacts(name="mrr", needs=_RANKING),
    ]  # fmt: skip


METRICS: Mapping[str, MetricFacts] = {facts.name: facts for facts in _all()}


def is_custom(name: str) -> bool:
    """Whether a metric's name in the policy is a function of the user's: `module:function`."""
    return ":" in name


def better_of(*, low: float | None, high: float | None, better: Better | None = None) -> Better | None:
    """Return which way is better for a metric of the user's own, or `None` where nothing says so.

    Args:
        low: The policy's `min`: then more is better.
        high: The policy's `max`: then less is better.
        better: The policy's `better`, which decides where it is given.
    """
    if better is not None:
        return better
    if (low is None) == (high is None):
        return None
    return Better.MORE if high is None else Better.LESS
