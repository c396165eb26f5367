"""The cache of model directories, by content: `<cache>/models/sha256/<hex>/`."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mlgate.artifacts.directory import NOT_THE_MODEL, ModelDirectory, read_directory
from mlgate.errors import MlgateError, ModelDirectoryError, OutputError
from mlgate.model_version import ModelVersion
from mlgate.registry.interface import ModelRegistry
from mlgate.sandbox.session import is_dead, owner_of

# A fetch that still runs after a day is taken for a killed one where its process can not be looked at.
_LEFTOVER_S = 24 * 3600
_PARTIAL = ".fetch-"
# The sandbox reads as another user (65534), and nobody writes.
_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def default_cache() -> Path:
    """Return `$MLGATE_CACHE`, else `~/.cache/mlgate`."""
    named = os.environ.get("MLGATE_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "mlgate"


def fetch(
    registry: ModelRegistry, version: ModelVersion, cache_dir: Path | None = None, *, progress: bool = False
) -> ModelDirectory:
    """Bring the artifacts of *version* into the cache and read them there.

    A directory of this machine is copied too: what was digested is what is mounted, whatever its owner edits meanwhile.
    A fetch that is killed leaves nothing that counts; several at once all succeed.

    Args:
        registry: Where the version is.
        version: The version.
        cache_dir: Default: `default_cache()`.
        progress: Show a progress bar on standard error.

    Returns:
        The directory at its place in the cache.

    Raises:
        RegistryError: The store is unreachable, or answers with paths that leave the folder.
        ModelNotFound: There are no artifacts.
        ModelDirectoryError: They are no model directory that mlgate reads.
        OutputError: The cache can not be written, or the disk is full.
    """
    with scratch_folder(cache_dir) as partial:
        store = partial.parent / "sha256"
        store.mkdir(exist_ok=True)
        registry.fetch(version, partial, progress=progress)
        for name in NOT_THE_MODEL:
            if not (partial / name).is_dir():  # a folder of that name is the model's
                (partial / name).unlink(missing_ok=True)
        fetched = read_directory(partial)
        _open_modes(partial)
        return _install(fetched, store / fetched.digest.removeprefix("sha256:"))


@contextmanager
def scratch_folder(cache_dir: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder of the cache that goes away, also (at the next call) where this process is killed.

    Args:
        cache_dir: Default: `default_cache()`.

    Raises:
        OutputError: The cache can not be written, or the disk is full, now or while the folder is used.
    """
    models = (cache_dir or default_cache()) / "models"
    with _disk_errors(models):
        models.mkdir(parents=True, exist_ok=True)
        _sweep(models)
        folder = Path(tempfile.mkdtemp(dir=models, prefix=f"{_PARTIAL}{owner_of(os.getpid())}-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _install(fetched: ModelDirectory, place: Path) -> ModelDirectory:
    """Rename what was fetched to *place*, or keep what is there when its content is right."""
    for _ in range(10):
        try:
            fetched.path.rename(place)  # atomic; refuses a folder that is not empty
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return replace(fetched, path=place)
        if _is_intact(place, fetched.digest):
            return replace(fetched, path=place)
        # A mount of the wrong content keeps its files: only the name is taken away.
        trash = Path(tempfile.mkdtemp(dir=fetched.path.parent, prefix=_PARTIAL))
        try:
            place.rename(trash / "corrupt")
        except FileNotFoundError:
            pass  # another fetch was faster
        finally:
            shutil.rmtree(trash, ignore_errors=True)
    raise OutputError(f"{place} can not be replaced", hint="remove it by hand")


def _is_intact(place: Path, digest: str) -> bool:
    try:
        return read_directory(place).digest == digest
    except (ModelDirectoryError, OSError):
        return False


def _open_modes(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        Path(root).chmod(_FOLDER_MODE)
        for name in files:
            (Path(root) / name).chmod(_FILE_MODE)


def _sweep(models: Path) -> None:
    for leftover in models.glob(f"{_PARTIAL}*"):
        owner = leftover.name.removeprefix(_PARTIAL).rpartition("-")[0]
        try:
            old = is_dead(owner) or time.time() - leftover.stat().st_mtime > _LEFTOVER_S
        except FileNotFoundError:
            continue
        if old:
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, MlgateError) as error:
        cause = _disk_error(error)
        if cause is None:
            raise
        full = cause.errno in _FULL
        what = "the disk is full" if full else f"can not be written ({cause.strerror})"
        raise OutputError(f"cache {folder}: {what}", hint="free space, or set MLGATE_CACHE to another disk") from error


def _disk_error(error: BaseException | None) -> OSError | None:
    """Return the local disk's error behind *error*: MLflow's client wraps what its threads raise."""
    if isinstance(error, OSError):
        return error
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error
        error = error.__cause__ or error.__context__
    return None
