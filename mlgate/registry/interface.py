"""The registry as mlgate needs it. No SDK type crosses this line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlgate.evidence import FileEntry
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry.markers import Markers

if TYPE_CHECKING:
    from mlgate.artifacts.hashing import Watch

# Beside evidence.json: the signature over a statement about it.
ENVELOPE_FILE = "evidence.dsse.json"
# Instead of it, where Sigstore signed: the bundle around such an envelope.
BUNDLE_FILE = "evidence.sigstore.json"
WAIVER_FILE = "waiver.dsse.json"
# Where waivers are stored: `mlgate/<name>/waivers`, which nobody searches for evidence.
WAIVERS = "waivers"
# Where each move of an alias is on record: `mlgate/<name>/journal`.
JOURNAL = "journal"


class Capability(StrEnum):
    """What a registry may have no place for, though it speaks MLflow's language."""

    TAGS = "version tags"
    ALIASES = "aliases"
    WEBHOOKS = "webhooks"
    ARTIFACT_PROXY = "artifact proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRun:
    """What one gate run leaves in the registry.

    Attributes:
        version: The version that was tested.
        name: Title of the run.
        tags: Run tags.
        metrics: Metric name (MLflow form) to value; linked to the logged model where there is one.
        folder: Every file below it is stored under `mlgate/`.
        shelf: Empty for a gate run, in experiment `mlgate/<name>`; else a word, for `mlgate/<name>/<shelf>`.
        dataset: Name, digest and source of the evaluation data; empty where there was none.
    """

    version: ModelVersion
    name: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    folder: Path
    shelf: str = ""
    dataset: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvidence:
    """Evidence as it lies in the registry: bytes, not yet believed.

    Attributes:
        run_id: The run that holds it.
        raw: The bytes of `mlgate/evidence.json`.
        claimed_digest: What the run's tag `mlgate.evidence` says of these bytes; `None` where it says nothing.
        envelope: The bytes of `mlgate/evidence.dsse.json`, else of `mlgate/evidence.sigstore.json`; `None` where there
            is neither.
    """

    run_id: str
    raw: bytes
    claimed_digest: str | None = None
    envelope: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWaiver:
    """A waiver as it lies in the registry: bytes, not yet believed.

    Attributes:
        run_id: The run that holds it.
        envelope: The bytes of `mlgate/waiver.dsse.json`.
    """

    run_id: str
    envelope: bytes


class EventState(StrEnum):
    """How far a move of an alias came."""

    OPEN = "open"  # begun, and not known whether the alias moved
    CLOSED = "closed"  # the alias moved, and was read back
    ABANDONED = "abandoned"  # the alias did not move


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An entry of the journal as it lies in the registry: bytes, not yet believed.

    Attributes:
        key: The registry's id of it.
        raw: The event.
        state: How far it came.
    """

    key: str
    raw: bytes
    state: EventState


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedDataset:
    """A dataset that a run says it has read, as the registry tells it: not yet believed.

    Attributes:
        name: For people.
        digest: MLflow's own, of a sample of the rows.
        source_type: `local`, `s3`, `http`, `code`, ….
        source: JSON text that says where it is.
        profile: JSON text with `num_rows`, or empty.
        contexts: What it was read for: `training`, `evaluation`, ….
    """

    name: str
    digest: str
    source_type: str
    source: str
    profile: str = ""
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as its store lists it, without its content.

    Attributes:
        path: Relative, with `/`.
        size: In bytes.
        marker: What the store gives another content: times and file number, or its etag.
        changed_at: Seconds since 1970 by the store's clock. A marker made of times says nothing of two changes at once.
    """

    path: str
    size: int
    marker: str
    changed_at: float


