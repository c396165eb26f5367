"""Locust runs this file, and this file runs a user's own locustfile and records every request of it."""

import os
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import requests
from locust import FastHttpUser, events
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.runners import LocalRunner
from locust.util.load_locustfile import load_locustfile

from mlgate.load.answers import kind_of_status
from mlgate.load.generator.parent import Parent, take_place
from mlgate.load.handover import Ran, tell_start
from mlgate.load.plan import PLAN_VARIABLE, ROWS_FILE
from mlgate.load.recording import Raised, Recording, tell_problem
from mlgate.load.samples import ROW, ErrorKind

# Locust has put this module where a module `recorder` of the user's would be looked for.
sys.modules.pop(__name__, None)

PRIVATE = Path(os.environ[PLAN_VARIABLE])
RECORDING = Recording.read(PRIVATE)
PARENT = Parent(PRIVATE)

# Exit code of a locustfile that can not be run. Locust itself uses 0, 1 and 2.
UNUSABLE = 3

# One row as `ROW` has it; packing a tuple takes a tenth of the time of filling an array of one row.
_ROW = struct.Struct("<dddqiiiBB")
assert _ROW.size == ROW.itemsize  # noqa: S101  (two spellings of one layout)


def where(error: BaseException, trace: Any = None) -> str:
    """Return *error* in one line, with the last line of the user's file that it passed."""
    text = f"{type(error).__name__}: {error}".strip()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(trace or error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == RECORDING.file] or frames[-1:]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}: {text}" if own else text


