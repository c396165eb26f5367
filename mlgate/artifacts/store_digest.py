"""The digest of a version's artifacts in their store: computed from every byte, or reused where a policy allows it.

What may be reused lies in `<cache>/digests/`, a file a version. It holds for exactly the listing that it was computed
under: same paths, sizes and marks of the store. Whatever is odd about it is no error, and everything is read again.
"""

import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlgate.artifacts.cache import default_cache, scratch_folder
from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import NOT_THE_MODEL
from mlgate.artifacts.hashing import Watch
from mlgate.errors import MlgateError
from mlgate.evidence import FileEntry, canonical_digest
from mlgate.model_version import ModelVersion
from mlgate.registry.interface import ModelRegistry, StoredFile

FORMAT = "mlgate-store-digest/1"
# A file that changed twice within one tick of its store's clock has the marks of the first change; ticks are 4 ms on
# Linux, 1 s in a Last-Modified header, 2 s on FAT.
SETTLED_S = 3.0
_MAX_BYTES = 64 * 1024 * 1024
_OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDigest:
    """The digest of a version's artifacts, and whether a byte was read for it.

    Attributes:
        digest: As `ModelDirectory.digest`.
        computed_at: When every byte was read; aware.
        reused: Whether that was earlier, and the store's listing is the same since.
        note: Why it was not reused, or will not be; empty where there is nothing to say.
    """

    digest: str
    computed_at: datetime
    reused: bool = False
    note: str = ""

    @property
    def words(self) -> str:
        """How it came about, for a person."""
        when = "reused, computed" if self.reused else "computed now,"
        note = f": {self.note}" if self.note else ""
        return f"{when} {self.computed_at:%Y-%m-%dT%H:%M:%SZ}{note}"

    def to_json(self) -> dict[str, Any]:
        """Return the machine form."""
        at = f"{self.computed_at:%Y-%m-%dT%H:%M:%SZ}"
        return {"digest": self.digest, "reused": self.reused, "computed_at": at, "note": self.note}


def digest_in_store(
    registry: ModelRegistry,
    version: ModelVersion,
    *,
    reuse: bool,
    watch: Watch | None = None,
    cache_dir: Path | None = None,
) -> StoreDigest:
    """Return the digest of the artifacts of *version* as they lie in the store.

    Args:
        registry: Where the version is.
        version: The version.
        reuse: Whether one that was computed earlier may stand for the bytes, `evidence.digest_cache` of the policy.
        watch: Told how far it is; `digest_bar` gives one.
        cache_dir: Default: `default_cache()`.

    Raises:
        RegistryError: The store is unreachable, or lists what it should not.
        ModelNotFound: There are no artifacts.
        ModelDirectoryError: They can not be read, or changed meanwhile.
        OutputError: The cache can not be written, or the disk is full.
    """
    place = (cache_dir or default_cache()) / "digests" / _name(registry, version)
    before = registry.listing(version) if reuse else None
    if before is not None and (kept := _kept(place, before)) is not None:
        return kept
    now = datetime.now(UTC)
    with scratch_folder(cache_dir) as scratch:
        files = registry.digests(version, scratch, watch=watch)
    digest = files_digest(files)
    note = (
        ""
        if not reuse
        else "the store marks no content"
        if before is None
        else _not_kept(registry, version, before, files, now)
    )
    if reuse and not note:
        note = _keep(
            place,
            {
                "digest": digest,
                "computed_at": now.isoformat(),
                "listing": _rows(before or ()),
                "files": _entries(files),
            },
        )
    return StoreDigest(digest=digest, computed_at=now, note=note)


def _not_kept(
    registry: ModelRegistry,
    version: ModelVersion,
    before: Sequence[StoredFile],
    files: Sequence[FileEntry],
    now: datetime,
) -> str:
    """Return why what was computed does not belong to *before*; empty where it does."""
    if max((file.changed_at for file in before), default=0.0) > now.timestamp() - SETTLED_S:
        return "changed a moment ago, not kept"
    sizes = {file.path: file.size for file in before if file.path not in NOT_THE_MODEL}
    after = registry.listing(version)
    if after is None or _rows(after) != _rows(before) or sizes != {file.path: file.size for file in files}:
        return "the store's listing changed meanwhile, not kept"
    return ""


def _kept(place: Path, listing: Sequence[StoredFile]) -> StoreDigest | None:
    """Return what was kept for exactly *listing*; `None` where there is nothing that may be believed."""
    try:
        document = json.loads(_own_bytes(place))
        seal = document.pop("seal")
        files = [FileEntry(path=path, size=size, sha256=sha256) for path, size, sha256 in document["files"]]
        computed_at = datetime.fromisoformat(document["computed_at"])
        whole = seal == canonical_digest(document) and document["digest"] == files_digest(files)
        same = document["format"] == FORMAT and document["listing"] == _rows(listing)
        if whole and same and computed_at <= datetime.now(UTC):
            return StoreDigest(digest=document["digest"], computed_at=computed_at, reused=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MlgateError):
        pass
    return None


def _own_bytes(place: Path) -> bytes:
    """Read a file that nobody else may have written.

    Raises:
        OSError: It is not there, a link, or another user's.
    """
    with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & _OTHERS_MAY_WRITE:
            raise PermissionError
        return file.read(_MAX_BYTES)


def _keep(place: Path, document: Mapping[str, Any]) -> str:
    """Write a file at once or not at all; return why it could not be written."""
    whole = {"format": FORMAT, **document}
    text = json.dumps({**whole, "seal": canonical_digest(whole)})
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=place.parent, prefix=".")  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(partial, place)  # noqa: PTH105  (Path.replace says nothing of atomicity; os.replace does)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        return f"not kept: {place.parent} can not be written ({error.strerror})"
    return ""


def _name(registry: ModelRegistry, version: ModelVersion) -> str:
    return f"{canonical_digest([registry.uri, version.uri, version.location]).removeprefix('sha256:')}.json"


def _rows(listing: Sequence[StoredFile]) -> list[list[Any]]:
    return [[file.path, file.size, file.marker] for file in listing]


def _entries(files: Sequence[FileEntry]) -> list[list[Any]]:
    return [[file.path, file.size, file.sha256] for file in files]
