"""Statements: what they say follows from the evidence, and any other word is seen."""

import copy
import hashlib
import json
from contextlib import suppress
from dataclasses import replace

import pytest
import rfc8785
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.v1.statement import Statement as TheirStatement
from in_toto_attestation.v1.statement_pb2 import Statement as TheirMessage

from mlgate.attest.agreement import Disagreement, agrees
from mlgate.attest.dsse import read_envelope, sign
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.attest.statement import (
    MAX_STATEMENT_BYTES,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    TestResult,
    read_statement,
    statement_about,
    statement_of,
)
from mlgate.attest.untrusted import AttestationError, Flaw
from mlgate.attest.verification import Accepted, Refusal, verify
from mlgate.errors import EvidenceError
from mlgate.evidence import Cause, Evidence, Outcome, VerdictFacts
from mlgate.verdict import VerdictOutcome
from tests.unit.builders import FULL_POLICY, NOW, admissible, findings, result, suites, text, with_check, with_outcome

KEY = generate(KeyKind.ED25519)
SIGNERS = [Signer(keyid=KEY.public.keyid, name="ci.pub", public=KEY.public)]
FIRST_CHECK = "environment.install"


@pytest.fixture(scope="module")
def document(evidence):
    """The good statement, parsed."""
    return json.loads(statement_of(evidence))


def test_the_statement_says_what_was_tested_how_and_with_what_result(evidence, document):
    """Every field that the two specifications name."""
    assert document["_type"] == STATEMENT_TYPE == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == PREDICATE_TYPE == "https://in-toto.io/attestation/test-result/v0.1"
    names = [subject["name"] for subject in document["subject"]]
    assert names == ["models:/churn/3", "MLmodel", "a/model.pkl", "a-b/model.pkl", "image", "image manifest"]
    assert document["subject"][1]["digest"] == {"sha256": "0" * 64}
    predicate = document["predicate"]
    assert predicate["result"] == "PASSED"
    assert {"name": "policy", "digest": {"sha256": evidence.policy.digest[7:]}} in predicate["configuration"]
    assert [item["name"] for item in predicate["configuration"]] == ["policy", "evaluation data", "champion", "recipe"]
    assert predicate["url"] == "https://git.example.org/churn/-/jobs/1"
    assert predicate["passedTests"] == sorted(check.key for check in evidence.checks())
    assert predicate["warnedTests"] == predicate["failedTests"] == []
    assert predicate["mlgate_evidence"]["digest"] == {"sha256": evidence.digest[7:]}
    assert predicate["mlgate_evidence"]["document"] == json.loads(evidence.canonical())


def test_the_published_bindings_of_in_toto_take_the_statement(evidence):
    """An independent reader, with the checks that its specification asks for."""
    message = json_format.Parse(statement_of(evidence), TheirMessage())
    TheirStatement.copy_from_pb(message).validate()
    assert message.subject[0].name == "models:/churn/3"


def test_the_statement_is_canonical_and_reads_back(evidence):
    """The same bytes from memory, and from a file that was read."""
    raw = statement_of(evidence)
    assert rfc8785.dumps(json.loads(raw)) == raw
    assert read_statement(raw) == statement_about(evidence)
    assert statement_of(Evidence.from_bytes(evidence.canonical())) == raw
    assert agrees(read_statement(raw), evidence) is None


@given(suites, text, st.dictionaries(text, text, max_size=2))
def test_whatever_a_model_did_the_evidence_can_be_signed_and_agrees(found, policy_text, ci):
    """A fuzzer's text and numbers too."""
    base = admissible(FULL_POLICY)
    evidence = replace(base, suites=found, policy=replace(base.policy, text=policy_text), ci=ci)
    raw = statement_of(evidence)
    assert read_statement(raw).canonical() == raw
    assert agrees(read_statement(raw), evidence) is None


@given(st.sampled_from(Outcome), findings)
def test_no_run_that_did_not_pass_is_called_passed(outcome, finding):
    """The predicate has three words, and ours for "undecided" is not among them."""
    base = with_outcome(admissible(FULL_POLICY), FIRST_CHECK, outcome)
    undecided = replace(base, verdict=VerdictFacts(outcome="inconclusive", reasons=()))
    evidence = with_check(undecided, "load", replace(result("own.check"), finding=finding))
    statement = statement_about(evidence)
    assert statement.result is TestResult.FAILED
    assert (FIRST_CHECK in statement.passed) == (outcome is Outcome.PASSED)
    assert (FIRST_CHECK in statement.failed) == (outcome is not Outcome.PASSED)


