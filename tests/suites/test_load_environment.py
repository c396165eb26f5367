"""A host that is too small is not the model's fault, and no excuse for a slow model."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from mlgate.evidence import Cause
from mlgate.load.early import EarlyStop
from mlgate.load.locust import LoadRun
from mlgate.load.noop import noop_server
from mlgate.load.samples import ErrorKind, Health, Samples
from mlgate.load.schedule import constant
from mlgate.load.usage import UsageSeries
from mlgate_suites.load_run import Measured, limits_of
from tests.suites.conftest import healthy
from tests.suites.under_load import policy_of, taking

LOAD = "rate: 100/s, duration: 4s, p95: 600ms, p99: 600ms"
SLOW_MS, FAST_MS = 900.0, 20.0
CORES, CPUS = 2, 1.0


@pytest.fixture
def judged(bench):
    """Judge a made-up run: how long its answers took, and what server and host used meanwhile."""

    def judge(*, latency_ms, server, host, early=False, error=0, status=200, load=LOAD, growth=0.0):
        put = bench(policy=policy_of(load))
        used = usage(server=server, host=host, growth=growth)
        put._made["load_run"] = measured(latency_ms, used, put.policy if early else None, error=error, status=status)
        return put.findings("load")

    return judge


def measured(latency_ms, used, stopped_by=None, *, error=0, status=200):
    """Return a run whose requests left in time, a tenth of them answered after *latency_ms*, all with *status* and *error*.

    By the limits of the policy *stopped_by*, if there is one, it was given up after three of its four seconds.
    """
    schedule = constant(100.0, 4.0)
    taken_s = np.where(np.arange(len(schedule)) % 10 == 0, latency_ms, FAST_MS) / 1000
    rows = Samples.unsent(schedule.sends_s)
    rows.sent_s[:], rows.done_s[:] = schedule.sends_s, schedule.sends_s + taken_s
    rows.status[:], rows.error[:] = status, error
    health = Health.of(rows, rate=100.0, duration_s=4.0, cpu_share=0.2)
    early = stopped = None
    if stopped_by is not None:
        early = EarlyStop(limits_of(stopped_by.values.load), schedule, confidence=0.95)
        stopped = early(rows, 3.0)
        assert stopped
    run = LoadRun(samples=rows, health=health, started_at=0.0, stopped=stopped or "")
    return Measured(run=run, schedule=schedule, usage=used, early=early)


def usage(*, server, host, growth=0.0):
    """Return readings over four seconds in which the server used *server* cores and the host, in all, *host* of two."""
    at_s = np.linspace(0, 4, 27)
    return UsageSeries(
        at_s=at_s, memory=2.0**28 + growth * at_s, server_cpu_s=server * at_s, throttled_s=0 * at_s,
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


@pytest.mark.parametrize("early", [False, True], ids=["at the end", "given up"])
@pytest.mark.parametrize(
    ("error", "status"),
    [(ErrorKind.CLIENT_ERROR, 400), (ErrorKind.SERVER_ERROR, 500), (ErrorKind.INVALID, 200), (ErrorKind.WRONG, 200)],
    ids=["4xx", "500", "no answer", "a wrong answer"],
)
def test_answers_that_are_wrong_are_no_fault_of_a_busy_host(judged, error, status, early):
    """Somebody who sends the wrong columns is not sent to look for another host."""
    found = judged(latency_ms=FAST_MS, server=0.3, host=2.0, error=error, status=status, early=early)
    failed = {key for key, finding in found.items() if finding.outcome == "failed"}
    assert failed
    assert failed <= {"load.p95_latency", "load.p99_latency", "load.error_rate"}
    assert not any("too small" in finding.reason for finding in found.values()), found


def test_errors_say_nothing_of_how_far_a_server_would_go(judged):
    """It refuses 400 requests a second at little cost: that is no headroom."""
    told = [
        ["headroom" in finding.details for finding in judged(latency_ms=FAST_MS, server=0.3, host=0.6, **said).values()]
        for said in ({}, {"error": ErrorKind.CLIENT_ERROR, "status": 400})
    ]
    assert any(told[0])
    assert not any(told[1])


@pytest.mark.parametrize(("error", "status"), [(ErrorKind.TIMEOUT, 0), (ErrorKind.SERVER_ERROR, 503)])
def test_answers_that_come_too_late_may_be_the_fault_of_a_busy_host(judged, error, status):
    """Who waits for a core gives up, or is given up."""
    found = judged(latency_ms=FAST_MS, server=0.3, host=2.0, error=error, status=status)["load.error_rate"]
    assert (found.outcome, found.cause) == ("inconclusive", Cause.ENVIRONMENT)


def test_a_leak_is_no_fault_of_a_busy_host(judged):
    """Nobody's neighbours make it keep what it was sent."""
    load = f"{LOAD.replace('4s', '20s')}, max_memory_growth: 1MiB"
    found = judged(latency_ms=FAST_MS, server=0.3, host=2.0, load=load, growth=50 * 2.0**20)["load.memory"]
    assert found.outcome == "failed", found


