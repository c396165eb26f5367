"""Bytes are hashed while they come from a store, and a store's marks of its files are taken as they are."""

import hashlib
from types import SimpleNamespace

import pytest

from mlgate.errors import RegistryError
from mlgate.registry.downloads import digest
from mlgate.registry.etags import list_store


class Streams:
    """A store that streams each file in two blocks, and says of it what the test says."""

    def __init__(self, files, headers=None, sizes=None):
        self.files, self.sizes = files, sizes or {}
        self.said = headers or {}
        self.asked = []

    def list_artifacts(self, path=None):
        """Return every file; there is one folder."""
        return [
            SimpleNamespace(path=name, is_dir=False, file_size=self.sizes.get(name, len(content)))
            for name, content in self.files.items()
        ]

    def blocks(self, path):
        """Yield the content."""
        content = self.files[path]
        yield content[:2]
        yield content[2:]

    def headers(self, path):
        """Return what the test says."""
        self.asked.append(path)
        return self.said.get(path, {})


def test_a_stream_is_hashed_without_a_file(tmp_path):
    """Nothing is written; MLflow's own note is no file of the model."""
    told = []
    store = Streams({"b": b"weights", "MLmodel": b"flavors", "registered_model_meta": b"x"})
    found = digest(store, tmp_path, watch=lambda *each: told.append(each))
    assert [(file.path, file.size, file.sha256) for file in found] == [
        (name, 7, hashlib.sha256(store.files[name]).hexdigest()) for name in ("MLmodel", "b")
    ]
    assert told[-1] == (14, 14)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [3, 5])
def test_a_stream_of_another_length_than_listed_is_an_error(tmp_path, size):
    """A broken connection must not become another digest."""
    with pytest.raises(RegistryError, match="incomplete"):
        digest(Streams({"a": b"four"}, sizes={"a": size}), tmp_path, watch=None)


def test_a_stream_without_end_is_left(tmp_path):
    """What comes beyond the listed size is not read."""

    class Endless(Streams):
        def blocks(self, path):
            while True:
                yield b"more"

    with pytest.raises(RegistryError, match="8 bytes, and the store lists 4"):
        digest(Endless({"a": b"four"}), tmp_path, watch=None)


def test_what_a_store_without_streams_gives_is_gone_once_it_is_hashed(tmp_path):
    """One file at a time on each of a few threads, and not the whole model."""
    from pathlib import Path

    class Whole:
        list_artifacts = Streams({"a": b"four"}).list_artifacts

        def _download_file(self, remote, local):
            Path(local).write_bytes(b"four")

    (found,) = digest(Whole(), tmp_path, watch=None)
    assert found.sha256 == hashlib.sha256(b"four").hexdigest()
    assert list(tmp_path.iterdir()) == []


HEADERS = {"ETag": '"1-4-2"', "Content-Length": "4", "Last-Modified": "Mon, 23 Nov 2026 11:00:00 GMT"}


def test_a_servers_etags_are_its_marks():
    """With size and time."""
    store = Streams({"a": b"four", "b": b"size"}, {"a": HEADERS, "b": {**HEADERS, "ETag": '"other"'}})
    first, second = list_store(store)
    assert (first.path, first.size, first.marker, first.changed_at) == ("a", 4, '"1-4-2"', 1795431600.0)
    assert second.marker == '"other"'


@pytest.mark.parametrize("missing", [{"ETag": ""}, {"ETag": 'W/"1"'}, {"Content-Length": ""}, {"Content-Length": "-4"}])
def test_a_server_that_marks_one_file_badly_marks_none(missing):
    """A weak etag promises the same meaning only."""
    store = Streams({"a": b"four", "b": b"size"}, {"a": HEADERS, "b": {**HEADERS, **missing}})
    assert list_store(store) is None


def test_a_server_without_etags_is_asked_for_the_smallest_file_only():
    """It may have to download a file to say that it has none."""
    store = Streams({"large": b"x" * 100, "MLmodel": b"four", "other": b"x" * 50})
    assert list_store(store) is None
    assert store.asked == ["MLmodel"]


def test_a_store_that_can_not_be_asked_marks_nothing():
    """Azure, GCS, a plugin."""
    assert list_store(SimpleNamespace(list_artifacts=list)) is None
