"""The fairness gap: three-valued, for whichever value is best and whichever is worst."""

import json

import numpy as np
import pytest

from mlgate.evidence import Cause, Outcome
from tests.unit.evaluation.judgement.samples import binary, compare, labelled, numbers

SIDES = ["a"] * 1000 + ["b"] * 1000 + ["c"] * 1000


def gap(sample, limit, metric="accuracy", column=None, **section):
    """The finding of one gap."""
    spec = [{"column": "side", "metric": metric, "max": limit}]
    at = {"at": 0.9} if metric == "quantile_coverage" else {}
    metrics = {metric: {"max" if metric == "mae" else "min": 0.1, **at}}
    context = {"side": column or SIDES}
    return compare(sample, metrics=metrics, gaps=spec, context=context, **section).gap("side", metric)


@pytest.mark.parametrize(
    ("limit", "outcome"), [(0.2, Outcome.PASSED), (0.1, Outcome.INCONCLUSIVE), (0.05, Outcome.FAILED)]
)
def test_a_gap_is_judged_by_its_bounds(limit, outcome):
    """A tenth of a's answers are wrong, none of the others."""
    finding = gap(binary(3000, 100), limit)
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx(0.1)
    assert finding.limit == limit
    assert finding.interval[0] < 0.1 < finding.interval[1]
    assert (finding.cause is None) is (outcome is Outcome.PASSED)
    assert finding.details["worst"] == {"slice": {"side": "a"}, "value": pytest.approx(0.9)}
    assert finding.details["best"]["value"] == 1.0
    assert "side=a (worst)" in finding.reason
    assert finding.details["values"].keys() == {"side=a", "side=b", "side=c"}
    json.dumps(dict(finding.details), allow_nan=False)


def test_the_worst_of_a_loss_is_the_largest():
    """Less of it is better."""
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 1, 3000)
    scale = np.where(np.arange(3000) < 1000, 3.0, 1.0)
    finding = gap(numbers(truth, truth + rng.normal(0, scale)), 0.5, metric="mae")
    assert finding.outcome is Outcome.FAILED
    assert finding.details["worst"]["slice"] == {"side": "a"}


def test_a_value_that_is_too_small_leaves_the_gap_open_by_its_name():
    """It might be the worst of all: without it, the easy slices would be judged."""
    truth = np.zeros(3000)
    finding = gap(numbers(truth, truth + 0.1), 0.5, metric="mae", column=["tiny"] * 5 + SIDES[5:])
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.HARNESS)
    assert "not defined on side=tiny (5 rows are fewer than 20)" in finding.reason
    assert finding.details["values"]["side=a"]["value"] == pytest.approx(0.1)


def test_one_value_alone_has_no_gap():
    """Open, and no pass: nothing was compared."""
    finding = gap(binary(3000, 0), 0.5, column=["only"] * 3000)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "a gap needs two" in finding.reason


def test_a_column_that_is_not_there_leaves_the_gap_open():
    """By its name."""
    spec = [{"column": "age", "metric": "accuracy", "max": 0.1}]
    finding = compare(binary(100, 1), metrics={"accuracy": {"min": 0.1}}, gaps=spec).gap("age", "accuracy")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "no column 'age'" in finding.reason


def test_answers_without_what_the_metric_needs_are_errored():
    """As for every other check of the metric."""
    spec = [{"column": "side", "metric": "mae", "max": 0.1}]
    comparison = compare(binary(100, 1), metrics={"mae": {"max": 1}}, gaps=spec, context={"side": ["a", "b"] * 50})
    assert comparison.gap("side", "mae").outcome is Outcome.ERRORED


def test_groups_that_lie_in_several_values_widen_the_gap():
    """The values are no longer independent, and nobody knows how they are tied."""
    wrong = np.arange(3000) % 20 == 0
    alone = labelled(np.ones(3000, dtype=int), 1 - wrong, group=np.arange(3000))
    tied = labelled(np.ones(3000, dtype=int), 1 - wrong, group=np.arange(3000) % 1000)
    free, wide = gap(alone, 0.1), gap(tied, 0.1)
    assert (free.details["independent"], wide.details["independent"]) == (True, False)
    assert wide.interval[1] > free.interval[1]
