"""The boot log: seconds from the start of this process to each phase."""

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .imports import ImportClock


def process_started_at() -> float:
    """Return when this process was started, in seconds of the unix clock; resolves 10 ms.

    From field 22 of `/proc/self/stat`, clock ticks since boot (man 5 proc). Where there is no procfs: now.
    """
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123  (pathlib is an import that this process can do without)
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
    except OSError:
        return time.time()
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def bytes_read() -> dict[str, int]:
    """Return what this process has read so far: `asked` by system calls, `disk` for what the page cache did not hold.

    From `/proc/self/io` (man 5 proc). Pages of a mapped file are in neither until they come from the disk. Empty where
    nothing counts.
    """
    try:
        with open("/proc/self/io", "rb") as counters:  # noqa: PTH123  (as above)
            found = dict(line.split(b":") for line in counters.read().splitlines())
        return {"asked": int(found[b"rchar"]), "disk": int(found[b"read_bytes"])}
    except (OSError, KeyError, ValueError):
        return {}


class Boot:
    """Collects the phases and prints them as one JSON line.

    Attributes:
        started_at: Start of the process, seconds of the unix clock.
        phases: Phase name to seconds from there, in order, each at its end.
        imports: Phase to what its imports took, see `ImportClock.seconds`; empty before `begin`.
        read: Phase to what was read during it, see `bytes_read`.
        warm_up: What the warm-up predictions came to.
        facts: Anything else worth a word.
    """

    def __init__(self) -> None:
        self.started_at = process_started_at()
        self.phases: dict[str, float] = {}
        self.imports: dict[str, dict[str, dict[str, float]]] = {}
        self.read: dict[str, dict[str, int]] = {}
        self.warm_up: dict[str, Any] = {"requests": 0, "error": None}
        self.facts: dict[str, Any] = {}
        self._clock: ImportClock | None = None
        self._before: dict[str, int] = {}
        self._ends: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Start fast from here on: see `garbage.relax`. And count what the imports take."""
        # Here and not at the top, where they would count as the interpreter's.
        from .garbage import relax  # noqa: PLC0415
        from .imports import ImportClock  # noqa: PLC0415

        self._clock = ImportClock()
        self._ends = [self._clock.stop, relax()]
        self._clock.start()
        self._before = bytes_read()

    def end(self) -> None:
        """Leave Python as a server of many requests wants it. May be called twice, and without `begin`."""
        while self._ends:
            self._ends.pop(0)()

    def done(self, phase: str) -> None:
        """Note that *phase* is over."""
        self.phases[phase] = round(time.time() - self.started_at, 4)
        if self._clock is not None:
            self._count(self._clock, phase)
        # Said at once: of a start that hangs, this is how far it came.
        sys.stdout.write(f'{{"mlgate_phase": "{phase}"}}\n')
        sys.stdout.flush()

    def _count(self, clock: "ImportClock", phase: str) -> None:
        imports, now = clock.take(), bytes_read()
        if imports:
            self.imports[phase] = imports
        if now and self._before:
            self.read[phase] = {name: now[name] - self._before[name] for name in now}
        self._before = now

    def to_json(self) -> dict[str, Any]:
        """Return what the boot line and `/ready` say."""
        return {
            "mlgate_boot": 1,
            "started_at": round(self.started_at, 4),
            "phases": self.phases,
            "imports": self.imports,
            "read": self.read,
            "warm_up": self.warm_up,
            **self.facts,
        }

    def emit(self) -> None:
        """Print the boot line on stdout."""
        sys.stdout.write(json.dumps(self.to_json(), allow_nan=False) + "\n")
        sys.stdout.flush()
