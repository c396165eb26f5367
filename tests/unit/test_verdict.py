"""Verdicts: only a whole set of passes passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate.evidence import Outcome
from mlgate.policy import ENVIRONMENT_CHECKS
from mlgate.policy_file import parse_policy
from mlgate.verdict import CLOCK_SKEW, Verdict, VerdictOutcome, assess, format_time, parse_time
from tests.unit.builders import (
    FULL_POLICY,
    NOW,
    POLICY,
    admissible,
    findings,
    result,
    with_check,
    with_outcome,
    without_check,
)

KEYS = [key for keys in FULL_POLICY.expected_checks(champion=True).values() for key in keys]
BAD = [outcome for outcome in Outcome if outcome is not Outcome.PASSED]
WHOLE = admissible(FULL_POLICY)
OWN = parse_policy("requires: [schema, mine]\nown_checks: [mine/]\n")


def codes(verdict: Verdict) -> set[str]:
    """The codes of the reasons."""
    return {reason.code for reason in verdict.reasons}


def test_every_required_check_passed_is_a_pass():
    """With no reason against."""
    verdict = assess(FULL_POLICY, WHOLE, NOW)
    assert (verdict.outcome, verdict.reasons) == (VerdictOutcome.PASSED, ())
    assert verdict.summary == "every required check passed"


@pytest.mark.parametrize("key", KEYS)
def test_each_required_check_can_refuse_alone(key):
    """Failed makes the verdict failed; everything else inconclusive; and the check is named."""
    for outcome in BAD:
        verdict = assess(FULL_POLICY, with_outcome(WHOLE, key, outcome), NOW)
        wanted = VerdictOutcome.FAILED if outcome is Outcome.FAILED else VerdictOutcome.INCONCLUSIVE
        assert verdict.outcome is wanted
        assert [(reason.code, reason.check) for reason in verdict.reasons] == [(str(outcome), key)]
    verdict = assess(FULL_POLICY, without_check(WHOLE, key), NOW)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert [(reason.code, reason.check) for reason in verdict.reasons] == [("absent", key)]


@pytest.mark.parametrize("suite", FULL_POLICY.expected_checks(champion=True))
def test_a_missing_suite_is_never_a_pass(suite):
    """Every check of it is absent, the implicit environment's too."""
    evidence = replace(WHOLE, suites={name: found for name, found in WHOLE.suites.items() if name != suite})
    verdict = assess(FULL_POLICY, evidence, NOW)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert {reason.check for reason in verdict.reasons} == set(FULL_POLICY.expected_checks(champion=True)[suite])


outcomes = st.fixed_dictionaries({key: st.sampled_from([*Outcome, None]) for key in KEYS})


def evidence_of(states):
    """Evidence with each check at its state; `None` is absent."""
    evidence = WHOLE
    for key, state in states.items():
        if state is None:
            evidence = without_check(evidence, key)
        elif state is not Outcome.PASSED:
            evidence = with_outcome(evidence, key, state)
    return evidence


@given(outcomes)
def test_the_verdict_is_the_rule_of_the_design(states):
    """A required check that failed makes it failed; else anything but passed makes it inconclusive."""
    verdict = assess(FULL_POLICY, evidence_of(states), NOW)
    found = set(states.values())
    if Outcome.FAILED in found:
        assert verdict.outcome is VerdictOutcome.FAILED
        assert verdict.reasons[0].code == "failed"
    elif found == {Outcome.PASSED}:
        assert verdict.outcome is VerdictOutcome.PASSED
    else:
        assert verdict.outcome is VerdictOutcome.INCONCLUSIVE


few = st.dictionaries(st.sampled_from(KEYS), st.sampled_from([*Outcome, None]), max_size=3)


@given(
    few,
    st.sampled_from([*FULL_POLICY.expected_checks(champion=True), "mine", "other"]),
    st.sampled_from([*KEYS, "own.check"]),
    findings.filter(lambda finding: finding.outcome is not Outcome.PASSED),
    st.booleans(),
)
@example({"load.rate": Outcome.FAILED}, "load", "load.rate", result("load.rate", Outcome.SKIPPED).finding, True)
def test_adding_a_bad_outcome_never_turns_a_refusal_into_a_pass(states, suite, key, finding, first):
    """Not even as a second result of a check, before or behind the first one, or as an advisory one."""
    evidence = evidence_of(states)
    more = with_check(evidence, suite, replace(result(key), finding=finding), first=first)
    before, after = assess(FULL_POLICY, evidence, NOW).outcome, assess(FULL_POLICY, more, NOW).outcome
    assert before is VerdictOutcome.PASSED or after is not VerdictOutcome.PASSED


@given(few, st.sampled_from(KEYS))
def test_removing_a_required_check_never_gives_a_pass(states, key):
    """It is missed by the policy's list, not by the evidence's."""
    assert assess(FULL_POLICY, without_check(evidence_of(states), key), NOW).outcome is not VerdictOutcome.PASSED


