"""Data frames for users' relations: what goes to pandas comes back as the request has it."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.frames import answers_of, batch_of, frame_of
from mlgate.generation.input_space import input_space

KINDS = (
    DataType.BOOLEAN, DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE, DataType.STRING,
    DataType.DATETIME, DataType.BINARY,
)  # fmt: skip
SPACES = {
    "required": input_space(ColumnSchema(tuple(Column(str(kind), kind, True) for kind in KINDS)), rules={}),
    "optional": input_space(ColumnSchema(tuple(Column(str(kind), kind, False) for kind in KINDS)), rules={}),
    "numbered": input_space(ColumnSchema((Column("0", DataType.LONG, True, integer_name=True),)), rules={}),
    "tensor": input_space(TensorSchema((Tensor(None, "float32", (-1, 2, 2)),)), rules={}),
    "tensors": input_space(TensorSchema((Tensor("x", "int64", (-1, 3)), Tensor("y", "bool", (-1,)))), rules={}),
}


@given(st.sampled_from(sorted(SPACES)), st.integers(0, 10**6), st.integers(1, 40))
def test_rows_come_back_as_they_were(kind, seed, n):
    """Nulls, integers beside nulls, all columns null, nested lists, labels that are integers."""
    space = SPACES[kind]
    rows = space.sample(n, seed=seed)
    again = batch_of(frame_of(rows, space), rows, space)
    assert again == rows
    assert [list(map(type, row)) for row in again.rows if isinstance(row, list)] == [
        list(map(type, row)) for row in rows.rows if isinstance(row, list)
    ]


def test_what_pandas_makes_of_values_is_sent_as_the_inputs_spell_it():
    """Floats in an integer column, numpy's numbers, what pandas calls missing, timestamps."""
    space = input_space(
        ColumnSchema(
            (
                Column("n", DataType.LONG, False),
                Column("x", DataType.DOUBLE, True),
                Column("d", DataType.DATETIME, False),
            )
        ),
        rules={},
    )
    rows = space.sample(4, seed=1)
    frame = frame_of(rows, space).assign(
        n=[1.0, np.nan, pd.NA, np.int64(4)],
        x=pd.Series([1, 2, 3, 4], dtype="int64"),
        d=[pd.Timestamp("2024-01-02"), pd.NaT, None, dt.date(2024, 1, 3)],
    )
    again = batch_of(frame, rows, space)
    assert [row[0] for row in again.rows] == [1, None, None, 4]
    assert all(isinstance(row[0], int) for row in again.rows if row[0] is not None)
    assert [row[1] for row in again.rows] == [1.0, 2.0, 3.0, 4.0]
    assert all(isinstance(row[1], float) for row in again.rows)
    assert [row[2] is None for row in again.rows] == [False, True, True, False]


def test_the_order_of_the_columns_does_not_matter():
    """Pandas moves them around."""
    space = SPACES["required"]
    rows = space.sample(3, seed=1)
    frame = frame_of(rows, space)
    assert batch_of(frame[frame.columns[::-1]], rows, space) == rows


@pytest.mark.parametrize(
    ("answers", "kind", "columns"),
    [
        ([0.5, 1.5], pd.Series, None),
        (["a", "b"], pd.Series, None),
        ([{"p": 0.5, "q": 1}, {"p": 0.1, "q": 2}], pd.DataFrame, ["p", "q"]),
        ([[0.1, 0.9], [0.2, 0.8]], pd.DataFrame, [0, 1]),
        ([[1], [1, 2]], pd.Series, None),
        ([[[1, 2]], [[3, 4]]], pd.DataFrame, [0]),
    ],
)
def test_answers_are_a_series_or_a_column_an_output(answers, kind, columns):
    """One value a row is a series."""
    found = answers_of(answers)
    assert isinstance(found, kind)
    assert len(found) == 2
    if columns is not None:
        assert list(found.columns) == columns
