"""Where a rollback leads, and whether it may: admitted once, the same bytes, and somebody still vouches. Pure.

Today's policy, the age of the evidence and today's champion do not matter: an incident is no time to judge again.
"""

from collections.abc import Sequence
from dataclasses import replace

from mlgate.attest.acceptance import vouching
from mlgate.attest.pipeline import Listed
from mlgate.attest.signers import Signer
from mlgate.errors import EvidenceError
from mlgate.evidence import Evidence, Outcome
from mlgate.gate import read_evidence
from mlgate.promotion.journal import Event
from mlgate.registry.interface import StoredEvidence, StoredWaiver
from mlgate.verdict import Reason, parse_time
from mlgate.waivers import settle


def against(
    event: Event,
    *,
    artifact_digest: str,
    stored: StoredEvidence | None,
    signers: Sequence[Listed],
    waivers: Sequence[StoredWaiver],
    waiver_signers: Sequence[Listed],
) -> tuple[Reason, ...]:
    """Return what stands against going back to a version that was promoted once.

    Args:
        event: Its newest promotion.
        artifact_digest: Of its bytes in the store, now.
        stored: The evidence that the event names; `None` where it is gone.
        signers: Who may sign, by today's policy; a key that has only expired since is believed, a revoked one is not.
        waivers: Of the model's versions.
        waiver_signers: Who may waive.
    """
    if event.artifact_digest != artifact_digest:
        message = f"the artifacts changed since the promotion: {event.artifact_digest[:19]} then, {artifact_digest[:19]} in the store"
        return (Reason(code="other_bytes", message=message),)
    if stored is None:
        return (Reason(code="no_evidence", message=f"the evidence of run {event.run_id} is gone"),)
    try:
        evidence = read_evidence(stored)
    except EvidenceError as error:
        return (Reason(code="forged", message=f"run {event.run_id}: {error.message}"),)
    subject = evidence.subject
    if (subject.name, subject.version, subject.artifact_digest, evidence.digest) != (
        event.name,
        event.after,
        artifact_digest,
        event.evidence,
    ):
        return (Reason(code="forged", message=f"the evidence of run {event.run_id} is not what the journal names"),)
    at = parse_time(event.at)
    if signers:
        found = vouching(stored.envelope, evidence, _whatever_the_day(signers), at)
        if isinstance(found, Reason):
            return (found,)
    if evidence.complete and evidence.verdict.outcome == "passed":
        return ()
    return _not_passed(evidence, waivers, _whatever_the_day(waiver_signers), event)


def _not_passed(
    evidence: Evidence, waivers: Sequence[StoredWaiver], signers: Sequence[Listed], event: Event
) -> tuple[Reason, ...]:
    """Return what stands against evidence that was admitted by waivers: what they did not cover on that day."""
    found = [check for check in evidence.checks() if not check.finding.details.get("advisory")]
    open_ = [
        Reason(code=str(check.outcome), message=check.finding.reason, check=check.key)
        for check in found
        if check.outcome is not Outcome.PASSED
    ]
    if not evidence.complete or not open_:
        return (Reason(code="not_passed", message=f"the evidence of run {event.run_id} did not pass"),)
    return settle(open_, evidence, waivers, signers, parse_time(event.at))[0]


def _whatever_the_day(signers: Sequence[Listed]) -> list[Listed]:
    return [replace(signer, expires=None) if isinstance(signer, Signer) else signer for signer in signers]
