"""Two clocks: the engine's, which stamps a container's start, and this process's. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """How far the engine's clock is ahead of this machine's.

    Attributes:
        seconds: Offset; negative where the engine's clock is behind.
        uncertainty_s: At most so far off: half of the round trip in which it was asked.
    """

    seconds: float
    uncertainty_s: float


def closest(samples: Sequence[tuple[float, float, float]]) -> ClockOffset:
    """Return the offset from the question with the shortest round trip, as NTP's clock filter does (RFC 5905, section 10).

    Args:
        samples: Our clock before, the engine's answer, our clock after; unix seconds; at least one.
    """
    before, said, after = min(samples, key=lambda sample: sample[2] - sample[0])
    return ClockOffset(seconds=said - (before + after) / 2, uncertainty_s=(after - before) / 2)


def seconds_of(text: str) -> float:
    """Return an RFC 3339 time as unix seconds; engines write nanoseconds, `datetime` reads microseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()
