"""Run a user's own locustfile, and get its requests as the samples of any other run."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import numpy as np

import mlgate
from mlgate.errors import LoadGeneratorError
from mlgate.load.handover import Ran, read_start
from mlgate.load.locust import (
    FINISH_ALLOWANCE_S,
    HEALTH_FILE,
    LOG_FILE,
    REPORT_FILE,
    SAMPLES_FILE,
    START_ALLOWANCE_S,
    WATCH_S,
    LoadRun,
    Watch,
    write_run,
)
from mlgate.load.plan import PLAN_VARIABLE, ROWS_FILE
from mlgate.load.process import CORES_VARIABLE, ending, locust_process
from mlgate.load.recording import Raised, Recording, read_problem
from mlgate.load.samples import ROW, Health, Samples

RECORDER = Path(__file__).parent / "generator" / "recorder.py"
_HINT = f"read load/{LOG_FILE}"


def run_locustfile(
    file: Path,
    *,
    url: str,
    users: int,
    spawn_rate: float,
    duration_s: float,
    timeout_s: float,
    folder: Path,
    watch: Watch | None = None,
    cores: Collection[int] | None = None,
) -> LoadRun:
    """Run *file* in locust for *duration_s* and return its requests.

    It is a closed loop: users wait for their answers, so what is intended is what is sent, and a server that stalls is
    asked less. The file runs with the environment and the working directory of this process, as locust would run it by
    hand, but without `LOCUST_…` variables and locust.conf. Leaves what `run_load` leaves.

    Args:
        file: The locustfile; its requests without a host of their own go to *url*.
        url: Of the server.
        users: Users at once. Where the file has a load shape, that says how many instead.
        spawn_rate: Users that are started per second.
        duration_s: Seconds; what is sent later is no sample.
        timeout_s: Seconds from a request's send after which it counts as not answered. It is also what the clients of
            locust wait, where the file does not say otherwise.
        folder: Where the files go; created if need be.
        watch: As `run_load` has it.
        cores: Cores that locust may use; `None`: any.

    Raises:
        LoadGeneratorError: The file can not be imported, has no user class, sends nothing or raises while the server
            answers well; or the process died or hung.
    """
    if not file.is_file():
        raise LoadGeneratorError(
            f"load.locustfile: {file} is no file", hint="give its path as seen from where pytest runs"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SAMPLES_FILE, HEALTH_FILE, REPORT_FILE):
        (folder / name).unlink(missing_ok=True)  # yesterday's samples must not answer for a run that gives none
    recording = Recording(
        file=file.resolve(),
        directory=Path.cwd(),
        home=os.environ.get("HOME", ""),
        duration_s=duration_s,
        timeout_s=timeout_s,
    )
    # The users that wait for an answer at the end get it, or their timeout; the second is for the event loop.
    options = ["-u", str(users), "-r", str(spawn_rate), "--host", url, "--stop-timeout", str(int(timeout_s) + 2)]
    with tempfile.TemporaryDirectory(prefix=".load-", dir=folder.parent) as made:
        private = Path(made)
        recording.write(private)
        (private / ROWS_FILE).touch()
        with (
            (folder / LOG_FILE).open("wb") as log,
            locust_process(
                RECORDER,
                [*options, "--html", str((folder / REPORT_FILE).resolve())],
                folder=folder,
                private=private,
                log=log.fileno(),
                variables=_environment(private, cores),
            ) as process,
        ):
            stopped = _follow(process, recording, private, watch)
        return _read(recording, folder, private, stopped)


def _environment(private: Path, cores: Collection[int] | None) -> dict[str, str]:
    """Return this process's own environment: the file is the user's program, and may need a token or a proxy of theirs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    root = str(Path(mlgate.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [os.path.abspath(path) for path in inherited if path]  # noqa: PTH100  (resolve() would follow links)
    place = {CORES_VARIABLE: ",".join(map(str, cores or ()))}
    path = {"PYTHONPATH": os.pathsep.join([*paths, root])}
    return {**own, **place, **path, "HOME": str(private), PLAN_VARIABLE: str(private)}


def _follow(process: "subprocess.Popen[bytes]", recording: Recording, private: Path, watch: Watch | None) -> str:
    """Wait for the end of the run; return what *watch* stopped it for, or nothing."""
    allowed_s = START_ALLOWANCE_S + recording.duration_s + recording.timeout_s + FINISH_ALLOWANCE_S
    deadline, stopped = time.monotonic() + allowed_s, ""
    while True:
        try:
            code = process.wait(WATCH_S)
        except subprocess.TimeoutExpired:
            code = None
        if code is not None:
            break
        if time.monotonic() >= deadline:
            raise _failure(recording, private, f"was still running after {allowed_s:g} s")
        started_at = read_start(private)
        if watch is not None and not stopped and started_at is not None:
            stopped = watch(_rows(private), time.monotonic() - started_at) or ""
            if stopped and process.stdin:
                with contextlib.suppress(OSError):  # it has ended by itself, which the next look finds
                    process.stdin.write(b"stop\n")
                    process.stdin.flush()
    if code:
        raise _failure(recording, private, ending(code))
    return stopped


def _rows(private: Path) -> Samples:
    """Return the requests that have ended so far, in the order they were sent."""
    path = private / ROWS_FILE
    count = path.stat().st_size // ROW.itemsize  # a row may be half written where it crosses a page
    rows = np.fromfile(path, ROW, count=count)
    return Samples.of_rows(rows[np.argsort(rows["sent_s"], kind="stable")])


def _read(recording: Recording, folder: Path, private: Path, stopped: str) -> LoadRun:
    try:
        ran, raised = Ran.read(private), Raised.read(private)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _failure(recording, private, f"left no samples ({error})") from error
    end_s = recording.duration_s if ran.stopped_s is None else min(ran.stopped_s, recording.duration_s)
    rows = _rows(private)
    samples = rows.take(rows.sent_s < end_s)
    # A task that trips over an answer which is an error already says nothing new; any other one is the file's own fault.
    if raised.count > int(samples.failed.sum()):
        times = f" ({raised.count} times)" if raised.count > 1 else ""
        raise LoadGeneratorError(f"load.locustfile: a task raised {raised.first}{times}", hint=_HINT)
    if not len(samples):
        raise _failure(recording, private, f"sent no request in {end_s:g} s")
    health = Health.of(samples, rate=len(samples) / end_s, duration_s=end_s, cpu_share=ran.cpu_share)
    run = LoadRun(samples=samples, health=health, started_at=ran.started_at, stopped=stopped)
    write_run(run, folder)
    return run


def _failure(recording: Recording, private: Path, what: str) -> LoadGeneratorError:
    problem = read_problem(private)
    return LoadGeneratorError(f"load.locustfile: {problem or f'{recording.file.name} {what}'}", hint=_HINT)
