"""Functions of a confusion table: precision, recall and F1 of one class or over the classes, balanced accuracy, MCC.

Each depends on three numbers a class: rows that are truly of it, that are predicted as it, and both. These *totals* are
sums over rows, so `column_means.py` bounds any function of them. Rows that are alike (same truth, same answers) are one
kind with a count: no row is resampled one by one. The pseudo-rows are of the least welcome kind, seen or not, so that
two models with identical answers get an interval of honest width.

Averages are over the classes that occur in the truth, as scikit-learn's with those `labels`. A prediction that is no
known class is counted in no class's predictions and is wrong for the class of its row.

Simulated one-sided error at the margin in seven tables of two to five classes, n = 100 to 1 000, balanced and rare, for
precision, balanced accuracy, macro F1 and MCC (600 samples, at 95 %): 0.0-4.3 %; with two pseudo-rows 0.0-2.5 %.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlgate.statistics.arguments import Vector
from mlgate.statistics.column_means import Statistic, Units, compact_codes, gradient_at, means_interval
from mlgate.statistics.interval import Interval, Undefined

Codes = npt.NDArray[np.signedinteger]

# Numbers in the units' matrix, 16 MB. Beyond, the units of least influence are put into blocks at random.
MAX_NUMBERS = 2**21
# Units of most influence that stay on their own then.
ALONE = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Truth and answers of one model, or of two, as codes; alike rows may be given once.

    Attributes:
        truth: Codes in [0, classes), shape (m,).
        models: Predicted codes of each model, in [-1, classes), shape (m,) each; -1 is no known class.
        counts: How many rows are alike, shape (m,); `None`: one.
        group: Group of each row, shape (m,), or `None`; only without counts.
        classes: Number of classes.
    """

    truth: Codes
    models: tuple[Codes, ...]
    counts: Vector | None = None
    group: Codes | None = None
    classes: int

    @property
    def width(self) -> int:
        """Totals of one model."""
        return 3 * self.classes + 1


def totals_interval(
    answers: Answers, of_one: Statistic, confidence: float, *, seed: int, limits: tuple[float, float]
) -> Interval | Undefined:
    """Estimate a function of one model's totals, or its difference between two models. Never of zero width.

    Args:
        answers: Of one model, or of challenger and champion.
        of_one: Maps one model's totals (or means of them), shape (m, width), to values of shape (m,).
        confidence: Of each bound, in (0.5, 1).
        seed: Same seed, same bounds.
        limits: Values that the estimate can not pass.

    Returns:
        The interval; `Undefined` for no rows or too few groups.

    Raises:
        ValueError: The confidence is out of range.
    """
    if not answers.truth.size:
        return Undefined(reason="no rows", n=0)
    means = totals_of(answers)
    gradients = [gradient_at(of_one, part) for part in np.split(means, len(answers.models))]
    statistic = of_one if len(answers.models) == 1 else _difference_of(of_one, answers.width)
    low, high = (_worst_kind(answers, gradients, sign) for sign in (-1.0, 1.0))
    units = _units(answers, gradients, seed)
    # Two pseudo-rows of a kind would be nothing beside whole groups: there the kind is reckoned with as unseen groups.
    return means_interval(
        units,
        statistic,
        confidence,
        seed=seed,
        imagined=np.stack([low, high]) if units.grouped else None,
        pseudo=None if units.grouped else (low, high),
        mirror=None if len(answers.models) == 1 else _swapped,
        limits=limits,
    )


def totals_of(answers: Answers) -> Vector:
    """Give each model's totals as shares of all rows, shape (models x width,): correct, true, predicted by class.

    The first of the predicted is no known class.
    """
    weights = answers.counts
    rows = float(answers.truth.size if weights is None else weights.sum())
    parts = []
    for predicted in answers.models:
        right = predicted == answers.truth
        for codes, kept, size in (
            (answers.truth, right, answers.classes),
            (answers.truth, slice(None), answers.classes),
            (predicted + 1, slice(None), answers.classes + 1),
        ):
            parts.append(
                np.bincount(codes[kept], weights=None if weights is None else weights[kept], minlength=size) / rows
            )
    return np.concatenate(parts)


def class_statistic(name: str, present: npt.NDArray[np.bool_], positive: int | None = None) -> Statistic:
    """Return the function of one model's totals that is called *name*.

    Args:
        name: precision, recall, f1 (of the positive class, or with _macro or _weighted), balanced_accuracy, or mcc.
        present: Which classes occur in the truth, shape (classes,).
        positive: Code of the positive class, where the name needs one.

    Returns:
        Maps totals of shape (m, 3 classes + 1) to values of shape (m,); 0 / 0 is 0, as in scikit-learn.
    """
    if name == "mcc":
        return _mcc
    base, _, average = ("recall", "", "macro") if name == "balanced_accuracy" else name.partition("_")
    of_class = _OF_CLASS[base]
    chosen = np.flatnonzero(present) if positive is None or average else np.array([positive])

    def statistic(totals: Vector) -> Vector:
        correct, true, predicted = _split(totals)
        values = of_class(correct[:, chosen], true[:, chosen], predicted[:, 1:][:, chosen])
        weights = true[:, chosen] if average == "weighted" else np.ones(chosen.size)
        averaged: Vector = _ratio((values * weights).sum(axis=1), np.broadcast_to(weights, values.shape).sum(axis=1))
        return averaged

    return statistic


def _ratio(over: Vector, under: Vector) -> Vector:
    ratio: Vector = np.divide(over, under, out=np.zeros_like(over), where=under > 0)
    return ratio


