"""A host that is too small is not the model's fault, and no excuse for a slow model."""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from mlgate.evidence import Cause
from mlgate.load.locust import LoadRun
from mlgate.load.noop import noop_server
from mlgate.load.samples import Health, Samples
from mlgate.load.schedule import constant
from mlgate.load.usage import UsageSeries
from mlgate_suites.load_run import Measured
from tests.suites.conftest import healthy
from tests.suites.under_load import policy_of

LOAD = "rate: 100/s, duration: 4s, p95: 600ms, p99: 600ms"
SLOW_MS, FAST_MS = 900.0, 20.0
CORES, CPUS = 2, 1.0


@pytest.fixture
def judged(bench):
    """Judge a made-up run: how long its answers took, and what server and host used meanwhile."""

    def judge(*, latency_ms, server, host):
        put = bench(policy=policy_of(LOAD))
        put._made["load_run"] = measured(latency_ms, usage(server=server, host=host))
        return put.findings("load")

    return judge


def measured(latency_ms, used):
    """Return a run whose requests left in time, a tenth of them answered after *latency_ms*."""
    schedule = constant(100.0, 4.0)
    taken_s = np.where(np.arange(len(schedule)) % 10 == 0, latency_ms, FAST_MS) / 1000
    rows = Samples.unsent(schedule.sends_s)
    rows.sent_s[:], rows.done_s[:] = schedule.sends_s, schedule.sends_s + taken_s
    rows.status[:], rows.error[:] = 200, 0
    health = Health.of(rows, rate=100.0, duration_s=4.0, cpu_share=0.2)
    run = LoadRun(samples=rows, health=health, started_at=0.0)
    return Measured(run=run, schedule=schedule, usage=used)


def usage(*, server, host):
    """Return readings over four seconds in which the server used *server* cores and the host, in all, *host* of two."""
    at_s = np.linspace(0, 4, 27)
    return UsageSeries(
        at_s=at_s, memory=np.full(27, 2.0**28), server_cpu_s=server * at_s, throttled_s=0 * at_s,
        host_busy_s=host * at_s, host_total_s=CORES * at_s, cores=CORES, cpus=CPUS,
    )  # fmt: skip


def test_a_slow_answer_on_a_host_without_an_idle_core_is_inconclusive(judged):
    """The server got a third of its CPU, and neighbours the rest: the words say who used what, and what to change."""
    findings = judged(latency_ms=SLOW_MS, server=0.3, host=2.0)
    for key in ("load.p95_latency", "load.p99_latency"):
        found = findings[key]
        assert found.outcome == "inconclusive", found
        assert found.cause is Cause.ENVIRONMENT
        assert "generator or host too small" in found.reason
        assert "others 1.5 cores" in found.reason
        assert "stop what else runs on this host" in found.advice
        assert found.details["would_be"] == "failed"


@pytest.mark.parametrize(("server", "host"), [(0.3, 0.6), (1.0, 2.0)], ids=["cores idle", "its own CPU used up"])
def test_a_slow_model_stays_failed(judged, server, host):
    """It waited while cores were idle, or had all that it was promised: nobody else is to blame."""
    findings = judged(latency_ms=SLOW_MS, server=server, host=host)
    assert findings["load.p95_latency"].outcome == "failed"
    assert findings["load.p95_latency"].cause is Cause.MODEL


def test_a_good_answer_on_a_busy_host_is_a_pass(judged):
    """A busy host slows a server down; it never makes one faster."""
    findings = judged(latency_ms=FAST_MS, server=0.3, host=2.0)
    assert {str(found.outcome) for found in findings.values()} == {"passed"}


def test_a_host_that_delays_a_server_of_known_service_time_judges_nobody(bench, monkeypatch):
    """The no-op server of the calibration answers 300 ms late: no limit of 600 ms can be judged here, nor be passed."""

    @contextmanager
    def held_up(*, service_s, cores):
        with noop_server(service_s=service_s + 0.3, cores=cores) as url:
            yield url

    monkeypatch.setattr("mlgate_suites.load_run.noop_server", held_up)
    findings = bench(policy=policy_of(LOAD)).findings("load")
    for found in findings.values():
        assert found.outcome == "inconclusive", found
        assert found.cause is Cause.ENVIRONMENT
        assert "generator or host too small" in found.reason
        assert "use one with more cores" in found.advice


def test_a_model_that_starves_on_a_crowded_host_is_never_failed(bench):
    """A model that needs most of a core, among four busy loops for each core: whatever is missed is the host's."""

    def predict(frame, params=None):
        for _ in range(60):
            np.linalg.inv(np.eye(60) * 2)
        return healthy(frame)

    with ExitStack() as crowd:
        for _ in range(4 * (os.cpu_count() or 1)):
            busy = subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"])
            crowd.callback(busy.wait)
            crowd.callback(busy.kill)
        findings = bench(predict, policy=policy_of(LOAD)).findings("load")
    missed = [found for found in findings.values() if found.outcome != "passed"]
    assert missed, findings
    for found in missed:
        print(found.outcome, found.cause, found.reason, found.advice)
        assert found.outcome == "inconclusive", found
        assert found.cause is Cause.ENVIRONMENT, found
