"""A model directory against its signed statement: every way not to be what was tested has its own word."""

import os
from dataclasses import replace
from datetime import date, timedelta

import pytest

from mlgate.artifacts.digest import files_digest
from mlgate.attest.directory import MAX_NAMED, Expected, Vouched, name_reasons, vouched
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.attest.statement import TestResult as Result
from mlgate.errors import ModelDirectoryError
from mlgate.evidence import Outcome, VerdictFacts
from mlgate.policy_file import parse_policy
from mlgate.verification import verify_directory
from tests.unit.attest.delivered import FILES, POLICY_TEXT, evidence_about, flip, signed, written
from tests.unit.builders import NOW, result, with_check, with_outcome

KEY = generate(KeyKind.ED25519)
SIGNER = Signer(keyid=KEY.public.keyid, name="ci.pub", public=KEY.public)
FAILED = VerdictFacts(outcome="failed", reasons=("cold_start.ready: 9 s > 5 s",))


@pytest.fixture
def model(tmp_path):
    """A directory that passed an hour ago, and its envelope beside it."""
    directory = written(tmp_path / "model")
    deliver(directory)
    return directory


def evidence_of(directory, **changes):
    """What the run said of the directory as it is."""
    return evidence_about(directory, now=NOW, **changes)


def deliver(directory, raw=None, **changes):
    """Put an envelope beside the directory, about what it holds now."""
    raw = signed(evidence_of(directory, **changes), KEY) if raw is None else raw
    (directory.parent / "evidence.dsse.json").write_bytes(raw)


def expected(**changes):
    """What has to hold, by default: the one signer."""
    return Expected(**{"signers": (SIGNER,), "now": NOW, **changes})


def found(directory, **changes):
    """What the verification found."""
    return verify_directory(directory, expected(**changes))


def codes(directory, **changes):
    """Why it is refused, which it has to be."""
    verification = found(directory, **changes)
    assert not verification.verified
    assert all(reason.message for reason in verification.reasons)
    return [reason.code for reason in verification.reasons]


def test_the_files_that_were_tested_are_verified(model):
    """With who vouches for them, and the digest that was computed here."""
    verification = found(model)
    assert verification.verified
    assert verification.signer is SIGNER
    assert verification.artifact_digest == evidence_of(model).subject.artifact_digest


@pytest.mark.parametrize("name", list(FILES))
def test_one_flipped_bit_in_any_file_is_refused_by_its_name(model, name):
    """With size and time as before."""
    flip(model / name)
    (reason,) = found(model).reasons
    assert (reason.code, reason.message.split()[0]) == ("changed_file", name)


def test_a_file_that_is_missing_and_one_that_was_never_tested_are_both_named(model):
    """A file beside the tested ones is code that nobody has tried."""
    (model / "model.pkl").unlink()
    (model / "code" / "sitecustomize.py").write_text("import os\n")
    assert [(reason.code, reason.message.split()[0]) for reason in found(model).reasons] == [
        ("missing_file", "model.pkl"),
        ("extra_file", "code/sitecustomize.py"),
    ]


def test_two_files_with_each_others_content_are_refused(model):
    """The set of digests is the same; which file has which is not."""
    one, other = model / "code/a/x.py", model / "code/a-b/x.py"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    assert codes(model) == ["changed_file", "changed_file"]


def test_evidence_with_another_artifact_digest_is_refused(model):
    """A statement whose digest is not that of its files; and one that fits, with a size that is not the file's."""
    subject = evidence_of(model).subject
    other = replace(subject, artifact_digest="sha256:" + "9" * 64)
    deliver(model, signed(replace(evidence_of(model), subject=other), KEY))
    assert codes(model) == ["statement_other_files"]
    files = tuple(replace(file, size=file.size + 1) for file in subject.files)
    resized = replace(subject, files=files, artifact_digest=files_digest(files))
    deliver(model, signed(replace(evidence_of(model), subject=resized), KEY))
    assert codes(model) == ["other_bytes"]


def test_many_other_files_are_one_line_with_their_number(model):
    """A log of a pod's start stays readable."""
    statement = vouched((model.parent / "evidence.dsse.json").read_bytes(), expected(), place="")
    assert isinstance(statement, Vouched)
    reasons = name_reasons(statement.statement, [*FILES, *(f"{n:03}" for n in range(MAX_NAMED + 5))])
    assert len(reasons) == MAX_NAMED + 1
    assert reasons[-1].message == "each of 5 more files is there and was never tested"


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "link").symlink_to("MLmodel"),
        lambda model: (model / "outside").symlink_to("/etc"),
        lambda model: os.mkfifo(model / "fifo"),
        lambda model: (model / "a\nb").write_text("two lines"),
    ],
)
def test_what_is_no_plain_file_is_refused(model, change):
    """A link's target can change after the check; a fifo would be waited for."""
    change(model)
    assert codes(model) == ["unsafe_files"]


