"""DSSE envelope, version 1: payload, payload type, signatures. Pure.

Source: https://github.com/secure-systems-lab/dsse, protocol.md 1.0.0 and envelope.md.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlgate.attest.keys import SigningKey
from mlgate.attest.untrusted import AttestationError, Flaw, read_json, read_object

# https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md
PAYLOAD_TYPE = "application/vnd.in-toto+json"
# As much as the registry reads of an evidence file.
MAX_ENVELOPE_BYTES = 64 * 1024 * 1024
# Object, list of signatures, signature.
MAX_ENVELOPE_DEPTH = 3
# Each costs a verification for every listed key.
MAX_SIGNATURES = 16
# An ECDSA P-256 signature has at most 72 bytes, an Ed25519 one 64; RSA-4096, which is refused by its key, 512.
MAX_SIGNATURE_CHARS = 1024
MAX_KEYID_CHARS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature of an envelope.

    Attributes:
        keyid: Whose it claims to be. Not signed, and so never a reason to believe; empty where it does not say.
        sig: Its bytes.
    """

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What was read from an envelope: nothing of it is believed before `verify` has accepted it."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What the signatures are over."""
        return pae(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """Return the JSON envelope, keys sorted, without a space."""
        document = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": signature.keyid, "sig": base64.b64encode(signature.sig).decode()}
                for signature in self.signatures
            ],
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: type and body, each behind its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, keys: Sequence[SigningKey]) -> bytes:
    """Return the envelope around an in-toto statement, with a signature of each of *keys*.

    Raises:
        AttestationError: No key, or an envelope that `read_envelope` would refuse.
    """
    if not keys:
        raise AttestationError(Flaw.NO_SIGNATURES, "nothing to sign with", hint="set MLGATE_SIGNING_KEY")
    message = pae(PAYLOAD_TYPE, payload)
    signatures = tuple(Signature(keyid=key.public.keyid, sig=key.sign(message)) for key in keys)
    raw = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=signatures).to_bytes()
    # Without this, a run could end with a signature that no gate takes.
    read_envelope(raw)
    return raw


def read_envelope(raw: bytes) -> Envelope:
    """Read an envelope strictly.

    The specification lets `keyid` be absent and the base64 be standard or URL-safe; anything else is refused.

    Raises:
        AttestationError: Its `flaw` says why.
    """
    document = read_json(raw, what="the envelope", max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_ENVELOPE_DEPTH)
    found = read_object(document, what="the envelope", required=("payload", "payloadType", "signatures"))
    kind = found["payloadType"]
    if kind != PAYLOAD_TYPE:
        shown = f"'{kind[:60]}'" if isinstance(kind, str) else "no text"
        raise AttestationError(Flaw.WRONG_TYPE, f"the envelope's payload type is {shown}, not '{PAYLOAD_TYPE}'")
    return Envelope(
        payload=_base64(found["payload"], "the payload"),
        payload_type=kind,
        signatures=_signatures(found["signatures"]),
    )


def _signatures(value: object) -> tuple[Signature, ...]:
    if not isinstance(value, list):
        raise AttestationError(Flaw.WRONG_VALUE, "signatures is no list")
    if not value:
        raise AttestationError(Flaw.NO_SIGNATURES, "the envelope has no signature")
    if len(value) > MAX_SIGNATURES:
        message = f"the envelope has {len(value)} signatures > {MAX_SIGNATURES} allowed"
        raise AttestationError(Flaw.TOO_MANY_SIGNATURES, message)
    return tuple(_signature(item) for item in value)


def _signature(value: object) -> Signature:
    found = read_object(value, what="a signature", required=("sig",), optional=("keyid",))
    keyid, sig = found.get("keyid", ""), found["sig"]
    if not isinstance(keyid, str) or len(keyid) > MAX_KEYID_CHARS:
        raise AttestationError(Flaw.WRONG_VALUE, f"a keyid is no text of up to {MAX_KEYID_CHARS} characters")
    if isinstance(sig, str) and len(sig) > MAX_SIGNATURE_CHARS:
        raise AttestationError(Flaw.WRONG_VALUE, f"a signature has {len(sig)} characters > {MAX_SIGNATURE_CHARS}")
    return Signature(keyid=keyid, sig=_base64(sig, "a signature"))


def _base64(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise AttestationError(Flaw.WRONG_VALUE, f"{what} is no text")
    if not value:
        raise AttestationError(Flaw.WRONG_VALUE, f"{what} is empty")
    other = b"-_" if {"-", "_"} & set(value) else b"+/"
    try:
        found = base64.b64decode(value, altchars=other, validate=True)
    except (binascii.Error, ValueError):
        raise AttestationError(Flaw.NOT_BASE64, f"{what} is not base64") from None
    # Padding bits that are not zero, or padding twice: two texts for the same bytes.
    if base64.b64encode(found, altchars=other).decode() != value:
        raise AttestationError(Flaw.NOT_BASE64, f"{what} is not base64 as it is written")
    return found
