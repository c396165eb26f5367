"""Model directories on this machine: they need no registry, and have no place for tags or evidence."""

import shutil
from pathlib import Path

from mlgate.artifacts.directory import open_regular, require_mlmodel, walk
from mlgate.errors import ModelNotFound, UriError
from mlgate.model_version import ModelUri, ModelVersion


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
    if not source.is_dir():
        raise ModelNotFound(
            f"there is no directory {source} on this machine",
            hint="if it is on the MLflow server: mlflow server --serve-artifacts hands artifacts out",
        )
    # Before the first byte: a registry may name any folder of this machine, and a person may name the wrong one.
    require_mlmodel(source)
    for name in walk(source):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_regular(source / name) as read, target.open("xb") as write:
            shutil.copyfileobj(read, write, 1024 * 1024)


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
