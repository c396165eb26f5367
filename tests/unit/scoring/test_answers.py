"""Answers: what is a prediction, and what only looks like one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.scoring.answers import Answer, NotAPrediction, first_bad_row, nonconformities


def answer(body, status=200, **changes):
    """A response as the client returns it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, content_type="application/json", body=raw, elapsed_s=0.1, **changes)


def column(kind, name="y", required=True):
    """A schema of one column."""
    return ColumnSchema((Column(name, kind, required),))


def tensor(dtype, *shape, name=None):
    """A schema of one tensor."""
    return TensorSchema((Tensor(name, dtype, tuple(shape)),))


@pytest.mark.parametrize(
    ("predictions", "rows"),
    [
        ([1, 2], [1, 2]),
        ([], []),
        ([{"y": 1}], [{"y": 1}]),
        ([[0.1, 0.9]], [[0.1, 0.9]]),
        ({"a": [1, 2], "b": ["x", "y"]}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ],
)
def test_predictions_are_one_a_row(predictions, rows):
    """Named outputs come as one list a name."""
    assert answer({"predictions": predictions}).rows() == rows


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"predictions": [NaN]}', "NaN, which is not JSON"),
        (b'{"predictions": [1, Infinity]}', "Infinity, which is not JSON"),
        (b'{"predictions": [-Infinity]}', "-Infinity, which is not JSON"),
        (b'{"predictions": [1,]}', "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"predictions": [%s]}' % (b"9" * 5000), "not JSON"),
        (b"[1, 2]", "without a 'predictions' key"),
        (b'{"predictions": 5}', "'predictions' is int, not a list of rows"),
        (b'{"predictions": null}', "'predictions' is NoneType"),
        (b'{"predictions": {}}', "'predictions' is dict"),
        (b'{"predictions": {"a": [1], "b": [1, 2]}}', "different lengths"),
        (b'{"predictions": {"a": 1}}', "'predictions' is dict"),
    ],
    ids=str,
)
def test_what_is_no_prediction_is_named_in_one_line(body, says):
    """Strict JSON: MLflow sends bare NaN with a 200."""
    with pytest.raises(NotAPrediction, match=says) as caught:
        answer(body).rows()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("problem", ["timeout", "connection", "too_large"])
def test_no_answer_is_no_prediction(problem):
    """And says which of the three it was."""
    with pytest.raises(NotAPrediction, match=rf"no answer \({problem}\)"):
        answer(b"", status=0, problem=problem).rows()


@pytest.mark.parametrize(
    ("status", "body", "crashed"),
    [
        (400, {"error_code": "BAD_REQUEST", "message": "m", "stack_trace": "Traceback\n  ValueError: boom\n"}, True),
        (400, {"error_code": "BAD_REQUEST", "message": "Missing inputs ['age']"}, False),
        (500, b"Internal Server Error", True),
        (504, b"timeout", True),
        (415, b"Unsupported", False),
        (422, {"detail": []}, False),
        (200, {"predictions": [], "stack_trace": "x"}, False),
    ],
)
def test_a_crash_is_told_from_a_refusal(status, body, crashed):
    """MLflow answers 400 for both: a crash carries the stack trace."""
    assert answer(body, status=status).crashed is crashed


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "m", "stack_trace": "Traceback\n  File x\nValueError: boom\n\n"}, "ValueError: boom"),
        ({"message": "two\nlines"}, "two lines"),
        ({"detail": "x"}, "{'detail': 'x'}"),
        ({"stack_trace": None, "message": "m"}, "m"),
        (["a"], "['a']"),
        (b"plain \xff text", "plain � text"),
        (b"[" * 100_000, "[" * 240),
        ({"message": "x" * 1000}, "x" * 240),
    ],
)
def test_the_telling_part_of_an_error_is_short(body, text):
    """The last line of the trace, else the message, else what there is."""
    assert answer(body, status=400).error_text() == text


