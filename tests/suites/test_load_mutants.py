"""Each check of the load suite fails its mutant, and no other check of the suite does."""

import itertools
import time

import numpy as np

from tests.suites.conftest import POLICY, healthy
from tests.suites.test_schema_mutants import only

# One-row requests come in turn, so a counter picks an exact share of them.


def every(n, do):
    """Return a model that calls `do(answer)` on every n-th request."""
    counter = itertools.count()

    def predict(frame, params=None):
        answer = healthy(frame)
        return do(answer) if next(counter) % n == 0 else answer

    return predict


def slow(seconds):
    """Return a transformation that takes its time."""

    def wait(answer):
        time.sleep(seconds)
        return answer

    return wait


LIMITS = "p95: 600ms, p99: 900ms"


def test_a_slow_model_fails_the_p95_check_and_only_it(bench):
    """A quarter of the requests takes long; no p99 is asked for, the rate is low."""
    policy = POLICY.replace("rate: 100/s, duration: 3500ms", "rate: 20/s, duration: 15s").replace(LIMITS, "p95: 150ms")
    assert only(bench(every(4, slow(0.2)), policy=policy).outcomes("load"), "load.p95_latency")


def test_a_slow_tail_fails_the_p99_check_and_only_it(bench):
    """Three in a hundred are slow: within what p95 allows, three times what p99 allows."""
    policy = POLICY.replace("rate: 100/s, duration: 3500ms", "rate: 40/s, duration: 10s")
    policy = policy.replace(LIMITS, "p95: 500ms, p99: 500ms")
    outcomes = bench(every(33, slow(0.8)), policy=policy).outcomes("load")
    assert outcomes["load.p99_latency"] == "failed"
    assert outcomes["load.error_rate"] == outcomes["load.rate"] == "passed"


def test_a_model_with_some_bad_answers_fails_the_error_rate_check_and_only_it(bench):
    """NaN in four of a hundred answers: 200 each, and errors all the same. Within what p95 allows, no p99 asked for."""
    policy = POLICY.replace("rate: 100/s, duration: 3500ms", "rate: 100/s, duration: 6s").replace(LIMITS, "p95: 900ms")
    outcomes = bench(every(33, lambda answer: np.full_like(answer, np.nan)), policy=policy).outcomes("load")
    assert outcomes["load.error_rate"] == "failed"
    assert outcomes["load.rate"] == "passed"


def test_a_model_that_can_not_carry_the_rate_fails_the_rate_check(bench):
    """Two threads at 50 ms carry 40/s; 100/s are offered, and the backlog grows."""
    outcomes = bench(every(1, slow(0.05))).outcomes("load")
    assert outcomes["load.rate"] == "failed"


def test_raw_samples_are_kept(bench):
    """Whoever doubts a percentile can compute it again."""
    put = bench()
    put.findings("load")
    assert (put.output / "load" / "samples.npz").stat().st_size > 0
