"""Payloads: one batch, and each encoding of it read back by an independent reader."""

import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.scoring.payloads import CSV_TYPE, JSON_TYPE, Batch, Encoding, default_encoding, encode

TABLE = Batch(columns=("age", "plan"), rows=([1.5, "basic"], [None, 'p"r,o'], [3.0, "漢\n字"]))
TENSOR = Batch(columns=None, rows=([[1, 2], [3, 4]], [[5, 6], [7, 8]]))
NAMED = Batch(columns=None, rows=({"x": [1.0], "y": 2}, {"x": [3.0], "y": 4}))


@pytest.mark.parametrize(
    ("batch", "encoding", "document"),
    [
        (TABLE, Encoding.SPLIT, {"dataframe_split": {"columns": ["age", "plan"], "data": [list(row) for row in TABLE.rows]}}),
        (TABLE, Encoding.RECORDS, {"dataframe_records": [{"age": 1.5, "plan": "basic"}, {"age": None, "plan": 'p"r,o'}, {"age": 3.0, "plan": "漢\n字"}]}),
        (TABLE.take([0]), Encoding.INPUTS, {"inputs": [{"age": 1.5, "plan": "basic"}]}),
        (TABLE.take([0]), Encoding.INSTANCES, {"instances": [{"age": 1.5, "plan": "basic"}]}),
        (TENSOR, Encoding.INPUTS, {"inputs": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}),
        (NAMED, Encoding.INPUTS, {"inputs": {"x": [[1.0], [3.0]], "y": [2, 4]}}),
    ],
)  # fmt: skip
def test_each_json_encoding_is_as_mlflow_reads_it(batch, encoding, document):
    """Named tensors travel as one array a name."""
    body, content_type = encode(batch, encoding)
    assert content_type == JSON_TYPE
    assert json.loads(body) == document


def test_csv_is_read_back_by_pandas():
    """Quotes, commas and line ends inside a value."""
    body, content_type = encode(TABLE, Encoding.CSV)
    frame = pd.read_csv(io.BytesIO(body))
    assert content_type == CSV_TYPE
    assert list(frame.columns) == ["age", "plan"]
    assert frame["plan"].tolist() == ["basic", 'p"r,o', "漢\n字"]
    assert frame["age"].isna().tolist() == [False, True, False]


def test_integer_column_labels_stay_integers():
    """MLflow compares them without converting."""
    batch = Batch(columns=(0, 1), rows=([5.0, 6.0],))
    assert json.loads(encode(batch)[0])["dataframe_split"]["columns"] == [0, 1]
    assert batch.with_value(0, 9.0).rows == ([9.0, 6.0],)
    assert batch.without_column(0) == Batch(columns=(1,), rows=([6.0],))


def test_the_default_keeps_types_best():
    """A table as `dataframe_split`, tensors as `inputs`."""
    assert default_encoding(TABLE) is Encoding.SPLIT
    assert default_encoding(TENSOR) is Encoding.INPUTS


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_strict_json_lacks_is_never_sent(number):
    """A server that answers it would hide our own mistake."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Batch(columns=("a",), rows=([number],)))


@pytest.mark.parametrize("encoding", [Encoding.SPLIT, Encoding.RECORDS, Encoding.CSV])
def test_tensors_have_no_data_frame_encoding(encoding):
    """A mistake of ours, said at once."""
    with pytest.raises(ValueError, match="no data frame encoding"):
        encode(TENSOR, encoding)


def test_a_column_named_by_the_empty_text_is_a_column():
    """Pandas writes an unnamed index so."""
    batch = Batch(columns=("", "b"), rows=([1, 2],))
    assert batch.with_value("", 5).rows == ([5, 2],)
    assert batch.without_column("").columns == ("b",)


def test_named_tensors_lose_and_change_one_name():
    """The others stay."""
    assert NAMED.take([0]).without_column("x").rows == ({"y": 2},)
    assert NAMED.take([0]).with_value("y", "word").rows == ({"x": [1.0], "y": "word"},)


cells = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())
)


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_split_and_records_carry_the_same_rows(rows):
    """Any JSON value, lone surrogates too."""
    batch = Batch(columns=("a", "b"), rows=tuple(list(row) for row in rows))
    split = json.loads(encode(batch, Encoding.SPLIT)[0].decode("utf-8", "surrogatepass"))["dataframe_split"]["data"]
    records = json.loads(encode(batch, Encoding.RECORDS)[0].decode("utf-8", "surrogatepass"))["dataframe_records"]
    assert split == [list(row) for row in rows]
    assert [[record["a"], record["b"]] for record in records] == split


@given(st.lists(st.integers(0, 2), max_size=6))
def test_rows_are_taken_in_the_order_asked_for(indices):
    """Repeats too."""
    assert TABLE.take(indices).rows == tuple(TABLE.rows[index] for index in indices)
    assert len(TABLE.take(indices)) == len(indices)


def test_keys_of_real_rows_go_with_the_rows_and_are_never_sent():
    """Narrowing keeps them; two batches with the same rows are the same."""
    keyed = Batch(columns=("a",), rows=([1], [2], [3]), keys=(None, "k2", 3))
    assert keyed.take([2, 1]).keys == (3, "k2")
    assert keyed.with_value("a", 5).keys == keyed.keys
    assert keyed.without_column("a").keys == keyed.keys
    assert keyed == Batch(columns=("a",), rows=([1], [2], [3]))
    assert encode(keyed) == encode(Batch(columns=("a",), rows=([1], [2], [3])))


@pytest.mark.parametrize(
    ("batch", "name", "values"),
    [
        (Batch(columns=("a", 0), rows=([1, 2], [3, 4])), 0, [2, 4]),
        (TENSOR, None, list(TENSOR.rows)),
        (NAMED, "y", [2, 4]),
        (Batch(columns=None, rows=({"": [1], "more": 5},)), None, [[1]]),
    ],
)
def test_a_column_is_read_by_its_name(batch, name, values):
    """Or a tensor; the only, unnamed one has none."""
    assert batch.column(name) == values


def test_the_only_tensor_is_set_as_a_whole():
    """It has no name to stand under."""
    assert TENSOR.with_value(None, 5).rows == (5, 5)
