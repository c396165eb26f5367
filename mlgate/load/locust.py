"""Run a load plan in locust, in processes of its own. This process never imports locust or gevent."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mlgate.errors import LoadGeneratorError
from mlgate.load.answers import KeptAnswer, unpack
from mlgate.load.handover import ANSWERS_FILE, Ran, read_master, read_start
from mlgate.load.plan import ROWS_FILE, WARM_UP_REQUESTS, LoadPlan
from mlgate.load.process import CORES_VARIABLE, GENERATOR, MASTER_VARIABLE, ending, host_and_port, locust_process
from mlgate.load.samples import ROW, Health, Samples
from mlgate.quantities import format_number, format_size

SAMPLES_FILE = "samples.parquet"
HEALTH_FILE = "health.json"
LOG_FILE = "locust.log"
REPORT_FILE = "locust.html"

# Importing locust takes 0.4 to 1.3 s warm (reference/ecosystem.md §2.2); a cold, busy CI runner takes many times that.
START_ALLOWANCE_S = 30.0
# Somebody starts the workers on other hosts by hand, or a job queue does.
WORKERS_ALLOWANCE_S = 600.0
# Writing answers and the HTML report, 0.95 MB (reference/ecosystem.md §5.4).
FINISH_ALLOWANCE_S = 15.0
MASTER_POLL_S = 0.05
# How often the samples are looked at while they come in.
WATCH_S = 0.5

# Gets the live samples and the seconds since their second 0; a text that it returns stops the run.
Watch = Callable[[Samples, float], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """What a load run gave.

    Attributes:
        samples: Of the part of the schedule that was run: all of it, unless it was stopped.
        health: Of the generator.
        started_at: Second 0 of the samples on `time.monotonic`, which all processes of a host share.
        answers: Distinct contents that came with status 200, where `samples.answer` points; as many as there was room for.
        stopped: What the watch said, where it stopped the run; else empty.
    """

    samples: Samples
    health: Health
    started_at: float
    answers: tuple[KeptAnswer, ...] = ()
    stopped: str = ""


def run_load(plan: LoadPlan, *, folder: Path, timeout_s: float | None = None, watch: Watch | None = None) -> LoadRun:
    """Send *plan* and return its samples.

    Leaves `samples.parquet`, `health.json`, `locust.html` and `locust.log` in *folder*; bodies and headers are not among
    them.

    Args:
        plan: What to send, and when.
        folder: Where the files go; created if need be. What an earlier run left there is replaced.
        timeout_s: Seconds for the whole, from the start of the process. `None`: the schedule, the requests' timeouts
            and an allowance for start and end.
        watch: Called twice a second with the samples as they come in (mapped: a copy outlives the call) and the seconds
            since second 0. The first text that it returns ends the run: nothing more is sent, and what is under way has
            a second left.

    Raises:
        LoadGeneratorError: The generator died, hung past *timeout_s* or gave no samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SAMPLES_FILE, HEALTH_FILE, REPORT_FILE):
        (folder / name).unlink(missing_ok=True)  # yesterday's samples must not answer for a run that gives none
    deadline_s = _deadline_s(plan) if timeout_s is None else timeout_s
    # Beside *folder*, which is the run's: where the run is killed, its watchdog removes this too.
    with tempfile.TemporaryDirectory(prefix=".load-", dir=folder.parent) as made:
        private = Path(made)
        body, target = plan.columns()
        with _room_in(folder, len(plan.schedule)):
            plan.write(private)
            Samples.create(private / ROWS_FILE, plan.schedule.sends_s, body=body, target=target)
        with _generator(plan, folder, private) as generator:
            stopped = generator.follow(deadline_s, watch)
        return _read(plan, folder, private, stopped)


