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


FULL = POLICY.replace(
    "cold_start: {ready: 10s, first_prediction: 10s}",
    "cold_start: {ready: 10s, first_prediction: 60s, peak_memory: 200MiB, max_ratio_to_champion: 1.25}",
)
MIB = 2**20


def test_a_healthy_model_passes_every_check_beside_its_champion(bench):
    """Four checks, the champion's starts among them."""
    outcomes = bench(champion=healthy, policy=FULL).outcomes("cold_start")
    assert set(outcomes) == {
        f"cold_start.{name}" for name in ("ready", "first_prediction", "peak_memory", "regression")
    }
    assert set(outcomes.values()) == {"passed"}


def test_a_model_that_eats_memory_while_it_loads_fails_the_memory_check_and_only_it(bench):
    """It holds 300 MiB for a moment and gives them back: the peak is what a container is killed for."""

    def make_and_forget():
        eaten = bytearray(b"x") * (300 * MIB)  # touched, not only reserved
        del eaten
        return healthy

    put = bench(make=make_and_forget, champion=healthy, policy=FULL)
    findings = put.findings("cold_start")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "cold_start.peak_memory")
    assert findings["cold_start.peak_memory"].measured > 290 * MIB
    assert findings["cold_start.peak_memory"].details["held_after_bytes"]


def test_a_model_that_starts_slower_than_its_champion_fails_the_regression_and_only_it(bench):
    """Ready after 4 s where the champion takes 1 s, both far below the limit."""
    outcomes = bench(ready_s=4.0, champion=healthy, policy=FULL).outcomes("cold_start")
    assert only(outcomes, "cold_start.regression")


def test_a_champion_that_can_not_be_started_leaves_the_regression_open(bench):
    """Not passed, and the other checks are judged as without it."""
    put = bench(champion=healthy, policy=FULL)

    def broken():
        raise MemoryError("no room for the champion")

    put.champion.server._make = broken
    findings = put.findings("cold_start")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "cold_start.regression", "inconclusive")
    assert "no room for the champion" in findings["cold_start.regression"].reason


def test_a_champion_that_starts_only_sometimes_leaves_the_regression_open(bench):
    """Its second start of five fails."""
    put = bench(champion=healthy, policy=FULL)
    starts = itertools.count()

    def moody():
        if next(starts) == 2:  # after the warm one and the first
            raise MemoryError("no room for the champion")
        return healthy

    put.champion.server._make = moody
    findings = put.findings("cold_start")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "cold_start.regression", "inconclusive")
    assert findings["cold_start.regression"].n == 1


def test_a_counter_that_can_not_be_read_leaves_the_memory_check_open(bench):
    """The environment's fault, and no pass."""
    put = bench(policy=FULL)
    put.server.counts_memory = False
    findings = put.findings("cold_start")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "cold_start.peak_memory", "inconclusive")
    assert findings["cold_start.peak_memory"].cause == "environment"


def test_without_a_champion_nothing_is_compared(bench):
    """And nothing of it is expected."""
    assert "cold_start.regression" not in bench(policy=FULL).outcomes("cold_start")


def test_the_starts_of_both_alternate_and_so_does_who_begins(bench):
    """Neither side has the quieter half of the time."""
    put, order = bench(champion=healthy, policy=FULL), []

    def noting(name, make):
        def start():
            order.append(name)
            return make()

        return start

    put.server._make = noting("challenger", put.server._make)
    put.champion.server._make = noting("champion", put.champion.server._make)
    put.findings("cold_start")
    one, other = ["challenger", "champion"], ["champion", "challenger"]
    assert order == ["champion", *other, *one, *other, *one, *other]
