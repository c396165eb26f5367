"""Verification: each way in which an envelope is not to be believed has its own word."""

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.attest.dsse import PAYLOAD_TYPE, Envelope, Signature, pae, read_envelope, sign
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.attest.untrusted import AttestationError
from mlgate.attest.verification import Accepted, Refusal, Refused, verify
from tests.unit.builders import NOW

PAYLOAD = b'{"hello":"world"}'


def listed(key, **changes):
    """A key as a policy lists it."""
    return Signer(keyid=key.public.keyid, name=changes.pop("name", "ci.pub"), public=key.public, **changes)


def changed(raw, **changes):
    """The envelope with other top-level fields."""
    return json.dumps({**json.loads(raw), **changes}).encode()


def code(raw, signers, now=NOW):
    """Why it is refused."""
    refused = verify(raw, signers, now)
    assert isinstance(refused, Refused)
    assert refused.message
    return refused.code


def test_a_listed_key_is_accepted_and_only_what_it_signed_is_handed_out(key, signer):
    """Signer and bytes together: nobody has to take the payload from an envelope that was not verified."""
    assert verify(sign(PAYLOAD, [key]), [signer], NOW) == Accepted(signer=signer, payload=PAYLOAD)


def test_no_envelope_is_refused(signer):
    """Missing is not fine."""
    assert code(None, [signer]) is Refusal.ABSENT


def test_without_a_listed_signer_nothing_is_accepted(key):
    """A caller that forgot to ask whether signatures count gets no."""
    assert code(sign(PAYLOAD, [key]), []) is Refusal.NO_SIGNERS
    assert code(None, []) is Refusal.NO_SIGNERS


@pytest.mark.parametrize("raw", [b"", b"{}", b"\x00", b"[]", b'{"signatures": []}'])
def test_what_is_no_envelope_is_refused(signer, raw):
    """Unparsable, whatever the flaw."""
    assert code(raw, [signer]) is Refusal.UNPARSABLE


def test_another_type_is_refused_even_where_it_is_signed(key, signer):
    """A signature over some other document of the same key says nothing here."""
    other = "application/json"
    signature = Signature(keyid=key.public.keyid, sig=key.sign(pae(other, PAYLOAD)))
    raw = Envelope(payload=PAYLOAD, payload_type=other, signatures=(signature,)).to_bytes()
    assert code(raw, [signer]) is Refusal.WRONG_TYPE
    assert code(changed(raw, payloadType=PAYLOAD_TYPE), [signer]) is Refusal.OTHER_BYTES


def test_a_key_that_is_not_listed_is_refused(other_key, signer):
    """A good signature, of somebody else."""
    assert code(sign(PAYLOAD, [other_key]), [signer]) is Refusal.WRONG_KEY


def test_a_stranger_who_writes_a_listed_keyid_is_refused(other_key, signer):
    """The keyid is a claim."""
    signature = Signature(keyid=signer.keyid, sig=other_key.sign(pae(PAYLOAD_TYPE, PAYLOAD)))
    raw = Envelope(payload=PAYLOAD, payload_type=PAYLOAD_TYPE, signatures=(signature,)).to_bytes()
    assert code(raw, [signer]) is Refusal.OTHER_BYTES


def test_a_signature_over_other_bytes_is_refused(key, signer):
    """Another payload under the same signature."""
    raw = changed(sign(PAYLOAD, [key]), payload=base64.b64encode(PAYLOAD.replace(b"world", b"werld")).decode())
    assert code(raw, [signer]) is Refusal.OTHER_BYTES


def test_a_wrong_keyid_does_not_make_a_good_signature_bad(key, signer):
    """The specification: it must not be used for a decision."""
    document = json.loads(sign(PAYLOAD, [key]))
    document["signatures"][0]["keyid"] = "somebody"
    assert isinstance(verify(json.dumps(document).encode(), [signer], NOW), Accepted)


def test_a_key_is_believed_until_the_day_it_expires_on_and_no_longer(key):
    """In UTC, whatever zone the clock is in."""
    raw, signer = sign(PAYLOAD, [key]), listed(key, expires=date(2027, 1, 1))
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert isinstance(verify(raw, [signer], last), Accepted)
    assert code(raw, [signer], last + timedelta(seconds=1)) is Refusal.EXPIRED_KEY
    east = timezone(timedelta(hours=14))
    assert isinstance(verify(raw, [signer], datetime(2027, 1, 1, 13, 59, tzinfo=east)), Accepted)
    assert code(raw, [signer], datetime(2027, 1, 1, 14, 0, tzinfo=east)) is Refusal.EXPIRED_KEY


