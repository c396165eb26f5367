"""The sha256 of many files at once: right whatever the cores, told while it lasts, and refused where a file moves."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from mlgate.artifacts import hashing
from mlgate.artifacts.digest_bar import digest_bar
from mlgate.artifacts.directory import digest_files, read_directory, walk
from mlgate.errors import ModelDirectoryError

MIB = 1024 * 1024


@pytest.fixture
def folder(tmp_path):
    """Empty, small, exactly one block, more than one, and one of many."""
    sizes = {"a": 3, "b": 20 * MIB + 17, "c": 0, "d": MIB, "e": 6 * MIB, "f/g": 2 * MIB - 1}
    (tmp_path / "f").mkdir()
    for number, (name, size) in enumerate(sizes.items()):
        block = hashlib.shake_128(bytes([number])).digest(min(size, 999_983))
        (tmp_path / name).write_bytes((block * (size // len(block) + 1))[:size] if size else b"")
    return tmp_path


def independent(folder, names):
    """Size and sha256 of each file, by the standard library's own way of reading one."""
    found = []
    for name in names:
        with (folder / name).open("rb") as file:
            found.append((name, (folder / name).stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()))
    return found


def plain(files):
    return [(file.path, file.size, file.sha256) for file in files]


@pytest.mark.parametrize("cores", [1, 2, 3, 7, 64])
def test_every_number_of_cores_computes_the_same_sha256(folder, cores):
    """With less cores than files, as many, and more."""
    names = walk(folder)
    assert plain(hashing.hash_files(folder, names, cores=cores)) == independent(folder, names)


def test_the_order_of_the_names_is_kept(folder):
    """The largest is digested first, and that is nobody's business."""
    names = tuple(reversed(walk(folder)))
    assert [file.path for file in digest_files(folder, names)] == list(names)


def test_no_files_have_no_digests(folder):
    """An empty list is an answer."""
    assert hashing.hash_files(folder, ()) == ()


def test_the_largest_file_is_begun_first(folder, monkeypatch):
    """Begun last, it would run alone at the end."""
    begun = []
    original = hashing.open_descriptor
    monkeypatch.setattr(hashing, "open_descriptor", lambda path: begun.append(path.name) or original(path))
    hashing.hash_files(folder, walk(folder), cores=1)
    assert begun == ["b", "e", "g", "d", "a", "c"]


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("place", [0, 10 * MIB, 20 * MIB + 16])
def test_a_changed_byte_of_a_big_file_is_seen(folder, place, cores):
    """At its begin, in its middle, at its end; size and time of change are as before."""
    before = hashing.hash_files(folder, ["b"], cores=cores)
    times = (folder / "b").stat()
    with (folder / "b").open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(folder / "b", ns=(times.st_atime_ns, times.st_mtime_ns))
    after = hashing.hash_files(folder, ["b"], cores=cores)
    assert after[0].size == before[0].size
    assert after[0].sha256 != before[0].sha256


def append(path):
    with path.open("ab") as file:
        file.write(b"more")


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def rewrite(path):
    found = path.stat()
    with path.open("r+b") as file:
        file.write(b"xyz")
    # As a later write does; the kernel's clock may not have ticked since.
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def truncate(path):
    os.truncate(path, MIB)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (append, "b changed while it was digested"),
        (replace, "b changed while it was digested"),
        (rewrite, "b changed while it was digested"),
        (truncate, "b changed while it was digested"),
        (os.unlink, "b can not be read"),
    ],
)
def test_a_file_that_changes_while_it_is_digested_is_an_error(folder, monkeypatch, change, words, cores):
    """In one line: a digest of half the old and half the new file is nobody's."""
    original, pending = os.readv, [change]

    def readv(descriptor, buffers):
        count = original(descriptor, buffers)
        if pending:
            pending.pop()(folder / "b")
        return count

    monkeypatch.setattr(hashing.os, "readv", readv)
    with pytest.raises(ModelDirectoryError, match=words) as caught:
        hashing.hash_files(folder, ["b"], cores=cores)
    assert "\n" not in str(caught.value)