B, INT, L, F, D, S, T = (
    DataType.BOOLEAN, DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE, DataType.STRING, DataType.DATETIME,
)  # fmt: skip
GOOD = [
    (B, True), (INT, 0), (INT, 2**31 - 1), (INT, -(2**31)), (L, 2**63 - 1), (F, 1.5), (F, 1), (D, -1e308), (S, ""), (S, "1"),
    (DataType.BINARY, "aGk="), (T, "2024-01-01T00:00:00"), (T, "2024-01-01"),
]  # fmt: skip
WRONG = [
    (B, 1), (B, "true"), (INT, True), (INT, 1.0), (INT, 2**31), (INT, -(2**31) - 1), (L, 2**63), (L, "5"), (F, True), (F, "1.5"),
    (D, None), (D, float("inf")), (D, 10**400), (S, 5), (S, None), (DataType.BINARY, 5), (T, "soon"), (T, 5), (D, [1.0]), (D, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_value_of_the_declared_type_conforms(kind, value):
    """Alone, in a list of one, under its name, and under pandas' name for none."""
    for row in (value, [value], {"y": value}, {"0": value}):
        assert nonconformities([row], column(kind), expected_rows=1) == [], row


@pytest.mark.parametrize(("kind", "value"), WRONG)
def test_a_value_of_another_type_does_not(kind, value):
    """A bool is no integer, a word no number, 1e999 is infinite and 10^400 no double."""
    problems = nonconformities([{"y": value}], column(kind), expected_rows=1)
    assert len(problems) == 1
    assert problems[0].startswith("row 0: output 'y' is ")
    assert f"declared {kind}" in problems[0]


@pytest.mark.parametrize("kind", DataType)
def test_null_is_valid_only_where_it_is_declared(kind):
    """An optional output may lack, too."""
    assert nonconformities([{"y": None}], column(kind, required=False), expected_rows=1) == []
    assert nonconformities([{"y": None}], column(kind), expected_rows=1)
    two = ColumnSchema((Column("y", D, True), Column("why", kind, False)))
    assert nonconformities([{"y": 1.0}], two, expected_rows=1) == []
    assert nonconformities([{"why": None}], two, expected_rows=1)


TWO = ColumnSchema((Column("a", D, True), Column("b", S, True)))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"a": 1.0, "b": "x"}], None),
        ([{"b": "x", "a": 1.0}], None),
        ([[1.0, "x"]], None),
        ([{"a": 1.0}], "names are ['a'], declared are ['a', 'b']"),
        ([{"a": 1.0, "b": "x", "c": 1}], "names are ['a', 'b', 'c'], declared are ['a', 'b']"),
        ([[1.0]], "1 values for 2 declared outputs"),
        ([1.0], "1 values for 2 declared outputs"),
        ([["x", 1.0]], "output 'a' is \"x\", declared double"),
    ],
)
def test_names_and_their_number_are_held(rows, problem):
    """By name where there are names, in order where there are none."""
    expected = [] if problem is None else [f"row 0: {problem}"]
    assert nonconformities(rows, TWO, expected_rows=1) == expected


def test_a_type_that_is_no_scalar_is_not_judged():
    """Arrays and objects: names and number only."""
    assert nonconformities([{"y": [1, 2]}], column(ArrayType(D)), expected_rows=1) == []


@pytest.mark.parametrize(
    ("schema", "value", "good"),
    [
        (tensor("float64", -1), 1.5, True),
        (tensor("float64", -1), [1.5], False),
        (tensor("float64", -1), True, False),
        (tensor("float64", -1), None, False),
        (tensor("float32", -1, 2), [1, 2.5], True),
        (tensor("float32", -1, 2), [1.0], False),
        (tensor("float32", -1, 2), 1.0, False),
        (tensor("float32", -1, 2, -1), [[1.0], [2.0]], True),
        (tensor("float32", -1, 2, -1), [[], []], True),
        (tensor("float32", -1, 2, -1), [[1.0], 2.0], False),
        (tensor("float32", -1, 2, 2), [[1.0, 2.0], [3.0]], False),
        (tensor("int64", -1), 5, True),
        (tensor("int64", -1), -5, True),
        (tensor("int64", -1), 5.0, False),
        (tensor("int64", -1), True, False),
        (tensor("uint8", -1), -5, False),
        (tensor("bool", -1), True, True),
        (tensor("bool", -1), 1, False),
        (tensor("str", -1), "x", True),
        (tensor("str", -1), 1, False),
        (tensor("object", -1), 1, True),
        (tensor("float64", -1), {"y": 1.0}, False),
        (tensor("float64", -1, name="y"), {"y": 1.0}, True),
        (tensor("float64", -1, name="y"), {"z": 1.0}, False),
    ],
)
def test_a_tensor_has_its_shape_and_dtype(schema, value, good):
    """-1 is any length; ragged is no shape."""
    assert (nonconformities([value], schema, expected_rows=1) == []) is good


