from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.sample_file import read_samples, write_samples
from mlgate.load.samples import ErrorKind, Samples

ROWS = st.tuples(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.sampled_from([0, 200, 400, 504]),
    st.sampled_from(list(ErrorKind)),
    st.integers(0, 2**40),
)


@given(rows=st.lists(ROWS, max_size=20))
def test_samples_survive_their_file(tmp_path_factory, rows):
    """Every column comes back bit for bit, sent or not; answers are not part of it, and no partial file stays."""
    samples = Samples.unsent(np.arange(len(rows) + 1) / 10)
    for index, (sent_s, wait_s, status, error, size) in enumerate(rows):
        samples.sent_s[index], samples.done_s[index] = sent_s, sent_s + wait_s
        samples.status[index], samples.error[index], samples.size[index] = status, error, size
        samples.body[index], samples.target[index], samples.answer[index] = index, index % 2, index
    folder = tmp_path_factory.mktemp("samples")
    write_samples(samples, folder / "samples.parquet")
    again = read_samples(folder / "samples.parquet")
    assert [path.name for path in folder.iterdir()] == ["samples.parquet"]
    for column in (each.name for each in fields(Samples) if each.name != "answer"):
        assert np.array_equal(getattr(samples, column), getattr(again, column), equal_nan=column.endswith("_s"))
        assert getattr(samples, column).dtype == getattr(again, column).dtype
    assert (again.answer == -1).all()


def test_the_file_is_for_anybody(tmp_path):
    """Columns under the names that the documentation gives, errors in words, and null for a time that there is not."""
    write_samples(Samples.unsent(np.zeros(1)), tmp_path / "samples.parquet")
    table = pq.read_table(tmp_path / "samples.parquet")
    assert table.column_names == ["intended_s", "sent_s", "done_s", "status", "bytes", "error", "body", "target"]
    assert table.to_pylist()[0]["error"] == "dropped"
    assert table.to_pylist()[0]["sent_s"] is None


@pytest.mark.parametrize("content", [b"", b"PAR1 not a file PAR1", b"PK\x03\x04"])
def test_a_damaged_file_is_no_samples(tmp_path, content):
    """A truncated or foreign file is named, not read as an empty run."""
    path = tmp_path / "samples.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"samples\.parquet holds no load samples"):
        read_samples(path)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("error", pa.array(["melted"])),
        ("error", pa.array([None], pa.string())),
        ("status", pa.array(["200"])),
        ("status", pa.array([None], pa.int32())),
        ("bytes", pa.array([1.5])),
        ("target", None),
    ],
)
def test_a_column_that_is_not_one_is_refused(tmp_path, column, values):
    """An unknown error, text for a number, null where there is always a value, or no such column at all."""
    path = tmp_path / "samples.parquet"
    write_samples(Samples.unsent(np.zeros(1)), path)
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.remove_column(place) if values is None else table.set_column(place, column, values), path)
    with pytest.raises(ValueError, match="holds no load samples"):
        read_samples(path)
