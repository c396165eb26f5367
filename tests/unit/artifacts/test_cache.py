"""The cache of model directories, by content."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mlgate.artifacts import cache
from mlgate.artifacts.directory import read_directory
from mlgate.errors import ModelDirectoryError, OutputError, RegistryError
from mlgate.model_version import ModelUri
from mlgate.registry.memory import MemoryRegistry

ROOT = Path(__file__).parents[3]


@pytest.fixture
def registry():
    return MemoryRegistry()


def leftovers(folder):
    return [path for path in (folder / "models").iterdir() if path.name != "sha256"]


def test_a_version_lies_at_its_digest_readable_by_anyone(model, registry, tmp_path):
    """The sandbox reads it as another user, and nobody else writes it."""
    (model / "model.pkl").chmod(0o600)
    found = cache.fetch(registry, registry.add("churn", model), tmp_path / "cache")
    assert found.path == tmp_path / "cache" / "models" / "sha256" / found.digest.removeprefix("sha256:")
    assert found.digest == read_directory(model).digest == read_directory(found.path).digest
    for path in [found.path, *found.path.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    assert leftovers(tmp_path / "cache") == []


def test_a_local_directory_is_copied(model, registry, tmp_path):
    """Its owner may edit it while it is being tested."""
    found = cache.fetch(registry, registry.resolve(ModelUri.parse(str(model))), tmp_path / "cache")
    (model / "model.pkl").write_bytes(b"edited")
    assert read_directory(found.path).digest == found.digest


def test_the_second_fetch_reuses_the_first(model, registry, tmp_path):
    """The same folder, not another one: a running container may have it mounted."""
    version = registry.add("churn", model)
    first = cache.fetch(registry, version, tmp_path / "cache")
    inode = first.path.stat().st_ino
    second = cache.fetch(registry, version, tmp_path / "cache")
    assert (second.digest, second.path.stat().st_ino) == (first.digest, inode)
    assert leftovers(tmp_path / "cache") == []


def test_a_corrupted_entry_is_replaced(model, registry, tmp_path):
    """A digest in the name proves nothing by itself."""
    version = registry.add("churn", model)
    first = cache.fetch(registry, version, tmp_path / "cache")
    (first.path / "model.pkl").write_bytes(b"rotten")
    (first.path / "extra").write_text("")
    again = cache.fetch(registry, version, tmp_path / "cache")
    assert read_directory(again.path).digest == first.digest
    assert leftovers(tmp_path / "cache") == []


def test_fetches_at_the_same_time_all_succeed(model, registry, tmp_path):
    """Eight of them, over a corrupted entry too."""
    version = registry.add("churn", model)
    place = cache.fetch(registry, version, tmp_path / "cache").path
    (place / "model.pkl").write_bytes(b"rotten")
    start, found = threading.Barrier(8), []

    def one():
        start.wait()
        found.append(cache.fetch(registry, version, tmp_path / "cache"))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert {directory.path for directory in found} == {place}
    assert read_directory(place).digest == found[0].digest
    assert leftovers(tmp_path / "cache") == []


def test_a_refused_directory_leaves_nothing(model, registry, tmp_path):
    """No `MLmodel`, no entry."""
    version = registry.add("churn", model)
    (model / "MLmodel").unlink()
    with pytest.raises(ModelDirectoryError):
        cache.fetch(registry, version, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    assert list((tmp_path / "cache" / "models" / "sha256").iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from mlgate.artifacts import cache
class Slow:
    def fetch(self, version, destination, *, progress=False):
        (destination / "MLmodel").write_text("flavors: {a: {}}")
        print("half", flush=True)
        time.sleep(600)
cache.fetch(Slow(), None, Path(sys.argv[1]))
"""


def test_a_killed_fetch_leaves_nothing_that_counts(model, registry, tmp_path):
    """Its partial folder is swept by the next one."""
    where = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(where)], env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert list((where / "models" / "sha256").iterdir()) == []
    assert len(leftovers(where)) == 1
    cache.fetch(registry, registry.add("churn", model), where)
    assert leftovers(where) == []


def test_a_fetch_whose_process_can_not_be_looked_at_is_swept_after_a_day(model, registry, tmp_path):
    """It may be the job next door, in another pid namespace, with the same cache."""
    partial = tmp_path / "models" / ".fetch-7:1:another-boot:1-abc"
    partial.mkdir(parents=True)
    cache.fetch(registry, registry.add("churn", model), tmp_path)
    assert leftovers(tmp_path) == [partial]
    os.utime(partial, (0, time.time() - 2 * 24 * 3600))
    cache.fetch(registry, registry.add("churn", model), tmp_path)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, wrapped):
    """Also where the registry's client has wrapped the error."""

    class Full:
        def fetch(self, version, destination, *, progress=False):
            (destination / "half").write_text("x")
            full = OSError(errno.ENOSPC, "No space left on device")
            if wrapped:
                raise RegistryError("download failed") from full
            raise full

    with pytest.raises(OutputError, match="the disk is full") as caught:
        cache.fetch(Full(), None, tmp_path)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []


def test_a_cache_that_can_not_be_written_is_an_output_error(model, registry, tmp_path):
    """A file where the folder should be."""
    (tmp_path / "cache").write_text("")
    with pytest.raises(OutputError, match="can not be written"):
        cache.fetch(registry, registry.add("churn", model), tmp_path / "cache")


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    """Else below the home folder."""
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path))
    assert cache.default_cache() == tmp_path
    monkeypatch.delenv("MLGATE_CACHE")
    monkeypatch.setenv("HOME", "/home/ann")
    assert cache.default_cache() == Path("/home/ann/.cache/mlgate")
