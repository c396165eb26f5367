import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlgate.evidence import Cause, Outcome, canonical_digest
from mlgate.load import tally
from mlgate.load.judgement import Bounds, judge_error_rate, judge_percentile, judge_rate
from mlgate.load.judgement.bounds import _burst_effects
from mlgate.load.samples import ErrorKind
from mlgate.statistics.proportions import design_effect
from mlgate.statistics.quantiles import quantile_interval
from mlgate.statistics.shares import requests_needed
from tests.unit.load.judgement.runs import erring, run, spread

PASSED, FAILED, INCONCLUSIVE = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


# The least n with P(binomial(n, 1 %) <= k) <= 5 %, by scipy.stats.binom: 299, 1 049, 2 902, 6 323 for k = 0, 5, 20, 50.
@pytest.mark.parametrize(
    ("n", "q", "over", "outcome"),
    [
        (299, 0.99, 0, PASSED),
        (298, 0.99, 0, INCONCLUSIVE),
        (1049, 0.99, 5, PASSED),
        (1048, 0.99, 5, INCONCLUSIVE),
        (2902, 0.99, 20, PASSED),
        (2901, 0.99, 20, INCONCLUSIVE),
        (6323, 0.99, 50, PASSED),
        (6322, 0.99, 50, INCONCLUSIVE),
        (6000, 0.99, 47, PASSED),
        (6000, 0.99, 48, INCONCLUSIVE),
        (6000, 0.99, 60, INCONCLUSIVE),
        (6000, 0.99, 90, FAILED),
        (600, 0.95, 20, PASSED),
        (600, 0.95, 22, INCONCLUSIVE),
        (600, 0.95, 45, FAILED),
        (1, 0.95, 1, INCONCLUSIVE),
    ],
)
def test_the_share_over_the_limit_decides(n, q, over, outcome):
    """Up to the allowed number passes, one more does not, and far more fails."""
    finding = judge_percentile(run(n, over=spread(over, n)), q=q, limit_ms=250, confidence=0.95)
    assert finding.outcome is outcome
    assert finding.n == n
    assert (finding.cause is None) == (outcome is PASSED)
    assert finding.details["violations"] == over


@given(st.integers(20, 3000), st.sampled_from([0.9, 0.95, 0.99]), st.data())
@settings(max_examples=50, deadline=None)
def test_the_decision_is_the_exact_binomial_test(n, q, data):
    """Without bursts: passed iff that few are improbable at the limit, failed iff that many are (scipy's binomtest)."""
    over = data.draw(st.integers(0, min(n, round(3 * (1 - q) * n) + 2)))
    # All in one block, so that no design effect can be computed.
    bounds = Bounds.of(np.arange(n) < over, np.zeros(n), limit_share=1 - q, confidence=0.95)
    few = stats.binomtest(over, n, 1 - q, alternative="less").pvalue <= 0.05
    many = stats.binomtest(over, n, 1 - q, alternative="greater").pvalue < 0.05
    assert bounds.outcome is (PASSED if few else FAILED if many else INCONCLUSIVE)


def test_the_reason_says_how_many_may_and_how_many_did():
    """A person reads the limit, the number allowed, the confidence and the number seen."""
    finding = judge_percentile(run(6000, over=spread(12, 6000)), q=0.99, limit_ms=250, confidence=0.95)
    assert finding.reason == "p99 ≤ 250 ms: 47 of 6 000 may exceed at 95 % confidence; 12 did; p99 is 10.0 ms"
    assert finding.details["allowed"] == 47
    assert finding.details["n_eff"] == 6000
    assert finding.details["design_effect"] == 1


def test_the_interval_is_that_of_the_order_statistics():
    """Measured and bounds agree with the independent implementation in mlgate.statistics, and with the decision."""
    times = np.random.default_rng(3).lognormal(4, 0.5, 6000)
    expected = quantile_interval(times, 0.99, 0.95)
    finding = judge_percentile(run(6000, response_ms=times), q=0.99, limit_ms=expected.upper * 1.0001, confidence=0.95)
    assert finding.details["design_effect"] == 1
    assert finding.interval == pytest.approx((expected.lower, expected.upper))
    assert finding.measured == pytest.approx(expected.estimate, rel=0.02)
    assert finding.outcome is PASSED
    below = judge_percentile(run(6000, response_ms=times), q=0.99, limit_ms=expected.upper * 0.9999, confidence=0.95)
    assert below.outcome is INCONCLUSIVE


def test_a_burst_says_less_than_as_many_scattered_requests():
    """40 slow requests over the whole minute pass; 40 within one second are one event, and not enough to say."""
    scattered = judge_percentile(run(6000, over=spread(40, 6000)), q=0.99, limit_ms=250, confidence=0.95)
    burst = judge_percentile(run(6000, over=range(3000, 3040)), q=0.99, limit_ms=250, confidence=0.95)
    assert scattered.outcome is PASSED
    assert burst.outcome is INCONCLUSIVE
    assert burst.details["design_effect"] > 30
    assert "in bursts" in burst.reason


