"""Run the demo: a server, five versions, four gate runs, one table."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgate.cli.console import coloured, result, say, table
from mlgate.errors import EngineError, OutputError, RegistryError
from mlgate.sandbox.engine import connect

# `import mlflow` takes 4 s cold, creating the database's tables up to 30 s on a slow disk.
_SERVER_TIMEOUT_S = 120
_MODEL = "affairs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One challenger, and what should come of it.

    Attributes:
        name: Key in the training's list of versions.
        story: For the table.
        decision: `admitted` or `refused`.
        check: Start of the check id that refuses it; empty where it is admitted.
    """

    name: str
    story: str
    decision: str
    check: str = ""


CASES = (
    Case(name="good", story="as good as the champion", decision="admitted"),
    Case(name="worse", story="lost accuracy", decision="refused", check="accuracy.regression"),
    Case(name="missing", story="requirements lack a package", decision="refused", check="environment."),
    Case(name="nan", story="NaN for some valid input", decision="refused", check="properties.total"),
)


def run_demo(folder: Path) -> int:
    """Run it in *folder*; return 0 where all four verdicts are as they should be, else 1.

    Raises:
        OutputError: *folder* can not be made.
        RegistryError: The MLflow server does not start.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can not be made ({error.strerror})") from error
    folder = folder.resolve()
    sandbox = _sandbox()
    with mlflow_server(folder) as uri:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri}
        versions = train(folder, sandbox, environment)
        say(f"champion: models:/{_MODEL}/{versions['champion']}")
        rows = [_challenge(case, versions[case.name], folder, sandbox, environment) for case in CASES]
        alias = _champion(environment, folder)
    result("")
    header = ("version", "challenger", "decision", "check", "as expected")
    result(table(header, [(*cells, "yes" if right else "NO") for cells, right in rows]))
    moved = alias == versions["good"]
    result("")
    result(f"champion is now version {alias} ({'promoted by the gate' if moved else 'NOT MOVED'})")
    result(f"reports: {folder}/reports/<version>/report.html")
    result(f"MLflow UI: {sys.executable} -m mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db --artifacts-destination {folder}/artifacts")  # fmt: skip
    if sandbox == "process":
        result("NOT ISOLATED: there is no container engine here; the models ran as plain processes")
    return 0 if moved and all(right for _, right in rows) else 1


def _sandbox() -> str:
    try:
        connect().close()
    except EngineError as error:
        say(f"{error}")
        say("NOT ISOLATED: the demo goes on in the process sandbox")
        return "process"
    return "container"


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run an MLflow server with SQLite on a free port for the length of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A database of an earlier demo would number the versions on.
    (folder / "mlflow.db").unlink(missing_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    with (folder / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        uri = f"http://127.0.0.1:{port}"
        say(f"starting MLflow at {uri}")
        _wait(uri, server, folder)
        yield uri
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def _wait(uri: str, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    import requests  # noqa: PLC0415  (0.1 s that `mlgate --help` must not pay)

    deadline = time.monotonic() + _SERVER_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if requests.get(f"{uri}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RegistryError("the MLflow server did not start", hint=f"see {folder}/mlflow.log")


def train(folder: Path, sandbox: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Register the demo's versions in a process of their own; return name to version."""
    say("training a champion and four challengers on Fair's survey (6 366 rows)")
    kinds = "container" if sandbox == "container" else "container, process"
    with (folder / "training.log").open("wb") as log:
        command = [sys.executable, "-m", "mlgate.demo.training", str(folder), kinds]
        done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False, cwd=folder)
    if done.returncode:
        raise RegistryError("the demo's training failed", hint=f"see {folder}/training.log")
    versions: dict[str, str] = json.loads((folder / "versions.json").read_text())
    return versions


def _challenge(
    case: Case, version: str, folder: Path, sandbox: str, environment: Mapping[str, str]
) -> tuple[tuple[str, str, str, str], bool]:
    """Test one challenger, ask the gate, try to promote; return its row and whether all went as it should."""
    uri = f"models:/{_MODEL}/{version}"
    say(f"--- {uri}: {case.story}")
    began = time.monotonic()
    place = folder / "reports" / version
    command = [sys.executable, "-m", "mlgate", "test", uri, "--sandbox", sandbox, "--folder", str(place)]
    subprocess.run(command, env=environment, check=False, cwd=folder)
    gate = _mlgate(["gate", uri], environment, folder)
    promote = _mlgate(["promote", uri, "--yes"], environment, folder)
    say(f"{uri}: {coloured(gate['decision'])} after {time.monotonic() - began:.0f} s")
    blamed = [reason["check"] or reason["code"] for reason in gate["reasons"]]
    check = next((name for name in blamed if case.check and name.startswith(case.check)), blamed[0] if blamed else "-")
    right = gate["decision"] == case.decision and check.startswith(case.check or "-")
    right &= promote.get("moved", False) is (case.decision == "admitted")
    return (version, case.story, gate["decision"], check), right


def _mlgate(arguments: list[str], environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "mlgate", *arguments, "--output", "json"]
    done = subprocess.run(command, env=environment, check=False, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"decision": "undecided", "reasons": [{"check": None, "code": f"exit {done.returncode}"}]}
    return document


def _champion(environment: Mapping[str, str], folder: Path) -> str:
    status = _mlgate(["status", _MODEL], environment, folder)
    return next((row["version"] for row in status.get("versions", []) if "champion" in row["aliases"]), "none")
