"""Features, batch by batch: bounded in rows and bytes, every row once, from files that stay what they were."""

import datetime as dt
import decimal
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, feather

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType
from mlgate.errors import DataError
from mlgate.evaluation.data import load_data
from mlgate.evaluation.feature_rows import FileFeatures
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.tables import Table
from mlgate.policy import Accuracy
from mlgate.scoring.payloads import Batch, encode

INPUTS = ColumnSchema((Column("x", DataType.DOUBLE, True), Column("t", DataType.STRING, True)))
N = 50_000
WRITE = {"parquet": pa.parquet.write_table, "csv": csv.write_csv, "feather": feather.write_feather}


def write(path, n=N, start=0):
    """Write n rows: a number, a text, a label."""
    table = pa.table(
        {
            "x": [float(index) for index in range(start, start + n)],
            "t": [f"row {index}" for index in range(start, start + n)],
            "y": [index % 2 for index in range(n)],
        }
    )
    WRITE[path.suffix[1:]](table, path)


def load(folder, data):
    """Read the data with label y."""
    accuracy = Accuracy.model_validate({"data": data, "label": "y", "metrics": {"accuracy": {"min": 0.5}}})
    return load_data(accuracy, INPUTS, folder=folder)


def in_memory(rows):
    """The same kind of data, without a file."""
    return EvaluationData.of(
        source="memory", digest="sha256:0", features=Batch(columns=("x", "t"), rows=rows), labels=[0] * len(rows)
    )


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize(("max_rows", "max_bytes"), [(1000, 10**6), (7919, 10**7), (10**6, 10**8), (10**6, 3000)])
def test_every_row_comes_once_and_in_order(tmp_path, kind, max_rows, max_bytes):
    """Over files, record batches and requests; no request is larger than was asked for."""
    (tmp_path / "d").mkdir()
    write(tmp_path / "d" / f"a.{kind}")
    write(tmp_path / "d" / f"b.{kind}", 10, start=N)
    batches = list(load(tmp_path, "d").batches(max_rows=max_rows, max_bytes=max_bytes))
    assert [row for batch in batches for row in batch.rows] == [[float(i), f"row {i}"] for i in range(N + 10)]
    assert max(map(len, batches)) <= max_rows
    assert max(len(encode(batch)[0]) for batch in batches) <= max_bytes


def test_the_second_reading_gives_the_same(tmp_path):
    """Challenger and champion are asked about the same rows, in the same batches."""
    write(tmp_path / "a.parquet")
    data = load(tmp_path, "a.parquet")
    assert list(data.batches()) == list(data.batches())


@pytest.mark.parametrize("of_file", [True, False])
def test_the_first_rows_and_some_rows_are_found(tmp_path, of_file):
    """As the load suite and the report ask for them."""
    rows = tuple([float(index), f"row {index}"] for index in range(3000))
    write(tmp_path / "a.csv", 3000)
    data = load(tmp_path, "a.csv") if of_file else in_memory(rows)
    assert data.head(2500) == Batch(columns=("x", "t"), rows=rows[:2500])
    assert len(data.head(10_000)) == 3000
    assert data.head(0).rows == ()
    assert data.take([2999, 0, 1500]).rows == (rows[2999], rows[0], rows[1500])


def test_a_row_above_the_bound_travels_alone():
    """It can not be cut, and its neighbours need not wait for it."""
    rows = ([1.0, "a"], [2.0, "b" * 500], [3.0, "c"], [4.0, "d"])
    assert [len(batch) for batch in in_memory(rows).batches(max_bytes=200)] == [1, 1, 2]


_VALUES = {
    "double": st.lists(st.floats() | st.none(), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.float64())),
    "float": st.lists(st.floats(width=32), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.float32())),
    "long": st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.int64())
    ),
    "string": st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.none(), min_size=3, max_size=3
    ).map(lambda v: pa.array(v, pa.string())),
    "boolean": st.lists(st.booleans() | st.none(), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.bool_())),
    "binary": st.lists(st.binary(max_size=20), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.binary())),
    "datetime": st.lists(st.datetimes(), min_size=3, max_size=3).map(lambda v: pa.array(v, pa.timestamp("us", "UTC"))),
    "array": st.lists(st.lists(st.floats(), max_size=4), min_size=3, max_size=3).map(
        lambda v: pa.array(v, pa.list_(pa.float64()))
    ),
}


@settings(max_examples=40)
@given(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=4), st.data(), st.integers(300, 700))
def test_no_request_is_larger_than_its_bound(tmp_path_factory, kinds, draw, max_bytes):
    """Whatever the values: the estimate is never below the JSON, unless one row alone is."""
    folder = tmp_path_factory.mktemp("any")
    arrays = {f"c{index}": draw.draw(_VALUES[kind]) for index, kind in enumerate(kinds)}
    pa.parquet.write_table(pa.table({**arrays, "y": ["a", "b", "a"]}), folder / "d.parquet")
    columns = [
        Column(f"c{index}", ArrayType(DataType.DOUBLE) if kind == "array" else DataType(kind), True)
        for index, kind in enumerate(kinds)
    ]
    accuracy = Accuracy.model_validate({"data": "d.parquet", "label": "y", "metrics": {"accuracy": {"min": 0.5}}})
    data = load_data(accuracy, ColumnSchema(tuple(columns)), folder=folder)
    batches = list(data.batches(max_bytes=max_bytes))
    assert sum(map(len, batches)) == 3
    for batch in batches:
        assert len(batch) == 1 or len(encode(batch)[0]) <= max_bytes


