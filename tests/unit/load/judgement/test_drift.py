import numpy as np
import pytest

from mlgate.evidence import Cause, Outcome, canonical_digest
from mlgate.load.judgement import judge_drift
from mlgate.load.samples import ErrorKind
from tests.unit.load.judgement.runs import erring, run

RATE, SECONDS = 50.0, 60


def drifting(times, *, sends=None):
    """Return a run with these response times in ms."""
    samples = run(len(times), rate=RATE)
    if sends is not None:
        samples.intended_s[:] = samples.sent_s[:] = sends
    samples.done_s[:] = samples.intended_s + np.asarray(times) / 1000
    return samples


def noisy(rng, middle_ms, *, block=0.2):
    """Return response times around *middle_ms* whose seconds differ."""
    n = int(RATE * SECONDS)
    return middle_ms * np.exp(rng.normal(0, 0.3, n) + np.repeat(rng.normal(0, block, SECONDS), int(RATE)))


def judge(samples, *, floor_ms=2.0, max_ratio=2.0, seed=0):
    return judge_drift(samples, max_ratio=max_ratio, floor_ms=floor_ms, confidence=0.95, seed=seed)


GROWING = np.linspace(1, 6, int(RATE * SECONDS))


@pytest.mark.parametrize(
    ("middle_ms", "growth", "outcome"),
    [
        (20.0, 1.0, Outcome.PASSED),
        (20.0, GROWING, Outcome.FAILED),
        (0.2, GROWING, Outcome.PASSED),
        (20.0, 1 / GROWING, Outcome.PASSED),
        (20.0, np.linspace(1, 2.35, GROWING.size), Outcome.INCONCLUSIVE),
    ],
    ids=["steady", "slows down", "below what anybody notices", "speeds up", "at the limit"],
)
def test_the_last_third_is_held_against_the_first(middle_ms, growth, outcome):
    """Two times slower fails, but not where the difference is below the floor."""
    finding = judge(drifting(noisy(np.random.default_rng(3), middle_ms) * growth))
    assert finding.outcome is outcome, finding.reason
    assert (finding.cause is None) == (outcome is Outcome.PASSED)
    assert canonical_digest([finding.details, finding.measured, finding.interval])


def test_a_spike_between_does_no_harm_and_a_ramp_does_not_compare():
    """Seconds at another rate than usual are left out; a run without a usual rate decides nothing."""
    rng = np.random.default_rng(4)
    calm, spike = np.arange(3000) / 50, 25 + np.arange(3000) / 300
    sends = np.sort(np.concatenate([calm, spike]))
    slow = np.where((sends >= 25) & (sends < 35), 900.0, 20.0) * np.exp(rng.normal(0, 0.1, 6000))
    assert judge(drifting(slow, sends=sends)).outcome is Outcome.PASSED
    ramp = 60 * np.sqrt(np.arange(6000) / 6000)
    finding = judge(drifting(np.full(6000, 20.0), sends=ramp))
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.HARNESS)
    assert "do not compare" in finding.reason


def test_errors_at_the_end_are_a_drift_and_errors_at_the_start_no_pass():
    """An error took for ever; a first third of errors leaves nothing to compare with."""
    late = erring(drifting(noisy(np.random.default_rng(5), 20.0)), range(1900, 3000))
    assert judge(late).outcome is Outcome.FAILED
    early = erring(drifting(noisy(np.random.default_rng(5), 20.0)), range(1000), code=ErrorKind.TIMEOUT, status=0)
    assert judge(early).outcome is Outcome.INCONCLUSIVE


def test_the_same_seed_gives_the_same_bounds():
    samples = drifting(noisy(np.random.default_rng(6), 20.0))
    assert judge(samples, seed=1).interval == judge(samples, seed=1).interval
    assert judge(samples, seed=1).interval != judge(samples, seed=2).interval


@pytest.mark.slow
def test_a_drift_at_the_limit_passes_and_fails_seldom():
    """Exactly twice as slow in the last third: either is wrong in about 5 % of runs (binomial interval)."""
    rng, runs = np.random.default_rng(9), 200
    outcomes = []
    for seed in range(runs):
        times = noisy(rng, 20.0)
        times[2000:] *= 2
        outcomes.append(judge(drifting(times), seed=seed).outcome)
    for outcome in (Outcome.PASSED, Outcome.FAILED):
        assert outcomes.count(outcome) <= 0.05 * runs + 1.645 * np.sqrt(0.05 * 0.95 * runs)
    assert outcomes.count(Outcome.INCONCLUSIVE) < runs
