import numpy as np
import pytest

from mlgate.evidence import Cause, Outcome
from mlgate.load.judgement import judge_rate
from mlgate.load.samples import ErrorKind, Samples
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


def test_the_carried_rate_is_measured():
    """A server that takes 30 ms a request, one at a time, carries 33/s of 100/s."""
    finding = judge_rate(queue(6000, 100, 0.03), rate=100)
    assert finding.measured == pytest.approx(33.3, abs=1)
    assert "backlog growing" in finding.reason