def _deadline_s(plan: LoadPlan) -> float:
    requests_s = (
        plan.schedule.lead_s + plan.schedule.duration_s + (WARM_UP_REQUESTS * len(plan.targets) + 1) * plan.timeout_s
    )
    return _start_allowance_s() + requests_s + FINISH_ALLOWANCE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class _Generator:
    """The processes of one run: the first one, alone or as the master, decides when it is over."""

    first: "subprocess.Popen[bytes]"
    workers: "tuple[subprocess.Popen[bytes], ...]" = ()
    folder: Path
    private: Path

    def master_port(self, timeout_s: float) -> int:
        """Wait until the first process listens for workers; return its port."""
        deadline = time.monotonic() + timeout_s
        while (port := read_master(self.private)) is None:
            if time.monotonic() >= deadline:
                raise _failure(self.folder, f"had no master after {timeout_s:g} s")
            self._ended(MASTER_POLL_S)
        return port

    def follow(self, timeout_s: float, watch: Watch | None) -> str:
        """Wait for the end of the run; return what *watch* stopped it for, or nothing."""
        deadline, stopped = time.monotonic() + timeout_s, ""
        samples = Samples.mapped(self.private / ROWS_FILE)
        while not self._ended(min(WATCH_S, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                raise _failure(self.folder, f"was still running after {timeout_s:g} s")
            started_at = read_start(self.private)
            if watch is not None and not stopped and started_at is not None and time.monotonic() > started_at:
                stopped = watch(samples, time.monotonic() - started_at) or ""
                if stopped:
                    self._stop()
        return stopped

    def _ended(self, wait_s: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.first.wait(max(wait_s, 0))
        for place, worker in enumerate(self.workers, 1):
            # One that ends by itself has told the master why, or was told to; one that is killed tells nobody.
            if (worker.poll() or 0) < 0:
                raise _failure(
                    self.folder, f"lost worker {place} of {len(self.workers)}: it {ending(worker.returncode)}"
                )
        if self.first.returncode:
            raise _failure(self.folder, ending(self.first.returncode))
        return self.first.returncode == 0

    def _stop(self) -> None:
        stdin = self.first.stdin
        with contextlib.suppress(OSError):  # it has ended by itself, which the next look finds
            if stdin:
                stdin.write(b"stop\n")
                stdin.flush()


@contextmanager
def _generator(plan: LoadPlan, folder: Path, private: Path) -> Iterator[_Generator]:
    variables = {CORES_VARIABLE: ",".join(map(str, plan.cores))} if plan.cores else {}
    listen = os.environ.get(MASTER_VARIABLE, "")
    alone = plan.workers == 1 and not listen
    # A user a worker and no --run-time: the schedule is the plan's.
    options = ["-u", str(plan.workers), "-r", str(plan.workers), "--html", REPORT_FILE]
    with ExitStack() as stack:
        log = stack.enter_context((folder / LOG_FILE).open("wb")).fileno()

        def start(*more: str) -> "subprocess.Popen[bytes]":
            process = locust_process(GENERATOR, more, folder=folder, private=private, log=log, variables=variables)
            return stack.enter_context(process)

        if alone:
            yield _Generator(first=start(*options), folder=folder, private=private)
            return
        generator = _Generator(first=start(*options, *_master(plan, listen)), folder=folder, private=private)
        if not listen:
            port = generator.master_port(START_ALLOWANCE_S)
            here = ("--worker", "--master-host", "127.0.0.1", "--master-port", str(port))
            generator = replace(generator, workers=tuple(start(*here) for _ in range(plan.workers)))
        yield generator


def _master(plan: LoadPlan, listen: str) -> list[str]:
    """Return locust's options for a master: on loopback and any port, unless workers are to come from elsewhere."""
    host, port = host_and_port(listen) if listen else ("127.0.0.1", 0)
    wait_s = str(int(_start_allowance_s()))
    bind = ["--master", "--master-bind-host", host, "--master-bind-port", str(port)]
    return [*bind, "--expect-workers", str(plan.workers), "--expect-workers-max-wait", wait_s]


def _start_allowance_s() -> float:
    return WORKERS_ALLOWANCE_S if os.environ.get(MASTER_VARIABLE) else START_ALLOWANCE_S


def _read(plan: LoadPlan, folder: Path, private: Path, stopped: str) -> LoadRun:
    try:
        ran = Ran.read(private)
        samples = Samples.mapped(private / ROWS_FILE)
        answers = unpack((private / ANSWERS_FILE).read_bytes())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _failure(folder, f"left no samples ({error})") from error
    end_s = plan.schedule.duration_s if ran.stopped_s is None else min(ran.stopped_s, plan.schedule.duration_s)
    samples = samples.take(samples.intended_s < end_s) if ran.stopped_s is not None else samples.copy()
    if not samples.sent.any():
        raise _failure(folder, f"sent {int(samples.sent.sum())} of {len(plan.schedule)} requests")
    rate = plan.schedule.rate if ran.stopped_s is None else len(samples) / end_s
    health = Health.of(samples, rate=rate, duration_s=end_s, cpu_share=ran.cpu_share)
    run = LoadRun(samples=samples, health=health, started_at=ran.started_at, answers=answers, stopped=stopped)
    write_run(run, folder)
    return run


def write_run(run: LoadRun, folder: Path) -> None:
    """Write samples and health of *run* to *folder*, in place of what is there."""
    from mlgate.load.sample_file import write_samples  # noqa: PLC0415  (pyarrow, 0.2 s, that only a run pays for)

    with _room_in(folder, len(run.samples)):
        write_samples(run.samples, folder / SAMPLES_FILE)
        (folder / HEALTH_FILE).write_text(json.dumps({**asdict(run.health), "stopped": run.stopped}), encoding="utf-8")


@contextmanager
def _room_in(folder: Path, requests: int) -> Iterator[None]:
    """Say in one line that the disk is full, or that nothing can be written there."""
    try:
        yield
    except OSError as error:
        needed = f"{format_number(requests)} requests take about {format_size(2 * ROW.itemsize * requests)}"
        message = f"the load run's files can not be written to {folder} ({error.strerror or error}); {needed}"
        raise LoadGeneratorError(
            message, hint="make room there (TMPDIR), or lower load.rate or load.duration"
        ) from error


def _failure(folder: Path, what: str) -> LoadGeneratorError:
    text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Locust ends its log with a table; an error above it says more.
    errors = [line for line in lines if "/ERROR/" in line or "/CRITICAL/" in line]
    last = [*lines, *errors][-1] if lines else "nothing logged"
    return LoadGeneratorError(f"the load generator {what}; its last log line: {last}", hint=f"read {folder / LOG_FILE}")
