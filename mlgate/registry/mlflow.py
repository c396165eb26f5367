"""MLflow as the registry. It and `mlflow_gate_run` import mlflow, and only inside functions: the import takes seconds.

The client gets explicit ids and never the fluent API, which keeps its state per thread. Everything a server answers is
taken for hostile: paths, sizes and types.
"""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from mlgate.artifacts.hashing import Watch
from mlgate.errors import MlgateError, ModelNotFound, RegistryError
from mlgate.evidence import FileEntry
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry import mlflow_capabilities as capabilities
from mlgate.registry import mlflow_gate_run as gate_run
from mlgate.registry import mlflow_http as http
from mlgate.registry import mlflow_journal as journal
from mlgate.registry import tags as keys
from mlgate.registry.downloads import digest, download
from mlgate.registry.etags import list_store
from mlgate.registry.interface import (
    JOURNAL,
    WAIVERS,
    Capability,
    EventState,
    GateRun,
    LoggedDataset,
    StoredEvent,
    StoredEvidence,
    StoredFile,
    StoredWaiver,
)
from mlgate.registry.local import (
    copy_directory,
    digest_directory,
    directory_version,
    list_directory,
    local_directory,
    registered,
)
from mlgate.registry.mlflow_evidence import stored_evidence, stored_waiver
from mlgate.registry.mlflow_flat import FlatStore, entry_of, is_flat
from mlgate.registry.mlflow_lookup import Lookup, newest_runs
from mlgate.registry.mlflow_markers import MlflowMarkers
from mlgate.registry.mlflow_pace import keep_pace
from mlgate.registry.mlflow_race import again_after_a_race
from mlgate.registry.mlflow_rest import RestClient, RestStore
from mlgate.registry.urls import store_file, without_credentials

