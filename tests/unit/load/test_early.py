import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.evidence import Cause, Outcome, canonical_digest
from mlgate.load.early import ALPHA, MOST_BAD, EarlyStop, Limit, _Bet, _factors
from mlgate.load.judgement import Bounds
from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import constant

RATE, SECONDS = 100, 60
N = RATE * SECONDS
SCHEDULE = constant(RATE, SECONDS)
P95 = Limit.percentile("load.p95_latency", q=0.95, limit_ms=100)
P99 = Limit.percentile("load.p99_latency", q=0.99, limit_ms=250)
ERRORS = Limit.errors("load.error_rate", share=0.005)
ALL = (P95, P99, ERRORS)


def watched(times_ms, failed=None, *, limits=ALL, lag_ms=0.0, until_s=SECONDS + 1, schedule=SCHEDULE):
    """Return when a run with these response times was stopped, looked at twice a second, and who stopped it.

    Args:
        times_ms: Response times in ms, shape (n,).
        failed: Where the answer is a 500, shape (n,).
        limits: To watch.
        lag_ms: How late requests leave.
        until_s: When the run is over.
        schedule: When they should leave.
    """
    failed = np.zeros(len(schedule), bool) if failed is None else failed
    live, stop = Samples.unsent(schedule.sends_s), EarlyStop(limits, schedule, confidence=0.95)
    sent_s = schedule.sends_s + lag_ms / 1000
    done_s = schedule.sends_s + np.asarray(times_ms) / 1000
    for seconds in np.arange(0.5, until_s, 0.5):
        left, done = sent_s <= seconds, done_s <= seconds
        live.sent_s[left] = sent_s[left]
        live.done_s[done] = done_s[done]
        live.status[done] = np.where(failed, 500, 200)[done]
        live.error[done] = np.where(failed, ErrorKind.SERVER_ERROR, ErrorKind.NONE)[done]
        if stop(live, float(seconds)) is not None:
            return float(seconds), stop
    return np.inf, stop


def quick(n=N):
    return np.full(n, 10.0)


def at_limits(rng, part=1.0, *, block=None):
    """Return times and errors of which *part* times each limit share violates; *block*: whole seconds share their fate."""
    fate = rng.random(N) if block is None else np.repeat(rng.random(SECONDS), RATE)
    if block is not None:
        own = rng.random(N)
        fate = np.where(rng.random(N) < block, fate, own)
    return np.select([fate < 0.01 * part, fate < 0.05 * part], [300.0, 150.0], 10.0), fate < 0.005 * part


def test_a_server_that_hangs_is_stopped_before_a_timeout():
    """Requests older than the limit violate it, whether their answer comes or not."""
    seconds, stop = watched(np.full(N, 1e7))
    assert seconds <= 6
    finding = stop.finding()
    assert (finding.outcome, finding.cause) == (Outcome.FAILED, Cause.SERVER)
    assert stop.check in {"load.p95_latency", "load.p99_latency"}
    assert "of 60 s" in finding.reason


def test_a_hang_is_seen_at_p95_alone():
    """With nothing else to go by it takes more bad seconds, and is still ten times sooner."""
    assert watched(np.full(N, 1e7), limits=(P95,))[0] <= 6


def test_two_per_cent_of_errors_are_seen_soon():
    """Against 0.5 %: half of the runs are stopped within 6 s."""
    rng = np.random.default_rng(1)
    assert np.median([watched(quick(), rng.random(N) < 0.02)[0] for _ in range(60)]) <= 6


def test_five_per_cent_of_late_answers_are_seen_soon():
    """Against 1 %: half of the runs are stopped within 20 s."""
    rng = np.random.default_rng(2)
    late = [watched(np.where(rng.random(N) < 0.05, 400.0, 10.0), limits=(P99, ERRORS))[0] for _ in range(30)]
    assert np.median(late) <= 20


@pytest.mark.parametrize("block", [None, 0.3, 1.0])
@pytest.mark.parametrize("part", [0.5, 1.0])
def test_a_server_within_its_limits_is_hardly_ever_stopped(part, block):
    """At half the limits, and exactly at them, whatever the requests of a second share: at most 1 % (binomial interval)."""
    rng, runs = np.random.default_rng(3), 200
    stopped = sum(watched(*at_limits(rng, part, block=block))[0] < np.inf for _ in range(runs))
    assert stopped <= 0.01 * runs + 2.326 * np.sqrt(0.01 * 0.99 * runs)


def test_betting_at_the_limit_wins_seldom_whatever_the_seconds_share():
    """2 000 runs of each kind, one limit by itself: at most its part of alpha, by Ville's inequality."""
    rng, runs = np.random.default_rng(4), 2_000
    sizes = np.full(SECONDS, RATE)
    for share, alpha in ((0.05, 0.01), (0.005, 0.01)):
        bet = _Bet(Limit.errors("load.error_rate", share=share), sizes, alpha=alpha, confidence=0.95)
        independent = rng.binomial(RATE, share, (runs, SECONDS))
        whole = RATE * rng.binomial(1, share, (runs, SECONDS))
        clumps = 10 * rng.binomial(1, RATE * share / 10, (runs, SECONDS))
        for counts in (independent, whole, clumps):
            won = sum(bet._wealth(each) >= 1 / alpha for each in counts)
            assert won <= alpha * runs + 2.326 * np.sqrt(alpha * (1 - alpha) * runs)