def test_a_tested_file_that_became_a_link_to_the_same_bytes_is_refused(model):
    """Same content now, and somebody else's to change."""
    (model / "model.pkl").rename(model.parent / "elsewhere")
    (model / "model.pkl").symlink_to(model.parent / "elsewhere")
    assert codes(model) == ["unsafe_files"]


def test_an_old_pass_of_other_bytes_is_refused(model):
    """A replay: the envelope is good, and about another model."""
    raw = (model.parent / "evidence.dsse.json").read_bytes()
    (model / "model.pkl").write_bytes(b"other weights")
    deliver(model, raw)
    assert codes(model) == ["changed_file"]


def test_an_old_version_with_its_own_envelope_is_refused_where_one_is_asked_for(model):
    """A downgrade: everything fits, and it is not the version that should be served."""
    assert found(model, uri="models:/churn/3").verified
    assert codes(model, uri="models:/churn/4") == ["other_version"]


def test_an_empty_directory_with_evidence_about_nothing_is_refused(tmp_path):
    """Everything that is there was tested, and there is nothing."""
    empty = written(tmp_path / "model", {})
    deliver(empty)
    assert codes(empty) == ["no_files"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signers": ()}, "signature_no_signers"),
        ({"signers": (replace(SIGNER, expires=date(2026, 11, 23)),)}, "signature_expired_key"),
        ({"signers": (replace(SIGNER, revoked=date(2026, 11, 1)),)}, "signature_revoked_key"),
        ({"max_age_s": 3599.0}, "stale"),
        ({"now": NOW - timedelta(hours=2)}, "future"),
    ],
)
def test_who_may_sign_and_how_old_it_may_be_is_for_the_pod_to_say(model, changes, code):
    """Each with its own reason."""
    assert codes(model, **changes) == [code]


def test_a_pod_that_starts_long_after_the_gate_is_verified_unless_it_sets_an_age(model):
    """A node that fails in a year must not take the model with it."""
    assert found(model, now=NOW + timedelta(days=365)).verified
    assert found(model, max_age_s=3600.0).verified


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b"[]", b'{"payload": 1}'])
def test_an_envelope_that_is_none_is_refused(model, raw):
    """Whatever lies there."""
    deliver(model, raw)
    assert codes(model) == ["signature_unparsable"]


def test_a_key_that_nobody_lists_is_refused(model):
    """Anybody can sign."""
    deliver(model, signed(evidence_of(model), generate(KeyKind.ECDSA)))
    assert codes(model) == ["signature_wrong_key"]


def test_no_envelope_says_where_it_was_looked_for(model):
    """Both places."""
    (model.parent / "evidence.dsse.json").unlink()
    (reason,) = found(model).reasons
    assert reason.code == "signature_absent"
    assert f"{model.parent / 'evidence.dsse.json'} or {model.parent / 'model.dsse.json'}" in reason.message


def test_the_envelope_lies_beside_the_directory_or_has_its_name_or_is_named(model, monkeypatch):
    """In this order; a folder is where the gate run's files are."""
    beside = model.parent / "evidence.dsse.json"
    named = beside.rename(model.parent / "model.dsse.json")
    assert found(model).envelope == named
    folder = model.parent / "gate"
    folder.mkdir()
    moved = named.rename(folder / "evidence.dsse.json")
    assert codes(model) == ["signature_absent"]
    for envelope in (folder, moved):
        verification = verify_directory(model, expected(), envelope=envelope)
        assert (verification.verified, verification.envelope) == (True, moved)
    moved.rename(beside)
    monkeypatch.chdir(model)
    assert verify_directory(type(model)(), expected()).verified


def test_an_envelope_behind_a_link_is_read(model):
    """That is how a cluster mounts a ConfigMap."""
    beside = model.parent / "evidence.dsse.json"
    beside.symlink_to(beside.rename(model.parent / "..data"))
    assert found(model).verified


def test_an_envelope_that_can_not_be_read_is_refused(model, monkeypatch):
    """Not taken for one that is absent, of which there might be a second."""

    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlgate.verification._read", denied)
    assert codes(model) == ["signature_unreadable"]


