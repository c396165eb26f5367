"""What a server says while it boots and when it dies: the boot line, `/ready`, exit statuses."""

import http
import http.client
import io
import json
import math
import re
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.errors import FailureKind, ServerError
from mlgate.quantities import format_size
from mlgate.sandbox.boot_facts import imports_of, model_bytes_of, read_of
from mlgate.sandbox.interface import BootTimes, ServerFailure, ServerLimits

POLL_S = 0.025
PROBE_TIMEOUT_S = 2.0
LOG_LINES = 50
EXIT_LOAD_FAILED = 3
EXIT_NOT_SERVABLE = 4
# The boot phases of our server, in order, and what is under way until each is over.
_DURING = {
    "interpreter": "while the interpreter starts",
    "imports": "while the server is imported",
    "load": "while the model is loaded",
    "warm_up": "while it makes its warm-up predictions",
    "ready": "while it begins to listen",
}
PHASES = tuple(_DURING)
# Boot facts are a few hundred bytes; a model may send what it likes.
MAX_READY_BYTES = 1 << 20
MAX_PHASES = 32
# The most that a server can put into the evidence with its output.
LOG_BYTES = 1 << 16
_SAID = "mlgate: "
_FRAME = re.compile(r'^  File "([^"\n]*)", line (\d+) in (\S+)$', re.MULTILINE)
_NOT_THE_MODELS = re.compile(r"/mlgate_serving/|/lib/python3\.\d+/|^<|^\?")
# Where a server's threads stand when they wait for work.
_SERVERS = re.compile(
    r"/mlgate_serving/|/lib/python3\.\d+/(?!site-packages/)|/(mlflow|uvicorn|anyio|starlette|fastapi|a2wsgi)/|^<|^\?"
)


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
        # A crash in native code and a hang at the deadline (SIGABRT) print where every thread is.
        "PYTHONFAULTHANDLER": "1",
        # Libraries count the host's cores, not the limit's.
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": str(max(1, math.ceil(limits.request_timeout_s))),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        **limits.env,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at `/ready` saw.

    Attributes:
        said: The boot facts of a server that is ready.
        status: HTTP status; `None` where nobody answered.
        silent: Somebody took the connection and did not answer in time.
    """

    said: Mapping[str, Any] | None = None
    status: int | None = None
    silent: bool = False


def probe(host: str, port: int) -> Mapping[str, Any] | None:
    """Return what `GET /ready` says once it says yes; `None` while nobody answers or it says no."""
    return look(host, port).said


def look(host: str, port: int, *, timeout_s: float = PROBE_TIMEOUT_S) -> Look:
    """Ask `GET /ready` once. Takes *timeout_s* at most, also where the answer comes byte by byte.

    Args:
        host: Where the server is reached.
        port: And on which port.
        timeout_s: Longest time for connection and answer together.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(f"GET /ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            raw = _read_until(connection, deadline)
    except TimeoutError:
        return Look(silent=True)
    except OSError:
        return Look()
    return _parsed(raw)


def _read_until(connection: socket.socket, deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MAX_READY_BYTES:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        parts.append(chunk)
        size += len(chunk)
    return b"".join(parts)


def _parsed(raw: bytes) -> Look:
    head, _, _ = raw.partition(b"\r\n")
    match = re.match(rb"HTTP/1\.[01] (\d{3})(?: |\Z)", head)
    if match is None:
        return Look()  # A connection that was closed without an answer: nobody listens behind the forwarder.
    status = int(match.group(1))
    if status != http.HTTPStatus.OK:
        return Look(status=status)
    try:
        response = http.client.HTTPResponse(_Received(raw))  # type: ignore[arg-type]  # all it asks of a socket is a file
        response.begin()
        said = json.loads(response.read(MAX_READY_BYTES))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return Look(status=status)
    return Look(said=said if isinstance(said, dict) else None, status=status)


class _Received:
    """Bytes that look like a socket to `http.client`."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        """Return them as a file."""
        return io.BytesIO(self._raw)


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


def boot_times(
    said: Mapping[str, Any], *, started_at: float, ready_at: float, before: Mapping[str, float] | None = None
) -> BootTimes:
    """Return the boot's times, all from *started_at*.

    Args:
        said: The server's boot facts; its phases count from the start of its own process.
        started_at: When the engine (or we) started it, seconds of the unix clock.
        ready_at: When the probe was answered.
        before: What the engine took until *started_at*.
    """
    phases: dict[str, float] = {}
    try:
        offset = float(said["started_at"]) - started_at
        for name, seconds in said["phases"].items():
            phases[str(name)] = round(max(0.0, float(seconds) + offset), 4)
        if len(phases) > MAX_PHASES or not all(len(name) <= 64 and math.isfinite(at) for name, at in phases.items()):
            phases = {}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        phases = {}  # Not our server, or a model that prints lines like ours: what we measured stands alone.
    return BootTimes(
        ready_s=round(max(0.0, ready_at - started_at), 4),
        phases=phases,
        before=dict(before or {}),
        imports=imports_of(said),
        read=read_of(said),
        model_bytes=model_bytes_of(said),
    )


def failure_of(*, code: int, oom: bool, log: str, memory: int | None = None) -> ServerFailure:
    """Name the end of a server.

    Args:
        code: Exit status; 128 + n, or -n, for signal n.
        oom: The engine or the cgroup counted an out-of-memory kill.
        log: Its last lines.
        memory: Its limit in bytes.
    """
    number = -code if code < 0 else code - 128
    said = next((line for line in reversed(log.splitlines()) if line.startswith(_SAID)), "")
    limit = f" ({format_size(memory)})" if memory else ""
    if oom and number == signal.SIGKILL:
        message = f"the server was killed: it went over the memory limit{limit}"
        return ServerFailure(kind=FailureKind.OOM, message=message, log=log)
    if oom:
        # The engine's flag is set by any process of the container; this server chose its own end after that.
        message = f"a process of the server went over the memory limit{limit} and was killed; the server then exited with status {code}"
        return ServerFailure(kind=FailureKind.OOM_WORKER, message=message, log=log)
    if code == EXIT_LOAD_FAILED and said:
        return ServerFailure(kind=FailureKind.LOAD_FAILED, message=said.removeprefix(_SAID), log=log)
    if code == EXIT_NOT_SERVABLE and said:
        return ServerFailure(kind=FailureKind.EXITED, message=said.removeprefix(_SAID), log=log)
    if number in {item.value for item in signal.Signals}:
        name = signal.Signals(number).name
        message = f"the server was killed by {name} (status {code})"
        return ServerFailure(kind=FailureKind.SIGNAL, message=message, log=log)
    return ServerFailure(kind=FailureKind.EXITED, message=f"the server exited with status {code}", log=log)


def oom_worker(memory: int, *, log: str) -> ServerFailure:
    """Name the death of one of its processes, which the server outlived."""
    message = f"a process of the server went over the memory limit ({format_size(memory)}) and was killed; the server still runs"
    return ServerFailure(kind=FailureKind.OOM_WORKER, message=message, log=log)


def not_started(failure: ServerFailure, *, met: Sequence[str] = ()) -> ServerError:
    """Return the error for a server that died before it was ready.

    Args:
        failure: How it died.
        met: Limits that it ran into.
    """
    why = "".join(f"; {words}" for words in met)
    return ServerError(f"{failure.message}{why}, before it was ready", kind=failure.kind, log=failure.log)


def never_ready(
    limits: ServerLimits, log: str, *, seen: Look | None = None, worker_killed: bool = False, output: str = ""
) -> ServerError:
    """Return the error for a server that runs but does not get ready: how far it came, and where it stands.

    Args:
        limits: What it had, the deadline among it.
        log: Its last lines; the threads' stacks among them where it could be made to print them.
        seen: The last look at it.
        worker_killed: The kernel killed one of its processes for memory.
        output: All that is known of its output, for the phases; default: *log*.
    """
    late = f"the server was not ready within {limits.ready_timeout_s:g} s"
    done = phases_done(output or log)
    kind, why = _hang(seen or Look(), done)
    if worker_killed:
        kind = FailureKind.OOM_WORKER
        why = f"a process of it went over the memory limit ({format_size(limits.memory)}) and was killed; {why}"
    place = place_of_hang(log)
    return ServerError(f"{late}: {why}{f', at {place}' if place else ''}", kind=kind, log=log)


def _hang(seen: Look, done: Sequence[str]) -> tuple[FailureKind, str]:
    if seen.status is not None and seen.status >= 500 and seen.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
        return FailureKind.ERROR_STATUS, f"it listens and answers {seen.status}"
    if done and len(done) < len(PHASES) - 1:
        during = next(phase for phase in PHASES if phase not in done)
        return FailureKind.HANG_AT_LOAD, f"it hangs, {_DURING[during]}"
    if seen.silent or seen.status is not None:
        what = "does not answer" if seen.status is None else f"answers {seen.status} and no boot facts"
        return FailureKind.HANG_AT_LOAD, f"it listens and {what}"
    return FailureKind.NO_LISTENER, "it runs, and nobody listens where it should"


def phases_done(output: str) -> tuple[str, ...]:
    """Return the boot phases that a server's output tells of, in order; empty where it is not our server."""
    told = {match.group(1) for match in re.finditer(r'^\{"mlgate_phase": "(\w+)"\}$', output, re.MULTILINE)}
    return tuple(phase for phase in PHASES if phase in told)


def place_of_hang(log: str) -> str | None:
    """Return where the main thread stands, from the stacks that `faulthandler` printed; `None` where it printed none.

    The innermost line of the model's own code tells more than the lock in the standard library that it waits on.
    """
    _, dumped, stacks = log.rpartition("Fatal Python error: Aborted")
    if not dumped:
        return None
    # The main thread was made first and is printed last; a prediction runs in another one.
    threads = [
        _FRAME.findall(block) for block in re.split(r"\(most recent call first\):$", stacks, flags=re.MULTILINE)[1:]
    ]
    threads.reverse()
    for others in (_NOT_THE_MODELS, _SERVERS):
        for frames in threads:
            own = [frame for frame in frames if not others.search(frame[0])]
            if own:
                return _place(own[0])
    return _place(threads[0][0]) if threads and threads[0] else None


def _place(frame: tuple[str, str, str]) -> str:
    path, line, function = frame
    return f"{path}:{line} in {function}"
