"""When each request of a load run is meant to leave. Fixed before the run, so that a slow server can not slow it. Pure."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlgate.policy_load import Load  # pydantic has no place in the generator's processes

# Two clocks' worth of rounding: far below any gap between sends, far above the error of a float of an hour.
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedule:
    """Intended send times of an open-loop run.

    Attributes:
        sends_s: Shape (n,), float64, ascending: seconds from the start of the run.
        rate: Mean offered rate over the length, in requests per second.
        duration_s: Length of the run in seconds; every send lies before it.
    """

    sends_s: NDArray[np.float64]
    rate: float
    duration_s: float

    def __len__(self) -> int:
        return len(self.sends_s)

    @property
    def lead_s(self) -> float:
        """Seconds before second 0 at which the first send leaves; 0.0 where none does."""
        return max(0.0, -float(self.sends_s[0])) if len(self.sends_s) else 0.0

    @property
    def peak_rate(self) -> float:
        """Most sends within one second, or the mean rate where that is higher (a run shorter than a second)."""
        ends = np.searchsorted(self.sends_s, self.sends_s + (1.0 - _ROUNDING_S))
        return float(max(self.rate, (ends - np.arange(len(self))).max(initial=0)))


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


def ramp(rate: float, duration_s: float, from_rate: float, seed: int | None = None) -> Schedule:
    """Return sends at a rate that changes evenly from *from_rate* to *rate*.

    Args:
        rate: Requests per second at the end, above zero.
        duration_s: Seconds, above zero.
        from_rate: Requests per second at the start, above zero.
        seed: Of Poisson arrivals; `None`: evenly spaced in the expected count.

    Raises:
        ValueError: Not a single request fits.
    """
    _check_rate(from_rate)
    mean = (from_rate + rate) / 2
    expected = _expected(_count(mean, duration_s), mean * duration_s, seed)
    # The expected count at t is from·t + (rate - from)·t² / 2T; this root of it does not cancel where the two are close.
    root = np.sqrt(from_rate**2 + 2 * (rate - from_rate) / duration_s * expected)
    return Schedule(sends_s=2 * expected / (from_rate + root), rate=mean, duration_s=duration_s)


def spike(rate: float, duration_s: float, to_rate: float, length_s: float, seed: int | None = None) -> Schedule:
    """Return sends at *rate*, and at *to_rate* for *length_s* in the middle.

    Args:
        rate: Requests per second before and after the spike, above zero.
        duration_s: Seconds of the whole, above zero.
        to_rate: Requests per second of the spike, above zero.
        length_s: Seconds of the spike, above zero and below *duration_s*.
        seed: Of Poisson arrivals; `None`: evenly spaced in the expected count.

    Raises:
        ValueError: Not a single request fits, or the spike does not fit into the run.
    """
    _check_rate(to_rate)
    if not 0 < length_s < duration_s:
        raise ValueError(f"a spike of {length_s} s does not fit into a run of {duration_s} s")
    mean = rate + (to_rate - rate) * length_s / duration_s
    begin_s = (duration_s - length_s) / 2
    times = np.array([0.0, begin_s, begin_s + length_s, duration_s])
    counts = np.concatenate([[0.0], np.cumsum(np.diff(times) * [rate, to_rate, rate])])
    expected = _expected(_count(mean, duration_s), float(counts[-1]), seed)
    return Schedule(sends_s=np.interp(expected, counts, times), rate=mean, duration_s=duration_s)


def trace(times_s: NDArray[np.float64], seed: int | None = None) -> Schedule:
    """Return the sends of a recording, or as many at a rate that changes as the recorded one does.

    The run ends one mean gap after the last send, so that n over its length is the rate.

    Args:
        times_s: Shape (n,), n at least 2, ascending from 0, in seconds.
        seed: Of Poisson arrivals; `None`: exactly the recorded times.

    Raises:
        ValueError: Fewer than two sends, not ascending from 0, or all at one moment.
    """
    times, n = np.asarray(times_s, np.float64), len(times_s)
    if n < 2 or times[0] != 0 or not (np.diff(times) >= 0).all() or not 0 < times[-1] < np.inf:
        raise ValueError("a trace has at least two times that ascend from 0, and not all at one moment")
    duration_s = float(times[-1]) * n / (n - 1)
    if seed is not None:
        times = np.interp(_expected(n, n, seed), np.arange(n + 1), np.append(times, duration_s))
    return Schedule(sends_s=times, rate=n / duration_s, duration_s=duration_s)


def schedule_of(load: "Load", seed: int, folder: Path) -> Schedule:
    """Return the schedule that a policy asks for.

    Args:
        load: The policy's section; with a `locustfile` of the user's own there is no schedule to ask for.
        seed: Of Poisson arrivals.
        folder: The policy's folder, in which a trace is looked for.

    Raises:
        PolicyError: The trace can not be read, or is too short to decide the limits; in one line.
    """
    drawn = seed if load.arrivals == "poisson" else None
    match load.shape:
        case "constant" | "soak":
            return constant(load.rate, load.duration) if drawn is None else poisson(load.rate, load.duration, drawn)
        case "ramp":
            return ramp(load.rate, load.duration, load.ramp_from, drawn)
        case "spike":
            return spike(load.rate, load.duration, load.spike_to, load.spike_length, drawn)
        case "trace":
            return _recorded(load, drawn, folder)
        case _:
            assert_never(load.shape)


def prefixed(schedule: Schedule, prefix: Schedule) -> tuple[Schedule, NDArray[np.uint8]]:
    """Return *prefix*, at times below zero, and *schedule* after it: second 0 stays where the schedule begins.

    Returns:
        Both as one schedule, whose rate and duration are the schedule's own, and shape (n,): 1 where a send is the
        prefix's, which go to another target.
    """
    sends_s = np.concatenate([prefix.sends_s - prefix.duration_s, schedule.sends_s])
    target = np.zeros(len(sends_s), np.uint8)
    target[: len(prefix)] = 1
    return replace(schedule, sends_s=sends_s), target


def interleaved(
    rate: float, duration_s: float, blocks: int, gap_s: float, seed: int | None = None
) -> tuple[Schedule, NDArray[np.uint8]]:
    """Return sends to two targets in turns, A B B A A B B A…, so that a trend of the host falls on both alike.

    Each side gets what one run of *duration_s* at *rate* is, in *blocks* parts of the same length. Gaps let one
    side's outstanding requests end before the other's begin; there is one between two blocks of the same side too, so
    that every block begins alike.

    Args:
        rate: Requests per second within a block, above zero.
        duration_s: Seconds of sends of each side, above zero.
        blocks: Blocks of each side, at least 1; an even number ends as it began.
        gap_s: Seconds between two blocks.
        seed: Of Poisson arrivals within the blocks; `None`: evenly spaced.

    Returns:
        The schedule, 2 · blocks · (duration_s / blocks + gap_s) seconds long, and shape (n,): which side each send goes
        to, 0 or 1. `block_numbers` says which block it is in.

    Raises:
        ValueError: Not a single request fits into a block.
    """
    if blocks < 1 or gap_s < 0:
        raise ValueError(f"{blocks} blocks with gaps of {gap_s} s; need at least 1, and no negative gap")
    block_s = duration_s / blocks
    count = _count(rate, block_s)
    if seed is None:
        within = np.broadcast_to(np.arange(count) / rate, (2 * blocks, count))
    else:
        within = np.sort(np.random.default_rng(seed).uniform(0.0, block_s, (2 * blocks, count)), axis=1)
    places = np.arange(2 * blocks)
    sends_s = (within + (places * (block_s + gap_s))[:, np.newaxis]).ravel()
    side = np.isin(places % 4, (1, 2)).astype(np.uint8)
    length_s = 2 * blocks * (block_s + gap_s)
    return Schedule(sends_s=sends_s, rate=len(sends_s) / length_s, duration_s=length_s), np.repeat(side, count)


def block_numbers(sends_s: NDArray[np.float64], duration_s: float, blocks: int, gap_s: float) -> NDArray[np.int64]:
    """Return which block of `interleaved`, called with the same numbers, each send is in: 0 to 2 · blocks - 1."""
    return np.floor((sends_s + _ROUNDING_S) / (duration_s / blocks + gap_s)).astype(np.int64)


def _recorded(load: "Load", seed: int | None, folder: Path) -> Schedule:
    # The generator's processes import this module and never read a trace.
    from mlgate.errors import PolicyError  # noqa: PLC0415
    from mlgate.load.arrivals import read_arrivals  # noqa: PLC0415
    from mlgate.load.blocks import MAX_RUN_S, MIN_RUN_S  # noqa: PLC0415
    from mlgate.quantities import format_duration  # noqa: PLC0415

    name = load.trace or ""
    times_s = read_arrivals(folder / name, name=name)
    if not MIN_RUN_S <= times_s[-1] <= MAX_RUN_S:
        length, least, most = map(format_duration, (float(times_s[-1]), MIN_RUN_S, MAX_RUN_S))
        message = f"{name}: {length} from the first arrival to the last; a run is {least} to {most} long"
        raise PolicyError(message, hint="all times are seconds from one zero, not milliseconds")
    schedule = trace(times_s, seed)
    problem = load.undecidable(len(schedule), schedule.duration_s)
    if problem is not None:
        raise PolicyError(f"load.{problem}", hint="record a longer trace, or widen the limit")
    return schedule


def _expected(n: int, total: float, seed: int | None) -> NDArray[np.float64]:
    """Return the expected counts at which *n* sends leave; the inverse of the cumulative rate makes times of them.

    That is how a Poisson process whose rate changes is made of one whose rate does not (Çinlar, Introduction to
    Stochastic Processes, 1975, section 4.7); given their number, its events are independent (`poisson`).
    """
    if seed is None:
        return np.arange(n, dtype=np.float64)
    return np.sort(np.random.default_rng(seed).uniform(0.0, total, n))


def _check_rate(rate: float) -> None:
    if not 0 < rate < np.inf:
        raise ValueError(f"a rate of {rate}/s is no load; it must be above zero")


def _count(rate: float, duration_s: float) -> int:
    if not (rate > 0 and duration_s > 0):
        raise ValueError(f"a rate of {rate}/s for {duration_s} s is no load; both must be above zero")
    count = round(rate * duration_s)
    if count < 1:
        raise ValueError(f"{rate}/s for {duration_s} s sends no request; lengthen the run or raise the rate")
    return count
