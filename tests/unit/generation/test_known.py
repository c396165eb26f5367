"""The logged example in each of its shapes, and the sample of the evaluation data."""

import json

import pytest

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.generation.input_space import input_space
from mlgate.generation.known import SAMPLE, example_batch
from mlgate.scoring.payloads import Batch

NAMED = ColumnSchema((Column("a", DataType.DOUBLE, True), Column("b", DataType.STRING, True)))
UNNAMED = ColumnSchema((Column(None, DataType.DOUBLE, True), Column(None, DataType.STRING, True)))
ONE = ColumnSchema((Column(None, DataType.DOUBLE, True),))
LISTS = ColumnSchema((Column("v", ArrayType(DataType.DOUBLE), True),))
IMAGE = TensorSchema((Tensor(None, "float32", (-1, 2)),))
PAIR = TensorSchema((Tensor("x", "float32", (-1, 2)), Tensor("y", "int64", (-1,))))
WITH_RATE = TensorSchema((Tensor("x", "float32", (-1, 2)), Tensor("rate", "int64", ())))


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"null", b"{", b"\xff", b"[" * 100_000, b'{"inputs": [1]}', b'{"dataframe_split": 5}', b"[]",
     b'{"dataframe_split": {"columns": 5, "data": 6}}', b'{"dataframe_split": {"columns": ["a"], "data": [5]}}',
     b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', b'{"dataframe_split": {"columns": ["a"]}}',
     b'{"dataframe_split": {"columns": [["a"]], "data": [[1]]}}', b'{"dataframe_records": [5]}'],
)  # fmt: skip
@pytest.mark.parametrize("inputs", [None, NAMED])
def test_an_example_that_is_none_says_nothing(raw, inputs):
    """The file is the model's: it may hold anything."""
    if raw == b'{"inputs": [1]}' or raw is None or b"inputs" not in raw:
        assert example_batch(raw, inputs) is None


@pytest.mark.parametrize(
    ("inputs", "document", "columns", "rows"),
    [
        (
            None,
            {"dataframe_split": {"columns": ["a", 0], "data": [[1.5, "x"], [None, "y"]]}},
            ("a", 0),
            ([1.5, "x"], [None, "y"]),
        ),
        (NAMED, {"dataframe_records": [{"a": 1, "b": "x"}, {"b": "y"}]}, ("a", "b"), ([1, "x"], [None, "y"])),
        (NAMED, {"inputs": [{"a": 1, "b": "x"}]}, ("a", "b"), ([1, "x"],)),
        (NAMED, {"inputs": {"a": [1, 2], "b": ["x", "y"]}}, ("a", "b"), ([1, "x"], [2, "y"])),
        (NAMED, {"inputs": {"a": 1, "b": "x"}}, ("a", "b"), ([1, "x"],)),
        (LISTS, {"inputs": {"v": [1, 2]}}, ("v",), ([[1, 2]],)),
        (UNNAMED, {"dataframe_split": {"data": [[1, "x"]]}}, (0, 1), ([1, "x"],)),
        (UNNAMED, {"inputs": [[1, "x"]]}, (0, 1), ([1, "x"],)),
        (ONE, {"inputs": [1, 2]}, (0,), ([1], [2])),
        (ONE, {"instances": [[1], [2]]}, (0,), ([1], [2])),
        (IMAGE, {"inputs": [[1, 2], [3, 4]]}, None, ([1, 2], [3, 4])),
        (PAIR, {"inputs": {"x": [[1, 2], [3, 4]], "y": [5, 6]}}, None, ({"x": [1, 2], "y": 5}, {"x": [3, 4], "y": 6})),
        (WITH_RATE, {"inputs": {"x": [[1, 2]], "rate": 8}}, None, ({"x": [1, 2], "rate": 8},)),
    ],
)
def test_a_logged_example_is_read_in_each_of_its_shapes(inputs, document, columns, rows):
    """As MLflow writes it for frames, lists, dicts and arrays."""
    assert example_batch(json.dumps(document).encode(), inputs) == Batch(columns=columns, rows=rows)


@pytest.mark.parametrize("inputs", [PAIR, WITH_RATE, IMAGE])
@pytest.mark.parametrize("values", [5, {"x": 5}, {"x": 5, "y": 6, "rate": 1}, "text"])
def test_an_example_of_tensors_that_is_none_says_nothing(inputs, values):
    """The file is the model's."""
    assert example_batch(json.dumps({"inputs": values}).encode(), inputs) is None


def test_the_examples_first_row_is_the_default():
    """It comes before the data."""
    data = Batch(columns=("a", "b"), rows=([10.0, "x"], [20.0, "y"]))
    example = Batch(columns=("a", "b"), rows=([15.0, "y"],))
    space = input_space(NAMED, rules={}, known=[example], data=data)
    assert space.default_row().rows == ([15.0, "y"],)


def test_a_bounded_seeded_sample_of_the_data_is_kept():
    """Ten thousand rows of two hundred columns are not held for the whole run."""
    data = Batch(columns=("a", "b"), rows=tuple([float(n), "x"] for n in range(SAMPLE * 2)))
    spaces = [input_space(NAMED, rules={}, data=data, seed=seed) for seed in (1, 1, 2)]
    assert [len(space.known) for space in spaces] == [SAMPLE] * 3
    assert spaces[0].known == spaces[1].known
    assert set(spaces[0].known.keys) != set(spaces[2].known.keys)
    assert max(spaces[0].known.keys) > SAMPLE
