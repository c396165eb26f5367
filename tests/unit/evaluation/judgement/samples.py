"""Samples and small real metrics, so that judging is tested apart from the families of metrics."""

import math
from dataclasses import dataclass, replace

import numpy as np

from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evaluation.metric_names import METRICS, MetricFacts, Need
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Column
from mlgate.policy_accuracy import Accuracy
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.paired import tango_interval
from mlgate.statistics.proportions import proportion_interval
from mlgate.statistics.studentised import t_critical

FIRST = NoChampion(absence=Absence.FIRST)
MIN_ROWS = 20
NEEDS_A_SCORE = replace(METRICS["accuracy"], needs=frozenset({Need.LABELS, Need.SCORE}))


@dataclass(frozen=True)
class Share:
    """The share of right answers: Clopper-Pearson, and Tango for the difference."""

    facts: MetricFacts = METRICS["accuracy"]

    def value(self, sample):
        return float((sample.labels == sample.truth).mean())

    def interval(self, sample, *, confidence, seed):
        return proportion_interval(int((sample.labels == sample.truth).sum()), len(sample), confidence)

    def difference(self, challenger, champion, *, confidence, seed):
        new, old = challenger.labels == challenger.truth, champion.labels == champion.truth
        return tango_interval(int((new & ~old).sum()), int((old & ~new).sum()), len(new), confidence)


@dataclass(frozen=True)
class MeanError:
    """The mean absolute error, by Student's t; not defined on few rows."""

    facts: MetricFacts = METRICS["mae"]

    def value(self, sample):
        return float(np.abs(sample.numbers - sample.truth).mean())

    def interval(self, sample, *, confidence, seed):
        return self._mean(np.abs(sample.numbers - sample.truth), confidence)

    def difference(self, challenger, champion, *, confidence, seed):
        ours, theirs = (np.abs(side.numbers - side.truth) for side in (challenger, champion))
        return self._mean(theirs - ours, confidence)

    def _mean(self, values, confidence):
        n = len(values)
        if n < MIN_ROWS:
            return Undefined(reason=f"{n} rows are fewer than {MIN_ROWS}", n=n)
        half = t_critical(confidence, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
        mean = float(values.mean())
        return Interval(
            estimate=mean, lower=mean - half, upper=mean + half, confidence=confidence, method="t", n=n,
            standard_error=half / 2,
        )  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """The share of truths below the prediction: best near its parameter, so it has a floor and a ceiling."""

    facts: MetricFacts = METRICS["quantile_coverage"]

    def value(self, sample):
        return float((sample.truth <= sample.numbers).mean())

    def interval(self, sample, *, confidence, seed):
        return proportion_interval(int((sample.truth <= sample.numbers).sum()), len(sample), confidence)

    def difference(self, challenger, champion, *, confidence, seed):
        raise NotImplementedError


@dataclass(frozen=True)
class Scored(Share):
    """Accuracy that also asks for a score."""

    facts: MetricFacts = NEEDS_A_SCORE


KNOWN = {"accuracy": Share(), "mae": MeanError(), "quantile_coverage": Coverage(), "roc_auc": Scored()}


def labelled(truth, labels, **more):
    """Return a binary sample; codes are the labels."""
    more.setdefault("classes", ("0", "1"))
    return Sample(truth=np.array(truth), labels=np.array(labels), positive=1, **more)


def wrong_at(n, wrong, start=0):
    """All ones, but *wrong* zeros from *start* on."""
    labels = np.ones(n, dtype=int)
    labels[start : start + wrong] = 0
    return labels


def binary(n, wrong, start=0, **more):
    """Return a sample of all ones, answered wrongly *wrong* times from *start* on."""
    return labelled(np.ones(n, dtype=int), wrong_at(n, wrong, start), **more)


def numbers(truth, answers):
    """Return a sample of a regression."""
    return Sample(truth=np.asarray(truth, dtype=float), numbers=np.asarray(answers, dtype=float))


def compare(challenger, champion=FIRST, *, context=None, seed=3, **section):
    """Return a comparison under a section of the policy; plain lists of context are coded."""
    accuracy = Accuracy.model_validate(section)
    columns = {name: Column.of(list(values)) for name, values in (context or {}).items()}
    names = {*accuracy.metrics, *(gap.metric for gap in accuracy.gaps)}
    return Comparison(
        accuracy=accuracy, metrics={name: KNOWN[name] for name in names}, challenger=challenger, champion=champion,
        context=columns, seed=seed,
    )  # fmt: skip
