"""Judging cold starts: a claim on the median, with three outcomes."""

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.cold_start.judgement import ColdStarts, Start, judge_peak_memory, judge_regression, judge_times
from mlgate.cold_start.timeline import Timeline
from mlgate.evidence import Cause, Outcome
from mlgate.sandbox.interface import MemoryUse

PHASES = {"interpreter": 0.5, "load": 3.0, "ready": 3.5}
MIB = 2**20


def starts(times=(), phases=PHASES, peaks=None, facts=MappingProxyType({}), **changes):
    """Repeated starts."""
    made = [
        Start(
            ready_s=time,
            first_prediction_s=time,
            timeline=Timeline(phases=phases),
            memory=None if peak is None else MemoryUse(peak=peak, now={"anon": peak // 2}, counted="all of it"),
            **facts,
        )
        for time, peak in zip(times, peaks or [None] * len(times), strict=True)
    ]
    return ColdStarts(starts=tuple(made), **changes)


def judged(times, limit_s=10.0, **changes):
    """The finding on these times."""
    return judge_times(starts(times, **changes), of="ready_s", limit_s=limit_s, what="ready")


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
    assert judged([20.0] * 5).advice == "the slowest part is model load 71 % (2.5 s)"
    assert "log" in judged([20.0] * 5, phases={}).advice


def test_a_start_that_did_not_end_in_a_prediction_fails_whatever_the_others_took():
    """With the number of the start and the server's last lines."""
    finding = judged([1.0, 1.1], problem="exited with status 1", log="ImportError: statsmodels")
    assert (finding.outcome, finding.cause) == (Outcome.FAILED, Cause.MODEL)
    assert finding.reason == "start 3 of a fresh server: exited with status 1"
    assert finding.details["log"] == "ImportError: statsmodels"
    assert judged([], problem="exited").reason.startswith("start 1 ")


def test_a_failed_start_fails_every_judgement_with_what_became_of_the_server():
    """None of them passes on the starts before it."""
    broken = starts([1.0] * 4, peaks=[MIB] * 4, problem="over the limit", kind="oom", log="Killed")
    for finding in (
        judge_times(broken, of="ready_s", limit_s=10, what="ready"),
        judge_peak_memory(broken, limit=2 * MIB),
        judge_regression(broken, starts([1.0] * 5), max_ratio=2.0),
    ):
        assert finding.outcome is Outcome.FAILED
        assert finding.details["kind"] == "oom"
        assert finding.details["log"] == "Killed"


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


# --- peak memory


def test_the_largest_peak_is_judged_and_what_is_in_it_is_said():
    """At the limit itself it passes; one start over it fails."""
    peaks = [100 * MIB, 120 * MIB, 110 * MIB, 100 * MIB, 90 * MIB]
    within = judge_peak_memory(starts([1.0] * 5, peaks=peaks), limit=120 * MIB)
    assert (within.outcome, within.measured, within.unit) == (Outcome.PASSED, 120 * MIB, "bytes")
    assert within.details["counted"] == "all of it"
    assert within.details["held_after_bytes"] == {"anon": 60 * MIB}
    over = judge_peak_memory(starts([1.0] * 5, peaks=peaks), limit=120 * MIB - 1)
    assert (over.outcome, over.cause) == (Outcome.FAILED, Cause.MODEL)
    assert "60 MiB" in over.advice


def test_a_counter_that_can_not_be_read_is_no_pass_and_no_failure_of_the_model():
    """Also where it could be read after the other starts."""
    finding = judge_peak_memory(starts([1.0] * 5, peaks=[MIB] * 4 + [None]), limit=10 * MIB)
    assert (finding.outcome, finding.cause) == (Outcome.INCONCLUSIVE, Cause.ENVIRONMENT)
    assert "1 of 5" in finding.reason


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=9), st.integers(1, 10**9))
def test_a_peak_passes_exactly_where_every_start_is_within(peaks, limit):
    """Whatever their order."""
    finding = judge_peak_memory(starts([1.0] * len(peaks), peaks=peaks), limit=limit)
    assert (finding.outcome is Outcome.PASSED) is all(peak <= limit for peak in peaks)


# --- against the champion


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([2.0] * 5, [2.0] * 5, Outcome.PASSED),
        ([2.5] * 5, [2.0] * 5, Outcome.PASSED),
        ([2.0, 2.0, 2.0, 2.0, 2.6], [2.0] * 5, Outcome.INCONCLUSIVE),
        ([3.0, 3.0, 3.0, 3.0, 2.5], [2.0] * 5, Outcome.INCONCLUSIVE),
        ([3.0] * 5, [2.0] * 5, Outcome.FAILED),
        # Both sides of a pair share the machine's mood: here it doubles for one round.
        ([2.0, 4.0, 2.0, 2.0, 2.0], [2.0, 4.0, 2.0, 2.0, 2.0], Outcome.PASSED),
    ],
)
def test_starts_are_compared_pair_by_pair(ours, theirs, outcome):
    """The largest ratio within the limit passes, the smallest beyond it fails."""
    finding = judge_regression(starts(ours), starts(theirs), max_ratio=1.25)
    assert finding.outcome is outcome
    assert (finding.limit, finding.n) == (1.25, 5)
    assert finding.interval[0] <= finding.measured <= finding.interval[1]


def test_a_slower_start_names_the_phase_that_grew():
    """And what is slowest in it."""
    slow = {**PHASES, "load": 9.0, "ready": 9.5}
    finding = judge_regression(starts([9.5] * 5, phases=slow), starts([3.5] * 5), max_ratio=1.25)
    assert finding.advice == "load takes 6 s longer than the champion's; model load 89 % (8.5 s)"


@pytest.mark.parametrize(
    "champion",
    [None, ColdStarts(problem="it can not be installed"), starts([1.0] * 3, problem="it exited"), starts([1.0] * 4)],
)
def test_a_champion_that_does_not_start_is_inconclusive_and_never_passed(champion):
    """Also where it did start at first, and where there are too few pairs."""
    finding = judge_regression(starts([0.1] * 5), champion, max_ratio=1.25)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.cause in {Cause.ENVIRONMENT, Cause.HARNESS}


# --- what is told beside


def test_the_page_cache_and_the_image_are_stated():
    """Nobody has to guess which cold it was."""
    details = judged([1.0] * 5, image="build (install 14 s)").details
    assert details["page_cache"].startswith("warm")
    assert details["environment_image"] == "build (install 14 s)"


@pytest.mark.parametrize(("size", "told"), [(250_000_000, True), (99_999_999, False), (None, False)])
def test_bytes_and_their_rate_are_told_of_big_models_only(size, told):
    """500 MB over a load of 2.5 s."""
    phases = {"imports": 0.5, "load": 3.0, "ready": 3.5}
    facts = {"model_bytes": size, "read": {"load": {"asked": 7, "disk": 5}}}
    disk = starts([9.0], phases=phases, facts=facts).starts[0]
    found = judged([4.0] * 5, phases=phases, facts=facts).details.get("bytes")
    assert (found is not None) is told
    if found:
        assert judged([4.0] * 5, phases=phases, facts=facts, from_disk=disk).details["from_disk"]["disk_bytes"] == 5
        assert found == {"model_bytes": size, "load_s": 2.5, "mb_per_s": 100.0, "asked_bytes": 7, "disk_bytes": 5}
