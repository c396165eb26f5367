"""What the report is given is small, is JSON, and says when what happened."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import constant, poisson
from mlgate.load.series import MAX_BINS, over_time, percentile_curve
from mlgate.load.usage import UsageSeries


def answered(intended_s, takes_s, *, lag_s=0.0):
    """Return samples that were all answered well, *takes_s* after they left, *lag_s* late."""
    samples = Samples.unsent(np.asarray(intended_s, float))
    samples.sent_s[:] = samples.intended_s + lag_s
    samples.done_s[:] = samples.sent_s + takes_s
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples


def readings(at_s, **columns):
    """Return usage read at *at_s*, of a server on one core of two."""
    at_s = np.asarray(at_s, float)
    empty = {name: np.full(len(at_s), np.nan) for name in ("memory", "server_cpu_s", "throttled_s", "host_busy_s")}
    given = {name: np.asarray(values, float) for name, values in columns.items()}
    held = {**empty, "host_total_s": 2 * at_s, **given}
    return UsageSeries(at_s=at_s, cores=2, cpus=1.0, replaced=(), pinned=True, **held)


def test_a_stall_stands_in_the_seconds_whose_requests_it_hit():
    """Those that should have left at 3.5 s waited until 5 s: the wait is theirs, though it ended later."""
    schedule = constant(100, 10)
    samples = answered(schedule.sends_s, 0.01)
    stalled = (samples.intended_s >= 3) & (samples.intended_s < 5)
    samples.done_s[stalled] = 5.01
    found = over_time(samples, None, duration_s=10.0)
    assert found["bin_s"] == 1.0
    assert found["response_max_ms"][3] == pytest.approx(2010)
    assert found["response_p50_ms"][2:6] == [10.0, pytest.approx(1510), pytest.approx(510), 10.0]
    assert found["offered"] == [100] * 10
    assert found["answered"][3:6] == [1, 0, 299]


def test_service_time_leaves_out_the_wait_for_the_generator():
    """Two lines that part are a queue before the server."""
    found = over_time(answered(constant(10, 2).sends_s, 0.02, lag_s=0.5), None, duration_s=2.0)
    assert found["response_p95_ms"] == [520.0, 520.0]
    assert found["service_p95_ms"] == [20.0, 20.0]


def test_a_timeout_is_a_long_wait_and_a_refusal_is_none():
    """A refused connection takes a millisecond; it must not make the second look quick."""
    samples = answered(constant(4, 2).sends_s, 0.02)
    samples.status[:4], samples.error[:4] = 0, [ErrorKind.TIMEOUT, *[ErrorKind.CONNECTION] * 3]
    samples.done_s[0] = 10.0
    samples.done_s[1:4] = samples.intended_s[1:4] + 0.001
    found = over_time(samples, None, duration_s=2.0)
    assert found["response_p50_ms"] == [10_000, 20]
    assert found["errors"] == [4, 0]
    assert found["answered"] == [0, 4]


def test_cpu_and_memory_are_rates_and_peaks_of_what_was_read():
    """The server uses half a core, the generator 0.1, the host 0.8: the rest is somebody else's 0.2."""
    at_s = np.arange(-1.0, 5.0)
    usage = readings(
        at_s,
        memory=[2**20, 2**20, 4 * 2**20, np.nan, 2**20, 2**20],
        server_cpu_s=0.5 * at_s + 3,
        host_busy_s=0.8 * at_s + 100,
    )
    found = over_time(answered(constant(1, 4).sends_s, 0.1), usage, duration_s=4.0, generator_cores=0.1)
    assert found["server_cores"] == [0.5] * 4
    assert found["other_cores"] == pytest.approx([0.2] * 4)
    assert found["memory_mib"] == [2.5, 4.0, 1.75, 1.0]


