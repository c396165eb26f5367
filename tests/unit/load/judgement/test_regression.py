import numpy as np
import pytest

from mlgate.evidence import Cause, Outcome, canonical_digest
from mlgate.load.judgement import judge_regression
from mlgate.load.samples import ErrorKind, Samples
from tests.unit.load.judgement.runs import erring

RATE, PAIRS = 40, 20


def turns(rng, ratio, *, pairs=PAIRS, shared=0.3):
    """Return challenger and champion in blocks of one second, ABBA; what the host does to a pair meets both."""
    sends = np.arange(RATE * pairs * 2) / RATE
    block = np.floor(sends).astype(int)
    is_challenger = (block % 2 == 0) ^ ((block // 2) % 2 == 1)
    times = 20 * np.exp(rng.normal(0, 0.4, sends.size) + rng.normal(0, shared, pairs)[block // 2])
    samples = Samples.unsent(sends)
    samples.sent_s[:] = sends
    samples.done_s[:] = sends + np.where(is_challenger, ratio, 1.0) * times / 1000
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples.take(is_challenger), samples.take(~is_challenger)


def judge(sides, *, max_ratio=1.2, seed=0):
    return judge_regression(*sides, max_ratio=max_ratio, confidence=0.95, seed=seed)


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(1.0, Outcome.PASSED), (0.5, Outcome.PASSED), (1.6, Outcome.FAILED), (1.2, Outcome.INCONCLUSIVE)],
)
def test_the_ratio_of_p95_decides(ratio, outcome):
    """Within the limit by its upper bound, beyond it by its lower one."""
    finding = judge(turns(np.random.default_rng(1), ratio))
    assert finding.outcome is outcome, finding.reason
    assert finding.measured == pytest.approx(ratio, rel=0.15)
    assert finding.interval[0] <= finding.measured <= finding.interval[1]
    assert (finding.cause is None) == (outcome is Outcome.PASSED)
    assert canonical_digest([finding.details, finding.measured, finding.interval])


def test_an_undecided_ratio_says_how_many_requests_would_decide():
    finding = judge(turns(np.random.default_rng(2), 1.08, pairs=10))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "pairs of blocks) would decide" in finding.advice


def test_what_the_host_does_to_both_drops_out():
    """Ten pairs in which everything takes five times as long leave the bounds about as narrow."""
    calm, stormy = (judge(turns(np.random.default_rng(3), 1.0, shared=shared)) for shared in (0.0, 1.0))
    assert stormy.outcome is Outcome.PASSED or stormy.interval[1] < 2 * calm.interval[1]


def test_errors_take_for_ever():
    """A challenger that is fast but fails one request in ten has no p95; dropping them would pass it."""
    challenger, champion = turns(np.random.default_rng(4), 0.5)
    failing = erring(challenger, range(0, len(challenger), 10))
    assert judge((challenger, champion)).outcome is Outcome.FAILED
    assert judge((failing, champion)).details["errors"] == {"5xx": len(range(0, len(challenger), 10))}


def test_a_champion_without_good_answers_is_nothing_to_compare_with():
    """A dead champion makes no challenger look good."""
    challenger, champion = turns(np.random.default_rng(5), 1.0)
    finding = judge((challenger, erring(champion, range(0, len(champion), 10))))
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)


def test_too_few_pairs_decide_nothing():
    """Neither a run that is too short nor one without the champion passes."""
    short = turns(np.random.default_rng(6), 0.5, pairs=5)
    assert judge(short).outcome is Outcome.INCONCLUSIVE
    challenger, champion = turns(np.random.default_rng(6), 0.5)
    assert judge((challenger, champion.take(np.zeros(len(champion), bool)))).outcome is Outcome.INCONCLUSIVE


@pytest.mark.slow
def test_a_ratio_at_the_limit_passes_seldom():
    """Exactly the limit, with block effects that both share: passed, and failed, in about 5 % of runs (binomial interval)."""
    rng, runs = np.random.default_rng(10), 200
    outcomes = [judge(turns(rng, 1.2), seed=seed).outcome for seed in range(runs)]
    for outcome in (Outcome.PASSED, Outcome.FAILED):
        assert outcomes.count(outcome) <= 0.05 * runs + 1.645 * np.sqrt(0.05 * 0.95 * runs)
