"""Readiness of a server that is not ours: what the usual protocols say, and then one prediction."""

import http
import http.client
from dataclasses import dataclass

from mlgate.sandbox.readiness import MAX_READY_BYTES, PROBE_TIMEOUT_S, Look, look

# MLflow's scoring server and SageMaker's contract; V2 (KServe, MLServer, Triton).
HEALTH_PATHS = ("/ping", "/v2/health/ready")
_OWN = ("phases", "started_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The prediction that a server has to answer before it counts as ready: the logged example.

    Attributes:
        path: Where predictions are asked for.
        body: The request; `None` where the version has no example that this protocol can send.
        content_type: Its type.
        timeout_s: Longest time for the answer.
    """

    path: str
    body: bytes | None
    content_type: str
    timeout_s: float


def look_at_any(host: str, port: int, trial: Trial) -> Look:
    """Look once at a server that may be anybody's.

    Our own `/ready` is believed: it comes after warm-up predictions. Anybody else's word is not enough, as MLflow's `/ping` says
    200 while every predict thread hangs: the example must be *answered* too. With which status is for the schema suite to judge,
    as with our own server; one that has no health page at all is ready when it answers 200.

    Returns:
        `said` is set once it is ready, and empty for a server that is not ours.
    """
    seen = look(host, port)
    if seen.said is not None and all(key in seen.said for key in _OWN):
        return seen
    if seen.silent or seen.status is None or seen.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return Look(status=seen.status, silent=seen.silent)
    healthy, health = _health(host, port, seen.status)
    if healthy and trial.body is None:
        return Look(said={}, status=health)
    if not healthy and (trial.body is None or health >= http.HTTPStatus.INTERNAL_SERVER_ERROR):
        return Look(status=health)
    status = _ask(host, port, "POST", trial.path, trial)
    if status == http.HTTPStatus.OK or (healthy and status is not None):
        return Look(said={}, status=status)
    return Look(status=status, silent=status is None)


def _health(host: str, port: int, status: int) -> tuple[bool, int]:
    """Return whether a health page says yes, and its status, else the worst of all; *status* is that of `/ready`."""
    worst = status
    for path in HEALTH_PATHS:
        if worst == http.HTTPStatus.OK:
            break
        found = _ask(host, port, "GET", path)
        if found == http.HTTPStatus.OK:
            return True, found
        worst = max(worst, found or 0)
    return worst == http.HTTPStatus.OK, worst


def _ask(host: str, port: int, method: str, path: str, trial: Trial | None = None) -> int | None:
    """Return the status of the answer; `None` where there was none in time."""
    connection = http.client.HTTPConnection(host, port, timeout=trial.timeout_s if trial else PROBE_TIMEOUT_S)
    try:
        headers = {"Content-Type": trial.content_type} if trial else {}
        connection.request(method, path, body=trial.body if trial else None, headers=headers)
        response = connection.getresponse()
        response.read(MAX_READY_BYTES)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return response.status
