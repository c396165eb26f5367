"""The comparison with the metrics that are built: every one of them can be judged, overall, on slices and as a gap."""

import json

import numpy as np
import pytest

from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.metric_names import METRICS, Better, Need
from mlgate.evaluation.metrics.catalogue import find_metric
from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Column
from mlgate.evidence import Outcome
from mlgate.policy_accuracy import Accuracy

N = 2000


def answers(seed, noise):
    """Everything that a metric may read: two classes with scores, or numbers, or rankings of ten."""
    rng = np.random.default_rng(0)
    truth = (rng.random(N) < 0.4).astype(np.int64)
    latent = truth + rng.normal(0, 0.8, N)
    noisy = latent + np.random.default_rng(seed).normal(0, noise, N)
    score = 1 / (1 + np.exp(-2.5 * (noisy - 0.5)))
    return truth, score, noisy


def sample_for(name, seed, noise):
    """A sample that holds what the metric needs."""
    truth, score, noisy = answers(seed, noise)
    needs = METRICS[name].needs
    if Need.NUMBERS in needs:
        return Sample(truth=truth + 5.0, numbers=noisy + 5.0)
    if Need.GROUP in needs:
        return Sample(truth=truth.astype(float), score=score, group=np.arange(N) // 10)
    return Sample(truth=truth, labels=(score > 0.5).astype(np.int64), score=score, classes=("a", "b"), positive=1,
                  scores=np.stack([1 - score, score], axis=1))  # fmt: skip


# One of each method: the others would only take longer.
SLICED = ("accuracy", "f1", "roc_auc", "brier", "rmse", "quantile_coverage", "ndcg")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_judged_on_all_rows_on_slices_and_as_a_gap(name):
    """A healthy challenger passes wide limits on all rows, and the details are JSON."""
    sliced = name in SLICED
    facts = METRICS[name]
    at = {"at": 0.5} if facts.at is not None and facts.at.default is None else {}
    limits = {"max": 1e6} if facts.better is Better.LESS else {"min": -1e6}
    accuracy = Accuracy.model_validate({
        "group": "g", "metrics": {name: {**at, **limits, "margin": 0.5}}, "slices": ["half"] if sliced else [],
        "gaps": [{"column": "half", "metric": name, "max": 0.9}],
    })  # fmt: skip
    half = Column(codes=(np.arange(N) // 10) % 2, values=("even", "odd"))
    comparison = Comparison(
        accuracy=accuracy, metrics={name: find_metric(name, at.get("at"))},
        challenger=sample_for(name, 1, 0.1), champion=sample_for(name, 2, 0.1), context={"half": half}, seed=1,
    )  # fmt: skip
    whole = comparison.regression(name)
    assert whole.outcome is Outcome.PASSED, whole.reason
    assert whole.details["minimum_detectable_loss"] < 0.5
    assert whole.details["rows_needed_for_margin"] <= N
    findings = [comparison.floor(name)]
    if sliced:
        checks = comparison.slice_checks("half")
        assert len(checks) == 2
        findings += [comparison.gap("half", name), *(check.finding for check in checks)]
    for finding in findings:
        assert finding.outcome in {Outcome.PASSED, Outcome.INCONCLUSIVE}, finding.reason
        assert finding.measured is not None or finding.reason
        json.dumps(dict(finding.details), allow_nan=False)


@pytest.mark.parametrize(("ours", "theirs", "outcome"), [(4.0, 3.0, Outcome.FAILED), (2.0, 3.0, Outcome.PASSED)])
def test_a_negative_r2_does_not_turn_a_verdict_around(ours, theirs, outcome):
    """Champion at -0.5: a peer's ratio passes the worse model and fails the better one."""
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 2000)
    new, old = (Sample(truth=truth, numbers=truth + rng.normal(0, 0.5, 2000) + shift) for shift in (ours, theirs))
    accuracy = Accuracy.model_validate({"metrics": {"r2": {"margin": 0.5}}})
    finding = Comparison(accuracy=accuracy, metrics={"r2": find_metric("r2")}, challenger=new, champion=old).regression(
        "r2"
    )
    assert finding.details["champion"]["value"] < -0.5
    assert finding.outcome is outcome
