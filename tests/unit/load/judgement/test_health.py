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


def used(*, server, busy, cores=2, cpus=2.0, throttled=0.0, seconds=30):
    """Return readings of a host with *busy* and a server with *server* cores' worth of CPU."""
    at_s = np.arange(float(seconds + 1))
    return UsageSeries(
        at_s=at_s,
        memory=np.full(len(at_s), 1e8),
        server_cpu_s=server * at_s,
        throttled_s=throttled * at_s,
        host_busy_s=busy * at_s,
        host_total_s=cores * at_s,
        cores=cores,
        cpus=cpus,
    )


@pytest.mark.parametrize(
    ("usage", "cpus", "generator", "advice"),
    [
        (used(server=1.0, busy=1.95), 2, 0.1, "stop what else runs"),
        (used(server=1.2, busy=1.95), 2, 0.7, "another host"),
        (used(server=1.9, busy=2.0), 4, 0.1, "more than 4 cores"),
        (used(server=1.95, busy=2.0), 2, 0.05, None),
        (used(server=1.0, busy=1.95), 1, 0.1, None),
        (used(server=0.5, busy=1.95, throttled=0.6), 2, 0.1, None),
        (used(server=0.1, busy=0.3), 2, 0.1, None),
        (used(server=1.0, busy=1.7), 2, 0.1, None),
        (used(server=1.0, busy=1.95, seconds=0), 2, 0.1, None),
        (None, 2, 0.1, None),
    ],
    ids=[
        "neighbours take the rest",
        "the generator takes the rest",
        "fewer cores than the limit",
        "it used all it was given",
        "it used its limit",
        "its limit throttled it",
        "it sleeps",
        "cores were idle",
        "no readings",
        "nobody looked",
    ],
)
def test_a_host_that_is_too_small_is_told_from_a_slow_model(usage, cpus, generator, advice):
    """Only where no core was idle, and the server got less than its limit for somebody else's sake."""
    reason = host_too_small(usage, replace(HEALTHY, cpu_share=generator), cpus=cpus, rate=100)
    if advice is None:
        assert reason is None
    else:
        assert reason.startswith("generator or host too small: at 100/s")
        assert advice in reason.partition("; ")[2]


def test_a_host_that_is_too_small_excuses_a_failure_only():
    """Failed becomes inconclusive by the environment; a pass on a busy host stays one."""
    failed = judge_percentile(run(600, response_ms=900.0), q=0.95, limit_ms=250, confidence=0.95)
    excused = environment_instead(failed, "generator or host too small: no core idle; use another")
    assert (excused.outcome, excused.cause, excused.advice) == (INCONCLUSIVE, Cause.ENVIRONMENT, "use another")
    assert failed.reason in excused.reason
    assert environment_instead(failed, None) == failed
    passed = Finding(outcome=PASSED, reason="fine")
    assert environment_instead(passed, "generator or host too small: no core idle; use another") == passed
