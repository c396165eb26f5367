"""Where evaluation data are: files of this machine or of S3, in a fixed order, with what tells that one has changed."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from mlgate.errors import DataError
from mlgate.evaluation import object_store
from mlgate.evaluation.object_store import SCHEME

SUFFIXES = (".parquet", ".csv", ".feather", ".arrow", ".ipc")
MAX_FILES = 100_000
_WILD = re.compile(r"[*?\[]")
_BLOCK = 4 * 1024 * 1024
_KINDS = f"there are {', '.join(SUFFIXES)}"

Stamp = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One file. It holds no credentials, so that it may travel to another process.

    Attributes:
        path: Absolute path, or bucket and key.
        remote: Whether it is in S3.
        stamp: What changes when the content does.
    """

    path: str
    remote: bool
    stamp: Stamp

    @property
    def name(self) -> str:
        """Its place, for messages."""
        return f"{SCHEME}{self.path}" if self.remote else self.path

    @property
    def suffix(self) -> str:
        """`.csv` and the like, in small letters."""
        return PurePosixPath(self.path).suffix.lower()

    def open(self) -> Any:
        """Return a seekable stream of its bytes: pyarrow's, which lets go of Python while it reads."""
        from pyarrow import OSFile  # noqa: PLC0415 - 0.2 s that a run without data need not pay

        return object_store.file_system().open_input_file(self.path) if self.remote else OSFile(self.path)

    def stamp_now(self) -> Stamp:
        """Return the stamp as it is now.

        Raises:
            OSError: It is gone, or can not be asked.
        """
        if self.remote:
            return _remote_stamp(object_store.file_system(), self.path)
        return _local_stamp(self.path)

    def digest(self) -> bytes:
        """Return SHA-256 of its bytes, read block by block."""
        digest = hashlib.sha256()
        with self.open() as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.digest()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Make sure that the file is the same before and after the block.

        What can not be read becomes one line.

        Raises:
            DataError: It changed since it was found, or can not be read.
        """
        with self.reading():
            self._check()
            yield
            self._check()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn whatever reading raises into one line.

        Raises:
            DataError: With the file's name.
        """
        try:
            yield
        except FileNotFoundError as error:
            raise (self.remote and object_store.trouble(error, self.name)) or self.changed() from None
        # Arrow's own errors are ValueError, OSError, KeyError and NotImplementedError by kind.
        except (OSError, ValueError, KeyError, NotImplementedError, OverflowError) as error:
            told = object_store.trouble(error, self.name) if self.remote else None
            if told is not None:
                raise told from None
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"{self.name}: can not be read ({first[:300]})") from error

    def _check(self) -> None:
        if self.stamp_now() != self.stamp:
            raise self.changed()

    def changed(self) -> DataError:
        """Say that the file is not what it was."""
        return DataError(
            f"{self.name}: changed while it was read",
            hint="the models must see the same rows: write new data elsewhere",
        )


def find_files(source: str, folder: Path) -> tuple[DataFile, ...]:
    """Return the data files that *source* names, in the order of their paths.

    A folder is searched with its subfolders, but for names that begin with "." or "_" (Spark's markers) and files of
    other kinds. `*`, `?` and `[…]` stay within one name; `**` stands for any folders.

    Args:
        source: A file, a folder, a glob, or any of these as `s3://bucket/…`.
        folder: Relative paths start here.

    Raises:
        DataError: There are none, or they can not be asked for.
    """
    if source.startswith(SCHEME):
        return _remote_files(source)
    if source.startswith("file://"):
        source = unquote(urlsplit(source).path)
    elif re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", source):
        scheme = source.partition(":")[0]
        raise DataError(
            f"{scheme} addresses can not be read; there are files, folders, globs and s3://…",
            hint="download it beside the policy",
        )
    return _local_files(source, folder)


def _local_files(source: str, folder: Path) -> tuple[DataFile, ...]:
    path = Path(os.path.abspath(folder / Path(source).expanduser()))  # noqa: PTH100 - resolve() would follow links
    try:
        if not path.exists() and _WILD.search(source):
            base, pattern = _split(path.as_posix())
            found = [name for name in _walk(Path(base)) if pattern.fullmatch(name) and not _hidden(name, base, ".")]
        elif path.is_dir():
            found = [name for name in _walk(path) if not _hidden(name, path.as_posix(), "._")]
        else:
            if not path.is_file():
                raise DataError(f"{path}: no such data file", hint="accuracy.data is relative to the policy file")
            _check_kind(path.as_posix(), path.as_posix())
            found = [path.as_posix()]
        files = [DataFile(path=name, remote=False, stamp=_local_stamp(name)) for name in _data_files(found, str(path))]
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: can not be read ({told})") from error
    return tuple(files)


