"""MLflow as the registry. Its imports stand inside functions: they take seconds.

The client gets explicit ids and never the fluent API, which keeps its state per thread. Everything a server answers is
taken for hostile: paths, sizes and types.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from tenacity import Retrying, retry_if_exception, stop_after_attempt

from mlgate.errors import MlgateError, ModelNotFound, RegistryError
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry import mlflow_capabilities as capabilities
from mlgate.registry import mlflow_http as http
from mlgate.registry import tags as keys
from mlgate.registry.downloads import download
from mlgate.registry.interface import (
    WAIVER_FILE,
    WAIVERS,
    Capability,
    GateRun,
    LoggedDataset,
    StoredEvidence,
    StoredWaiver,
)
from mlgate.registry.local import copy_directory, directory_version, local_directory, registered
from mlgate.registry.mlflow_envelope import read_envelope
from mlgate.registry.mlflow_flat import FlatStore, entry_of, is_flat
from mlgate.registry.mlflow_inputs import link_inputs, read_dataset
from mlgate.registry.mlflow_lookup import Lookup, error_code
from mlgate.registry.mlflow_pace import keep_pace
from mlgate.registry.urls import without_credentials

# MLflow's own limits of one log-batch call.
_METRICS_A_CALL = 1000
_TAGS_A_CALL = 100
_MAX_EVIDENCE_BYTES = 64 * 1024 * 1024
_DOWNLOADS = 8
# Two first writers of one tag: MLflow reads, then inserts, and the database refuses the slower one.
_LOST_RACE = "UNIQUE constraint failed", "duplicate key value", "Duplicate entry"
_TRIES = 3
# A probe this young is believed; an older one is repeated, so that a server that died is found out quickly.
_PROBE_AGE_S = 15.0


class MlflowRegistry:
    """The MLflow tracking server and model registry. Nothing is asked before the first call.

    Args:
        tracking_uri: `http(s)://…`, `sqlite:///…`; `None` for what MLflow itself would use (`MLFLOW_TRACKING_URI`).
        registry_uri: `None` for `MLFLOW_REGISTRY_URI`, else the tracking URI.
    """

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self._given_tracking_uri = tracking_uri
        self._given_registry_uri = registry_uri
        self._lock = threading.Lock()
        self._probed_at: float | None = None
        self._experiment_of_run: dict[str, str] = {}
        self._known: dict[Capability, str] = {}

    @property
    def uri(self) -> str:
        """Return where the registry is, without credentials."""
        return without_credentials(self._registry_uri)

    @cached_property
    def _tracking_uri(self) -> str:
        named = self._given_tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if named:
            return named
        import mlflow  # noqa: PLC0415 - slow

        return str(mlflow.get_tracking_uri())

    @cached_property
    def _registry_uri(self) -> str:
        return self._given_registry_uri or os.environ.get("MLFLOW_REGISTRY_URI") or self._tracking_uri

    @cached_property
    def _client(self) -> Any:
        from mlflow import MlflowClient  # noqa: PLC0415 - slow

        keep_pace()
        return MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._registry_uri)

    @contextmanager
    def _calling(self, doing: str) -> Iterator[Any]:
        """Yield the client, with bounded retries; whatever it raises becomes one line about *doing*."""
        with http.bounded():
            try:
                with self._lock:
                    if self._probed_at is None or time.monotonic() - self._probed_at > _PROBE_AGE_S:
                        for address in dict.fromkeys((self._tracking_uri, self._registry_uri)):
                            http.probe(address)
                        self._probed_at = time.monotonic()
                    client = self._client
                yield client
            except MlgateError:
                raise
            # A hostile or half-dead server makes the client raise anything, from KeyError to protobuf's own errors.
            except Exception as error:  # noqa: BLE001 - see above
                self._probed_at = None
                raise RegistryError(
                    f"{self.uri}: {doing}: {http.in_short(error)}", hint=http.hint(error, self.uri)
                ) from (None if self._holds_credentials else error)

    @property
    def _holds_credentials(self) -> bool:
        # A traceback with --debug shows the client's own messages, which repeat the address as it was given.
        return any(without_credentials(address) != address for address in (self._tracking_uri, self._registry_uri))

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """Return the version that *uri* names now."""
        if uri.directory is not None:
            return directory_version(uri)
        with self._calling(f"looking up {uri.text}") as client:
            return Lookup(client, self.uri).resolve(uri)

    def fetch(self, version: ModelVersion, destination: Path, *, progress: bool = False) -> None:
        """Download the artifacts of *version* into the empty folder *destination*, and nothing else."""
        directory = local_directory(version)
        if directory is not None:
            copy_directory(directory, destination)
            return
        with self._calling(f"downloading {version.uri}"):
            parsed = urlparse(version.location)
            if parsed.scheme in ("", "file"):  # a store without a server, or one that shares a disk with us
                copy_directory(Path(unquote(parsed.path) if parsed.scheme else version.location), destination)
                return
            try:
                count = download(self._artifacts(version.location), destination, progress=progress)
            except RegistryError as error:
                raise RegistryError(f"{version.uri} in {self.uri}: {error.message}", hint=error.hint) from error
            if not count:
                raise ModelNotFound(f"{version.uri} has no artifacts in {self.uri}")

    def _artifacts(self, location: str) -> Any:
        from mlflow.store.artifact import artifact_repository_registry as repositories  # noqa: PLC0415 - slow

        store = repositories.get_artifact_repository(
            location, tracking_uri=self._tracking_uri, registry_uri=self._registry_uri
        )
        return FlatStore(store, location) if is_flat(location) else store

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return alias to version for a registered model."""
        with self._calling(f"reading the aliases of {name}") as client:
            found = Lookup(client, self.uri).model(name).aliases
            return {str(alias): str(version) for alias, version in found.items()}

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point *alias* at *version*: unconditional in MLflow, so read it back afterwards."""
        with self._calling(f"setting alias {alias} of {name}") as client:
            uri = f"models:/{name}/{version}"
            # MLflow lets an alias point at a version that is gone.
            Lookup(client, self.uri).resolve(ModelUri(text=uri, name=name, version=version))
            client.set_registered_model_alias(name, alias, version)

    def versions(self, name: str) -> Sequence[str]:
        """Return the version numbers of a registered model, newest first."""
        with self._calling(f"listing the versions of {name}") as client:
            lookup = Lookup(client, self.uri)
            numbers = lookup.versions(name)
            if not numbers:
                lookup.model(name)
            return numbers

    def tags(self, version: ModelVersion) -> Mapping[str, str]:
        """Return the tags of a registered version."""
        return {str(key): str(value) for key, value in self._read(version).tags.items()}

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags one after another, in the order given."""
        name, number = registered(version)
        with self._calling(f"tagging {version.uri}") as client:
            lookup = Lookup(client, self.uri)
            for key, value in tags.items():
                write = partial(client.set_model_version_tag, name, number, key, value)
                lookup.found(version.uri, partial(_again_after_a_race, write))

    def description(self, version: ModelVersion) -> str:
        """Return the description of a registered version as it stands now."""
        return str(self._read(version).description or "")

    def set_description(self, version: ModelVersion, text: str) -> None:
        """Replace the description of a registered version."""
        name, number = registered(version)
        with self._calling(f"describing {version.uri}") as client:
            Lookup(client, self.uri).found(
                version.uri, lambda: client.update_model_version(name, number, description=text)
            )

    def _read(self, version: ModelVersion) -> Any:
        name, number = registered(version)
        with self._calling(f"reading {version.uri}") as client:
            return Lookup(client, self.uri).found(version.uri, lambda: client.get_model_version(name, number))

    def datasets(self, version: ModelVersion) -> Sequence[LoggedDataset]:
        """Return the datasets that are logged on the run that made *version*."""
        run_id = version.source_run_id
        if run_id is None:
            return ()
        with self._calling(f"reading the datasets of run {run_id}") as client:
            run = Lookup(client, self.uri).found(f"run {run_id}", lambda: client.get_run(run_id), also_invalid=True)
            inputs = run.inputs.dataset_inputs if run.inputs else ()
            return tuple(read_dataset(found) for found in inputs)

    def publish(self, run: GateRun) -> str:
        """Store a gate run: artifacts, then `evidence.json`, then metrics and tags, and only then "finished".

        A run that is killed on the way stays "running", and `evidence()` returns finished ones only.
        """
        with self._calling(f"publishing the gate run of {run.version.uri}") as client:
            experiment_id = self._experiment(client, keys.experiment_name(run.version.name, run.shelf))
            created = client.create_run(experiment_id, tags=dict(keys.RUN_TYPE), run_name=run.name)
            run_id = str(created.info.run_id)
            try:
                self._upload(str(created.info.artifact_uri), run.folder)
                link_inputs(client, run_id, run)
                self._log(client, run_id, run)
                client.set_terminated(run_id, "FINISHED")
            except BaseException:
                with suppress(Exception):  # what went wrong first is what is told
                    client.set_terminated(run_id, "FAILED")
                raise
            self._experiment_of_run[run_id] = experiment_id
            return run_id

    def _experiment(self, client: Any, name: str) -> str:
        for _ in range(2):
            found = client.get_experiment_by_name(name)
            if found is not None:
                if found.lifecycle_stage != "active":
                    raise RegistryError(
                        f"{self.uri}: experiment '{name}' is deleted",
                        hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
                    )
                return str(found.experiment_id)
            try:
                return str(client.create_experiment(name))
            except Exception as error:
                if error_code(error) != "RESOURCE_ALREADY_EXISTS":  # else another run was faster: read again
                    raise
        raise RegistryError(f"{self.uri}: experiment '{name}' exists and can not be read")

    def _upload(self, location: str, folder: Path) -> None:
        store = self._artifacts(location)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        # evidence.json makes the rest count, so it goes last.
        files.sort(key=lambda path: path == folder / keys.EVIDENCE_FILE)
        for path in files:
            below = path.parent.relative_to(folder).as_posix()
            store.log_artifact(str(path), keys.FOLDER if below == "." else f"{keys.FOLDER}/{below}")

    def _log(self, client: Any, run_id: str, run: GateRun) -> None:
        from mlflow.entities import Metric, RunTag  # noqa: PLC0415 - slow

        now_ms = int(time.time() * 1000)
        metrics = [Metric(key, value, now_ms, 0, model_id=run.version.model_id) for key, value in run.metrics.items()]
        for start in range(0, len(metrics), _METRICS_A_CALL):
            client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_CALL])
        tags = [RunTag(key, value) for key, value in run.tags.items()]
        for start in range(0, len(tags), _TAGS_A_CALL):
            client.log_batch(run_id, tags=tags[start : start + _TAGS_A_CALL])

    def evidence(self, name: str, *, artifact_digest: str | None = None, limit: int = 200) -> Sequence[StoredEvidence]:
        """Return the finished gate runs' `evidence.json` for a registered model, newest first."""
        with self._calling(f"reading the evidence of {name}") as client:
            narrowed = {} if artifact_digest is None else {"artifact_digest": artifact_digest}
            finished = list(islice(Lookup(client, self.uri).gate_runs(name, **narrowed), limit))
            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                return tuple(found for found in pool.map(self._stored, finished) if found is not None)

    def waivers(self, name: str, *, limit: int = 200) -> Sequence[StoredWaiver]:
        """Return the waivers of a registered model's versions, newest first."""
        with self._calling(f"reading the waivers of {name}") as client:
            finished = list(islice(Lookup(client, self.uri).gate_runs(name, shelf=WAIVERS), limit))
            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                return tuple(found for found in pool.map(self._waiver, finished) if found is not None)

    def _waiver(self, run: Any) -> StoredWaiver | None:
        with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
            envelope = read_envelope(self._artifacts(str(run.info.artifact_uri)), Path(folder), WAIVER_FILE)
        return None if envelope is None else StoredWaiver(run_id=str(run.info.run_id), envelope=envelope)

    def challengers(self, name: str, data_digest: str) -> frozenset[str]:
        """Return the artifact digests of what was judged on these data."""
        with self._calling(f"counting what was judged on the data of {name}") as client:
            runs = Lookup(client, self.uri).gate_runs(name, data=data_digest)
            found = [
                run.data.tags.get(keys.ARTIFACT_DIGEST) for run in runs if run.data.tags.get(keys.DATA) == data_digest
            ]
            return frozenset(str(digest) for digest in found if digest)

    def _stored(self, run: Any) -> StoredEvidence | None:
        """Return a run's evidence; `None` where it has none. A store that does not answer is an error, not "none"."""
        store, name = self._artifacts(str(run.info.artifact_uri)), f"{keys.FOLDER}/{keys.EVIDENCE_FILE}"
        with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
            target = Path(folder) / keys.EVIDENCE_FILE
            try:
                store._download_file(name, str(target))  # noqa: SLF001 - the method MLflow asks its plugins to write
            except Exception:
                if entry_of(store, name) is not None:
                    raise
                return None
            if target.stat().st_size > _MAX_EVIDENCE_BYTES:
                raise RegistryError(
                    f"{self.uri}: the evidence of run {run.info.run_id} is over {_MAX_EVIDENCE_BYTES} bytes"
                )
            return StoredEvidence(
                run_id=str(run.info.run_id),
                raw=target.read_bytes(),
                claimed_digest=run.data.tags.get(keys.EVIDENCE),
                envelope=read_envelope(store, Path(folder)),
            )

    def run_file(self, run_id: str, path: str, destination: Path) -> bool:
        """Download one file of a gate run."""
        with self._calling(f"reading {path} of run {run_id}") as client:
            store, name = self._artifacts(str(client.get_run(run_id).info.artifact_uri)), f"{keys.FOLDER}/{path}"
            if entry_of(store, name) is None:
                return False
            store._download_file(name, str(destination))  # noqa: SLF001 - as in _stored
            return True

    def run_url(self, run_id: str) -> str | None:
        """Return the page of a run in MLflow's UI; `None` where nothing serves one."""
        # GitLab's pages are elsewhere.
        if not self._tracking_uri.startswith(("http://", "https://")) or "/api/v4/projects/" in self._tracking_uri:
            return None
        if run_id not in self._experiment_of_run:
            with self._calling(f"reading run {run_id}") as client:
                run = Lookup(client, self.uri).found(f"run {run_id}", lambda: client.get_run(run_id))
                self._experiment_of_run[run_id] = str(run.info.experiment_id)
        place = without_credentials(self._tracking_uri).rstrip("/")
        return f"{place}/#/experiments/{self._experiment_of_run[run_id]}/runs/{run_id}"

    def capabilities(self) -> Mapping[str, str]:
        """Return what the registry answers to, asked without writing."""
        with self._calling("asking what it can") as client:
            return capabilities.describe(client, self._tracking_uri, {one: self._has(one) for one in Capability})

    def lacks(self, *needed: Capability) -> tuple[Capability, ...]:
        """Return which of *needed* the registry says it has no place for."""
        with self._calling("asking what it can"):
            return tuple(one for one in needed if capabilities.absent(self._has(one)))

    def _has(self, capability: Capability) -> str:
        if capability not in self._known:
            self._known[capability] = capabilities.probe(capability, self._tracking_uri, self._registry_uri)
        return self._known[capability]


def _again_after_a_race(write: Callable[[], Any]) -> Any:
    """Call *write*, which may be repeated, once more where it lost a race: by then the row is there to be updated."""
    retrying = Retrying(stop=stop_after_attempt(_TRIES), retry=retry_if_exception(_lost_race), reraise=True)
    return retrying(write)


def _lost_race(error: BaseException) -> bool:
    return any(sign in str(error) for sign in _LOST_RACE)
