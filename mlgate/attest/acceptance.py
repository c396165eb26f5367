"""Acceptance: whether a listed signer vouches for evidence, from the envelope beside it. Pure; fails closed."""

from collections.abc import Sequence
from datetime import datetime

from mlgate.attest.agreement import agrees
from mlgate.attest.pipeline import Listed, disagrees
from mlgate.attest.refusal import Refused
from mlgate.attest.statement import read_statement
from mlgate.attest.untrusted import AttestationError
from mlgate.attest.verification import verify
from mlgate.evidence import Evidence
from mlgate.verdict import Reason


def vouching(envelope: bytes | None, evidence: Evidence, signers: Sequence[Listed], now: datetime) -> Listed | Reason:
    """Return who vouches for *evidence*, or why nobody does.

    Args:
        envelope: As stored beside the evidence; `None` where there is none.
        evidence: What is to be believed.
        signers: The policy's list.
        now: Aware time.
    """
    verdict = verify(envelope, signers, now)
    if isinstance(verdict, Refused):
        return Reason(code=str(verdict.code), message=verdict.message)
    try:
        statement = read_statement(verdict.payload)
    except AttestationError as error:
        return Reason(code=error.code, message=error.message)
    return agrees(statement, evidence) or disagrees(verdict.signer, evidence) or verdict.signer
