"""Each check of the cold start suite fails its mutant, and no other check of the suite does."""

import itertools
import time

import numpy as np

from tests.suites.conftest import POLICY, healthy
from tests.suites.test_schema_mutants import only


def test_a_server_that_is_ready_too_late_fails_the_ready_check_and_only_it(bench):
    """Ready after 20 s against a limit of 10; the first prediction may take a minute here."""
    policy = POLICY.replace("first_prediction: 10s", "first_prediction: 60s")
    assert only(bench(ready_s=20.0, policy=policy).outcomes("cold_start"), "cold_start.ready")


def test_a_slow_first_prediction_fails_its_check_and_only_it(bench):
    """Ready at once, but the first request loads what should have been loaded before."""

    def make():
        first = itertools.count()

        def predict(frame, params=None):
            if next(first) == 0:
                time.sleep(0.6)
            return healthy(frame)

        return predict

    policy = POLICY.replace("first_prediction: 10s", "first_prediction: 1500ms")
    assert only(bench(make=make, ready_s=1.0, policy=policy).outcomes("cold_start"), "cold_start.first_prediction")


def test_a_wrong_first_prediction_is_no_prediction(bench):
    """Answers quickly, but not what the warm server answers."""

    def make():
        first = itertools.count()
        return lambda frame, params=None: healthy(frame) * (0.5 if next(first) == 0 else 1.0)

    findings = bench(make=make).findings("cold_start")
    assert {str(found.outcome) for found in findings.values()} == {"failed"}
    assert "first prediction is wrong" in findings["cold_start.first_prediction"].reason


def test_a_server_that_starts_only_sometimes_fails(bench):
    """The third start raises: that is a failed start and not a missing measurement."""
    starts = itertools.count()

    def make():
        if next(starts) == 3:
            raise MemoryError("no room for the model")
        return healthy

    findings = bench(make=make).findings("cold_start")
    assert {str(found.outcome) for found in findings.values()} == {"failed"}
    assert "no room for the model" in findings["cold_start.ready"].reason


def test_every_repeat_is_measured(bench):
    """Five starts, five times in the evidence."""
    put = bench()
    found = put.findings("cold_start")["cold_start.first_prediction"]
    assert found.n == 5
    assert len(found.details["times_s"]) == 5
    assert found.interval == (min(found.details["times_s"]), max(found.details["times_s"]))
    assert np.isclose(found.confidence, 1 - 0.5**5)
