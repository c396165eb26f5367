"""Planning: what loss a number of rows would show, metric by metric, before any model is scored. Pure.

No answers are known yet, so each metric rests on an assumption, which is printed beside the number. The two models are
taken as equally good; `SPREADS` gives the standard deviation of one row's contribution to their difference, and the
standard error is that over the root of the rows that count. A run replaces all of it by what it measured.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mlgate.evaluation.metric_names import METRICS, Better
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.column_means import LEAST_UNSEEN_LOSS, UNSEEN_LOSS, UNSEEN_SQUARE
from mlgate.statistics.power import (
    minimum_detectable_share,
    minimum_detectable_unseen,
    rows_needed_identical,
    rows_needed_proportion,
    rows_needed_unseen,
)

# Assumed where the policy has no floor to take a level from: a usable model of each kind.
LEVEL = 0.8
LOSS_LEVEL = {"log_loss": 0.4, "brier": 0.15, "ece": 0.05}
# What unseen rows could add to the RMSE or to a mean loss, in shares of it, times the rows: 4.74 rows (Clopper-Pearson's
# bound where one is seen, at 95 %).
UNSEEN_ROOT = 4.74 * UNSEEN_SQUARE / 2
UNSEEN_ABSOLUTE = 4.74 * LEAST_UNSEEN_LOSS
UNSEEN_MEAN = 4.74 * UNSEEN_LOSS
TAIL = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is assumed of data and models.

    Attributes:
        discordance: Share of rows on which only one of the two is right, in (0, 1).
        positives: Share of rows of the positive (or of the rarest) class, in (0, 1).
        correlation: Between the two models' errors (or scores, within a class), in [0, 1).
        per_group: Rows of one ranking (or of one group), >= 1.
        design_effect: By how much grouped rows inflate the variance, >= 1.
        kurtosis: Of the errors of a regression, >= 1: 3 for normal ones, 6 for Laplace's, 9 for Student's t with 5
            degrees of freedom.
    """

    discordance: float = 0.05
    positives: float = 0.2
    correlation: float = 0.9
    per_group: float = 10.0
    design_effect: float = 1.0
    kurtosis: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMetric:
    """One metric of the policy.

    Attributes:
        name: As in the policy.
        margin: As in the policy; `None` where it has only a floor.
        detectable: Smallest margin at which two equally good models would pass; `None` where nothing can be assumed.
        needed: Rows for the margin; `None` without a margin or an assumption.
        slice_detectable: `detectable` on the rows of the smallest slice; `None` without slices.
        slice_needed: Rows in all at which the smallest slice has enough for the margin.
        assumption: In words.
    """

    name: str
    margin: float | None
    detectable: float | None
    needed: int | None
    slice_detectable: float | None
    slice_needed: int | None
    assumption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """Standard deviation of one row's contribution, the share of rows that count, and what was assumed.

    `unseen`: what rows that were not seen could do, times the rows, for unbounded losses.
    """

    deviation: float
    counting: float
    words: str
    share_like: bool = False
    unseen: float = 0.0


def plan(
    accuracy: Accuracy, rows: int, assumed: Assumptions, *, slice_share: float | None = None, power: float = 0.8
) -> tuple[PlannedMetric, ...]:
    """Plan every metric of the policy.

    Args:
        accuracy: The policy's section.
        rows: Rows that there would be, >= 1.
        assumed: Of data and models.
        slice_share: Share of the rows in the smallest slice, in (0, 1]; `None` for no slices.
        power: Chance to pass when the models are equally good, in (0, 1).
    """
    return tuple(
        _planned(name, accuracy, rows, assumed, slice_share=slice_share, power=power)
        for name in sorted(accuracy.metrics)
    )


def _planned(
    name: str, accuracy: Accuracy, rows: int, assumed: Assumptions, *, slice_share: float | None, power: float
) -> PlannedMetric:
    spec, confidence = accuracy.metrics[name], accuracy.confidence
    spread = _spread(name, accuracy, assumed)
    if spread is None:
        words = "a metric of your own: nothing can be assumed; a first run prints what it can show"
        return PlannedMetric(
            name=name, margin=spec.margin, detectable=None, needed=None, slice_detectable=None, slice_needed=None,
            assumption=words,
        )  # fmt: skip
    effect = assumed.design_effect

    def detectable(available: float) -> float | None:
        counting = math.floor(available * spread.counting / effect)
        if counting < 1:
            return None
        if spread.share_like:
            shown = minimum_detectable_share(counting, spread.deviation**2, confidence, power=power)
            return max(shown, _least_margin(counting, confidence))
        return minimum_detectable_unseen(spread.deviation, spread.unseen, counting, confidence, power=power)

    def needed(share: float) -> int | None:
        if spec.margin is None:
            return None
        if spread.share_like and spec.margin < 1:
            counting: float = rows_needed_proportion(spread.deviation**2, 0, 1, spec.margin, confidence, power=power)
        else:
            counting = rows_needed_unseen(spread.deviation, spread.unseen, spec.margin, confidence, power=power)
        return math.ceil(counting * effect / spread.counting / share)

    return PlannedMetric(
        name=name,
        margin=spec.margin,
        detectable=detectable(rows),
        needed=needed(1.0),
        slice_detectable=None if slice_share is None else detectable(rows * slice_share),
        slice_needed=None if slice_share is None else needed(slice_share),
        assumption=spread.words,
    )


