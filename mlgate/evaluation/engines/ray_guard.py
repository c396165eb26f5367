"""No process of Ray outlives the run: ends those of one run when that run's process is gone.

Ray's servers follow their driver's death within seconds, but its agents wait a minute for a server that is gone too.
Run as `python -m mlgate.evaluation.engines.ray_guard`; standard library only, so as to be there at once.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# In the environment of everything that Ray starts for a run; the value is the run's own.
MARK = "MLGATE_RAY_RUN"
TMP_PREFIX = "mlgate-ray-"
CLOSE_TIMEOUT_S = 30.0
# One that was being started while the others were ended shows up in the next round.
QUIET_ROUNDS = 2
ROUND_S = 0.2


@contextmanager
def guard(mark: str, home: Path) -> Iterator[None]:
    """Have processes marked *mark* ended and *home* removed at the end of the block, or of this process."""
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(os.getpid()), mark, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        # Without the mark, or it would end itself.
        env={**{name: value for name, value in os.environ.items() if name != MARK}, "PYTHONPATH": path},
    )
    try:
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLOSE_TIMEOUT_S)


def marked(mark: str) -> list[int]:
    """Return the ids of this user's processes that have *mark* in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # another user's, or gone meanwhile
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def end_all(mark: str) -> None:
    """Kill the processes marked *mark* until none is left."""
    quiet = 0
    while quiet < QUIET_ROUNDS:
        going = marked(mark)
        for pid in going:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        quiet = 0 if going else quiet + 1
        time.sleep(ROUND_S if quiet < QUIET_ROUNDS else 0)


def main() -> None:
    """Wait for the owner's end, clean up, end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C goes to everybody, and this is for afterwards
    owner, mark, home = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    waiting: list[int] = [0]
    with suppress(OSError):
        waiting.append(os.pidfd_open(owner))
    select.select(waiting, [], [])
    end_all(mark)
    if home.name.startswith(TMP_PREFIX) and not home.is_symlink():
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
