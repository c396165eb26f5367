"""Verification: whether a listed signer vouches for an envelope, and if not, why. Pure; fails closed.

A key is held against the day of the gate and not of the signature: whoever has a stolen key writes any day into what it signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlgate.attest.bundle import is_bundle
from mlgate.attest.dsse import Envelope, read_envelope
from mlgate.attest.pipeline import Listed, Pipeline
from mlgate.attest.refusal import Refusal, Refused
from mlgate.attest.signers import Signer
from mlgate.attest.untrusted import AttestationError, Flaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A listed signer vouches for *payload*: the bytes of a statement, and the only ones to read.

    Attributes:
        signer: The first of the list that does.
        payload: What it signed.
    """

    signer: Listed
    payload: bytes


def verify(raw: bytes | None, signers: Sequence[Listed], now: datetime) -> Accepted | Refused:
    """Decide whether an envelope is signed by a listed, current key, or a Sigstore bundle by a listed pipeline.

    One good signature is enough, whatever else is in the envelope. `keyid` is a hint that anybody can write: every
    listed key is tried, and the hint only chooses the words of a refusal.

    Args:
        raw: The envelope as stored; `None` where there is none.
        signers: The policy's list.
        now: Aware time.

    Returns:
        `Accepted` with the signed bytes, else `Refused`. Whatever *raw* is, nothing is raised.
    """
    # (1) Without this, a caller with an empty list would have to know what that means.
    if not signers:
        return Refused(code=Refusal.NO_SIGNERS, message="no signer is listed, so no signature can be accepted")
    if raw is None:
        return Refused(code=Refusal.ABSENT, message="the evidence is not signed, and the policy lists signers")
    if is_bundle(raw):
        return _by_pipeline(raw, [signer for signer in signers if isinstance(signer, Pipeline)])
    keys = [signer for signer in signers if isinstance(signer, Signer)]
    if not keys:
        return Refused(
            code=Refusal.WRONG_KEY, message="no Sigstore bundle, and no key is listed that could have signed"
        )
    return _by_key(raw, keys, now)


def _by_pipeline(raw: bytes, pipelines: Sequence[Pipeline]) -> Accepted | Refused:
    refused = []
    for pipeline in pipelines:
        found = pipeline.check(pipeline, raw)
        if isinstance(found, bytes):
            return Accepted(signer=pipeline, payload=found)
        refused.append(found)
    if not refused:
        return Refused(code=Refusal.WRONG_KEY, message="signed through Sigstore, and no pipeline is listed")
    # What else is wrong with it is news beside an identity that is somebody else's.
    return next((found for found in refused if found.code is not Refusal.OTHER_IDENTITY), refused[0])


def _by_key(raw: bytes, signers: Sequence[Signer], now: datetime) -> Accepted | Refused:
    # (2) One meaning for the bytes before any key is tried.
    try:
        envelope = read_envelope(raw)
    except AttestationError as error:
        code = Refusal.WRONG_TYPE if error.flaw is Flaw.WRONG_TYPE else Refusal.UNPARSABLE
        return Refused(code=code, message=error.message)
    # (3) Every listed key over every signature.
    vouching = _vouching(envelope, signers)
    if not vouching:
        return _unknown(envelope, signers)
    # (4) Of these, one that is neither expired nor revoked.
    refusals = [(signer, _standing(signer, signers, now)) for signer in vouching]
    good = next((signer for signer, refusal in refusals if refusal is None), None)
    if good is not None:
        return Accepted(signer=good, payload=envelope.payload)
    found = [refusal for _, refusal in refusals if refusal is not None]
    return next((refusal for refusal in found if refusal.code is Refusal.REVOKED_KEY), found[0])


def _vouching(envelope: Envelope, signers: Sequence[Signer]) -> list[Signer]:
    message = envelope.signed_bytes
    return [
        signer
        for signer in signers
        if any(signer.public.verifies(signature.sig, message) for signature in envelope.signatures)
    ]


def _standing(signer: Signer, signers: Sequence[Signer], now: datetime) -> Refused | None:
    """Return why a key is not believed today, by any of the files that hold it."""
    same = [other for other in signers if other.keyid == signer.keyid]
    if revoked := next((other for other in same if other.revoked is not None), None):
        # A day in the future counts too: it is a planned revocation's `expires`, or another time zone's today.
        message = f"signed with '{revoked.name}', which was revoked on {revoked.revoked}"
        return Refused(code=Refusal.REVOKED_KEY, message=message)
    if expired := next((other for other in same if other.expired(now)), None):
        message = f"signed with '{expired.name}', which expired on {expired.expires}"
        return Refused(code=Refusal.EXPIRED_KEY, message=message)
    return None


def _unknown(envelope: Envelope, signers: Sequence[Signer]) -> Refused:
    claimed = {signature.keyid for signature in envelope.signatures}
    named = next((signer for signer in signers if signer.keyid in claimed), None)
    if named is not None:
        message = f"names '{named.name}', whose signature is over other bytes: changed after it was signed"
        return Refused(code=Refusal.OTHER_BYTES, message=message)
    names = ", ".join(f"'{signer.name}'" for signer in signers)
    return Refused(code=Refusal.WRONG_KEY, message=f"not signed by any of {names}")
