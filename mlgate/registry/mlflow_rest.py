"""What mlgate reads of an MLflow server, over its REST interface: for a gate that need not import MLflow, which takes seconds.

`RestClient` answers what `Lookup` asks of an `MlflowClient`, with the same names and the same codes of errors, and `RestStore`
what is asked of an artifact repository. A server's answer is taken for hostile: what is missing or of another kind is empty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import requests

from mlgate.registry import mlflow_http as http

_PROXIED = "mlflow-artifacts:"
_BLOCK_BYTES = 1024 * 1024


class RestError(Exception):
    """An answer that is none; `error_code` is MLflow's, or empty."""

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code


class _Page(list[Any]):
    """One page of a list, with the `token` of the next."""

    def __init__(self, entries: Any, make: Callable[[Any], Any], token: Any) -> None:
        super().__init__(make(entry) for entry in _list(entries))
        self.token = token or None


class RestClient:
    """The reading part of an `MlflowClient`.

    Args:
        address: `http(s)://…`, the tracking server that is also the registry.
    """

    def __init__(self, address: str) -> None:
        self._base = f"{address.rstrip('/')}/api/2.0"
        self._session = http.patient_session()

    def ask(self, place: str, body: Mapping[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Return the JSON object at *place*, asked with *body* (POST) or *params* (GET).

        Raises:
            RestError: The server answers with an error, or with something else.
        """
        url = f"{self._base}/{place}"
        if body is None:
            return _object(self._session.get(url, params=params, timeout=http.timeout_s()))
        return _object(self._session.post(url, json=body, timeout=http.timeout_s()))

    def send(self, method: str, place: str) -> requests.Response:
        """Return an answer with its body still to be read.

        Raises:
            RestError: As for `ask`.
        """
        found = self._session.request(method, f"{self._base}/{place}", stream=True, timeout=http.timeout_s())
        if not found.ok:
            with found:
                _object(found)
        return found

    def get_registered_model(self, name: str) -> Any:
        """Return name and aliases."""
        return _model(_dict(self.ask("mlflow/registered-models/get", name=name).get("registered_model")))

    def search_registered_models(self, max_results: int, page_token: str | None = None) -> _Page:
        """Return a page of models."""
        found = self.ask("mlflow/registered-models/search", max_results=max_results, page_token=page_token)
        return _Page(found.get("registered_models"), lambda entry: _model(_dict(entry)), found.get("next_page_token"))

    def get_model_version(self, name: str, version: str) -> Any:
        """Return one version."""
        return _version(self.ask("mlflow/model-versions/get", name=name, version=version).get("model_version"))

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        """Return the version that an alias points at."""
        return _version(self.ask("mlflow/registered-models/alias", name=name, alias=alias).get("model_version"))

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return where its artifacts are."""
        found = self.ask("mlflow/model-versions/get-download-uri", name=name, version=version)
        return str(found.get("artifact_uri") or "")

    def search_model_versions(
        self, filter_string: str, max_results: int, page_token: str | None, order_by: Sequence[str] = ()
    ) -> _Page:
        """Return a page of versions."""
        place = "mlflow/model-versions/search"
        asked: dict[str, Any] = {
            "filter": filter_string,
            "max_results": max_results,
            "page_token": page_token,
            "order_by": order_by,
        }
        found = self.ask(place, **asked)
        return _Page(found.get("model_versions"), _version, found.get("next_page_token"))

    def get_logged_model(self, model_id: str) -> Any:
        """Return a logged model."""
        return _logged(self.ask(f"mlflow/logged-models/{quote(model_id, safe='')}").get("model"))

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str,
        order_by: Sequence[Mapping[str, Any]],
        max_results: int,
        page_token: str | None,
    ) -> _Page:
        """Return a page of logged models."""
        body = _search(experiment_ids, filter_string, order_by, max_results, page_token)
        found = self.ask("mlflow/logged-models/search", body)
        return _Page(found.get("models"), _logged, found.get("next_page_token"))

    def get_run(self, run_id: str) -> Any:
        """Return a run."""
        return _run(self.ask("mlflow/runs/get", run_id=run_id).get("run"))

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str,
        max_results: int,
        order_by: Sequence[str],
        page_token: str | None,
    ) -> _Page:
        """Return a page of runs."""
        body = _search(experiment_ids, filter_string, order_by, max_results, page_token)
        found = self.ask("mlflow/runs/search", body)
        return _Page(found.get("runs"), _run, found.get("next_page_token"))

    def get_experiment_by_name(self, name: str) -> Any:
        """Return an experiment; `None` where there is none."""
        try:
            found = _dict(self.ask("mlflow/experiments/get-by-name", experiment_name=name).get("experiment"))
        except RestError as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return SimpleNamespace(
            experiment_id=found.get("experiment_id"), lifecycle_stage=found.get("lifecycle_stage") or "active"
        )

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[Any]:
        """Return what lies directly below *path* of a run."""
        found = self.ask("mlflow/artifacts/list", run_id=run_id, path=path)
        return [SimpleNamespace(path=_dict(entry).get("path")) for entry in _list(found.get("files"))]


