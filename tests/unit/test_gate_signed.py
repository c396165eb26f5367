"""The gate where the policy lists signers: only what one of them signed counts, and each refusal has its own reason."""

import copy
import hashlib
import json
from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest
import rfc8785

from mlgate.attest.acceptance import vouching
from mlgate.attest.dsse import read_envelope, sign
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.attest.statement import statement_of
from mlgate.evidence import DataFacts, Outcome, VerdictFacts
from mlgate.gate import Today, admit
from mlgate.model_version import ModelVersion
from mlgate.policy_file import parse_policy
from mlgate.registry.interface import StoredEvidence
from mlgate.verdict import format_time
from tests.unit.attest.test_statement import flips
from tests.unit.builders import (
    BYTES,
    CHAMPION_BYTES,
    DATA,
    NOW,
    WITH_ACCURACY,
    admissible,
    image,
    with_outcome,
    without_check,
)

KEY, OTHER_KEY = generate(KeyKind.ED25519), generate(KeyKind.ECDSA)
CI = Signer(keyid=KEY.public.keyid, name="ci.pub", public=KEY.public)
SIGNERS = "evidence: {signers: [ci.pub]}\n"
POLICY = parse_policy(f"requires: [cold_start]\n{SIGNERS}")
UNLISTED = parse_policy("requires: [cold_start]\n")
PINNED = parse_policy(f"{WITH_ACCURACY.replace('{data:', f'{{digest: {DATA!r}, data:')}{SIGNERS}")
VERSION = ModelVersion(
    uri="models:/churn/3", name="churn", version="3", model_id="m-1", source_run_id="r-1", location="file:///x"
)
TODAY = Today(
    version=VERSION,
    artifact_digest=BYTES,
    champion_version="2",
    champion_digest=CHAMPION_BYTES,
    now=NOW,
    signers=(CI,),
)
GOOD = admissible(POLICY)
FAILED = replace(
    with_outcome(GOOD, "cold_start.ready", Outcome.FAILED), verdict=VerdictFacts(outcome="failed", reasons=())
)
OTHER = "sha256:" + "c" * 64


def stored(evidence, envelope=None, run_id="run-1"):
    """Evidence as the registry holds it."""
    return StoredEvidence(run_id=run_id, raw=evidence.canonical(), claimed_digest=evidence.digest, envelope=envelope)


def signed(evidence, *keys, about=None, run_id="run-1"):
    """The same, signed; with *about*, the statement is about that instead."""
    return stored(evidence, sign(statement_of(about or evidence), keys or [KEY]), run_id)


def later(evidence, minutes):
    """The evidence of a run that finished so much later."""
    return replace(evidence, finished_at=format_time(NOW - timedelta(hours=1) + timedelta(minutes=minutes)))


def codes(*entries, policy=POLICY, today=TODAY):
    """The codes of the reasons against."""
    return [reason.code for reason in admit(policy, today, entries).reasons]


@pytest.mark.parametrize("keys", [[KEY], [OTHER_KEY, KEY]], ids=["one", "two"])
def test_what_a_listed_signer_signed_admits_and_names_it(keys):
    """In the machine form too; another signature beside it changes nothing."""
    admission = admit(POLICY, TODAY, [signed(GOOD, *keys)])
    assert (admission.admitted, admission.signed, admission.provenance) == (True, True, "signed by ci.pub")
    document = admission.to_json()
    assert (document["signed"], document["signer"], document["keyid"]) == (True, "ci.pub", CI.keyid)


def retyped():
    """A signature by the right key, in an envelope of another type."""
    document = json.loads(signed(GOOD).envelope)
    return json.dumps({**document, "payloadType": "text/plain"}).encode()


def repayloaded():
    """The right key's signature, with another payload put under it."""
    envelope = read_envelope(signed(GOOD).envelope)
    return replace(envelope, payload=envelope.payload.replace(b'"PASSED"', b'"FAILED"')).to_bytes()


def other_format():
    """A statement signed by the right key whose evidence has a format of later."""
    document = json.loads(statement_of(GOOD))
    document["predicate"]["mlgate_evidence"]["document"]["format"] = "mlgate-evidence/99"
    return sign(rfc8785.dumps(document), [KEY])


