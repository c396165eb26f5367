"""The process in which Ray's driver runs: started, spoken to and ended from here.

Not in this one: a driver whose cluster is lost ends its process without a word, and a run must end with a reason. What
Ray writes to the terminal, sets in the environment and does to signals stays there, too.
"""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines.ray_guard import MARK, TMP_PREFIX, guard
from mlgate.evaluation.engines.ray_messages import Failed, Opened, Start

# Ray gives its own processes 30 s, and the driver tries twice.
START_TIMEOUT_S = 180.0
CLOSE_TIMEOUT_S = 10.0
# A socket's path has at most 107 characters, and Ray puts 65 of its own behind this folder's name.
_LONGEST_TMP = 20
_LAST_WORDS = 300


class RayProcess:
    """A driver, connected to a cluster.

    Attributes:
        mark: What all processes of a cluster that was started for it have in their environment.
        opened: What the cluster has.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: Connection, log: Path, mark: str) -> None:
        self._process, self._pipe, self._log = process, pipe, log
        self.mark = mark
        self.opened = Opened(here="", cpus={})

    def send(self, message: object) -> None:
        """Send one message.

        Raises:
            EngineError: The process has ended.
        """
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._ended() from error

    def receive(self, *, timeout_s: float) -> Any:
        """Return the next message.

        Raises:
            EngineError: The process says that it failed, has ended, or says nothing for *timeout_s* seconds.
        """
        try:
            if not self._pipe.poll(timeout_s):
                raise EngineError(f"Ray gives no sign for {timeout_s:.0f} s", hint="is the cluster busy?")
            message = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(message, Failed):
            raise EngineError(message.text, hint=message.hint or None)
        return message

    def close(self) -> None:
        """Have it end by itself, so that a cluster that it has joined learns of it; the guard sees to the rest."""
        self._pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_TIMEOUT_S)

    def _ended(self) -> EngineError:
        with suppress(EOFError, OSError):
            while self._pipe.poll():
                if isinstance(last := self._pipe.recv(), Failed):
                    return EngineError(last.text, hint=last.hint or None)
        try:
            status: object = self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            status = "unknown"
        said = self._log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").split()
        return EngineError(
            f"Ray's driver has ended with status {status}", hint=f"it said: {' '.join(said) or 'nothing'}"
        )


def cluster_address() -> str:
    """Return what `RAY_ADDRESS` says; empty where a cluster is to be started.

    Raises:
        ConfigError: It is one of Ray's client protocol, which Ray Data does not speak.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address.startswith("ray://"):
        raise ConfigError(
            f"RAY_ADDRESS {address}: Ray Data needs a node of the cluster and no client",
            hint="run mlgate on a node of the cluster, with RAY_ADDRESS=host:6379",
        )
    return "" if address == "local" else address


@contextmanager
def open_process(*, cpus: int) -> Iterator[RayProcess]:
    """Yield a driver, connected where `RAY_ADDRESS` says, else to a cluster of its own; all of it ends with the block.

    Args:
        cpus: What a cluster that is started gives to workers; one that is joined has its own.

    Raises:
        ConfigError: `RAY_ADDRESS` is one that can not be used.
        EngineError: There is no cluster at `RAY_ADDRESS`, or none can be started.
    """
    address = cluster_address()
    place = tempfile.gettempdir()
    home = Path(tempfile.mkdtemp(prefix=TMP_PREFIX, dir=place if len(place) <= _LONGEST_TMP else "/tmp"))  # noqa: S108 - as above
    mark = secrets.token_hex(8)
    with guard(mark, home):
        process = _start(home, environment(mark, own=not address))
        try:
            process.send(Start(address=address, cpus=cpus, home=str(home)))
            process.opened = process.receive(timeout_s=START_TIMEOUT_S)
            yield process
        finally:
            process.close()


def environment(mark: str, *, own: bool) -> dict[str, str]:
    """Return the driver's environment.

    Args:
        mark: See `RayProcess`.
        own: The cluster is to be started, and not joined.
    """
    # It has to find this very mlgate, and whatever this process would find.
    path = os.pathsep.join(dict.fromkeys(os.path.abspath(entry or ".") for entry in sys.path))  # noqa: PTH100 - text
    found = {**os.environ, MARK: mark, "PYTHONPATH": path}
    if own:
        found |= {
            "RAY_USAGE_STATS_ENABLED": "0",
            # Without these two, its ports are open to the network, and whoever reaches them runs code here.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            # Without it, Ray writes one into the home directory, and leaves it there.
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            # A fixed port would be taken by a second run.
            "AUTOSCALER_METRIC_PORT": "0",
            # Under `uv run`, workers would be given an environment of their own.
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        found.pop("RAY_ADDRESS", None)
    return found


def _start(home: Path, variables: dict[str, str]) -> RayProcess:
    ours, theirs = Pipe()
    log = home / "driver.log"
    with theirs, log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlgate.evaluation.engines.ray_driver", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # a Ctrl-C is for the run, which ends it
            env=variables,
        )
    return RayProcess(process, ours, log, variables[MARK])
