"""The artifact digest: one digest for all files of a model version, names and sizes with it. Pure."""

from collections.abc import Sequence

from mlgate.evidence import FileEntry, canonical_digest


def files_digest(files: Sequence[FileEntry]) -> str:
    """Return the digest of a whole directory from its files, in whatever order they come."""
    entries = [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in files]
    return canonical_digest(sorted(entries, key=lambda entry: str(entry["path"])))
