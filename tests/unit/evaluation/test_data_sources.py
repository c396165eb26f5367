"""Where data are on this machine: files, folders, globs, always in one order."""

import os

import pytest

from mlgate.errors import DataError
from mlgate.evaluation.object_store import trouble
from mlgate.evaluation.sources import find_files


@pytest.fixture
def folder(tmp_path):
    """A folder as Spark and people leave them."""
    names = [
        "parts/b.csv", "parts/a.csv", "parts/year=2024/c.csv", "parts/_temporary/d.csv", "parts/.e.csv",
        "parts/_SUCCESS", "parts/notes.txt", "parts/UPPER.CSV", "one.parquet", "odd[1].csv", "mixed/a.csv",
        "mixed/b.parquet", "empty/readme.md",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def found(folder, source):
    """Paths below the folder."""
    return [os.path.relpath(file.path, folder) for file in find_files(source, folder)]


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("one.parquet", ["one.parquet"]),
        ("./parts/../one.parquet", ["one.parquet"]),
        ("parts", ["parts/UPPER.CSV", "parts/a.csv", "parts/b.csv", "parts/year=2024/c.csv"]),
        ("parts/", ["parts/UPPER.CSV", "parts/a.csv", "parts/b.csv", "parts/year=2024/c.csv"]),
        ("parts/*.csv", ["parts/a.csv", "parts/b.csv"]),
        ("parts/[ac].csv", ["parts/a.csv"]),
        ("parts/[!a].csv", ["parts/b.csv"]),
        ("parts/?.csv", ["parts/a.csv", "parts/b.csv"]),
        ("parts/*/c.csv", ["parts/year=2024/c.csv"]),
        ("parts/**/?.csv", ["parts/_temporary/d.csv", "parts/a.csv", "parts/b.csv", "parts/year=2024/c.csv"]),
        ("**/c.csv", ["parts/year=2024/c.csv"]),
        ("odd[1].csv", ["odd[1].csv"]),
    ],
)
def test_files_come_in_the_order_of_their_paths(folder, source, files):
    """Markers, hidden files and other kinds are no data; a name that exists is no pattern."""
    assert found(folder, source) == files


def test_a_path_may_be_absolute_or_an_address(folder):
    """Whatever folder the policy is in."""
    for source in (f"{folder}/one.parquet", f"file://{folder}/one.parquet"):
        assert found(folder, source) == ["one.parquet"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing.csv", r"nothing\.csv: no such data file"),
        ("parts/z*.csv", r"no \.parquet, .* file there"),
        ("nowhere/*.csv", r"nowhere"),
        ("empty", r"empty: no \.parquet, .* file there"),
        ("parts/notes.txt", r"notes\.txt: unknown kind"),
        ("mixed", r"files of several kinds \(\.csv, \.parquet\). Hint: name one kind"),
        ("gs://bucket/x.csv", "gs addresses can not be read"),
        ("a\0b.csv", "no such data file"),
    ],
)
def test_what_is_not_there_is_named(folder, source, says):
    """In one line."""
    with pytest.raises(DataError, match=says):
        find_files(source, folder)


def test_links_in_a_circle_end(folder):
    """A folder that links to itself is read once."""
    (folder / "parts" / "again").symlink_to(folder / "parts")
    assert len(found(folder, "parts")) == 4


def test_a_pipe_is_no_data_file(folder):
    """Reading it would wait for ever."""
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv: no such data file"):
        find_files("pipe.csv", folder)
    os.mkfifo(folder / "empty" / "pipe.csv")
    with pytest.raises(DataError, match="can not be read"):
        find_files("empty", folder)


# What S3 says, in our words.

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2"}


@pytest.mark.parametrize(
    ("text", "environ", "says"),
    [
        (
            "AWS Error ACCESS_DENIED during HeadObject operation: x",
            {},
            "access denied, and AWS_ACCESS_KEY_ID is not set",
        ),
        ("AWS Error INVALID_ACCESS_KEY_ID during X: key AKIDEXAMPLE", KEYS, r"access denied \(INVALID_ACCESS_KEY_ID\)"),
        ("AWS Error UNKNOWN (HTTP status 403) during X: hunter2", KEYS, r"access denied \(UNKNOWN\)"),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2", KEYS, "there is no bucket 'b'"),
        ("AWS Error NO_SUCH_KEY during GetObject", KEYS, "no such key in the bucket"),
        ("AWS Error NETWORK_CONNECTION during X: curlCode: 28, Timeout", KEYS, "AWS does not answer"),
        ("AWS Error UNKNOWN (HTTP status 301) during X", KEYS, "S3 answers UNKNOWN, HTTP 301"),
        ("AWS Error SLOW_DOWN during X", KEYS, "S3 answers SLOW_DOWN"),
    ],
)
def test_a_trouble_of_s3_is_one_line_without_its_text(text, environ, says):
    """Which may repeat a key."""
    told = str(trouble(OSError(text), "s3://b/k.csv", environ))
    assert told.startswith("s3://b/k.csv: ")
    assert "AKID" not in told
    assert "hunter2" not in told
    with pytest.raises(DataError, match=says):
        raise trouble(OSError(text), "s3://b/k.csv", environ)


def test_an_error_that_is_not_of_s3_is_left_alone():
    """Arrow's own says what is wrong with the file."""
    assert trouble(OSError("Could not open Parquet input"), "s3://b/k", {}) is None
