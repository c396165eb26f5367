"""Evaluation data: rows and truth, or a line that names what is wrong."""

import datetime as dt
import decimal
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import DataError
from mlgate.evaluation.data import load_data
from mlgate.policy import Accuracy

INPUTS = ColumnSchema(
    (Column("age", DataType.DOUBLE, True), Column("plan", DataType.STRING, True), Column("extra", DataType.LONG, False))
)
CSV = b"id,plan,age,y\n7,basic,1.5,stay\n8,pro,2.5,churn\n9,,3.5,stay\n"
RMSE = {"metrics": {"rmse": {"max": 9}}}
MARGIN = {"metrics": {"accuracy": {"margin": 0.1}}}


def load(folder, inputs=INPUTS, **accuracy):
    """Read with these values in the policy's section."""
    values = {"data": "holdout.csv", "label": "y", "metrics": {"accuracy": {"min": 0.5}}, **accuracy}
    return load_data(Accuracy.model_validate(values), inputs, folder=folder)


def rows_of(data):
    """All features, as lists."""
    return [row for batch in data.batches() for row in batch.rows]


def decoded(column):
    """A context column, value by value."""
    values = list(column.values)
    return [None if code < 0 else values[code] for code in column.codes]


def parquet(folder, **columns):
    """Write `d.parquet` with the two inputs and these columns."""
    n = len(next(iter(columns.values())))
    table = pa.table({"age": [1.0] * n, "plan": ["a"] * n} | columns)
    pa.parquet.write_table(table, folder / "d.parquet")
    return {"data": "d.parquet"}


@pytest.fixture
def folder(tmp_path):
    """A folder with the data in it."""
    (tmp_path / "holdout.csv").write_bytes(CSV)
    return tmp_path


def test_features_come_in_the_order_of_the_signature(folder):
    """Without label and key; an optional column that is not there is left out."""
    data = load(folder, key="id")
    assert data.features.columns == ("age", "plan")
    assert rows_of(data) == [[1.5, "basic"], [2.5, "pro"], [3.5, ""]]
    assert data.labels == ["stay", "churn", "stay"]
    assert list(data.keys) == ["7", "8", "9"]
    assert len(data) == 3


def test_without_a_key_rows_pair_by_number(folder):
    """In the order of the file, and without memory for it."""
    assert load(folder).keys == range(3)