_OF_CLASS: dict[str, Callable[[Vector, Vector, Vector], Vector]] = {
    "precision": lambda correct, _, predicted: _ratio(correct, predicted),
    "recall": lambda correct, true, _: _ratio(correct, true),
    "f1": lambda correct, true, predicted: _ratio(2 * correct, true + predicted),
}


def _mcc(totals: Vector) -> Vector:
    """Gorodkin (2004), Comput. Biol. Chem. 28:367: the correlation of two labellings with several classes."""
    correct, true, predicted = _split(totals)
    rows = true.sum(axis=1)
    spread = (rows**2 - (predicted**2).sum(axis=1)) * (rows**2 - (true**2).sum(axis=1))
    together = correct.sum(axis=1) * rows - (true * predicted[:, 1:]).sum(axis=1)
    return _ratio(together, np.sqrt(np.maximum(spread, 0.0)))


def _split(totals: Vector) -> tuple[Vector, Vector, Vector]:
    classes = totals.shape[1] // 3
    return totals[:, :classes], totals[:, classes : 2 * classes], totals[:, 2 * classes :]


def _difference_of(of_one: Statistic, width: int) -> Statistic:
    return lambda totals: of_one(totals[:, :width]) - of_one(totals[:, width:])


def _swapped(totals: Vector) -> Vector:
    swapped: Vector = np.concatenate(np.split(totals, 2, axis=-1)[::-1], axis=-1)
    return swapped


def _influence_table(gradient: Vector, classes: int) -> Vector:
    """Give the gradient along one row of each kind, shape (classes, classes + 1): truth by predicted + 1."""
    correct, true, predicted = _split(gradient[np.newaxis])
    table: Vector = true[0][:, np.newaxis] + predicted
    table[np.arange(classes), np.arange(classes) + 1] += correct[0]
    return table


def _worst_kind(answers: Answers, gradients: list[Vector], sign: float) -> Vector:
    """Find the kind of row that moves the statistic most in the direction of *sign*; its totals, shape (k,)."""
    signs = (sign, -sign)[: len(gradients)]
    tables = [
        side * _influence_table(gradient, answers.classes) for side, gradient in zip(signs, gradients, strict=True)
    ]
    gain = np.sum([table.max(axis=1) for table in tables], axis=0)
    gain[np.bincount(answers.truth, minlength=answers.classes) == 0] = -np.inf
    truth = int(gain.argmax())
    kind = Answers(
        truth=np.array([truth]),
        models=tuple(np.array([int(table[truth].argmax()) - 1]) for table in tables),
        classes=answers.classes,
    )
    return totals_of(kind)


def _units(answers: Answers, gradients: list[Vector], seed: int) -> Units:
    rows, columns = answers.truth.size, answers.width * len(answers.models)
    grouped = answers.group is not None
    codes = np.arange(rows) if answers.group is None else compact_codes(answers.group)
    number = int(codes[-1]) + 1 if answers.group is None else int(codes.max()) + 1
    places, counts = codes, answers.counts
    independent = number if counts is None else round(float(counts.sum()))
    if number * columns > MAX_NUMBERS:
        if counts is not None:
            answers, counts = _unfolded(answers), None
            codes = np.arange(answers.truth.size)
        places = _blocks(answers, gradients, codes, max(ALONE, MAX_NUMBERS // columns - ALONE), seed)
    units = int(places.max()) + 1
    return Units(
        sums=_sums(answers, places, units),
        sizes=np.bincount(places, minlength=units).astype(np.float64),
        counts=counts,
        number=independent,
        grouped=grouped,
    )


def _unfolded(answers: Answers) -> Answers:
    """Give alike rows one by one."""
    if answers.counts is None:
        return answers
    times = answers.counts.astype(np.intp)
    return Answers(
        truth=np.repeat(answers.truth, times),
        models=tuple(np.repeat(predicted, times) for predicted in answers.models),
        classes=answers.classes,
    )


def _blocks(
    answers: Answers, gradients: list[Vector], codes: npt.NDArray[np.intp], blocks: int, seed: int
) -> npt.NDArray[np.intp]:
    """Leave the `ALONE` units of most influence alone, and put the others into blocks at random.

    A block's squared sum is on average the sum of its units' squares, so a standard error stays right to about
    1 / sqrt(2 blocks).
    """
    influence = np.zeros(answers.truth.size)
    for sign, gradient, predicted in zip((1.0, -1.0), gradients, answers.models, strict=False):
        influence += sign * _influence_table(gradient, answers.classes)[answers.truth, predicted + 1]
    by_unit = np.abs(np.bincount(codes, weights=influence - influence.mean()))
    alone = np.argpartition(-by_unit, ALONE)[:ALONE]
    place = ALONE + np.random.default_rng(seed).integers(blocks, size=by_unit.size)
    place[alone] = np.arange(ALONE)
    return compact_codes(place[codes])


def _sums(answers: Answers, places: npt.NDArray[np.intp], units: int) -> Vector:
    """Sum up the totals of each unit's rows, shape (units, width x models)."""
    classes, columns = answers.classes, answers.width * len(answers.models)
    flat = np.zeros(units * columns)
    start = places * columns
    for predicted in answers.models:
        right = predicted == answers.truth
        for place in (
            start[right] + answers.truth[right],
            start + classes + answers.truth,
            start + 2 * classes + predicted + 1,
        ):
            flat += np.bincount(place, minlength=flat.size)
        start = start + answers.width
    return flat.reshape(units, columns)
