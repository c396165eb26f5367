"""Waivers at the gate: one check of one version is answered for, by a listed key and until a day; nothing else is."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
import rfc8785

from mlgate.attest.dsse import sign
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.attest.statement import statement_of
from mlgate.attest.untrusted import AttestationError
from mlgate.attest.waiver import new_waiver
from mlgate.evidence import Cause, ChampionFacts, CheckResult, Outcome
from mlgate.gate import Today, admit
from mlgate.policy_file import parse_policy
from mlgate.registry.interface import StoredEvidence, StoredWaiver
from mlgate.verdict import format_time
from mlgate.waivers import never
from tests.unit.builders import BYTES, CHAMPION_BYTES, NOW, admissible, with_outcome, without_check
from tests.unit.test_gate_signed import VERSION

KEY, OTHER_KEY = generate(KeyKind.ED25519), generate(KeyKind.ECDSA)
RELEASE = Signer(keyid=KEY.public.keyid, name="release.pub", public=KEY.public)
POLICY = parse_policy("requires: [cold_start]\nevidence: {waivers: [release.pub]}\n")
CHECK, OTHER_CHECK = "cold_start.ready", "cold_start.first_prediction"
GOOD = admissible(POLICY)
FAILED = with_outcome(GOOD, CHECK, Outcome.FAILED)
SAID = {
    "check": CHECK,
    "name": "churn",
    "version": "3",
    "artifact_digest": BYTES,
    "policy_digest": POLICY.digest,
    "evidence": FAILED.digest,
    "found": "failed: measured",
    "reason": "JIRA-12: the node is replaced on Friday",
    "by": "kim",
}


def waiver(*keys, life=timedelta(days=14), at=NOW, **said):
    """A stored waiver, signed."""
    made = new_waiver(life=life, now=at, **{**SAID, **said})
    return StoredWaiver(run_id="w-1", envelope=sign(made.canonical(), keys or [KEY]))


def gate(evidence, *waivers, signer=RELEASE, now=NOW, **today):
    """The gate's decision about one run's evidence with these waivers."""
    facts = Today(
        version=VERSION,
        artifact_digest=BYTES,
        champion_version="2",
        champion_digest=CHAMPION_BYTES,
        now=now,
        waivers=waivers,
        waiver_signers=(signer,),
    )
    stored = StoredEvidence(run_id="r-1", raw=evidence.canonical(), claimed_digest=evidence.digest)
    return admit(POLICY, replace(facts, **today), [stored])


def codes(admission):
    """The codes of the reasons against."""
    return [reason.code for reason in admission.reasons]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE])
def test_a_waived_check_no_longer_stands_in_the_way_and_is_counted_and_named(outcome):
    """Who, until when, why, and what was found, for people and for machines."""
    evidence = with_outcome(GOOD, CHECK, outcome)
    assert not gate(evidence).admitted
    admission = gate(evidence, waiver())
    assert (admission.admitted, admission.exit_code, admission.reasons) == (True, 0, ())
    (waived,) = admission.waived
    assert str(waived) == (
        f"{CHECK}: measured; waived by release.pub until 2026-12-07 12:00 UTC: JIRA-12: the node is replaced on Friday"
    )
    (document,) = admission.to_json()["waived"]
    assert document == {
        "check": CHECK,
        "outcome": str(outcome),
        "message": "measured",
        "reason": "JIRA-12: the node is replaced on Friday",
        "by": "kim",
        "signer": "release.pub",
        "keyid": RELEASE.keyid,
        "created_at": "2026-11-23T12:00:00Z",
        "expires_at": "2026-12-07T12:00:00Z",
    }


def test_a_waiver_of_a_check_that_passes_changes_and_says_nothing():
    """The next run repaired it: there is nothing to answer for."""
    admission = gate(GOOD, waiver())
    assert (admission.admitted, admission.waived) == (True, ())


def test_the_other_failures_stand():
    """One check, not the run."""
    admission = gate(with_outcome(FAILED, OTHER_CHECK, Outcome.FAILED), waiver())
    assert not admission.admitted
    assert [reason.check for reason in admission.reasons] == [OTHER_CHECK]
    assert [waived.reason.check for waived in admission.waived] == [CHECK]


def test_a_later_run_of_the_same_version_is_covered():
    """The nightly run fails in the same way: the waiver names the version, not the run."""
    assert gate(replace(FAILED, seed=8), waiver()).admitted


def test_an_expired_waiver_refuses_and_says_so():
    """To the second; an inconclusive check with it is a refusal too, not a shrug."""
    brief = waiver(life=timedelta(minutes=30), at=NOW - timedelta(minutes=30))
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE):
        admission = gate(with_outcome(GOOD, CHECK, outcome), brief)
        assert (admission.admitted, admission.exit_code) == (False, 1)
        assert codes(admission) == [str(outcome), "waiver_expired"]
        assert "expired on 2026-11-23 12:00 UTC" in admission.reasons[1].message
    assert gate(FAILED, brief, now=NOW - timedelta(seconds=1)).admitted
    assert gate(FAILED, brief, waiver()).admitted, "a newer one counts beside it"


ELSEWHERE = {
    "another version": {"version": "4"},
    "another model": {"name": "fraud"},
    "other bytes": {"artifact_digest": "sha256:" + "c" * 64},
    "another policy": {"policy_digest": "sha256:" + "c" * 64},
    "another check": {"check": OTHER_CHECK},
}


@pytest.mark.parametrize("said", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_waiver_of_something_else_counts_for_nothing(said):
    """However well it is signed."""
    admission = gate(FAILED, waiver(**said))
    assert (admission.admitted, codes(admission), admission.waived) == (False, ["failed"], ())


def edited(change):
    """A waiver whose statement was changed and signed again by the right key."""
    document = json.loads(new_waiver(life=timedelta(days=14), now=NOW, **SAID).canonical())
    change(document)
    return StoredWaiver(run_id="w-1", envelope=sign(rfc8785.dumps(document), [KEY]))


def unsigned():
    """The envelope of a waiver under which another payload was put."""
    good, bad = waiver(), waiver(OTHER_KEY, check=OTHER_CHECK)
    document = json.loads(good.envelope)
    document["payload"] = json.loads(bad.envelope)["payload"]
    return StoredWaiver(run_id="w-1", envelope=json.dumps(document).encode())


REFUSED = {
    "another key": (lambda: waiver(OTHER_KEY), "not signed by any of 'release.pub'"),
    "a payload that was changed": (unsigned, "over other bytes"),
    "no envelope": (lambda: StoredWaiver(run_id="w-1", envelope=b"{"), "the envelope is not JSON"),
    "evidence in its place": (
        lambda: StoredWaiver(run_id="w-1", envelope=sign(statement_of(GOOD), [KEY])),
        "nests deeper than",
    ),
    "a statement of another kind": (
        lambda: edited(lambda found: found.update(predicateType="x")),
        "predicateType is not",
    ),
    "a subject that is another version": (
        lambda: edited(lambda found: found["subject"][0].update(name="models:/churn/4")),
        "not in canonical form",
    ),
    "no end": (
        lambda: edited(lambda found: found["predicate"].update(expires_at="2027-11-23T12:00:00Z")),
        "a waiver holds for up to 90 days, not 365 days",
    ),
    "an end before its start": (
        lambda: edited(lambda found: found["predicate"].update(expires_at="2026-11-01T12:00:00Z")),
        "a waiver holds for up to 90 days",
    ),
    "no reason": (lambda: edited(lambda found: found["predicate"].update(reason=" ")), "a waiver's reason is one line"),
    "a field more": (lambda: edited(lambda found: found["predicate"].update(x=1)), "malformed"),
    "from the future": (
        lambda: edited(lambda found: found["predicate"].update(created_at="2026-11-23T12:11:00Z")),
        "in the future",
    ),
    "no time": (lambda: edited(lambda found: found["predicate"].update(expires_at="soon")), "malformed"),
}


@pytest.mark.parametrize(("made", "why"), REFUSED.values(), ids=REFUSED)
def test_a_waiver_that_nobody_believes_is_named_and_counts_for_nothing(made, why):
    """The check stands; the exit status is that of the check alone."""
    admission = gate(FAILED, made())
    assert (admission.admitted, admission.waived) == (False, ())
    assert codes(admission) == ["failed", "waiver_refused"]
    assert "run w-1" in admission.reasons[1].message
    assert why in admission.reasons[1].message
    assert gate(with_outcome(GOOD, CHECK, Outcome.INCONCLUSIVE), made()).exit_code == 4
    assert gate(GOOD, made()).admitted, "junk beside a good version is no news"
    assert gate(FAILED, made(), waiver()).admitted, "nor beside a good waiver"


@pytest.mark.parametrize(
    "stop", [{"expires": date(2026, 11, 23)}, {"revoked": date(2026, 11, 20)}], ids=["expired", "revoked"]
)
def test_a_key_that_is_over_waives_nothing(stop):
    """Held against the day of the gate, as for evidence."""
    admission = gate(FAILED, waiver(), signer=replace(RELEASE, **stop))
    assert codes(admission) == ["failed", "waiver_refused"]


def with_cause(evidence, cause):
    """The evidence in which whatever did not pass has this cause."""
    suites = {
        name: replace(
            suite,
            checks=tuple(
                check
                if check.outcome is Outcome.PASSED
                else replace(check, finding=replace(check.finding, cause=cause))
                for check in suite.checks
            ),
        )
        for name, suite in evidence.suites.items()
    }
    return replace(evidence, suites=suites)


NEVER = {
    "errored": (with_outcome(GOOD, CHECK, Outcome.ERRORED), CHECK, "it is errored"),
    "skipped": (with_outcome(GOOD, CHECK, Outcome.SKIPPED), CHECK, "it is skipped"),
    "absent": (without_check(GOOD, CHECK), CHECK, "it is absent"),
    "the environment": (with_outcome(GOOD, "environment.pins", Outcome.FAILED), "environment.pins", "did not run as"),
    "a cause that is the environment": (
        with_cause(with_outcome(GOOD, CHECK, Outcome.INCONCLUSIVE), Cause.ENVIRONMENT),
        CHECK,
        "its cause is the environment",
    ),
}


@pytest.mark.parametrize(("evidence", "check", "why"), NEVER.values(), ids=NEVER)
def test_what_was_not_measured_on_the_model_can_not_be_waived(evidence, check, why):
    """Whatever is signed."""
    admission = gate(evidence, waiver(check=check))
    assert (admission.admitted, admission.waived) == (False, ())
    (reason,) = [reason for reason in admission.reasons if reason.check == check]
    assert why in never(reason, evidence)


def test_no_other_refusal_can_be_waived():
    """Bytes, champion, platform, age and completeness are no checks."""
    stale = format_time(NOW - timedelta(days=8))
    champion = ChampionFacts(uri="models:/churn/1", version="1", artifact_digest=CHAMPION_BYTES)
    refusals = {
        "other_bytes": gate(FAILED, waiver(), artifact_digest="sha256:" + "c" * 64),
        "other_champion": gate(replace(FAILED, champion=champion), waiver()),
        "platform": gate(replace(FAILED, image=replace(FAILED.image, platform="linux/arm64")), waiver()),
        "stale": gate(replace(FAILED, finished_at=stale, started_at=stale), waiver()),
        "partial": gate(replace(FAILED, complete=False), waiver()),
    }
    assert {code: admission.admitted for code, admission in refusals.items()} == dict.fromkeys(refusals, False)
    assert all(code in codes(admission) for code, admission in refusals.items())
    assert all(never(reason, FAILED) for admission in refusals.values() for reason in admission.reasons)


def test_of_two_results_of_one_check_the_one_that_was_not_measured_stands():
    """A check recorded twice, of which one errored."""
    (suite,) = [suite for suite in FAILED.suites.values() if any(check.key == CHECK for check in suite.checks)]
    failed = next(check for check in suite.checks if check.key == CHECK)
    errored = CheckResult(id=failed.id, params={}, finding=replace(failed.finding, outcome=Outcome.ERRORED))
    both = replace(FAILED, suites={**FAILED.suites, "cold_start": replace(suite, checks=(*suite.checks, errored))})
    admission = gate(both, waiver())
    assert not admission.admitted
    assert codes(admission) == ["errored"]


def test_a_waiver_that_no_gate_would_read_is_not_made():
    """The rules by which it is read hold where it is written."""
    for said in ({"reason": ""}, {"reason": "x" * 501}, {"life": timedelta(days=91)}, {"life": timedelta(0)}):
        with pytest.raises(AttestationError):
            waiver(**said)


def test_a_waiver_is_no_evidence():
    """Signed by a key that may sign both: its statement is of another kind."""
    policy = parse_policy("requires: [cold_start]\nevidence: {signers: [release.pub]}\n")
    evidence = admissible(policy)
    stored = StoredEvidence(run_id="r-1", raw=evidence.canonical(), envelope=waiver().envelope)
    today = Today(
        version=VERSION,
        artifact_digest=BYTES,
        champion_version="2",
        champion_digest=CHAMPION_BYTES,
        now=NOW,
        signers=(RELEASE,),
    )
    assert codes(admit(policy, today, [stored])) == ["attestation_wrong_type"]