@pytest.mark.parametrize("kind", ["parquet", "feather", "arrow", "csv"])
def test_each_kind_of_file_gives_the_same_rows(tmp_path, kind):
    """Null, NaN and time become what JSON has; whole numbers beside a missing one stay whole."""
    frame = pd.DataFrame(
        {
            "age": [1.5, float("nan")],
            "plan": ["basic", None],
            "extra": [1.0, None],
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
    assert rows_of(data) == [[1.5, "basic", 1], [None, None if kind != "csv" else "", None]]
    assert isinstance(rows_of(data)[0][2], int)
    assert data.labels == ["1", "0"]


def test_times_are_text_and_decimals_are_what_the_input_is(tmp_path):
    """As MLflow's JSON has them: a decimal is a number for a double, and text for a string."""
    columns = {"when": DataType.DATETIME, "price": DataType.STRING, "amount": DataType.DOUBLE}
    inputs = ColumnSchema(tuple(Column(name, kind, True) for name, kind in columns.items()))
    when, price = dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC), decimal.Decimal("1.50")
    frame = pd.DataFrame({"when": [when], "price": [price], "amount": [price], "y": [1]})
    frame.to_parquet(tmp_path / "d.parquet")
    assert rows_of(load(tmp_path, inputs, data="d.parquet")) == [["2024-01-02T03:04:00+00:00", "1.50", 1.5]]


def test_lists_and_bytes_travel_as_json_has_them(tmp_path):
    """MLflow's server decodes base64 in a binary column."""
    inputs = ColumnSchema((Column("v", ArrayType(DataType.DOUBLE), True), Column("b", DataType.BINARY, True)))
    data = load(tmp_path, inputs, **parquet(tmp_path, y=["a"], v=[[1.0, float("nan")]], b=[b"\x00\xff"]))
    assert rows_of(data) == [[[1.0, None], "AP8="]]


def test_a_csv_column_is_what_the_signature_says(tmp_path):
    """A text that looks like a number stays text, and a whole number in a double column is one."""
    (tmp_path / "holdout.csv").write_bytes(b"age,plan,y\n1,007,a\n2,NA,b\n")
    assert rows_of(load(tmp_path)) == [[1.0, "007"], [2.0, "NA"]]


def test_a_line_break_in_quotes_is_part_of_the_value(tmp_path):
    """And so is a byte order mark no part of the first column's name."""
    (tmp_path / "holdout.csv").write_bytes(b'\xef\xbb\xbfage,plan,y\n1,"a\nb",x\n')
    assert rows_of(load(tmp_path)) == [[1.0, "a\nb"]]


def test_the_digest_names_the_bytes(tmp_path):
    """Of each file in the order of names; one byte changes it, the name does not."""
    (tmp_path / "holdout.csv").write_bytes(CSV)
    (tmp_path / "copy.csv").write_bytes(CSV)
    first = load(tmp_path).digest
    assert first == "sha256:" + hashlib.sha256(hashlib.sha256(CSV).digest()).hexdigest()
    assert load(tmp_path, data="copy.csv").digest == first
    (tmp_path / "holdout.csv").write_bytes(CSV.replace(b"1.5", b"1.6"))
    assert load(tmp_path).digest != first


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_the_digest_of_other_files_is_over_their_bytes_too(tmp_path, kind):
    """Not over what is read of them."""
    frame = pd.DataFrame({"age": [1.0], "plan": ["a"], "y": ["x"]})
    path = tmp_path / f"d.{kind}"
    getattr(frame, f"to_{kind}")(path)
    digest = hashlib.sha256(hashlib.sha256(path.read_bytes()).digest()).hexdigest()
    assert load(tmp_path, data=path.name).digest == f"sha256:{digest}"


def test_integer_labels_of_columns_stay_integers(tmp_path):
    """A frame with integer columns, whose file can only have text."""
    inputs = ColumnSchema(
        (Column("0", DataType.DOUBLE, True, integer_name=True), Column("1", DataType.DOUBLE, True, integer_name=True))
    )
    (tmp_path / "holdout.csv").write_bytes(b"0,1,y\n1.0,2.0,1\n")
    data = load(tmp_path, inputs)
    assert data.features.columns == (0, 1)
    assert data.head(1).columns == (0, 1)


def test_the_label_may_be_an_input_and_a_column_may_serve_twice(folder):
    """A key that the model reads, a group that is a slice."""
    data = load(
        folder, ColumnSchema((Column("id", DataType.LONG, True),)), key="id", group="age", slices=["age"], **MARGIN
    )
    assert rows_of(data) == [[7], [8], [9]]
    assert list(data.keys) == ["7", "8", "9"]


# Keys.


def test_large_keys_keep_every_digit(tmp_path):
    """Beyond 2^53, where a float would take two keys for one; beyond 2^63 in a CSV, where no integer type reaches."""
    keys = [2**53, 2**53 + 1, -(2**62) - 1]
    data = load(tmp_path, key="k", **parquet(tmp_path, y=["a", "b", "a"], k=keys))
    assert list(data.keys) == keys
    (tmp_path / "holdout.csv").write_bytes(b"age,plan,y,k\n1,a,x,99999999999999999998\n2,b,x,99999999999999999999\n")
    assert list(load(tmp_path, key="k").keys) == ["99999999999999999998", "99999999999999999999"]


@pytest.mark.parametrize(
    ("values", "keys"),
    [
        (pa.array([2**64 - 1, 1], pa.uint64()), ["18446744073709551615", "1"]),
        (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
        (pa.array([2.0, 1.0]), [2, 1]),
        (pa.array([dt.date(2024, 1, 2), dt.date(2024, 1, 1)]), ["2024-01-02", "2024-01-01"]),
        (pa.array([True, False]), ["true", "false"]),
    ],
)
def test_keys_of_any_plain_type_pair(tmp_path, values, keys):
    """As whole numbers, or as text."""
    assert list(load(tmp_path, key="k", **parquet(tmp_path, y=["a", "b"], k=values)).keys) == keys


def test_a_padded_key_is_another_key(tmp_path):
    """007 and 7 are two customers."""
    (tmp_path / "holdout.csv").write_bytes(b"age,plan,y,k\n1,a,x,007\n2,b,x,7\n")
    assert list(load(tmp_path, key="k").keys) == ["007", "7"]


# Labels.


@pytest.mark.parametrize(
    ("words", "classes", "codes"),
    [
        (["true", "False", "true"], ("0", "1"), [1, 0, 1]),
        (["10", "9.0", "9"], ("9", "10"), [1, 0, 0]),
        (["01", "1", "x"], ("1", "01", "x"), None),
        (["1", "1.5x", "b"], ("1", "1.5x", "b"), [0, 1, 2]),
    ],
)
def test_classes_of_a_csv_read_as_json_would_have_them(tmp_path, words, classes, codes):
    """1, 1.0 and "1" are one class; "01" is a name."""
    lines = "".join(f"1,a,{word}\n" for word in words)
    (tmp_path / "holdout.csv").write_text(f"age,plan,y\n{lines}")
    truth = load(tmp_path).truth
    assert set(truth.classes) == set(classes)
    assert [truth.classes[code] for code in truth.codes] == [
        {"true": "1", "False": "0", "9.0": "9"}.get(word, word) for word in words
    ]
    if codes is not None:
        assert truth.classes == classes
        assert truth.codes.tolist() == codes


def test_the_policys_classes_come_in_its_order_also_those_that_no_row_has(folder):
    """So that codes are positions in `accuracy.classes`."""
    truth = load(folder, classes=["stay", "churn", "back"]).truth
    assert truth.classes == ("stay", "churn", "back")
    assert truth.codes.tolist() == [0, 1, 0]
    assert truth.found == ("stay", "churn")
    assert truth.codes_in(("churn", "other")).tolist() == [-1, 0, -1]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.decimal128(5, 2)])
