"""How far a load run is and how it goes, in one live line. Pure but for the callbacks that take it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mlgate.load.samples import ErrorKind, Samples
from mlgate.quantities import format_duration, format_number

# A job log keeps every line: few enough to read, often enough to see that the run lives.
LINE_EVERY_S = 10.0

# Of the rate that is shown: long enough to be steady at 20/s, short enough to follow a ramp.
WINDOW_S = 5.0

# For a line, a quantile of every n-th of an hour's requests will do; sorting all of them would take CPU from the run.
MOST_SORTED = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands.

    Attributes:
        at_s: Seconds since its start.
        due: Requests that should have left by now.
        waiting: Those of them without an answer yet.
        errors: Those of them that ended without a good answer.
        rate: Answers a second over the last few seconds.
        p95_ms: 95th percentile of the response time over those that were due, in ms; one that still waits has taken at
            least this long, and one without a good answer forever. `None` before the first is due.
    """

    at_s: float
    due: int
    waiting: int
    errors: int
    rate: float
    p95_ms: float | None

    @classmethod
    def of(cls, samples: Samples, at_s: float) -> Self:
        """Read live *samples*, which a generator still fills, *at_s* seconds after their start."""
        due = samples.intended_s <= at_s
        done = np.isfinite(samples.done_s) & due
        window_s = min(WINDOW_S, at_s)
        lately = int((done & samples.answered & (samples.done_s > at_s - window_s)).sum())
        # A row that nobody has touched says "dropped": it is an error only once it is done.
        errors = done & (samples.error != ErrorKind.NONE)
        return cls(
            at_s=at_s,
            due=int(due.sum()),
            waiting=int(due.sum() - done.sum()),
            errors=int(errors.sum()),
            rate=lately / window_s if window_s > 0 else 0.0,
            p95_ms=_p95_ms(samples, np.flatnonzero(due), at_s),
        )

    def line(self, *, duration_s: float, limit_ms: float | None = None) -> str:
        """Return the line: `load 23 s of 60 s · 100/s · p95 41 ms (limit 100 ms) · errors 0 of 2 300 · 37 s left`.

        Args:
            duration_s: Length of the run in seconds.
            limit_ms: Limit of p95, in ms, where there is one.
        """
        limit = "" if limit_ms is None else f" (limit {format_duration(limit_ms / 1000)})"
        left_s = math.ceil(duration_s - self.at_s)
        waits = f"waiting for {format_number(self.waiting)} answers" if self.waiting else "all answered"
        parts = (
            f"load {_whole_s(min(self.at_s, duration_s))} of {_whole_s(duration_s)}",
            f"{format_number(self.rate, 3)}/s",
            f"p95 {_ms(self.p95_ms)}{limit}",
            f"errors {format_number(self.errors)} of {format_number(self.due)}",
            f"{_whole_s(left_s)} left" if left_s > 0 else waits,
        )
        return " · ".join(parts)


@dataclass(slots=True, kw_only=True)
class LoadProgress:
    """Tells how a run goes: one line that is rewritten on a terminal, a plain line now and then elsewhere.

    Use it around the run, so that the terminal's line is gone before anything else is printed:
    `with LoadProgress(…) as progress: run_load(…, watch=progress)`.

    Attributes:
        duration_s: Length of the run in seconds.
        tell: Takes a plain line; it is called where there is no *show*.
        limit_ms: Limit of p95 in ms; `None`: none.
        show: Puts a line in place of the one it showed before, and clears it for an empty one; `None`: no terminal.
    """

    duration_s: float
    tell: Callable[[str], None]
    limit_ms: float | None = None
    show: Callable[[str], None] | None = None
    _told_s: float = field(default=0.0, init=False)

    def __call__(self, samples: Samples, at_s: float) -> None:
        """Look at live *samples*, *at_s* seconds after their start; a `Watch` of the run that never stops it."""
        if self.show is None and at_s < self._told_s + LINE_EVERY_S:
            return
        self._told_s = at_s
        line = Standing.of(samples, at_s).line(duration_s=self.duration_s, limit_ms=self.limit_ms)
        (self.show or self.tell)(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.show is not None:
            self.show("")


def _p95_ms(samples: Samples, due: NDArray[np.intp], at_s: float) -> float | None:
    if not len(due):
        return None
    # Odd, so that a run that takes two targets in turns shows both.
    due = due[:: (len(due) // MOST_SORTED) | 1]
    done_s, intended_s = samples.done_s[due], samples.intended_s[due]
    done = np.isfinite(done_s)
    times = np.where(done, done_s, at_s) - intended_s
    times[done & (samples.error[due] != ErrorKind.NONE)] = np.inf
    # Not numpy's quantile: it interpolates between two infinities, which is NaN.
    return float(np.sort(times)[math.ceil(0.95 * len(times)) - 1]) * 1000


def _ms(value: float | None) -> str:
    if value is None:
        return "unknown"
    return format_duration(value / 1000) if math.isfinite(value) else "without a good answer"


def _whole_s(seconds: float) -> str:
    return format_duration(float(math.floor(seconds))) if seconds >= 1 else "0 s"
