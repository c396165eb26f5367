"""Functions of the confusion table: precision and F1 of the positive class, averages over classes, MCC.

Methods: `statistics/class_totals.py`; F1 of the positive class without groups `statistics/confusion.py`, its precision
Clopper-Pearson. Averages are over the classes that occur in the truth, which is scikit-learn's default wherever no
class is predicted that does not occur.
"""

from dataclasses import dataclass, replace

import numpy as np

from mlgate.evaluation.metric_names import MetricFacts, Need
from mlgate.evaluation.metrics.counts import (
    NEGATIVE,
    POSITIVE,
    answers_by_class,
    answers_by_positive,
    cells,
    discordant,
)
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.sample import Sample
from mlgate.statistics.class_totals import Answers, class_statistic, totals_interval, totals_of
from mlgate.statistics.column_means import Statistic
from mlgate.statistics.confusion import f1_of_counts, paired_f1_of_cells
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.proportions import proportion_interval

_NAMES = frozenset(
    {
        *("precision", "f1", "precision_macro", "precision_weighted", "recall_macro", "f1_macro", "f1_weighted"),
        *("balanced_accuracy", "mcc"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetric:
    """A function of the confusion table."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return scikit-learn's value; 0 / 0 is 0. `Undefined` where the truth does not hold what is needed."""
        answers = self._answers(replace(sample, group=None))
        refused = self._absent(answers, sample)
        if refused is not None:
            return refused
        return float(self._statistic(answers)(totals_of(answers)[np.newaxis])[0])

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the metric with its bounds; `Undefined` also where it is 0 / 0."""
        answers = self._answers(sample)
        refused = self._absent(answers, sample) or self._never_said(answers, sample)
        if refused is not None:
            return refused
        if self._binary and answers.counts is not None:
            return self._exact(cells(answers), len(sample), confidence)
        limits = (-1.0 if self.facts.name == "mcc" else 0.0, 1.0)
        return totals_interval(answers, self._statistic(answers), confidence, seed=seed, limits=limits)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the difference, with gains b and losses c: rows that only one of the two gets right."""
        answers = self._answers(challenger, champion)
        refused = self._absent(answers, challenger) or self._never_said(answers, challenger)
        if refused is not None:
            return refused
        if self.facts.name == "f1" and answers.counts is not None:
            return paired_f1_of_cells(_f1_cells(answers), len(challenger), confidence, seed=seed)
        widest = 2.0 if self.facts.name == "mcc" else 1.0
        found = totals_interval(answers, self._statistic(answers), confidence, seed=seed, limits=(-widest, widest))
        if isinstance(found, Undefined):
            return found
        return replace(found, details={**found.details, **discordant(answers)})

    @property
    def _binary(self) -> bool:
        return Need.POSITIVE in self.facts.needs

    def _answers(self, *samples: Sample) -> Answers:
        if not self._binary:
            return answers_by_class(samples)
        if samples[0].positive is None:
            raise ValueError("the sample names no positive class")
        return answers_by_positive(samples, samples[0].positive)

    def _statistic(self, answers: Answers) -> Statistic:
        return class_statistic(self.facts.name, _present(answers), POSITIVE if self._binary else None)

    def _absent(self, answers: Answers, sample: Sample) -> Undefined | None:
        n, present = len(sample), np.flatnonzero(_present(answers))
        if not n:
            return Undefined(reason="no rows", n=0)
        if self._binary:
            if POSITIVE in present:
                return None
            return Undefined(reason=f"none of {n} rows is truly {sample.classes[sample.positive or 0]!r}", n=n)
        if present.size > 1:
            return None
        return Undefined(reason=f"only class {sample.classes[present[0]]!r} occurs in {n} rows", n=n)

    def _never_said(self, answers: Answers, sample: Sample) -> Undefined | None:
        """Refuse 0 / 0: the next row may turn it into 1 / 1."""
        n, says = len(sample), [np.bincount(predicted + 1) for predicted in answers.models]
        if self.facts.name == "mcc" and any(np.count_nonzero(said) < 2 for said in says):
            return Undefined(reason="a model answers one class only: its MCC is 0 / 0", n=n)
        if not self.facts.name.startswith("precision"):
            return None
        needed = [POSITIVE] if self._binary else np.flatnonzero(_present(answers)).tolist()
        for code in needed:
            if any(said.size <= code + 1 or not said[code + 1] for said in says):
                name = sample.classes[sample.positive or 0] if self._binary else sample.classes[code]
                return Undefined(reason=f"a model never answers {name!r}: its precision there is 0 / 0", n=n)
        return None

    def _exact(
        self, table: np.ndarray[tuple[int, ...], np.dtype[np.int64]], n: int, confidence: float
    ) -> Interval | Undefined:
        hits, said = int(table[POSITIVE, POSITIVE + 1]), int(table[:, POSITIVE + 1].sum())
        positives = int(table[POSITIVE].sum())
        if self.facts.name == "f1":
            return f1_of_counts(hits, positives + said - hits, positives, n, confidence)
        found = proportion_interval(hits, said, confidence)
        if isinstance(found, Undefined):
            return found
        return replace(found, n=n, details={**found.details, "positives": positives, "predicted_positives": said})


def _present(answers: Answers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    present = np.zeros(answers.classes, dtype=np.bool_)
    present[answers.truth] = True
    return present


def _f1_cells(answers: Answers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Merge what is no known class with the negative answers, and order as `paired_f1_of_cells` does."""
    table = cells(answers)
    said = np.stack([table[:, : POSITIVE + 1].sum(axis=1), table[:, POSITIVE + 1]], axis=1)
    said = np.stack([said[..., : POSITIVE + 1].sum(axis=2), said[..., POSITIVE + 1]], axis=2)
    true, false = said[POSITIVE], said[NEGATIVE]
    return np.array(
        [true[1, 1], true[0, 1], true[1, 0], true[0, 0], false[1, 1], false[0, 1], false[1, 0]], dtype=np.float64
    )


TABLES = Family(names=_NAMES, make=lambda facts, _: TableMetric(facts=facts))
