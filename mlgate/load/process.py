"""A locust process: started alone in its group, with an environment of its own, and gone when its owner is."""

import os
import re
import signal
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import mlgate
from mlgate.errors import ConfigError
from mlgate.load.plan import PLAN_VARIABLE

GENERATOR = Path(__file__).parent / "generator" / "locustfile.py"

# Cores that a generator's process may use, as numbers with commas between; unset: any.
CORES_VARIABLE = "MLGATE_LOAD_CORES"
# HOST:PORT where the generator's master listens for workers that are started elsewhere: `mlgate load-worker`.
MASTER_VARIABLE = "MLGATE_LOAD_MASTER"
# Of a worker on another host, a JSON list: where it reaches the plan's targets; unset: where the plan says.
URLS_VARIABLE = "MLGATE_LOAD_URLS"

# Locust's exit code is 1 where any request failed; judging is ours, so it says 0 (reference/ecosystem.md, "locust
# headless").
_ALWAYS = ("--headless", "--stop-timeout", "0", "--exit-code-on-error", "0", "--only-summary", "--loglevel", "INFO")


@contextmanager
def locust_process(
    file: Path,
    options: Sequence[str],
    *,
    folder: Path,
    private: Path,
    log: int,
    variables: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run locust on *file*; its process group is killed at the end of the block where it still runs.

    Args:
        file: The locustfile.
        options: Locust's, besides those that every run has.
        folder: Working directory, where its reports go.
        private: Its home directory, and what `PLAN_VARIABLE` names.
        log: Descriptor of the file for its output.
        variables: More of its environment.
    """
    process = subprocess.Popen(
        # -P keeps the working directory off the import path.
        [sys.executable, "-P", "-m", "locust", "-f", str(file), *_ALWAYS, *options],
        cwd=folder,
        env={**_environment(private), **(variables or {})},
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


def check_master(environment: Mapping[str, str]) -> None:
    """Look at where workers from elsewhere are to come, before anything is started.

    Raises:
        ConfigError: `MLGATE_LOAD_MASTER` is set, and is no `HOST:PORT`.
    """
    if listen := environment.get(MASTER_VARIABLE):
        try:
            host_and_port(listen)
        except ConfigError as error:
            raise ConfigError(f"{MASTER_VARIABLE}: {error.message}", hint=error.hint) from error


def host_and_port(text: str) -> tuple[str, int]:
    """Return the parts of `HOST:PORT`.

    Raises:
        ConfigError: It is none.
    """
    host, _, port = text.rpartition(":")
    # A URL's host has a slash; port 0 is any, which nobody else can know.
    if not host or "/" in host or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ConfigError(f"'{text}' is no HOST:PORT", hint="for example 10.0.0.5:5557")
    return host.strip("[]"), int(port)


def ending(code: int) -> str:
    """Return how a process ended, in words."""
    return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"


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