def test_a_file_that_grows_as_fast_as_it_is_read_has_an_end(folder, monkeypatch):
    """Not reading until its writer stops."""
    original = os.readv

    def readv(descriptor, buffers):
        append(folder / "a")
        return original(descriptor, buffers)

    monkeypatch.setattr(hashing.os, "readv", readv)
    with pytest.raises(ModelDirectoryError, match="a changed while it was digested"):
        hashing.hash_files(folder, ["a"], cores=1)


def test_a_disk_that_fails_is_an_error_in_one_line(folder, monkeypatch):
    """And no trace of threads."""
    original, calls = os.readv, iter(range(10_000))

    def readv(descriptor, buffers):
        if next(calls) == 5:
            raise OSError(5, "Input/output error")
        return original(descriptor, buffers)

    monkeypatch.setattr(hashing.os, "readv", readv)
    with pytest.raises(ModelDirectoryError, match="b can not be read \\(Input/output error\\)"):
        hashing.hash_files(folder, ["b"], cores=2)


def test_a_file_that_is_gone_stops_the_others(folder, monkeypatch):
    """Nobody waits for gigabytes whose digest nobody will see."""
    done, failed = [], threading.Event()
    original, opened, wait = os.readv, hashing.open_descriptor, hashing.wait

    def open_descriptor(path):
        if path.name == "e":
            path.unlink()
        return opened(path)

    def readv(descriptor, buffers):
        assert failed.wait(60)  # the large file goes on when the other one's error is known
        done.append(original(descriptor, buffers))
        return done[-1]

    def waited(*given, **named):
        try:
            return wait(*given, **named)
        finally:
            failed.set()

    monkeypatch.setattr(hashing, "open_descriptor", open_descriptor)
    monkeypatch.setattr(hashing.os, "readv", readv)
    monkeypatch.setattr(hashing, "wait", waited)
    with pytest.raises(ModelDirectoryError, match="e can not be read"):
        hashing.hash_files(folder, ["b", "e", "d", "f/g"], cores=2)
    assert sum(done) < (folder / "b").stat().st_size


def test_it_is_told_how_far_it_is_by_the_thread_that_asked(folder):
    """Never backwards, and at the end everything."""
    told = []
    names = walk(folder)
    digest_files(folder, names, watch=lambda done, total: told.append((done, total, threading.get_ident())))
    sizes = sum((folder / name).stat().st_size for name in names)
    assert told[-1] == (sizes, sizes, threading.get_ident())
    assert told == sorted(told)
    assert {(total, thread) for _, total, thread in told} == {(sizes, threading.get_ident())}


def test_it_is_told_while_it_lasts(folder, monkeypatch):
    """Not only at its end: the file goes on when somebody heard that it is half-way."""
    heard, original, calls = threading.Event(), os.readv, iter(range(10_000))

    def readv(descriptor, buffers):
        if next(calls) == 10:
            assert heard.wait(60)
        return original(descriptor, buffers)

    def watch(done, total):
        if 0 < done < total:
            heard.set()

    monkeypatch.setattr(hashing.os, "readv", readv)
    hashing.hash_files(folder, ["b"], watch=watch, cores=1)
    assert heard.is_set()


def test_who_interrupts_while_it_is_watched_ends_it(folder, monkeypatch):
    """Ctrl-C comes to the thread that waits; the workers end with the block they are at."""
    reached, original, calls = threading.Event(), os.readv, []

    def readv(descriptor, buffers):
        calls.append(1)
        if len(calls) == 3:
            assert reached.wait(60)
        return original(descriptor, buffers)

    def watch(done, total):
        reached.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(hashing.os, "readv", readv)
    with pytest.raises(KeyboardInterrupt):
        hashing.hash_files(folder, ["b"], watch=watch, cores=1)
    assert len(calls) < 20


def test_a_model_directory_tells_how_far_its_digest_is(model):
    """What `gate` shows."""
    told = []
    found = read_directory(model, watch=lambda done, total: told.append((done, total)))
    size = sum(file.size for file in found.files)
    assert told[-1] == (size, size)


