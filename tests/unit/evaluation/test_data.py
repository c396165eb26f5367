"""Evaluation data: rows and truth, or a line that names what is wrong."""

import hashlib

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import DataError
from mlgate.evaluation.data import load_data
from mlgate.policy import Accuracy

INPUTS = ColumnSchema(
    (Column("age", DataType.DOUBLE, True), Column("plan", DataType.STRING, True), Column("extra", DataType.LONG, False))
)
CSV = b"id,plan,age,y\n7,basic,1.5,stay\n8,pro,2.5,churn\n9,,3.5,stay\n"


def load(folder, inputs=INPUTS, **accuracy):
    """Read with these values in the policy's section."""
    values = {"data": "holdout.csv", "label": "y", **accuracy}
    return load_data(Accuracy.model_validate(values), inputs, folder=folder)


@pytest.fixture
def folder(tmp_path):
    """A folder with the data in it."""
    (tmp_path / "holdout.csv").write_bytes(CSV)
    return tmp_path


def test_features_come_in_the_order_of_the_signature(folder):
    """Without label and key; an optional column that is not there is left out."""
    data = load(folder, key="id")
    assert data.features.columns == ("age", "plan")
    assert data.features.rows == ([1.5, "basic"], [2.5, "pro"], [3.5, ""])
    assert data.labels == ("stay", "churn", "stay")
    assert data.keys == (7, 8, 9)
    assert len(data) == 3


def test_without_a_key_rows_pair_by_number(folder):
    """In the order of the file."""
    assert load(folder).keys == (0, 1, 2)


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow", "csv"])
def test_each_kind_of_file_gives_the_same_rows(tmp_path, kind):
    """Null, NaN and time become what JSON has."""
    frame = pd.DataFrame(
        {
            "age": [1.5, float("nan")],
            "plan": ["basic", None],
            "extra": pd.array([1, None], dtype="Int64"),
            "y": [True, False],
        }
    )
    path = tmp_path / f"data.{kind}"
    match kind:
        case "parquet":
            frame.to_parquet(path)
        case "csv":
            frame.to_csv(path, index=False)
        case _:
            feather.write_feather(pa.Table.from_pandas(frame), path)
    data = load(tmp_path, data=path.name)
    assert data.features.columns == ("age", "plan", "extra")
    assert data.features.rows == ([1.5, "basic", 1], [None, None if kind != "csv" else "", None])
    assert data.labels == (True, False)


def test_times_and_decimals_are_text(tmp_path):
    """As MLflow's JSON has them."""
    import datetime as dt
    import decimal

    inputs = ColumnSchema((Column("when", DataType.DATETIME, True), Column("price", DataType.STRING, True)))
    when = dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC)
    pd.DataFrame({"when": [when], "price": [decimal.Decimal("1.50")], "y": [1]}).to_parquet(tmp_path / "d.parquet")
    assert load(tmp_path, inputs, data="d.parquet").features.rows == (["2024-01-02T03:04:00+00:00", "1.50"],)


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    """Whatever else lies in it."""
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "b.csv").write_bytes(b"age,plan,y\n2.0,b,1\n")
    (parts / "a.csv").write_bytes(b"age,plan,y\n1.0,a,0\n")
    (parts / "notes.txt").write_text("x")
    assert load(tmp_path, data="parts").labels == (0, 1)


def test_the_digest_names_the_bytes(tmp_path):
    """Of each file in the order of names; one byte changes it, the name does not."""
    (tmp_path / "holdout.csv").write_bytes(CSV)
    (tmp_path / "copy.csv").write_bytes(CSV)
    first = load(tmp_path).digest
    assert first == "sha256:" + hashlib.sha256(hashlib.sha256(CSV).digest()).hexdigest()
    assert load(tmp_path, data="copy.csv").digest == first
    (tmp_path / "holdout.csv").write_bytes(CSV.replace(b"1.5", b"1.6"))
    assert load(tmp_path).digest != first


def test_integer_labels_of_columns_stay_integers(tmp_path):
    """A frame with integer columns, whose file can only have text."""
    inputs = ColumnSchema(
        (Column("0", DataType.DOUBLE, True, integer_name=True), Column("1", DataType.DOUBLE, True, integer_name=True))
    )
    (tmp_path / "holdout.csv").write_bytes(b"0,1,y\n1.0,2.0,1\n")
    assert load(tmp_path, inputs).features.columns == (0, 1)


