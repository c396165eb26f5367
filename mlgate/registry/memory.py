"""A registry in memory: for tests and dry runs. It keeps the promises of the interface, for one process."""

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlgate.artifacts.hashing import Watch
from mlgate.errors import ModelNotFound, RegistryError
from mlgate.evidence import FileEntry
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry import tags as keys
from mlgate.registry.interface import (
    BUNDLE_FILE,
    ENVELOPE_FILE,
    WAIVER_FILE,
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
from mlgate.registry.local import copy_directory, digest_directory, directory_version, list_directory, registered
from mlgate.registry.memory_markers import MemoryMarkers


@dataclass(slots=True)
class _Entry:
    version: ModelVersion
    tags: dict[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRun:
    """A finished gate run as it was stored; *files* are paths below `mlgate/`."""

    run_id: str
    model: str | None
    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]
    shelf: str = ""


class MemoryRegistry:
    """Model versions whose artifacts are folders of this machine. All methods may be called from any thread.

    Attributes:
        markers: Created once or not at all.
        writes: Every tag, alias, description and run written, in order, for assertions and dry runs.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._models: dict[str, dict[str, _Entry]] = {}
        self._aliases: dict[str, dict[str, str]] = {}
        self._logged: dict[str, ModelVersion] = {}
        self._runs: list[MemoryRun] = []
        self._events: list[tuple[str, StoredEvent]] = []
        self._datasets: dict[str, list[LoggedDataset]] = {}
        self._ids = itertools.count(1)
        self.markers = MemoryMarkers()
        self.writes: list[str] = []

    @property
    def uri(self) -> str:
        """Return a name that is no address."""
        return "memory:"

    @property
    def store_file(self) -> None:
        """Return `None`: nothing of it is on a disk."""

    def add(self, name: str, folder: Path, *, model_name: str = "model") -> ModelVersion:
        """Log the model directory *folder* in a run of its own and register it as the next version of *name*."""
        with self._lock:
            entries = self._models.setdefault(name, {})
            number, serial = str(len(entries) + 1), next(self._ids)
            version = ModelVersion(
                uri=f"models:/{name}/{number}",
                name=name,
                version=number,
                model_id=f"m-{serial:032x}",
                source_run_id=f"{serial:032x}",
                location=str(folder.resolve()),
            )
            entries[number] = _Entry(version)
            logged = replace(version, name=None, version=None, uri=f"models:/{version.model_id}")
            self._logged[f"models:/{version.model_id}"] = logged
            runs_uri = f"runs:/{version.source_run_id}/{model_name}"
            self._logged[runs_uri] = replace(logged, uri=runs_uri)
            return version

    def log_dataset(self, version: ModelVersion, dataset: LoggedDataset) -> None:
        """Note that the run which made *version* has read *dataset*."""
        with self._lock:
            self._datasets.setdefault(version.source_run_id or "", []).append(dataset)

    def runs(self) -> Sequence[MemoryRun]:
        """Return the stored gate runs, oldest first."""
        with self._lock:
            return tuple(self._runs)

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """Return the version that *uri* names now."""
        if uri.directory is not None:
            return directory_version(uri)
        with self._lock:
            if uri.name is None:
                text = f"models:/{uri.model_id}" if uri.model_id else f"runs:/{uri.run_id}/{uri.path}"
                if text not in self._logged:
                    raise ModelNotFound(f"there is no {text}")
                return self._logged[text]
            number = uri.version
            if uri.alias is not None:
                number = self.aliases(uri.name).get(uri.alias)
            entry = self._entries(uri.name).get(number or "")
            if entry is None:
                known, aliases = ", ".join(self._models[uri.name]), ", ".join(self._aliases.get(uri.name, {}))
                raise ModelNotFound(f"there is no {uri.text}", hint=f"versions: {known}; aliases: {aliases or 'none'}")
            return replace(entry.version, description=entry.description)

    def fetch(self, version: ModelVersion, destination: Path, *, progress: bool = False) -> None:  # noqa: ARG002 - nothing takes long
        """Copy the artifacts of *version* into *destination*."""
        copy_directory(Path(version.location), destination)

    def digests(self, version: ModelVersion, scratch: Path, *, watch: Watch | None = None) -> Sequence[FileEntry]:  # noqa: ARG002 - it is a folder
        """Read the artifacts of *version* where they lie."""
        return digest_directory(Path(version.location), watch)

    def listing(self, version: ModelVersion) -> Sequence[StoredFile] | None:
        """Return the artifacts of *version* as the file system lists them."""
        return list_directory(Path(version.location))

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return alias to version."""
        with self._lock:
            self._entries(name)
            return dict(self._aliases.get(name, {}))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point *alias* at *version*."""
        with self._lock:
            if version not in self._entries(name):
                raise ModelNotFound(f"there is no models:/{name}/{version}")
            self._aliases.setdefault(name, {})[alias] = version
            self.writes.append(f"alias {name}@{alias} = {version}")

    def versions(self, name: str) -> Sequence[str]:
        """Return the version numbers, newest first."""
        with self._lock:
            return tuple(reversed(self._entries(name)))

    def newest(self, name: str, limit: int) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Return the newest version numbers with their tags."""
        with self._lock:
            return [(number, dict(self._entries(name)[number].tags)) for number in self.versions(name)[:limit]]

    def tags(self, version: ModelVersion) -> Mapping[str, str]:
        """Return the tags of a registered version."""
        with self._lock:
            return dict(self._entry(version).tags)

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags in the order given."""
        with self._lock:
            entry = self._entry(version)
            for key, value in tags.items():
                entry.tags[key] = value
                self.writes.append(f"tag {version.uri} {key} = {value}")

    def description(self, version: ModelVersion) -> str:
        """Return the description of a registered version."""
        with self._lock:
            return self._entry(version).description

    def set_description(self, version: ModelVersion, text: str) -> None:
        """Replace the description of a registered version."""
        with self._lock:
            self._entry(version).description = text
            self.writes.append(f"description {version.uri}")

    def datasets(self, version: ModelVersion) -> Sequence[LoggedDataset]:
        """Return the datasets that are logged on the run that made *version*."""
        with self._lock:
            return tuple(self._datasets.get(version.source_run_id or "", ()) if version.source_run_id else ())

    def publish(self, run: GateRun) -> str:
        """Store a gate run; nothing of it is visible before all of it is."""
        try:
            files = {
                path.relative_to(run.folder).as_posix(): path.read_bytes()
                for path in sorted(run.folder.rglob("*"))
                if path.is_file() and not path.is_symlink()
            }
        except OSError as error:
            raise RegistryError(f"{run.folder} can not be read ({error.strerror})") from error
        with self._lock:
            stored = MemoryRun(
                run_id=f"{next(self._ids):032x}",
                model=run.version.name,
                name=run.name,
                tags=dict(run.tags),
                metrics=dict(run.metrics),
                files=files,
                shelf=run.shelf,
            )
            self._runs.append(stored)
            self.writes.append(f"run {stored.run_id}")
            return stored.run_id

    def evidence(
        self, name: str, *, artifact_digest: str | None = None, run_id: str | None = None, limit: int = 200
    ) -> Sequence[StoredEvidence]:
        """Return the stored `evidence.json` of a registered model, newest first."""
        with self._lock:
            return tuple(
                StoredEvidence(
                    run_id=run.run_id,
                    raw=run.files[keys.EVIDENCE_FILE],
                    claimed_digest=run.tags.get(keys.EVIDENCE),
                    envelope=run.files.get(ENVELOPE_FILE, run.files.get(BUNDLE_FILE)),
                )
                for run in reversed(self._runs)
                if run.model == name
                and not run.shelf
                and keys.EVIDENCE_FILE in run.files
                and artifact_digest in (None, run.tags.get(keys.ARTIFACT_DIGEST))
                and run_id in (None, run.run_id)
            )[:limit]

    def waivers(self, name: str, *, limit: int = 200) -> Sequence[StoredWaiver]:
        """Return the stored waivers of a registered model, newest first."""
        with self._lock:
            return tuple(
                StoredWaiver(run_id=run.run_id, envelope=run.files[WAIVER_FILE])
                for run in reversed(self._runs)
                if run.model == name and run.shelf == WAIVERS and WAIVER_FILE in run.files
            )[:limit]

    def open_event(self, name: str, raw: bytes) -> str:
        """Write a journal entry, open."""
        with self._lock:
            key = f"{next(self._ids):032x}"
            self._events.append((name, StoredEvent(key=key, raw=raw, state=EventState.OPEN)))
            self.writes.append(f"event {key}")
            return key

    def settle_event(self, key: str, state: EventState) -> None:
        """Close or abandon an open entry."""
        with self._lock:
            for index, (name, event) in enumerate(self._events):
                if event.key == key:
                    self._events[index] = name, replace(event, state=state)
            self.writes.append(f"event {key} {state}")

    def events(self, name: str) -> Sequence[StoredEvent]:
        """Return every entry of a registered model's journal, newest first."""
        with self._lock:
            return tuple(event for model, event in reversed(self._events) if model == name)

    def challengers(self, name: str, data_digest: str) -> frozenset[str]:
        """Return the artifact digests that were judged on these data."""
        with self._lock:
            found = [run.tags for run in self._runs if run.model == name and run.tags.get(keys.DATA) == data_digest]
            return frozenset(tags[keys.ARTIFACT_DIGEST] for tags in found if keys.ARTIFACT_DIGEST in tags)

    def run_file(self, run_id: str, path: str, destination: Path) -> bool:
        """Write one file of a gate run to *destination*."""
        with self._lock:
            found = next((run.files.get(path) for run in self._runs if run.run_id == run_id), None)
        if found is None:
            return False
        destination.write_bytes(found)
        return True

    def run_url(self, run_id: str) -> str | None:  # noqa: ARG002 - no run has a page
        """Return `None`: nothing to look at."""
        return None

    def capabilities(self) -> Mapping[str, str]:
        """Return what it answers to: everything, until the process ends."""
        return {"server": "in memory", "models": "yes", "evidence": "yes", "tags": "yes", "aliases": "yes"}

    def lacks(self, *needed: Capability) -> tuple[Capability, ...]:
        """Return which of *needed* it has no place for: what only a server has."""
        return tuple(one for one in needed if one in (Capability.WEBHOOKS, Capability.ARTIFACT_PROXY))

    def _entries(self, name: str) -> dict[str, _Entry]:
        if name not in self._models:
            raise ModelNotFound(f"there is no registered model '{name}'")
        return self._models[name]

    def _entry(self, version: ModelVersion) -> _Entry:
        name, number = registered(version)
        entry = self._entries(name).get(number)
        if entry is None:
            raise ModelNotFound(f"there is no {version.uri}")
        return entry
