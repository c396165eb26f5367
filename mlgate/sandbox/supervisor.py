"""Runs one server as a process: limits it, and kills its whole group when the owner goes. Standard library only.

Its source is run as `python -I -S -c`. It stays as the parent, with a pipe from the owner as standard input, because a
death signal (`PR_SET_PDEATHSIG`) of the server itself would come as soon as the *thread* that started it ends.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main() -> NoReturn:
    """Run the command of the JSON in the first argument; end as it ends."""
    spec = json.loads(sys.argv[1])
    child = os.fork()
    if child == 0:
        _become(spec)
    os.set_blocking(0, False)
    pidfd = os.pidfd_open(child)
    while True:
        ready, _, _ = select.select([0, pidfd], [], [])
        # Anything on standard input is its end: the owner says nothing.
        if 0 in ready or pidfd in ready:
            break
    # What the server has started becomes ours when it dies, so that the end is the end of all of them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        os.killpg(child, signal.SIGKILL)  # Also what a dead server has left behind.
    except OSError:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _become(spec: dict[str, object]) -> NoReturn:
    try:
        os.setpgid(0, 0)
        # The supervisor has one thread, so here the signal means what it says.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for name, value in spec["limits"].items():  # type: ignore[attr-defined]  # JSON of our own making
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (limit, limit))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        command: list[str] = spec["command"]  # type: ignore[assignment]  # as above
        os.execve(command[0], command, spec["env"])  # type: ignore[arg-type]  # noqa: S606  # as above; no shell is meant
    except BaseException as error:  # noqa: BLE001  (two copies of this program must not go on)
        os.write(2, f"mlgate: the server can not be run: {error}\n".encode())
        os._exit(4)


if __name__ == "__main__":
    main()
