"""What a server says while it boots and when it dies: the boot line, `/ready`, exit statuses."""

import http.client
import json
import math
import signal
from collections.abc import Mapping
from typing import Any

from mlgate.errors import ServerError
from mlgate.sandbox.interface import BootTimes, ServerFailure, ServerLimits

POLL_S = 0.025
PROBE_TIMEOUT_S = 2.0
LOG_LINES = 50
EXIT_LOAD_FAILED = 3
EXIT_NOT_SERVABLE = 4
_SAID = "mlgate: "


def server_environment(limits: ServerLimits) -> dict[str, str]:
    """Return the whole environment of a server, but for its PATH: nothing comes from the host.

    The policy's `runtime.env` comes last and may override all of it.
    """
    threads = str(limits.threads)
    return {
        "HOME": "/tmp",  # noqa: S108  (the only place that a server can write to)
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        # Libraries count the host's cores, not the limit's.
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(max(1, math.ceil(limits.request_timeout_s))),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        **limits.env,
    }


def probe(host: str, port: int) -> Mapping[str, Any] | None:
    """Return what `GET /ready` says once it says yes; `None` while nobody answers or it says no."""
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        body = response.read(1 << 20)
        said = json.loads(body) if response.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return said if isinstance(said, dict) else None


def boot_line(log: str) -> Mapping[str, Any] | None:
    """Return the boot line among the lines of *log*, or `None`."""
    for line in log.splitlines():
        if line.startswith('{"mlgate_boot"'):
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict):
                return said
    return None


def boot_times(said: Mapping[str, Any], *, started_at: float, ready_at: float) -> BootTimes:
    """Return the boot's times, all from *started_at*.

    Args:
        said: The server's boot facts; its phases count from the start of its own process.
        started_at: When the engine (or we) started it, seconds of the unix clock.
        ready_at: When the probe was answered.
    """
    phases: dict[str, float] = {}
    try:
        offset = float(said["started_at"]) - started_at
        for name, seconds in said["phases"].items():
            phases[str(name)] = round(max(0.0, float(seconds) + offset), 4)
    except (KeyError, TypeError, ValueError, AttributeError):
        phases = {}  # Not our server, or a model that prints lines like ours: what we measured stands alone.
    return BootTimes(ready_s=round(max(0.0, ready_at - started_at), 4), phases=phases)


def failure_of(*, code: int, oom: bool, log: str) -> ServerFailure:
    """Name the end of a server.

    Args:
        code: Exit status; 128 + n, or -n, for signal n.
        oom: The engine or the cgroup counted an out-of-memory kill.
        log: Its last lines.
    """
    number = -code if code < 0 else code - 128
    said = next((line for line in reversed(log.splitlines()) if line.startswith(_SAID)), "")
    if oom:
        return ServerFailure(kind="oom", message="the server was killed: it went over its memory limit", log=log)
    if code in (EXIT_LOAD_FAILED, EXIT_NOT_SERVABLE) and said:
        return ServerFailure(kind="exited", message=said.removeprefix(_SAID), log=log)
    if number in {item.value for item in signal.Signals}:
        name = signal.Signals(number).name
        return ServerFailure(kind="signal", message=f"the server was killed by {name} (status {code})", log=log)
    return ServerFailure(kind="exited", message=f"the server exited with status {code}", log=log)


def not_started(failure: ServerFailure, code: int | None) -> ServerError:
    """Return the error for a server that died before it was ready."""
    kind = {"oom": "oom", "gone": "unreachable"}.get(failure.kind, "exited")
    if code == EXIT_LOAD_FAILED and failure.kind == "exited":
        kind = "load_failed"
    return ServerError(f"{failure.message}, before it was ready", kind=kind, log=failure.log)


def never_ready(limits: ServerLimits, log: str) -> ServerError:
    """Return the error for a server that runs but does not get ready."""
    return ServerError(f"the server was not ready within {limits.ready_timeout_s:g} s", kind="hang", log=log)
