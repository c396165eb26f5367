"""The request of no rows is one by each protocol."""

import json

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Signature, Tensor, TensorSchema
from mlgate.scoring.no_rows import no_rows
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations
from mlgate.scoring.v2 import V2

TABLE = Signature(
    inputs=ColumnSchema((Column("a", DataType.DOUBLE, True), Column("s", DataType.STRING, True))), outputs=None
)
ROW = Batch(columns=("a", "s"), rows=([1.5, "x"],))
NAMED = Signature(inputs=TensorSchema((Tensor("x", "float32", (-1, 2)), Tensor("y", "int64", (-1,)))), outputs=None)
TENSORS = Batch(columns=None, rows=({"x": [0.5, 1.5], "y": 3},))


def test_a_table_keeps_its_columns():
    """A frame without rows."""
    body, _ = no_rows(ROW, TABLE, Invocations())
    assert json.loads(body) == {"dataframe_split": {"columns": ["a", "s"], "data": []}}


def test_named_tensors_keep_their_names():
    """Each an array of none."""
    assert json.loads(no_rows(TENSORS, NAMED, Invocations())[0]) == {"inputs": {"x": [], "y": []}}


def test_one_tensor_is_an_empty_list():
    """As JSON spells it."""
    one = Signature(inputs=TensorSchema((Tensor(None, "float32", (-1, 2)),)), outputs=None)
    assert json.loads(no_rows(Batch(columns=None, rows=([1.0, 2.0],)), one, Invocations())[0]) == {"inputs": []}


def test_v2_says_the_shape():
    """The first axis is zero, the others stay."""
    inputs = json.loads(no_rows(TENSORS, NAMED, V2(NAMED))[0])["inputs"]
    assert [(part["shape"], part["data"]) for part in inputs] == [([0, 2], []), ([0], [])]
    table = json.loads(no_rows(ROW, TABLE, V2(TABLE))[0])["inputs"]
    assert [(part["shape"], part["data"]) for part in table] == [([0, 1], []), ([0, 1], [])]
