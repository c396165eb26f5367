"""Equality of answers: exact where it can be, tolerant where floats are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.scoring.equality import DOUBLE_TOLERANCE, FLOAT_TOLERANCE, Equality, equality_for

EXACT = Equality()


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1.0, 1.0 + 9e-7, True),
        (1.0, 1.0 + 2e-6, False),
        (0.0, 9e-7, True),
        (1e6, 1e6 + 0.9, True),
        (1e6, 1e6 + 1.1, False),
        (1, 1, True),
        (1, 2, False),
        (10**15, 10**15 + 1, False),
        (1, 1.0, True),
        (1, True, False),
        (True, True, True),
        (False, 0.0, False),
        ("a", "a", True),
        ("a", "A", False),
        ("1", 1, False),
        (None, None, True),
        (None, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, 5.0, False),
        (5.0, math.inf, False),
        (math.inf, -math.inf, False),
        (10**400, 10**400, True),
        (10**400, 1.5, False),
        (1.5, 10**400, False),
        ([1.0, "a"], [1.0 + 1e-9, "a"], True),
        ([1.0], [1.0, 1.0], False),
        ([[1.0], [2.0]], [[1.0], [2.1]], False),
        ({"a": 1.0}, {"a": 1.0}, True),
        ({"a": 1.0}, {"b": 1.0}, False),
        ({"a": 1.0}, {"a": 1.0, "b": 0}, False),
        ({"a": 1.0}, [1.0], False),
    ],
)
def test_labels_and_integers_are_exact_and_floats_are_near(first, second, same):
    """|a - b| ≤ 1e-6 · max(1, |a|), as the design says."""
    assert EXACT.same(first, second) is same


@given(st.floats(-1e300, 1e300), st.floats(-10, 10), st.floats(1e-12, 1e-2))
def test_the_tolerance_is_the_formula(first, steps, tolerance):
    """Held against the formula on both sides of the edge."""
    second = first + steps * tolerance * max(1.0, abs(first))
    difference, room = abs(first - second), tolerance * max(1.0, abs(first))
    assert Equality(tolerance=tolerance).same(first, second) is (difference <= room)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(json_values, json_values)
def test_every_answer_equals_itself_and_nothing_raises(first, second):
    """Whatever a model answers."""
    flipping = Equality(label=0, score=1, threshold=0.5)
    assert EXACT.same(first, first)
    assert isinstance(EXACT.same(first, second), bool)
    assert isinstance(flipping.same(first, second), bool)


NAMED = Equality(label="label", score="score", threshold=0.5)


@pytest.mark.parametrize(
    ("scores", "same"),
    [((0.5 - 4e-7, 0.5 + 4e-7), True), ((0.5, 0.5), True), ((0.4999, 0.5001), False), ((0.7, 0.7), False), ((0.5, 0.7), False), ((None, None), False), ((True, True), False)],
)  # fmt: skip
def test_a_label_may_flip_only_where_its_score_is_at_the_threshold(scores, same):
    """By name and by index; the scores themselves must still be equal."""
    first, second = scores
    assert NAMED.same({"label": "stay", "score": first}, {"label": "churn", "score": second}) is same
    indexed = Equality(label=0, score=1, threshold=0.5)
    assert indexed.same(["stay", first], ["churn", second]) is same
    assert indexed.same({"label": "stay", "score": first}, {"label": "churn", "score": second}) is same


def test_a_flip_at_the_threshold_excuses_nothing_else():
    """Another output that differs, or a threshold that is elsewhere."""
    first, second = {"label": 0, "score": 0.5, "other": 1}, {"label": 1, "score": 0.5, "other": 2}
    assert not NAMED.same(first, second)
    assert not Equality(label="label", score="score", threshold=0.3).same(
        {"label": 0, "score": 0.5}, {"label": 1, "score": 0.5}
    )
    assert not Equality(threshold=0.5).same({"label": 0, "score": 0.5}, {"label": 1, "score": 0.5})


@pytest.mark.parametrize(
    ("first", "second", "index"),
    [([1, 2], [1, 2], None), ([1, 2], [1, 3], 1), ([1], [1, 2], 1), ([1, 2], [1], 1), ([], [], None), ([2], [1, 1], 0)],
)
def test_the_first_difference_is_found(first, second, index):
    """A row that is missing differs."""
    assert EXACT.first_difference(first, second) == index


@pytest.mark.parametrize(
    ("outputs", "tolerance"),
    [
        (None, DOUBLE_TOLERANCE),
        (ColumnSchema((Column("a", DataType.DOUBLE, True),)), DOUBLE_TOLERANCE),
        (ColumnSchema((Column("a", DataType.DOUBLE, True), Column("b", DataType.FLOAT, True))), FLOAT_TOLERANCE),
        (TensorSchema((Tensor(None, "float32", (-1,)),)), FLOAT_TOLERANCE),
        (TensorSchema((Tensor(None, "float64", (-1,)),)), DOUBLE_TOLERANCE),
    ],
)
def test_the_tolerance_follows_the_output_type_and_the_policy_wins(outputs, tolerance):
    """float32 keeps seven digits."""
    assert equality_for(outputs).tolerance == tolerance
    assert equality_for(outputs, tolerance=0.0).tolerance == 0.0