def test_what_was_not_read_is_null():
    """A server without counters has no CPU of zero."""
    found = over_time(answered(constant(1, 4).sends_s, 0.1), readings([0, 1, 2, 3, 4]), duration_s=4.0)
    assert found["server_cores"] == found["memory_mib"] == found["other_cores"] == [None] * 4
    few = readings([0.2], memory=[2**20], server_cpu_s=[1.0])
    found = over_time(answered(constant(1, 4).sends_s, 0.1), few, duration_s=4.0)
    assert found["memory_mib"] == [1.0, None, None, None]
    assert found["server_cores"] == [None] * 4


def test_a_counter_that_starts_again_is_a_hole_and_no_negative_use():
    """A restarted server counts from zero."""
    usage = readings(np.arange(5), server_cpu_s=[10, 11, 0, 1, 2])
    found = over_time(answered(constant(1, 4).sends_s, 0.1), usage, duration_s=4.0)
    assert found["server_cores"] == [1.0, None, 1.0, 1.0]


@given(st.integers(1, 400), st.floats(0.05, 5000), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 1.0]))
def test_any_run_is_small_and_finite_json(n, duration_s, seed, failing):
    """Whatever was measured, evidence can hold it, and every request is counted once."""
    rng = np.random.default_rng(seed)
    samples = answered(poisson(n / duration_s, duration_s, seed).sends_s, rng.lognormal(-3, 2, n))
    samples.error[rng.random(n) < failing] = ErrorKind.SERVER_ERROR
    unsent = rng.random(n) < failing / 2
    samples.sent_s[unsent] = samples.done_s[unsent] = np.nan
    samples.status[unsent], samples.error[unsent] = 0, ErrorKind.DROPPED
    at_s = np.sort(rng.uniform(-2, duration_s + 2, 50))
    usage = readings(at_s, memory=np.where(rng.random(50) < 0.2, np.nan, 1e8), server_cpu_s=at_s, host_busy_s=at_s)
    found = over_time(samples, usage, duration_s=duration_s)
    assert sum(found["offered"]) == n
    assert sum(found["errors"]) == samples.failed.sum()
    lengths = {len(column) for column in found.values() if isinstance(column, list)}
    assert len(lengths) == 1
    assert 1 <= lengths.pop() <= MAX_BINS
    text = json.dumps({"over_time": found, "curve": percentile_curve(samples)}, allow_nan=False)
    assert len(text) < 14_000


@pytest.mark.parametrize("n", [1, 2, 19, 100, 6000, 20_011])
def test_the_curve_holds_the_quantiles_that_are_judged(n):
    """Against numpy's inverse of the empirical distribution; the last point is the longest time."""
    values = np.random.default_rng(n).lognormal(3, 1, n)
    curve = percentile_curve(answered(np.arange(n) / 100, values / 1000, lag_s=0.001))
    expected = np.quantile(values + 1, curve["quantiles"], method="inverted_cdf")
    assert curve["response_ms"] == pytest.approx(expected.tolist(), rel=1e-3)
    assert curve["response_ms"][-1] == pytest.approx(values.max() + 1, rel=1e-3)
    assert curve["service_ms"][-1] == pytest.approx(values.max(), rel=1e-3)
    assert curve["quantiles"] == sorted(set(curve["quantiles"]))
    assert {q for q in (0.5, 0.95, 0.99) if q <= 1 - 1 / n} <= set(curve["quantiles"])
    assert max(curve["quantiles"]) == pytest.approx(1 - 1 / (2 * n))


def test_the_curve_ends_where_no_good_answer_came():
    """A server that answers 500 in a millisecond is not quick: 3 of 100 lie beyond every limit."""
    samples = answered(np.arange(100) / 10, 0.02)
    samples.error[:3] = ErrorKind.SERVER_ERROR
    curve = percentile_curve(samples)
    known = [q for q, value in zip(curve["quantiles"], curve["response_ms"], strict=True) if value is not None]
    assert 0.95 <= max(known) <= 0.97
    assert curve["response_ms"][-1] is None


def test_no_request_has_no_curve():
    """A run that was stopped before its first request still has a report."""
    assert percentile_curve(Samples.unsent(np.empty(0))) == {"n": 0}
    assert over_time(Samples.unsent(np.empty(0)), None, duration_s=0.4)["offered"] == [0]
