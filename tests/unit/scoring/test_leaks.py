"""What an error's body tells."""

import json
import traceback

import pytest

from mlgate.scoring.leaks import leaks
from mlgate.scoring.payloads import Batch

VALID = Batch(columns=("age", "plan", "n"), rows=([33.25, "professional", 4],))


def found(body):
    return leaks(body if isinstance(body, bytes) else json.dumps(body).encode(), planted=("planted-word",), valid=VALID)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Internal Server Error",
        {"error": "bad request", "path": "/invocations"},
        {"error": "see https://mlflow.org/docs/latest/models.html"},
        {"error": "column 'age' is missing; declared are age, plan, n"},
        {"error": "4 is no word"},
    ],
)
def test_a_plain_error_tells_nothing(body):
    """Names of columns and a route are the contract's; one digit is found anywhere."""
    assert found(body) == ()


def test_a_traceback_is_seen_in_json_and_in_text():
    """As MLflow's `stack_trace` has it, and as MLServer's plain body."""
    try:
        int("x")
    except ValueError:
        trace = traceback.format_exc()
    assert found({"stack_trace": trace})[0] == found(trace.encode())[0] == "traceback"


@pytest.mark.parametrize("path", ["/opt/venv/lib/python3.11/site-packages/x.py", "/home/anna/model.pkl", "/tmp/a/b"])
def test_a_path_is_seen(path):
    """It tells where things are."""
    assert found({"error": f"can not read {path}"}) == ("path",)


@pytest.mark.parametrize("text", ["planted-word", "professional", "33.25"])
def test_what_was_sent_is_seen(text):
    """A planted word, or a value that nobody writes by chance."""
    assert found({"message": f"Failed to predict data '{text}'"}) == ("sent values",)


def test_all_kinds_are_named():
    """In one order."""
    body = b'Traceback (most recent call last)\n  File "/opt/app/x.py", line 3\nValueError: planted-word'
    assert found(body) == ("traceback", "path", "sent values")


def test_tensors_and_nested_values_are_looked_into():
    """Leaves, wherever they are."""
    batch = Batch(columns=None, rows=({"x": [[1.5, 123456]]},))
    assert leaks(b"got 123456", planted=(), valid=batch) == ("sent values",)
