"""Scoring the evaluation data: every row, or the row that was not."""

import json

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import FailureKind, ServerError
from mlgate.evaluation.scoring import MAX_FAILED, NotScored, Progress, score_data
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch

OUTPUTS = ColumnSchema((Column("y", DataType.DOUBLE, True),))
N = 1500
CRASH = {"status": 400, "body": b'{"stack_trace": "x\\nValueError: boom"}'}
TIMEOUT = {"status": 0, "body": b"", "problem": "timeout"}


def batches(size=1000):
    """Rows 0.0, 1.0, …, in requests of a thousand."""
    rows = [[float(index)] for index in range(N)]
    for start in range(0, N, size):
        yield Batch(columns=("a",), rows=tuple(rows[start : start + size]))


class Answering:
    """The part of a client that is asked: doubles every row; *answer* may give something else for a request's rows."""

    def __init__(self, answer=lambda rows: None) -> None:
        self.answer = answer
        self.asked = []

    def score(self, batch):
        rows = [row[0] for row in batch.rows]
        self.asked.append((rows[0], len(rows)))
        facts = self.answer(rows)
        if not isinstance(facts, dict):
            doubled = [row * 2 for row in rows] if facts is None else facts
            facts = {"status": 200, "body": json.dumps({"predictions": doubled}).encode()}
        return Answer(content_type="application/json", elapsed_s=0.1, **facts)


def scored(client, outputs=OUTPUTS, progress=None):
    """Return the answers and what scoring took."""
    taken = []
    facts = score_data(
        client, batches(), outputs, taken.extend, name_row=lambda row: f"row {row} (id {row + 7000})", progress=progress
    )
    return taken, facts


def test_every_row_is_answered_in_its_order():
    """In the requests that the data come in."""
    client = Answering()
    taken, facts = scored(client)
    assert taken == [index * 2.0 for index in range(N)]
    assert client.asked == [(0.0, 1000), (1000.0, 500)]
    assert (facts.rows, facts.requests, facts.failed) == (N, 2, 0)
    assert facts.seconds >= 0


@pytest.mark.parametrize(
    ("bad", "says", "requests"),
    [
        (None, "row 1234 (id 8234): output 'y' is null", 2),
        ("x", "row 1234 (id 8234): output 'y' is \"x\"", 2),
        (float("nan"), "row 1234 (id 8234): the answer holds NaN", 20),
    ],
)
def test_the_row_with_a_wrong_answer_is_named_with_its_key(bad, says, requests):
    """Dropping it would compare the models on the easy rows only."""
    client = Answering(lambda rows: [bad if row == 1234 else row for row in rows])
    with pytest.raises(NotScored) as caught:
        scored(client)
    assert str(caught.value).startswith(says)
    assert len(client.asked) <= requests


@pytest.mark.parametrize("broken", [0, 1, 499, 500, 998, 1000, 1499])
def test_the_first_row_that_crashes_the_model_is_found_in_a_few_requests(broken):
    """By halves: the first of several."""
    client = Answering(lambda rows: CRASH if any(row >= broken for row in rows) else None)
    with pytest.raises(NotScored, match=rf"row {broken} \(id {broken + 7000}\): answered 400: ValueError: boom"):
        scored(client)
    assert len(client.asked) <= 1 + 2 * 11


def test_an_answer_with_too_few_predictions_is_narrowed_down_too():
    """The answer itself does not say which row is missing."""
    client = Answering(lambda rows: [row for row in rows if row != 77])
    with pytest.raises(NotScored, match=r"row 77 .*: 0 predictions for 1 rows"):
        scored(client)


def test_a_slow_server_gets_smaller_requests_from_then_on():
    """A thousand rows take it too long, three hundred do not: every row is answered all the same."""
    client = Answering(lambda rows: TIMEOUT if len(rows) > 300 else None)
    taken, facts = scored(client)
    assert taken == [index * 2.0 for index in range(N)]
    assert facts.failed == 2
    assert client.asked[:3] == [(0.0, 1000), (0.0, 500), (0.0, 250)]
    assert max(size for _, size in client.asked[3:]) <= 250


def test_a_failure_that_does_not_come_back_is_counted_and_every_row_is_answered():
    """A server that was killed for another reason, say."""
    failures = iter([CRASH])
    taken, facts = scored(Answering(lambda rows: next(failures, None)))
    assert taken == [index * 2.0 for index in range(N)]
    assert facts.failed == 1


def test_a_server_that_fails_again_and_again_is_given_up_with_the_rows_that_were_asked():
    """Each failure may cost a restart."""
    client = Answering(lambda rows: CRASH if len(client.asked) % 2 else None)
    with pytest.raises(NotScored, match=rf"(row \d+ |rows \d+ to \d+: .*\({MAX_FAILED + 1} requests failed\))"):
        scored(client)
    assert len(client.asked) < 3 * MAX_FAILED


def test_a_server_that_does_not_come_back_names_where_it_was_lost():
    """The model took it down."""

    class Gone:
        def score(self, batch):
            raise ServerError("exited with 139", kind=FailureKind.SIGNAL)

    with pytest.raises(NotScored, match=r"row 0 \(id 7000\) or one of the 999 rows after it: .*exited with 139"):
        score_data(Gone(), batches(), OUTPUTS, list, name_row=lambda row: f"row {row} (id {row + 7000})")


def test_progress_is_told_now_and_then_with_its_rate():
    """A run of a few seconds says nothing."""
    times, told = iter([0.0, 4.0, 12.0, 13.0, 31.0]), []
    progress = Progress(what="scoring the champion", total=5000, tell=told.append, clock=lambda: next(times))
    for _ in range(5):
        progress.advance(1000)
    assert told == [
        "scoring the champion: 3 000 of 5 000 rows, 250 rows/s",
        "scoring the champion: 5 000 of 5 000 rows, 161 rows/s",
    ]
