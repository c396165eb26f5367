"""Waivers at the gate: which of the reasons against a version somebody answers for. Pure; fails closed.

A waiver takes one reason away, a check that ran and did not pass. Everything else stands: what says whose bytes these
are, who signed, what was asked, how old it is, and whether the model ran at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgate.attest.pipeline import Listed
from mlgate.attest.refusal import Refused
from mlgate.attest.untrusted import AttestationError
from mlgate.attest.verification import verify
from mlgate.attest.waiver import Waiver, read_waiver
from mlgate.check_id import readable_check_id
from mlgate.evidence import Cause, Evidence, Outcome
from mlgate.registry.interface import StoredWaiver
from mlgate.verdict import Reason

# A check that raised, was skipped or is absent measured nothing that anybody could answer for.
_MEASURED = frozenset({Outcome.FAILED, Outcome.INCONCLUSIVE})
_ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A check that does not pass, and who answers for it.

    Attributes:
        reason: What stands against the version.
        waiver: Why it may be promoted all the same.
        signer: Who signed that.
    """

    reason: Reason
    waiver: Waiver
    signer: Listed

    def __str__(self) -> str:
        return f"{self.reason}; {self.promise}"

    @property
    def promise(self) -> str:
        """Who answers for it, until when and why."""
        return f"waived by {self.signer.name} until {self.waiver.until}: {self.waiver.reason}"

    def to_json(self) -> dict[str, Any]:
        """Return the machine form."""
        return {
            "check": self.reason.check,
            "outcome": self.reason.code,
            "message": self.reason.message,
            "reason": self.waiver.reason,
            "by": self.waiver.by,
            "signer": self.signer.name,
            "keyid": self.signer.keyid,
            "created_at": self.waiver.created_at,
            "expires_at": self.waiver.expires_at,
        }


def settle(
    reasons: Iterable[Reason],
    evidence: Evidence,
    waivers: Sequence[StoredWaiver],
    signers: Sequence[Listed],
    now: datetime,
) -> tuple[tuple[Reason, ...], tuple[Waived, ...]]:
    """Divide *reasons* into those that stand and those that are waived.

    Args:
        reasons: Everything against the version.
        evidence: That counts, about the version's bytes and today's policy.
        waivers: As stored, in any order.
        signers: Who may waive, by the policy.
        now: Aware time.

    Returns:
        What stands, an expired waiver and one that nobody believes among it where something stands, and what is waived.
    """
    open_ = [reason for reason in reasons if never(reason, evidence) is None]
    if not waivers or not open_:
        return tuple(reasons), ()
    believed, refused = _believed(waivers, signers, now)
    mine = {(signer.keyid, waiver): (waiver, signer) for waiver, signer in believed if _is_about(waiver, evidence)}
    by_check: dict[str, tuple[Waiver, Listed]] = {}
    for waiver, signer in sorted(mine.values(), key=lambda found: found[0].expires_at):  # the last to expire counts
        by_check[waiver.check] = waiver, signer
    standing: list[Reason] = []
    waived: list[Waived] = []
    for reason in reasons:
        found = by_check.get(reason.check or "") if reason in open_ else None
        if found is None or found[0].expired(now):
            standing.append(reason)
            standing += [] if found is None else [_expired(found[0])]
        else:
            waived.append(Waived(reason=reason, waiver=found[0], signer=found[1]))
    # Only where somebody looks for the reason: a stranger's junk beside a good version is no news.
    return (*standing, *(refused if any(reason in open_ for reason in standing) else ())), tuple(waived)


def never(reason: Reason, evidence: Evidence) -> str | None:
    """Return why nobody can answer for *reason*; `None` where somebody can."""
    if reason.check is None:
        return "it is no check: whose bytes, who signed and what was asked can not be waived"
    if reason.code not in _MEASURED:
        return f"it is {reason.code}: it measured nothing that anybody could answer for"
    suites = [
        name for name, suite in evidence.suites.items() if any(check.key == reason.check for check in suite.checks)
    ]
    if _ENVIRONMENT in suites or reason.check.startswith(f"{_ENVIRONMENT}."):
        return "the model did not run as its version says"
    found = [check for check in evidence.checks() if check.key == reason.check]
    if any(check.finding.cause is Cause.ENVIRONMENT for check in found):
        return "its cause is the environment: test again where the machine is not in the way"
    return None


def _believed(
    waivers: Sequence[StoredWaiver], signers: Sequence[Listed], now: datetime
) -> tuple[list[tuple[Waiver, Listed]], tuple[Reason, ...]]:
    """Return what a listed signer vouches for, and one reason for each way in which others are not believed."""
    believed: list[tuple[Waiver, Listed]] = []
    refused: dict[str, Reason] = {}
    for stored in waivers:
        verdict = verify(stored.envelope, signers, now)
        if isinstance(verdict, Refused):
            refused.setdefault(verdict.code, _not_believed(stored, verdict.message))
            continue
        try:
            believed.append((read_waiver(verdict.payload, now), verdict.signer))
        except AttestationError as error:
            refused.setdefault(error.code, _not_believed(stored, error.message))
    return believed, tuple(refused.values())


def _is_about(waiver: Waiver, evidence: Evidence) -> bool:
    subject = evidence.subject
    return (waiver.name, waiver.version, waiver.artifact_digest, waiver.policy_digest) == (
        subject.name,
        subject.version,
        subject.artifact_digest,
        evidence.policy.digest,
    )


def _not_believed(stored: StoredWaiver, why: str) -> Reason:
    of_run = f" of run {stored.run_id}" if stored.run_id else ""  # a pod's is a file
    return Reason(code="waiver_refused", message=f"the waiver{of_run} counts for nothing: {why}")


def _expired(waiver: Waiver) -> Reason:
    message = f"the waiver of {readable_check_id(waiver.check)} expired on {waiver.until}"
    return Reason(code="waiver_expired", message=message)
