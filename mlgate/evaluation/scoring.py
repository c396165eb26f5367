"""Score evaluation data with a running server: every row answered, or the row that was not is named."""

from typing import Any

from mlgate.artifacts.signature import Schema
from mlgate.evaluation.rows import EvaluationData
from mlgate.scoring.answers import NotAPrediction, nonconformities
from mlgate.scoring.client import ScoringClient


class NotScored(Exception):
    """Some row of the evaluation data got no valid prediction; the text names the rows."""


def score_data(client: ScoringClient, data: EvaluationData, outputs: Schema | None) -> list[Any]:
    """Return one prediction a row, in the rows' order.

    Raises:
        NotScored: A batch was refused, crashed, or holds an answer against the output signature. Dropping such rows
            would compare the models on the easy ones only.
    """
    predictions: list[Any] = []
    for batch in data.batches():
        start = len(predictions)
        try:
            rows = client.score(batch).rows()
        except NotAPrediction as error:
            raise NotScored(f"rows {start} to {start + len(batch) - 1}: {error}") from error
        problems = nonconformities(rows, outputs, expected_rows=len(batch))
        if problems:
            raise NotScored(f"rows {start} to {start + len(batch) - 1}: {problems[0]}")
        predictions += rows
    return predictions