ELSEWHERE = replace(GOOD, subject=replace(GOOD.subject, version="4", uri="models:/churn/4"))
CASES = {
    "no envelope": (stored(GOOD), "signature_absent"),
    "no JSON": (stored(GOOD, b"{"), "signature_unparsable"),
    "an empty envelope": (stored(GOOD, b""), "signature_unparsable"),
    "an envelope of another type": (stored(GOOD, retyped()), "signature_wrong_type"),
    "a statement of another type": (
        stored(GOOD, sign(statement_of(GOOD).replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v2"), [KEY])),
        "attestation_wrong_type",
    ),
    "another key": (signed(GOOD, OTHER_KEY), "signature_wrong_key"),
    "a payload that was changed": (stored(GOOD, repayloaded()), "signature_other_bytes"),
    "another format of the evidence": (stored(GOOD, other_format()), "attestation_other_format"),
    "a statement about another version": (signed(GOOD, about=ELSEWHERE), "statement_other_version"),
    "a statement about other files": (
        signed(GOOD, about=replace(GOOD, subject=replace(GOOD.subject, artifact_digest=OTHER))), "statement_other_files",
    ),
    "a statement about another policy": (
        signed(GOOD, about=replace(GOOD, policy=replace(GOOD.policy, digest=OTHER))), "statement_other_policy",
    ),
    "a statement about other data": (
        signed(GOOD, about=replace(GOOD, data=DataFacts(source="x.csv", digest=OTHER, rows=5))), "statement_other_data",
    ),
    "a statement about another platform": (
        signed(GOOD, about=replace(GOOD, image=image(platform="linux/arm64"))), "statement_other_image",
    ),
    "a statement about a failure": (signed(GOOD, about=FAILED), "statement_other_result"),
    "a statement about an older run": (signed(later(GOOD, 30), about=GOOD), "statement_other_evidence"),
    "evidence of another version": (signed(ELSEWHERE), "no_evidence"),
    "evidence of other bytes": (
        signed(replace(GOOD, subject=replace(GOOD.subject, artifact_digest=OTHER))), "other_bytes",
    ),
    "evidence of another policy": (signed(replace(GOOD, policy=replace(GOOD.policy, digest=OTHER))), "other_policy"),
    "evidence of another platform": (
        signed(replace(GOOD, image=image(origin="given", model_digest=BYTES, platform="linux/arm64"))), "platform",
    ),
    "a partial run": (signed(replace(GOOD, complete=False)), "partial"),
    "too old": (signed(replace(GOOD, finished_at=format_time(NOW - timedelta(days=8)))), "stale"),
    "from the future": (signed(replace(GOOD, finished_at=format_time(NOW + timedelta(minutes=11)))), "future"),
    "at no time": (signed(replace(GOOD, finished_at="yesterday")), "stale"),
    "a deselected check": (signed(without_check(GOOD, "cold_start.ready")), "absent"),
    "a missing suite": (
        signed(replace(GOOD, suites={"environment": GOOD.suites["environment"]})), "absent",
    ),
    "a failed check": (signed(FAILED), "failed"),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "code"), CASES.values(), ids=CASES)
def test_each_refusal_has_its_own_reason(entry, code):
    """And one sentence."""
    admission = admit(POLICY, TODAY, [entry])
    assert not admission.admitted
    assert {reason.code for reason in admission.reasons} == {code}
    assert all(reason.message and "\n" not in reason.message for reason in admission.reasons)


def test_clocks_may_differ_by_ten_minutes():
    """A runner is ahead of the gate."""
    entry = signed(replace(GOOD, finished_at=format_time(NOW + timedelta(minutes=9))))
    assert admit(POLICY, TODAY, [entry]).admitted


@pytest.mark.parametrize(
    ("standing", "code"),
    [
        ({"expires": NOW.date()}, "signature_expired_key"),
        ({"revoked": date(2026, 1, 1)}, "signature_revoked_key"),
    ],
    ids=["expired", "revoked"],
)
def test_a_key_that_is_believed_no_more_is_refused(standing, code):
    """By the day of the gate."""
    assert codes(signed(GOOD), today=replace(TODAY, signers=(replace(CI, **standing),))) == [code]


def test_data_that_the_policy_pins_is_held_to_its_digest_when_signed_too():
    """A signature says who, and not that it is enough."""
    other = admissible(PINNED, data=DataFacts(source="x.csv", digest=OTHER, rows=5))
    assert codes(signed(other), policy=PINNED) == ["other_data"]


def test_a_list_that_was_not_read_refuses_everything():
    """And keys without a list are a list."""
    assert codes(signed(GOOD), today=replace(TODAY, signers=())) == ["signature_no_signers"]
    assert codes(stored(GOOD), policy=UNLISTED) == ["signature_absent"]


def test_without_signers_unsigned_evidence_admits_and_says_so():
    """An envelope that nobody looks at is not called a signature."""
    today = replace(TODAY, signers=())
    plain, enveloped = admit(UNLISTED, today, [stored(GOOD)]), admit(UNLISTED, today, [stored(GOOD, b"{")])
    assert (plain.admitted, plain.signed, plain.provenance) == (True, False, "unsigned evidence")
    assert (enveloped.admitted, enveloped.signed) == (True, False)
    assert enveloped.provenance == "unsigned evidence: signed, by nobody the policy names"
    assert enveloped.to_json()["signer"] is None


LAPTOPS = {
    "unsigned and failed": stored(later(FAILED, 30), run_id="laptop"),
    "unsigned and passed": stored(later(GOOD, 30), run_id="laptop"),
    "signed with a key of its own": signed(later(FAILED, 30), OTHER_KEY, run_id="laptop"),
    "with the envelope of CI": stored(later(FAILED, 30), signed(GOOD).envelope, run_id="laptop"),
    "unreadable": StoredEvidence(run_id="laptop", raw=b"{}"),
    "partial": stored(replace(later(GOOD, 30), complete=False), run_id="laptop"),
    "dated in the future": stored(later(FAILED, 60 * 24), run_id="laptop"),
}


@pytest.mark.parametrize("laptop", LAPTOPS.values(), ids=LAPTOPS)
def test_a_laptops_run_neither_displaces_nor_unadmits_what_ci_signed(laptop):
    """Whatever it says, and wherever the registry lists it; alone it admits nothing."""
    ci = signed(GOOD, run_id="ci")
    for entries in permutations([laptop, ci]):
        admission = admit(POLICY, TODAY, entries)
        assert (admission.admitted, admission.run_id) == (True, "ci")
    assert not admit(POLICY, TODAY, [laptop]).admitted


def test_a_laptops_pass_does_not_hide_the_failure_that_ci_signed():
    """The other way round."""
    assert codes(stored(later(GOOD, 30), run_id="laptop"), signed(FAILED, run_id="ci")) == ["failed"]


@pytest.mark.parametrize(("newer", "older", "expected"), [(FAILED, GOOD, ["failed"]), (GOOD, FAILED, [])])
def test_of_two_signed_runs_the_newer_counts_in_whatever_order_they_are_listed(newer, older, expected):
    """A copy of an old pass in a new run of the registry is still the old pass."""
    entries = signed(later(newer, 30), run_id="newer"), signed(older, run_id="older")
    for order in permutations(entries):
        assert admit(POLICY, TODAY, order).run_id == "newer"
        assert codes(*order) == expected


def test_of_two_that_finished_together_the_one_that_does_not_pass_counts():
    """One answer, whichever the registry lists first."""
    entries = signed(GOOD, run_id="good"), signed(FAILED, run_id="bad")
    for order in permutations(entries):
        assert admit(POLICY, TODAY, order).run_id == "bad"


def test_where_nobody_is_believed_the_newest_reason_comes_first():
    """Each reason once."""
    entries = signed(GOOD, OTHER_KEY), stored(GOOD), stored(GOOD), signed(replace(GOOD, complete=False))
    assert codes(*entries) == ["signature_wrong_key", "signature_absent", "partial"]
    assert admit(POLICY, TODAY, entries).provenance == "no accepted signature"
    assert admit(POLICY, TODAY, entries[1:2]).provenance == "unsigned evidence"
    # A signed run of another version must not be called unsigned, nor what is not there.
    elsewhere = signed(replace(GOOD, subject=replace(GOOD.subject, version="4", uri="models:/churn/4")))
    assert {admit(POLICY, TODAY, found).provenance for found in ([elsewhere], [])} == {"no evidence that counts"}


def test_no_leaf_of_a_good_statement_can_be_flipped():
    """Neither under the old signature, nor signed again, nor with the digest inside made to fit."""
    good = read_envelope(signed(GOOD).envelope)
    document = json.loads(good.payload)
    seen = 0
    for where, other in flips(document):
        raw = rfc8785.dumps(other)
        forged = replace(good, payload=raw).to_bytes()
        assert codes(stored(GOOD, forged)) == ["signature_other_bytes"], where
        (code,) = codes(stored(GOOD, sign(raw, [KEY])))
        assert code.startswith(("statement_other_", "attestation_")), where
        seen += 1
    for where, other in flips(document["predicate"]["mlgate_evidence"]["document"]):
        fitted = copy.deepcopy(document)
        digest = hashlib.sha256(rfc8785.dumps(other)).hexdigest()
        fitted["predicate"]["mlgate_evidence"] = {"digest": {"sha256": digest}, "document": other}
        assert not admit(POLICY, TODAY, [stored(GOOD, sign(rfc8785.dumps(fitted), [KEY]))]).admitted, where
        seen += 1
    assert seen > 800


def test_who_vouches_is_said_by_one_function():
    """The gate's, the report's and the status's answer are the same."""
    assert vouching(signed(GOOD).envelope, GOOD, [CI], NOW) is CI
    assert vouching(None, GOOD, [CI], NOW).code == "signature_absent"
