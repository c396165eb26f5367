"""A model directory inside a tar stream has the digest of the directory itself."""

import io
import tarfile

import pytest

from mlgate.artifacts.archive import archive_files, first_difference
from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import digest_files, walk
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry


def packed(folder, name="model"):
    """The folder as an engine packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=name)
    return buffer.getvalue()


def pieces(raw, size):
    return [raw[start : start + size] for start in range(0, len(raw), size)]


@pytest.fixture
def folder(tmp_path):
    """Files of every kind of size, in folders, one of them MLflow's note of where it came from."""
    files = {"MLmodel": b"flavors: {}", "empty": b"", "code/a.py": b"x = 1", "data/model.bin": bytes(range(256)) * 9000,
             "registered_model_meta": b"model_name: churn", ".hidden/.file": b"?", "ünï.txt": b"u"}  # fmt: skip
    for name, content in files.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "model"


@pytest.mark.parametrize("size", [100, 512, 65_536, 10_000_000])
def test_it_has_the_digest_of_the_directory(folder, size):
    """However the stream is cut."""
    files = archive_files(pieces(packed(folder), size), place="image x")
    assert files_digest(files) == files_digest(digest_files(folder, walk(folder)))
    assert first_difference(digest_files(folder, walk(folder)), files) == ""


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_refused(kind):
    """As in a directory: what a link points to is not what was digested."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("model/MLmodel")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(ModelDirectoryError, match="'model/MLmodel' is a link or a special file"):
        archive_files([buffer.getvalue()], place="image x")


def test_a_stream_that_ends_too_early_is_refused(folder):
    """Half a model has a digest, too."""
    raw = packed(folder)
    with pytest.raises(ModelDirectoryError, match="image x can not be read"):
        archive_files([raw[: len(raw) // 2]], place="image x")


def entry(path, content="0"):
    return FileEntry(path=path, size=1, sha256=content * 64)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([entry("a"), entry("b")], ""),
        ([entry("a")], "b is missing"),
        ([entry("a"), entry("b", "1")], "b differs"),
        ([entry("a"), entry("a.pyc"), entry("b")], "a.pyc is not in the version"),
        ([entry("a\n"), entry("a"), entry("b")], "'a\\n' is not in the version"),
    ],
)
def test_the_first_difference_is_named(found, expected):
    """A person has to know which image this is."""
    assert first_difference([entry("a"), entry("b")], found) == expected
