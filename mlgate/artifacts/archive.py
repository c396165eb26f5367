"""A model directory inside a tar stream: its files by content, without a byte of it on this host's disk."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence

from mlgate.artifacts.directory import MAX_FILES, NOT_THE_MODEL
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry

_BLOCK_BYTES = 1024 * 1024


def archive_files(chunks: Iterable[bytes], *, place: str) -> tuple[FileEntry, ...]:
    """Digest the files of an archive whose entries lie below one folder, as an engine packs a folder of a container.

    Args:
        chunks: The archive, in pieces of any size.
        place: Where it comes from, for messages.

    Returns:
        Every file sorted by path, relative to that folder, without `NOT_THE_MODEL`: as of a model directory.

    Raises:
        ModelDirectoryError: A link or a special file, too many files, or no archive.
    """
    files: list[FileEntry] = []
    try:
        with tarfile.open(fileobj=_Stream(chunks), mode="r|") as archive:
            for count, entry in enumerate(archive):
                if count > 2 * MAX_FILES:
                    raise ModelDirectoryError(f"{place} has more than {MAX_FILES} files")
                if entry.isdir():
                    continue
                if not entry.isreg():
                    raise ModelDirectoryError(
                        f"{place}: {entry.name!r} is a link or a special file, and a model directory holds files only"
                    )
                path = entry.name.lstrip("./").partition("/")[2]
                if path not in NOT_THE_MODEL:
                    files.append(_digested(archive, entry, path))
    except (tarfile.TarError, EOFError) as error:
        raise ModelDirectoryError(f"{place} can not be read ({error})") from error
    return tuple(sorted(files, key=lambda file: file.path))


def first_difference(wanted: Sequence[FileEntry], found: Sequence[FileEntry]) -> str:
    """Return the first file, by path, that is not the same in both, and how; empty where there is none."""
    ours = {file.path: (file.size, file.sha256) for file in wanted}
    theirs = {file.path: (file.size, file.sha256) for file in found}
    for path in sorted({*ours, *theirs}):
        if ours.get(path) != theirs.get(path):
            how = "is missing" if path not in theirs else "is not in the version" if path not in ours else "differs"
            return f"{path!r} {how}" if not path.isprintable() else f"{path} {how}"
    return ""


def _digested(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> FileEntry:
    digest, size = hashlib.sha256(), 0
    content = archive.extractfile(entry)
    while content is not None and (block := content.read(_BLOCK_BYTES)):
        digest.update(block)
        size += len(block)
    return FileEntry(path=path, size=size, sha256=digest.hexdigest())


class _Stream(io.RawIOBase):
    """Pieces as a file that is read forward."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        whole = b"".join(parts)
        end = len(whole) if size < 0 else size
        self._rest = whole[end:]
        return whole[:end]
