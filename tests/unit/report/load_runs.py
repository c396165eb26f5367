"""Example load suites: a healthy run with everything there is to show, one that a stall and a leak spoil, one stopped early."""

from dataclasses import replace

import numpy as np

from mlgate.evidence import Cause, CheckResult, Finding, Outcome, SuiteResult, VerdictFacts
from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import poisson
from mlgate.load.series import over_time, percentile_curve
from mlgate.load.usage import UsageSeries

MIB = 2**20


def served(*, rate=100.0, duration_s=60.0, mean_s=0.006, stall=(0.0, 0.0), failing=0.0, seed=1):
    """Return samples of one server that takes requests in turn, and takes none during *stall*."""
    rng = np.random.default_rng(seed)
    samples = Samples.unsent(poisson(rate, duration_s, seed).sends_s)
    n = len(samples)
    takes = rng.gamma(4.0, mean_s / 4, n)
    free_s = 0.0
    for index in range(n):
        begins = max(samples.intended_s[index] + 0.0005, free_s)
        if stall[0] <= begins < stall[1]:
            begins = stall[1]
        free_s = begins + takes[index]
        samples.done_s[index] = free_s
    samples.sent_s[:] = samples.intended_s + rng.exponential(0.0002, n)
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    bad = rng.random(n) < failing
    samples.status[bad], samples.error[bad] = 500, ErrorKind.SERVER_ERROR
    return samples


def used(*, duration_s=60.0, cores=0.63, leak_mib_s=0.0, stall=(0.0, 0.0), seed=2):
    """Return what the server used meanwhile."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(-1.0, duration_s + 1.5) + rng.uniform(0, 0.02, int(duration_s) + 3)
    busy = np.where((at_s > stall[0]) & (at_s <= stall[1]), 0.01, cores * rng.uniform(0.92, 1.08, len(at_s)))
    server = np.cumsum(busy)
    return UsageSeries(
        at_s=at_s,
        memory=(262.0 + leak_mib_s * np.maximum(at_s, 0) + rng.uniform(0, 2, len(at_s))) * MIB,
        server_cpu_s=server,
        throttled_s=np.zeros(len(at_s)),
        host_busy_s=server + np.cumsum(rng.uniform(0.08, 0.16, len(at_s))),
        host_total_s=2 * at_s,
        cores=2,
        cpus=1.0,
        pinned=True,
    )


def check(check_id, reason, outcome=Outcome.PASSED, **finding):
    """Return one result."""
    cause = None if outcome is Outcome.PASSED else Cause.MODEL
    return CheckResult(id=check_id, params={}, finding=Finding(outcome=outcome, reason=reason, cause=cause, **finding))


GENERATOR = {
    "offered_rate": 100.0,
    "achieved_rate": 100.0,
    "send_lag_p99_ms": 1.2,
    "dropped": 0,
    "generator_cores": 0.04,
    "server_cores": 0.63,
    "other_cores": 0.08,
    "pinned": True,
    "calibration": {"service_ms": 5.0, "n": 400, "added_p99_ms": 1.4, "added_p95_ms": 0.9},
}


def percentile(samples, name, q, limit_ms, **details):
    """Return the check of one percentile, judged by the eye."""
    measured = float(np.quantile(samples.response_ms, q, method="inverted_cdf"))
    over = int((samples.response_ms > limit_ms).sum())
    outcome = Outcome.PASSED if measured <= limit_ms else Outcome.FAILED
    reason = f"{name} ≤ {limit_ms:g} ms: {over} of {len(samples)} exceed; {name} is {measured:.1f} ms"
    return check(
        f"load.{name}_latency",
        reason,
        outcome,
        measured=measured,
        limit=limit_ms,
        unit="ms",
        n=len(samples),
        confidence=0.95,
        details={"histogram": samples.histogram(), **samples.summary(), **details},
    )


def suite(samples, usage, *, duration_s=60.0, growth=(0.0, Outcome.PASSED), **details):
    """Return the checks of a run, the champion's and the search for capacity among them."""
    champion = served(mean_s=0.0055, seed=5)
    share = float(samples.failed.mean())
    held = {
        "over_time": over_time(samples, usage, duration_s=duration_s, generator_cores=0.04),
        "percentile_curve": percentile_curve(samples),
        "generator": GENERATOR,
        **details,
    }
    steps = [
        {"callers": callers, "rate": rate, "n": 900, "error_share": 0.0, "p95_ms": p95, "p99_ms": 1.4 * p95}
        | {"generator_cpu_share": 0.1, "exceeded": exceeded}
        for callers, rate, p95, exceeded in (
            (1, 118.0, 14.1, ""),
            (2, 151.0, 19.7, ""),
            (4, 158.4, 38.2, ""),
            (8, 158.9, 77.0, ""),
            (16, 159.0, 141.0, "p95 141 ms > 100 ms"),
        )
    ]
    return SuiteResult(
        duration_s=190.0,
        checks=(
            percentile(samples, "p95", 0.95, 100.0, **held),
            percentile(samples, "p99", 0.99, 250.0),
            check("load.error_rate", f"errors ≤ 0.5 %: {share:.2%}", measured=share, limit=0.005, unit="share", n=6000),
            check("load.rate", "carried 100/s of 100/s offered", measured=100.0, limit=100.0, unit="1/s", n=6000),
            check("load.memory", "memory grew", growth[1], measured=growth[0], limit=102.4 * MIB, unit="bytes", n=60),
            check("load.drift", "last third 1.02 times the first", measured=1.02, limit=2.0, n=6000),
            check(
                "load.regression",
                "p95 1.11 times the champion's, at most 1.19 at 95 % (limit 1.2, 20 blocks)",
                measured=1.11,
                limit=1.2,
                n=6000,
                details={
                    "percentile_curve": percentile_curve(served(seed=4)),
                    "champion_percentile_curve": percentile_curve(champion),
                },
            ),
            check(
                "load.capacity",
                "closed loop: 158/s within the limits, 8 under way at once; p95 141 ms > 100 ms with 16 callers",
                measured=158.9,
                limit=100.0,
                unit="1/s",
                n=4500,
                details={"advisory": True, "steps": steps, "callers": 8},
            ),
        ),
    )


