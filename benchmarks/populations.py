"""Populations of evaluation rows on which a challenger's true loss is known exactly.

Every `draw` gives challenger and champion on *n* fresh rows. The loss holds by construction: shares of cells, or the metric's
closed form solved for the one parameter that makes it; none is estimated from a sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy import stats

from mlgate.evaluation.sample import Sample

Pair = tuple[Sample, Sample]
CLASSES = ("no", "yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One kind of data and of loss.

    Attributes:
        name: For the table.
        metric: Judged on it.
        draw: Rows for a generator, their number, and the challenger's true loss in the metric's unit.
    """

    name: str
    metric: str
    draw: Callable[[Generator, int, float], Pair]

    def without_groups(self) -> "Population":
        """The same rows, judged as if they were independent."""

        def draw(rng: Generator, n: int, loss: float) -> Pair:
            challenger, champion = self.draw(rng, n, loss)
            return replace(challenger, group=None), replace(champion, group=None)

        return Population(name=f"{self.name}, group not given", metric=self.metric, draw=draw)


# Accuracy. A row is lost (only the champion is right), gained, or neither; the loss is the difference of the two shares.


def discordant(share: float) -> Population:
    """Only one of the two is right on *share* of the rows; 0: the challenger gains nothing, and without a loss is alike."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        total = max(share, loss)
        return _labelled(rng, n, lost=(total + loss) / 2, gained=(total - loss) / 2)

    name = f"{share:.0%} of rows discordant" if share else "losses only"
    return Population(name=name, metric="accuracy", draw=draw)


def sliced(losses: int, slices: int, share: float) -> Population:
    """Rows of equally many in each slice, by turns, of which the first *losses* slices have the loss, the others none."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        of_row = np.where(np.arange(n) % slices < losses, loss, 0.0)
        return _labelled(rng, n, lost=(share + of_row) / 2, gained=(share - of_row) / 2)

    return Population(name=f"{slices} slices", metric="accuracy", draw=draw)


def clustered_labels(size: int, touched: float) -> Population:
    """Groups of *size* rows; on *touched* of the groups the models differ, and half of such a group is lost, or gained."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        group = np.arange(n) // size
        kind = rng.random(int(group[-1]) + 1)
        lost = np.where(kind < touched / 2 + loss, 0.5, 0.0)[group]
        gained = np.where(kind > 1 - (touched / 2 - loss), 0.5, 0.0)[group]
        return _labelled(rng, n, lost=lost, gained=gained, group=group)

    return Population(name=f"groups of {size}", metric="accuracy", draw=draw)


def _labelled(
    rng: Generator, n: int, *, lost: float | np.ndarray, gained: float | np.ndarray, group: np.ndarray | None = None
) -> Pair:
    """Every row is truly `yes`."""
    kind, truth = rng.random(n), np.ones(n, dtype=np.int8)
    wrong = (kind < lost, (kind >= lost) & (kind < lost + gained))
    new, old = (
        Sample(truth=truth, labels=1 - each.astype(np.int8), classes=CLASSES, positive=1, group=group) for each in wrong
    )
    return new, old


# AUC. Scores are normal within a class, with the classes' means d apart: the AUC is Phi(d / sqrt(2)).


def shifted_scores(area: float, *, positives: float = 0.5, correlation: float = 0.9) -> Population:
    """The challenger separates all rows a little worse."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        is_positive = np.arange(n) < round(positives * n)
        noise, own = rng.normal(size=(2, n))
        new = correlation * noise + math.sqrt(1 - correlation**2) * own + _apart(area - loss) * is_positive
        return _scored(is_positive, new, noise + _apart(area) * is_positive)

    rarer = "" if positives == 0.5 else f", {positives:.0%} positive"
    return Population(name=f"AUC {area:g}{rarer}, all rows a little worse", metric="roc_auc", draw=draw)


def sunk_scores(area: float) -> Population:
    """The challenger is the champion but for a share q of the positive rows, which sink to the bottom: AUC (1 - q) area."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        is_positive = np.arange(n) < n // 2
        old = rng.normal(size=n) + _apart(area) * is_positive
        sunk = is_positive & (rng.random(n) < loss / area)
        return _scored(is_positive, np.where(sunk, -100.0 - rng.random(n), old), old)

    return Population(name=f"AUC {area:g}, a few rows sunk", metric="roc_auc", draw=draw)


def clustered_scores(area: float, size: int, within: float = 0.5) -> Population:
    """Groups of *size* rows of one class, whose scores share a part: any pair of two classes is of two groups."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        group = np.arange(n) // size
        is_positive = group % 2 == 1

        def scores(apart: float) -> np.ndarray:
            shared = rng.normal(size=int(group[-1]) + 1)[group]
            return math.sqrt(within) * shared + math.sqrt(1 - within) * rng.normal(size=n) + apart * is_positive

        return _scored(is_positive, scores(_apart(area - loss)), scores(_apart(area)), group)

    return Population(name=f"AUC {area:g}, groups of {size}", metric="roc_auc", draw=draw)


def _apart(area: float) -> float:
    return math.sqrt(2) * float(stats.norm.ppf(area))


def _scored(is_positive: np.ndarray, new: np.ndarray, old: np.ndarray, group: np.ndarray | None = None) -> Pair:
    truth = is_positive.astype(np.int8)
    both = (Sample(truth=truth, score=score, classes=CLASSES, positive=1, group=group) for score in (new, old))
    challenger, champion = both
    return challenger, champion