def test_a_check_that_failed_where_it_may_is_a_warning(evidence):
    """A reader of the predicate alone sees it."""
    other = with_check(evidence, "own", result("own.check", Outcome.FAILED))
    statement = statement_about(other)
    assert (statement.result, statement.warned, statement.failed) == (TestResult.WARNED, ("own.check",), ())
    advice = with_check(evidence, "own", result("own.check", Outcome.FAILED, details={"advisory": True}))
    refused = statement_about(replace(advice, verdict=VerdictFacts(outcome="failed", reasons=())))
    assert (refused.result, refused.warned, refused.failed) == (TestResult.FAILED, ("own.check",), ())


def test_a_partial_run_has_not_passed(evidence):
    """Whatever its verdict says."""
    assert statement_about(replace(evidence, complete=False)).result is TestResult.FAILED


def test_what_a_run_did_not_have_is_left_out(evidence):
    """A plain process: no image, no data, no champion, no pipeline."""
    bare = replace(evidence, image=None, data=None, champion=None, ci={})
    found = json.loads(statement_of(bare))
    assert [item["name"] for item in found["predicate"]["configuration"]] == ["policy"]
    assert len(found["subject"]) == 4
    assert "url" not in found["predicate"]


def test_a_url_is_one_of_the_web_or_none(evidence):
    """A reader may make a link of it."""
    assert statement_about(replace(evidence, ci={"CI_JOB_URL": "javascript:alert(1)"})).url is None


def other_words(value):
    """Yield every other word of the closed set that *value* is from: a word of none is found by reading already."""
    for words in (TestResult, Outcome, Cause, VerdictOutcome):
        if value in set(words):
            yield from ((f" {word}", str(word)) for word in words if word != value)


def flips(value):
    """Yield every value that differs from *value* in one place, and where; the digests stay well-formed."""
    match value:
        case dict():
            for key, inner in value.items():
                yield f".{key} removed", {name: part for name, part in value.items() if name != key}
                for where, other in flips(inner):
                    yield f".{key}{where}", {**value, key: other}
            yield ".* added", {**value, "extra": 1}
        case list():
            for index, inner in enumerate(value):
                yield f"[{index}] removed", [*value[:index], *value[index + 1 :]]
                yield f"[{index}] twice", [*value[:index], inner, *value[index:]]
                for where, other in flips(inner):
                    yield f"[{index}]{where}", [*value[:index], other, *value[index + 1 :]]
            yield " added", [*value, "extra"]
            yield " emptied", [] if value else ["extra"]
            if value != value[::-1]:
                yield " reversed", value[::-1]
        case bool():
            yield " flipped", not value
        case int() | float():
            yield " + 1", value + 1
            yield " as text", str(value)
        case str():
            yield from other_words(value)
            yield " longer", f"{value}x"
            yield " emptied", "" if value else "x"
            if value:
                yield " last", value[:-1] + ("0" if value[-1] != "0" else "1")
        case None:
            yield " given", "x"
            yield " counted", 1


def outcome_of(raw, evidence):
    """How a signed statement is refused: by reading, by agreement, or not at all."""
    try:
        statement = read_statement(raw)
    except AttestationError as error:
        return error.flaw
    reason = agrees(statement, evidence)
    return None if reason is None else reason.code


def test_no_field_of_a_good_statement_can_be_flipped(evidence, document):
    """Unsigned, the signature tells; signed again by the right key, the evidence does. There is no exception."""
    good = read_envelope(sign(statement_of(evidence), [KEY]))
    seen = 0
    for where, other in flips(document):
        raw = rfc8785.dumps(other)
        forged = replace(good, payload=raw).to_bytes()
        assert verify(forged, SIGNERS, NOW).code is Refusal.OTHER_BYTES, where
        signed = verify(sign(raw, [KEY]), SIGNERS, NOW)
        assert isinstance(signed, Accepted), where
        assert outcome_of(signed.payload, evidence) is not None, where
        seen += 1
    assert seen > 500


