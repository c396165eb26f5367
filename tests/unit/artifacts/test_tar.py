"""The model directory as an archive: the same bytes for the same content, and only what was digested."""

import io
import os
import tarfile

import pytest

from mlgate.artifacts.directory import read_directory
from mlgate.artifacts.tar import MTIME, tar_stream
from mlgate.errors import ModelDirectoryError


def archive(directory, prefix="/opt/ml/model"):
    return b"".join(tar_stream(directory, prefix=prefix))


def test_it_unpacks_to_the_very_directory(model, tmp_path):
    """Read again, it has the same digest."""
    (model / "large.bin").write_bytes(os.urandom(3 * 2**20 + 17))
    (model / ("long" * 60)).write_bytes(b"a name that needs a pax header")
    (model / "ünï.txt").write_bytes(b"")
    directory = read_directory(model)
    with tarfile.open(fileobj=io.BytesIO(archive(directory))) as opened:
        opened.extractall(tmp_path / "out", filter="data")
    assert read_directory(tmp_path / "out/opt/ml/model").digest == directory.digest


def test_everybody_may_read_it_and_it_belongs_to_root(model):
    """The server runs as 65534; what the host's modes, owners and times were is in nothing."""
    (model / "MLmodel").chmod(0o600)
    (model / "registered_model_meta").write_text("not the model's")
    with tarfile.open(fileobj=io.BytesIO(archive(read_directory(model)))) as opened:
        entries = opened.getmembers()
    names = [entry.name for entry in entries]
    assert names[:4] == ["opt", "opt/ml", "opt/ml/model", "opt/ml/model/code"]
    assert "opt/ml/model/registered_model_meta" not in names
    assert {entry.mode for entry in entries if entry.isdir()} == {0o755}
    assert {entry.mode for entry in entries if entry.isfile()} == {0o644}
    assert {(entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime) for entry in entries} == {
        (0, 0, "", "", MTIME)
    }


def test_the_same_content_gives_the_same_bytes(model, tmp_path):
    """Wherever it lies and whenever it was written."""
    before = archive(read_directory(model))
    moved = model.rename(tmp_path / "elsewhere")
    os.utime(moved / "MLmodel", (1, 1))
    assert archive(read_directory(moved)) == before


def test_no_piece_is_empty(model):
    """In a chunked upload an empty piece would be the end of it."""
    (model / "empty").write_bytes(b"")
    (model / "block").write_bytes(bytes(512))
    assert all(tar_stream(read_directory(model), prefix="/model"))


@pytest.mark.parametrize("content", [b"shorter", b"longer than it was before", b"\x80\x04X."])
def test_a_file_that_changed_is_refused(model, content):
    """Shorter, longer, or as long as before: what was digested is what is copied."""
    directory = read_directory(model)
    (model / "model.pkl").write_bytes(content)
    with pytest.raises(ModelDirectoryError, match=r"model\.pkl changed while it was copied"):
        archive(directory)


def test_a_file_that_became_a_link_is_refused(model):
    """Nobody reads the host's files through it."""
    directory = read_directory(model)
    (model / "model.pkl").unlink()
    (model / "model.pkl").symlink_to("/etc/hostname")
    with pytest.raises(ModelDirectoryError):
        archive(directory)