# F1. The champion finds 16 of 20 positives in 100 rows and raises 4 false alarms.

HITS, POSITIVES, CALLED = 0.16, 0.20, 0.20
F1 = 2 * HITS / (POSITIVES + CALLED)


def f1_table(way: str, swapped: float = 0.0) -> Population:
    """The challenger loses hits or adds alarms; besides, *swapped* of all rows trade places on either side of the truth.

    F1 - loss = 2 (HITS - q) / (POSITIVES + CALLED - q) for q lost hits, = 2 HITS / (POSITIVES + CALLED + q) for alarms.
    """

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        aim, rows = F1 - loss, POSITIVES + CALLED
        hits = (2 * HITS - aim * rows) / (2 - aim) if way == "hits" else 0.0
        alarms = 2 * HITS / aim - rows if way == "alarms" else 0.0
        # Truth, challenger, champion.
        cells = {
            (1, 1, 1): HITS - hits - swapped,
            (1, 0, 1): hits + swapped,
            (1, 1, 0): swapped,
            (1, 0, 0): POSITIVES - HITS - swapped,
            (0, 1, 1): CALLED - HITS - swapped,
            (0, 1, 0): alarms + swapped,
            (0, 0, 1): swapped,
        }
        cells[0, 0, 0] = 1 - sum(cells.values())
        counts = rng.multinomial(n, list(cells.values()))
        truth, new, old = np.repeat(np.array(list(cells), dtype=np.int8), counts, axis=0).T
        both = (Sample(truth=truth, labels=labels, classes=CLASSES, positive=1) for labels in (new, old))
        challenger, champion = both
        return challenger, champion

    words = {"hits": "loses hits", "alarms": "adds false alarms"}[way]
    return Population(name=f"F1 {F1:g}, {words}{f', {swapped:.0%} swapped' if swapped else ''}", metric="f1", draw=draw)


# RMSE.


def heavy_errors(degrees: int, correlation: float = 0.9) -> Population:
    """Errors t distributed, heavy for both models on the same rows; the challenger's RMSE is s times the champion's.

    The champion's is sqrt(degrees / (degrees - 2)). With 3 degrees a squared error has no variance, so that the RMSE has no
    standard error for a power calculation to rest on.
    """
    level = math.sqrt(degrees / (degrees - 2))

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        scale = np.sqrt(degrees / rng.chisquare(degrees, n))
        common, own = rng.normal(size=(2, n))
        new = correlation * common + math.sqrt(1 - correlation**2) * own
        return _numbered(scale * new * (1 + loss / level), scale * common)

    return Population(name=f"RMSE, errors t({degrees})", metric="rmse", draw=draw)


def normal_errors(correlation: float = 0.9) -> Population:
    """Normal errors of deviation 1, the challenger's 1 + loss."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        common, own = rng.normal(size=(2, n))
        new = correlation * common + math.sqrt(1 - correlation**2) * own
        return _numbered(new * (1 + loss), common)

    return Population(name="RMSE, normal errors", metric="rmse", draw=draw)


def broken_errors(share: float, times: float, correlation: float = 1.0) -> tuple[Population, float]:
    """The challenger errs as the champion (or with *correlation*), but with k times as large errors on *share* of the rows.

    RMSE = sqrt(1 + share (k^2 - 1)). Gives the population and the loss of k = *times*.
    """

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        k = math.sqrt(1 + ((1 + loss) ** 2 - 1) / share)
        old, own = rng.normal(size=(2, n))
        new = correlation * old + math.sqrt(1 - correlation**2) * own
        return _numbered(np.where(rng.random(n) < share, k, 1.0) * new, old)

    elsewhere = "" if correlation == 1.0 else ", others differ"
    name = f"RMSE, {share:.2g} of rows {times:g} times as wrong{elsewhere}"
    return Population(name=name, metric="rmse", draw=draw), math.sqrt(1 + share * (times**2 - 1)) - 1


# Median absolute error.

QUARTILE = float(stats.norm.ppf(0.75))  # the median of the sizes of normal errors of deviation 1


def median_errors(correlation: float = 0.9) -> Population:
    """Normal errors of deviation 1, the challenger's 1 + loss / 0.674."""

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        common, own = rng.normal(size=(2, n))
        new = correlation * common + math.sqrt(1 - correlation**2) * own
        return _numbered(new * (1 + loss / QUARTILE), common)

    return Population(name="median error, normal errors", metric="median_absolute_error", draw=draw)


def gap_errors() -> tuple[Population, float]:
    """Errors small on 55 % of the rows, in 0..1, else in 9..10; of the small ones the challenger makes 6 points large.

    The medians are 0.5 / 0.55 and 9 + 0.01 / 0.51; gives the population and the loss.
    """

    def draw(rng: Generator, n: int, loss: float) -> Pair:
        small, size = rng.random(n) < 0.55, rng.random(n)
        old = np.where(small, size, 9 + size)
        turned = small & (rng.random(n) < (0.06 if loss else 0.0) / 0.55)
        return _numbered(np.where(turned, 9 + size, old), old)

    return Population(name="median error, a gap at the median", metric="median_absolute_error", draw=draw), (
        9 + 0.01 / 0.51 - 0.5 / 0.55
    )


def _numbered(new: np.ndarray, old: np.ndarray) -> Pair:
    truth = np.zeros(new.size)
    return Sample(truth=truth, numbers=new), Sample(truth=truth, numbers=old)