def _least_margin(rows: int, confidence: float) -> float:
    """Return the smallest margin at which models that answer alike would pass, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if 0 < middle < 1 and rows_needed_identical(middle, confidence) <= rows else (middle, high)
        )
    return high


def _spread(name: str, accuracy: Accuracy, assumed: Assumptions) -> _Spread | None:
    facts = METRICS.get(name)
    if facts is None:
        return None
    spec = accuracy.metrics[name]
    given = spec.max if facts.better is Better.LESS else spec.min
    level = given if given is not None else LOSS_LEVEL.get(name, LEVEL)
    unit = given is None and name in _IN_THE_TARGETS_UNIT
    spread = _RULES[name](1.0 if unit else level, assumed)
    if not unit:
        return spread
    words = f"{spread.words}; in shares of the champion's {name}, as accuracy.metrics.{name}.max gives no level"
    return replace(spread, words=words)


Rule = Callable[[float, Assumptions], _Spread]
_IN_THE_TARGETS_UNIT = frozenset({"rmse", "mae", "median_absolute_error", "pinball"})


def _disagreement(assumed: Assumptions) -> str:
    return f"{assumed.discordance:.3g} of these rows discordant"


def _share(counting: Callable[[Assumptions], float], which: str) -> Rule:
    """A share of some rows: each discordant row of them moves it by one, up or down."""

    def rule(_: float, assumed: Assumptions) -> _Spread:
        words = f"{which}, {_disagreement(assumed)}"
        return _Spread(
            deviation=math.sqrt(assumed.discordance), counting=counting(assumed), words=words, share_like=True
        )

    return rule


def _two_shares(factor: float, which: str) -> Rule:
    """Half the sum of a share of the positives and one of the negatives, times *factor*."""

    def rule(_: float, assumed: Assumptions) -> _Spread:
        p = assumed.positives
        deviation = factor / 2 * math.sqrt(assumed.discordance * (1 / p + 1 / (1 - p)))
        return _Spread(deviation=deviation, counting=1.0, words=f"{which}, {p:.3g} positive, {_disagreement(assumed)}")

    return rule


def _f1(level: float, assumed: Assumptions) -> _Spread:
    """A lost positive takes (2 - F1) / 2 n p of F1, an added alarm F1 / 2 n p, with as many alarms as positives."""
    p = assumed.positives
    variance = assumed.discordance * (p * (2 - level) ** 2 + (1 - p) * level**2) / (4 * p**2)
    words = f"F1 near {level:g}, {p:.3g} positive and as many predicted, {_disagreement(assumed)}"
    return _Spread(deviation=math.sqrt(variance), counting=1.0, words=words)


def _roc_auc(level: float, assumed: Assumptions) -> _Spread:
    """Hanley and McNeil (1982), Radiology 143:29, and (1983), Radiology 148:839, for the correlation of two AUCs."""
    area, p = min(max(level, 0.5), 0.999), assumed.positives
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (q1 - area**2) / p + (q2 - area**2) / (1 - p)
    words = f"AUC near {area:g}, {p:.3g} positive, the two AUCs correlated {assumed.correlation:g}"
    return _Spread(deviation=math.sqrt(2 * variance * (1 - assumed.correlation)), counting=1.0, words=words)


def _error(factor: float, which: str) -> Rule:
    """A mean of the errors' size: proportional to the level, for normal errors with the assumed correlation r.

    Absolute errors and pinball losses, with their own factors.
    """

    def rule(level: float, assumed: Assumptions) -> _Spread:
        deviation = factor * level * math.sqrt(1 - assumed.correlation**2)
        words = f"{which} near {level:g}, normal errors correlated {assumed.correlation:g}"
        return _Spread(deviation=deviation, counting=1.0, words=words, unseen=UNSEEN_ABSOLUTE * level)

    return rule


def _rmse(level: float, assumed: Assumptions) -> _Spread:
    """Normal errors of deviation s: the squares' differences have variance 4 s^4 (1 - r^2), of root means s^2 (1 - r^2).

    Heavy tails on both models' same rows: times kurtosis / 3. What unseen rows could do is `statistics/rmse.py`'s. Single
    rows then make the bound wide, for `TAIL` rows' worth a unit of kurtosis: simulated with t(5) errors.
    """
    deviation = level * math.sqrt((1 - assumed.correlation**2) * assumed.kurtosis / 3)
    unseen = level * (UNSEEN_ROOT + TAIL * max(0.0, assumed.kurtosis - 3))
    words = f"RMSE near {level:g}, errors of kurtosis {assumed.kurtosis:g} correlated {assumed.correlation:g}"
    return _Spread(deviation=deviation, counting=1.0, words=words, unseen=unseen)


def _r2(level: float, assumed: Assumptions) -> _Spread:
    """Twice the change of the RMSE, in shares of it, times the share that is not explained."""
    spread = _rmse(2 * (1 - level), assumed)
    return replace(spread, words=spread.words.replace(f"RMSE near {2 * (1 - level):g}", f"R2 near {level:g}"))


def _median(level: float, assumed: Assumptions) -> _Spread:
    """The median m of n normal errors has variance 1 / (4 n f^2), f the density at m: (1.17 m)^2 / n.

    Two models' errors lie on two sides of their medians on about sqrt(1 - r^2) / 2 of the rows; within 6 % of
    it, counted on two million.
    """
    deviation = 2 * 1.17 * level * math.sqrt(math.sqrt(1 - assumed.correlation**2) / 2)
    words = f"median absolute error near {level:g}, normal errors correlated {assumed.correlation:g}"
    return _Spread(deviation=deviation, counting=1.0, words=words)


def _mean_loss(level: float, assumed: Assumptions) -> _Spread:
    """A loss a row that spreads as much as it is on average."""
    words = f"loss near {level:g} that spreads as much, correlated {assumed.correlation:g}"
    return _Spread(deviation=level * math.sqrt(2 * (1 - assumed.correlation)), counting=1.0, words=words)


def _log_loss(level: float, assumed: Assumptions) -> _Spread:
    """A mean loss of which rare rows may be much."""
    return replace(_mean_loss(level, assumed), unseen=UNSEEN_MEAN * level)


def _ranking(_: float, assumed: Assumptions) -> _Spread:
    """A value in [0, 1] a ranking, which spreads as if every value were as likely: 1 / sqrt(12)."""
    words = f"{assumed.per_group:g} rows a ranking, values evenly spread, correlated {assumed.correlation:g}"
    deviation = math.sqrt(2 * (1 - assumed.correlation) / 12)
    return _Spread(deviation=deviation, counting=1 / assumed.per_group, words=words)


_EVERY = _share(lambda _: 1.0, "all rows")
_POSITIVE = _share(lambda assumed: assumed.positives, "the positive rows")
_PREDICTED = _share(lambda assumed: assumed.positives, "as many rows predicted positive as are")
_BALANCED = _two_shares(1.0, "as two classes")
_NO_FORMULA = _share(lambda assumed: assumed.positives, "no closed form; as a share of the positive rows")

_RULES: Mapping[str, Rule] = {
    "accuracy": _EVERY,
    "balanced_accuracy": _BALANCED,
    "mcc": _two_shares(2.0, "as twice the balanced accuracy"),
    "precision": _PREDICTED,
    "recall": _POSITIVE,
    "specificity": _share(lambda assumed: 1 - assumed.positives, "the negative rows"),
    "f1": _f1,
    **{f"{name}_micro": _EVERY for name in ("precision", "recall", "f1")},
    **{f"{name}_macro": _two_shares(1.0, "macro as of two classes") for name in ("precision", "recall")},
    **{f"{name}_weighted": _EVERY for name in ("precision", "recall", "f1")},
    "f1_macro": _two_shares(1.0, "macro as balanced accuracy"),
    "log_loss": _log_loss,
    "brier": _mean_loss,
    "ece": _mean_loss,
    "roc_auc": _roc_auc,
    "roc_auc_ovr": _roc_auc,
    "average_precision": _NO_FORMULA,
    "recall_at_precision": _NO_FORMULA,
    "rmse": _rmse,
    # Absolute normal errors: variance m^2 (pi / 2 - 1) around their mean m, correlated about r^2.
    "mae": _error(math.sqrt(math.pi - 2), "MAE"),
    "mape": _error(math.sqrt(math.pi - 2), "MAPE"),
    "pinball": _error(math.sqrt(math.pi - 2), "pinball loss"),
    "median_absolute_error": _median,
    "r2": _r2,
    "quantile_coverage": _EVERY,
    "ndcg": _ranking,
    "mrr": _ranking,
}
