"""A network namespace of its own, with loopback and nothing else, for a server that can only listen on TCP.

On an `--internal` network a container still reaches the host through the gateway's address (docker/cli#4931), and with it whatever
listens there. So there is no network at all here either: a container with the forwarder's program is made with `--network none`,
the server's container joins *its* namespace, and the forwarder carries the front's unix socket to the server's port on loopback.
"""

import re
import time
from contextlib import suppress

import docker.errors
from docker.models.containers import Container

from mlgate.errors import EngineError
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.front import MEMORY, PIDS, SOCKET, TIMEOUT_S, Front, forwarder_command
from mlgate.sandbox.hardened import hardened, remove, run
from mlgate.sandbox.readiness import POLL_S
from mlgate.sandbox.session import SessionTag

# ::1 and ::ffff:127.0.0.1
_LOOPBACK_6 = ("00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
_HEX_4 = 8


class Enclosure:
    """The namespace, and the way from the front's socket to a port in it.

    Args:
        engine: Where.
        image: Image with a Python; not the server's, for this container can see what the front passes on.
        session: Labels of what it makes.
        port: TCP port of the server.
        python: The interpreter in *image*.
    """

    def __init__(self, engine: Engine, image: str, session: SessionTag, *, port: int, python: str) -> None:
        self._engine = engine
        self._image = image
        self._session = session
        self._port = port
        self._python = python
        self._container: Container | None = None

    @property
    def network_mode(self) -> str:
        """What a container is created with to be in it.

        Raises:
            EngineError: It is not open.
        """
        if self._container is None:
            raise EngineError("the server's network namespace is not there")
        return f"container:{self._container.id}"

    def open(self, front: Front) -> None:
        """Make it anew, and block until it forwards: it must not take CPU from a cold start that is being measured.

        A new server gets a new namespace: ports that the one before it has left behind would be in its way.

        Raises:
            EngineError: The engine is at fault.
        """
        self.close()
        options = hardened(self._session, "enclosure", memory=MEMORY, pids=PIDS)
        options |= {
            "entrypoint": forwarder_command(self._python),
            "command": [f"unix:{SOCKET}", f"tcp:127.0.0.1:{self._port}"],
            "network": "none",
            "volumes": front.volumes(),
            "use_config_proxy": False,
        }
        self._container = run(self._engine, self._image, options)
        deadline = time.monotonic() + TIMEOUT_S
        while b"forwarding" not in (said := self._container.logs(tail=5)):
            self._container.reload()
            if self._container.status != "running" or time.monotonic() > deadline:
                raise EngineError(f"the forwarder did not start: {said.decode(errors='replace')}")
            time.sleep(POLL_S)

    def listens_to_all(self) -> bool:
        """Return whether something listens on the port for more than loopback: from here loopback would do, in a cluster not.

        Raises:
            EngineError: The engine is at fault.
        """
        if self._container is None:
            return False
        tables = "import contextlib\nfor name in ('tcp', 'tcp6'):\n with contextlib.suppress(OSError): print(open(f'/proc/net/{name}').read())"
        with engine_errors("the server's network namespace can not be looked at"):
            code, output = self._container.exec_run([self._python, "-I", "-S", "-c", tables])
        if code != 0 or not isinstance(output, bytes):
            raise EngineError(f"the server's network namespace can not be looked at: {output!r}"[:300])
        return any(not loopback for loopback in listeners(output.decode(errors="replace"), self._port))

    def close(self) -> None:
        """Remove it. May be called twice."""
        with engine_errors("the server's network namespace can not be removed"), suppress(docker.errors.NotFound):
            remove(self._container)
        self._container = None


def listeners(tables: str, port: int) -> tuple[bool, ...]:
    """Return, for each socket that listens on *port*, whether it is bound to loopback.

    Args:
        tables: Text of `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)): addresses in hex, words in the host's byte order; state 0A listens.
        port: TCP port.
    """
    found = re.findall(rf"^ *\d+: ([0-9A-F]{{8}}|[0-9A-F]{{32}}):{port:04X} [0-9A-F:]+ 0A ", tables, re.MULTILINE)
    return tuple(address in _LOOPBACK_6 or (len(address) == _HEX_4 and address.endswith("7F")) for address in found)