@given(few, st.sets(st.sampled_from(list(WHOLE.suites)), min_size=1))
def test_removing_a_required_suite_never_gives_a_pass(states, gone):
    """Whatever else is there."""
    evidence = evidence_of(states)
    left = {name: suite for name, suite in evidence.suites.items() if name not in gone}
    assert assess(FULL_POLICY, replace(evidence, suites=left), NOW).outcome is not VerdictOutcome.PASSED


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("outcome", BAD)
def test_a_second_result_does_not_cover_a_bad_one(outcome, first):
    """The worst of two results of one check counts, in either order."""
    evidence = with_check(WHOLE, "load", result("load.rate", outcome), first=first)
    assert codes(assess(FULL_POLICY, evidence, NOW)) == {str(outcome)}


def test_a_check_that_the_policy_does_not_expect_still_counts_in_a_required_suite():
    """A user's own check beside ours."""
    evidence = with_check(WHOLE, "load", result("own.check", Outcome.FAILED))
    assert assess(FULL_POLICY, evidence, NOW).outcome is VerdictOutcome.FAILED


def test_an_advisory_check_that_failed_does_not_count():
    """It is shown and does not gate; but a required one can not call itself advisory."""
    advisory = result("own.check", Outcome.FAILED, details={"advisory": True})
    assert assess(FULL_POLICY, with_check(WHOLE, "load", advisory), NOW).outcome is VerdictOutcome.PASSED
    required = replace(advisory, id="load.rate")
    evidence = with_check(without_check(WHOLE, "load.rate"), "load", required)
    assert assess(FULL_POLICY, evidence, NOW).outcome is VerdictOutcome.FAILED


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ([], VerdictOutcome.INCONCLUSIVE),
        ([result("mine.advice", details={"advisory": True})], VerdictOutcome.INCONCLUSIVE),
        ([result("mine.advice", Outcome.FAILED, details={"advisory": True})], VerdictOutcome.INCONCLUSIVE),
        ([result("mine.check")], VerdictOutcome.PASSED),
        ([result("mine.check"), result("mine.other", Outcome.ERRORED)], VerdictOutcome.INCONCLUSIVE),
        ([result("mine.check"), result("mine.other", Outcome.FAILED)], VerdictOutcome.FAILED),
    ],
)
def test_a_suite_of_the_users_own_needs_at_least_one_check_that_counts(checks, outcome):
    """It has no ids in advance: nothing, or only advice, judged nothing."""
    evidence = admissible(OWN)
    for check in checks:
        evidence = with_check(evidence, "mine", check)
    assert assess(OWN, evidence, NOW).outcome is outcome


def test_an_empty_policy_admits_nothing():
    """No file can say so; an object could."""
    empty = replace(POLICY, values=POLICY.values.model_copy(update={"requires": ()}))
    assert "nothing_required" in codes(assess(empty, admissible(empty), NOW))


def test_the_environment_is_required_whatever_the_policy_says():
    """Also where a policy object names it as a suite of its own."""
    odd = replace(OWN, values=OWN.values.model_copy(update={"requires": ("environment", "mine")}))
    assert odd.expected_checks(champion=False)["environment"] == ENVIRONMENT_CHECKS


def test_a_partial_run_is_inconclusive():
    """It speaks only for what was asked of it."""
    assert codes(assess(FULL_POLICY, replace(WHOLE, complete=False), NOW)) == {"partial"}


def test_without_a_champion_only_the_floors_are_required():
    """And with one, every check that compares is."""
    alone = admissible(FULL_POLICY, champion=False)
    assert assess(FULL_POLICY, alone, NOW).outcome is VerdictOutcome.PASSED
    compared = replace(alone, champion=WHOLE.champion)
    assert {reason.check for reason in assess(FULL_POLICY, compared, NOW).reasons} == {
        "accuracy.regression[metric=accuracy]",
        "accuracy.regression[metric=f1]",
        "schema.compatible",
    }


FINISHED = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "found"),
    [
        (timedelta(0), set()),
        (timedelta(days=7), set()),
        (timedelta(days=7, seconds=1), {"stale"}),
        (-CLOCK_SKEW, set()),
        (-CLOCK_SKEW - timedelta(seconds=1), {"future"}),
    ],
)
def test_evidence_is_judged_by_its_age(age, found):
    """From `finished_at`, with room for clocks that differ."""
    assert codes(assess(FULL_POLICY, WHOLE, FINISHED + age)) == found


@pytest.mark.parametrize(
    "finished", ["", "yesterday", "2026-11-23", "2026-11-23T11:00:00", "0001-01-01T00:00:00+23:59"]
)
def test_a_time_that_is_none_is_stale(finished):
    """Without an offset it could be any hour of the day."""
    assert codes(assess(FULL_POLICY, replace(WHOLE, finished_at=finished), NOW)) == {"stale"}


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001  (the zone is drawn beside it)
def test_a_time_is_read_back_to_the_second(naive, hours):
    """Whatever the zone it was taken in."""
    time = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert parse_time(format_time(time)) == time.astimezone(UTC).replace(microsecond=0)


def test_the_summary_counts_what_it_leaves_out():
    """One sentence, failures first."""
    evidence = with_outcome(with_outcome(WHOLE, "schema.output", Outcome.SKIPPED), "load.rate", Outcome.FAILED)
    assert assess(FULL_POLICY, evidence, NOW).summary == "load.rate: measured (and 1 more)"
