"""Bounds for MLflow's HTTP client and ours, where MLflow's defaults wait for minutes; and a quick look whether a server is one."""

import base64
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from mlgate.errors import RegistryError
from mlgate.registry.mlflow_pace import paced
from mlgate.registry.urls import without_credentials

# MLflow reads these at each call. Its defaults are 7 retries of 120 s each. What the user set stays.
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # A hostile server may ask for an hour.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    # A gate tells nobody but its registry that it runs.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# These are ours whatever the user set: standard output belongs to the machine-readable result, and MLflow prints
# the tracking URI, credentials and all.
_QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

# Ways to log in, or to be somebody's, that MLflow's own client knows and ours does not.
_ONLY_MLFLOWS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_WORKSPACE")
# MLflow's own list of what may be over soon.
_TRANSIENT = (408, 429, 500, 502, 503, 504)
# MLflow's downloads use as many threads.
_CONNECTIONS = 8
_CREDENTIALS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
# Shorter ones are words of a message as often as secrets.
_SECRET_FROM = 4

# Twice this is the longest that a dead server takes: one repetition.
_PROBE_TIMEOUT_S = 5.0
_HEAD_BYTES = 512

_lock = threading.Lock()
_users = 0
_saved: dict[str, str | None] = {}


@contextmanager
def bounded() -> Iterator[None]:
    """Bound MLflow's retries and keep it quiet, for this process, while at least one caller is inside."""
    global _users  # noqa: PLW0603 - the environment is global, so is the count of who needs it changed
    with _lock:
        _users += 1
        if _users == 1:
            wanted = {**{key: os.environ.get(key, value) for key, value in _BOUNDS.items()}, **_QUIET}
            _saved.update({key: os.environ.get(key) for key in wanted})
            os.environ.update(wanted)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for key, value in _saved.items():
                    if value is None:
                        os.environ.pop(key, None)
                    else:
                        os.environ[key] = value
                _saved.clear()


def probe(uri: str) -> bool:
    """Make sure that an MLflow server, or a database that exists, is behind *uri*.

    Any other scheme is left to MLflow.

    Returns:
        Whether it is a server that lets us in, so that `patient_session` can ask it.

    Raises:
        RegistryError: No answer within about 10 s, or an answer that is not MLflow's.
    """
    shown = without_credentials(uri)
    if uri.startswith("sqlite:///"):
        file = uri.removeprefix("sqlite:///").partition("?")[0]
        # MLflow would create it, and every question would then be answered with "there is none".
        if file not in ("", ":memory:") and not Path(file).is_file():
            raise RegistryError(
                f"{shown}: there is no such database", hint="set MLFLOW_TRACKING_URI to your MLflow server"
            )
    if not uri.startswith(("http://", "https://")):
        return False
    try:
        status, kind, head = _ask(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search")
    except (requests.RequestException, ValueError) as error:
        raise RegistryError(
            f"{shown} does not answer ({in_short(error)})", hint="is MLFLOW_TRACKING_URI right?"
        ) from None
    answer = f"answers HTTP {status}"
    # Who may do what is for the call itself to find out: MLflow knows more ways to log in than this probe.
    if status in (401, 403):
        return False
    if status != requests.codes.ok or kind != "JSON":
        what = f"{answer} with {kind}, not as an MLflow server" if kind != "JSON" else f"{answer} ({_printable(head)})"
        raise RegistryError(f"{shown} {what}", hint=f"is MLFLOW_TRACKING_URI right? curl {shown.rstrip('/')}/health")
    return not any(os.environ.get(name) for name in _ONLY_MLFLOWS)


def patient_session() -> requests.Session:
    """Return a session that may ask a server anything twice, within `bounded`'s limits; for reading only."""
    retries = Retry(
        total=int(_bound("MAX_RETRIES")),
        backoff_factor=_bound("BACKOFF_FACTOR"),
        status_forcelist=_TRANSIENT,
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    session = _session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries, pool_maxsize=_CONNECTIONS))
    paced(session)
    return session