def test_no_field_of_the_evidence_inside_can_be_flipped_with_its_digest(evidence, document):
    """The digest made to fit: reading it has nothing to say any more, and the evidence beside it still has."""
    codes = set()
    for where, other in flips(document["predicate"]["mlgate_evidence"]["document"]):
        forged = copy.deepcopy(document)
        digest = hashlib.sha256(rfc8785.dumps(other)).hexdigest()
        forged["predicate"]["mlgate_evidence"] = {"digest": {"sha256": digest}, "document": other}
        found = outcome_of(rfc8785.dumps(forged), evidence)
        assert found is not None, where
        codes.add(found)
    # Every section that has a word of its own was told by it.
    assert codes >= set(Disagreement)


def evidence_flips(evidence):
    """Yield evidence that differs from *evidence* in one place, and where: what still reads as evidence."""
    for where, other in flips(json.loads(evidence.canonical())):
        with suppress(EvidenceError):
            yield where, Evidence.from_json(other)


def test_a_whole_statement_about_other_evidence_is_refused(evidence):
    """A true statement, signed by the right key, about a run that differs in a single field."""
    seen = 0
    for where, other in evidence_flips(evidence):
        if other.canonical() == evidence.canonical():
            continue
        if where.startswith(".subject.files[") and ".sha256 " in where and not where.endswith(" last"):
            with pytest.raises(AttestationError, match="64 digits"):
                statement_of(other)
            continue
        assert agrees(read_statement(statement_of(other)), evidence) is not None, where
        seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda e: replace(e, subject=replace(e.subject, version="4")), Disagreement.VERSION),
        (lambda e: replace(e, subject=replace(e.subject, uri="models:/churn/4")), Disagreement.VERSION),
        (lambda e: replace(e, subject=replace(e.subject, files=e.subject.files[1:])), Disagreement.FILES),
        (lambda e: replace(e, subject=replace(e.subject, artifact_digest="sha256:" + "9" * 64)), Disagreement.FILES),
        (lambda e: replace(e, image=replace(e.image, image_digest="sha256:" + "9" * 64)), Disagreement.IMAGE),
        (lambda e: replace(e, image=replace(e.image, registry_digest="")), Disagreement.IMAGE),
        (lambda e: replace(e, image=replace(e.image, platform="linux/arm64")), Disagreement.IMAGE),
        (lambda e: replace(e, policy=replace(e.policy, digest="sha256:" + "9" * 64)), Disagreement.POLICY),
        (lambda e: replace(e, policy=replace(e.policy, text="#")), Disagreement.POLICY),
        (lambda e: replace(e, data=replace(e.data, digest="sha256:" + "9" * 64)), Disagreement.DATA),
        (lambda e: replace(e, data=replace(e.data, rows=1)), Disagreement.DATA),
        (lambda e: replace(e, data=None), Disagreement.DATA),
        (lambda e: replace(e, champion=None), Disagreement.CHAMPION),
        (lambda e: with_outcome(e, FIRST_CHECK, Outcome.FAILED), Disagreement.RESULT),
        (lambda e: replace(e, complete=False), Disagreement.RESULT),
        (lambda e: replace(e, verdict=VerdictFacts(outcome="failed", reasons=())), Disagreement.RESULT),
        (lambda e: replace(e, ci={}), Disagreement.RUN),
        (lambda e: replace(e, seed=8), Disagreement.EVIDENCE),
        (lambda e: replace(e, finished_at="2026-11-23T11:00:01Z"), Disagreement.EVIDENCE),
    ],
)
def test_a_statement_about_something_else_is_refused_in_words_of_its_own(evidence, change, code):
    """Another version, other files, another image, another policy, other data, another result."""
    reason = agrees(read_statement(statement_of(change(evidence))), evidence)
    assert reason.code == code
    assert "differs" in reason.message


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: p.update(result="WARNED"), Disagreement.RESULT),
        (lambda p: p["passedTests"].pop(), Disagreement.RESULT),
        (lambda p: p["warnedTests"].append(FIRST_CHECK), Disagreement.RESULT),
        (lambda p: p["failedTests"].append(FIRST_CHECK), Disagreement.RESULT),
        (lambda p: p.pop("url"), Disagreement.RUN),
        (lambda p: p["configuration"].reverse(), Disagreement.EVIDENCE),
        (lambda p: p["configuration"].pop(0), Disagreement.POLICY),
        (lambda p: p["configuration"][1]["digest"].update(sha256="0" * 64), Disagreement.DATA),
        (lambda p: p["configuration"].append({"name": "x", "digest": {"sha256": "0" * 64}}), Disagreement.EVIDENCE),
    ],
)
def test_a_predicate_that_says_otherwise_than_its_evidence_is_refused(document, evidence, change, code):
    """Good in form, with the true evidence inside; a reader of the predicate alone would be misled."""
    other = copy.deepcopy(document)
    change(other["predicate"])
    assert agrees(read_statement(rfc8785.dumps(other)), evidence).code == code


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), Flaw.WRONG_TYPE),
        (lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"), Flaw.WRONG_TYPE),
        (lambda d: d["predicate"].update(result="passed"), Flaw.WRONG_VALUE),
        (lambda d: d["predicate"].update(configuration=[]), Flaw.WRONG_VALUE),
        (lambda d: d["predicate"].pop("configuration"), Flaw.MISSING_FIELD),
        (lambda d: d["predicate"].update(url=None), Flaw.NOT_CANONICAL),
        (lambda d: d["predicate"].update(more=1), Flaw.UNKNOWN_FIELD),
        (lambda d: d.update(subject=[]), Flaw.WRONG_VALUE),
        (lambda d: d["subject"][0]["digest"].update(sha256="AB" * 32), Flaw.WRONG_VALUE),
        (lambda d: d["subject"][0]["digest"].update(sha512="0"), Flaw.UNKNOWN_FIELD),
        (lambda d: d["predicate"]["mlgate_evidence"]["digest"].update(sha256="0" * 64), Flaw.WRONG_DIGEST),
        (lambda d: d["predicate"]["mlgate_evidence"]["document"].update(format="mlgate-evidence/2"), Flaw.OTHER_FORMAT),
        (lambda d: d["predicate"]["mlgate_evidence"].update(document=None), Flaw.OTHER_FORMAT),
        (lambda d: d["predicate"]["mlgate_evidence"]["document"].pop("seed"), Flaw.WRONG_VALUE),
    ],
)
def test_a_statement_that_is_not_ours_is_refused_with_its_reason(document, change, flaw):
    """By reading alone."""
    other = copy.deepcopy(document)
    change(other)
    with pytest.raises(AttestationError) as refused:
        read_statement(rfc8785.dumps(other))
    assert refused.value.flaw is flaw


