from dataclasses import replace

import numpy as np
import pytest

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement import environment_instead, host_too_small, judge_percentile, not_judged, unhealthy
from mlgate.load.samples import Health, Samples
from mlgate.load.schedule import constant
from mlgate.load.usage import UsageSeries
from tests.unit.load.judgement.runs import run

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


HEALTHY = Health(offered_rate=100, achieved_rate=100, send_lag_p99_ms=1.2, dropped=0, cpu_share=0.04)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"send_lag_p99_ms": 10.0}, None),
        ({"send_lag_p99_ms": 10.1}, "late"),
        ({"achieved_rate": 98.9, "dropped": 11}, "dropped"),
        ({"achieved_rate": 99.1}, None),
    ],
)
def test_a_generator_that_lags_or_drops_is_unhealthy(change, word):
    """Beyond 10 % of the tightest limit, or below 99 % of the sends, nothing is judged."""
    reason = unhealthy(run(1000), replace(HEALTHY, **change), 100)
    assert (reason is None) if word is None else (word in reason)


def test_an_unhealthy_run_is_inconclusive_and_says_what_to_change():
    """The harness is the cause, and the advice names the remedy."""
    late = constant(100, 10).sends_s
    samples = run(1000)
    samples.sent_s[:] = late + 0.05
    health = Health.of(samples, rate=100, duration_s=10, cpu_share=0.97)
    finding = not_judged(unhealthy(samples, health, 250))
    assert finding.outcome is INCONCLUSIVE
    assert finding.cause is Cause.HARNESS
    assert finding.advice == "free a core for the generator and run again"
    assert "50 ms late" in finding.reason


def test_requests_that_never_left_are_unhealthy_whatever_the_health_says():
    """The samples outvote the summary."""
    samples = run(1000)
    samples.sent_s[:20] = np.nan
    assert unhealthy(samples, HEALTHY, 250) is not None
    assert unhealthy(Samples.unsent(np.arange(5.0)), HEALTHY, 250).startswith("no request was sent")
