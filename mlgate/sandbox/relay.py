"""The token's other end: a process of ours on this machine's loopback, in front of a port that is open to others."""

import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from mlgate.errors import EngineError
from mlgate.sandbox import forwarder

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class Relay:
    """Carries connections from a loopback port of this machine to the engine's machine, and says the token first.

    A process and not a thread: the tests' own work must not slow down what is measured. It ends with this process.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._process = process
        self.port = port

    @classmethod
    def start(cls, host: str, port: int, token: str) -> Self:
        """Start, and block until it listens.

        Args:
            host: Address of the engine's machine.
            port: The published port there.
            token: What the forwarder demands.

        Raises:
            EngineError: It does not start.
        """
        command = [sys.executable, "-I", "-S", str(Path(forwarder.__file__)), "tcp:127.0.0.1:0", f"tcp:{host}:{port}"]
        process = subprocess.Popen(
            [*command, "--send-token", "--tied"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A Ctrl-C is sent to the whole group; the checks that it ends still need their server.
            start_new_session=True,
            cwd="/",
            env={},
        )
        assert process.stdin is not None  # noqa: S101  (asked for above)
        with suppress(OSError):
            process.stdin.write(f"{token}\n".encode())
            process.stdin.flush()
        words = _first_line(process).split()
        if words[:1] != ["forwarding"]:
            _end(process)
            raise EngineError(f"the relay to {host}:{port} does not start")
        return cls(process, int(words[1]))

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def stop(self) -> None:
        """End it. May be called twice."""
        _end(self._process)


def _first_line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None  # noqa: S101  (a pipe)
    said = b""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = process.stdout.read1(256) if ready else b""  # type: ignore[attr-defined]  # a BufferedReader, typed IO
        if not chunk:
            return ""
        said += chunk
    return said.decode(errors="replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()  # It holds nothing.
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
