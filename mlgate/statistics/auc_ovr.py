"""Mean of the AUCs of each class against the rest, of one model and of two on the same rows.

A row counts in the AUC of every class, once as a positive and else as a negative row. Its influence on the mean is the
mean of its influences on each: the joint covariance of the placements (DeLong et al. 1988) then needs no matrix. Rows
(or groups: Obuchowski 1997) are the units; bounds and their reasons are those of `auc.py`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlgate.statistics import auc
from mlgate.statistics.arguments import Mask, Vector, check_lengths
from mlgate.statistics.clusters import Groups, effective_groups, group_codes, group_sums, groups_with
from mlgate.statistics.discordance import FEW_ROWS, unseen_share
from mlgate.statistics.influences import Spread, reweighted, studentised
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.placements import Scores, doubled_wins, mean_share, score_vector
from mlgate.statistics.shares import check_confidence

Codes = npt.NDArray[np.signedinteger[Any]] | npt.NDArray[np.floating[Any]]
ScoreTable = npt.NDArray[np.floating[Any]]


def auc_ovr(truth: Codes, scores: ScoreTable) -> float | Undefined:
    """Give the unweighted mean over classes of the AUC of a class's score against the rest.

    Args:
        truth: True classes as codes 0 ... k - 1, shape (n,).
        scores: Score of every class, shape (n, k).

    Returns:
        In [0, 1]; `Undefined` when a class is absent, or is the only one.

    Raises:
        ValueError: Lengths differ, or a score is NaN or infinite.
    """
    absent = _absent(truth, scores)
    if absent is not None:
        return absent
    return float(np.mean([auc.auc(truth == code, scores[:, code]) for code in range(scores.shape[1])]))


def auc_ovr_interval(
    truth: Codes, scores: ScoreTable, confidence: float, *, group: npt.ArrayLike | None = None, seed: int = 0
) -> Interval | Undefined:
    """Estimate one model's mean AUC, for a floor.

    Args:
        truth: True classes as codes, shape (n,).
        scores: Score of every class, shape (n, k).
        confidence: Of each bound, in (0.5, 1).
        group: Group of each row, shape (n,); `None` where rows are independent.
        seed: Same seed, same bounds.

    Returns:
        The interval in [0, 1]; `Undefined` with a class absent or of fewer than `auc.MIN_CLASS` rows (or groups).

    Raises:
        ValueError: Lengths differ, a score is not finite, or the confidence is out of range.
    """
    return _interval(truth, (scores,), confidence, group, seed)


def paired_auc_ovr_interval(
    truth: Codes,
    challenger: ScoreTable,
    champion: ScoreTable,
    confidence: float,
    *,
    group: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's mean AUC. Never of zero width.

    Args:
        truth: True classes as codes, shape (n,).
        challenger: Score of every class, shape (n, k).
        champion: Same for the champion, same rows in the same order.
        confidence: Of each bound, in (0.5, 1).
        group: Group of each row, shape (n,); `None` where rows are independent.
        seed: Same seed, same bounds.

    Returns:
        The interval in [-1, 1]; `Undefined` as for one model.

    Raises:
        ValueError: Lengths or numbers of classes differ, a score is not finite, or the confidence is out of range.
    """
    check_lengths(challenger=challenger.shape[1], champion=champion.shape[1])
    return _interval(truth, (challenger, champion), confidence, group, seed)


def _interval(
    truth: Codes, models: Sequence[ScoreTable], confidence: float, group: npt.ArrayLike | None, seed: int
) -> Interval | Undefined:
    check_confidence(confidence)
    codes = None if group is None else group_codes(group, truth.size)
    refused = _absent(truth, models[0]) or _too_few(truth, models[0].shape[1], codes)
    if refused is not None:
        return refused
    summed = _Sums(truth, models)
    spread = _spread(summed, codes, confidence, seed)
    estimate = summed.areas[0] - (summed.areas[1] if len(models) > 1 else 0.0)
    below = _unseen(summed, codes, confidence, lambda change: change < summed.usual - auc.BROKEN)
    above = _unseen(summed, codes, confidence, lambda change: change > auc.BROKEN)
    spread = spread.at_least(below, above)
    least = -1.0 if len(models) > 1 else 0.0
    return Interval(
        estimate=estimate,
        lower=max(least, estimate - spread.below),
        upper=min(1.0, estimate + spread.above),
        confidence=confidence,
        method=("paired " if len(models) > 1 else "")
        + "DeLong, one against the rest"
        + (", by groups" if codes is not None else ""),
        n=truth.size,
        standard_error=spread.standard_error,
        details={} if len(models) == 1 else {"challenger": summed.areas[0], "champion": summed.areas[1]},
    )


