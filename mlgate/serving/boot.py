"""The boot log: seconds from the start of this process to each phase."""

import json
import os
import sys
import time
from typing import Any


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


class Boot:
    """Collects the phases and prints them as one JSON line.

    Attributes:
        started_at: Start of the process, seconds of the unix clock.
        phases: Phase name to seconds from there, in order, each at its end.
        warm_up: What the warm-up predictions came to.
        facts: Anything else worth a word.
    """

    def __init__(self) -> None:
        self.started_at = process_started_at()
        self.phases: dict[str, float] = {}
        self.warm_up: dict[str, Any] = {"requests": 0, "error": None}
        self.facts: dict[str, Any] = {}

    def done(self, phase: str) -> None:
        """Note that *phase* is over."""
        self.phases[phase] = round(time.time() - self.started_at, 4)

    def to_json(self) -> dict[str, Any]:
        """Return what the boot line and `/ready` say."""
        return {
            "mlgate_boot": 1,
            "started_at": round(self.started_at, 4),
            "phases": self.phases,
            "warm_up": self.warm_up,
            **self.facts,
        }

    def emit(self) -> None:
        """Print the boot line on stdout."""
        sys.stdout.write(json.dumps(self.to_json(), allow_nan=False) + "\n")
        sys.stdout.flush()