def test_an_envelope_whose_name_no_file_can_have_is_refused(model):
    """One line, and no traceback."""
    verification = verify_directory(model, expected(), envelope=model / ("n" * 300))
    assert [reason.code for reason in verification.reasons] == ["signature_unreadable"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"verdict": FAILED}, "not_passed"),
        ({"verdict": VerdictFacts(outcome="inconclusive", reasons=())}, "not_passed"),
        ({"complete": False}, "partial"),
        ({"suites": {}}, "nothing_passed"),
        ({"finished_at": "yesterday"}, "stale"),
    ],
)
def test_a_run_that_did_not_pass_is_refused_though_signed(model, changes, code):
    """A signature says who said it, not that it is good news."""
    deliver(model, signed(replace(evidence_of(model), **changes), KEY))
    assert codes(model) == [code]


def test_a_failed_run_says_why_it_failed(model):
    """The first reason of the run itself."""
    deliver(model, verdict=FAILED)
    (reason,) = found(model).reasons
    assert reason.message == "models:/churn/3 did not pass: cold_start.ready: 9 s > 5 s"


def test_a_statement_that_says_more_than_its_evidence_is_refused(model):
    """Also from a listed signer: the two were made by something else than a gate run."""
    raw = signed(evidence_of(model, verdict=FAILED), KEY, result=Result.PASSED)
    deliver(model, raw)
    assert codes(model) == ["statement_other_result"]


def test_a_tested_directory_that_is_no_registered_version_is_refused(model):
    """As the gate does."""
    evidence = evidence_of(model)
    subject = replace(evidence.subject, name=None, version=None, uri="/work/model")
    deliver(model, signed(replace(evidence, subject=subject), KEY))
    assert codes(model) == ["not_registered"]


def test_a_check_that_only_advises_refuses_nothing(model):
    """WARNED is what the gate admits, so a pod of it has to start."""
    late = result("cold_start.hint", Outcome.FAILED, details={"advisory": True})
    deliver(model, signed(with_check(evidence_of(model), "cold_start", late), KEY))
    verification = found(model)
    assert (verification.verified, verification.statement.result) == (True, Result.WARNED)


def test_the_files_are_not_read_where_the_envelope_refuses(model, monkeypatch):
    """A pod that starts again and again would read all of them each time."""

    def read(*_, **__):
        raise AssertionError("read")

    monkeypatch.setattr("mlgate.verification.digest_files", read)
    deliver(model, verdict=FAILED)
    assert codes(model) == ["not_passed"]
    deliver(model)
    (model / "more").write_text("")
    assert codes(model) == ["extra_file"]


def test_a_policy_judges_again_by_its_own_list(model):
    """And not by the verdict that the run wrote down."""
    policy = parse_policy(POLICY_TEXT)
    assert found(model, policy=policy).verified
    failed = with_outcome(evidence_of(model), "cold_start.ready", Outcome.FAILED)
    deliver(model, signed(failed, KEY))
    assert codes(model, policy=policy) == ["failed"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("requires: [cold_start]\nmodel: fraud\n", "other_model"),
        ("requires: [load]\n", "other_policy"),
        ("requires: [cold_start]\nevidence: {max_age: 59m}\n", "stale"),
    ],
)
def test_a_policy_that_the_evidence_does_not_meet_refuses(model, text, code):
    """Each with the gate's own word."""
    assert codes(model, policy=parse_policy(text)) == [code]


def test_a_policy_refuses_a_sandbox_that_it_does_not_list(model):
    """As the gate does: a plain process contains nothing."""
    evidence = evidence_of(model)
    deliver(model, signed(replace(evidence, sandbox=replace(evidence.sandbox, kind="process")), KEY))
    assert codes(model, policy=parse_policy(POLICY_TEXT)) == ["sandbox"]


def test_an_age_of_the_pods_own_takes_the_place_of_the_policys(model):
    """Seven days are right for a promotion and not for a pod."""
    old, policy = NOW + timedelta(days=30), parse_policy(POLICY_TEXT)
    assert codes(model, policy=policy, now=old) == ["stale"]
    assert found(model, policy=policy, now=old, max_age_s=90 * 86400.0).verified


@pytest.mark.parametrize("name", ["missing", "file", "n" * 300])
def test_a_directory_that_is_none_is_a_wrong_call(tmp_path, name):
    """Nothing to decide about."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelDirectoryError, match="is no directory"):
        found(tmp_path / name)
