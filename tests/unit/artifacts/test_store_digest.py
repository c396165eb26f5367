"""The digest at gate time: every byte, or what was computed while the store's listing was the same."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlgate.artifacts import store_digest
from mlgate.artifacts.directory import read_directory
from mlgate.artifacts.store_digest import digest_in_store
from mlgate.errors import ModelDirectoryError, ModelNotFound
from mlgate.evidence import canonical_digest
from mlgate.registry.memory import MemoryRegistry

ROOT = Path(__file__).parents[3]


class Store(MemoryRegistry):
    """A registry that counts how often bytes are read, and lists what a test makes of its listing."""

    def __init__(self, listed=lambda files: files):
        super().__init__()
        self.reads = 0
        self.listed = listed

    def digests(self, version, scratch, *, watch=None):
        self.reads += 1
        return super().digests(version, scratch, watch=watch)

    def listing(self, version):
        return self.listed(super().listing(version))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


def settled(files):
    """The listing of files that did not change for a while."""
    return tuple(replace(file, changed_at=file.changed_at - 60) for file in files)


@pytest.fixture
def store():
    return Store(settled)


@pytest.fixture
def version(store, model):
    return store.add("churn", model)


def kept(place):
    (file,) = (place / "digests").iterdir()
    return file


def again(store, version, place):
    return digest_in_store(store, version, reuse=True, cache_dir=place)


def test_without_leave_every_byte_is_read_each_time(store, version, model, place):
    """And nothing is kept for a policy that would allow it."""
    for reads in (1, 2):
        found = digest_in_store(store, version, reuse=False, cache_dir=place)
        assert (found.digest, found.reused, found.note) == (read_directory(model).digest, False, "")
        assert store.reads == reads
    assert not (place / "digests").exists()
    assert list((place / "models").iterdir()) == []


def test_with_leave_the_second_time_reads_nothing_and_says_since_when(store, version, place):
    """As long as the store lists the same."""
    first, second = again(store, version, place), again(store, version, place)
    assert store.reads == 1
    assert (first.reused, second.reused) == (False, True)
    assert second == replace(first, reused=True)
    assert second.words.startswith("reused, computed 20")
    assert first.words.startswith("computed now, 20")
    assert second.to_json() == {**first.to_json(), "reused": True}
    assert kept(place).stat().st_mode & 0o777 == 0o600


def changed(model):
    (model / "model.pkl").write_bytes(b"\x80\x04O.")


def added(model):
    (model / "more.py").write_text("")


def removed(model):
    (model / "code" / "mine.py").unlink()


def unseen(model):
    """Another byte, while size and time of modification are kept."""
    file = model / "model.pkl"
    before = file.stat()
    file.write_bytes(b"\x80\x04O.")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.parametrize("change", [changed, added, removed, unseen])
@pytest.mark.parametrize("reuse", [False, True])
def test_other_content_is_another_digest(store, version, model, place, change, reuse):
    """With the cache too: a local disk says when a file was changed, whatever its time of modification says."""
    before = again(store, version, place)
    time.sleep(0.02)  # more than a tick of the file system's clock
    change(model)
    found = digest_in_store(store, version, reuse=reuse, cache_dir=place)
    assert found.digest == read_directory(model).digest != before.digest
    assert not found.reused


def test_a_store_whose_word_is_all_there_is_can_be_wrong(store, version, model, place):
    """What the policy gives away, as the docs say: the same etag over other bytes is believed with the cache, not without."""
    store.listed = lambda files: tuple(replace(file, marker="etag", changed_at=0.0) for file in files)
    before = again(store, version, place)
    changed(model)
    assert again(store, version, place) == replace(before, reused=True)
    assert digest_in_store(store, version, reuse=False, cache_dir=place).digest != before.digest


def test_what_changed_a_moment_ago_is_not_kept(store, version, place):
    """The same tick of the store's clock could still bring other bytes."""
    store.listed = lambda files: files
    found = again(store, version, place)
    assert "changed a moment ago" in found.words
    assert not again(store, version, place).reused
    assert store.reads == 2


def test_what_changes_while_it_is_read_is_not_kept(store, version, place):
    """The listing before must be the listing after."""
    marks = iter("abcd")
    store.listed = lambda files: tuple(
        replace(file, marker=mark, changed_at=0.0) for mark in [next(marks)] for file in files
    )
    assert "changed meanwhile" in again(store, version, place).note
    assert not (place / "digests").exists()


def test_a_store_without_marks_is_read_each_time_and_that_is_said(store, version, place):
    """Nothing stands for the bytes."""
    store.listed = lambda files: None
    for reads in (1, 2):
        assert "the store marks no content" in again(store, version, place).words
        assert store.reads == reads


