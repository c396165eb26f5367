"""Root digest: one digest for all files of a model, as OpenSSF model-signing computes it. Pure.

Source: model-signing 1.1, `model_signing.signing.Payload`: SHA-256 over the raw SHA-256 of every file, in the order of
their POSIX paths, part by part. Names are not in it, so it stands for a model only together with the list of files.
"""

import hashlib
import re
from collections.abc import Sequence

from mlgate.evidence import FileEntry

_SHA256 = re.compile(r"[0-9a-f]{64}")


def in_order(files: Sequence[FileEntry]) -> tuple[FileEntry, ...]:
    """Return *files* in model-signing's order: `a/z` comes before `a-b/z`, which as text it would not."""
    return tuple(sorted(files, key=lambda file: file.path.split("/")))


def root_digest(files: Sequence[FileEntry]) -> str:
    """Return the hex digest over all *files*, in whatever order they come.

    It is what `model_signing` signs for the same directory where that is told to ignore no file.

    Raises:
        ValueError: The sha256 of a file is not 64 digits of lower-case hex.
    """
    if not all(_SHA256.fullmatch(file.sha256) for file in files):
        raise ValueError("the sha256 of a file is not 64 digits of lower-case hex")
    return hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in in_order(files))).hexdigest()
