"""A model's answers as arrays: what the metrics need of them, batch by batch. Pure.

Answers of one shape are read whole, by functions that loop in C; any others row by row, as `OutputMapping` says. Both
ways come to the same values.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.answer_batch import AnswerBatch, Floats
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import DEFAULT_THRESHOLD, OutputMapping, UnmappedOutput, label, label_text
from mlgate.evaluation.rows import in_order
from mlgate.evaluation.sample import UNKNOWN_CLASS, Codes, Numbers, Sample

# Names of labels that are no class: enough to see what went wrong.
_SHOWN = 10
_LABELS = frozenset({int, str, bool, float})


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """The classes of the truth, by code.

    Attributes:
        names: As text; those that the policy lists first and in its order, then those that only the data have.
        positive: Code of the positive class; `None` where it is none of them.
    """

    names: tuple[str, ...]
    positive: int | None

    @classmethod
    def of(cls, found: Iterable[str], mapping: OutputMapping, *, stated: bool = False) -> "Classes":
        """Unite the classes found in the data with the policy's.

        Args:
            found: Texts of the true labels.
            mapping: The policy's.
            stated: The policy names the positive class itself: then it is one, found or not.
        """
        listed = dict.fromkeys(mapping.class_names)
        known = [*found, *([label_text(mapping.positive)] if stated else [])]
        names = (*listed, *in_order(set(known) - listed.keys()))
        positive = label_text(mapping.positive)
        return cls(names=names, positive=names.index(positive) if positive in names else None)


class AnswerColumns:
    """Takes a model's answers and keeps them as arrays.

    What can not be read for one need is noted, and spoils the metrics that need it and no others.

    Args:
        mapping: How to read a row.
        needs: What the metrics need.
        classes: The classes; without names where the truth is numbers.
        rows: How many answers will come.

    Attributes:
        problems: Need to the reason why it can not be met; the reason names the row.
        unknown: Rows whose label is none of the classes, by its text (the first ten texts).
        unknown_rows: How many there are.
    """

    def __init__(self, mapping: OutputMapping, needs: Iterable[Need], classes: Classes, rows: int) -> None:
        self._mapping, self._classes, self._rows, self._filled = mapping, classes, rows, 0
        self.problems: dict[Need, UnmappedOutput] = {}
        self.unknown: Counter[str] = Counter()
        self.unknown_rows = 0
        self._codes = _code_table(classes.names)
        self._arrays: dict[Need, NDArray[Any]] = {need: self._empty(need) for need in self._read(needs)}

    def _read(self, needs: Iterable[Need]) -> set[Need]:
        """What is read of an answer: of two classes, the positive one's score says both."""
        asked = set(needs) - {Need.POSITIVE, Need.GROUP}
        if Need.SCORES in asked and len(self._classes.names) <= 2:
            asked = (asked - {Need.SCORES}) | {Need.SCORE}
        return asked

    def _empty(self, need: Need) -> NDArray[Any]:
        if need is Need.LABELS:
            return np.empty(self._rows, dtype=np.min_scalar_type(-max(len(self._classes.names), 1)))
        shape = (self._rows, len(self._classes.names)) if need is Need.SCORES else (self._rows,)
        return np.empty(shape, dtype=np.float64)

    def problem_of(self, needs: Iterable[Need]) -> UnmappedOutput | None:
        """Return why one of *needs* can not be met, or `None`."""
        return next((self.problems[need] for need in sorted(self._read(needs)) if need in self.problems), None)

    @property
    def readable(self) -> bool:
        """Whether any need can still be met."""
        return len(self.problems) < len(self._arrays)

    def take(self, rows: Sequence[Any]) -> None:
        """Take the answers to the next rows.

        Raises:
            ValueError: More rows than were announced.
        """
        start, end = self._filled, self._filled + len(rows)
        if end > self._rows:
            raise ValueError(f"{end} answers for {self._rows} rows")
        batch = AnswerBatch(rows, self._mapping)
        readers: dict[Need, Callable[[AnswerBatch], NDArray[Any]]] = {
            Need.LABELS: self._labels, Need.SCORE: self._score, Need.SCORES: self._scores, Need.NUMBERS: self._numbers,
        }  # fmt: skip
        for need, array in self._arrays.items():
            if need in self.problems:
                continue
            try:
                array[start:end] = readers[need](batch)
            except UnmappedOutput as error:
                self.problems[need] = UnmappedOutput(str(error), row=start + (error.row or 0))
        self._filled = end

    def sample(self, truth: Codes | Numbers, group: Codes | None = None) -> Sample:
        """Return the answers beside the truth.

        Raises:
            ValueError: Not every row was answered.
        """
        if self._filled != self._rows or len(truth) != self._rows:
            raise ValueError(f"{self._filled} answers and {len(truth)} truths for {self._rows} rows")
        arrays: dict[str, Any] = {str(need): array for need, array in self._arrays.items() if need not in self.problems}
        return Sample(truth=truth, classes=self._classes.names, positive=self._classes.positive, group=group, **arrays)

    # One need each: at once where the answers are of one shape, else row by row.

    def _labels(self, batch: AnswerBatch) -> Codes:
        mapping = self._mapping
        if mapping.prediction is None:
            if batch.matrix is not None:
                return self._codes_of_matrix(batch.matrix)
            if batch.may_hold_scores:
                return self._by_row(batch)
            if mapping.score is not None:
                score = batch.floats(mapping.score)
                return self._by_row(batch) if score is None else self._codes_of_score(score)
        values, kinds = batch.column(mapping.prediction)
        if mapping.reads_scores_as_labels and float in kinds:
            score = batch.floats(mapping.prediction) if kinds == {float} else None
            return self._by_row(batch) if score is None else self._codes_of_score(score)
        if values is None or not kinds <= _LABELS or (float in kinds and not _whole(values)):
            return self._by_row(batch)
        return self._codes_of_labels(values)

    def _by_row(self, batch: AnswerBatch) -> Codes:
        return self._codes_of_labels(batch.each(lambda row: label(self._mapping.label_of(row))))

    def _codes_of_labels(self, values: Sequence[Any]) -> Codes:
        codes = np.fromiter(map(self._codes.get, values, repeat(UNKNOWN_CLASS)), dtype=np.int64, count=len(values))
        strange = np.flatnonzero(codes == UNKNOWN_CLASS)
        self.unknown_rows += len(strange)
        for text, times in Counter(label_text(values[row]) for row in strange.tolist()).items():
            if text in self.unknown or len(self.unknown) < _SHOWN:
                self.unknown[text] += times
        return codes

    def _codes_of_score(self, score: Floats) -> Codes:
        threshold = DEFAULT_THRESHOLD if self._mapping.threshold is None else self._mapping.threshold
        codes = [self._codes.get(name, UNKNOWN_CLASS) for name in (self._mapping.positive, self._mapping.negative)]
        above = score >= threshold
        if UNKNOWN_CLASS in codes:  # a class that neither the policy nor the data know
            return self._codes_of_labels(
                [self._mapping.positive if one else self._mapping.negative for one in above.tolist()]
            )
        return np.where(above, *codes)

    def _codes_of_matrix(self, matrix: Floats) -> Codes:
        mapping = self._mapping
        if mapping.threshold is not None and matrix.shape[1] == 2:
            return self._codes_of_score(matrix[:, mapping.positive_index])
        places: Codes = np.array([self._codes[name] for name in mapping.class_names])[matrix.argmax(axis=1)]
        return places

    def _score(self, batch: AnswerBatch) -> Floats:
        mapping = self._mapping
        if batch.matrix is not None:
            return batch.matrix[:, mapping.positive_index]
        place = mapping.prediction if mapping.score is None else mapping.score
        found = None if batch.may_hold_scores else batch.floats(place)
        return np.array(batch.each(mapping.score_of), dtype=np.float64) if found is None else found

    def _scores(self, batch: AnswerBatch) -> Floats:
        """Return a column for each class of the data; one that the model's answers do not have got no score."""
        mapping, matrix = self._mapping, batch.matrix
        if matrix is None:
            matrix = np.array(batch.each(mapping.scores_of), dtype=np.float64).reshape(len(batch.rows), -1)
        spread = np.zeros((len(batch.rows), len(self._classes.names)))
        spread[:, [self._codes[name] for name in mapping.class_names]] = matrix
        return spread

    def _numbers(self, batch: AnswerBatch) -> Floats:
        found = batch.floats(self._mapping.prediction)
        return np.array(batch.each(self._mapping.number_of), dtype=np.float64) if found is None else found


def _code_table(names: Sequence[str]) -> dict[Any, int]:
    """Return code by label as JSON may hold it: "1" and also 1, which Python finds by 1.0 and true, too."""
    table: dict[Any, int] = {}
    for code, name in enumerate(names):
        table[name] = code
        digits = name.removeprefix("-")
        if digits.isdecimal() and len(digits) < 300 and str(int(name)) == name:
            table[int(name)] = code
    return table


def _whole(values: Sequence[Any]) -> bool:
    return all(map(float.is_integer, (value for value in values if type(value) is float)))