def _walk(folder: Path) -> Iterator[str]:
    # Links to folders are not followed: they may lead in a circle.
    for place, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            yield f"{Path(place).as_posix().rstrip('/')}/{name}"


def _raise(error: OSError) -> None:
    raise error


def _local_stamp(path: str) -> Stamp:
    found = os.stat(path)  # noqa: PTH116 - the path is text everywhere else
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(path)
    # The time of change too: the time of modification can be set back.
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _remote_files(source: str) -> tuple[DataFile, ...]:
    path = source.removeprefix(SCHEME).rstrip("/")
    bucket = path.partition("/")[0]
    if not bucket or _WILD.search(bucket):
        raise DataError(f"{source}: names no bucket", hint="s3://bucket/key")
    from pyarrow import fs  # noqa: PLC0415 - as above

    try:
        store = object_store.file_system()
        info = store.get_file_info(path)
        if info.type is fs.FileType.File:
            _check_kind(path, source)
            found = [path]
        elif info.type is fs.FileType.Directory:
            found = [name for name in _listed(store, path) if not _hidden(name, path, "._")]
        elif _WILD.search(path):
            base, pattern = _split(path)
            found = [name for name in _listed(store, base) if pattern.fullmatch(name) and not _hidden(name, base, ".")]
        else:
            raise _nothing_there(store, bucket, source)
        files = [
            DataFile(path=name, remote=True, stamp=_remote_stamp(store, name)) for name in _data_files(found, source)
        ]
    except (OSError, ValueError) as error:
        told = object_store.trouble(error, source)
        raise (told or DataError(f"{source}: can not be read")) from None
    return tuple(files)


def _nothing_there(store: Any, bucket: str, source: str) -> DataError:
    from pyarrow import fs  # noqa: PLC0415 - as above

    if store.get_file_info(bucket).type is fs.FileType.NotFound:
        return object_store.no_bucket(source)
    return DataError(
        f"{source}: no such key in the bucket", hint="a prefix ends at a '/', or is a glob: part-*.parquet"
    )


def _listed(store: Any, prefix: str) -> list[str]:
    from pyarrow import fs  # noqa: PLC0415 - as above

    found = store.get_file_info(fs.FileSelector(prefix, recursive=True, allow_not_found=True))
    names = [info.path for info in found if info.type is fs.FileType.File]
    if not names and store.get_file_info(prefix.partition("/")[0]).type is fs.FileType.NotFound:
        raise object_store.no_bucket(f"{SCHEME}{prefix}")
    return names


def _remote_stamp(store: Any, path: str) -> Stamp:
    with store.open_input_file(path) as stream:
        facts = stream.metadata()
        # An ETag follows the content; the time of a store that has none has seconds only.
        return (
            stream.size(),
            facts.get(b"ETag", facts.get("ETag")),
            facts.get(b"Last-Modified", facts.get("Last-Modified")),
        )


def _data_files(names: list[str], place: str) -> list[str]:
    kept = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    if not kept:
        raise DataError(f"{place}: no {', '.join(SUFFIXES)} file there")
    if len(kept) > MAX_FILES:
        raise DataError(f"{place}: more than {MAX_FILES} files")
    kinds = sorted({PurePosixPath(name).suffix.lower() for name in kept})
    if len(kinds) > 1 and not set(kinds) <= {".feather", ".arrow", ".ipc"}:
        raise DataError(f"{place}: files of several kinds ({', '.join(kinds)})", hint="name one kind: *.parquet")
    return kept


def _check_kind(name: str, place: str) -> None:
    if not name.lower().endswith(SUFFIXES):
        raise DataError(f"{place}: unknown kind; {_KINDS}")


def _hidden(name: str, base: str, marks: str) -> bool:
    below = name.removeprefix(base).strip("/").split("/")
    return any(part[:1] in marks for part in below if part)


def _split(path: str) -> tuple[str, re.Pattern[str]]:
    """Return the folder above the first wildcard, and the pattern of the whole path."""
    base = _WILD.split(path, maxsplit=1)[0].rpartition("/")[0]
    parts, rest = [], path
    while rest:
        if rest.startswith("**/"):
            part, rest = "(?:[^/]+/)*", rest[3:]
        elif rest.startswith("**"):
            part, rest = ".*", rest[2:]
        elif match := re.match(r"\[([!^]?)([^\]]+)\]", rest):
            inner = re.escape(match[2]).replace(r"\-", "-")
            part, rest = f"[{'^' if match[1] else ''}{inner}]", rest[match.end() :]
        else:
            part, rest = {"*": "[^/]*", "?": "[^/]"}.get(rest[0], re.escape(rest[0])), rest[1:]
        parts.append(part)
    return base or "/", re.compile("".join(parts))