@given(st.floats(0.001, 0.2), st.integers(2, 200), st.floats(1.5, 1000))
def test_no_bet_gains_on_average_however_the_requests_of_a_second_depend(share, size, cap):
    """At the limit share a factor's mean is at most 1: for every two-point mixture, of which all others are made."""
    shares = np.arange(size + 1) / size
    factors = _factors(shares, share, cap)
    assert (factors >= 0).all()
    assert (factors <= cap).all()
    assert (np.diff(factors, axis=1) >= 0).all()
    for few in range(size + 1):
        for many in range(few + 1, size + 1):
            if shares[few] <= share <= shares[many]:
                chance = (share - shares[few]) / (shares[many] - shares[few])
                assert ((1 - chance) * factors[:, few] + chance * factors[:, many] <= 1 + 1e-9).all()


@pytest.mark.parametrize("start_s", [0.0, 0.3, 5.5, 30.5, 57.0])
def test_one_stall_of_two_seconds_stops_nothing_at_p95(start_s):
    """Wherever it begins: two seconds of sixty are within the 5 % that may be late."""
    stalled = quick()
    inside = (SCHEDULE.sends_s >= start_s) & (SCHEDULE.sends_s < start_s + 2)
    stalled[inside] += (start_s + 2 - SCHEDULE.sends_s[inside]) * 1000
    assert watched(stalled, limits=(P95, ERRORS))[0] == np.inf


@pytest.mark.parametrize("limit", ALL)
@pytest.mark.parametrize("duration_s", [5, 60, 600])
def test_one_second_can_not_decide(limit, duration_s):
    """The cap on a second's factor leaves 1/alpha out of its reach, for every bet."""
    bet = _Bet(limit, np.full(duration_s, RATE), alpha=ALPHA / 10, confidence=0.95)
    assert bet.cap < 1 / bet.alpha
    assert bet._wealth(np.array([RATE])) < 1 / bet.alpha
    assert bet._wealth(np.full(MOST_BAD, RATE)) >= 1 / bet.alpha


@given(
    counts=st.lists(st.integers(0, 20), min_size=30, max_size=30),
    known=st.integers(1, 30),
    share=st.sampled_from([0.01, 0.05]),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_no_continuation_of_a_curtailed_run_passes(counts, known, share, data):
    """Whatever the rest brings, a run given up as certain to fail does not pass."""
    sizes = np.full(30, 20)
    so_far = np.where(np.arange(30) < known, counts, 0)
    if not _Bet(Limit.errors("x", share=share), sizes, alpha=0.01, confidence=0.95)._failed(so_far, 0.998):
        return
    rest = data.draw(st.lists(st.integers(0, 20), min_size=30, max_size=30))
    after = np.where(np.arange(30) < known, counts, rest)
    assert Bounds.of_blocks(sizes, after, limit_share=share, confidence=0.95).outcome is not Outcome.PASSED


def test_curtailment_stops_what_betting_does_not():
    """Bad seconds at the end of a good run are more than the whole of it may have."""
    late = quick()
    late[SCHEDULE.sends_s >= 40] = 150.0
    seconds, stop = watched(late, limits=(P95,))
    assert 40 < seconds < 60
    assert stop.finding().details["rule"] in {"curtailment", "e-process"}


def test_a_good_run_is_never_over_early():
    """Passing takes the whole run: a watch has nothing to say about it, at any time."""
    seconds, stop = watched(quick())
    assert seconds == np.inf
    assert stop.finding() is None
    assert stop.others() is None
    assert stop.check is None


def test_what_stopped_the_run_is_told():
    """The limit that was missed fails with its numbers; every other check is inconclusive and names it."""
    rng = np.random.default_rng(5)
    seconds, stop = watched(quick(), rng.random(N) < 0.2)
    finding, others = stop.finding(), stop.others()
    assert (stop.check, finding.outcome, finding.cause) == ("load.error_rate", Outcome.FAILED, Cause.MODEL)
    assert finding.reason.startswith(f"failed after {seconds:g} s of 60 s: errors ≤ 0.5 %: 20 of 6 000 may exceed; ")
    assert "x 5xx)" in finding.reason
    assert finding.details["stopped_after_s"] == seconds
    assert finding.measured == pytest.approx(0.2, abs=0.1)
    assert (others.outcome, others.reason) == (
        Outcome.INCONCLUSIVE,
        f"stopped after {seconds:g} s, since load.error_rate had failed",
    )
    assert canonical_digest([finding.details, others.details])


def test_requests_that_leave_late_stop_nothing():
    """Then the generator is at fault, and the whole run is judged for its health."""
    assert watched(np.full(N, 500.0), lag_ms=200.0, until_s=20)[0] == np.inf
    assert watched(np.full(N, 500.0), lag_ms=1.0, until_s=20)[0] < 20


def test_requests_that_never_left_stop_nothing():
    """A generator that sends nothing says nothing about the server."""
    stop = EarlyStop(ALL, SCHEDULE, confidence=0.95)
    assert stop(Samples.unsent(SCHEDULE.sends_s), 30.0) is None


def test_a_call_looks_at_what_is_new():
    """Rows that are done are counted once: changing them later changes nothing."""
    stop, live = EarlyStop(ALL, SCHEDULE, confidence=0.95), Samples.unsent(SCHEDULE.sends_s)
    live.sent_s[:1000], live.done_s[:1000] = live.intended_s[:1000], live.intended_s[:1000] + 0.01
    live.status[:1000], live.error[:1000] = 200, ErrorKind.NONE
    assert stop(live, 9.9) is None
    live.error[:500] = ErrorKind.SERVER_ERROR
    assert stop(live, 9.95) is None
