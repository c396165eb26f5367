"""Time as a lock sees it pass, and as it is printed."""

import time
from datetime import UTC, datetime

from mlgate.verdict import format_time

# Counts while the machine is suspended, unlike CLOCK_MONOTONIC: a laptop that wakes up holds nothing any more.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_clock() -> float:
    """Return seconds since some moment, never set back."""
    return time.clock_gettime(_CLOCK)


def at(moment: float) -> str:
    """Return seconds since 1970 as `2026-11-23T22:50:01Z`."""
    return format_time(datetime.fromtimestamp(moment, UTC))
