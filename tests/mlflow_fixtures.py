"""A real MLflow server for tests, and tiny model directories as MLflow writes them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.postgres import running_postgres

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


@contextmanager
def running_server(folder: Path, *options: str, store: str | None = None, **environment: str) -> Iterator[MlflowServer]:
    """Run a real MLflow server over HTTP, with proxied artifacts.

    Args:
        folder: An existing folder of its own.
        options: Further words of `mlflow server`.
        store: Where runs and models are kept; default: a SQLite file in *folder*.
        environment: Added to the server's environment, which has nothing of MLflow's else.
    """
    port = _free_port()
    server = MlflowServer(uri=f"http://127.0.0.1:{port}", folder=folder, log=folder / "log.txt")
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", store or f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(server.artifacts), "--serve-artifacts", *options),
    ]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    # The server's background jobs are four more processes that nobody here needs.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    clean |= {**quiet, **environment}
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=clean, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_healthy(process, server)
        yield server
    finally:
        # The server has workers of its own, in the session it was started in.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server over HTTP, with sqlite and proxied artifacts."""
    with running_server(tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own with a database `mlflow`; its SQLAlchemy address. Missing: failed, not skipped."""
    with running_postgres() as address:
        yield address


@pytest.fixture(scope="session")
def postgres_mlflow_server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server whose runs and models are in PostgreSQL."""
    with running_server(tmp_path_factory.mktemp("mlflow-postgres"), store=postgres) as server:
        yield server
