"""Files as the archive that an engine takes. Pure."""

import io
import tarfile
from collections.abc import Mapping


def tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """Return an archive of *files*: absolute path to content and mode."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return raw.getvalue()
