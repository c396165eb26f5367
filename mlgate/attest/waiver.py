"""Waiver: a named person answers for one check of one version that does not pass, until a day. Pure; fails closed.

A waiver is signed like evidence, and is none: its predicate type is another one, so neither can be shown as the other.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc8785

from mlgate.attest.statement import STATEMENT_TYPE
from mlgate.attest.untrusted import AttestationError, Flaw, read_json, read_object
from mlgate.typed_json import typed
from mlgate.verdict import CLOCK_SKEW, format_time, parse_time

PREDICATE_TYPE = "urn:mlgate:waiver:1"
# Longer than this is no exception any more: the policy has to say what is wanted.
MAX_LIFE = timedelta(days=90)
MAX_REASON = 500
_MAX_BYTES = 64 * 1024
# Statement, its predicate, a value; subject, list, digest.
_MAX_DEPTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """What is answered for, by whom and until when.

    It binds to bytes and policy and not to one run: a later run of the same version is covered too.

    Attributes:
        check: Text id of the one check.
        name: Registered model.
        version: Its version.
        artifact_digest: Of the version's files.
        policy_digest: Of the policy whose limit is missed.
        evidence: Digest of the evidence that was looked at.
        found: What that evidence says of the check: outcome and reason.
        reason: Why it may be promoted all the same; one line of at most 500 characters.
        by: Who asked, by their own word: what proves a name is the key.
        created_at: RFC 3339.
        expires_at: RFC 3339; from then on it counts for nothing.
    """

    check: str
    name: str
    version: str
    artifact_digest: str
    policy_digest: str
    evidence: str
    found: str
    reason: str
    by: str
    created_at: str
    expires_at: str

    @property
    def uri(self) -> str:
        """The version's URI."""
        return f"models:/{self.name}/{self.version}"

    @property
    def until(self) -> str:
        """The time of expiry for people, in UTC."""
        return f"{parse_time(self.expires_at):%Y-%m-%d %H:%M} UTC"

    def expired(self, now: datetime) -> bool:
        """Return whether it is over at *now*, an aware time."""
        return now >= parse_time(self.expires_at)

    def canonical(self) -> bytes:
        """Return the RFC 8785 bytes of the in-toto statement: what is signed."""
        digest = {"sha256": self.artifact_digest.removeprefix("sha256:")}
        document: dict[str, Any] = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.uri, "digest": digest}],
            "predicateType": PREDICATE_TYPE,
            "predicate": asdict(self),
        }
        return rfc8785.dumps(document)


def new_waiver(*, life: timedelta, now: datetime, **said: str) -> Waiver:
    """Return a waiver from *now* on, held to the rules by which a gate reads it.

    Args:
        life: How long it holds.
        now: Aware time.
        said: Every other field of `Waiver`.

    Raises:
        AttestationError: One that no gate would read: no reason, or a life that is empty or over `MAX_LIFE`.
    """
    waiver = Waiver(created_at=format_time(now), expires_at=format_time(now + life), **said)
    return read_waiver(waiver.canonical(), now)


def read_waiver(raw: bytes, now: datetime) -> Waiver:
    """Read a waiver strictly. One that is over is read too: who is refused wants to know.

    Args:
        raw: The payload that `verify` accepted.
        now: Aware time.

    Raises:
        AttestationError: Its `flaw` says why: no waiver, a field too few or too many, a life without end, from the future.
    """
    document = read_json(raw, what="the waiver", max_bytes=_MAX_BYTES, max_depth=_MAX_DEPTH)
    found = read_object(document, what="the waiver", required=("_type", "subject", "predicateType", "predicate"))
    for field, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if found[field] != expected:
            raise AttestationError(Flaw.WRONG_TYPE, f"the waiver's {field} is not '{expected}'")
    try:
        waiver: Waiver = typed(Waiver, found["predicate"], "waiver")
        life = parse_time(waiver.expires_at) - parse_time(waiver.created_at)
        early = parse_time(waiver.created_at) - now
        written = waiver.canonical()
    except (ValueError, OverflowError) as error:
        raise AttestationError(Flaw.WRONG_VALUE, f"the waiver is malformed: {error}") from None
    # Without this, the subject could name another version than the predicate.
    if written != raw:
        raise AttestationError(Flaw.NOT_CANONICAL, "the waiver is not in canonical form (RFC 8785)")
    if not timedelta(0) < life <= MAX_LIFE:
        raise AttestationError(Flaw.WRONG_VALUE, f"a waiver holds for up to {MAX_LIFE.days} days, not {_days(life)}")
    if early > CLOCK_SKEW:
        raise AttestationError(Flaw.WRONG_VALUE, f"the waiver is dated {waiver.created_at}, in the future")
    if not 0 < len(waiver.reason.strip()) <= MAX_REASON or not waiver.reason.isprintable():
        raise AttestationError(Flaw.WRONG_VALUE, f"a waiver's reason is one line of 1 to {MAX_REASON} characters")
    return waiver


def _days(life: timedelta) -> str:
    return f"{life / timedelta(days=1):.4g} days"
