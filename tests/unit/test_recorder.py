"""The recorder: what a check said, held against what pytest saw; nothing but a plain pass is passed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evidence import Cause, CheckResult, Finding, Outcome
from pytest_mlgate.recorder import Recorder

KEY = "load.rate"
BAD = [outcome for outcome in Outcome if outcome is not Outcome.PASSED]


def finding(outcome=Outcome.PASSED):
    """What a check records."""
    return Finding(
        outcome=outcome, reason="measured", cause=None if outcome is Outcome.PASSED else Cause.MODEL, measured=1.5
    )


def report(recorder, when="call", outcome="passed", *, xfail=False, text="it broke"):
    """Pytest's report of one phase."""
    recorder.reported(KEY, outcome=outcome, when=when, xfail=xfail, text=text, duration_s=0.5)


def run(*findings, setup="passed", call="passed", teardown="passed", xfail=False, recorder=None):
    """A whole run of the check's test, as pytest tells it."""
    recorder = recorder or Recorder()
    recorder.collected(KEY, "load")
    report(recorder, "setup", setup)
    if setup == "passed":
        recorder.started(KEY)
        for found in findings:
            recorder.record(KEY, found)
        report(recorder, "call", call, xfail=xfail)
    report(recorder, "teardown", teardown)
    return recorder


def settled(recorder):
    """The check's finding at the end."""
    (check,) = recorder.results([])["load"].checks
    assert check.key == KEY
    assert check.outcome is recorder.outcome(KEY)
    return check.finding


@pytest.mark.parametrize("outcome", Outcome)
def test_a_plain_run_is_what_the_check_recorded(outcome):
    """With its measurement, cause and words; a failure is raised, so pytest's "failed" adds nothing."""
    recorded = finding(outcome)
    call = "failed" if outcome is Outcome.FAILED else "passed"
    assert settled(run(recorded, call=call)) == recorded


def test_a_check_that_was_never_run_is_skipped():
    """Deselected, or the run stopped before it."""
    recorder = Recorder()
    recorder.collected(KEY, "load")
    found = settled(recorder)
    assert found.outcome is Outcome.SKIPPED
    assert "did not run" in found.reason


def test_a_check_that_recorded_nothing_is_errored():
    """It ran and passed, and judged nothing."""
    found = settled(run())
    assert (found.outcome, found.cause) == (Outcome.ERRORED, Cause.HARNESS)
    assert found.reason == "recorded no finding"


def test_a_check_recorded_twice_is_errored():
    """Which of the two would count?"""
    found = settled(run(finding(), finding()))
    assert found.outcome is Outcome.ERRORED
    assert "2 times" in found.reason


@pytest.mark.parametrize("first", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED])
def test_a_rerun_never_passes(first):
    """A rerun plugin runs a failed check until it passes."""
    recorder = run(finding(first), call="failed" if first is Outcome.FAILED else "passed")
    found = settled(run(finding(), recorder=recorder))
    assert found.outcome is (Outcome.FAILED if first is Outcome.FAILED else Outcome.ERRORED)
    assert "a rerun does not make a pass" in found.reason


def test_a_rerun_of_a_check_that_never_recorded_never_passes():
    """The first run died before it could."""
    found = settled(run(finding(), recorder=run(call="failed")))
    assert found.outcome is Outcome.ERRORED


def test_a_second_run_is_a_rerun_also_where_only_one_of_them_is_heard_of():
    """The first one recorded nothing and broke nothing that pytest saw."""
    found = settled(run(finding(), recorder=run()))
    assert found.outcome is Outcome.ERRORED
    assert "2 times" in found.reason


def test_what_a_spoiled_check_measured_and_who_must_act_is_kept():
    """A failure of the model's stays the model's, whatever happened to its test."""
    found = settled(run(finding(Outcome.FAILED), finding()))
    assert (found.outcome, found.cause, found.measured) == (Outcome.FAILED, Cause.MODEL, 1.5)
    assert found.reason.startswith("measured (")
    last = settled(run(finding(), finding(Outcome.FAILED)))
    assert (last.outcome, last.cause) == (Outcome.FAILED, Cause.MODEL)


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (Outcome.PASSED, Outcome.SKIPPED),
        (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
        (Outcome.ERRORED, Outcome.ERRORED),
        (Outcome.FAILED, Outcome.FAILED),
    ],
)
def test_xfail_excuses_nothing(recorded, expected):
    """A pass that is marked xfail is skipped; what failed stays failed."""
    assert settled(run(finding(recorded), call="skipped", xfail=True)).outcome is expected