@pytest.mark.parametrize("day", [date(2020, 1, 1), date(2026, 11, 23), date(2036, 1, 1)])
def test_a_revoked_key_is_refused_whatever_the_day_says(key, day):
    """Whoever stole it writes any day into what it signs."""
    assert code(sign(PAYLOAD, [key]), [listed(key, revoked=day)]) is Refusal.REVOKED_KEY


def test_a_key_that_is_revoked_in_one_file_is_not_believed_by_another(key):
    """A forgotten copy of the file must not bring it back."""
    signers = [listed(key, name="old.pub"), listed(key, name="new.pub", revoked=date(2026, 1, 1))]
    assert code(sign(PAYLOAD, [key]), signers) is Refusal.REVOKED_KEY
    assert code(sign(PAYLOAD, [key]), signers[::-1]) is Refusal.REVOKED_KEY
    expired = [listed(key), listed(key, name="new.pub", expires=date(2026, 1, 1))]
    assert code(sign(PAYLOAD, [key]), expired) is Refusal.EXPIRED_KEY


def test_one_good_signature_is_enough(key, other_key, signer):
    """While a key is changed, runs are signed with both."""
    raw = sign(PAYLOAD, [other_key, key])
    stolen = listed(other_key, name="old.pub", revoked=date(2026, 1, 1))
    assert verify(raw, [stolen, signer], NOW) == Accepted(signer=signer, payload=PAYLOAD)
    both_old = [listed(other_key, name="a.pub", expires=date(2026, 1, 1)), listed(key, revoked=date(2026, 1, 1))]
    assert code(raw, both_old) is Refusal.REVOKED_KEY


def test_a_refusal_names_the_file_and_the_day(key):
    """What to do next stands in it."""
    assert (
        "'ci.pub', which was revoked on 2026-11-20"
        in verify(sign(PAYLOAD, [key]), [listed(key, revoked=date(2026, 11, 20))], NOW).message
    )


KEYS = {kind: generate(kind) for kind in KeyKind}
SIGNERS = [listed(key) for key in KEYS.values()]
ENVELOPES = [sign(PAYLOAD, [key]) for key in KEYS.values()] + [sign(PAYLOAD, list(KEYS.values()))]


def holds(raw):
    """Nothing is raised but our own error, and nothing is accepted but what was signed."""
    verdict = verify(raw, SIGNERS, NOW)
    try:
        envelope = read_envelope(raw)
    except AttestationError:
        assert isinstance(verdict, Refused)
        return
    if isinstance(verdict, Accepted):
        assert verdict.payload == PAYLOAD
        assert {signature.sig for signature in envelope.signatures} & SIGNATURES


SIGNATURES = {signature.sig for raw in ENVELOPES for signature in read_envelope(raw).signatures}


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_raise_nothing(raw):
    """Whatever lies in the store."""
    assert isinstance(verify(raw, SIGNERS, NOW), Refused)
    holds(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["payload", "payloadType", "signatures", "keyid", "sig", "extra"])


@given(st.dictionaries(fields, json_values | st.lists(st.dictionaries(fields, json_values), max_size=3)))
def test_random_json_in_the_shape_of_an_envelope_is_refused(document):
    """Nearer to the real thing than bytes."""
    raw = json.dumps(document).encode()
    assert isinstance(verify(raw, SIGNERS, NOW), Refused)
    holds(raw)


@settings(max_examples=300)
@given(st.sampled_from(ENVELOPES), st.data())
def test_a_mutated_envelope_never_vouches_for_other_bytes(raw, data):
    """Bytes replaced, inserted or cut anywhere."""
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 8)))
    holds(raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:])


@given(st.sampled_from(sorted(KEYS)), st.binary(min_size=1, max_size=60))
def test_no_other_payload_verifies_under_a_signature(kind, payload):
    """A whole, well-formed envelope, with the one signature that is there."""
    good = read_envelope(sign(PAYLOAD, [KEYS[kind]]))
    verdict = verify(replace(good, payload=payload).to_bytes(), SIGNERS, NOW)
    assert isinstance(verdict, Accepted) == (payload == PAYLOAD)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_every_flipped_bit_of_a_signature_is_refused(kind):
    """All of them, one at a time."""
    good = read_envelope(sign(PAYLOAD, [KEYS[kind]]))
    sig = good.signatures[0].sig
    for bit in range(len(sig) * 8):
        flipped = bytearray(sig)
        flipped[bit // 8] ^= 1 << bit % 8
        signatures = (replace(good.signatures[0], sig=bytes(flipped)),)
        assert code(replace(good, signatures=signatures).to_bytes(), SIGNERS) is Refusal.OTHER_BYTES
