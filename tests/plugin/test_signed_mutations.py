"""The statement that a real run signs, with each leaf of it changed: unsigned, signed again, and with its digest made to fit."""

import copy
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import rfc8785

from mlgate.attest.dsse import read_envelope, sign
from mlgate.attest.key_files import read_signers, write_pair
from mlgate.attest.keys import KeyKind, generate
from mlgate.evidence import Evidence
from mlgate.gate import Today, admit
from mlgate.policy_file import load_policy

MLGATE_EVIDENCE = "mlgate_evidence"


@pytest.fixture
def key(gated, monkeypatch):
    """The pipeline's key, whose public half the policy lists."""
    here, key = gated.pytester.path, generate(KeyKind.ED25519)
    write_pair(key, private=here / "ci.key", public=here / "ci.pub", passphrase=None)
    monkeypatch.setenv("MLGATE_SIGNING_KEY", str(here / "ci.key"))
    monkeypatch.setenv("CI_JOB_URL", "https://git.example.org/churn/-/jobs/1")
    gated.policy("schema", more="evidence: {signers: [ci.pub]}")
    return key


@pytest.fixture
def gate(gated, key):
    """The gate over what a real run stored: takes another envelope, and evidence, in the place of the run's own."""
    for _ in range(2):
        gated.register()
    gated.world.registry.set_alias("churn", "champion", "2")
    result = gated.run()
    assert result.ret == 0, result.outlines
    registry = gated.world.registry
    (stored,) = registry.evidence("churn")
    evidence = Evidence.from_bytes(stored.raw)
    policy = load_policy(gated.pytester.path / "mlgate.yaml")
    champion = evidence.champion
    today = Today(
        version=registry._models["churn"]["1"].version,
        artifact_digest=evidence.subject.artifact_digest,
        champion_version=champion.version,
        champion_digest=champion.artifact_digest,
        now=datetime.now(UTC),
        signers=tuple(read_signers(policy.values.evidence.signers, policy.folder)),
    )

    def decide(**changes):
        return admit(policy, today, [replace(stored, **changes)])

    decide.stored = stored
    assert decide().admitted, decide().reasons
    return decide


def changed(value):
    """Return a value of the same type and form that is another one."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value[:-1] + ("0" if value[-1:] != "0" else "1")
        case _:
            return "x"


def leaves(value, where=""):
    """Yield the place of each leaf, and the whole document with that leaf changed; an empty list or object is a leaf."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner and isinstance(value, (dict, list)):
        yield where, {"extra": 1} if isinstance(value, dict) else ["extra"]
    elif not inner:
        yield where, changed(value)
    for name, part in list(inner):
        for place, other in leaves(part, f"{where}.{name}"):
            whole = copy.copy(value)
            whole[name] = other
            yield place, whole


def test_no_leaf_of_what_a_real_run_signed_can_be_changed(gate, key):
    """Under the old signature the bytes tell; signed again with the very key that the policy lists, the evidence does."""
    good = read_envelope(gate.stored.envelope)
    document = json.loads(good.payload)
    places = []
    for where, other in leaves(document):
        raw = rfc8785.dumps(other)
        (unsigned,) = gate(envelope=replace(good, payload=raw).to_bytes()).reasons
        assert unsigned.code == "signature_other_bytes", where
        places.append(where)
        if where.startswith(f".predicate.{MLGATE_EVIDENCE}.document."):
            continue  # signed again below, with its digest made to fit
        (signed,) = gate(envelope=sign(raw, [key])).reasons
        assert signed.code.startswith(("statement_other_", "attestation_")), where
    inside = document["predicate"][MLGATE_EVIDENCE]["document"]
    for where, other in leaves(inside):
        fitted = copy.deepcopy(document)
        digest = hashlib.sha256(rfc8785.dumps(other)).hexdigest()
        fitted["predicate"][MLGATE_EVIDENCE] = {"digest": {"sha256": digest}, "document": other}
        (reason,) = gate(envelope=sign(rfc8785.dumps(fitted), [key])).reasons
        assert reason.code.startswith(("statement_other_", "attestation_")), where
    # Every section of statement and evidence was walked, down to the files and the findings.
    assert len(places) > 150
    for part in (
        *(f"predicate.{MLGATE_EVIDENCE}.document.{section}" for section in inside),
        "subject.3",
        "predicateType",
    ):
        assert any(place.startswith(f".{part}") for place in places), part


def test_no_leaf_of_the_stored_evidence_can_be_changed_beside_its_envelope(gate):
    """The other half: evidence.json and the run's tag rewritten together, as anybody may who writes to the registry."""
    seen = 0
    for where, other in leaves(json.loads(gate.stored.raw)):
        raw = rfc8785.dumps(other)
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        assert not gate(raw=raw, claimed_digest=digest).admitted, where
        seen += 1
    assert seen > 100


def test_no_field_of_the_envelope_can_be_changed_but_the_hint(gate, key):
    """`keyid` only says which key to try first; type, payload and signature are what is signed."""
    document = json.loads(gate.stored.envelope)
    codes = {}
    for where, other in leaves(document):
        admission = gate(envelope=json.dumps(other).encode())
        codes[where] = None if admission.admitted else admission.reasons[0].code
    assert codes.pop(".signatures.0.keyid") is None
    assert set(codes) == {".payload", ".payloadType", ".signatures.0.sig"}
    assert all(codes.values())
