"""Fail closed: each way in which signed evidence is not enough, alone, with a reason that no other way has."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest

from mlgate.attest.dsse import sign
from mlgate.attest.statement import statement_about
from mlgate.evidence import ChampionFacts, DataFacts, Outcome
from mlgate.gate import admit
from mlgate.registry.interface import StoredEvidence
from mlgate.verdict import format_time
from tests.unit.builders import BYTES, NOW, admissible, image, with_outcome, without_check
from tests.unit.test_gate_signed import (
    CI,
    FAILED,
    GOOD,
    KEY,
    OTHER,
    OTHER_KEY,
    PINNED,
    POLICY,
    TODAY,
    other_format,
    repayloaded,
    retyped,
    signed,
    stored,
)

ELSEWHERE = replace(GOOD, subject=replace(GOOD.subject, version="4", uri="models:/churn/4"))
REPLACED = replace(GOOD, subject=replace(GOOD.subject, artifact_digest=OTHER))
JUDGED_OTHERWISE = replace(GOOD, policy=replace(GOOD.policy, digest=OTHER))
OTHER_DATA = DataFacts(source="x.csv", digest=OTHER, rows=5)
COMPARED_OTHERWISE = replace(GOOD, champion=ChampionFacts(uri="models:/churn/1", version="1", artifact_digest=OTHER))
ELSEWHERE_BUILT = replace(GOOD, image=image(origin="given", model_digest=BYTES, platform="linux/arm64"))
ANOTHER_RUN = replace(GOOD, ci={"CI_JOB_ID": "2"})


def at(**since_now):
    """The good evidence of a run that finished so long from now, signed then."""
    return signed(replace(GOOD, finished_at=format_time(NOW + timedelta(**since_now))))


def key(**standing):
    """Today, with the key in another standing."""
    return replace(TODAY, signers=(replace(CI, **standing),))


def two_models_in_one():
    """A statement whose artifact digest is the store's and whose files are others': a gate and a pod would differ."""
    files = tuple(replace(file, sha256="1" * 64) for file in GOOD.subject.files)
    evidence = replace(GOOD, subject=replace(GOOD.subject, files=files))
    return stored(evidence, sign(statement_about(evidence).canonical(), [KEY]))


# What stands in the envelope, beside the good evidence or evidence of its own; the code, and what the message says.
CASES = {
    "absent": (stored(GOOD), TODAY, POLICY, "signature_absent", "is not signed"),
    "nobody listed was read": (signed(GOOD), replace(TODAY, signers=()), POLICY, "signature_no_signers", "no signer"),
    "unparsable": (stored(GOOD, b"{"), TODAY, POLICY, "signature_unparsable", "not JSON"),
    "empty": (stored(GOOD, b""), TODAY, POLICY, "signature_unparsable", "not JSON"),
    "wrong type of payload": (stored(GOOD, retyped()), TODAY, POLICY, "signature_wrong_type", "type"),
    "wrong type of statement": (
        stored(GOOD, sign(statement_about(GOOD).canonical().replace(b"Statement/v1", b"Statement/v9"), [KEY])),
        TODAY, POLICY, "attestation_wrong_type", "_type",
    ),
    "wrong type of predicate": (
        stored(GOOD, sign(statement_about(GOOD).canonical().replace(b"test-result/v0.1", b"test-result/v9"), [KEY])),
        TODAY, POLICY, "attestation_wrong_type", "predicateType",
    ),
    "wrong key": (signed(GOOD, OTHER_KEY), TODAY, POLICY, "signature_wrong_key", "not signed by any of 'ci.pub'"),
    "expired key": (signed(GOOD), key(expires=NOW.date()), POLICY, "signature_expired_key", "expired on 2026-11-23"),
    "revoked key": (signed(GOOD), key(revoked=date(2026, 1, 1)), POLICY, "signature_revoked_key", "revoked on 2026-01-01"),
    "signature over other bytes": (stored(GOOD, repayloaded()), TODAY, POLICY, "signature_other_bytes", "over other bytes"),
    "statement about another version": (
        signed(GOOD, about=ELSEWHERE), TODAY, POLICY, "statement_other_version", "'models:/churn/4' signed",
    ),
    "about another version": (signed(ELSEWHERE), TODAY, POLICY, "no_evidence", "there is some for models:/churn/4"),
    "statement about other files": (signed(GOOD, about=REPLACED), TODAY, POLICY, "statement_other_files", "digest differs"),
    "two models in one statement": (two_models_in_one(), TODAY, POLICY, "statement_other_files", "its files amount to"),
    "about other bytes": (signed(REPLACED), TODAY, POLICY, "other_bytes", "changed since the test"),
    "statement about another policy": (
        signed(GOOD, about=JUDGED_OTHERWISE), TODAY, POLICY, "statement_other_policy", "the policy differs",
    ),
    "about another policy": (signed(JUDGED_OTHERWISE), TODAY, POLICY, "other_policy", "judged by another policy"),
    "statement about another data set": (
        signed(GOOD, about=replace(GOOD, data=OTHER_DATA)), TODAY, POLICY, "statement_other_data", "evaluation data",
    ),
    "about another data set": (
        signed(admissible(PINNED, data=OTHER_DATA)), TODAY, PINNED, "other_data", "judged on cccccccccccc",
    ),
    "about no data set": (signed(admissible(PINNED, data=None)), TODAY, PINNED, "other_data", "judged on no data"),
    "statement about another champion": (
        signed(GOOD, about=COMPARED_OTHERWISE), TODAY, POLICY, "statement_other_champion", "the champion differs",
    ),
    "about another champion": (signed(COMPARED_OTHERWISE), TODAY, POLICY, "other_champion", "judged against version 1"),
    "statement about another platform": (
        signed(GOOD, about=ELSEWHERE_BUILT), TODAY, POLICY, "statement_other_image", "differs",
    ),
    "about another platform": (signed(ELSEWHERE_BUILT), TODAY, POLICY, "platform", "tested on linux/arm64"),
    "statement about another job": (
        signed(GOOD, about=ANOTHER_RUN), TODAY, POLICY, "statement_other_run", "'ci' in the evidence differs",
    ),
    "another evidence format": (stored(GOOD, other_format()), TODAY, POLICY, "attestation_other_format", "mlgate-evidence/1"),
    "another format of the evidence beside it": (
        StoredEvidence(
            run_id="run-1",
            raw=GOOD.canonical().replace(b"mlgate-evidence/1", b"mlgate-evidence/2"),
            envelope=signed(GOOD).envelope,
        ),
        TODAY, POLICY, "forged", "mlgate-evidence/1",
    ),
    "too old": (at(days=-7, seconds=-1), TODAY, POLICY, "stale", "> 7 d allowed"),
    "at no time": (signed(replace(GOOD, finished_at="yesterday")), TODAY, POLICY, "stale", "is no time"),
    "from the future": (at(minutes=10, seconds=1), TODAY, POLICY, "future", "in the future"),
    "suite missing": (
        signed(replace(GOOD, suites={"environment": GOOD.suites["environment"]})), TODAY, POLICY, "absent", "not in the evidence",
    ),
    "check missing": (signed(without_check(GOOD, "cold_start.ready")), TODAY, POLICY, "absent", "not in the evidence"),
    "check deselected": (signed(with_outcome(GOOD, "cold_start.ready", Outcome.SKIPPED)), TODAY, POLICY, "skipped", "measured"),
    "partial": (signed(replace(GOOD, complete=False)), TODAY, POLICY, "partial", "the only run was partial"),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "today", "policy", "code", "says"), CASES.values(), ids=CASES)
def test_what_is_not_whole_is_refused_with_its_own_reason(entry, today, policy, code, says):
    """One code for machines, and one sentence for people."""
    admission = admit(policy, today, [entry])
    assert not admission.admitted
    assert {reason.code for reason in admission.reasons} == {code}
    assert says in admission.reasons[0].message
    assert all("\n" not in reason.message for reason in admission.reasons)


def test_no_two_of_these_ways_read_alike():
    """Code, checks and words together: whoever reads a refusal knows which of them it is."""
    said = {}
    for name, (entry, today, policy, _, _) in CASES.items():
        reasons = admit(policy, today, [entry]).reasons
        said.setdefault(tuple((reason.code, str(reason)) for reason in reasons), []).append(name)
    assert [names for names in said.values() if len(names) > 1] == [["unparsable", "empty"]]


@pytest.mark.parametrize(
    "entry", [at(), at(days=-7), at(minutes=10)], ids=["now", "just young enough", "ten minutes ahead"]
)
def test_up_to_its_limits_it_is_admitted(entry):
    """What is refused above is refused for its one reason, and not anyway."""
    assert admit(POLICY, TODAY, [entry]).admitted


TOGETHER = {
    "one failed": FAILED,
    "one was compared with another champion": COMPARED_OTHERWISE,
    "one ran on another platform": ELSEWHERE_BUILT,
    "one ran in another sandbox": replace(GOOD, sandbox=replace(GOOD.sandbox, kind="process")),
}


@pytest.mark.parametrize("bad", TOGETHER.values(), ids=TOGETHER)
def test_of_two_that_finished_in_the_same_second_the_refused_one_counts(bad):
    """Whichever the registry lists first: the second run of two pipelines can not undo what the first one found."""
    entries = signed(GOOD, run_id="good"), signed(bad, run_id="bad")
    found = [admit(POLICY, TODAY, order) for order in permutations(entries)]
    assert {(admission.admitted, admission.run_id) for admission in found} == {(False, "bad")}


def test_of_two_equal_answers_always_the_same_run_counts():
    """A report links to one run; asking again links to the same."""
    entries = [signed(replace(GOOD, seed=seed), run_id=str(seed)) for seed in range(4)]
    found = {admit(POLICY, TODAY, order).run_id for order in permutations(entries)}
    assert len(found) == 1


def test_one_good_run_is_admitted_whatever_lies_beside_it():
    """None of these refusals is a way to block a promotion: only what the key signed about this version counts."""
    counted = {"at no time", "from the future", "suite missing", "check missing", "check deselected"}
    counted |= {"about another champion", "about another platform"}
    for name, (entry, today, policy, _, _) in CASES.items():
        if policy is POLICY and today is TODAY and name not in counted:
            admission = admit(POLICY, TODAY, [replace(entry, run_id="beside"), signed(GOOD, run_id="good")])
            assert (admission.admitted, admission.run_id) == (True, "good"), name