class Recorder:
    """Writes a row for every request that ends, and ends the run."""

    def __init__(self) -> None:
        # Unbuffered and appended to: who maps the file sees whole rows only, as soon as they are there.
        self._rows = (PRIVATE / ROWS_FILE).open("ab", buffering=0)
        self._started_at = self._cpu_s = 0.0
        self._stopped_s: float | None = None
        self._raised, self._first = 0, ""

    def start(self, environment: Any, **_: Any) -> None:
        """Second 0 is now; *duration_s* later users stop, each after the request that it waits for."""
        self._started_at, self._cpu_s = time.monotonic(), time.process_time()
        gevent.spawn_later(RECORDING.duration_s, environment.runner.quit)
        PARENT.on_stop(lambda: self._stop(environment))
        tell_start(PRIVATE, self._started_at)

    def _stop(self, environment: Any) -> None:
        if self._stopped_s is None:
            self._stopped_s = time.monotonic() - self._started_at
            environment.stop_timeout = 0  # nobody waits for what is under way
            gevent.spawn(environment.runner.quit)

    def finish(self, **_: Any) -> None:
        """Leave what the run reads besides the rows."""
        if not self._started_at:
            return
        cpu_share = (time.process_time() - self._cpu_s) / (time.monotonic() - self._started_at)
        Raised(count=self._raised, first=self._first).write(PRIVATE)
        Ran(started_at=self._started_at, stopped_s=self._stopped_s, cpu_share=cpu_share).write(PRIVATE)

    def raised(self, exception: BaseException, tb: Any = None, **_: Any) -> None:
        """Count what a task raised; Locust logs it and goes on."""
        self._raised += 1
        self._first = self._first or where(exception, tb)

    def request(
        self,
        response_time: float,
        response_length: int | None = None,
        exception: Any = None,
        start_time: float | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        """Write the row of a request, in ms and bytes as locust tells them."""
        took_s = (response_time or 0.0) / 1000
        sent_s = self._sent_s(start_time, max(0.0, took_s))
        status = int(getattr(response, "status_code", 0) or 0)
        error = _kind(status, exception, took_s)
        # What has no status and did not fail is another protocol's answer.
        self._write(sent_s, sent_s + max(0.0, took_s), status or (0 if error else 200), response_length or 0, error)

    def _sent_s(self, start_time: float | None, took_s: float) -> float:
        """Return when a request left, within the run: one placed beyond it would be no sample, and judged by nobody.

        Locust's start is on the wall clock, which may be set meanwhile. A caller's own event may lack it, or have it of another
        clock or in milliseconds: then it has just ended.
        """
        now_s = self._now_s()
        sent_s = now_s - (time.time() - start_time if start_time else took_s)
        return sent_s if 0 <= sent_s <= now_s else max(0.0, now_s - took_s)

    def gave_up(self, began_at: float) -> None:
        """Write the row of a request whose user was killed while it waited, where it had waited long enough."""
        if time.monotonic() - began_at >= RECORDING.timeout_s:
            self._write(began_at - self._started_at, self._now_s(), 0, 0, ErrorKind.TIMEOUT)

    def _write(self, sent_s: float, done_s: float, status: int, size: int, error: int) -> None:
        if self._started_at:
            self._rows.write(_ROW.pack(sent_s, sent_s, done_s, size, status, 0, -1, 0, error))

    def _now_s(self) -> float:
        return time.monotonic() - self._started_at


def _kind(status: int, exception: Any, took_s: float) -> ErrorKind:
    """Return what was wrong: the file's own word where it judged the answer, else what the status or the client says."""
    if took_s > RECORDING.timeout_s:
        return ErrorKind.TIMEOUT
    if exception is None:
        return ErrorKind.NONE if took_s >= 0 else ErrorKind.INVALID
    if status:
        return kind_of_status(status) or ErrorKind.INVALID
    cause = getattr(exception, "original", None) or exception
    is_timeout = isinstance(cause, gevent.Timeout | TimeoutError | requests.exceptions.Timeout)
    return ErrorKind.TIMEOUT if is_timeout else ErrorKind.CONNECTION


def bound(session: Any, recorder: Recorder, **defaults: Any) -> None:
    """Let no request of *session* wait for ever, and none be lost that is under way when the run ends."""
    request: Callable[..., Any] = session.request

    def bounded(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        began_at = time.monotonic()
        try:
            return request(self, method, url, *args, **{**defaults, **options})
        except gevent.GreenletExit:
            recorder.gave_up(began_at)
            raise

    session.request = bounded


def unusable(problem: str) -> None:
    """End the process, with the reason."""
    tell_problem(PRIVATE, problem)
    sys.exit(UNUSABLE)


def theirs() -> None:
    """Take on the user's working directory and home."""
    os.chdir(RECORDING.directory)
    os.environ.update({"HOME": RECORDING.home} if RECORDING.home else {})


def load() -> dict[str, type]:
    """Import the user's file from where they run locust; return its user and shape classes."""
    folder = Path.cwd()
    theirs()
    try:
        users, shapes = load_locustfile(str(RECORDING.file))
    except BaseException as error:  # noqa: BLE001  (also sys.exit and Ctrl-C of a module: whatever it is, it is theirs)
        unusable(where(error))
    # Locust reads locust.conf once the files are imported, and the user's belongs to other runs.
    os.chdir(folder)
    os.environ["HOME"] = str(PRIVATE)
    if not users:
        unusable(f"{RECORDING.file.name}: no class in it derives from locust's User, so nothing would be sent")
    classes = {**users, **{type(shape).__name__: type(shape) for shape in shapes}}
    return {f"{name} of {RECORDING.file.name}": each for name, each in classes.items()}  # no name of this module's


def prepare(environment: Any, **_: Any) -> None:
    """Go back to where the user runs locust."""
    if not isinstance(environment.runner, LocalRunner):
        unusable(f"{RECORDING.file.name}: asks for more than one process, and its requests are recorded in one")
    theirs()


take_place()
RECORDER = Recorder()
FastHttpUser.network_timeout = FastHttpUser.connection_timeout = RECORDING.timeout_s
bound(HttpSession, RECORDER, timeout=RECORDING.timeout_s)
bound(FastHttpSession, RECORDER)
events.init.add_listener(prepare)
events.test_start.add_listener(RECORDER.start)
events.request.add_listener(RECORDER.request)
events.user_error.add_listener(RECORDER.raised)
events.quitting.add_listener(RECORDER.finish)
# Locust takes every class of this module that can be run.
globals().update(load())
