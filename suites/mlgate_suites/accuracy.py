"""Accuracy: has the challenger lost more than the margin against the champion, on the same rows?"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.check_id import format_check_id
from mlgate.evaluation.engines.interface import Replica, ScoringEngine
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.run import AccuracyRun, NoScores, run_accuracy
from mlgate.evidence import Cause
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate_suites.findings import errored, failed


@pytest.fixture(scope="module")
def accuracy_run(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_champion: Champion | None,
    mlgate_data: EvaluationData | None,
    mlgate_policy: Policy,
    mlgate_checks: Mapping[str, tuple[str, ...]],
    mlgate_digest: str,
    mlgate_challengers: frozenset[str],
    mlgate_output: Path,
    mlgate_seed: int,
    mlgate_tell: Callable[[str], None],
    mlgate_scoring_engine: ScoringEngine,
    mlgate_replica: Replica | None,
) -> AccuracyRun | NoScores:
    """Score the challenger and the champion on the same rows, once."""
    # Ends with the scoring: what a suite measures after it must not share the machine with a cluster.
    with mlgate_scoring_engine as engine:
        return run_accuracy(
            client=mlgate_client,
            outputs=mlgate_signature.outputs,
            champion=mlgate_champion,
            data=mlgate_data,
            policy=mlgate_policy,
            checks=mlgate_checks["accuracy"],
            challenger_digest=mlgate_digest,
            judged_before=mlgate_challengers,
            folder=mlgate_output,
            seed=mlgate_seed,
            tell=mlgate_tell,
            engine=engine,
            replica=mlgate_replica,
        )


@pytest.mark.mlgate_check("accuracy.floor", suite="accuracy")
def test_floor(metric: str, accuracy_run: AccuracyRun | NoScores, mlgate_record: Any) -> None:
    """The confidence bound of the metric is on the right side of its floor."""
    _record(accuracy_run, mlgate_record, "accuracy.floor", metric=metric)


@pytest.mark.mlgate_check("accuracy.regression", suite="accuracy")
def test_regression(metric: str, accuracy_run: AccuracyRun | NoScores, mlgate_record: Any) -> None:
    """The challenger loses at most the margin against the champion, on the same rows."""
    _record(accuracy_run, mlgate_record, "accuracy.regression", metric=metric)


@pytest.mark.mlgate_check("accuracy.slices", suite="accuracy")
def test_slices(
    slice: str,  # noqa: A002 - the parameter of the check's id
    accuracy_run: AccuracyRun | NoScores,
    mlgate_record: Any,
) -> None:
    """On each value of the slice that the data hold, the challenger loses at most the margin of each metric."""
    _record(accuracy_run, mlgate_record, "accuracy.slices", slice=slice)


@pytest.mark.mlgate_check("accuracy.gap", suite="accuracy")
def test_gap(column: str, metric: str, accuracy_run: AccuracyRun | NoScores, mlgate_record: Any) -> None:
    """The metric's best and worst value of the column stand no further apart than the policy allows."""
    _record(accuracy_run, mlgate_record, "accuracy.gap", column=column, metric=metric)


def _record(run: AccuracyRun | NoScores, record: Any, check: str, **params: str) -> None:
    if isinstance(run, AccuracyRun):
        finding, parts = run.judge(format_check_id(check, params))
        record(finding, parts)
    elif run.cause is Cause.MODEL:
        advice = "every row of the evaluation data needs a valid prediction; none is dropped"
        record(failed(f"the challenger could not be scored: {run.reason}", advice=advice))
    else:
        record(errored(run.reason, advice=run.advice))