_DOWNLOADS = 8
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
        self._open = False
        self._experiment_of_run: dict[str, str] = {}
        self._known: dict[Capability, str] = {}

    @property
    def uri(self) -> str:
        """Return where the registry is, without credentials."""
        return without_credentials(self._registry_uri)

    @property
    def markers(self) -> MlflowMarkers:
        """Return the registered models that stand for no model."""
        return MlflowMarkers(self._calling)

    @property
    def store_file(self) -> Path | None:
        """Return the database file or folder, for a registry without a server."""
        return store_file(self._registry_uri)

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

    @cached_property
    def _reader(self) -> Any:
        """What reads: MLflow's client takes seconds to import, so a server that lets us in is asked without it."""
        plain = self._open and self._tracking_uri == self._registry_uri and not _is_gitlabs(self._tracking_uri)
        return RestClient(self._tracking_uri) if plain else self._client

    @contextmanager
    def _reading(self, doing: str) -> Iterator[Any]:
        """Yield what reads; otherwise as `_calling`."""
        with self._calling(doing, reading=True) as client:
            yield client

    @contextmanager
    def _calling(self, doing: str, *, reading: bool = False) -> Iterator[Any]:
        """Yield the client, with bounded retries; whatever it raises becomes one line about *doing*."""
        with http.bounded():
            try:
                with self._lock:
                    if self._probed_at is None or time.monotonic() - self._probed_at > _PROBE_AGE_S:
                        addresses = dict.fromkeys((self._tracking_uri, self._registry_uri))
                        self._open = all([http.probe(address) for address in addresses])  # noqa: C419 - every one of them is probed
                        self._probed_at = time.monotonic()
                    client = self._reader if reading else self._client
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
        with self._reading(f"looking up {uri.text}") as client:
            return Lookup(client, self.uri).resolve(uri)

    def fetch(self, version: ModelVersion, destination: Path, *, progress: bool = False) -> None:
        """Download the artifacts of *version* into the empty folder *destination*, and nothing else."""
        with self._stored(version, "downloading") as found:
            if isinstance(found, Path):
                copy_directory(found, destination)
            elif not download(found, destination, progress=progress):
                raise ModelNotFound(f"{version.uri} has no artifacts in {self.uri}")

    def digests(self, version: ModelVersion, scratch: Path, *, watch: Watch | None = None) -> Sequence[FileEntry]:
        """Read every byte of *version* in the store, now, and return its files."""
        with self._stored(version, "digesting", reading=True) as found:
            files = digest_directory(found, watch) if isinstance(found, Path) else digest(found, scratch, watch=watch)
            if not files:
                raise ModelNotFound(f"{version.uri} has no artifacts in {self.uri}")
            return files

    def listing(self, version: ModelVersion) -> Sequence[StoredFile] | None:
        """Return the files of *version* as the store lists them; `None` where it marks no content."""
        with self._stored(version, "listing", reading=True) as found:
            return list_directory(found) if isinstance(found, Path) else list_store(found)

    @contextmanager
    def _stored(self, version: ModelVersion, doing: str, *, reading: bool = False) -> Iterator[Any]:
        """Yield where the artifacts are: a folder of this machine, or an artifact repository."""
        directory = local_directory(version)
        if directory is not None:
            yield directory
            return
        with self._calling(f"{doing} {version.uri}", reading=reading) as client:
            parsed = urlparse(version.location)
            if parsed.scheme in ("", "file"):  # a store without a server, or one that shares a disk with us
                yield Path(unquote(parsed.path) if parsed.scheme else version.location)
                return
            try:
                yield self._artifacts(version.location, client)
            except RegistryError as error:
                raise RegistryError(f"{version.uri} in {self.uri}: {error.message}", hint=error.hint) from error

    def _artifacts(self, location: str, client: Any = None) -> Any:
        """Return the artifacts at *location*: by REST where *client* is, and the server hands them out."""
        served = RestStore.at(client, location) if isinstance(client, RestClient) else None
        if served is not None:
            return served
        from mlflow.store.artifact import artifact_repository_registry as repositories  # noqa: PLC0415 - slow

        store = repositories.get_artifact_repository(
            location, tracking_uri=self._tracking_uri, registry_uri=self._registry_uri
        )
        return FlatStore(store, location) if is_flat(location) else store

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return alias to version for a registered model."""
        with self._reading(f"reading the aliases of {name}") as client:
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
        with self._reading(f"listing the versions of {name}") as client:
            lookup = Lookup(client, self.uri)
            numbers = lookup.versions(name)
            if not numbers:
                lookup.model(name)
            return numbers

    def newest(self, name: str, limit: int) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Return the newest version numbers of a registered model with their tags, in one call."""
        with self._reading(f"listing the versions of {name}") as client:
            return Lookup(client, self.uri).newest(name, limit)

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
                lookup.found(version.uri, partial(again_after_a_race, write))

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
        with self._reading(f"reading {version.uri}") as client:
            return Lookup(client, self.uri).found(version.uri, lambda: client.get_model_version(name, number))

    def datasets(self, version: ModelVersion) -> Sequence[LoggedDataset]:
        """Return the datasets that are logged on the run that made *version*."""
        run_id = version.source_run_id
        if run_id is None:
            return ()
        with self._calling(f"reading the datasets of run {run_id}") as client:
            run = Lookup(client, self.uri).found(f"run {run_id}", lambda: client.get_run(run_id), also_invalid=True)
            inputs = run.inputs.dataset_inputs if run.inputs else ()
            return tuple(gate_run.read_dataset(found) for found in inputs)

    def publish(self, run: GateRun) -> str:
        """Store a gate run: artifacts, then `evidence.json`, then metrics and tags, and only then "finished".

        A run that is killed on the way stays "running", and `evidence()` returns finished ones only.
        """
        with self._calling(f"publishing the gate run of {run.version.uri}") as client:
            experiment_id = gate_run.experiment_id_of(
                client, keys.experiment_name(run.version.name, run.shelf), self.uri
            )
            created = client.create_run(experiment_id, tags=dict(keys.RUN_TYPE), run_name=run.name)
            run_id = str(created.info.run_id)
            try:
                gate_run.upload(self._artifacts(str(created.info.artifact_uri)), run.folder)
                gate_run.link_inputs(client, run_id, run)
                gate_run.log(client, run_id, run)
                client.set_terminated(run_id, "FINISHED")
            except BaseException:
                with suppress(Exception):  # what went wrong first is what is told
                    client.set_terminated(run_id, "FAILED")
                raise
            self._experiment_of_run[run_id] = experiment_id
            return run_id

    def evidence(
        self,
        name: str,
        *,
        artifact_digest: str | None = None,
        run_id: str | None = None,
        since: datetime | None = None,
        limit: int = 200,
    ) -> Sequence[StoredEvidence]:
        """Return the finished gate runs' `evidence.json` for a registered model, newest first."""
        with self._reading(f"reading the evidence of {name}") as client:
            narrowed = {} if artifact_digest is None else {"artifact_digest": artifact_digest}
            finished = newest_runs(Lookup(client, self.uri).gate_runs(name, run_id=run_id, **narrowed), limit, since)

            def stored(run: Any) -> StoredEvidence | None:
                return stored_evidence(self._artifacts(str(run.info.artifact_uri), client), run)

            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                return tuple(found for found in pool.map(stored, finished) if found is not None)

    def waivers(self, name: str, *, since: datetime | None = None, limit: int = 200) -> Sequence[StoredWaiver]:
        """Return the waivers of a registered model's versions, newest first."""
        with self._reading(f"reading the waivers of {name}") as client:
            finished = newest_runs(Lookup(client, self.uri).gate_runs(name, shelf=WAIVERS), limit, since)

            def stored(run: Any) -> StoredWaiver | None:
                return stored_waiver(self._artifacts(str(run.info.artifact_uri), client), run)

            with ThreadPoolExecutor(_DOWNLOADS) as pool:
                return tuple(found for found in pool.map(stored, finished) if found is not None)

    def open_event(self, name: str, raw: bytes) -> str:
        """Write a journal entry, open, in one call."""
        with self._calling(f"writing the journal of {name}") as client:
            place = gate_run.experiment_id_of(client, keys.experiment_name(name, JOURNAL), self.uri)
            return journal.open_event(client, place, raw)

    def settle_event(self, key: str, state: EventState) -> None:
        """Close or abandon an open entry."""
        with self._calling(f"closing journal entry {key}") as client:
            journal.settle_event(client, key, state)

    def events(self, name: str) -> Sequence[StoredEvent]:
        """Return every entry of a registered model's journal, newest first."""
        with self._reading(f"reading the journal of {name}") as client:
            place = gate_run.existing_experiment(client, keys.experiment_name(name, JOURNAL), self.uri)
            return () if place is None else journal.events(client, place)

    def challengers(self, name: str, data_digest: str) -> frozenset[str]:
        """Return the artifact digests of what was judged on these data."""
        with self._reading(f"counting what was judged on the data of {name}") as client:
            runs = Lookup(client, self.uri).gate_runs(name, data=data_digest)
            found = [
                run.data.tags.get(keys.ARTIFACT_DIGEST) for run in runs if run.data.tags.get(keys.DATA) == data_digest
            ]
            return frozenset(str(digest) for digest in found if digest)

    def run_file(self, run_id: str, path: str, destination: Path) -> bool:
        """Download one file of a gate run."""
        with self._reading(f"reading {path} of run {run_id}") as client:
            store = self._artifacts(str(client.get_run(run_id).info.artifact_uri), client)
            name = f"{keys.FOLDER}/{path}"
            if entry_of(store, name) is None:
                return False
            store._download_file(name, str(destination))  # noqa: SLF001 - the method MLflow asks its plugins to write
            return True

    def run_url(self, run_id: str) -> str | None:
        """Return the page of a run in MLflow's UI; `None` where nothing serves one."""
        # GitLab's pages are elsewhere.
        if not self._tracking_uri.startswith(("http://", "https://")) or _is_gitlabs(self._tracking_uri):
            return None
        if run_id not in self._experiment_of_run:
            with self._reading(f"reading run {run_id}") as client:
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
        with self._reading("asking what it can"):
            return tuple(one for one in needed if capabilities.absent(self._has(one)))

    def _has(self, capability: Capability) -> str:
        if capability not in self._known:
            self._known[capability] = capabilities.probe(capability, self._tracking_uri, self._registry_uri)
        return self._known[capability]


def _is_gitlabs(address: str) -> bool:
    return "/api/v4/projects/" in address
