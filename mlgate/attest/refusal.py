"""Refusal: why an envelope is not believed. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Why an envelope is not believed: the whole list. Stable words, as in `Reason.code`."""

    NO_SIGNERS = "signature_no_signers"  # nobody is listed who could have signed
    ABSENT = "signature_absent"
    UNPARSABLE = "signature_unparsable"
    WRONG_TYPE = "signature_wrong_type"  # signed, but as something else than an in-toto statement
    WRONG_KEY = "signature_wrong_key"
    OTHER_BYTES = "signature_other_bytes"  # names a listed key, which did not sign these bytes
    EXPIRED_KEY = "signature_expired_key"
    REVOKED_KEY = "signature_revoked_key"
    # Of a Sigstore bundle.
    OTHER_IDENTITY = "signature_other_identity"  # a claim of the certificate is not the pinned one
    UNTRUSTED_CERTIFICATE = "signature_untrusted_certificate"  # not of this Sigstore, or expired when it signed
    NOT_LOGGED = "signature_not_logged"  # the transparency log does not vouch for it
    NO_TRUST_ROOT = "signature_no_trust_root"  # without it, no certificate can be believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nobody who is listed vouches for the envelope.

    Attributes:
        code: Why.
        message: One sentence for people.
    """

    code: Refusal
    message: str
