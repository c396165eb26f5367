"""Whether the engine sees this machine's files. Found out, not guessed: a local socket may belong to another file system."""

import io
import secrets
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import docker.errors
import requests
from docker.types import Mount

from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import create, remove
from mlgate.sandbox.session import SessionTag, is_dead

_PREFIX = ".mlgate-probe-"
_PLACE = "/probe"
_NAME = "word"
_MAX_BYTES = 1 << 16


def sees(engine: Engine, image: str, folder: Path, session: SessionTag) -> bool:
    """Return whether a bind mount of *folder* gives a container on *engine* the files that lie there on this machine.

    A folder with a file of random content is laid beside *folder* for a moment and read back through a container that is
    never started. Where nothing can be written beside it the answer is no: a volume is slower, and never wrong.

    Args:
        engine: Which engine; it remembers the answer.
        image: Any image on it.
        folder: A directory of this machine, absolute.
        session: Labels of the container.

    Raises:
        EngineError: The engine is at fault.
    """
    known = engine.seen.get(folder)
    if known is None:
        # What is mounted there hides, on one side or the other, what is known of the folder around it.
        known = not folder.is_mount() and _read_back(engine, image, folder.parent, session)
        engine.seen[folder] = known
    return known


def _read_back(engine: Engine, image: str, parent: Path, session: SessionTag) -> bool:
    _remove_left(parent)
    # A folder, because Podman reads no archive from a file that is mounted.
    probe = parent / f"{_PREFIX}{session.owner}-{secrets.token_hex(4)}"
    said = secrets.token_bytes(32)
    try:
        try:
            probe.mkdir()
            (probe / _NAME).write_bytes(said)
        except OSError:
            return False
        return _content(engine, image, probe, session) == said
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _content(engine: Engine, image: str, path: Path, session: SessionTag) -> bytes:
    options = {
        "labels": {**session.labels(), "mlgate.role": "probe"},
        "entrypoint": ["true"],
        "command": [],
        "network": "none",
        # Not `volumes`: that would make an empty folder on the engine's machine where there is none.
        "mounts": [Mount(_PLACE, str(path), type="bind", read_only=True)],
    }
    container = None
    with engine_errors("the engine can not be asked for files"):
        try:
            container = create(engine, image, options)
            stream, _ = container.get_archive(f"{_PLACE}/{_NAME}")
            return _only_file(b"".join(stream)[:_MAX_BYTES])
        except docker.errors.APIError as error:
            # "bind source path does not exist", in whichever words the engine says it.
            if isinstance(error, docker.errors.ImageNotFound) or (error.is_server_error() and container is None):
                raise
            return b""
        except (requests.RequestException, OSError, tarfile.TarError):
            return b""
        finally:
            remove(container)


def _only_file(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for entry in tar:
            file = tar.extractfile(entry) if entry.isfile() else None
            if file is not None:
                return file.read(_MAX_BYTES)
    return b""


def _remove_left(parent: Path) -> None:
    """Remove the probes of owners that were killed in the middle of one."""
    with suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            owner = path.name.removeprefix(_PREFIX).rpartition("-")[0]
            if is_dead(owner, made_at=path.lstat().st_mtime):
                shutil.rmtree(path, ignore_errors=True)
