import numpy as np
import pytest

from mlgate.evidence import Cause, Outcome
from mlgate.load.judgement import judge_memory
from mlgate.load.judgement.memory import growth_over
from mlgate.load.usage import UsageSeries

MIB = 2**20
RUNS = 800


def readings(memory, *, replaced=()):
    """Return a series with one reading of *memory* a second."""
    at_s = np.arange(float(len(memory)))
    none = np.full(len(memory), np.nan)
    return UsageSeries(
        at_s=at_s,
        memory=np.asarray(memory, float),
        server_cpu_s=none,
        throttled_s=none,
        host_busy_s=none,
        host_total_s=none,
        cores=2,
        cpus=1.0,
        replaced=replaced,
    )


def judge(memory, limit=10 * MIB, **more):
    return judge_memory(readings(memory, **more), limit_bytes=limit, duration_s=60.0, confidence=0.95)


def noise(rng, n, phi):
    """Return autoregressive noise of one standard deviation."""
    steps, values = rng.normal(size=n), np.empty(n)
    values[0] = steps[0]
    for index in range(1, n):
        values[index] = phi * values[index - 1] + np.sqrt(1 - phi**2) * steps[index]
    return values


STEADY = 500 * MIB + MIB * np.sin(np.arange(61))


@pytest.mark.parametrize(
    ("memory", "outcome"),
    [
        (STEADY, Outcome.PASSED),
        (STEADY + MIB * np.arange(61), Outcome.FAILED),
        (STEADY - MIB * np.arange(61), Outcome.PASSED),
        (STEADY + 10 * MIB / 60 * np.arange(61), Outcome.INCONCLUSIVE),
        (STEADY + np.where(np.arange(61) < 6, -200 * MIB, 0), Outcome.PASSED),
    ],
    ids=["steady", "leak", "shrinks", "at the limit", "warm-up"],
)
def test_memory_that_grows_fails(memory, outcome):
    """A leak of 1 MiB a second against 10 MiB a minute fails; what the first tenth fills is no leak."""
    finding = judge(memory)
    assert finding.outcome is outcome, finding.reason
    assert (finding.cause is None) == (outcome is Outcome.PASSED)
    assert finding.interval[0] <= finding.measured <= finding.interval[1]


def test_an_undecided_growth_says_how_long_a_run_would_decide():
    """The length is named, and longer than this one."""
    memory = STEADY + 7 * MIB * noise(np.random.default_rng(1), 61, 0.5)
    finding = judge(memory)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "a run of about" in finding.advice


@pytest.mark.parametrize("memory", [[], np.full(61, np.nan), STEADY[:15]])
def test_too_few_readings_decide_nothing(memory):
    """Without a counter the harness is to blame, in words."""
    finding = judge(memory)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.HARNESS)
    assert "memory" in finding.reason
    assert finding.advice


def test_nobody_who_looked_is_no_pass():
    finding = judge_memory(None, limit_bytes=1.0, duration_s=60.0, confidence=0.95)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.HARNESS)


def test_a_restarted_worker_is_named():
    """It fails though the memory that was left looks steady."""
    finding = judge(STEADY, replaced=("worker 'python serve' (pid 7) was replaced by pid 9",))
    assert (finding.outcome, finding.cause) == (Outcome.FAILED, Cause.MODEL)
    assert "restarted during the run: worker 'python serve' (pid 7)" in finding.reason


@pytest.mark.parametrize("kind", ["0.0", "0.5", "0.8", "0.9", "levels"])
def test_noise_that_remembers_is_no_growth(kind):
    """At zero growth the lower bound is above zero in at most 5 % of runs; the binomial interval reaches down to that."""
    rng, at_s = np.random.default_rng(7), np.linspace(6, 60, 55)
    false = 0
    for _ in range(RUNS):
        levels = 4.0 * (np.cumsum(rng.random(55) < 0.1) % 2)
        memory = levels + noise(rng, 55, 0.5) if kind == "levels" else noise(rng, 55, float(kind))
        false += growth_over(at_s, memory, duration_s=60.0, confidence=0.95).lower > 0
    assert false <= 0.05 * RUNS + 1.645 * np.sqrt(0.05 * 0.95 * RUNS)


def test_a_real_leak_is_found_in_noise():
    """A growth of ten standard deviations of the noise is seen in nine runs of ten."""
    rng, at_s = np.random.default_rng(8), np.linspace(6, 60, 55)
    leaks = [noise(rng, 55, 0.8) + 10 * at_s / 60 for _ in range(200)]
    found = sum(growth_over(at_s, memory, duration_s=60.0, confidence=0.95).lower > 0 for memory in leaks)
    assert found >= 170
