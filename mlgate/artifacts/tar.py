"""A model directory as a tar stream: no copy on disk or in memory, and nothing but what was digested."""

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from mlgate.artifacts.directory import ModelDirectory, open_regular
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import FileEntry

# One time for everything, so that a layer depends on content only. Not 0: zip files know no time before 1980.
MTIME = 315_532_800
_BLOCK_BYTES = 1024 * 1024
# Two blocks of zeros end an archive (POSIX pax).
_END = bytes(2 * tarfile.BLOCKSIZE)


def tar_stream(directory: ModelDirectory, *, prefix: str) -> Iterator[bytes]:
    """Yield the archive that unpacks, at `/`, to the model directory at *prefix*.

    Everything belongs to root and can be read by everybody; the folders that lead to *prefix* are in it, too.

    Args:
        directory: As it was read and digested.
        prefix: Absolute path: `/opt/ml/model`.

    Raises:
        ModelDirectoryError: A file is not any more what was digested; nobody may use what was unpacked so far.
    """
    root = PurePosixPath(prefix.lstrip("/"))
    places = {file.path: root / file.path for file in directory.files}
    folders = {parent for place in places.values() for parent in place.parents if parent.name}
    for folder in sorted({root, *folders}):
        yield _header(f"{folder}/", kind=tarfile.DIRTYPE, mode=0o755)
    for file in directory.files:
        yield _header(str(places[file.path]), size=file.size)
        yield from _content(directory, file)
        # Never an empty piece: in a chunked upload it would mean the end.
        if padding := -file.size % tarfile.BLOCKSIZE:
            yield bytes(padding)
    yield _END


def _header(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, size: int = 0) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, MTIME
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8")


def _content(directory: ModelDirectory, file: FileEntry) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), file.size
    with open_regular(directory.path / file.path) as stream:
        # One byte more than there should be, so that a file that grew is seen.
        while block := stream.read(min(_BLOCK_BYTES, left + 1)):
            left -= len(block)
            if left < 0:
                break
            digest.update(block)
            yield block
    if left or digest.hexdigest() != file.sha256:
        raise ModelDirectoryError(f"{directory.path / file.path} changed while it was copied", hint="try again")