def test_a_good_answer_on_a_busy_host_is_a_pass(judged):
    """A busy host slows a server down; it never makes one faster."""
    findings = judged(latency_ms=FAST_MS, server=0.3, host=2.0)
    assert {str(found.outcome) for found in findings.values()} == {"passed"}


def test_a_run_that_was_given_up_on_a_busy_host_blames_the_host_everywhere(judged):
    """The check that stopped it is excused by the host, so no other check may send the reader to the model."""
    findings = judged(latency_ms=SLOW_MS, server=0.3, host=2.0, early=True)
    assert {str(found.outcome) for found in findings.values()} == {"inconclusive"}
    assert {found.cause for found in findings.values()} == {Cause.ENVIRONMENT}, findings


def test_a_run_that_was_given_up_is_not_followed_by_a_longer_one(bench):
    """Beside its champion it would be asked at the same rate for twice the time, after it has failed."""
    put = bench(
        champion=healthy,
        policy=policy_of("rate: 100/s, duration: 10s, p95: 600ms, p99: 600ms, max_ratio_to_champion: 2"),
    )
    put._made["load_run"] = measured(SLOW_MS, usage(server=0.3, host=0.6), put.policy)
    found = put.findings("load", "load.regression")["load.regression"]
    assert found.outcome == "inconclusive"
    assert found.reason.startswith("stopped after 3 s")
    assert not (put.output / "load" / "beside_champion").exists()


@pytest.mark.alone
def test_a_host_that_delays_a_server_of_known_service_time_is_no_model_fault(bench, monkeypatch):
    """The calibration's no-op server answers 300 ms late, and the model late as well: nobody can tell whose fault that is."""

    @contextmanager
    def held_up(*, service_s, cores):
        with noop_server(service_s=service_s + 0.3, cores=cores) as url:
            yield url

    monkeypatch.setattr("mlgate_suites.load_run.noop_server", held_up)
    app = taking(lambda call: 1.5 if call % 5 == 0 else 0.0)
    findings = bench(app=app, policy=policy_of("rate: 100/s, duration: 3500ms, p95: 600ms")).findings("load")
    assert "failed" not in {str(found.outcome) for found in findings.values()}, findings
    found = findings["load.p95_latency"]
    assert found.outcome == "inconclusive"
    assert found.cause is Cause.ENVIRONMENT
    assert "generator or host too small" in found.reason
    assert "use one with more cores" in found.advice


@pytest.mark.alone
def test_a_model_that_starves_on_a_crowded_host_is_never_failed(bench):
    """A model that needs most of a core, among four busy loops for each core: what is missed is the host's fault.

    Its work is a time on the CPU, so that a faster machine is as crowded as a slow one.
    """

    def predict(frame, params=None):
        until = time.thread_time() + 0.007
        while time.thread_time() < until:
            pass
        return healthy(frame)

    with ExitStack() as crowd:
        for _ in range(4 * len(os.sched_getaffinity(0))):
            busy = subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"])
            crowd.callback(busy.wait)
            crowd.callback(busy.kill)
        findings = bench(predict, policy=policy_of(LOAD)).findings("load")
    outcomes = {str(found.outcome) for found in findings.values()}
    assert outcomes <= {"passed", "inconclusive"}, findings
    assert Cause.ENVIRONMENT in {found.cause for found in findings.values()}, findings