def test_named_tensors_are_all_there():
    """Each with its own shape."""
    schema = TensorSchema((Tensor("a", "float64", (-1,)), Tensor("b", "int64", (-1, 2))))
    assert nonconformities([{"a": 1.0, "b": [1, 2]}], schema, expected_rows=1) == []
    for row in ({"a": 1.0}, {"a": 1.0, "b": [1]}, [1.0, [1, 2]], {"a": 1.0, "b": [1, 2], "c": 0}):
        assert nonconformities([row], schema, expected_rows=1)


@pytest.mark.parametrize("schema", [None, column(D), tensor("float64", -1)])
@pytest.mark.parametrize("expected", [0, 1, 3])
def test_the_number_of_rows_is_held_first(schema, expected):
    """Rows out are rows in, whatever is declared."""
    problems = nonconformities([1.0, 2.0], schema, expected_rows=expected)
    assert problems == [f"2 predictions for {expected} rows"]


@pytest.mark.parametrize("value", [float("inf"), None, [1.0, [float("-inf")]], {"a": {"b": None}}])
def test_without_an_output_signature_numbers_are_still_finite(value):
    """1e999 is valid JSON and no prediction."""
    assert "is not finite" in nonconformities([1.0, value], None, expected_rows=2)[0]


def test_the_first_bad_row_is_found():
    """With its problem; `None` where all conform."""
    assert first_bad_row([1.0, "x", "y"], column(D)) == (1, "output 'y' is \"x\", declared double")
    assert first_bad_row([1.0], column(D)) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["y", "0", "z"]), inner, max_size=3),
    max_leaves=6,
)
schemas = st.sampled_from(
    [
        None,
        TWO,
        *(column(kind) for kind in DataType),
        column(D, name=None),
        tensor("float64", -1, 2),
        tensor("int64", -1),
        tensor("str", -1, name="y"),
    ]
)


@given(st.lists(json_values, max_size=3), schemas)
def test_any_json_is_judged_without_an_exception(rows, schema):
    """A model may answer anything."""
    problems = nonconformities(rows, schema, expected_rows=len(rows))
    bad = first_bad_row(rows, schema)
    assert (bad is None) == (problems == [])
    assert bad is None or problems[0] == f"row {bad[0]}: {bad[1]}"


@given(st.binary(max_size=80))
def test_any_body_is_rows_or_not_a_prediction(body):
    """Never another exception."""
    found = answer(body)
    assert isinstance(found.error_text(), str)
    try:
        rows = found.rows()
    except NotAPrediction:
        return
    assert isinstance(rows, list)


def test_the_last_line_of_a_bare_traceback_is_the_telling_one():
    """MLServer answers a crash with nothing but the trace."""
    body = b'Traceback (most recent call last):\n  File "m.py", line 1\nValueError: boom\n'
    answer = Answer(status=500, content_type="text/plain", body=body, elapsed_s=0.0)
    assert answer.crashed
    assert answer.error_text() == "ValueError: boom"


def test_the_word_for_a_refusal_is_the_protocols():
    """MLflow calls it `message`, MLServer `error`."""
    answer = Answer(status=400, content_type="application/json", body=b'{"error": "no  a"}', elapsed_s=0.0)
    assert answer.error_text() == "no a"
    assert not answer.crashed
