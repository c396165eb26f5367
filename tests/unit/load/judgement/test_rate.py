import numpy as np
import pytest

from mlgate.evidence import Outcome
from mlgate.load.judgement import judge_rate
from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import ramp
from tests.unit.load.judgement.runs import erring, queue, run

PASSED, FAILED = Outcome.PASSED, Outcome.FAILED


@pytest.mark.parametrize(
    ("samples", "outcome"),
    [
        (queue(6000, 100, 0.005), PASSED),
        (queue(6000, 100, 0.0095), PASSED),
        (queue(6000, 100, 0.005, stall=(20, 2)), PASSED),
        (queue(6000, 100, 0.0103), FAILED),
        (queue(6000, 100, 0.03), FAILED),
        (queue(300, 100, 0.03), FAILED),
        (queue(600, 20, 0.04), PASSED),
        (queue(600, 20, 0.055), FAILED),
        (queue(10, 1, 0.2), PASSED),
        (run(6000, response_ms=900.0), PASSED),
        (erring(run(6000), range(6000)), PASSED),
        (erring(run(6000), range(3000), code=ErrorKind.CONNECTION, status=0), FAILED),
    ],
)
def test_a_server_carries_the_rate_or_its_backlog_grows(samples, outcome):
    """A stall that is caught up with and slow answers pass; 3 % overload does not; an error is an answer."""
    rate = 1 / (samples.intended_s[1] - samples.intended_s[0])
    finding = judge_rate(samples, rate=round(float(rate), 6))
    assert finding.outcome is outcome, finding.reason
    assert (finding.cause is None) == (outcome is PASSED)
    assert finding.unit == "1/s"


@pytest.mark.parametrize(("late_s", "outcome"), [(0.0, PASSED), (0.05, FAILED)])
def test_a_rate_that_rises_is_no_backlog(late_s, outcome):
    """A steady server of 400 ms holds more requests as the rate rises, and carries them; one that falls behind does not."""
    sends = ramp(100.0, 30.0, 10.0)
    samples = run(len(sends))
    samples.intended_s[:] = samples.sent_s[:] = sends.sends_s
    samples.done_s[:] = samples.intended_s * (1 + late_s) + 0.4
    finding = judge_rate(samples, rate=sends.rate)
    assert finding.outcome is outcome, finding.reason


def test_the_carried_rate_is_measured():
    """A server that takes 30 ms a request, one at a time, carries 33/s of 100/s."""
    finding = judge_rate(queue(6000, 100, 0.03), rate=100)
    assert finding.measured == pytest.approx(33.3, abs=1)
    assert "backlog growing" in finding.reason


def users(count, think_s, service_s, duration_s=30.0):
    """Return the requests of *count* users that wait for an answer and then pause."""
    turns = int(duration_s / (think_s + service_s))
    sends = np.sort(np.concatenate([np.arange(turns) * (think_s + service_s) + 0.001 * user for user in range(count)]))
    samples = Samples.unsent(sends)
    samples.sent_s[:], samples.done_s[:] = sends, sends + service_s
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples


@pytest.mark.parametrize(
    ("samples", "outcome"),
    [
        (users(10, 0.4, 0.1), PASSED),
        (users(10, 0.0, 1.0), FAILED),
        (users(5, 0.4, 0.1), Outcome.INCONCLUSIVE),
        (erring(users(10, 0.4, 0.1), range(300)), PASSED),
    ],
)
def test_users_that_wait_are_judged_by_what_they_were_answered(samples, outcome):
    """Good or bad answers count; users that pause and so ask for less than the rate say nothing about the server."""
    finding = judge_rate(samples, rate=20, closed_loop_s=30)
    assert finding.outcome is outcome, finding.reason
    assert finding.measured == pytest.approx(len(samples) / 30, rel=0.05)


def test_a_server_that_becomes_slower_and_stays_so_carries_the_rate():
    """From 0.1 s to 0.4 s half-way: twelve more are under way at 40/s from then on, and every one is answered."""
    samples = run(600, rate=40, response_ms=np.where(np.arange(600) < 300, 100.0, 400.0))
    assert judge_rate(samples, rate=40).outcome is Outcome.PASSED