def test_numbers_of_any_type_are_numbers_for_a_metric_of_numbers(tmp_path, kind):
    """No text is among them."""
    values = pa.array([True, False]) if kind == pa.bool_() else pa.array([1.0, 0.0]).cast(kind)
    truth = load(tmp_path, **RMSE, **parquet(tmp_path, y=values)).truth
    assert truth.numbers.tolist() == [1.0, 0.0]
    assert truth.codes is None


def test_a_metric_of_the_users_own_takes_numbers_for_numbers_and_words_for_classes(tmp_path):
    """Nothing else says what the labels are."""
    own = {"metrics": {"costs:cost": {"max": 3}}}
    (tmp_path / "holdout.csv").write_bytes(b"age,plan,y\n1,a,1.5\n2,b,2\n")
    assert load(tmp_path, **own).truth.numbers.tolist() == [1.5, 2.0]
    (tmp_path / "holdout.csv").write_bytes(b"age,plan,y\n1,a,1.5\n2,b,high\n")
    assert load(tmp_path, **own).truth.codes is not None
    assert load(tmp_path, **own, **parquet(tmp_path, y=["lo", "hi"])).truth.classes == ("hi", "lo")


def test_one_class_only_is_a_warning_and_no_error(tmp_path):
    """Accuracy can be judged all the same; what can not says so itself."""
    data = load(tmp_path, **parquet(tmp_path, y=["stay", "stay"]))
    assert data.warnings == ("d.parquet: every label 'y' is 'stay': nothing is said of other classes",)


# Groups and the columns of slices.


def test_groups_are_codes(tmp_path):
    """Rows of one group have one code, across batches and files."""
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, groups in {"a": "xyx", "b": "zyy"}.items():
        lines = "".join(f"1,a,1,{group}\n" for group in groups)
        (parts / f"{name}.csv").write_text(f"age,plan,y,house\n{lines}")
    assert load(tmp_path, data="parts", group="house").group.tolist() == [0, 1, 0, 2, 1, 1]


