"""What is waived of a run's findings, for its report: it changes neither the verdict nor the exit status."""

from datetime import datetime
from typing import TYPE_CHECKING

from mlgate.errors import MlgateError
from mlgate.evidence import Evidence
from mlgate.policy import Policy
from mlgate.verdict import Verdict
from mlgate.waivers import Waived, settle

if TYPE_CHECKING:
    from mlgate.registry.interface import ModelRegistry


def waived_of(
    evidence: Evidence, verdict: Verdict, policy: Policy, registry: "ModelRegistry", now: datetime
) -> tuple[Waived, ...]:
    """Return the checks of *evidence* that somebody answers for; none where the policy lets nobody, or nobody answers."""
    names, model = policy.values.evidence.waivers, evidence.subject.name
    if not names or model is None or not verdict.reasons:
        return ()
    from mlgate.attest.key_files import read_signers  # noqa: PLC0415  (most policies let nobody waive)
    from mlgate.attest.waiver import MAX_LIFE  # noqa: PLC0415  (as above)

    try:
        stored, signers = registry.waivers(model, since=now - MAX_LIFE), read_signers(names, policy.folder)
        _, waived = settle(verdict.reasons, evidence, stored, signers, now)
    except MlgateError:
        return ()  # a display; the gate reads them itself, and says what is wrong
    return waived
