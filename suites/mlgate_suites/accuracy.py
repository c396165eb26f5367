"""Accuracy: has the challenger lost more than the margin against the champion, on the same rows?"""

from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.errors import MlgateError
from mlgate.evaluation.comparison import Comparison
from mlgate.evaluation.old_metrics import Scored
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.scoring import NotScored, score_data
from mlgate.evidence import Cause
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate_suites.findings import errored, failed


@pytest.fixture(scope="module")
def comparison(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_champion: Champion | None,
    mlgate_data: EvaluationData | None,
    mlgate_policy: Policy,
    mlgate_seed: int,
) -> Comparison | str:
    """Score the challenger and the champion on the same rows; a text says why the challenger could not be scored."""
    if mlgate_data is None:
        return "no evaluation data"
    accuracy = mlgate_policy.values.accuracy
    mapping = OutputMapping.of(accuracy)
    try:
        challenger = score_data(mlgate_client, mlgate_data, mlgate_signature.outputs)
    except NotScored as error:
        return str(error)
    champion, problem = None, ""
    if mlgate_champion is not None:
        try:
            with mlgate_champion.serving() as client:
                champion = score_data(client, mlgate_data, mlgate_champion.signature.outputs)
        except (NotScored, MlgateError) as error:
            problem = str(error)
    return Comparison(
        accuracy=accuracy,
        data=mlgate_data,
        challenger=Scored(rows=challenger, mapping=mapping),
        champion=None if champion is None else Scored(rows=champion, mapping=mapping),
        champion_problem=problem,
        seed=mlgate_seed,
    )


@pytest.mark.mlgate_check("accuracy.floor", suite="accuracy")
def test_floor(metric: str, comparison: Comparison | str, mlgate_record: Any) -> None:
    """The confidence bound of the metric is on the right side of its floor."""
    mlgate_record(_unscored(comparison) if isinstance(comparison, str) else comparison.floor(metric))


@pytest.mark.mlgate_check("accuracy.regression", suite="accuracy")
def test_regression(metric: str, comparison: Comparison | str, mlgate_record: Any) -> None:
    """The challenger loses at most the margin against the champion, on the same rows."""
    mlgate_record(_unscored(comparison) if isinstance(comparison, str) else comparison.regression(metric))


def _unscored(problem: str) -> Any:
    if problem == "no evaluation data":
        return errored(problem, advice="accuracy.data names it")
    advice = "every row of the evaluation data needs a valid prediction; none is dropped"
    return failed(f"the challenger could not be scored: {problem}", cause=Cause.MODEL, advice=advice)
