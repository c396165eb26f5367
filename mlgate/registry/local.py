"""Model directories on this machine: they need no registry, and have no place for tags or evidence."""

import shutil
from pathlib import Path

from mlgate.artifacts.directory import digest_files, open_regular, require_mlmodel, walk
from mlgate.artifacts.hashing import Watch
from mlgate.errors import ModelNotFound, UriError
from mlgate.evidence import FileEntry
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry.interface import StoredFile


def directory_version(uri: ModelUri) -> ModelVersion:
    """Return the version that a directory URI names: never promotable."""
    if uri.directory is None:
        raise UriError(f"'{uri.text}' is no directory")
    place = str(uri.directory)
    return ModelVersion(uri=place, name=None, version=None, model_id=None, source_run_id=None, location=place)


def local_directory(version: ModelVersion) -> Path | None:
    """Return the directory of a version that was named by its directory; `None` for any version of a registry.

    A registry may answer with a local path too; that one is read through the registry's client.
    """
    return Path(version.location) if version.uri == version.location and Path(version.location).is_absolute() else None


def copy_directory(source: Path, destination: Path) -> None:
    """Copy the model's files into the existing folder *destination*.

    Raises:
        ModelNotFound: There is no such directory.
        ModelDirectoryError: It holds a link or a special file.
    """
    for name in _names(source):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(source / name) as read, target.open("xb") as write:
            shutil.copyfileobj(read, write, 1024 * 1024)


def digest_directory(source: Path, watch: Watch | None) -> tuple[FileEntry, ...]:
    """Return the model's files where they lie.

    Raises:
        ModelNotFound: There is no such directory.
        ModelDirectoryError: It holds a link or a special file, or one that changed meanwhile.
    """
    return digest_files(source, _names(source), watch=watch)


def list_directory(source: Path) -> tuple[StoredFile, ...]:
    """Return the model's files as the file system lists them.

    Raises:
        ModelNotFound: There is no such directory.
        ModelDirectoryError: It holds a link or a special file.
    """
    found = []
    for name in _names(source):
        state = (source / name).lstat()
        # The time of change too: unlike that of modification, no program sets it.
        marker = f"{state.st_dev}-{state.st_ino}-{state.st_mtime_ns}-{state.st_ctime_ns}"
        changed_at = max(state.st_mtime, state.st_ctime)
        found.append(StoredFile(path=name, size=state.st_size, marker=marker, changed_at=changed_at))
    return tuple(found)


def _names(source: Path) -> tuple[str, ...]:
    if not source.is_dir():
        raise ModelNotFound(
            f"there is no directory {source} on this machine",
            hint="if it is on the MLflow server: mlflow server --serve-artifacts hands artifacts out",
        )
    # Before the first byte: a registry may name any folder of this machine, and a person may name the wrong one.
    require_mlmodel(source)
    return walk(source)


def registered(version: ModelVersion) -> tuple[str, str]:
    """Return name and version number of a registered version.

    Raises:
        UriError: It is none, so there is no place for tags, aliases or a description.
    """
    if version.name is None or version.version is None:
        raise UriError(
            f"{version.uri} is no registered version and has no tags", hint="register it, then name models:/…"
        )
    return version.name, version.version
