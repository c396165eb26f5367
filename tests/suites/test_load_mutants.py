"""Each check of the load suite fails its mutant, and no other check of the suite does; a healthy model passes all."""

import itertools
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from mlgate.evidence import Cause
from tests.suites.conftest import benches, healthy
from tests.suites.misbehaving import answering
from tests.suites.under_load import every, fails_alone, hanging, policy_of, taking

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("quiet_host")]

# Limits of a second leave the generator 100 ms: a busy host with two cores keeps to that.
FAST = "rate: 100/s, duration: 3500ms, p95: 1s"
# Predictions that are asked for before the load: 20 bodies twice, and the generator's warm-up.
AT_REST = 43


# Fifteen seconds are the fewest that show a drift; a policy wants more of them before it asks for these checks itself.
LONG = "rate: 40/s, duration: 15s, p95: 1s, p99: 1s"


def findings_of(put):
    """Run what the policy asks for, and what only a longer run shows."""
    asked = put.policy.expected_checks(champion=False)["load"]
    return put.findings("load", *dict.fromkeys([*asked, "load.memory", "load.drift"]))


@pytest.fixture(scope="module")
def fit(signature, data, tmp_path_factory):
    """One run of a healthy model that is long enough for every check: its findings, and the folder of its files."""
    folder = tmp_path_factory.mktemp("fit")
    with benches(signature, data, folder) as put:
        yield findings_of(put(policy=policy_of(LONG))), folder / "load"


@pytest.mark.slow
def test_a_healthy_model_passes_every_check(fit):
    """Latency, errors, rate, and what only a longer run shows."""
    findings, _ = fit
    names = ("p95_latency", "p99_latency", "error_rate", "rate", "memory", "drift")
    assert {key: str(found.outcome) for key, found in findings.items()} == {
        f"load.{name}": "passed" for name in names
    }, findings


def test_raw_samples_are_kept(fit):
    """Whoever doubts a percentile can compute it again: the samples of the model alone, and not of the calibration."""
    findings, folder = fit
    table = pq.read_table(folder / "samples.parquet").to_pydict()
    response_ms = (np.array(table["done_s"]) - np.array(table["intended_s"])) * 1000
    assert len(response_ms) == 600
    p95 = findings["load.p95_latency"]
    assert p95.measured == pytest.approx(np.quantile(response_ms, 0.95, method="inverted_cdf"), abs=0.1)
    assert (folder / "locust.html").stat().st_size > 0


def test_the_evidence_holds_what_the_report_draws(fit):
    """Over time, the percentile curve, how the generator did and what the calibration found."""
    details = fit[0]["load.rate"].details
    assert {"over_time", "percentile_curve", "generator"} <= details.keys()
    assert details["generator"]["calibration"]["n"] >= 100
    assert details["generator"]["dropped"] == 0


def test_a_slow_model_fails_the_p95_check_and_only_it(bench, few):
    """One in five takes two seconds more; no p99 is asked for."""
    app = taking(lambda call: 2.0 if call % 5 == 0 and call > AT_REST else 0.0)
    findings = bench(app=app, data=few, policy=policy_of(FAST)).findings("load")
    assert fails_alone(findings, "load.p95_latency"), findings


def test_a_slow_tail_fails_the_p99_check_and_only_it(bench, few):
    """One in forty is slow, two and a half times what p99 allows: 15 of 600, where p95 bears 20."""
    app = taking(lambda call: 2.0 if call % 40 == 0 and call > AT_REST else 0.0)
    policy = policy_of("rate: 100/s, duration: 6s, p95: 1s, p99: 1s")
    findings = bench(app=app, data=few, policy=policy).findings("load")
    assert fails_alone(findings, "load.p99_latency"), findings


def test_a_model_with_some_bad_answers_fails_the_error_rate_check_and_only_it(bench):
    """NaN, a 500, a 200 with an error inside, each one in thirty: each is an error, and counted as its kind."""
    nan, dead, lying = every(30), every(30), every(30)

    def predict(frame, params=None):
        return np.full(len(frame), np.nan) if nan() else healthy(frame)

    def app(inner):
        denying = answering(lying, body=b'{"error": "the feature store is down"}')(inner)
        return answering(dead, status=500, body=b'{"error_code": "INTERNAL_ERROR"}')(denying)

    findings = bench(predict, app=app, policy=policy_of(FAST)).findings("load")
    assert fails_alone(findings, "load.error_rate"), findings
    assert findings["load.error_rate"].details["errors"].keys() == {"not_finite", "5xx", "invalid_body"}