def test_a_decimal_of_many_digits_has_its_room(tmp_path):
    """76 digits, a sign and a point."""
    amount = decimal.Decimal("-" + "9" * 75 + ".1")
    table = pa.table({"x": [1.0] * 4, "t": pa.array([amount] * 4, pa.decimal256(76, 1)), "y": list("abab")})
    pa.parquet.write_table(table, tmp_path / "d.parquet")
    for batch in load(tmp_path, "d.parquet").batches(max_bytes=400):
        assert batch.rows[0][1] == str(amount)
        assert len(encode(batch)[0]) <= 400


@pytest.mark.parametrize("kind", WRITE)
def test_memory_does_not_grow_with_the_features(tmp_path, kind, monkeypatch):
    """Of twenty columns in one row group, less than half is there at any time, in either pass."""
    rows, columns, read, peaks = 200_000, 20, Table.batches, [0]
    numbers = pa.array(np.random.default_rng(1).random(rows).round(3))
    table = pa.table({f"x{index}": numbers for index in range(columns)} | {"y": numbers.cast("int8", safe=False)})
    more = {"parquet": {"row_group_size": rows, "use_dictionary": False}, "feather": {"chunksize": 10_000}}
    WRITE[kind](table, tmp_path / f"d.{kind}", **more.get(kind, {}))
    del table, numbers
    before = pa.total_allocated_bytes()

    def watched(self, *arguments, **options):
        for batch in read(self, *arguments, **options):
            peaks[0] = max(peaks[0], pa.total_allocated_bytes() - before)
            yield batch

    monkeypatch.setattr(Table, "batches", watched)
    inputs = ColumnSchema(tuple(Column(f"x{index}", DataType.DOUBLE, True) for index in range(columns)))
    accuracy = Accuracy.model_validate({"data": f"d.{kind}", "label": "y", "metrics": {"accuracy": {"min": 0.5}}})
    data = load_data(accuracy, inputs, folder=tmp_path)
    assert sum(map(len, data.batches())) == rows
    assert 0 < peaks[0] < rows * columns * 8 / 2, peaks


# Files that change.


def other_content(path):
    write(path, N, start=1)


def same_size(path):
    raw = path.read_bytes()
    facts = path.stat()
    path.write_bytes(raw.replace(b"row 7", b"row 8"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # set back, as a copying tool does


def replaced(path):
    other = path.with_name(f"other{path.suffix}")
    write(other)
    other.rename(path)


def gone(path):
    path.unlink()


@pytest.mark.parametrize("change", [other_content, same_size, replaced, gone])
@pytest.mark.parametrize("kind", WRITE)
def test_a_file_that_changes_between_the_passes_is_an_error(tmp_path, kind, change):
    """The models would be asked about other rows than those whose truth and digest are known."""
    path = tmp_path / f"a.{kind}"
    write(path)
    data = load(tmp_path, path.name)
    change(path)
    with pytest.raises(DataError, match=rf"a\.{kind}: changed while it was read. Hint: the models must see the same"):
        list(data.batches())


def test_a_file_that_changes_under_the_second_pass_is_an_error(tmp_path):
    """Found at the end of the file at the latest."""
    write(tmp_path / "a.csv")
    batches = load(tmp_path, "a.csv").batches()
    next(batches)
    with (tmp_path / "a.csv").open("ab") as stream:
        stream.write(b"1,x,0\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(batches)


@pytest.mark.parametrize("what", ["digest", "rows"])
def test_rows_are_counted_and_a_csv_is_digested_again(tmp_path, what):
    """Where a file system does not tell of a change, the content does."""
    write(tmp_path / "a.csv")
    features = load(tmp_path, "a.csv").features
    facts = {name: getattr(features, name) for name in ("tables", "inputs", "csv_types", "digests", "rows")}
    facts |= {"digests": (b"other",)} if what == "digest" else {"rows": (N - 1,)}
    with pytest.raises(DataError, match="changed while it was read"):
        list(FileFeatures(**facts).batches(max_rows=1000, max_bytes=10**6))


def test_a_file_that_changes_under_the_first_pass_is_an_error(tmp_path, monkeypatch):
    """Digest and truth would be of two files."""
    write(tmp_path / "a.parquet")
    read = Table.batches

    def change_first(self, *arguments, **options):
        yield from read(self, *arguments, **options)
        os.utime(self.file.path)

    monkeypatch.setattr(Table, "batches", change_first)
    with pytest.raises(DataError, match="changed while it was read"):
        load(tmp_path, "a.parquet")


def test_features_travel_to_another_process(tmp_path, monkeypatch):
    """Without the credentials, which each process has for itself."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "only-here")
    write(tmp_path / "a.csv", 5)
    data = load(tmp_path, "a.csv")
    raw = pickle.dumps(data.features)
    assert b"only-here" not in raw
    assert list(pickle.loads(raw).batches(max_rows=9, max_bytes=999)) == list(data.batches(max_rows=9, max_bytes=999))


def test_a_time_zone_is_kept(tmp_path):
    """A time means nothing without it."""
    zone = dt.timezone(dt.timedelta(hours=2))
    when = pa.array([dt.datetime(2024, 5, 1, 12, tzinfo=zone)], pa.timestamp("ms", "+02:00"))
    pa.parquet.write_table(pa.table({"x": [1.0], "t": when, "y": ["a"]}), tmp_path / "d.parquet")
    assert load(tmp_path, "d.parquet").head(1).rows[0][1] == "2024-05-01T12:00:00+02:00"
