"""A model directory in a volume of the engine, for an engine that does not see this machine's files.

One volume for each artifact digest, filled once and kept: it is a cache, as the environment image is, and carries no session's
labels. What is in it was streamed from the digested directory, belongs to root, is mounted read-only, and is digested again in
a container before each run: a fill that was killed half-way, or another's hand, is seen and the volume filled anew.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker.errors
import requests
from docker.models.containers import Container

from mlgate.artifacts.directory import ModelDirectory
from mlgate.artifacts.tar import tar_stream
from mlgate.errors import EngineError
from mlgate.images.labels import ARTIFACT_DIGEST_LABEL, ROLE_LABEL
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import create, hardened, remove
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import sweep

MODEL = "/model"
ROLE = "model"
PYTHON = "/opt/venv/bin/python"
MEMORY = 128 * 2**20
PIDS = 16
# 13 GB, the largest model seen in the field, over a network of 100 Mbit/s.
FILL_TIMEOUT_S = 1800.0
WAIT_S = 0.3
LOOKERS_S = 10.0
_CONFLICT = 409
# The artifact digest (`mlgate.artifacts.digest.files_digest`) by the standard library alone. Sorted keys without blanks
# are RFC 8785's form for entries like these: printable text and whole numbers.
_DIGEST = f"""
import hashlib, json, os, stat, sys
found = []
for folder, folders, names in os.walk({MODEL!r}):
    for name in names + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
        path = os.path.join(folder, name)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            sys.exit("not a regular file: %r" % path)
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        size = os.lstat(path).st_size
        found.append({{"path": os.path.relpath(path, {MODEL!r}), "sha256": digest.hexdigest(), "size": size}})
found.sort(key=lambda entry: entry["path"])
text = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
print("sha256:" + hashlib.sha256(text.encode()).hexdigest())
"""


class ModelVolume:
    """The volume of one model directory, held from `open` to `close` so that nobody's tidying takes it away.

    Args:
        engine: Where.
        image: Image with a Python at `/opt/venv/bin/python`.
        directory: The model, as it was digested.
        session: Labels of what does not outlive the run.
    """

    def __init__(self, engine: Engine, image: str, directory: ModelDirectory, session: SessionTag) -> None:
        self._engine = engine
        self._image = image
        self._directory = directory
        self._session = session
        self._holder: Container | None = None
        self._private: str | None = None
        self._digits = directory.digest.removeprefix("sha256:")[:40]

    @property
    def name(self) -> str:
        """Its name on the engine."""
        return self._private or f"mlgate-model-{self._digits}"

    def open(self) -> str:
        """Return its name, filled and verified.

        Raises:
            EngineError: The engine is at fault, or does not hold what it was given.
            ModelDirectoryError: The directory changed since it was digested.
        """
        with engine_errors(f"the model can not be brought to the engine at {self._engine.shown_url}"):
            deadline = time.monotonic() + FILL_TIMEOUT_S
            while not self._holds():
                with self._locked() as mine:
                    # Who held it until now may have filled the volume.
                    if mine and not self._holds():
                        self._fill()
                if not mine:
                    self._await_lock(deadline)
        return self.name

    def close(self) -> None:
        """Let go of it; it stays on the engine. May be called twice."""
        remove(self._holder)
        self._holder = None
        if self._private is not None:
            self._remove_volume()
            self._private = None

    @property
    def _lock_name(self) -> str:
        return f"mlgate-fill-{self._digits}"

    def _holds(self) -> bool:
        """Mount the volume into a container of ours, and return whether it has the right content."""
        if self._holder is not None:
            return True
        # A mount of a name that is not there would make a volume without labels.
        made = self._engine.client.volumes.create(name=self.name, labels=self._labels())
        holder = create(self._engine, self._image, self._holder_options())
        try:
            created = str(
                self._engine.client.volumes.get(self.name).attrs.get("CreatedAt", made.attrs.get("CreatedAt"))
            )
            key = f"{self.name} {created}"
            if (
                self._engine.filled.get(self._directory.digest) != key
                and self._content(holder) != self._directory.digest
            ):
                remove(holder)
                return False
        except BaseException:
            with suppress(EngineError):
                remove(holder)
            raise
        self._engine.filled[self._directory.digest] = key
        self._holder = holder
        return True

    def _content(self, holder: Container) -> str:
        holder.start()
        ended = holder.wait(timeout=FILL_TIMEOUT_S)
        said = holder.logs(tail=1).decode(errors="replace").strip()
        return said if ended.get("StatusCode") == 0 else ""

    def _fill(self) -> None:
        if not self._remove_volume():
            # Somebody's server has it open although its content is wrong; that run's problem is not to become ours.
            self._private = f"{self.name}-{self._session.id}"
        self._engine.client.volumes.create(name=self.name, labels=self._labels())
        filler = create(self._engine, self._image, self._helper("model-fill", "rw"))
        try:
            # Never started: the engine itself unpacks.
            self._engine.patient.api.put_archive(filler.id or "", MODEL, tar_stream(self._directory, prefix="/"))
        except requests.RequestException as error:
            # What the stream raised (a file that changed) is the reason, and not that the connection broke off.
            raise error.__context__ or error from None
        finally:
            remove(filler)
        if not self._holds():
            raise EngineError(
                f"volume {self.name} does not hold what was sent to it",
                hint="look at the disk of the engine's machine",
            )

    def _remove_volume(self) -> bool:
        """Remove it where it is; return whether there is none now. Who only looks at it is done in a moment."""
        deadline = time.monotonic() + LOOKERS_S
        while True:
            try:
                self._engine.client.volumes.get(self.name).remove(force=True)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                if time.monotonic() > deadline:
                    return False
                time.sleep(WAIT_S)

    def _await_lock(self, deadline: float) -> None:
        """Block until nobody fills it; a dead owner's lock is swept away."""
        while time.monotonic() < deadline:
            try:
                self._engine.client.containers.get(self._lock_name)
            except docker.errors.NotFound:
                return
            sweep(self._engine)
            time.sleep(WAIT_S)
        raise EngineError(
            f"another run has been filling {self.name} for {FILL_TIMEOUT_S:.0f} s",
            hint=f"docker rm -f {self._lock_name}",
        )

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Yield whether we alone may fill it: no engine makes two containers of one name. A dead owner's is swept away."""
        options = {**self._labelled("model-lock"), "name": self._lock_name, "entrypoint": ["true"], "command": []}
        try:
            lock = create(self._engine, self._image, {**options, "network": "none"})
        except docker.errors.APIError as error:
            if error.status_code != _CONFLICT:
                raise
            yield False
            return
        try:
            yield True
        finally:
            remove(lock)

    def _labels(self) -> dict[str, str]:
        kept = {ROLE_LABEL: ROLE, ARTIFACT_DIGEST_LABEL: self._directory.digest}
        return kept if self._private is None else kept | self._session.labels()

    def _labelled(self, role: str) -> dict[str, Any]:
        return {"labels": {**self._session.labels(), ROLE_LABEL: role}}

    def _helper(self, role: str, mode: str) -> dict[str, Any]:
        return {
            **self._labelled(role),
            "entrypoint": ["true"],
            "command": [],
            "network": "none",
            "volumes": {self.name: {"bind": MODEL, "mode": mode}},
        }

    def _holder_options(self) -> dict[str, Any]:
        return {
            **self._helper("model-check", "ro"),
            **hardened(self._session, "model-check", memory=MEMORY, pids=PIDS),
            "entrypoint": [PYTHON, "-I", "-S", "-c", _DIGEST],
        }
