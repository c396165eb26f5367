"""Run a load plan in locust, in a process of its own. This process never imports locust or gevent."""

import json
import os
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlgate
from mlgate.errors import LoadGeneratorError
from mlgate.load.plan import HEALTH_FILE, PLAN_VARIABLE, SAMPLES_FILE, WARM_UP_REQUESTS, LoadPlan
from mlgate.load.samples import Health, Samples

LOG_FILE = "locust.log"
REPORT_FILE = "locust.html"

# Importing locust takes 0.4 to 1.3 s warm (reference/ecosystem.md §2.2); a cold, busy CI runner takes many times that.
START_ALLOWANCE_S = 30.0
# Writing samples and the HTML report, 0.95 MB (reference/ecosystem.md §5.4).
FINISH_ALLOWANCE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """What a load run gave."""

    samples: Samples
    health: Health


def run_load(plan: LoadPlan, *, folder: Path, timeout_s: float | None = None) -> LoadRun:
    """Send *plan* and return its samples.

    Leaves `samples.npz`, `locust.html` and `locust.log` in *folder*; bodies and headers are not among them.

    Args:
        plan: What to send, and when.
        folder: Where the files go; created if need be. What an earlier run left there is replaced.
        timeout_s: Seconds for the whole, from the start of the process. `None`: the schedule, the requests' timeouts
            and an allowance for start and end.

    Raises:
        LoadGeneratorError: The generator died, hung past *timeout_s* or gave no samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SAMPLES_FILE, HEALTH_FILE, REPORT_FILE):
        (folder / name).unlink(missing_ok=True)  # yesterday's samples must not answer for a run that gives none
    deadline_s = _deadline_s(plan) if timeout_s is None else timeout_s
    # Beside *folder*, which is the run's: where the run is killed, its watchdog removes this too.
    with tempfile.TemporaryDirectory(prefix=".load-", dir=folder.parent) as private:
        plan.write(Path(private))
        with (folder / LOG_FILE).open("wb") as log, _generator(plan, folder, Path(private), log.fileno()) as process:
            try:
                code = process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                raise _failure(folder, f"was still running after {deadline_s:g} s") from None
    if code != 0:
        raise _failure(folder, f"was killed by signal {-code}" if code < 0 else f"exited with code {code}")
    return _read(plan, folder)


def _deadline_s(plan: LoadPlan) -> float:
    requests_s = plan.schedule.duration_s + (WARM_UP_REQUESTS + 1) * plan.timeout_s
    return START_ALLOWANCE_S + requests_s + FINISH_ALLOWANCE_S


@contextmanager
def _generator(plan: LoadPlan, folder: Path, private: Path, log: int) -> Iterator["subprocess.Popen[bytes]"]:
    locustfile = Path(__file__).with_name("locustfile.py")
    # One user and no --run-time: the schedule is the locustfile's. Locust's exit code is 1 where any request failed;
    # judging is ours, so it says 0 (reference/ecosystem.md, "locust headless").
    options = ["--headless", "-u", "1", "-r", "1", "--stop-timeout", "0", "--exit-code-on-error", "0"]
    output = ["--html", REPORT_FILE, "--only-summary", "--loglevel", "INFO"]
    process = subprocess.Popen(
        # -P keeps the working directory off the import path.
        [sys.executable, "-P", "-m", "locust", "-f", str(locustfile), "--host", plan.url, *options, *output],
        cwd=folder,
        env=_environment(private),
        stdin=subprocess.PIPE,  # its end of file is how the generator learns that we are gone
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Also on Ctrl-C and on any exception of ours: the whole group, and only while it is still ours to kill.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin:
            process.stdin.close()


def _environment(private: Path) -> dict[str, str]:
    """Return what the generator needs, and no `LOCUST_…` variable, `~/.locust.conf` or credential of the user's."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV") if name in os.environ
    }
    root = str(Path(mlgate.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH", "")
    paths = [root, *(os.path.abspath(path) for path in inherited.split(os.pathsep) if path)]  # noqa: PTH100  (resolve() would follow links)
    return {
        **kept,
        "HOME": str(private),
        "PYTHONUSERBASE": site.getuserbase(),  # else a `pip install --user` would vanish with HOME
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        PLAN_VARIABLE: str(private),
    }


def _read(plan: LoadPlan, folder: Path) -> LoadRun:
    try:
        samples = Samples.read(folder / SAMPLES_FILE)
        cpu_share = float(json.loads((folder / HEALTH_FILE).read_text(encoding="utf-8"))["cpu_share"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _failure(folder, f"left no samples ({error})") from error
    if len(samples) != len(plan.schedule) or not samples.sent.any():
        raise _failure(folder, f"sent {int(samples.sent.sum())} of {len(plan.schedule)} requests")
    schedule = plan.schedule
    health = Health.of(samples, rate=schedule.rate, duration_s=schedule.duration_s, cpu_share=cpu_share)
    return LoadRun(samples=samples, health=health)


def _failure(folder: Path, what: str) -> LoadGeneratorError:
    text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Locust ends its log with a table; an error above it says more.
    errors = [line for line in lines if "/ERROR/" in line or "/CRITICAL/" in line]
    last = [*lines, *errors][-1] if lines else "nothing logged"
    return LoadGeneratorError(f"the load generator {what}; its last log line: {last}", hint=f"read {folder / LOG_FILE}")