class Careless:
    """Keeps what it is asked where every thread can see it, and every 40th time is slow to look at it again."""

    def __init__(self):
        self.calls = itertools.count(1)
        self.frame = None

    def __call__(self, frame, params=None):
        self.frame = frame
        if next(self.calls) % 40 == 0:
            time.sleep(0.05)
        return healthy(self.frame)


def test_a_run_in_which_no_answer_could_be_compared_says_so(bench, few):
    """A model that never says the same twice: a pass that compared nothing looks like one that compared all."""
    rng = np.random.default_rng(0)
    policy = policy_of("rate: 60/s, duration: 6s, p95: 2s")
    put = bench(lambda frame, params=None: healthy(frame) + rng.normal(size=len(frame)), policy=policy)
    found = put.findings("load", "load.error_rate")["load.error_rate"]
    assert found.details["compared_bodies"] == 0
    assert "no answer was compared" in found.reason
    compared = bench(healthy, policy=policy).findings("load", "load.error_rate")["load.error_rate"]
    assert compared.details["compared_bodies"] > 0
    assert "compared" not in compared.reason


def test_a_model_that_is_wrong_where_requests_overlap_fails_the_error_rate_check_and_only_it(bench, few):
    """It answers with 200 and another request's prediction; asked by itself, it is right."""
    policy = policy_of("rate: 100/s, duration: 6s, p95: 1s")
    findings = bench(make=Careless, data=few, policy=policy).findings("load")
    assert fails_alone(findings, "load.error_rate"), findings
    found = findings["load.error_rate"]
    assert [*found.details["errors"]] == ["wrong_answer"]
    assert found.details["wrong_answer"]["at_rest"] != found.details["wrong_answer"]["under_load"]


@pytest.mark.slow
def test_a_model_that_can_not_carry_the_rate_fails_the_rate_check_and_only_it(bench, few):
    """It carries 40/s at most, 75/s are offered, and the limits are so wide that the backlog stays within them."""
    door = threading.Semaphore(2)

    def predict(frame, params=None):
        with door:
            time.sleep(0.05)
        return healthy(frame)

    policy = policy_of("rate: 75/s, duration: 4s, p95: 12s, p99: 12s", patience="15s")
    findings = bench(predict, data=few, policy=policy).findings("load")
    assert fails_alone(findings, "load.rate"), findings
    assert findings["load.rate"].measured < 45


def test_a_model_that_keeps_what_it_is_asked_fails_the_memory_check_and_only_it(bench):
    """25 MiB a second, where 16 MiB in all are allowed. The check is asked for by name: a policy does so in longer runs."""
    kept = []

    def predict(frame, params=None):
        kept.append(b"x" * (256 << 10))
        return healthy(frame)

    put = bench(predict, policy=policy_of("rate: 100/s, duration: 4s, p95: 1s, max_memory_growth: 16MiB"))
    findings = put.findings("load", *put.policy.expected_checks(champion=False)["load"], "load.memory")
    assert fails_alone(findings, "load.memory"), findings
    assert findings["load.memory"].measured > 50 << 20


@pytest.mark.slow
def test_a_model_that_slows_down_fails_the_drift_check_and_only_it(bench, few):
    """Four times as slow from the end of the first third on, and within its limits all the time."""
    app = taking(lambda call: 0.0 if call < AT_REST else 0.1 if call < AT_REST + 180 else 0.4)
    findings = findings_of(bench(app=app, data=few, policy=policy_of(LONG)))
    assert fails_alone(findings, "load.drift"), findings
    assert findings["load.drift"].measured > 2.5


def test_a_model_that_hangs_is_failed_long_before_the_end(bench):
    """Of a minute's requests a few seconds' are sent; nothing is passed that the whole minute was not seen of."""
    policy = policy_of("rate: 20/s, duration: 60s, p95: 500ms", patience="1s")
    findings = bench(app=hanging(), policy=policy, timeout_s=1.0).findings("load")
    (failed,) = [key for key, found in findings.items() if found.outcome == "failed"]
    assert fails_alone(findings, failed), findings
    found = findings[failed]
    assert found.details["planned_n"] == 1200
    assert found.n < 1200 / 5
    assert found.cause is Cause.SERVER
    assert {key for key, other in findings.items() if other.outcome == "inconclusive"} == findings.keys() - {failed}