BAD = {
    "missing file": (None, {}, r"holdout\.csv: no such data file. Hint: accuracy.data is relative to the policy file"),
    "missing label": (CSV, {"label": "churned"}, "no column 'churned'. Hint: columns: id, plan, age, y"),
    "missing key": (CSV, {"key": "customer"}, "no column 'customer'"),
    "missing feature": (b"age,y\n1,2\n", {}, "no column 'plan'"),
    "null label": (b"age,plan,y\n1,a,1\n2,b,\n", {}, "label 'y' is null in row 1"),
    "NaN label": (b"age,plan,y\n1,a,nan\n", {}, "label 'y' is null in row 0"),
    "key twice": (
        b"age,plan,y,id\n1,a,1,7\n2,b,1,7\n",
        {"key": "id"},
        r"key 'id' is 7 twice \(row 1\); every row needs its own",
    ),
    "null key": (b"age,plan,y,id\n1,a,1,\n", {"key": "id"}, r"key 'id' is null \(row 0\)"),
    "no rows": (b"age,plan,y\n", {}, "no rows"),
    "empty file": (b"", {}, "can not be read"),
    "ragged": (b"age,plan,y\n1\n", {}, "can not be read"),
    "column twice": (b"age,age,plan,y\n1,2,a,3\n", {}, "2 columns are called 'age'"),
    "label twice": (b"age,plan,y,y\n1,a,2,3\n", {}, "2 columns are called 'y'"),
    "not UTF-8": (b"age,plan,y\n1,caf\xe9,3\n", {}, "column 'plan' holds bytes and no text. Hint: is the file UTF-8"),
    "unknown kind": (CSV, {"data": "holdout.xlsx"}, r"holdout\.xlsx: unknown kind; there are \.parquet, \.csv"),
    "no data in the folder": (CSV, {"data": "empty"}, r"empty: no \.parquet, \.csv.* file in it"),
    "remote": (CSV, {"data": "s3://bucket/x.parquet"}, "s3://bucket/x.parquet: only files and folders can be read yet"),
}


@pytest.mark.parametrize(("raw", "accuracy", "says"), BAD.values(), ids=BAD)
def test_what_can_not_be_used_is_named_before_anything_starts(tmp_path, raw, accuracy, says):
    """File, column and row: with exit status 2."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "holdout.xlsx").write_bytes(b"PK")
    if raw is not None:
        (tmp_path / "holdout.csv").write_bytes(raw)
    with pytest.raises(DataError, match=says) as caught:
        load(tmp_path, **accuracy)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["x.parquet", "x.feather", "x.arrow"])
@pytest.mark.parametrize("raw", [b"", b"garbage" * 10])
def test_a_broken_file_is_a_data_error(tmp_path, name, raw):
    """Not an exception of Arrow's."""
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match=f"{name}: can not be read"):
        load(tmp_path, data=name)


def test_files_that_do_not_fit_together_are_a_data_error(tmp_path):
    """Other columns in the second part."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.csv").write_bytes(b"age,plan,y\n1,a,1\n")
    (tmp_path / "parts" / "b.csv").write_bytes(b"age,y\n1,1\n")
    with pytest.raises(DataError, match="can not be read"):
        load(tmp_path, data="parts")


@pytest.mark.parametrize(
    "inputs",
    [None, TensorSchema((Tensor(None, "float64", (-1, 2)),)), ColumnSchema((Column(None, DataType.DOUBLE, True),))],
)
def test_a_model_without_named_inputs_has_no_columns_to_read(folder, inputs):
    """Nothing says which column goes where."""
    with pytest.raises(DataError, match="evaluation data has named columns"):
        load(folder, inputs)


@pytest.mark.parametrize(("size", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (1000, [3])])
def test_requests_carry_every_row_once(folder, size, sizes):
    """In order."""
    batches = list(load(folder).batches(size))
    assert [len(batch) for batch in batches] == sizes
    assert [row[0] for batch in batches for row in batch.rows] == [1.5, 2.5, 3.5]
