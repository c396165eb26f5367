"""A quick yes is only said of answers that conform."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.evaluation.conformance import bad_row, surely_conform
from mlgate.scoring.answers import first_bad_row, nonconformities

DOUBLE, LONG, TEXT, TRUTH, INTEGER = (
    DataType.DOUBLE, DataType.LONG, DataType.STRING, DataType.BOOLEAN, DataType.INTEGER,
)  # fmt: skip


def columns(*kinds, names=("y", "p", "q"), required=True):
    """An output signature of columns."""
    return ColumnSchema(tuple(Column(name, kind, required) for name, kind in zip(names, kinds, strict=False)))


def tensor(dtype, *shape, name=None):
    """An output signature of one tensor."""
    return TensorSchema((Tensor(name, dtype, shape),))


SCHEMAS = [
    None,
    columns(DOUBLE),
    columns(LONG),
    columns(INTEGER),
    columns(TEXT),
    columns(TRUTH),
    columns(DataType.DATETIME),
    columns(DOUBLE, names=(None,)),
    columns(LONG, DOUBLE),
    columns(TEXT, DOUBLE, required=False),
    tensor("float64", -1),
    tensor("float32", -1, 2),
    tensor("float64", -1, -1),
    tensor("int64", -1),
    tensor("uint8", -1),
    tensor("bool", -1),
    tensor("str", -1),
    tensor("object", -1),
    tensor("float64", -1, 1, 1),
    TensorSchema((Tensor("y", "int64", (-1,)), Tensor("p", "float64", (-1, 2)))),
]
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2) | st.sampled_from([2**31, -(2**63), 2**63, 10**400])
)  # fmt: skip
values = scalars | st.lists(scalars, max_size=3)
one_shape = st.sampled_from(
    [
        st.floats(0, 1),
        st.integers(-5, 5),
        st.booleans(),
        st.text(max_size=2),
        st.lists(st.floats(0, 1), min_size=2, max_size=2),
        st.fixed_dictionaries({"y": st.integers(-5, 5), "p": st.floats(0, 1)}),
        st.fixed_dictionaries({"y": st.text(max_size=2), "p": st.floats(0, 1)}),
        st.fixed_dictionaries({"y": st.integers(-5, 5), "p": st.lists(st.floats(0, 1), min_size=2, max_size=2)}),
        values,
        st.dictionaries(st.sampled_from(["y", "p", "q"]), values, max_size=3),
    ]
).flatmap(lambda row: st.lists(row, max_size=4))
rows = st.tuples(one_shape, one_shape).map(lambda both: both[0] + both[1]) | one_shape


@given(rows, st.sampled_from(SCHEMAS))
def test_a_yes_is_never_said_of_an_answer_that_does_not_conform(answer, schema):
    """And the row that is at fault is the one that the slow way names."""
    if surely_conform(answer, schema):
        assert nonconformities(answer, schema, expected_rows=len(answer)) == []
    assert bad_row(answer, schema) == first_bad_row(answer, schema)


@pytest.mark.parametrize(
    ("answer", "schema"),
    [
        ([0.5, 1.0, 1], columns(DOUBLE)),
        ([[0.5], [1.0]], columns(DOUBLE)),
        ([1, 2], columns(LONG)),
        (["a", "b"], columns(TEXT)),
        ([True, False], columns(TRUTH)),
        ([{"y": 1, "p": 0.5}, {"y": 0, "p": 0.25}], columns(LONG, DOUBLE)),
        ([0.5, 0.25], tensor("float64", -1)),
        ([[0.5, 0.5], [0.25, 0.75]], tensor("float64", -1, 2)),
        ([[0.5, 0.5], [0.25, 0.75]], tensor("float64", -1, -1)),
        ([1, -2], tensor("int64", -1)),
        ([1, 2], tensor("uint8", -1)),
        ([{"y": 1, "p": [0.5, 0.5]}], SCHEMAS[-1]),
        ([0.5, 1, True], None),
        (["a", "b"], None),
        ([], columns(DOUBLE)),
    ],
)
def test_the_usual_right_answers_are_seen_at_once(answer, schema):
    """Row by row, a million of them would take longer than the metrics."""
    assert surely_conform(answer, schema)
