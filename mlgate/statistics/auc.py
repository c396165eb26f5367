"""Area under the ROC curve: of one model, and challenger minus champion on the same rows.

DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, on placements (`placements.py`); with groups, the sums of a
group's placements are its one value: Obuchowski (1997), Biometrics 53:567.

Plain DeLong passes a model at the margin too often when the rarer class is small, the AUC is near 1, or few rows are
ranked wrongly and those badly. The distance of a bound from the estimate is here the largest of three:

1. Student's t with Satterthwaite's degrees of freedom and Johnson's skewness correction, the standard error raised by
   `SMALL_CLASS` over the rows of the rarer class.
2. With less than `LITTLE_MISRANKED` rows' worth of misranking: the Bayesian bootstrap of the placements with two
   pseudo-rows (`influences.py`).
3. What unseen rows could do. Fewer than `FEW_ROWS` rows that lost more than `BROKEN` of their placement bound the share
   of such rows by Clopper-Pearson, and each can change its class's mean by 1: with none seen, 3 of the rarer class's
   rows. The classes are combined by the root of the sum of squares (MOVER: Zou and Donner 2008, Stat. Med. 27:1693).
   Identical scores on 1000 + 1000 rows: 0.0042.

Simulated one-sided error at the margin, at 95 %: binormal scores with AUCs of 0.70 to 0.997 and 30 to 500 rows of the
rarer class (400 samples in each of 168 cells), at most 5.5 %, near 1 at most 1.8 %; the nine cells that came highest, or
in which the challenger breaks few rows of one or both classes (3000 samples), 1.8-4.5 %. Without 2 and 3: 12 % at
an AUC of 0.997 with 85 + 85 rows, and 38-62 % where 1 % or less of the rows break.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from mlgate.statistics.arguments import Mask, Vector, binary_mask
from mlgate.statistics.clusters import Groups, effective_groups, group_codes, group_sums, groups_with
from mlgate.statistics.discordance import FEW_ROWS, unseen_share
from mlgate.statistics.influences import Spread, reweighted, studentised
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.placements import (
    Scores,
    Wins,
    doubled_wins,
    mean_share,
    score_vector,
    shares,
    subtract_doubled_wins,
)
from mlgate.statistics.shares import check_confidence

# The smallest class (in groups, where there are groups) that was simulated.
MIN_CLASS = 30
# Rarer class x (1 - AUC). Above it the t bounds alone keep their level: simulated.
LITTLE_MISRANKED = 30.0
SMALL_CLASS_ROWS = 100
# Raises the standard error by 8 % at 100 rows and by 0.8 % at 1000: what the error in our simulation asked for.
SMALL_CLASS = 8.0
# A row that loses more of its placement than this counts as broken.
BROKEN = 0.5


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float | Undefined:
    """Give the area under the ROC curve; tied scores count half.

    Args:
        y: True labels, 0 or 1, shape (n,).
        score: Any real score that rises with the chance of label 1, shape (n,).

    Returns:
        In [0, 1]; `Undefined` when a class is absent.

    Raises:
        ValueError: Lengths differ, a label is not 0 or 1, or a score is NaN or infinite.
    """
    is_positive = label_mask(y)
    absent = _absent(is_positive)
    if absent is not None:
        return absent
    wins = doubled_wins(is_positive, score_vector("score", score))
    return mean_share(wins, int((~is_positive).sum()), is_positive)


def auc_covariance(
    y: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike
) -> npt.NDArray[np.float64] | Undefined:
    """Give DeLong's covariance matrix of two AUCs on the same rows, without any of this module's corrections.

    Args:
        y: True labels, 0 or 1, shape (n,).
        first: Scores of one model, shape (n,).
        second: Scores of the other, shape (n,).

    Returns:
        Shape (2, 2); `Undefined` with fewer than two rows of a class.

    Raises:
        ValueError: Lengths differ, a label is not 0 or 1, or a score is NaN or infinite.
    """
    is_positive = label_mask(y)
    m, n = int(is_positive.sum()), int((~is_positive).sum())
    both = [doubled_wins(is_positive, score_vector("score", score)) for score in (first, second)]
    if min(m, n) < 2:
        return Undefined(reason=f"{m} positive and {n} negative rows have no variance", n=m + n)
    positive = np.stack([shares(wins[is_positive], n) for wins in both])
    negative = np.stack([shares(wins[~is_positive], m) for wins in both])
    covariance: Vector = np.cov(positive) / m + np.cov(negative) / n
    return covariance


def auc_interval(
    y: npt.ArrayLike, score: npt.ArrayLike, confidence: float, *, group: npt.ArrayLike | None = None, seed: int = 0
) -> Interval | Undefined:
    """Estimate one model's AUC, for a floor; DeLong's bounds are computed on the logit scale.

    Args:
        y: True labels, 0 or 1, shape (n,).
        score: Any real score that rises with the chance of label 1, shape (n,).
        confidence: Of each bound, in (0.5, 1).
        group: Group of each row, shape (n,); `None` where rows are independent.
        seed: Same seed, same bounds.

    Returns:
        The interval in [0, 1]; `Undefined` with fewer than `MIN_CLASS` rows (or groups) of a class.

    Raises:
        ValueError: Lengths differ, a label is not 0 or 1, a score is not finite, or the confidence is out of range.
    """
    check_confidence(confidence)
    is_positive = label_mask(y)
    codes = None if group is None else group_codes(group, is_positive.size)
    refused = _absent(is_positive) or _too_few(is_positive, codes)
    if refused is not None:
        return refused
    placed = _Classes(is_positive, doubled_wins(is_positive, score_vector("score", score)))
    area = placed.mean
    spread = _spread(placed, codes, confidence, min(area, 1 - area), seed, area=area)
    # A row below 1/2 is on the wrong side of most of the other class: of these there may be more than were seen.
    below = _unseen(placed, codes, confidence, lambda values: values < 1 - BROKEN)
    above = _unseen(placed, codes, confidence, lambda values: values > BROKEN)
    spread = spread.at_least(below, above)
    return Interval(
        estimate=area,
        lower=max(0.0, area - spread.below),
        upper=min(1.0, area + spread.above),
        confidence=confidence,
        method=_method("DeLong on the logit scale", codes),
        n=is_positive.size,
        standard_error=spread.standard_error,
        details={"positives": placed.positive.size, **_group_count(codes)},
    )


def paired_auc_interval(
    y: npt.ArrayLike,
    challenger_score: npt.ArrayLike,
    champion_score: npt.ArrayLike,
    confidence: float,
    *,
    group: npt.ArrayLike | None = None,
    seed: int = 0,
) -> Interval | Undefined:
    """Estimate the challenger's minus the champion's AUC. Never of zero width.

    Args:
        y: True labels, 0 or 1, shape (n,).
        challenger_score: Any real score that rises with the chance of label 1, shape (n,).
        champion_score: Same for the champion, same rows in the same order; its scale may differ.
        confidence: Of each bound, in (0.5, 1).
        group: Group of each row, shape (n,); `None` where rows are independent.
        seed: Same seed, same bounds. Swapping the models mirrors the interval.

    Returns:
        The interval in [-1, 1]; `Undefined` with fewer than `MIN_CLASS` rows (or groups) of a class.

    Raises:
        ValueError: Lengths differ, a label is not 0 or 1, a score is not finite, or the confidence is out of range.
    """
    check_confidence(confidence)
    is_positive = label_mask(y)
    codes = None if group is None else group_codes(group, is_positive.size)
    new, old = score_vector("challenger", challenger_score), score_vector("champion", champion_score)
    refused = _absent(is_positive) or _too_few(is_positive, codes)
    if refused is not None:
        return refused
    wins, negatives = doubled_wins(is_positive, new), int(np.count_nonzero(~is_positive))
    total = wins.sum(dtype=np.int64, where=is_positive)
    subtract_doubled_wins(wins, is_positive, old)
    sums = total, total - wins.sum(dtype=np.int64, where=is_positive)
    areas = [int(won) / (2 * negatives * (is_positive.size - negatives)) for won in sums]
    changed = int(np.count_nonzero(wins))
    placed = _Classes(is_positive, wins)
    del wins
    spread = _spread(placed, codes, confidence, min(min(area, 1 - area) for area in areas), seed)
    below = _unseen(placed, codes, confidence, lambda values: values < -BROKEN)
    above = _unseen(placed, codes, confidence, lambda values: values > BROKEN)
    spread = spread.at_least(below, above)
    estimate = placed.mean
    return Interval(
        estimate=estimate,
        lower=max(-1.0, estimate - spread.below),
        upper=min(1.0, estimate + spread.above),
        confidence=confidence,
        method=_method("paired DeLong, skewness-corrected", codes),
        n=is_positive.size,
        standard_error=spread.standard_error,
        details={
            "positives": placed.positive.size,
            "challenger": areas[0],
            "champion": areas[1],
            "differing": changed,
            **_group_count(codes),
        },
    )


def label_mask(y: npt.ArrayLike) -> Mask:
    """Convert 0/1 labels to a mask; a boolean array is returned as it is.

    Raises:
        ValueError: More than one dimension, or a value other than 0 and 1.
    """
    values = np.asarray(y)
    return values if values.dtype == np.bool_ and values.ndim == 1 else binary_mask("y", values)


class _Classes:
    """Placements (or their differences) of the two classes, of shape (m,) and (n,), with equal means."""

    __slots__ = ("is_positive", "mean", "negative", "positive")

    def __init__(self, is_positive: Mask, wins: Wins) -> None:
        m, n = int(np.count_nonzero(is_positive)), int(np.count_nonzero(~is_positive))
        self.is_positive = is_positive
        self.positive: Scores = shares(wins, n, is_positive)
        self.negative: Scores = shares(wins, m, ~is_positive)
        self.mean = mean_share(wins, n, is_positive)

    def strata(self, codes: Groups | None) -> Sequence[Scores]:
        """Give the independent units: the rows of either class, or the groups with their rows of both classes."""
        if codes is None:
            return self.positive, self.negative
        influence = np.empty(self.is_positive.size)
        influence[self.is_positive] = (self.positive - self.mean) / self.positive.size
        influence[~self.is_positive] = (self.negative - self.mean) / self.negative.size
        sums = group_sums(influence, codes)
        return (sums * sums.size,)


def _spread(
    placed: _Classes, codes: Groups | None, confidence: float, distance: float, seed: int, *, area: float | None = None
) -> Spread:
    """Give the larger of the t and, where little is misranked, the reweighted distances.

    Args:
        placed: Placements or their differences.
        codes: Groups.
        confidence: Of each bound.
        distance: Of the AUC from 0 or 1, the nearer of both models'.
        seed: For the weights.
        area: The AUC of one model, for the logit scale; `None` for a difference.
    """
    classes = placed.is_positive, ~placed.is_positive
    strata = placed.strata(codes)
    worth = min(effective_groups(rows, codes) for rows in classes)
    degrees = math.inf if codes is None else min(groups_with(rows, codes) for rows in classes) - 1.0
    spread = studentised(strata, confidence, degrees=degrees, widen=1 + SMALL_CLASS / worth)
    if area is not None:
        spread = _logit(area, spread)
    if worth < SMALL_CLASS_ROWS or worth * distance < LITTLE_MISRANKED:
        spread = spread.at_least(*reweighted(strata, confidence, seed=seed))
    return spread


def _logit(area: float, spread: Spread) -> Spread:
    """Carry the distances to the logit scale and back: towards 1 they shrink, away from it they grow."""
    scale = area * (1 - area)
    if not scale:
        return spread
    lower = float(special.expit(special.logit(area) - spread.below / scale))
    upper = float(special.expit(special.logit(area) + spread.above / scale))
    return Spread(standard_error=spread.standard_error, below=area - lower, above=upper - area)


def _unseen(placed: _Classes, codes: Groups | None, confidence: float, broken: Callable[[Scores], Mask]) -> float:
    """Bound what broken rows beyond those seen would cost: 3 rows of the rarer class where none was seen, at 95 %."""
    parts = []
    for values, rows in ((placed.positive, placed.is_positive), (placed.negative, ~placed.is_positive)):
        seen = groups_with(broken(values), None if codes is None else codes[rows])
        worth = effective_groups(rows, codes)
        parts.append(unseen_share(min(seen, int(worth)), int(worth), confidence) if seen < FEW_ROWS else 0.0)
    return math.hypot(*parts)


def _absent(is_positive: Mask) -> Undefined | None:
    m = int(np.count_nonzero(is_positive))
    n = is_positive.size - m
    if min(m, n):
        return None
    return Undefined(reason=f"{m} positive and {n} negative rows: a class is absent", n=m + n)


def _too_few(is_positive: Mask, codes: Groups | None) -> Undefined | None:
    rarer = min(groups_with(rows, codes) for rows in (is_positive, ~is_positive))
    if rarer >= MIN_CLASS:
        return None
    unit = "rows" if codes is None else "groups"
    return Undefined(reason=f"the rarer class has {rarer} {unit}, fewer than {MIN_CLASS}", n=is_positive.size)


def _method(name: str, codes: Groups | None) -> str:
    return name if codes is None else f"{name}, by groups (Obuchowski)"


def _group_count(codes: Groups | None) -> dict[str, float]:
    return {} if codes is None else {"groups": float(codes.max()) + 1}
