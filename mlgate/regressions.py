"""The folder `properties.regressions`: saved failures that are tried again at every run."""

from collections.abc import Mapping
from pathlib import Path

from mlgate.errors import ConfigError, PolicyError
from mlgate.failure import Failure, FailureFileError, read_failure


def regression_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of *folder*, at any depth, in the order of their names; hidden ones are none."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path for path in files if not _is_hidden(path.relative_to(folder))))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_regressions(folder: Path, *, name: str) -> Mapping[str, Failure]:
    """Read every saved failure of a folder.

    Args:
        folder: Where they are.
        name: The folder as the policy spells it; file names begin with it.

    Returns:
        File name to failure, in the order of the names.

    Raises:
        PolicyError: No such folder, or a file in it that is no saved failure: none is left out silently.
    """
    if not folder.is_dir():
        raise PolicyError(
            f"properties.regressions: {name} is no folder",
            hint="paths are relative to the policy file; make it, or remove the key",
        )
    return {label: _read(path, label) for path in regression_files(folder) if (label := _label(path, folder, name))}


def read_saved(path: Path) -> Failure:
    """Read one saved failure.

    Raises:
        ConfigError: It can not be read, or is none.
    """
    try:
        return read_failure(path.read_bytes(), name=str(path))
    except OSError as error:
        raise ConfigError(f"{path}: can not be read ({error.strerror})", hint="a file of failures/") from error


def _label(path: Path, folder: Path, name: str) -> str:
    return str(Path(name) / path.relative_to(folder))


def _read(path: Path, label: str) -> Failure:
    try:
        return read_failure(path.read_bytes(), name=label)
    except OSError as error:
        raise PolicyError(f"properties.regressions: {label} can not be read ({error.strerror})") from error
    except FailureFileError as error:
        hint = "only files that mlgate saved belong there"
        raise PolicyError(f"properties.regressions: {error.message}", hint=hint) from error