class RestStore:
    """Artifacts that the server hands out itself.

    Args:
        client: Of the server.
        root: Below the server's artifacts, without a slash at either end.
    """

    def __init__(self, client: RestClient, root: str) -> None:
        self._client = client
        self._root = root

    @classmethod
    def at(cls, client: RestClient, location: str) -> "RestStore | None":
        """Return the artifacts at *location*; `None` where another server or a store of its own holds them."""
        path = location.removeprefix(_PROXIED)
        if path == location or (path.startswith("//") and not path.startswith("///")):
            return None
        return cls(client, path.strip("/"))

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        """Return entries with `path`, `is_dir` and `file_size` directly below *path*."""
        below = f"{path}/" if path else ""
        files = self._client.ask("mlflow-artifacts/artifacts", path=f"{self._root}/{below}".rstrip("/")).get(
            "files", []
        )
        return [_file(_dict(entry), below) for entry in _list(files)]

    def blocks(self, path: str) -> Iterator[bytes]:
        """Yield the content of a file."""
        with self._client.send("GET", self._place(path)) as found:
            yield from found.iter_content(_BLOCK_BYTES)

    def headers(self, path: str) -> Mapping[str, str]:
        """Return what the server says of a file without its content."""
        with self._client.send("HEAD", self._place(path)) as found:
            return found.headers

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        with Path(local_path).open("wb") as file:
            file.writelines(self.blocks(remote_file_path))

    def _place(self, path: str) -> str:
        return f"mlflow-artifacts/artifacts/{quote(f'{self._root}/{path}')}"


def _search(
    experiment_ids: Sequence[str], filter_string: str, order_by: Sequence[Any], max_results: int, token: str | None
) -> dict[str, Any]:
    body = {"experiment_ids": experiment_ids, "filter": filter_string, "order_by": order_by, "max_results": max_results}
    return {**body, **({"page_token": token} if token else {})}


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if answer.ok and isinstance(found, dict):
        return found
    said = f"HTTP {answer.status_code}"
    if isinstance(found, dict):
        raise RestError(str(found.get("error_code") or ""), f"{said} {found.get('message') or found}")
    # A server that does not know the endpoint answers with a page.
    code = "ENDPOINT_NOT_FOUND" if answer.status_code == requests.codes.not_found else ""
    raise RestError(code, f"{said} {answer.text}")


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _list(found: Any) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise RestError("", f"a list was asked for, and the server answers with {str(found)[:100]}")
    return found


def _pairs(found: Any, key: str = "key", value: str = "value") -> dict[str, str]:
    return {str(_dict(pair).get(key)): str(_dict(pair).get(value, "")) for pair in _list(found)}


def _model(found: Mapping[str, Any]) -> Any:
    return SimpleNamespace(name=found.get("name"), aliases=_pairs(found.get("aliases"), "alias", "version"))


def _version(entry: Any) -> Any:
    found = _dict(entry)
    fields = ("name", "source", "run_id", "description", "model_id")
    plain = {field: _text(found.get(field)) for field in fields}
    return SimpleNamespace(version=_text(found.get("version")), tags=_pairs(found.get("tags")), **plain)


def _logged(entry: Any) -> Any:
    info = _dict(_dict(entry).get("info"))
    plain = {field: _text(info.get(field)) for field in ("model_id", "name", "source_run_id")}
    return SimpleNamespace(artifact_location=_text(info.get("artifact_uri")), **plain)


def _run(entry: Any) -> Any:
    found = _dict(entry)
    info = _dict(found.get("info"))
    plain = {field: _text(info.get(field)) for field in ("run_id", "experiment_id", "artifact_uri", "status")}
    tags = _pairs(_dict(found.get("data")).get("tags"))
    return SimpleNamespace(
        info=SimpleNamespace(end_time=_number(info.get("end_time")), **plain), data=SimpleNamespace(tags=tags)
    )


def _file(entry: Mapping[str, Any], below: str) -> Any:
    path, size = entry.get("path"), entry.get("file_size")
    whole = f"{below}{path}" if isinstance(path, str) else path
    return SimpleNamespace(path=whole, is_dir=bool(entry.get("is_dir")), file_size=_number(size))


def _number(found: Any) -> Any:
    # protobuf writes a 64-bit number as text
    return int(found) if isinstance(found, str) and found.isdecimal() else found if isinstance(found, int) else None


def _text(found: Any) -> str:
    return found if isinstance(found, str) else "" if found is None else str(found)
