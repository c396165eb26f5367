"""Shares of rows that are right: accuracy, and recall and specificity among the rows of one class.

One model: Clopper-Pearson. Two: Tango's score bound, corrected (`statistics/paired_shares.py`). Rows in groups: the
groups' sums. Micro-averages and weighted recall *are* accuracy: each row has one truth and one answer, and an answer
that is no known class is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.evaluation.metric_names import MetricFacts
from mlgate.evaluation.metrics.counts import NEGATIVE, POSITIVE, answers_by_class, answers_by_positive, discordant
from mlgate.evaluation.metrics.interface import Family
from mlgate.evaluation.sample import Sample
from mlgate.statistics.class_totals import Answers
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired_shares import grouped_share_interval, paired_share_interval
from mlgate.statistics.proportions import proportion_interval

# Among the rows of which class; None: among all.
_AMONG: Mapping[str, int | None] = {
    "accuracy": None,
    "precision_micro": None,
    "recall_micro": None,
    "f1_micro": None,
    "recall_weighted": None,
    "recall": POSITIVE,
    "specificity": NEGATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of rows that are answered right, among all or among the rows of a class."""

    facts: MetricFacts

    def value(self, sample: Sample) -> float | Undefined:
        """Return the share; `Undefined` where no row counts."""
        right, rows = self._counted(sample)
        return right / rows if rows else self._nothing(sample)

    def interval(self, sample: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the share between exact bounds, or between the bounds of the groups' sums."""
        if sample.group is not None:
            answers = self._answers(sample)
            right = answers.models[0] == answers.truth
            return self._described(_by_group(sample, self._kept(answers), right, confidence, seed), sample)
        hits, rows = self._counted(sample)
        return self._described(proportion_interval(hits, rows, confidence), sample)

    def difference(self, challenger: Sample, champion: Sample, *, confidence: float, seed: int) -> Interval | Undefined:
        """Return the difference of the shares, with gains b and losses c."""
        answers = self._answers(challenger, champion)
        kept = self._kept(answers)
        if challenger.group is not None:
            new, old = (predicted == answers.truth for predicted in answers.models)
            found = _by_group(challenger, kept, new.astype(np.int8) - old, confidence, seed, lowest=-1.0)
            return self._described(found, challenger, **discordant(answers, kept))
        counts = discordant(answers, kept)
        rows = 0 if answers.counts is None else round(float(answers.counts[kept].sum()))
        found = paired_share_interval(round(counts["b"]), round(counts["c"]), rows, confidence)
        return self._described(found, challenger)

    @property
    def _among(self) -> int | None:
        return _AMONG[self.facts.name]

    def _answers(self, *samples: Sample) -> Answers:
        if self._among is None:
            return answers_by_class(samples)
        return answers_by_positive(samples, _positive(samples[0]))

    def _counted(self, sample: Sample) -> tuple[int, int]:
        """Count rows that are right, and rows that count."""
        answers = self._answers(replace(sample, group=None))
        counts = np.ones(0) if answers.counts is None else answers.counts
        kept = self._kept(answers)
        return int(counts[kept & (answers.models[0] == answers.truth)].sum()), int(counts[kept].sum())

    def _kept(self, answers: Answers) -> NDArray[np.bool_]:
        if self._among is None:
            return np.ones(answers.truth.size, dtype=np.bool_)
        kept: NDArray[np.bool_] = answers.truth == self._among
        return kept

    def _nothing(self, sample: Sample) -> Undefined:
        if not len(sample) or self._among is None:
            return Undefined(reason="no rows", n=len(sample))
        word = "" if self._among == POSITIVE else "not "
        name = sample.classes[_positive(sample)]
        return Undefined(reason=f"none of {len(sample)} rows is truly {word}{name!r}", n=len(sample))

    def _described(self, found: Interval | Undefined, sample: Sample, **more: float) -> Interval | Undefined:
        """Speak of all rows, as the other metrics of labels do, and of the rows of the class beside."""
        if isinstance(found, Undefined):
            return self._nothing(sample) if not found.n else replace(found, n=len(sample))
        among = {} if self._among is None else {"positives" if self._among == POSITIVE else "negatives": found.n}
        return replace(found, n=len(sample), details={**found.details, **among, **more})


def _positive(sample: Sample) -> int:
    if sample.positive is None:
        raise ValueError("the sample names no positive class")
    return sample.positive


def _by_group(
    sample: Sample, counted: NDArray[np.bool_], value: NDArray[Any], confidence: float, seed: int, lowest: float = 0.0
) -> Interval | Undefined:
    group = np.asarray(sample.group)[counted]
    return grouped_share_interval(value[counted], group, confidence, seed=seed, lowest=lowest)


SHARES = Family(names=frozenset(_AMONG), make=lambda facts, _: Share(facts=facts))
