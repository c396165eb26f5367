"""A real MLflow server for tests, and tiny model directories as MLflow writes them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

START_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowServer:
    """A running server with a database and an artifact store of its own."""

    uri: str
    folder: Path
    log: Path

    @property
    def artifacts(self) -> Path:
        """Where the server keeps artifacts: for tests that change them behind its back."""
        return self.folder / "artifacts"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], server: MlflowServer) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if requests.get(f"{server.uri}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    pytest.fail(f"the MLflow server did not start: {server.log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server over HTTP, with sqlite and proxied artifacts."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    port = _free_port()
    server = MlflowServer(uri=f"http://127.0.0.1:{port}", folder=folder, log=folder / "log.txt")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(server.artifacts)),
        "--serve-artifacts",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    # Nine more processes, each of which imports MLflow; nobody here gives the server a job to run.
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_healthy(process, server)
        yield server
    finally:
        # The server has workers of its own, in the session it was started in.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
