"""Saved failures: what is written is read back, whatever a fuzzer put in it, and nothing else is taken for one."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.failure import (
    FORMAT,
    MAX_ANSWER,
    MAX_BODY,
    MAX_FILE_BYTES,
    Case,
    DataRow,
    Failure,
    FailureFileError,
    Origin,
    curl_line,
    exchange,
    file_name,
    read_failure,
)
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch

ANSWER = Answer(status=400, content_type="application/json", body=b'{"stack_trace": "x"}', elapsed_s=0.01234)


def failure(**changes):
    """A failure of one row."""
    given_ = {
        "check": "properties.monotonic[column=tenure]",
        "suite": "properties",
        "problem": "raises: KeyError: 'pro'",
        "changed": ("plan", 0),
        "case": Case(columns=("age", 0), rows=([31.5, "pro"],)),
        "exchanges": (exchange("/invocations", b'{"a": 1}', "application/json", ANSWER),),
        "seed": 2**52 + 1,
        "origin": Origin(uri="models:/churn/3", artifact_digest="sha256:a", policy_digest="sha256:p"),
    }
    return Failure(**{**given_, **changes})


def test_a_failure_comes_back_as_it_was_written():
    """Every field, the integer label too."""
    assert read_failure(failure().to_bytes(), name="x") == failure()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON_VALUES, min_size=1, max_size=4))
def test_every_value_that_a_request_can_hold_comes_back(values):
    """Integers beyond 2^53, nested values, any text."""
    case = Case(columns=None, rows=tuple(values))
    assert read_failure(failure(case=case).to_bytes(), name="x").case == case


def test_a_lone_surrogate_is_escaped_and_comes_back():
    """It is no UTF-8, so it can not stand in the file as it is."""
    case = Case(columns=("a",), rows=(["\ud800 ä 🙂"],))
    raw = failure(case=case).to_bytes()
    assert b"\\ud800" in raw
    assert "ä 🙂".encode() in raw
    assert read_failure(raw, name="x").case == case


def test_a_row_of_the_evaluation_data_is_its_key_and_what_was_changed():
    """Its other values do not stand in the file; with the data they come back."""
    case = Case(columns=("age", "plan"), rows=(DataRow(key=17, changed=(("plan", "pro"),)), [1.0, "basic"]))
    written = failure(case=case).to_bytes()
    again = read_failure(written, name="x").case
    assert again.keys == (17,)
    assert again.batch({17: [63.0, "gold"]}) == Batch(columns=("age", "plan"), rows=([63.0, "pro"], [1.0, "basic"]))
    with pytest.raises(KeyError):
        again.batch({})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: "no object", "no saved failure (no format"),
        (lambda d: {**d, "format": "mlgate-failure/2"}, 'format "mlgate-failure/2", not mlgate-failure/1'),
        (lambda d: {key: value for key, value in d.items() if key != "case"}, "case is missing"),
        (lambda d: {**d, "check": "No Id"}, "is not a check id"),
        (lambda d: {**d, "check": 7}, "check is no text"),
        (lambda d: {**d, "params": []}, "no saved failure"),
        (lambda d: {**d, "changed": "age"}, "changed is no list of column labels"),
        (lambda d: {**d, "case": {"columns": ["a"], "rows": []}}, "case.rows is empty"),
        (lambda d: {**d, "case": {"columns": ["a"], "rows": [{"values": [1, 2]}]}}, "not one value a column"),
        (lambda d: {**d, "case": {"columns": ["a"], "rows": [{"key": 1, "changed": [["b", 2]]}]}}, "that case.columns lacks"),
        (lambda d: {**d, "case": {"columns": ["a"], "rows": [{"key": 1.5, "changed": []}]}}, "neither text nor"),
        (lambda d: {**d, "case": {"columns": ["a"], "rows": [3]}}, "no saved failure"),
        (lambda d: {**d, "seed": "x"}, "no saved failure"),
        (lambda d: {**d, "origin": {}}, "uri is missing"),
        (lambda d: {**d, "exchanges": [{}]}, "content_type is missing"),
    ],
)  # fmt: skip
def test_what_is_no_saved_failure_is_refused_in_one_line(spoil, said):
    """The line names the file and what is wrong with it."""
    document = spoil(json.loads(failure().to_bytes()))
    with pytest.raises(FailureFileError) as error:
        read_failure(json.dumps(document).encode(), name="failures/x.json")
    assert str(error.value).startswith("failures/x.json: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b" " * (MAX_FILE_BYTES + 1)])
def test_bytes_that_are_no_json_are_refused(raw):
    """Also those that nest deeper than Python goes."""
    with pytest.raises(FailureFileError, match=r"^x: "):
        read_failure(raw, name="x")


def test_rows_beyond_the_limit_are_not_written():
    """Nobody keeps such a file."""
    with pytest.raises(ValueError, match="more than"):
        failure(case=Case(columns=None, rows=("x" * MAX_FILE_BYTES,))).to_bytes()


def test_a_file_is_called_after_its_check():
    """No character that a file system or MLflow refuses."""
    assert file_name("properties.total", 2) == "properties.total-2.json"
    assert file_name("properties.monotonic[column=a%2Fb]", 1).startswith("properties.monotonic.column-a_b_")
    assert "/" not in file_name("properties.monotonic[column=a%2Fb]", 1)


def test_long_bodies_and_answers_are_cut():
    """A file is read by people."""
    long = exchange("/invocations", b"x" * (MAX_BODY + 1), "text/csv", Answer(status=200, content_type="", body=b"y" * (MAX_ANSWER + 1), elapsed_s=1))  # fmt: skip
    assert long.curl == ""
    assert len(long.body) < MAX_ANSWER + 100
    assert len(long.answer["body"]) == MAX_ANSWER + 1


def test_a_body_that_holds_evaluation_data_is_not_stored():
    """Nor is the command that would send it."""
    hidden = exchange("/invocations", b'{"secret": 63}', "application/json", ANSWER, shown=False)
    assert "secret" not in hidden.body + hidden.curl
    assert "evidence.rows: synthetic" in hidden.body


@pytest.mark.parametrize(
    "body",
    [b"", b"it's", b'{"a": "\\ud800", "b": "\xed\xa0\x80\'\\n"}', b"a,b\n1,'\n", "ü🙂\u202e".encode(), b"$HOME `id` $(id) !x"],
)  # fmt: skip
def test_the_curl_line_sends_the_very_bytes(body, tmp_path):
    """Through a shell: quotes, newlines, dollar signs, and bytes that are no UTF-8."""
    fake = tmp_path / "curl"
    fake.write_text('#!/bin/bash\nprintf "%s" "${!#}" > "$OUT"\n')
    fake.chmod(0o755)
    out = tmp_path / "out"
    line = curl_line("/invocations", body, "application/json")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "OUT": str(out), "SERVER": "http://x"}
    subprocess.run(["/bin/bash", "-c", line], env=environment, check=True)
    assert out.read_bytes() == body


def test_the_format_is_pinned():
    """Files live longer than versions."""
    document = json.loads(failure().to_bytes())
    assert document["format"] == FORMAT == "mlgate-failure/1"
    assert set(document) == {"format", "check", "params", "suite", "problem", "changed", "case", "exchanges", "seed", "origin"}  # fmt: skip