class ModelRegistry(Protocol):
    """Model versions, aliases, tags and evidence."""

    @property
    def uri(self) -> str:
        """Where the registry is, without credentials."""

    @property
    def markers(self) -> Markers:
        """What is created once or not at all: for `mlgate/locking`."""

    @property
    def store_file(self) -> Path | None:
        """The file or folder of this machine that is the whole store; `None` where a server keeps it, or memory does."""

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """Return the version that *uri* names now.

        Raises:
            ModelNotFound: No such model, version, alias, logged model or run.
            RegistryError: No answer, or no registry's answer.
        """

    def fetch(self, version: ModelVersion, destination: Path, *, progress: bool = False) -> None:
        """Download the artifacts of *version* into the empty folder *destination*, and nothing else.

        Raises:
            RegistryError: The store is unreachable, or a path leaves *destination*.
            ModelNotFound: There are no artifacts.
        """

    def digests(self, version: ModelVersion, scratch: Path, *, watch: "Watch | None" = None) -> Sequence[FileEntry]:
        """Read every byte of *version* in the store, now, and return its files; what `fetch` would bring, and not kept.

        Args:
            version: The version.
            scratch: An empty folder, for a store that hands out whole files only.
            watch: Told how far it is.

        Raises:
            RegistryError: As for `fetch`.
            ModelNotFound: There are no artifacts.
            ModelDirectoryError: A file changed while it was read, or is none.
        """

    def listing(self, version: ModelVersion) -> Sequence[StoredFile] | None:
        """Return the files of *version* as the store lists them; `None` where it marks no content."""

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return alias to version for a registered model.

        Raises:
            ModelNotFound: No such registered model.
        """

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point *alias* at *version*. Last writer wins in MLflow: read back afterwards."""

    def versions(self, name: str) -> Sequence[str]:
        """Return the version numbers of a registered model, newest first."""

    def newest(self, name: str, limit: int) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Return the newest version numbers of a registered model with their tags, newest first, in one call."""

    def tags(self, version: ModelVersion) -> Mapping[str, str]:
        """Return the tags of a registered version."""

    def set_tags(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags one after another, in the order given: the last one is the verdict."""

    def description(self, version: ModelVersion) -> str:
        """Return the description of a registered version as it stands now."""

    def set_description(self, version: ModelVersion, text: str) -> None:
        """Replace the description of a registered version."""

    def datasets(self, version: ModelVersion) -> Sequence[LoggedDataset]:
        """Return the datasets that are logged on the run that made *version*; none where no run did."""

    def publish(self, run: GateRun) -> str:
        """Store a gate run in its experiment and return its run id.

        The run is finished only after every file is stored; a run that was killed half-way has no evidence that
        `evidence()` returns.
        """

    def evidence(
        self,
        name: str,
        *,
        artifact_digest: str | None = None,
        run_id: str | None = None,
        since: datetime | None = None,
        limit: int = 200,
    ) -> Sequence[StoredEvidence]:
        """Return the finished gate runs' `evidence.json` for a registered model, newest first.

        Args:
            name: The registered model.
            artifact_digest: Narrows the search by run tag; it is a hint for speed, and the caller compares again.
            run_id: Only that run, however many are newer.
            since: Every run that ended since then, however many; aware. `None` for the newest *limit* only.
            limit: At most so many that ended before *since*, or at any time.
        """

    def waivers(self, name: str, *, since: datetime | None = None, limit: int = 200) -> Sequence[StoredWaiver]:
        """Return the waivers of a registered model's versions, newest first; *since* and *limit* as for `evidence`."""

    def open_event(self, name: str, raw: bytes) -> str:
        """Write a journal entry of a registered model, open, in one call; return its key."""

    def settle_event(self, key: str, state: EventState) -> None:
        """Close or abandon an open entry. Entries are never deleted, and what they say never changes."""

    def events(self, name: str) -> Sequence[StoredEvent]:
        """Return every entry of a registered model's journal, newest first."""

    def challengers(self, name: str, data_digest: str) -> frozenset[str]:
        """Return the artifact digests of what finished gate runs of a registered model judged on these data.

        By run tags, which anybody may write: for a warning, and for no decision.
        """

    def run_file(self, run_id: str, path: str, destination: Path) -> bool:
        """Download one file of a gate run to the file *destination*; return whether the run has it.

        Args:
            run_id: From `evidence()`.
            path: Below `mlgate/`, as `accuracy/scores.parquet`.
            destination: In an existing folder.
        """

    def run_url(self, run_id: str) -> str | None:
        """Return the page of a run for a person, or `None` where the registry has no pages."""

    def capabilities(self) -> Mapping[str, str]:
        """Return what the registry answers to, for `mlgate doctor`: capability to a word or two."""

    def lacks(self, *needed: Capability) -> tuple[Capability, ...]:
        """Return which of *needed* the registry says it has no place for; asked once, without writing.

        One that can not be asked is not among them: the call itself will tell.

        Raises:
            RegistryError: No answer at all.
        """
