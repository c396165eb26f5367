"""Whether a rollback may lead to a version: the bytes and the evidence of its promotion, and the waivers of that day."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mlgate.evidence import Outcome, VerdictFacts
from mlgate.promotion.fallback import against
from mlgate.promotion.journal import Action, Event
from mlgate.registry.interface import StoredEvidence
from mlgate.verdict import format_time
from tests.unit.builders import BYTES, NOW, with_outcome
from tests.unit.test_waivers import CHECK, GOOD, OTHER_CHECK, OTHER_KEY, RELEASE, waiver

PASSED = replace(GOOD, verdict=VerdictFacts(outcome="passed", reasons=()))
FAILED = replace(with_outcome(GOOD, CHECK, Outcome.FAILED), verdict=VerdictFacts(outcome="failed", reasons=()))


def codes(found_then, *waivers, artifact_digest=BYTES, waiver_signers=(RELEASE,), **said):
    """What stands against going back to what was promoted by this evidence."""
    event = Event(
        action=Action.PROMOTE, name="churn", alias="champion", before=None, after="3", artifact_digest=BYTES,
        evidence=found_then.digest, run_id="r-1", signer=None, policy="sha256:p", waived=(CHECK,) if waivers else (),
        reason="", by="kim", at=format_time(NOW),
    )  # fmt: skip
    found = against(
        replace(event, **said),
        artifact_digest=artifact_digest,
        stored=StoredEvidence(run_id="r-1", raw=found_then.canonical(), claimed_digest=found_then.digest),
        signers=(),
        waivers=waivers,
        waiver_signers=waiver_signers,
    )
    return [reason.code for reason in found]


def test_what_passed_and_is_the_same_may_come_back():
    """And what the journal says of it must be what is there."""
    assert codes(PASSED) == []
    assert codes(PASSED, artifact_digest="sha256:other") == ["other_bytes"]
    for said in ({"name": "fraud"}, {"after": "4"}, {"evidence": "sha256:other"}):
        assert codes(PASSED, **said) == ["forged"]


@pytest.mark.parametrize(
    "evidence",
    [replace(PASSED, complete=False), replace(GOOD, verdict=VerdictFacts(outcome="failed", reasons=()))],
    ids=["partial", "no check says why"],
)
def test_evidence_that_did_not_pass_as_a_whole_vouches_for_nothing(evidence):
    """Whatever an entry claims; and nobody can waive what is not named."""
    assert codes(evidence) == ["not_passed"]
    assert codes(evidence, waiver()) == ["not_passed"]


def test_a_failed_check_stands_in_the_way_unless_it_was_waived_that_day():
    """By a listed key, for this check; a waiver that has ended since still counts, one of another day does not."""
    day, told = timedelta(days=1), {"evidence": FAILED.digest}
    assert codes(FAILED) == ["failed"]
    assert codes(FAILED, waiver(**told)) == []
    assert codes(FAILED, waiver(life=day, at=NOW - day / 2, **told)) == [], "over tomorrow, whatever today is"
    revoked = replace(RELEASE, revoked=NOW.date())
    for refused in (
        codes(FAILED, waiver(life=day, at=NOW - 2 * day, **told)),
        codes(FAILED, waiver(at=NOW + day, **told)),
        codes(FAILED, waiver(check=OTHER_CHECK, **told)),
        codes(FAILED, waiver(OTHER_KEY, **told)),
        codes(FAILED, waiver(**told), waiver_signers=()),
        codes(FAILED, waiver(**told), waiver_signers=(revoked,)),
    ):
        assert refused[0] == "failed"


def test_a_partial_run_is_not_made_whole_by_a_waiver():
    """The checks that nobody asked for are missing from it."""
    partial = replace(FAILED, complete=False)
    assert codes(partial, waiver(evidence=partial.digest)) == ["not_passed"]
