"""When each request of a load run is meant to leave. Fixed before the run, so that a slow server can not slow it. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Intended send times of an open-loop run.

    Attributes:
        sends_s: Shape (n,), float64, ascending: seconds from the start of the run.
        rate: Offered rate in requests per second.
        duration_s: Length of the run in seconds; every send lies before it.
    """

    sends_s: NDArray[np.float64]
    rate: float
    duration_s: float

    def __len__(self) -> int:
        return len(self.sends_s)


def constant(rate: float, duration_s: float) -> Schedule:
    """Return *rate* times *duration_s* sends, evenly spaced, the first at once.

    Args:
        rate: Requests per second, above zero.
        duration_s: Seconds, above zero.

    Raises:
        ValueError: Not a single request fits.
    """
    return Schedule(sends_s=np.arange(_count(rate, duration_s)) / rate, rate=rate, duration_s=duration_s)


def poisson(rate: float, duration_s: float, seed: int) -> Schedule:
    """Return *rate* times *duration_s* sends at the times of a Poisson process with that many events.

    Given their number, the events of a Poisson process are independent and uniform (Ross, Stochastic Processes, 1996,
    theorem 2.3.1). Fixing the number keeps n, and with it the allowed violations, known before the run.

    Args:
        rate: Mean requests per second, above zero.
        duration_s: Seconds, above zero.
        seed: Of the generator; the same seed gives the same times.

    Raises:
        ValueError: Not a single request fits.
    """
    times = np.random.default_rng(seed).uniform(0.0, duration_s, _count(rate, duration_s))
    return Schedule(sends_s=np.sort(times), rate=rate, duration_s=duration_s)


def _count(rate: float, duration_s: float) -> int:
    if not (rate > 0 and duration_s > 0):
        raise ValueError(f"a rate of {rate}/s for {duration_s} s is no load; both must be above zero")
    count = round(rate * duration_s)
    if count < 1:
        raise ValueError(f"{rate}/s for {duration_s} s sends no request; lengthen the run or raise the rate")
    return count
