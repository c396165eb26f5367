"""Verification of a model directory: reads the envelope beside it and its files, and decides without a network."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import digest_files, walk
from mlgate.artifacts.hashing import Watch
from mlgate.attest.directory import Expected, Vouched, byte_reasons, name_reasons, vouched
from mlgate.attest.dsse import MAX_ENVELOPE_BYTES
from mlgate.attest.pipeline import Listed
from mlgate.attest.statement import Statement
from mlgate.errors import ModelDirectoryError
from mlgate.registry.interface import BUNDLE_FILE, ENVELOPE_FILE
from mlgate.verdict import Reason

if TYPE_CHECKING:
    from mlgate.waivers import Waived


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found out about a model directory.

    Attributes:
        directory: The directory.
        envelope: The envelope that counted; `None` where there is none.
        signer: Who vouches for the statement; `None` where nobody does.
        statement: What is vouched for; `None` where nothing is.
        artifact_digest: Of the files that are there; `None` where they were not digested.
        reasons: Everything that stands against serving it.
        waived: The checks that do not pass and that somebody answers for.
    """

    directory: Path
    envelope: Path | None
    signer: Listed | None = None
    statement: Statement | None = None
    artifact_digest: str | None = None
    reasons: tuple[Reason, ...]
    waived: "tuple[Waived, ...]" = ()

    @property
    def verified(self) -> bool:
        """Whether every file was digested and nothing stands against it."""
        return self.artifact_digest is not None and not self.reasons

    def to_json(self) -> dict[str, Any]:
        """Return the machine form."""
        evidence = self.statement.evidence if self.statement else None
        return {
            "verified": self.verified,
            "directory": str(self.directory),
            "envelope": None if self.envelope is None else str(self.envelope),
            "signer": None if self.signer is None else {"name": self.signer.name, "keyid": self.signer.keyid},
            "uri": evidence.subject.uri if evidence else None,
            "finished_at": evidence.finished_at if evidence else None,
            "evidence": evidence.digest if evidence else None,
            "result": str(self.statement.result) if self.statement else None,
            "artifact_digest": self.artifact_digest,
            "waived": [waived.to_json() for waived in self.waived],
            "reasons": [
                {"code": reason.code, "check": reason.check, "message": reason.message} for reason in self.reasons
            ],
        }


def verify_directory(
    directory: Path, expected: Expected, *, envelope: Path | None = None, watch: Watch | None = None
) -> Verification:
    """Decide whether *directory* holds the files that a listed signer's evidence is about, and that passed.

    It stops at the first of three steps that finds anything: the envelope, the names, the bytes. So a pod that starts
    over and over does not read gigabytes each time for what a signature refuses.

    Args:
        directory: The model directory.
        expected: Who may have signed, and what has to hold.
        envelope: The envelope, or a folder with `evidence.dsse.json` or `evidence.sigstore.json` in it; default: these
            names beside *directory*, else the directory's own name with `.dsse.json` or `.sigstore.json`.
        watch: Told bytes digested and bytes in all.

    Raises:
        ModelDirectoryError: *directory* is none. What is wrong inside it is a reason.
    """
    if not _is_dir(directory):
        raise ModelDirectoryError(f"{directory} is no directory", hint="name the folder that holds the MLmodel file")
    places = _places(directory, envelope)
    place = next((place for place in places if _is_file(place)), None)
    try:
        raw = _read(place) if place is not None else None
    except OSError as error:
        refused = Reason(code="signature_unreadable", message=f"{place} can not be read ({error.strerror})")
        return Verification(directory=directory, envelope=place, reasons=(refused,))
    found = vouched(raw, expected, place=" or ".join(map(str, places)))
    if isinstance(found, Reason):
        return Verification(directory=directory, envelope=place, reasons=(found,))
    digest, reasons = (None, found.reasons) if found.reasons else _files(directory, found, watch)
    return Verification(
        directory=directory,
        envelope=place,
        signer=found.signer,
        statement=found.statement,
        artifact_digest=digest,
        reasons=reasons,
        waived=found.waived,
    )


def _files(directory: Path, found: Vouched, watch: Watch | None) -> tuple[str | None, tuple[Reason, ...]]:
    """Return the artifact digest, where every file could be digested, and what stands against the files."""
    try:
        names = walk(directory)
        if reasons := name_reasons(found.statement, names):
            return None, reasons
        files = digest_files(directory, names, watch=watch)
    except ModelDirectoryError as error:
        return None, (Reason(code="unsafe_files", message=error.message),)
    digest = files_digest(files)
    return digest, byte_reasons(found.statement, files, digest)


def _places(directory: Path, envelope: Path | None) -> Sequence[Path]:
    if envelope is not None:
        return (envelope / ENVELOPE_FILE, envelope / BUNDLE_FILE) if _is_dir(envelope) else (envelope,)
    # By its text: `.` has a parent, and a link's envelope lies beside the link.
    root = Path(os.path.abspath(directory))  # noqa: PTH100  (Path.absolute keeps `..`)
    names = (ENVELOPE_FILE, f"{root.name}.dsse.json", BUNDLE_FILE, f"{root.name}.sigstore.json")
    return tuple(root.parent / name for name in names)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, a folder above it that is closed
        return False


def _is_file(path: Path) -> bool:
    # A link is followed: that is how a cluster mounts a ConfigMap.
    try:
        return path.is_file()
    except OSError:
        return True  # reading it says what is wrong


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_ENVELOPE_BYTES + 1)
