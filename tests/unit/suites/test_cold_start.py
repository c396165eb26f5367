"""Judging cold starts: a claim on the median, with three outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evidence import Cause, Outcome
from mlgate_suites.cold_start import ColdStarts, judge_times


def starts(times=(), **changes):
    """Repeated starts."""
    facts = {
        "ready_s": tuple(times),
        "first_prediction_s": tuple(times),
        "phases": {"python": 0.5, "model": 3.0, "ready": 3.5},
    }
    return ColdStarts(**{**facts, **changes})


def judged(times, limit_s=10.0, **changes):
    """The finding on these times."""
    return judge_times(starts(times, **changes), tuple(times), limit_s=limit_s, what="ready")


@pytest.mark.parametrize(
    ("times", "outcome"),
    [
        ([1, 2, 3, 4, 5], Outcome.PASSED),
        ([1, 2, 3, 4, 10], Outcome.PASSED),
        ([1, 2, 3, 4, 10.001], Outcome.INCONCLUSIVE),
        ([10, 11, 12, 13, 14], Outcome.INCONCLUSIVE),
        ([10.001, 11, 12, 13, 14], Outcome.FAILED),
    ],
)
def test_the_slowest_passes_the_fastest_fails_and_between_nothing_is_said(times, outcome):
    """At the limit itself a start is within it."""
    finding = judged(times)
    assert finding.outcome is outcome
    assert (finding.cause is None) is (outcome is Outcome.PASSED)
    assert (finding.limit, finding.unit, finding.n) == (10.0, "s", 5)
    assert finding.interval == (min(times), max(times))
    assert bool(finding.advice) is (outcome is not Outcome.PASSED)


@pytest.mark.parametrize(("repeats", "confidence"), [(5, 0.96875), (6, 0.984375), (10, 1 - 0.5**10)])
def test_the_confidence_is_that_of_the_slowest_of_n_on_the_median(repeats, confidence):
    """1 - 0.5^n: 96.9 % from five."""
    assert judged([1.0] * repeats).confidence == pytest.approx(confidence)


def test_the_measured_value_is_the_median():
    """Also of an even number of starts, where it lies between two."""
    assert judged([5, 1, 4, 2, 3]).measured == 3
    assert judged([6, 1, 4, 2, 3, 5]).measured == 3.5


def test_a_failure_names_the_phase_that_took_longest():
    """Phases are seconds from the start: each lasts since the one before."""
    assert judged([20.0] * 5).advice == "most of it is model (2.5 s)"
    assert "log" in judged([20.0] * 5, phases={}).advice


def test_a_start_that_did_not_end_in_a_prediction_fails_whatever_the_others_took():
    """With the number of the start and the server's last lines."""
    finding = judged([1.0, 1.1], problem="exited with status 1", log="ImportError: statsmodels")
    assert (finding.outcome, finding.cause) == (Outcome.FAILED, Cause.MODEL)
    assert finding.reason == "start 3 of a fresh server: exited with status 1"
    assert finding.details["log"] == "ImportError: statsmodels"
    assert judged([], problem="exited").reason.startswith("start 1 ")


def test_no_start_is_no_pass():
    """Nothing was measured."""
    finding = judged([])
    assert (finding.outcome, finding.cause, finding.n) == (Outcome.INCONCLUSIVE, Cause.HARNESS, 0)


@given(st.lists(st.floats(0.001, 100), min_size=5, max_size=12), st.floats(0.001, 100))
def test_the_order_of_the_starts_does_not_matter_and_a_higher_limit_never_hurts(times, limit):
    """Passed stays passed."""
    order = {Outcome.FAILED: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASSED: 2}
    finding = judged(times, limit)
    assert judged(times[::-1], limit).outcome is finding.outcome
    assert order[judged(times, limit * 1.5).outcome] >= order[finding.outcome]
    assert finding.interval[0] <= finding.measured <= finding.interval[1]