def test_a_burst_is_not_diluted_by_more_violations():
    """13 in one second are not enough to say; five more elsewhere would lower the design effect, and still do not pass."""
    burst = list(range(3000, 3013))
    for over in (burst, [*burst, 0, 1000, 2000, 4000, 5000]):
        finding = judge_percentile(run(6000, over=over), q=0.99, limit_ms=250, confidence=0.95)
        assert finding.outcome is INCONCLUSIVE


@given(st.lists(st.integers(0, 8), min_size=2, max_size=20), st.integers(8, 30))
def test_the_effect_of_a_burst_is_the_design_effect_of_its_violations_alone(counts, size):
    """The effects of all prefixes at once equal the one-by-one computation."""
    ordered = np.sort(np.array(counts, float))[::-1]
    blocks = np.repeat(np.arange(len(counts)), size)
    for j, effect in enumerate(_burst_effects(ordered, np.full(len(counts), size)), start=1):
        alone = np.concatenate([np.arange(size) < (count if i < j else 0) for i, count in enumerate(ordered)])
        assert effect == pytest.approx(design_effect(alone, blocks))


@given(
    blocks=st.integers(2, 25),
    size=st.integers(5, 40),
    share=st.sampled_from([0.01, 0.05, 0.1]),
    data=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_another_violation_never_turns_a_refusal_into_a_pass(blocks, size, share, data):
    """Whatever the bursts: one more request over the limit leaves a run that did not pass not passed."""
    n = blocks * size
    intended_s = np.repeat(np.arange(blocks), size) + np.tile(np.arange(size) / size, blocks)
    violating = np.zeros(n, bool)
    violating[data.draw(st.lists(st.integers(0, n - 1), max_size=int(n * share) + 2))] = True
    start, length = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, size))
    violating[start : start + length] = True
    before = Bounds.of(violating, intended_s, limit_share=share, confidence=0.95).outcome
    violating[data.draw(st.integers(0, n - 1))] = True
    after = Bounds.of(violating, intended_s, limit_share=share, confidence=0.95).outcome
    assert before is PASSED or after is not PASSED


def test_an_error_counts_as_over_every_limit():
    """180 fast answers of 500 among 6 000 fail a p99, and the percentile has no value among them."""
    samples = erring(run(6000), spread(180, 6000))
    finding = judge_percentile(samples, q=0.99, limit_ms=250, confidence=0.95)
    assert finding.outcome is FAILED
    assert finding.measured is None
    assert finding.interval is None
    assert finding.cause is Cause.MODEL
    assert "180 of them without a good answer" in finding.reason


def test_too_few_requests_name_the_number_needed():
    """100 clean requests can not claim a p99; 299 can, and the advice says so."""
    finding = judge_percentile(run(100), q=0.99, limit_ms=250, confidence=0.95)
    assert finding.outcome is INCONCLUSIVE
    assert finding.cause is Cause.HARNESS
    assert finding.advice.startswith("about 299 requests would pass")
    assert requests_needed(0.01, 0.95) == 299


def test_needed_requests_would_pass():
    """At the advised n and the same share of violations the exact test is at its 5 %, give or take a whole violation."""
    bounds = Bounds.of(np.arange(600) % 150 == 0, np.arange(600) / 100, limit_share=0.01, confidence=0.95)
    assert bounds.outcome is INCONCLUSIVE
    needed = bounds.requests_needed
    share = bounds.violations / bounds.n
    assert stats.binomtest(round(share * needed), needed, 0.01, alternative="less").pvalue == pytest.approx(
        0.05, abs=0.01
    )
    hopeless = Bounds.of(np.arange(600) % 90 == 0, np.arange(600) / 100, limit_share=0.01, confidence=0.95)
    assert hopeless.requests_needed is None


def test_the_findings_fit_into_evidence():
    """Findings with infinities, histograms and numpy numbers are canonical JSON."""
    samples = erring(run(600), [1, 2, 3], code=ErrorKind.CONNECTION, status=0)
    samples.done_s[1] = np.nan
    for finding in (
        judge_percentile(samples, q=0.99, limit_ms=250, confidence=0.95),
        judge_percentile(erring(run(5), range(5), status=0), q=0.99, limit_ms=250, confidence=0.95),
        judge_error_rate(samples, limit_share=0.05, confidence=0.95),
        judge_rate(samples, rate=100),
    ):
        assert canonical_digest([finding.details, finding.measured, finding.interval])


