"""Places in an answer: names, indices and paths, by the signature and in a row."""

import pytest

from mlgate.artifacts.signature import (
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Property,
    Tensor,
    TensorSchema,
)
from mlgate.scoring.output_place import NoSuchOutput, NotThere, find_place, output_places

DOUBLE, STRING = DataType.DOUBLE, DataType.STRING
RESULT = ObjectType((Property("score", DOUBLE, True), Property("tags", ArrayType(STRING), True)))


def table(*columns):
    return ColumnSchema(tuple(Column(name, kind, True) for name, kind in columns))


TWO = table(("score", DOUBLE), ("label", STRING))
NESTED = table(("result", RESULT), ("probs", ArrayType(DOUBLE)), ("extra", MapType(DOUBLE)), ("a.b", DOUBLE))
ONE = table((None, DOUBLE))
ONE_OBJECT = table((None, RESULT))
ARRAY = TensorSchema((Tensor(None, "float32", (-1, 3)),))
WRAPPED = TensorSchema((Tensor(None, "float32", (-1, 1)),))
TENSORS = TensorSchema((Tensor("probs", "float32", (-1, 3)), Tensor("class", "int64", (-1,))))


@pytest.mark.parametrize(
    ("outputs", "place", "row", "value"),
    [
        (TWO, "score", {"score": 0.5, "label": "a"}, 0.5),
        (TWO, 1, {"score": 0.5, "label": "a"}, "a"),
        (TWO, -1, [0.5, "a"], "a"),
        (NESTED, "result.score", {"result": {"score": 0.1, "tags": []}, "probs": [], "extra": {}, "a.b": 2.0}, 0.1),
        (NESTED, "result.tags.0", {"result": {"score": 0.1, "tags": ["x"]}, "probs": [], "extra": {}, "a.b": 2.0}, "x"),
        (NESTED, "probs.1", {"result": {}, "probs": [0.2, 0.8], "extra": {}, "a.b": 2.0}, 0.8),
        (NESTED, "extra.any", {"result": {}, "probs": [], "extra": {"any": 3.0}, "a.b": 2.0}, 3.0),
        (NESTED, "a.b", {"result": {}, "probs": [], "extra": {}, "a.b": 2.0}, 2.0),
        (ONE, 0, 0.25, 0.25),
        (ONE, 0, {"0": 0.25}, 0.25),
        (ONE, 0, [0.25], 0.25),
        (ONE_OBJECT, "score", {"score": 0.5, "tags": []}, 0.5),
        (ARRAY, 2, [0.1, 0.2, 0.7], 0.7),
        (ARRAY, -1, [0.1, 0.2, 0.7], 0.7),
        (WRAPPED, 0, [0.4], [0.4]),
        (TENSORS, "probs.0", {"probs": [0.1, 0.2, 0.7], "class": 2}, 0.1),
        (TENSORS, "class", {"probs": [0.1, 0.2, 0.7], "class": 2}, 2),
        (None, "score", {"score": 0.5}, 0.5),
        (None, 1, [0.5, 0.6], 0.6),
    ],
)
def test_a_place_is_read_from_a_row(outputs, place, row, value):
    """Whether the answer has names, an array, or one value."""
    assert find_place(outputs, place).value(row) == value


@pytest.mark.parametrize(
    ("outputs", "place"),
    [
        (TWO, "chance"), (TWO, 2), (TWO, -3), (TWO, "score.a"), (ONE, 1), (ONE, "score"), (ARRAY, 3), (ARRAY, "probs"),
        (NESTED, "result.chance"), (NESTED, "probs.first"), (TENSORS, "probs.3"), (TENSORS, "class.0"), (WRAPPED, 1),
    ],
)  # fmt: skip
def test_a_place_that_no_output_has_is_refused_with_those_there_are(outputs, place):
    """Before anything is started."""
    with pytest.raises(NoSuchOutput, match=r"no output .* among"):
        find_place(outputs, place)


@pytest.mark.parametrize(
    ("outputs", "place", "row"),
    [(TWO, "score", {"label": "a"}), (TWO, 1, [0.5]), (ARRAY, 2, [0.1]), (TWO, "score", 0.5), (None, "score", 3)],
)
def test_an_answer_without_the_place_is_told(outputs, place, row):
    """An answer need not be what the signature says."""
    with pytest.raises(NotThere):
        find_place(outputs, place).value(row)


@pytest.mark.parametrize(
    ("outputs", "place", "number", "array", "of_numbers"),
    [
        (TWO, "score", True, False, True),
        (TWO, "label", False, False, False),
        (NESTED, "probs", False, True, True),
        (NESTED, "result", False, False, False),
        (NESTED, "probs.0", True, False, True),
        (ARRAY, 0, True, False, True),
        (TENSORS, "probs", False, True, True),
        (WRAPPED, 0, True, False, True),
    ],
)
def test_what_stands_at_a_place_is_known_from_the_signature(outputs, place, number, array, of_numbers):
    """One number, several values, or nothing that could be compared."""
    found = find_place(outputs, place)
    assert (found.is_number, found.is_array, found.of_numbers) == (number, array, of_numbers)


def test_a_number_is_taken_out_of_an_array_of_one():
    """A tensor of shape (-1, 1) has as many outputs as one of shape (-1)."""
    place = find_place(WRAPPED, 0)
    assert place.number([0.4]) == 0.4
    for row in ("a", [True], [0.1, 0.2], None):
        with pytest.raises(NotThere):
            place.number(row)


def test_places_are_named_for_messages():
    """Name, type and size."""
    assert [place.words for place in output_places(TENSORS)] == ["probs: array of 3 of double", "class: long"]
    assert [place.words for place in output_places(ONE)] == ["0: double"]