def healthy(evidence):
    """Return *evidence* with a run that has room to spare."""
    words = "100/s uses 63 % of one core; the limit is reached near 158/s"
    return _with(evidence, suite(served(), used(), headroom=words))


def stalled(evidence):
    """Return *evidence* with a run that a stall of 2.4 s, 2 % errors and a leak spoil."""
    stall = (31.0, 33.4)
    samples, usage = served(stall=stall, failing=0.02), used(stall=stall, leak_mib_s=2.1)
    found = suite(samples, usage, growth=(126.0 * MIB, Outcome.FAILED))
    reasons = tuple(f"{item.key}: {item.finding.reason}" for item in found.checks if item.outcome is Outcome.FAILED)
    return replace(_with(evidence, found), verdict=VerdictFacts(outcome="failed", reasons=reasons))


def stopped(evidence):
    """Return *evidence* with a run that was stopped, on a host where nobody could read counters."""
    samples = served(duration_s=12.4, stall=(6.0, 90.0))
    lost = samples.done_s > 12.4
    samples.done_s[lost] = samples.sent_s[lost] + 10.0
    samples.error[lost], samples.status[lost] = ErrorKind.TIMEOUT, 0
    words = "after 12.4 s of 60 s: 612 of 6 000 are beyond 100 ms, and only 347 may be"
    found = suite(samples, None, duration_s=12.4, stopped=words)
    return _with(evidence, replace(found, checks=found.checks[:4]))


def _with(evidence, found):
    return replace(evidence, suites={**evidence.suites, "load": found})