def test_an_xfail_that_passes_is_no_pass():
    """Pytest reports it as passed, with the mark on it."""
    found = settled(run(finding(), xfail=True))
    assert found.outcome is Outcome.SKIPPED
    assert "marked xfail" in found.reason


def test_a_fixture_that_broke_is_errored():
    """The check never began."""
    found = settled(run(setup="failed"))
    assert (found.outcome, found.cause) == (Outcome.ERRORED, Cause.HARNESS)
    assert found.reason == "setup: it broke"


def test_a_fixture_that_skips_makes_the_check_skipped():
    """With the reason that pytest was given."""
    found = settled(run(setup="skipped"))
    assert (found.outcome, found.reason) == (Outcome.SKIPPED, "setup: it broke")


def test_a_teardown_that_broke_spoils_a_pass():
    """And the reader sees that the check itself had passed."""
    found = settled(run(finding(), teardown="failed"))
    assert found.outcome is Outcome.ERRORED
    assert found.reason == "teardown: it broke (the check itself recorded passed)"


def test_a_check_whose_call_nobody_reported_is_errored():
    """Another runner took over: whether the test went on to fail is not known."""
    recorder = Recorder()
    recorder.collected(KEY, "load")
    recorder.started(KEY)
    recorder.record(KEY, finding())
    report(recorder, "setup")
    assert settled(recorder).outcome is Outcome.ERRORED


def test_an_outcome_that_pytest_does_not_have_is_errored():
    """A plugin's own word."""
    assert settled(run(finding(), call="rerun")).outcome is Outcome.ERRORED


def test_an_id_is_collected_once():
    """The second check with it is refused by the plugin, and does not replace the first."""
    recorder = Recorder()
    assert recorder.collected(KEY, "load")
    assert not recorder.collected(KEY, "other")
    assert list(recorder.results([])) == ["load"]


def test_suites_come_in_the_order_asked_for_and_none_is_lost():
    """Those of the user's own follow; a suite without a check is not there."""
    recorder = Recorder()
    for key, suite in (("mine.check", "mine"), (KEY, "load"), ("schema.output", "schema"), ("load.error_rate", "load")):
        recorder.collected(key, suite)
    found = recorder.results(["schema", "properties", "load"])
    assert list(found) == ["schema", "load", "mine"]
    assert [check.key for check in found["load"].checks] == [KEY, "load.error_rate"]


def test_the_duration_is_that_of_every_phase():
    """Setup, call and teardown, of every run."""
    assert run(finding()).results([])["load"].duration_s == 1.5


outcomes = st.sampled_from(["passed", "failed", "skipped", "rerun"])


@given(
    st.lists(st.sampled_from(Outcome), max_size=3),
    outcomes,
    outcomes,
    outcomes,
    st.booleans(),
    st.integers(1, 2),
)
def test_the_outcome_is_the_worst_that_anybody_said(recorded, setup, call, teardown, xfail, runs):
    """Passed only where one run recorded one pass and every phase passed without a mark."""
    recorder = Recorder()
    for _ in range(runs):
        run(*map(finding, recorded), setup=setup, call=call, teardown=teardown, xfail=xfail, recorder=recorder)
    found = recorder.outcome(KEY)
    clean = recorded == [Outcome.PASSED] and (setup, call, teardown, xfail, runs) == (
        "passed",
        "passed",
        "passed",
        False,
        1,
    )
    assert (found is Outcome.PASSED) is clean
    if setup == "passed":
        assert all(found.badness >= outcome.badness for outcome in recorded)
    if "failed" in (setup, teardown):
        assert found.badness >= Outcome.ERRORED.badness


PART = CheckResult(id="load.part", params={"of": "a"}, finding=finding(Outcome.FAILED))


def test_a_part_that_is_found_while_a_check_runs_is_a_result_of_its_suite():
    """As the values of a slice, which nobody knows before the data are read."""
    recorder = Recorder()
    recorder.collected(KEY, "load")
    recorder.started(KEY)
    recorder.record(KEY, finding())
    recorder.record_part(KEY, PART)
    report(recorder)
    assert [check.key for check in recorder.results([])["load"].checks] == [KEY, "load.part[of=a]"]
    assert recorder.results([])["load"].checks[1].finding == PART.finding


def test_a_part_with_the_id_of_another_check_spoils_it():
    """Two answers to one question are none."""
    recorder = run(finding())
    recorder.record_part(KEY, CheckResult(id="load.rate", params={}, finding=finding()))
    assert settled(recorder).outcome is Outcome.ERRORED