def test_context_columns_keep_their_kind_and_their_nulls(tmp_path):
    """Numbers, texts and truth values; in a CSV the type of the whole column, not of its first block."""
    (tmp_path / "holdout.csv").write_bytes(
        b"age,plan,y,n,f,t,b,late\n1,a,x,1,1,EU,true,1\n2,b,x,,2.5,,false,2\n3,b,x,3,,US,,x\n"
    )
    context = load(tmp_path, slices=["n", "f", "t", "b", "late", "age"], **MARGIN).context
    kinds = {name: column.kind for name, column in context.items()}
    assert kinds == {"n": "number", "f": "number", "t": "text", "b": "truth value", "late": "text", "age": "number"}
    assert {name: decoded(column) for name, column in context.items()} == {
        "n": [1, None, 3], "f": [1, 2.5, None], "t": ["EU", None, "US"], "b": [True, False, None],
        "late": ["1", "2", "x"], "age": [1, 2, 3],
    }  # fmt: skip


def test_a_column_of_one_kind_unites_over_files(tmp_path):
    """Whole numbers in one file and fractions in the other are numbers."""
    (tmp_path / "parts").mkdir()
    for index, values in enumerate([pa.array([1, 2]), pa.array([0.5, None], pa.float64()), pa.nulls(2)]):
        table = pa.table({"age": [1.0, 2.0], "plan": ["a", "b"], "y": ["x", "z"], "n": values})
        pa.parquet.write_table(table, tmp_path / "parts" / f"{index}.parquet")
    column = load(tmp_path, data="parts", slices=["n"], **MARGIN).context["n"]
    assert decoded(column) == [1, 2, 0.5, None, None, None]


# What can not be used.

