"""The processes of a server on this host: what they use and where they run, by `/proc` (proc(5)). Linux only."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mlgate.sandbox.interface import Usage

_PROC = Path("/proc")
# Fields 14 to 17 of `stat`, utime, stime, cutime and cstime, counted from the state, which follows the name.
_CPU_FIELDS = slice(11, 15)
# What is started while its parent is being moved may be missed once; a thread that is moved has only moved ones.
_PASSES = 4


def tree(root: int) -> tuple[int, ...]:
    """Return *root* and all its descendants that run, *root* first."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop(0)
        if pid not in found:
            found.append(pid)
            waiting += _children(pid)
    return tuple(found)


def usage(pids: Sequence[int]) -> Usage | None:
    """Add up what *pids* use; `None` where none of them runs.

    Memory that processes share, after a fork or on purpose, counts once for each. CPU is that of the living, and of the dead that
    they waited for.
    """
    read = [one for pid in pids if (one := _usage_of(pid)) is not None]
    if not read:
        return None
    return Usage(
        memory=sum(one.memory or 0 for one in read),
        cpu_s=sum(one.cpu_s for one in read),
        throttled_s=0.0,
        processes=sum(one.processes for one in read),
    )


def commands(pids: Sequence[int]) -> dict[int, str]:
    """Return pid to command line, its words with a space between; those that are gone are left out."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            words = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
            found[pid] = words.decode(errors="replace").strip()
    return found


def own_cores() -> frozenset[int]:
    """Return the cores that this thread, and what it starts, may run on; empty where the system does not tell."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def run_on(root: int, cores: Collection[int]) -> bool:
    """Have every thread of *root* and its descendants run on *cores* only; return whether all do."""
    for _ in range(_PASSES):
        left = [thread for thread in _threads(root) if not _runs_on(thread, cores)]
        if not left:
            return True
        for thread in left:
            with suppress(OSError):  # it ended, or is refused: the next look tells
                os.sched_setaffinity(thread, cores)
    return False


@contextmanager
def starting_on(cores: Collection[int] | None) -> Iterator[None]:
    """Have what this thread starts within the block run on *cores* only; `None`: where this thread runs."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _usage_of(pid: int) -> Usage | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        status = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may hold anything, brackets and spaces among it.
    fields = stat.rpartition(")")[2].split()
    return Usage(
        memory=(_number(status, "RssAnon") + _number(status, "RssShmem")) << 10,
        cpu_s=sum(int(field) for field in fields[_CPU_FIELDS]) / os.sysconf("SC_CLK_TCK"),
        throttled_s=0.0,
        processes=_number(status, "Threads"),
    )


def _number(status: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return int(match.group(1)) if match else 0


def _children(pid: int) -> list[int]:
    """Return the processes that any of its threads started; none where the kernel does not list them."""
    found: list[int] = []
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += [int(child) for child in (task / "children").read_text(encoding="ascii").split()]
    return found


def _threads(root: int) -> list[int]:
    found: list[int] = []
    for pid in tree(root):
        with suppress(OSError):
            found += [int(task.name) for task in (_PROC / str(pid) / "task").iterdir()]
    return found


def _runs_on(thread: int, cores: Collection[int]) -> bool:
    try:
        return os.sched_getaffinity(thread) == set(cores)
    except ProcessLookupError:
        return True  # it ended
