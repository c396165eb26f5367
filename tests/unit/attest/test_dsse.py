"""DSSE: as the specification writes it, as another implementation reads it, and nothing else."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from mlgate.attest.dsse import (
    MAX_ENVELOPE_BYTES,
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    pae,
    read_envelope,
    sign,
)
from mlgate.attest.keys import KeyKind, generate, read_public
from mlgate.attest.signers import Signer
from mlgate.attest.untrusted import AttestationError, Flaw
from mlgate.attest.verification import Accepted, verify
from tests.unit.builders import NOW

PAYLOAD = b'{"hello":"world"}'
# The example of the specification, protocol.md 1.0.0.
SPEC_TYPE, SPEC_BODY = "http://example.com/HelloWorld", b"hello world"
SPEC_X = 46950820868899156662930047687818585632848591499744589407958293238635476079160
SPEC_Y = 5640078356564379163099075877009565129882514886557779369047442380624545832820
SPEC_SIG = "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="


def their_key(key):
    """The same public key, as securesystemslib holds it."""
    return SSlibKey.from_crypto(load_pem_public_key(key.public.pem()), keyid=key.public.keyid)


def test_the_encoding_is_the_specifications_example():
    """Word for word."""
    assert pae(SPEC_TYPE, SPEC_BODY) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_in_the_encoding_count_bytes_and_not_characters():
    """Else two pairs of type and body could have one encoding."""
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_the_signature_of_the_specifications_example_verifies():
    """Their key over our encoding; their r and s stand side by side, ours in DER."""
    public = ec.EllipticCurvePublicNumbers(SPEC_X, SPEC_Y, ec.SECP256R1()).public_key()
    ours = read_public(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), name="spec")
    raw = base64.b64decode(SPEC_SIG)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    assert ours.verifies(der, pae(SPEC_TYPE, SPEC_BODY))
    assert not ours.verifies(der, pae(SPEC_TYPE, SPEC_BODY + b"!"))


def test_another_implementation_verifies_our_envelope(key):
    """securesystemslib, which TUF and in-toto use."""
    theirs = TheirEnvelope.from_dict(json.loads(sign(PAYLOAD, [key])))
    assert theirs.payload == PAYLOAD
    assert set(theirs.verify([their_key(key)], 1)) == {key.public.keyid}


def test_another_implementation_refuses_our_envelope_over_other_bytes(key):
    """The test above can fail."""
    document = json.loads(sign(PAYLOAD, [key]))
    document["payload"] = base64.b64encode(PAYLOAD + b" ").decode()
    with pytest.raises(VerificationError):
        TheirEnvelope.from_dict(document).verify([their_key(key)], 1)


def test_we_verify_the_envelope_of_another_implementation(key, signer):
    """Signed by securesystemslib with the same private key."""
    theirs = TheirEnvelope(PAYLOAD, PAYLOAD_TYPE, {})
    theirs.sign(CryptoSigner(load_pem_private_key(key.pem(None), None), their_key(key)))
    accepted = verify(json.dumps(theirs.to_dict()).encode(), [signer], NOW)
    assert accepted == Accepted(signer=signer, payload=PAYLOAD)


def test_two_implementations_sign_one_envelope(key, other_key, signer):
    """Several signatures, each by whom it says."""
    raw = sign(PAYLOAD, [other_key, key])
    theirs = TheirEnvelope.from_dict(json.loads(raw))
    assert set(theirs.verify([their_key(key), their_key(other_key)], 2)) == {key.public.keyid, other_key.public.keyid}
    other = Signer(keyid=other_key.public.keyid, name="other.pub", public=other_key.public)
    assert verify(raw, [signer], NOW).signer == signer
    assert verify(raw, [other], NOW).signer == other


def test_an_envelope_is_read_as_it_was_written(key):
    """Payload, type, whose and what."""
    raw = sign(PAYLOAD, [key])
    found = read_envelope(raw)
    assert (found.payload, found.payload_type) == (PAYLOAD, PAYLOAD_TYPE)
    assert [signature.keyid for signature in found.signatures] == [key.public.keyid]
    assert found.to_bytes() == raw


def test_url_safe_base64_and_a_missing_keyid_are_read(key, signer):
    """The specification: verifiers must accept either encoding, and empty fields may be left out."""
    document = json.loads(sign(b'{"\xc3\xbf":"???>>>"}', [key]))
    standard = document["payload"]
    document["payload"] = standard.replace("+", "-").replace("/", "_")
    assert document["payload"] != standard
    del document["signatures"][0]["keyid"]
    assert isinstance(verify(json.dumps(document).encode(), [signer], NOW), Accepted)


GOOD = json.loads(sign(b"\xfb\xff{}", [generate(KeyKind.ED25519)]))
SIGNATURE = GOOD["signatures"][0]


@pytest.mark.parametrize(
    ("raw", "flaw"),
    [
        (b"", Flaw.NOT_JSON),
        (b"\xff\xfe", Flaw.NOT_JSON),
        (b"\xef\xbb\xbf{}", Flaw.NOT_JSON),
        (json.dumps(GOOD).encode("utf-16"), Flaw.NOT_JSON),
        (b'{"payload": NaN}', Flaw.NOT_JSON),
        (b'{"payload": 1e999}', Flaw.NOT_JSON),
        (b'{"payload": ' + b"9" * 5000 + b"}", Flaw.NOT_JSON),
        (json.dumps(GOOD).encode() + b"{}", Flaw.NOT_JSON),
        (b'{"payload":"YQ==","payload":"Yg=="}', Flaw.DUPLICATE_KEY),
        (b'{"a":{"payload":1,"payload":1}}', Flaw.DUPLICATE_KEY),
        (b'{"a":[[[1]]]}', Flaw.TOO_DEEP),
        (b"[" * 100_000, Flaw.TOO_DEEP),
        (b"[" * 100_000 + b"]" * 100_000, Flaw.TOO_DEEP),
        (b" " * (MAX_ENVELOPE_BYTES + 1), Flaw.TOO_LARGE),
        (b"[]", Flaw.WRONG_VALUE),
        (b"null", Flaw.WRONG_VALUE),
    ],
)
def test_what_is_no_envelope_is_refused_with_its_reason(raw, flaw):
    """Before any field is looked at."""
    with pytest.raises(AttestationError) as refused:
        read_envelope(raw)
    assert refused.value.flaw is flaw
    assert refused.value.code == f"attestation_{flaw}"


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"payloadType": "application/json"}, Flaw.WRONG_TYPE),
        ({"payloadType": PAYLOAD_TYPE.upper()}, Flaw.WRONG_TYPE),
        ({"payloadType": 7}, Flaw.WRONG_TYPE),
        ({"payloadType": ...}, Flaw.MISSING_FIELD),
        ({"payload": ...}, Flaw.MISSING_FIELD),
        ({"signatures": ...}, Flaw.MISSING_FIELD),
        ({"cert": ""}, Flaw.UNKNOWN_FIELD),
        ({"payload": ""}, Flaw.WRONG_VALUE),
        ({"payload": ["YQ=="]}, Flaw.WRONG_VALUE),
        ({"payload": "YQ"}, Flaw.NOT_BASE64),
        ({"payload": "YQ==="}, Flaw.NOT_BASE64),
        ({"payload": "YQ==YQ=="}, Flaw.NOT_BASE64),
        ({"payload": "YR=="}, Flaw.NOT_BASE64),  # bits behind the last byte
        ({"payload": "Y Q=="}, Flaw.NOT_BASE64),
        ({"payload": "YQ==\n"}, Flaw.NOT_BASE64),
        ({"payload": "+_+_"}, Flaw.NOT_BASE64),  # both alphabets at once
        ({"payload": "ÿÿÿÿ"}, Flaw.NOT_BASE64),
        ({"signatures": []}, Flaw.NO_SIGNATURES),
        ({"signatures": {}}, Flaw.WRONG_VALUE),
        ({"signatures": ["sig"]}, Flaw.WRONG_VALUE),
        ({"signatures": [SIGNATURE] * (MAX_SIGNATURES + 1)}, Flaw.TOO_MANY_SIGNATURES),
        ({"signatures": [{**SIGNATURE, "cert": "x"}]}, Flaw.UNKNOWN_FIELD),
        ({"signatures": [{"keyid": "x"}]}, Flaw.MISSING_FIELD),
        ({"signatures": [{**SIGNATURE, "sig": ""}]}, Flaw.WRONG_VALUE),
        ({"signatures": [{**SIGNATURE, "sig": None}]}, Flaw.WRONG_VALUE),
        ({"signatures": [{**SIGNATURE, "sig": "YQ"}]}, Flaw.NOT_BASE64),
        ({"signatures": [{**SIGNATURE, "sig": "YWFh" * 1000}]}, Flaw.WRONG_VALUE),
        ({"signatures": [{**SIGNATURE, "keyid": None}]}, Flaw.WRONG_VALUE),
        ({"signatures": [{**SIGNATURE, "keyid": "x" * 1000}]}, Flaw.WRONG_VALUE),
    ],
)
def test_an_envelope_with_one_wrong_field_is_refused_with_its_reason(change, flaw):
    """Everything else about it is good."""
    document = {key: value for key, value in {**GOOD, **change}.items() if value is not ...}
    assert read_envelope(json.dumps(GOOD).encode()).payload == b"\xfb\xff{}"
    with pytest.raises(AttestationError) as refused:
        read_envelope(json.dumps(document).encode())
    assert refused.value.flaw is flaw


def test_nothing_is_signed_without_a_key():
    """An envelope without a signature is none."""
    with pytest.raises(AttestationError, match="nothing to sign with") as refused:
        sign(PAYLOAD, [])
    assert refused.value.flaw is Flaw.NO_SIGNATURES


def test_what_the_gate_would_refuse_is_not_signed(key):
    """The run that signs learns it, and not the gate a day later."""
    with pytest.raises(AttestationError) as refused:
        sign(bytes(MAX_ENVELOPE_BYTES), [key])
    assert refused.value.flaw is Flaw.TOO_LARGE
