"""Who has to act, and the findings of a run that says nothing. Pure."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlgate.evidence import Cause, Finding, Outcome
from mlgate.load.judgement.bounds import Bounds
from mlgate.load.samples import ErrorKind, Samples

# What a server says that has too little CPU: it gave the request up, or has no room for it (RFC 9110 15.5.9, 15.6.4, 15.6.5;
# RFC 6585 4).
_OVERLOADED = (408, 429, 503, 504)


def no_fault_of_the_host(samples: Samples) -> NDArray[np.bool_]:
    """Say which requests failed in a way that no lack of CPU explains, shape (n,): an answer came, and was a wrong one."""
    late = np.isin(samples.error, (ErrorKind.TIMEOUT, ErrorKind.CONNECTION, ErrorKind.DROPPED))
    found: NDArray[np.bool_] = samples.failed & ~late & ~np.isin(samples.status, _OVERLOADED)
    return found


def cause_of(bounds: Bounds, *, lost: int, failed: int) -> Cause | None:
    """Return who has to act; `None` where the limit is passed.

    Args:
        bounds: Of the limit.
        lost: Requests that timed out or lost their connection.
        failed: Requests without a good answer.
    """
    if bounds.outcome is Outcome.PASSED:
        return None
    # Too few requests is ours to change; more than the limit is theirs, even before it is certain.
    too_few = bounds.outcome is Outcome.INCONCLUSIVE and bounds.violations < bounds.limit_share * bounds.n
    return Cause.HARNESS if too_few else server_or_model(lost=lost, failed=failed)


def server_or_model(*, lost: int, failed: int) -> Cause:
    """A model is slow or answers with errors; a server refuses, resets or never answers: *lost* of *failed* did so."""
    return Cause.SERVER if 2 * lost > max(1, failed) else Cause.MODEL


def culprit(samples: Samples) -> Cause:
    """Return whether the server or the model has to act, by how requests of *samples* failed."""
    lost = int(np.isin(samples.error, (ErrorKind.TIMEOUT, ErrorKind.CONNECTION)).sum())
    return server_or_model(lost=lost, failed=int(samples.failed.sum()))


def not_judged(reason: str, *, cause: Cause = Cause.HARNESS) -> Finding:
    """Return the finding of every load check of a run that can not be judged.

    Args:
        reason: Why, and after "; " what to change: as `unhealthy` and `host_too_small` say it.
        cause: Who has to act.
    """
    what, _, advice = reason.partition("; ")
    return Finding(outcome=Outcome.INCONCLUSIVE, reason=what, cause=cause, advice=advice)


def environment_instead(finding: Finding, reason: str | None) -> Finding:
    """Return *finding*, a failure as inconclusive by the environment where *reason* explains it; a pass stays one.

    Args:
        finding: Of a load check.
        reason: What `host_too_small` said; `None`: nothing.
    """
    if reason is None or finding.outcome is not Outcome.FAILED:
        return finding
    what, _, advice = reason.partition("; ")
    return replace(
        finding,
        outcome=Outcome.INCONCLUSIVE,
        cause=Cause.ENVIRONMENT,
        reason=f"{what}; measured there: {finding.reason}",
        advice=advice,
        details={**finding.details, "would_be": str(finding.outcome)},
    )


def nothing_measured(*, limit: float, unit: str) -> Finding:
    """Return the finding of a run without samples: errored, never passed."""
    reason = "no samples: nothing was measured"
    return Finding(outcome=Outcome.ERRORED, reason=reason, cause=Cause.HARNESS, limit=limit, unit=unit, n=0)
