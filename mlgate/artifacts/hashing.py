"""The sha256 of many files at once, on every core until the end.

What bounds it, measured with a warm page cache on a core with SHA extensions, per GB: 0.50 s of hashing, 0.06 s of copying out
of the cache. sha256 is a chain, so a single file has the speed of one core. Tried, and no gain: blocks of 128 KiB to 1 MiB;
a second thread that reads ahead (3 % where a core is idle, 4 % less where none is, nothing from a cold disk: the kernel reads
ahead already); `POSIX_FADV_SEQUENTIAL`; mmap, and a mapped file that is truncated meanwhile kills the process (SIGBUS, mmap(2)).
"""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from heapq import heappop, heappush
from pathlib import Path

from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry

# Takes bytes done and bytes in all; called by the thread that asked for the digest, ten times a second and at the end.
Watch = Callable[[int, int], None]

_BLOCK_BYTES = 1024 * 1024
# Smaller files wait for the interpreter, and more threads than cores only for each other.
_LARGE_BYTES = 16 * _BLOCK_BYTES
_WATCH_S = 0.1
# What a core hashes of one file before it looks for one of which more is left: some 30 ms.
_SLICE_BYTES = 64 * _BLOCK_BYTES
# Files that are open at once beside those in hand: a process may have 1024 (getrlimit(2)) and others need some.
_MAX_BEGUN = 64
# As many more than cores as `concurrent.futures` takes for what also waits for a disk.
_WAITING_WORKERS = 4
# Memory is one block for each, and no disk feeds more.
_MAX_WORKERS = 32


def hash_files(
    root: Path, names: Sequence[str], *, watch: Watch | None = None, cores: int | None = None
) -> tuple[FileEntry, ...]:
    """Return size and sha256 of the files *names* below *root*, in their order.

    Args:
        root: A folder.
        names: Relative paths, each once.
        watch: Told how far it is.
        cores: How many to use; default: the cores this process may use.

    Raises:
        ModelDirectoryError: A file is gone, no regular file, can not be read, or changed while it was digested. The
            other files are not digested to their end.
    """
    return _Hashing(root, names, cores or _usable_cores()).entries(watch)


def open_descriptor(path: Path) -> int:
    """Open a regular file for reading, and nothing that took its place since it was listed.

    Raises:
        ModelDirectoryError: It is a link or special by now, or can not be read.
    """
    try:
        # Without O_NONBLOCK, opening a fifo would wait for a writer forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ModelDirectoryError(f"{path} can not be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModelDirectoryError(f"{path} is not a regular file")
    return descriptor


class _File:
    """A file that is being digested: what it was when it was opened, and how far it is."""

    def __init__(self, root: Path, name: str) -> None:
        self.name, self.path = name, root / name
        self.descriptor = open_descriptor(self.path)
        self.before = os.fstat(self.descriptor)
        self.digest, self.size = hashlib.sha256(), 0

    @property
    def left(self) -> int:
        return self.before.st_size - self.size

    def entry(self) -> FileEntry:
        """Return its entry; refuse a file that is not what it was."""
        # The path and not the descriptor: a file that was replaced keeps its old content for who has it open.
        after = self.path.lstat()
        if self.left or _state(self.before) != _state(after):
            raise ModelDirectoryError(
                f"{self.path} changed while it was digested ({self.before.st_size} bytes before, {after.st_size} after)",
                hint="let nobody write there, then try again",
            )
        return FileEntry(path=self.name, size=self.size, sha256=self.digest.hexdigest())


class _Hashing:
    """One run over files: always on with those of which most is left, so that all cores have work until the end.

    That is the shortest schedule (longest remaining time first): five equal files take two cores 2.5 times as long as
    one file, where file by file takes 3 times.
    """

    def __init__(self, root: Path, names: Sequence[str], cores: int) -> None:
        self._root, self._names = root, names
        sized = [(_size(root / name), name) for name in names]
        self._total = sum(size for size, _ in sized)
        self._waiting = deque(sorted(sized, key=lambda each: -each[0]))
        self._begun: list[tuple[int, str, _File]] = []
        self._entries: dict[str, FileEntry] = {}
        largest = max((size for size, _ in sized), default=0)
        self._workers = _workers(cores, len(names), largest=largest, total=self._total)
        self._lock = threading.Lock()
        self._done = 0
        self._stop = threading.Event()

    def entries(self, watch: Watch | None) -> tuple[FileEntry, ...]:
        # hashlib and read let go of the interpreter lock, so threads use the cores.
        try:
            with ThreadPoolExecutor(self._workers) as pool:
                running = {pool.submit(self._work) for _ in range(self._workers)}
                try:
                    self._wait(running, watch)
                finally:
                    self._stop.set()
        finally:
            for _, _, file in self._begun:
                os.close(file.descriptor)
        if watch is not None:
            watch(self._done, self._total)
        return tuple(self._entries[name] for name in self._names)

    def _wait(self, running: set[Future[None]], watch: Watch | None) -> None:
        while running:
            ended, running = wait(running, None if watch is None else _WATCH_S, return_when=FIRST_EXCEPTION)
            for worker in ended:
                worker.result()
            if watch is not None and running:
                watch(self._done, self._total)

    def _work(self) -> None:
        block = bytearray(_BLOCK_BYTES)
        while (file := self._taken()) is not None:
            try:
                ended = self._hashed(file, block)
                if ended:
                    self._entries[file.name] = file.entry()
            except BaseException as error:
                os.close(file.descriptor)
                if isinstance(error, OSError):
                    raise ModelDirectoryError(f"{file.path} can not be read ({error.strerror})") from error
                raise
            if ended:
                os.close(file.descriptor)
            else:
                with self._lock:
                    heappush(self._begun, (-file.left, file.name, file))

    def _taken(self) -> _File | None:
        """Return the file of which most is left; `None` where the others have the rest in their hands."""
        with self._lock:
            if self._stop.is_set() or not (self._begun or self._waiting):
                return None
            open_enough = len(self._begun) >= _MAX_BEGUN or not self._waiting
            if self._begun and (open_enough or -self._begun[0][0] >= self._waiting[0][0]):
                return heappop(self._begun)[-1]
            _, name = self._waiting.popleft()
        return _File(self._root, name)

    def _hashed(self, file: _File, block: bytearray) -> bool:
        """Hash a slice of *file*, or all the rest where no other one waits; return whether it came to the end."""
        until, filled = file.size + _SLICE_BYTES, memoryview(block)
        while count := os.readv(file.descriptor, [block]):
            file.digest.update(filled[:count])
            file.size += count
            with self._lock:
                self._done += count
            if file.left < 0:
                return True  # a file that grows as fast as it is read would have no end
            if self._stop.is_set() or (file.size >= until and (self._begun or self._waiting)):
                return False
        return True


def _workers(cores: int, files: int, *, largest: int, total: int) -> int:
    """Return how many threads hash.

    One for each core. Some more wait for a slow disk while others hash, and delay nothing as long as the largest file is
    no larger than a thread's share: it would get less than a core otherwise, and be alone at the end.
    """
    fair = total // largest if largest >= _LARGE_BYTES else 0
    return max(1, min(max(cores, min(fair, cores + _WAITING_WORKERS)), files, _MAX_WORKERS))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # opening it says what is wrong


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _usable_cores() -> int:
    # Not on macOS.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