def resealed(file, **changes):
    document = {**json.loads(file.read_text()), **changes}
    del document["seal"]
    file.write_text(json.dumps({**document, "seal": canonical_digest(document)}))


TAMPERED = {
    "no JSON": lambda file: file.write_bytes(b"{"),
    "empty": lambda file: file.write_bytes(b""),
    "binary": lambda file: file.write_bytes(b"\xff" * 100),
    "a list": lambda file: file.write_text("[]"),
    "deep": lambda file: file.write_text("[" * 100_000),
    "another digest": lambda file: file.write_text(file.read_text().replace('"digest": "sha256:', '"digest": "sha256:0')),
    "another time": lambda file: file.write_text(file.read_text().replace('"computed_at": "20', '"computed_at": "19')),
    "half of it": lambda file: file.write_bytes(file.read_bytes()[:-40]),
    "a digest that is not its files'": lambda file: resealed(file, digest="sha256:" + "0" * 64),
    "another format": lambda file: resealed(file, format="mlgate-store-digest/2"),
    "a time to come": lambda file: resealed(file, computed_at="2999-01-01T00:00:00+00:00"),
    "a time without zone": lambda file: resealed(file, computed_at="2020-01-01T00:00:00"),
    "files that are none": lambda file: resealed(file, files=3),
    "others may write": lambda file: file.chmod(0o666),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_a_kept_digest_that_is_odd_is_computed_again(store, version, model, place, how):
    """And is kept anew: it is a cache, not a reason to fail."""
    again(store, version, place)
    TAMPERED[how](kept(place))
    found = again(store, version, place)
    assert (found.reused, found.digest, store.reads) == (False, read_directory(model).digest, 2)
    assert again(store, version, place).reused


def test_a_kept_digest_that_is_a_link_is_computed_again(store, version, place, tmp_path):
    """What it leads to may be anybody's."""
    again(store, version, place)
    kept(place).rename(tmp_path / "elsewhere")
    next_place = place / "digests" / store_digest._name(store, version)
    next_place.symlink_to(tmp_path / "elsewhere")
    assert not again(store, version, place).reused


def test_a_digest_is_of_one_version_in_one_place(store, version, place, tmp_path):
    """The same listing under another name is another file."""
    import shutil

    shutil.copytree(version.location, tmp_path / "other")
    again(store, version, place)
    assert not again(store, store.add("churn", tmp_path / "other"), place).reused
    assert len(list((place / "digests").iterdir())) == 2


def test_a_cache_that_can_not_be_written_costs_the_cache_only(store, version, place):
    """The digest is computed all the same."""
    place.mkdir()
    (place / "digests").write_text("in the way")
    assert "can not be written" in again(store, version, place).note


def test_what_can_not_be_read_is_an_error_with_and_without_the_cache(store, version, model, place):
    """Never an older digest."""
    again(store, version, place)
    (model / "secret").symlink_to("/etc/hostname")
    for reuse in (False, True):
        with pytest.raises(ModelDirectoryError, match="symbolic link"):
            digest_in_store(store, version, reuse=reuse, cache_dir=place)
    (model / "secret").unlink()
    model.rename(model.with_name("gone"))
    for reuse in (False, True):
        with pytest.raises(ModelNotFound):
            digest_in_store(store, version, reuse=reuse, cache_dir=place)


def test_somebody_who_watches_is_told(store, version, place):
    """Bytes done, bytes in all, and the end."""
    told = []
    digest_in_store(store, version, reuse=False, watch=lambda done, total: told.append((done, total)), cache_dir=place)
    assert told[-1][0] == told[-1][1] > 0


KILLED = """
import sys, time
from pathlib import Path
from mlgate.artifacts.store_digest import digest_in_store
from mlgate.model_version import ModelVersion
from mlgate.registry.downloads import digest
from mlgate.registry.interface import StoredFile
class Entry:
    path, is_dir, file_size = "MLmodel", False, 8
class Store:
    uri = "slow"
    def listing(self, version):
        return (StoredFile(path="MLmodel", size=8, marker="etag", changed_at=0.0),)
    def digests(self, version, scratch, *, watch=None):
        return digest(self, scratch, watch=watch)
    def list_artifacts(self, path=None):
        return [Entry]
    def _download_file(self, remote, local):
        Path(local).write_bytes(b"half")
        print("half", flush=True)
        time.sleep(600)
version = ModelVersion(uri="models:/a/1", name="a", version="1", model_id=None, source_run_id=None, location="x")
digest_in_store(Store(), version, reuse=True, cache_dir=Path(sys.argv[1]))
"""


def test_a_killed_download_leaves_nothing_that_counts(store, version, place):
    """No digest of half the bytes; what it had brought is swept by the next gate."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(place)], env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (place / "digests").exists()
    assert len(list((place / "models").iterdir())) == 1
    again(store, version, place)
    assert list((place / "models").iterdir()) == []