def test_a_statement_has_one_spelling(evidence, document):
    """Spaces, another order and escapes would be other bytes with the same meaning."""
    raw = statement_of(evidence)
    for other in (raw + b"\n", json.dumps(document).encode(), raw.replace(b"churn", b"ch\\u0075rn")):
        assert json.loads(other) == document
        with pytest.raises(AttestationError) as refused:
            read_statement(other)
        assert refused.value.flaw is Flaw.NOT_CANONICAL


def test_a_key_that_stands_twice_is_refused_deep_inside(evidence):
    """Two readers would believe two different ones."""
    raw = statement_of(evidence).replace(b'"seed":7', b'"seed":7,"seed":7')
    with pytest.raises(AttestationError, match="'seed' twice") as refused:
        read_statement(raw)
    assert refused.value.flaw is Flaw.DUPLICATE_KEY


def test_what_no_gate_would_read_is_not_stated(evidence):
    """Too deep and too large are found by the run, not by the gate."""
    deep = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(AttestationError) as refused:
        statement_of(with_check(evidence, "own", result("own.check", details={"deep": deep})))
    assert refused.value.flaw is Flaw.TOO_DEEP
    large = "x" * (MAX_STATEMENT_BYTES + 1)
    with pytest.raises(AttestationError) as refused:
        statement_of(replace(evidence, policy=replace(evidence.policy, text=large)))
    assert refused.value.flaw is Flaw.TOO_LARGE


@given(st.binary(max_size=200))
def test_random_bytes_are_no_statement_and_raise_nothing_else(raw):
    """Our own error, or nothing."""
    with pytest.raises(AttestationError):
        read_statement(raw)


GOOD = statement_of(admissible(FULL_POLICY))


@given(st.data())
def test_a_mutated_statement_raises_our_own_error_or_disagrees(data):
    """Bytes replaced, inserted or cut anywhere."""
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 8)))
    raw = GOOD[:start] + data.draw(st.binary(max_size=8)) + GOOD[end:]
    assert (outcome_of(raw, admissible(FULL_POLICY)) is None) == (raw == GOOD)
