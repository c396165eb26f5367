"""Downloading artifacts from a store that may be hostile: every path is checked before a byte is written."""

import hashlib
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote

from mlgate.artifacts.directory import MAX_DEPTH, MAX_FILES, NOT_THE_MODEL
from mlgate.artifacts.hashing import Watch
from mlgate.errors import RegistryError
from mlgate.evidence import FileEntry

_THREADS = 8
_WATCH_S = 0.1
_BLOCK_BYTES = 1024 * 1024


class ArtifactStore(Protocol):
    """What is used of MLflow's artifact repositories: the two methods that each of its plugins implements."""

    def list_artifacts(self, path: str | None = None) -> Any:
        """Return entries with `path`, `is_dir` and `file_size` directly below *path*."""

    def _download_file(self, remote_file_path: str, local_path: str) -> None: ...


def download(store: ArtifactStore, destination: Path, *, progress: bool) -> int:
    """Download every file of *store* into the folder *destination*.

    Args:
        store: The artifacts.
        destination: An existing empty folder.
        progress: Show a bar on standard error.

    Returns:
        The number of files.

    Raises:
        RegistryError: A path that leaves *destination*, a listing without end, or a file of another size than listed.
    """
    entries = files_of(store)
    for folder in {(destination / name).parent for name, _ in entries}:
        folder.mkdir(parents=True, exist_ok=True)

    def one(entry: tuple[str, int | None]) -> int:
        name, size = entry
        target = destination / name
        return _whole(name, _downloaded(store, name, target), size)

    total = sum(size or 0 for _, size in entries)
    with ThreadPoolExecutor(_THREADS) as pool, _bar(total, shown=progress) as advance:
        for done in pool.map(one, entries):
            advance(done)
    return len(entries)


def digest(store: ArtifactStore, scratch: Path, *, watch: Watch | None) -> tuple[FileEntry, ...]:
    """Return size and sha256 of every file of *store*, sorted by path, each hashed while it comes.

    A store without `blocks` gives whole files, which lie in *scratch* until they are hashed.

    Args:
        store: The artifacts.
        scratch: An existing empty folder.
        watch: Told how far it is.

    Raises:
        RegistryError: As for `download`.
    """
    entries, stop = files_of(store), threading.Event()
    total, done = sum(size or 0 for _, size in entries), [0] * len(entries)

    def one(place: int) -> FileEntry:
        name, size = entries[place]
        found = hashlib.sha256()
        for block in _blocks(store, name, scratch / str(place)):
            if stop.is_set():
                break
            found.update(block)
            done[place] += len(block)
            if size is not None and done[place] > size:
                break  # a hostile server's stream need not end
        return FileEntry(path=name, size=_whole(name, done[place], size), sha256=found.hexdigest())

    with ThreadPoolExecutor(_THREADS) as pool:
        every = [pool.submit(one, place) for place in range(len(entries))]
        running = set(every)
        try:
            while running:
                ended, running = wait(running, None if watch is None else _WATCH_S, return_when=FIRST_EXCEPTION)
                for file in ended:
                    file.result()
                if watch is not None:
                    watch(sum(done), total)
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    return tuple(sorted((file.result() for file in every), key=lambda file: file.path))


def _blocks(store: ArtifactStore, name: str, scratch: Path) -> Iterator[bytes]:
    streamed = getattr(store, "blocks", None)
    if streamed is not None:
        yield from streamed(name)
        return
    _downloaded(store, name, scratch)
    with scratch.open("rb") as file:
        scratch.unlink()
        while block := file.read(_BLOCK_BYTES):
            yield block


def _downloaded(store: ArtifactStore, name: str, target: Path) -> int:
    store._download_file(name, str(target))  # noqa: SLF001 - the method MLflow asks its plugins to write
    found = target.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise RegistryError(f"the store gave no regular file for {name!r}")
    return found.st_size


def _whole(name: str, size: int, listed: int | None) -> int:
    if listed is not None and size != listed:
        raise RegistryError(f"{name!r} has {size} bytes, and the store lists {listed}: an incomplete download")
    return size


def files_of(store: ArtifactStore) -> list[tuple[str, int | None]]:
    """Return path and listed size of each file of the model, every path checked.

    Raises:
        RegistryError: A path that leaves its folder, or a listing without end.
    """
    return [entry for entry in _files(store) if entry[0] not in NOT_THE_MODEL]


def _files(store: ArtifactStore) -> Iterator[tuple[str, int | None]]:
    """Yield path and listed size of each file, each path relative, below its folder, and once."""
    folders, seen = [""], set[str]()
    while folders:
        folder = folders.pop()
        for entry in store.list_artifacts(folder or None):
            path = _checked(entry.path, folder)
            if path in seen:
                raise RegistryError(f"the store lists {path!r} twice")
            seen.add(path)
            if len(seen) > MAX_FILES:
                raise RegistryError(f"the store lists more than {MAX_FILES} files")
            if entry.is_dir:
                folders.append(path)
            else:
                size = entry.file_size
                yield path, size if isinstance(size, int) and size >= 0 else None


def _checked(path: Any, folder: str) -> str:
    if not isinstance(path, str):
        raise RegistryError("the store lists a path that is no text")
    pure = PurePosixPath(path)
    # Encoded too: a server or its proxy may decode once more.
    up = ".." in PurePosixPath(unquote(path)).parts
    plain = str(pure) == path and not pure.is_absolute() and not up and "\\" not in path
    below = str(pure.parent) == (folder or ".")
    if not plain or not below or not path.isprintable() or len(pure.parts) > MAX_DEPTH or path in ("", "."):
        raise RegistryError(f"the store lists {path[:200]!r}, which is no path below {folder or 'the model'!r}")
    return path


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Any]:
    if not shown:
        yield lambda size: None  # noqa: ARG005 - nobody looks
        return
    from rich.console import Console  # noqa: PLC0415 - only with a bar
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415 - as above

    columns = (TextColumn("downloading"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda size: bar.advance(task, size)
