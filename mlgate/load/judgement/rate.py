"""Whether the server carried the rate. Pure."""

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement.causes import culprit, nothing_measured
from mlgate.load.samples import Samples
from mlgate.load.tally import chunks
from mlgate.quantities import format_number, format_share

# Below this share of the sends made, or of the offered rate carried, the run is not the one that was asked for
# (reference/performance-reliability-security.md A1, "How mlgate should measure", 2).
CARRIED_SHARE = 0.99

# Answers may still be under way when the last request has left; a second is far above what a passing latency takes.
GRACE_S = 1.0

# A backlog that differs by this many requests between two thirds of the run is noise: an arrival falls on either side.
BACKLOG_NOISE = 2

# Points at which the backlog is looked at, 100 a third.
POINTS = 300

# Users that wait for answers for less than this part of the run pause by themselves, and so decide the rate.
WAITING_SHARE = 0.90


def judge_rate(samples: Samples, *, rate: float, closed_loop_s: float | None = None) -> Finding:
    """Judge whether the server carried *rate* requests per second: answered in time, and no backlog that grows.

    An error is an answer here; `judge_error_rate` judges those.

    Args:
        samples: Every intended request.
        rate: Offered rate, requests per second; of a user's own locustfile, the rate that the policy asks for.
        closed_loop_s: Length in seconds of a run whose users wait for their answers: what they were answered, good or
            bad, is what was carried. `None`: the sends kept to a schedule.
    """
    n = len(samples)
    if not n:
        return nothing_measured(limit=rate, unit="1/s")
    if closed_loop_s is not None:
        return _closed_loop(samples, rate, closed_loop_s)
    end_s = float(samples.intended_s[-1]) + 1 / rate
    grid = np.linspace(0.0, end_s, POINTS + 1)[1:]
    answered_by = np.zeros(POINTS, np.int64)
    in_time = 0
    for part in chunks(samples):
        done_s = part.done_s[part.answered]
        in_time += int((done_s <= end_s + GRACE_S).sum())
        answered_by += _until(done_s, grid)
    # How far the answers are behind the sends: so many answers as there are now were asked for that long ago.
    behind_s = np.maximum(0.0, grid - samples.intended_s[np.minimum(answered_by, n - 1)])
    growth = rate * _growth(behind_s, end_s, noise_s=BACKLOG_NOISE / rate)
    carried = max(0.0, min(rate * in_time / n, rate - growth))
    passed = carried >= CARRIED_SHARE * rate
    growing = f", backlog growing by {format_number(growth, 3)}/s" if growth > 0 else ""
    answered = f"{format_number(in_time)} of {format_number(n)} answered within the run{growing}"
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        reason=f"carried {format_number(carried, 3)}/s of {format_number(rate)}/s offered: {answered}",
        cause=None if passed else culprit(samples),
        measured=carried,
        limit=rate,
        unit="1/s",
        n=n,
        advice="" if passed else "more CPUs or a faster model; or offer the rate that one replica has to carry",
        details={"answered_in_time": in_time, "backlog_growth_per_s": round(growth, 4), "grace_s": GRACE_S},
    )


def _closed_loop(samples: Samples, rate: float, duration_s: float) -> Finding:
    answered = int((samples.answered & (samples.done_s <= duration_s + GRACE_S)).sum())
    carried = answered / duration_s
    told = f"carried {format_number(carried, 3)}/s of {format_number(rate)}/s asked for: {format_number(answered)} answers in {format_number(duration_s, 3)} s"
    passed, waiting = carried >= CARRIED_SHARE * rate, _waiting_share(samples, duration_s)
    if not passed and waiting < WAITING_SHARE:
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{told}; its users waited for answers {format_share(waiting)} of the time and paused otherwise",
            cause=Cause.HARNESS,
            measured=carried,
            limit=rate,
            unit="1/s",
            n=len(samples),
            advice="let the locustfile ask for the rate: more users or a shorter wait_time",
            details={"answered": answered, "waiting_share": round(waiting, 4)},
        )
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        reason=told,
        cause=None if passed else culprit(samples),
        measured=carried,
        limit=rate,
        unit="1/s",
        n=len(samples),
        advice="" if passed else "more CPUs or a faster model; or ask for the rate that one replica has to carry",
        details={"answered": answered, "waiting_share": round(waiting, 4)},
    )


def _waiting_share(samples: Samples, duration_s: float) -> float:
    """Return the mean number of requests under way over the largest: 1 where no user ever pauses."""
    sent = samples.sent
    start_s = samples.sent_s[sent]
    end_s = np.where(np.isnan(samples.done_s[sent]), duration_s, samples.done_s[sent])
    under_way = np.cumsum(np.concatenate([np.ones(len(start_s)), -np.ones(len(end_s))])[_in_time(start_s, end_s)])
    largest = float(under_way.max(initial=0.0))
    return float((np.minimum(end_s, duration_s) - start_s).sum()) / duration_s / largest if largest else 0.0


def _in_time(start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of all starts and ends; at the same moment an end comes first: that user sends again."""
    is_start = np.repeat([1, 0], [len(start_s), len(end_s)])
    order: NDArray[np.intp] = np.lexsort((is_start, np.concatenate([start_s, end_s])))
    return order


def _until(times_s: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the times up to each point of *grid*, without sorting them."""
    places = np.searchsorted(grid, times_s, side="left")
    return np.cumsum(np.bincount(places, minlength=len(grid) + 1)[: len(grid)])


def _growth(behind_s: NDArray[np.float64], end_s: float, *, noise_s: float) -> float:
    """Return seconds per second by which the least delay grew, from the middle third to the last and again within that.

    The least, because a stall that the server recovers from lets the backlog return to nothing; overload never does.
    Not the first third: there the backlog of a slow but steady server is still being filled. And both, because a server
    that becomes slower and stays so holds more requests from then on (Little's law), and carries them all. In seconds and
    not in requests for the same reason: where the rate rises, a steady server holds more and more.
    """
    third = POINTS // 3
    middle, last = behind_s[third : 2 * third], behind_s[2 * third :]
    between = (float(last.min() - middle.min()) - noise_s) / (end_s / 3)
    first_half, second_half = np.array_split(last, 2)
    within = (float(second_half.min() - first_half.min()) - noise_s) / (end_s / 6)
    return max(0.0, min(between, within))
