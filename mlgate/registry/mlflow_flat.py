"""One file of a run, in MLflow's artifact stores and in one without folders: the package in which GitLab keeps a run's files.

GitLab's takes and gives single files by their name; it refuses folders, and MLflow's client can not list it.
"""

import posixpath
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

_NOT_FOUND = 404
_SEPARATOR = "--"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file that is there.

    Attributes:
        path: As it was asked for.
        file_size: Bytes; `None` where the store does not tell.
    """

    path: str
    file_size: int | None


class FlatStore:
    """MLflow's HTTP artifact repository over a store without folders: `mlgate/load/a.csv` is `mlgate--load--a.csv`.

    Args:
        store: MLflow's `HttpArtifactRepository`.
        location: The artifact URI of the run.
    """

    def __init__(self, store: Any, location: str) -> None:
        self._store = store
        self._location = location

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Upload one file, its folder in its name."""
        name = Path(local_file).name
        with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
            # MLflow takes the name of the file that it reads.
            link = Path(folder) / _flat(f"{artifact_path}/{name}" if artifact_path else name)
            link.symlink_to(Path(local_file).resolve())
            self._store.log_artifact(str(link))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._store._download_file(_flat(remote_file_path), local_path)  # noqa: SLF001 - MLflow asks its plugins to write it

    def entry(self, name: str) -> Entry | None:
        """Return the file *name*, or `None`; a store that does not answer is an error."""
        from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415 - slow
        from mlflow.utils.rest_utils import augmented_raise_for_status, http_request  # noqa: PLC0415 - slow

        creds, place = get_default_host_creds(self._location.rstrip("/")), posixpath.join("/", _flat(name))
        with http_request(creds, place, "GET", stream=True, raise_on_status=False) as answer:
            if answer.status_code == _NOT_FOUND:
                return None
            augmented_raise_for_status(answer)
            size = answer.headers.get("Content-Length", "")
        return Entry(path=name, file_size=int(size) if size.isdecimal() else None)


def is_flat(location: str) -> bool:
    """Return whether an artifact URI is a plain HTTP place: one that is not MLflow's own proxy has no listing."""
    return urlparse(location).scheme in ("http", "https") and "/mlflow-artifacts/artifacts" not in location


def entry_of(store: Any, name: str) -> Any:
    """Return what *store* says of one file, with `path` and `file_size`; `None` where it has none.

    A folder of that name is none: read as one, it would end the command of whoever reads all runs.
    """
    if isinstance(store, FlatStore):
        return store.entry(name)
    beside = store.list_artifacts(posixpath.dirname(name))
    return next((found for found in beside if found.path == name and not found.is_dir), None)


def _flat(name: str) -> str:
    return name.replace("/", _SEPARATOR)
