"""The envelope beside the evidence: read within bounds, and "none" only where the store says so."""

from pathlib import Path

import pytest
from mlflow.entities import FileInfo

from mlgate.registry import mlflow_envelope
from mlgate.registry.mlflow_envelope import read_envelope


class Store:
    """An artifact repository that lists a size and hands out bytes."""

    def __init__(self, content, *, listed=None, names=("evidence.dsse.json",)):
        self.content = content
        self.names = names
        self.listed = listed
        self.downloads = 0

    def list_artifacts(self, path):
        other = FileInfo(f"{path}/evidence.json", False, 2)
        if self.content is None:
            return [other]
        return [other, *(FileInfo(f"{path}/{name}", False, self.listed) for name in self.names)]

    def _download_file(self, name, target):
        self.downloads += 1
        self.asked = name
        Path(target).write_bytes(self.content)


@pytest.mark.parametrize("listed", [None, 3])
def test_the_envelope_comes_back_byte_for_byte(tmp_path, listed):
    """Whether or not the store knows its size."""
    assert read_envelope(Store(b"abc", listed=listed), tmp_path) == b"abc"


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["evidence.sigstore.json"], "mlgate/evidence.sigstore.json"),
        (["evidence.sigstore.json", "evidence.dsse.json"], "mlgate/evidence.dsse.json"),
    ],
)
def test_a_sigstore_bundle_is_read_where_there_is_no_envelope(tmp_path, names, read):
    """A run leaves one of them."""
    store = Store(b"abc", names=names)
    assert read_envelope(store, tmp_path) == b"abc"
    assert store.asked == read


def test_none_is_none_and_costs_no_download(tmp_path):
    """Most runs are unsigned."""
    store = Store(None)
    assert read_envelope(store, tmp_path) is None
    assert store.downloads == 0


@pytest.mark.parametrize(("listed", "downloads"), [(11, 0), (None, 1), (1, 1)], ids=["told", "not told", "lied"])
def test_one_that_is_too_large_is_empty_and_hides_no_other_run(tmp_path, monkeypatch, listed, downloads):
    """No gate takes it; and it is not downloaded where the store tells its size."""
    monkeypatch.setattr(mlflow_envelope, "MAX_ENVELOPE_BYTES", 10)
    store = Store(b"x" * 11, listed=listed)
    assert read_envelope(store, tmp_path) == b""
    assert store.downloads == downloads
    assert read_envelope(Store(b"x" * 10, listed=10), tmp_path) == b"x" * 10


def test_a_store_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    """Read as "none", it would turn signed evidence into unsigned."""
    store = Store(b"abc")
    monkeypatch.setattr(store, "list_artifacts", lambda path: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        read_envelope(store, tmp_path)
