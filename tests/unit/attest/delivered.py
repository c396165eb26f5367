"""A model directory with its signed evidence beside it, as a pod gets it."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import digest_files, walk
from mlgate.attest.dsse import sign
from mlgate.attest.statement import statement_about
from mlgate.policy_file import parse_policy
from mlgate.verdict import format_time
from tests.unit.builders import admissible

POLICY_TEXT = "requires: [cold_start]\n"
FILES = {"MLmodel": b"flavors: {}\n", "model.pkl": b"weights", "code/a-b/x.py": b"1\n", "code/a/x.py": b"2\n"}


def written(directory: Path, files=FILES) -> Path:
    """The directory with these files."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def evidence_about(directory: Path, *, age: timedelta = timedelta(hours=1), now: datetime | None = None, **changes):
    """Evidence that the directory, as it is, passed as version 3 of churn."""
    files = digest_files(directory, walk(directory))
    finished = format_time((now or datetime.now(UTC)) - age)
    whole = admissible(parse_policy(POLICY_TEXT), finished_at=finished, **changes)
    return replace(whole, subject=replace(whole.subject, files=files, artifact_digest=files_digest(files)))


def signed(evidence, key, **statement) -> bytes:
    """The envelope about *evidence*; keywords change the statement before it is signed."""
    return sign(replace(statement_about(evidence), **statement).canonical(), [key])


def listed(folder: Path, key, *comments: str, name: str = "ci.pub") -> Path:
    """The public half of a key in a file, with comment lines before it."""
    path = folder / name
    path.write_bytes(b"".join(f"# {line}\n".encode() for line in comments) + key.public.pem())
    return path


def flip(path: Path) -> None:
    """Change one bit; size and time stay as they were."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