@pytest.mark.parametrize(
    ("n", "errors", "outcome"),
    [(598, 0, PASSED), (597, 0, INCONCLUSIVE), (6000, 20, PASSED), (6000, 30, INCONCLUSIVE), (6000, 60, FAILED)],
)
def test_the_error_rate_is_judged_by_its_bound(n, errors, outcome):
    """0.5 % needs 598 clean requests at 95 %; twice the limit fails."""
    finding = judge_error_rate(erring(run(n), spread(errors, n)), limit_share=0.005, confidence=0.95)
    assert finding.outcome is outcome
    assert finding.measured == pytest.approx(errors / n)
    assert finding.interval[0] <= finding.measured <= finding.interval[1]
    assert finding.unit == "share"


def test_who_erred_is_said():
    """Answers of 500 are the model's; connections that break are the server's."""
    by_model = judge_error_rate(erring(run(600), range(60)), limit_share=0.01, confidence=0.95)
    by_server = judge_error_rate(
        erring(run(600), range(60), code=ErrorKind.CONNECTION, status=0), limit_share=0.01, confidence=0.95
    )
    assert (by_model.cause, by_server.cause) == (Cause.MODEL, Cause.SERVER)
    assert by_model.details["statuses"] == {"500": 60}
    assert by_server.details["errors"] == {"connection": 60}


def test_what_counts_as_an_error_can_be_said():
    """With a classifier of its own a suite may count, say, only status 503."""
    samples = erring(erring(run(600), range(60)), range(60, 63), status=503)
    finding = judge_error_rate(samples, limit_share=0.05, confidence=0.95, classify=lambda these: these.status == 503)
    assert finding.outcome is PASSED
    assert finding.measured == pytest.approx(3 / 600)


@pytest.mark.parametrize("judge", ["percentile", "error_rate", "rate"])
def test_a_run_without_samples_never_passes(judge):
    """Nothing measured is errored."""
    empty = run(0)
    finding = {
        "percentile": lambda: judge_percentile(empty, q=0.99, limit_ms=250, confidence=0.95),
        "error_rate": lambda: judge_error_rate(empty, limit_share=0.01, confidence=0.95),
        "rate": lambda: judge_rate(empty, rate=100),
    }[judge]()
    assert finding.outcome is Outcome.ERRORED
    assert finding.cause is Cause.HARNESS


def test_errors_are_told_by_kind():
    """In words and in the details, the most frequent first."""
    samples = erring(erring(run(600), range(60)), range(60, 63), code=ErrorKind.TIMEOUT, status=0)
    finding = judge_error_rate(samples, limit_share=0.01, confidence=0.95)
    assert "63 did (60 x 5xx, 3 x timeout)" in finding.reason
    assert finding.details["errors"] == {"5xx": 60, "timeout": 3}


def test_a_long_run_is_judged_alike_from_a_histogram(monkeypatch):
    """Beyond the threshold the quantiles are within 0.1 %, and every count is the same."""
    times = np.random.default_rng(5).lognormal(4, 0.7, 20_000)
    samples = erring(run(20_000, response_ms=times), spread(37, 20_000))
    exact = judge_percentile(samples, q=0.99, limit_ms=290, confidence=0.95)
    errors = judge_error_rate(samples, limit_share=0.005, confidence=0.95)
    monkeypatch.setattr(tally, "EXACT_UP_TO", 1_000)
    monkeypatch.setattr(tally, "CHUNK", 3_001)
    recorded = judge_percentile(samples, q=0.99, limit_ms=290, confidence=0.95)
    counted = ("allowed", "violations", "n_eff", "design_effect", "errors")
    assert [recorded.details[name] for name in counted] == [exact.details[name] for name in counted]
    assert recorded.outcome is exact.outcome
    assert recorded.measured == pytest.approx(exact.measured, rel=1e-3)
    assert recorded.measured != exact.measured
    assert recorded.interval == pytest.approx(exact.interval, rel=1e-3)
    for name in ("response_ms", "service_ms"):
        assert recorded.details[name] == pytest.approx(exact.details[name], rel=1e-3)
    assert sum(recorded.details["histogram"]["counts"]) == sum(exact.details["histogram"]["counts"])
    assert judge_error_rate(samples, limit_share=0.005, confidence=0.95) == errors


@given(st.lists(st.integers(0, 8), min_size=1, max_size=20), st.integers(8, 30))
def test_bounds_need_only_what_each_second_holds(counts, size):
    """From counts per block as from the requests one by one."""
    violating = np.concatenate([np.arange(size) < count for count in counts])
    sends = np.repeat(np.arange(len(counts)), size) + np.tile(np.arange(size) / size, len(counts))
    limits = {"limit_share": 0.05, "confidence": 0.95}
    of_blocks = Bounds.of_blocks(np.full(len(counts), size), np.array(counts), **limits)
    assert of_blocks == Bounds.of(violating, sends, **limits)
