"""Scoring the evaluation data: every row, or the rows that were not."""

import json

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.evaluation.rows import ROWS_PER_REQUEST, EvaluationData
from mlgate.evaluation.scoring import NotScored, score_data
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch

OUTPUTS = ColumnSchema((Column("y", DataType.DOUBLE, True),))
N = ROWS_PER_REQUEST + 500
DATA = EvaluationData(
    source="x.csv",
    digest="sha256:x",
    features=Batch(columns=("a",), rows=tuple([float(index)] for index in range(N))),
    labels=(1,) * N,
    keys=tuple(range(N)),
)


class Answering:
    """The part of a client that is asked: doubles every row, unless *spoil* says otherwise."""

    def __init__(self, spoil=lambda rows: rows, **answer) -> None:
        self.spoil, self.answer = spoil, answer
        self.sizes = []

    def score(self, batch):
        self.sizes.append(len(batch))
        rows = self.spoil([row[0] * 2 for row in batch.rows])
        facts = {"status": 200, "body": json.dumps({"predictions": rows}).encode(), "elapsed_s": 0.1, **self.answer}
        return Answer(content_type="application/json", **facts)


def test_every_row_is_answered_in_its_order():
    """In requests of a thousand rows."""
    client = Answering()
    assert score_data(client, DATA, OUTPUTS) == [index * 2.0 for index in range(N)]
    assert client.sizes == [ROWS_PER_REQUEST, 500]


def second(spoil):
    """Spoil only the second request."""
    return lambda rows: spoil(rows) if len(rows) == 500 else rows


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (Answering(second(lambda rows: rows[:-1])), "rows 1000 to 1499: 499 predictions for 500 rows"),
        (Answering(second(lambda rows: [*rows[:-1], None])), "rows 1000 to 1499: row 499: output 'y' is null"),
        (Answering(second(lambda rows: [*rows[:-1], "x"])), "rows 1000 to 1499: row 499: output 'y' is \"x\""),
        (Answering(second(lambda rows: [*rows[:-1], float("nan")])), "rows 1000 to 1499: the answer holds NaN"),
        (
            Answering(status=400, body=b'{"stack_trace": "x\\nValueError: boom"}'),
            "rows 0 to 999: answered 400: ValueError: boom",
        ),
        (Answering(status=0, body=b"", problem="timeout"), r"rows 0 to 999: no answer \(timeout\)"),
    ],
)
def test_a_row_without_a_valid_prediction_stops_the_scoring_by_name(client, says):
    """Dropping it would compare the models on the easy rows only."""
    with pytest.raises(NotScored, match=says):
        score_data(client, DATA, OUTPUTS)
