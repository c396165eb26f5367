"""The way in: a forwarder container with a published port, before a server that has no network."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container

from mlgate.errors import EngineError
from mlgate.sandbox import forwarder
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import USER, hardened, remove, run
from mlgate.sandbox.readiness import POLL_S
from mlgate.sandbox.session import SessionTag

SOCKETS = "/run/mlgate"
SOCKET = f"{SOCKETS}/server.sock"
PORT = 8080
TIMEOUT_S = 20.0
MEMORY = 64 * 2**20
PIDS = 16


class Front:
    """The forwarder, and the volume with the socket that it shares with the server.

    Args:
        engine: Where.
        image: Image with a Python at `/opt/venv/bin/python`.
        session: Labels of everything it makes.

    Attributes:
        host: Where the server is reached from this process.
        port: And on which port, once started.
    """

    def __init__(self, engine: Engine, image: str, session: SessionTag) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._engine = engine
        self._image = image
        self._session = session
        self._volume: Any = None
        self._container: Container | None = None

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def started(self) -> bool:
        """Whether it runs."""
        return self._container is not None

    def volumes(self) -> dict[str, dict[str, str]]:
        """Return what the server has to mount so that it can listen on `SOCKET`."""
        return {self._volume.name: {"bind": SOCKETS, "mode": "rw"}}

    def start(self) -> None:
        """Start, and block until it forwards: it must not take CPU from a cold start that is being measured."""
        self._volume = self._engine.client.volumes.create(
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"uid={USER},gid={USER},mode=0700,size=1m"},
            labels=self._session.labels(),
        )
        source = Path(forwarder.__file__).read_text(encoding="utf-8")
        self._container = run(
            self._engine,
            self._image,
            {
                **hardened(self._session, "forwarder", memory=MEMORY, pids=PIDS),
                "entrypoint": ["/opt/venv/bin/python", "-I", "-S", "-c", source],
                "command": [SOCKET, "0.0.0.0", str(PORT)],  # noqa: S104  (inside its container; published on loopback only)
                "network": "bridge",
                "ports": {f"{PORT}/tcp": ("127.0.0.1",)},
                "volumes": self.volumes(),
            },
        )
        self._container.reload()
        bound = self._container.ports.get(f"{PORT}/tcp") or []
        if not bound:
            raise EngineError(f"the forwarder's port was not published: {self._container.logs(tail=5)!r}")
        self.port = int(bound[0]["HostPort"])
        _await_forwarding(self._container)

    def stop(self) -> None:
        """Remove container and volume. May be called twice."""
        remove(self._container)
        self._container = None
        if self._volume is not None:
            with engine_errors("the socket's volume can not be removed"), suppress(docker.errors.NotFound):
                self._volume.remove(force=True)
            self._volume = None


def _await_forwarding(container: Container) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while b"forwarding" not in container.logs(tail=5):
        container.reload()
        if container.status != "running" or time.monotonic() > deadline:
            raise EngineError(f"the forwarder did not start: {container.logs(tail=5).decode(errors='replace')}")
        time.sleep(POLL_S)