def timeout_s() -> float:
    """Return how long one answer may take to begin, in seconds."""
    return _bound("TIMEOUT")


def _bound(what: str) -> float:
    name = f"MLFLOW_HTTP_REQUEST_{what}"
    return float(os.environ.get(name, _BOUNDS[name]))


def hint(error: BaseException, uri: str) -> str:
    """Return what to do about an error of a call that followed a good probe."""
    code, text = str(getattr(error, "error_code", "")), str(error)
    if code == "UNAUTHENTICATED" or re.search(r"\b401\b", text):
        again = " (set, and not accepted)" if any(map(os.environ.get, _CREDENTIALS)) else ""
        return f"set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD{again}"
    if code == "PERMISSION_DENIED" or re.search(r"\b403\b", text):
        return "whoever MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME stands for may not do this: ask for the permission"
    return f"is {without_credentials(uri)} healthy? mlgate doctor"


def server_version(uri: str) -> str | None:
    """Return the MLflow version of the server at an http(s) *uri*, or `None` where it does not tell."""
    try:
        with _session() as session:
            found = session.get(f"{uri.rstrip('/')}/version", timeout=_PROBE_TIMEOUT_S, stream=True)
            text = _head(found).decode("ascii", "replace").strip()
    except (requests.RequestException, OSError, ValueError):
        return None
    return text if found.ok and re.fullmatch(r"\d+\.\d+[\w.+-]*", text) else None


def in_short(error: BaseException) -> str:
    """Return what is behind an error of the HTTP or MLflow client, in one line without credentials."""
    text = str(error)
    if match := re.search(r"\[Errno -?\d+\] ([A-Za-z ,]+)", text):
        return match[1].strip()
    if "timed out" in text or "timeout" in text.lower():
        return "timed out"
    if match := re.search(r"too many ([0-9]{3}) error responses", text):
        return f"HTTP {match[1]}, also when asked again"
    return _printable(without_credentials(text).encode("utf-8", "replace"), 300).rstrip(".") or type(error).__name__


def _session() -> requests.Session:
    session = requests.Session()
    env = os.environ
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        session.headers["Authorization"] = f"Bearer {token}"
    elif (user := env.get("MLFLOW_TRACKING_USERNAME")) and (password := env.get("MLFLOW_TRACKING_PASSWORD")):
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        session.headers["Authorization"] = f"Basic {pair}"
    if env.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        session.verify = False
    elif certificate := env.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
        session.verify = certificate
    session.cert = env.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    return session


def _ask(url: str) -> tuple[int, str, bytes]:
    """Return status, kind of body and its head. One repetition: a server may be restarting."""
    with _session() as session:
        for attempt in (1, 2):
            try:
                found = session.post(url, json={"max_results": 1}, timeout=_PROBE_TIMEOUT_S, stream=True)
                head = _head(found)
            except (requests.RequestException, OSError):
                if attempt == 2:
                    raise
            else:
                start = head.lstrip()[:1]
                kind = "JSON" if start == b"{" else "HTML" if start == b"<" else "text"
                return found.status_code, kind, head
    raise AssertionError("unreachable: the second attempt returns or raises")


def _head(response: requests.Response) -> bytes:
    """Return the first bytes of a body; byte by byte, because a larger read waits for a server that trickles."""
    deadline, head = time.monotonic() + _PROBE_TIMEOUT_S, bytearray()
    for byte in response.iter_content(1):
        head += byte
        if len(head) >= _HEAD_BYTES or time.monotonic() > deadline:
            break
    return bytes(head)


def _printable(raw: bytes, limit: int = 120) -> str:
    text = " ".join(raw.decode("utf-8", "replace").split())
    text = "".join(character for character in text if character.isprintable())
    # A proxy may repeat what it was given.
    for secret in (os.environ.get(name, "") for name in _CREDENTIALS if not name.endswith("USERNAME")):
        text = text.replace(secret, "…") if len(secret) >= _SECRET_FROM else text
    return without_credentials(text if len(text) <= limit else f"{text[:limit]}…")