def test_a_bar_is_shown_after_a_second_and_not_before(capsys, monkeypatch):
    """A small model's digest says nothing."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes what is captured for a terminal
    now = 0.0
    with digest_bar(shown=True, clock=lambda: now) as watch:
        watch(1, 2)
        assert capsys.readouterr().err == ""
        now = 1.0
        watch(1_000_000, 2_000_000)
        watch(2_000_000, 2_000_000)
    assert "digesting" in capsys.readouterr().err


def test_nobody_looks_at_a_bar_that_is_not_shown():
    """A log file is no terminal."""
    with digest_bar(shown=False) as watch:
        assert watch is None


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_a_file_that_is_put_aside_half_way_has_the_right_sha256(folder, monkeypatch, cores):
    """The core goes on with the one of which most is left, and comes back."""
    monkeypatch.setattr(hashing, "_SLICE_BYTES", MIB)
    names = walk(folder)
    assert plain(hashing.hash_files(folder, names, cores=cores)) == independent(folder, names)


def test_files_of_one_size_come_to_their_end_together(tmp_path, monkeypatch):
    """One after the other, the third of three would have one core, and the other core nothing to do."""
    monkeypatch.setattr(hashing, "_SLICE_BYTES", MIB)
    monkeypatch.setattr(hashing, "_WAITING_WORKERS", 0)
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode() * 8 * MIB)
    order, original = [], os.readv
    monkeypatch.setattr(hashing.os, "readv", lambda file, buffers: order.append(file) or original(file, buffers))
    hashing.hash_files(tmp_path, "abc", cores=1)
    first, last = order[: len(order) // 3], order[-len(order) // 3 :]
    assert len(set(first)) == len(set(last)) == 3


def test_no_more_files_are_open_than_a_process_may_have(tmp_path, monkeypatch):
    """However many of one size there are; and none stays open."""
    monkeypatch.setattr(hashing, "_SLICE_BYTES", MIB)
    monkeypatch.setattr(hashing, "_MAX_BEGUN", 2)
    names = [f"{number:02}" for number in range(12)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 2 * MIB)
    opened, most = set(), []
    original_open, original_close = hashing.open_descriptor, os.close

    def open_descriptor(path):
        descriptor = original_open(path)
        opened.add(descriptor)
        most.append(len(opened))
        return descriptor

    def close(descriptor):
        opened.discard(descriptor)
        original_close(descriptor)

    monkeypatch.setattr(hashing, "open_descriptor", open_descriptor)
    monkeypatch.setattr(hashing.os, "close", close)
    files = hashing.hash_files(tmp_path, names, cores=1)
    assert plain(files) == independent(tmp_path, names)
    assert max(most) <= 3
    assert not opened


def test_what_was_put_aside_is_closed_when_another_file_fails(folder, monkeypatch):
    """A gate that goes on after the error keeps no file open."""
    monkeypatch.setattr(hashing, "_SLICE_BYTES", MIB)
    before = set(Path("/proc/self/fd").iterdir())
    original, calls = os.readv, iter(range(10_000))

    def readv(descriptor, buffers):
        if next(calls) == 19:
            raise OSError(5, "Input/output error")
        return original(descriptor, buffers)

    monkeypatch.setattr(hashing.os, "readv", readv)
    with pytest.raises(ModelDirectoryError, match="can not be read"):
        hashing.hash_files(folder, walk(folder), cores=1)
    assert set(Path("/proc/self/fd").iterdir()) <= before


@pytest.mark.parametrize(
    ("cores", "files", "largest", "total", "expected"),
    [
        (2, 5, 1000, 5000, 5),  # five equal files: all at once, each with 2/5 of a core
        (2, 40, 1000, 40_000, 6),
        (2, 6, 5000, 10_000, 2),  # one as large as five others: it needs a core of its own
        (2, 6, 3000, 9000, 3),
        (2, 1, 5000, 5000, 1),
        (4, 2, 1000, 2000, 2),
        (64, 100, 1000, 100_000, 32),
        (2, 0, 0, 0, 1),
    ],
)
def test_there_are_more_threads_than_cores_only_where_no_file_waits_for_its_core(
    cores, files, largest, total, expected
):
    """So the last file is never alone at the end, where another order would have prevented it."""
    assert hashing._workers(cores, files, largest=largest * MIB, total=total * MIB) == expected


def test_small_files_have_a_thread_a_core():
    """More would wait for the interpreter and for nothing else."""
    assert hashing._workers(2, 1000, largest=MIB, total=1000 * MIB) == 2
