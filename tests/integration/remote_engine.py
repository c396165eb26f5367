"""A second engine, in network and mount namespaces of its own; see `.ci/remote-engine`."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlgate.sandbox.engine import Engine, connect

SCRIPT = Path(__file__).parents[2] / ".ci" / "remote-engine"
SETTINGS = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "TESTCONTAINERS_HOST_OVERRIDE")


class RemoteEngine:
    """Its place on this machine, and how it is reached.

    Attributes:
        folder: Where it keeps everything.
        settings: Docker's environment variables for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, str] = {}

    def start(self, *options: str) -> None:
        """Start it and note how it is reached."""
        done = subprocess.run(
            ["bash", SCRIPT, "start", self.folder, *options], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.fail(f"the second engine did not start (it needs root): {done.stdout}{done.stderr}")
        self.settings = dict(line.split("=", 1) for line in done.stdout.splitlines())

    def stop(self, *options: str) -> None:
        """Stop it."""
        subprocess.run(["bash", SCRIPT, "stop", self.folder, *options], check=True)

    def environment(self, **more: str) -> dict[str, str]:
        """Return this process's environment, with this engine instead of its own."""
        return {key: value for key, value in os.environ.items() if key not in SETTINGS} | self.settings | more

    def connect(self, **more: str) -> Engine:
        """Connect as a process with that environment would."""
        with pytest.MonkeyPatch.context() as patch:
            for name in SETTINGS:
                patch.delenv(name, raising=False)
            for name, value in (self.settings | more).items():
                patch.setenv(name, value)
            return connect()


@contextmanager
def running(*options: str) -> Iterator[RemoteEngine]:
    """Run one for the length of the block; nothing of it is left."""
    # Not below the tests' temporary folder: a container's own disk can not carry overlayfs.
    engine = RemoteEngine(Path(tempfile.mkdtemp(prefix="mlgate-remote-", dir="/var/lib")))
    try:
        engine.start(*options)
        yield engine
    finally:
        engine.stop()
