"""Counting labels: how many rows have the same truth and the same answers. Chunk by chunk, so that nothing is copied."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.sample import UNKNOWN_CLASS, Codes, Sample
from mlgate.statistics.arguments import Vector
from mlgate.statistics.class_totals import Answers

# Rows whose keys stay in a processor's cache.
CHUNK = 131_072
# Cells that are counted in one array, 32 MB; beyond, keys are sorted.
MAX_CELLS = 4_000_000

NEGATIVE, POSITIVE = 0, 1


def labels_of(sample: Sample) -> Codes:
    """Return the predicted classes.

    Raises:
        ValueError: The sample has none; the policy should have been refused.
    """
    if sample.labels is None:
        raise ValueError("the sample holds no labels")
    return sample.labels


def answers_by_class(samples: Sequence[Sample]) -> Answers:
    """Return truth and answers of one model, or of two on the same rows, by class."""
    codes = np.append(np.arange(len(samples[0].classes)), UNKNOWN_CLASS)
    return _answers(samples, codes, len(samples[0].classes))


def answers_by_positive(samples: Sequence[Sample], positive: int) -> Answers:
    """Return truth and answers as `POSITIVE` and `NEGATIVE`; what is no known class stays so."""
    codes = np.append(np.full(len(samples[0].classes), NEGATIVE), UNKNOWN_CLASS)
    codes[positive] = POSITIVE
    return _answers(samples, codes, 2)


def cells(answers: Answers) -> NDArray[np.int64]:
    """Return counts by truth and by each model's answer + 1, shape (classes, classes + 1, …); without groups only."""
    if answers.counts is None:
        raise ValueError("answers by group are not counted")
    shape = (answers.classes, *(answers.classes + 1 for _ in answers.models))
    table = np.zeros(shape, dtype=np.int64)
    table[(answers.truth, *(predicted + 1 for predicted in answers.models))] = answers.counts
    return table


def discordant(answers: Answers, kept: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Count gains b, where only the challenger is right, and losses c, where only the champion is, among *kept* rows."""
    new, old = (predicted == answers.truth for predicted in answers.models)
    weights = np.ones(answers.truth.size) if answers.counts is None else answers.counts
    among = np.ones(answers.truth.size, dtype=np.bool_) if kept is None else kept
    return {"b": float(weights[among & new & ~old].sum()), "c": float(weights[among & old & ~new].sum())}


def _answers(samples: Sequence[Sample], codes: NDArray[np.intp], classes: int) -> Answers:
    group = samples[0].group
    truth = samples[0].truth
    columns: list[Codes] = [truth.astype(np.intp) if truth.dtype.kind == "f" else truth]  # type: ignore[list-item] # a kind is no type to mypy
    columns += [labels_of(sample) for sample in samples]
    if group is not None:
        true, *said = (codes[column] for column in columns)
        return Answers(truth=true, models=tuple(said), group=group, classes=classes)
    sizes = [classes, *(classes + 1 for _ in samples)]
    keys, counts = _tabulate(columns, codes, sizes)
    true, *said = np.unravel_index(keys, sizes)
    return Answers(truth=true, models=tuple(predicted - 1 for predicted in said), counts=counts, classes=classes)


def _tabulate(
    columns: Sequence[Codes], codes: NDArray[np.intp], sizes: Sequence[int]
) -> tuple[NDArray[np.intp], Vector]:
    """Count the rows of each cell that is not empty: its flat index, and the count."""
    strides = [int(np.prod(sizes[place + 1 :])) for place in range(len(sizes))]
    # A truth counts from 0, an answer from 1: 0 is no known class. Code -1 reads the last element.
    tables = [(codes + (place > 0)) * stride for place, stride in enumerate(strides)]
    cells = int(np.prod(sizes))
    if cells > MAX_CELLS:
        keys, counts = np.unique(_keys(columns, tables, slice(None)), return_counts=True)
        return keys, counts.astype(np.float64)
    total = np.zeros(cells, dtype=np.int64)
    for start in range(0, len(columns[0]), CHUNK):
        total += np.bincount(_keys(columns, tables, slice(start, start + CHUNK)), minlength=cells)
    filled = np.flatnonzero(total)
    return filled, total[filled].astype(np.float64)


def _keys(columns: Sequence[Codes], tables: Sequence[NDArray[np.intp]], rows: slice) -> NDArray[np.intp]:
    keys: NDArray[np.intp] = tables[0][columns[0][rows]]
    for column, table in zip(columns[1:], tables[1:], strict=True):
        keys += table[column[rows]]
    return keys