BAD = {
    "missing file": (None, {}, r"holdout\.csv: no such data file. Hint: accuracy.data is relative to the policy file"),
    "missing label": (CSV, {"label": "churned"}, "no column 'churned'. Hint: columns: id, plan, age, y"),
    "no label named": (CSV, {"label": None}, "accuracy.label is not set"),
    "missing key": (CSV, {"key": "customer"}, "no column 'customer'"),
    "missing group": (CSV, {"group": "house"}, "no column 'house'"),
    "missing slice": (CSV, {"slices": ["region"], **MARGIN}, "no column 'region'"),
    "missing feature": (b"age,y\n1,2\n", {}, "no column 'plan'"),
    "null label": (b"age,plan,y\n1,a,1\n2,b,\n", {}, "label 'y' is null in row 1"),
    "null labels": (b"age,plan,y\n1,a,1\n2,b,\n2,b,\n", {}, r"label 'y' is null in 2 rows \(first: row 1\)"),
    "NaN label": (b"age,plan,y\n1,a,nan\n", {}, "label 'y' is null in row 0"),
    "NaN number": (b"age,plan,y\n1,a,nan\n", RMSE, "label 'y' is null or not finite in row 0"),
    "infinite number": (b"age,plan,y\n1,a,1\n1,a,inf\n", RMSE, "label 'y' is null or not finite in row 1"),
    "text for numbers": (
        b"age,plan,y\n1,a,1\n1,a,high\n",
        RMSE,
        "label 'y' is 'high' in row 1, and rmse needs numbers",
    ),
    "fractions for classes": (b"age,plan,y\n1,a,1\n1,a,0.3\n", {}, "label 'y' is 0.3 in row 1: a number and no class"),
    "unseen class": (
        CSV,
        {"classes": ["stay", "back"]},
        "label 'y' is 'churn' in row 1, a class the model never saw. Hint: accuracy.classes lists stay, back",
    ),
    "null group": (b"age,plan,y,g\n1,a,1,\n", {"group": "g"}, "group 'g' is null in row 0"),
    "key twice": (
        b"age,plan,y,id\n1,a,1,7\n2,b,1,7\n",
        {"key": "id"},
        r"key 'id' is '7' twice \(row 1\); every row needs its own$",
    ),
    "keys twice": (
        b"age,plan,y,id\n1,a,1,7\n2,b,1,8\n1,a,1,8\n2,b,1,7\n",
        {"key": "id"},
        r"key 'id' is '8' twice \(row 2\); every row needs its own; 2 rows repeat a key",
    ),
    "null key": (b"age,plan,y,id\n1,a,1,\n", {"key": "id"}, r"key 'id' is null \(row 0\)"),
    "null keys": (b"age,plan,y,id\n1,a,1,\n1,a,1,\n", {"key": "id"}, r"null \(row 0\), and in 1 rows more"),
    "no rows": (b"age,plan,y\n", {}, "no rows"),
    "empty file": (b"", {}, "can not be read"),
    "ragged": (b"age,plan,y\n1,a,b\n1\n", {}, "can not be read.*Expected 3 columns, got 1"),
    "column twice": (b"age,age,plan,y\n1,2,a,3\n", {}, "2 columns are called 'age'"),
    "label twice": (b"age,plan,y,y\n1,a,2,3\n", {}, "2 columns are called 'y'"),
    "not UTF-8": (
        b"age,plan,y\n1,caf\xe9,3\n",
        {},
        "column 'plan' holds bytes and no text in row 0. Hint: is the file UTF-8",
    ),
    "UTF-16": ("age,plan,y\n1,a,3\n".encode("utf-16"), {}, "no CSV header.*is it UTF-8"),
    "a word in a number": (
        b"age,plan,y\n1,a,3\nold,a,3\n",
        {},
        "column 'age' is 'old' in row 1, and the model's input is double",
    ),
    "unknown kind": (CSV, {"data": "holdout.xlsx"}, r"holdout\.xlsx: unknown kind; there are \.parquet, \.csv"),
    "no data in the folder": (CSV, {"data": "empty"}, r"empty: no \.parquet, \.csv.* file there"),
    "another place": (CSV, {"data": "https://x.org/x.csv"}, "https addresses can not be read; there are files"),
    "nowhere": (CSV, {"data": None}, "accuracy.data is not set, and there is no logged dataset"),
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
    assert "\n" not in str(caught.value)


BAD_TYPES = {
    "text label for numbers": ({"y": ["a", "b"]}, RMSE, "label 'y' holds texts, and rmse needs numbers"),
    "times for numbers": ({"y": [dt.date(2024, 1, 1)]}, RMSE, "label 'y' holds times, and rmse needs numbers"),
    "fractions for classes": ({"y": [1.0, 0.3, 0.3]}, {}, "label 'y' is 0.3 in row 1: a number and no class"),
    "NaN label": ({"y": [1.0, float("nan")]}, {}, "label 'y' is null in row 1"),
    "a list as label": ({"y": [[1], [2]]}, {}, "column 'y' holds lists"),
    "bytes as label": ({"y": [b"a", b"b"]}, {}, "column 'y' holds bytes and no text. Hint: is the file UTF-8"),
    "too many classes": (
        {"y": [f"c{i}" for i in range(10_001)]},
        {},
        "more than 10000 distinct values: no class label",
    ),
    "key with a fraction": ({"y": ["a"], "k": [0.5]}, {"key": "k"}, "key 'k' holds fractions"),
    "key NaN": ({"y": ["a"], "k": [float("nan")]}, {"key": "k"}, "key 'k' is null"),
    "number key twice": ({"y": ["a", "a"], "k": [2**60, 2**60]}, {"key": "k"}, f"key 'k' is {2**60} twice"),
    "text for a number": (
        {"y": ["a"], "age": ["old"]},
        {},
        "column 'age' holds texts .string., and the model's input is double",
    ),
    "number for a text": (
        {"y": ["a"], "plan": [1]},
        {},
        "column 'plan' holds numbers .int64., and the model's input is string",
    ),
    "number for a truth value": (
        {"y": ["a"], "flag": [1]},
        {},
        "column 'flag' holds numbers .int64., and the model's input is bool",
    ),
}


@pytest.mark.parametrize(("columns", "accuracy", "says"), BAD_TYPES.values(), ids=BAD_TYPES)
def test_a_type_that_does_not_fit_is_named(tmp_path, columns, accuracy, says):
    """Of a label for its metric, of a key, and of a column for the model's input."""
    inputs = ColumnSchema((*INPUTS.columns, Column("flag", DataType.BOOLEAN, False)))
    with pytest.raises(DataError, match=says):
        load(tmp_path, inputs, **accuracy, **parquet(tmp_path, **columns))


@pytest.mark.parametrize("name", ["x.parquet", "x.feather", "x.arrow"])
@pytest.mark.parametrize("raw", [b"", b"garbage" * 10, b"FEA1" + b"\0" * 40])
def test_a_broken_file_is_a_data_error(tmp_path, name, raw):
    """Not an exception of Arrow's."""
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match=f"{name}: can not be read"):
        load(tmp_path, data=name)