class _Sums:
    """What is summed up over the classes.

    Attributes:
        truth: Codes, shape (n,).
        classes: Number of classes.
        areas: Each model's mean AUC.
        distance: The least of worth of misranking: distance of a class's AUC from 0 or 1.
        influence: Of each row on the estimate, shape (n,).
        own: Placement (or change of it) of each row against the rows of the other classes, shape (n,).
        usual: Placement of a row that is not broken: 1 for one model, 0 for the change.
    """

    __slots__ = ("areas", "classes", "distance", "influence", "own", "truth", "usual")

    def __init__(self, truth: Codes, models: Sequence[ScoreTable]) -> None:
        n, k = truth.size, models[0].shape[1]
        self.truth, self.classes, self.usual = truth, k, 1.0 if len(models) == 1 else 0.0
        self.influence, self.own = np.zeros(n), np.zeros(n)
        areas = np.zeros((len(models), k))
        for code in range(k):
            member = truth == code
            for index, scores in enumerate(models):
                areas[index, code] = self._add(member, score_vector("scores", scores[:, code]), 1.0 - 2 * index)
        self.areas = tuple(float(area) for area in areas.mean(axis=1))
        self.distance = float(np.minimum(areas, 1 - areas).min())

    def _add(self, member: Mask, score: Scores, sign: float) -> float:
        """Add one class's placements, and return its AUC."""
        m, n = int(member.sum()), int((~member).sum())
        wins = doubled_wins(member, score)
        area = mean_share(wins[member], n)
        placement = wins / np.where(member, 2.0 * n, 2.0 * m)
        self.own[member] += sign * placement[member]
        self.influence += sign * (placement - area) / np.where(member, m, n) / self.classes
        return area


def _spread(summed: _Sums, codes: Groups | None, confidence: float, seed: int) -> Spread:
    values = summed.influence if codes is None else group_sums(summed.influence, codes)
    strata = (values * values.size,)
    members = [summed.truth == code for code in range(summed.classes)]
    worth = min(effective_groups(rows, codes) for rows in members)
    degrees = math.inf if codes is None else min(groups_with(rows, codes) for rows in members) - 1.0
    spread = studentised(strata, confidence, degrees=degrees, widen=1 + auc.SMALL_CLASS / worth)
    if worth < auc.SMALL_CLASS_ROWS or worth * summed.distance < auc.LITTLE_MISRANKED:
        spread = spread.at_least(*reweighted(strata, confidence, seed=seed))
    return spread


def _unseen(summed: _Sums, codes: Groups | None, confidence: float, broken: Callable[[Vector], Mask]) -> float:
    """Bound what broken rows beyond those seen would cost, class by class.

    A row that is ranked last in its own class and first in every other costs 1 / m of its own AUC, and 1 / (n - m_l) of
    each other class's.
    """
    sizes = np.bincount(summed.truth.astype(np.intp), minlength=summed.classes)
    others = summed.truth.size - sizes
    parts = []
    for code in range(summed.classes):
        rows = summed.truth == code
        worth, seen = int(effective_groups(rows, codes)), groups_with(rows & broken(summed.own), codes)
        share = unseen_share(min(seen, worth), worth, confidence) if seen < FEW_ROWS else 0.0
        cost = 1.0 + sizes[code] * (float((1 / others).sum()) - 1 / others[code])
        parts.append(share * cost / summed.classes)
    return math.hypot(*parts)


def _absent(truth: Codes, scores: ScoreTable) -> Undefined | None:
    check_lengths(truth=truth.size, scores=len(scores))
    missing = [code for code in range(scores.shape[1]) if not (truth == code).any()]
    if missing:
        return Undefined(reason=f"{len(missing)} of {scores.shape[1]} classes have no row", n=truth.size)
    return None if scores.shape[1] > 1 else Undefined(reason="there is one class only", n=truth.size)


def _too_few(truth: Codes, classes: int, codes: Groups | None) -> Undefined | None:
    rarest = min(groups_with(truth == code, codes) for code in range(classes))
    if rarest >= auc.MIN_CLASS:
        return None
    unit = "rows" if codes is None else "groups"
    return Undefined(reason=f"the rarest class has {rarest} {unit}, fewer than {auc.MIN_CLASS}", n=truth.size)
