"""The way in: a forwarder container with a published port, before a server that has no network.

It leads to the unix socket `SOCKET` in a volume that the server mounts (`volumes()`). The program (`forwarder_command`) also goes
the other way, `unix:` to `tcp:`, for a container that joins the namespace of a server which can only listen on TCP.
"""

import secrets
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container

from mlgate.errors import EngineError
from mlgate.sandbox import cgroup, forwarder
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import USER, hardened, remove, run
from mlgate.sandbox.reach import OVERRIDE, Reach
from mlgate.sandbox.readiness import POLL_S
from mlgate.sandbox.relay import Relay
from mlgate.sandbox.session import SessionTag

SOCKETS = "/run/mlgate"
SOCKET = f"{SOCKETS}/server.sock"
PORT = 8080
PYTHON = "/opt/venv/bin/python"
TIMEOUT_S = 20.0
# A port that is not ours refuses at once, or is filtered and never answers.
CONNECT_TIMEOUT_S = 5.0
# Its inodes are bounded too: an empty file is kernel memory, which outlives the server's container here.
_VOLUME = f"uid={USER},gid={USER},mode=0700,nr_inodes=64,noexec,nosuid,nodev"
MEMORY = 64 * 2**20
PIDS = 16


class Front:
    """The forwarder, and the volume with the socket that it shares with the server.

    Args:
        engine: Where.
        image: Image with a Python.
        session: Labels of everything it makes.
        python: The interpreter in *image*.

    Attributes:
        host: Where the server is reached from this process.
        port: And on which port, once started.
    """

    def __init__(
        self,
        engine: Engine,
        image: str,
        session: SessionTag,
        *,
        python: str = PYTHON,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._engine = engine
        self._image = image
        self._session = session
        self._python = python
        self._volume: Any = None
        self._container: Container | None = None
        self._relay: Relay | None = None
        self._cores: frozenset[int] | None = None

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://{self.host}:{self.port}"

    @property
    def started(self) -> bool:
        """Whether it runs."""
        return self._container is not None

    def volumes(self) -> dict[str, dict[str, str]]:
        """Return what the server has to mount so that it can listen on `SOCKET`; nothing before `start`."""
        return {} if self._volume is None else {self._volume.name: {"bind": SOCKETS, "mode": "rw"}}

    def start(self) -> None:
        """Start, and block until it forwards: it must not take CPU from a cold start that is being measured.

        Raises:
            EngineError: The engine is at fault, or no port that it publishes is reached from here.
        """
        with engine_errors("the way to the server can not be opened"):
            # Podman (4.3) takes a size for a project quota of the disk, also on a tmpfs. There the server's own memory
            # limit is the bound: the kernel charges these pages to who writes them.
            size = "" if self._engine.facts.name == "podman" else ",size=1m"
            self._volume = self._engine.client.volumes.create(
                driver="local",
                driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"{_VOLUME}{size}"},
                labels=self._session.labels(),
            )
            _ = self._engine.clock  # asked now, and not while a cold start is being measured
            ways = self._engine.ways
            for way in ways:
                if self._open(way):
                    self._engine.ways = (way,)
                    return
                self._close()
            tried = ", ".join(way.host for way in ways)
            raise EngineError(
                f"the port that the engine at {self._engine.shown_url} published can not be reached (tried {tried})",
                hint=f"set {OVERRIDE} to the host where published ports are reached",
            )

    def pin(self, cores: Collection[int]) -> None:
        """Have the forwarder run on *cores* only where the engine can do that, now and whenever it is started again."""
        if self._container is None or cgroup.run_on(self._container, cores):
            self._cores = frozenset(cores)

    def stop(self) -> None:
        """Remove container and volume. May be called twice."""
        self._close()
        if self._volume is not None:
            with engine_errors("the socket's volume can not be removed"), suppress(docker.errors.NotFound):
                self._volume.remove(force=True)
            self._volume = None

    def _open(self, way: Reach) -> bool:
        """Start the forwarder and connect to it by *way*; return whether that worked."""
        token = secrets.token_hex(32) if way.guarded else ""
        container = self._container = self._run(way)
        if token:
            _tell(container, token)
        _await_word(container, b"forwarding", TIMEOUT_S)
        container.reload()
        bound = container.ports.get(f"{PORT}/tcp") or []
        if not bound:
            raise EngineError(f"the forwarder's port was not published: {container.logs(tail=5)!r}")
        port = int(bound[0]["HostPort"])
        peer = _connect(way.host, port, token)
        if peer is None or not _await_word(container, b"connected", TIMEOUT_S, missing_ok=True):
            return False
        if token:
            self._relay = Relay.start(peer, port, token)
            port = self._relay.port
        self.port = port
        return True

    def _run(self, way: Reach) -> Container:
        options = hardened(self._session, "forwarder", memory=MEMORY, pids=PIDS)
        demand = ["--demand-token"] if way.guarded else []
        options |= {
            "entrypoint": forwarder_command(self._python),
            "command": [f"tcp:0.0.0.0:{PORT}", f"unix:{SOCKET}", *demand],
            "network": "bridge",
            "ports": {f"{PORT}/tcp": (way.interface,)},
            "volumes": self.volumes(),
            # The token comes here: command line, environment and files can be read by whoever may ask the engine.
            "stdin_open": way.guarded,
        }
        if self._cores is not None:
            options["cpuset_cpus"] = cgroup.cpuset(self._cores)
        return run(self._engine, self._image, options)

    def _close(self) -> None:
        if self._relay is not None:
            self._relay.stop()
            self._relay = None
        remove(self._container)
        self._container = None


def forwarder_command(python: str = PYTHON) -> list[str]:
    """Return the entry point that runs the forwarder in a container; its arguments follow as the command."""
    return [python, "-I", "-S", "-c", Path(forwarder.__file__).read_text(encoding="utf-8")]


def _tell(container: Container, token: str) -> None:
    """Write the token on the container's standard input."""
    stream: Any = container.attach_socket(params={"stdin": 1, "stream": 1})
    raw = getattr(stream, "_sock", stream)  # a SocketIO over plain connections, the TLS socket itself over the others
    try:
        raw.sendall(f"{token}\n".encode())
    finally:
        stream.close()


def _connect(host: str, port: int, token: str) -> str | None:
    """Connect once, as a client would; return the address that answered, or `None`."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S) as connection:
            connection.sendall(token.encode())
            return str(connection.getpeername()[0])
    except OSError:
        return None


def _await_word(container: Container, word: bytes, timeout_s: float, *, missing_ok: bool = False) -> bool:
    """Block until the forwarder has said *word*; that it says `connected` proves that we reached it and nobody else."""
    deadline = time.monotonic() + timeout_s
    while word not in container.logs(tail=5):
        container.reload()
        if container.status != "running" or (time.monotonic() > deadline and not missing_ok):
            raise EngineError(f"the forwarder did not start: {container.logs(tail=5).decode(errors='replace')}")
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