PARTS = {
    "a column less": (b"age,y\n1,1\n", r"b\.csv: no column 'plan'"),
    "another type": (b"age,plan,y\nold,a,1\n", r"b\.csv: column 'age' is 'old' in row 0"),
}


@pytest.mark.parametrize(("second", "says"), PARTS.values(), ids=PARTS)
def test_files_that_do_not_fit_together_are_a_data_error(tmp_path, second, says):
    """Which names the file."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.csv").write_bytes(b"age,plan,y\n1,a,1\n")
    (tmp_path / "parts" / "b.csv").write_bytes(second)
    with pytest.raises(DataError, match=says):
        load(tmp_path, data="parts")


def test_a_column_of_two_kinds_names_both_files(tmp_path):
    """Numbers here, texts there: no slice could be made of it."""
    (tmp_path / "parts").mkdir()
    for name, values in {"a": [1], "b": ["one"]}.items():
        table = pa.table({"age": [1.0], "plan": ["a"], "y": ["x"], "n": values})
        pa.parquet.write_table(table, tmp_path / "parts" / f"{name}.parquet")
    with pytest.raises(DataError, match=r"column 'n' holds numbers in .*a\.parquet and texts in .*b\.parquet"):
        load(tmp_path, data="parts", slices=["n"], **MARGIN)


def test_another_order_of_columns_and_more_of_them_do_no_harm(tmp_path):
    """Columns are found by name in each file."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.csv").write_bytes(b"age,plan,y\n1,a,1\n")
    (tmp_path / "parts" / "b.csv").write_bytes(b"note,y,plan,age\nx,0,b,2\n")
    data = load(tmp_path, data="parts")
    assert (rows_of(data), data.labels) == ([[1.0, "a"], [2.0, "b"]], ["1", "0"])


@pytest.mark.parametrize(
    "inputs",
    [None, TensorSchema((Tensor(None, "float64", (-1, 2)),)), ColumnSchema((Column(None, DataType.DOUBLE, True),))],
)
def test_a_model_without_named_inputs_has_no_columns_to_read(folder, inputs):
    """Nothing says which column goes where."""
    with pytest.raises(DataError, match="evaluation data has named columns"):
        load(folder, inputs)


def test_a_type_that_changes_late_in_a_csv_is_seen(tmp_path):
    """Far behind the first block, from which Arrow alone would have guessed."""
    n = 400_000
    numbers = np.arange(n).astype(str)
    numbers[-1] = "last"
    lines = "".join(f"1.25,basic,{index % 2},{number}\n" for index, number in enumerate(numbers))
    (tmp_path / "holdout.csv").write_text(f"age,plan,y,n\n{lines}")
    assert (tmp_path / "holdout.csv").stat().st_size > 4 * 1024 * 1024
    column = load(tmp_path, slices=["n"], **MARGIN).context["n"]
    assert column.kind == "text"
    assert (decoded(column)[7], decoded(column)[-1]) == ("7", "last")
