"""Verdict: what policy and evidence say together. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from mlgate.check_id import readable_check_id
from mlgate.errors import one_line
from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.quantities import format_duration

if TYPE_CHECKING:
    from mlgate.policy import Policy

# Clocks of a laptop, a runner and a server differ; ten minutes is what the threat model allows.
CLOCK_SKEW = timedelta(minutes=10)


class VerdictOutcome(StrEnum):
    """Only `passed` promotes."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a verdict is not `passed`.

    Attributes:
        code: Stable word for machines: an outcome, or `absent`, `partial`, `stale`, `future`, `nothing_required`, ….
        message: One sentence for people.
        check: Text id of the check, where one is to blame.
    """

    code: str
    message: str
    check: str | None = None

    def __str__(self) -> str:
        return one_line(f"{readable_check_id(self.check)}: {self.message}" if self.check else self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome and every reason against, worst first."""

    outcome: VerdictOutcome
    reasons: tuple[Reason, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence: why."""
        if not self.reasons:
            return "every required check passed"
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.reasons[0]}{more}"


def assess(policy: "Policy", evidence: Evidence, now: datetime) -> Verdict:
    """Judge *evidence* by *policy* at *now*.

    A required check that failed makes the verdict failed; else one that is inconclusive, errored, skipped or absent
    makes it inconclusive. Adding a bad outcome never turns a refusal into a pass.

    Args:
        policy: What must hold.
        evidence: What was measured; its own verdict is not read.
        now: Aware time, for the age.
    """
    reasons: list[Reason] = []
    # (1) Without this, an empty policy would admit everything.
    if not policy.requires:
        reasons.append(Reason(code="nothing_required", message="the policy requires nothing"))
    # (2) A partial run speaks only for what was asked of it.
    if not evidence.complete:
        reasons.append(Reason(code="partial", message="the run was partial: not every required suite was asked for"))
    # (3) Every expected check, by the policy's list and not by the evidence's.
    for suite, expected in policy.expected_checks(champion=evidence.champion is not None).items():
        reasons += _suite_reasons(suite, expected, evidence)
    # (4) Old evidence is about an old world: data, base image and libraries have moved since.
    reasons += _age_reasons(evidence, now, policy.values.evidence.max_age)
    failed = [reason for reason in reasons if reason.code == Outcome.FAILED]
    if failed:
        others = [reason for reason in reasons if reason.code != Outcome.FAILED]
        return Verdict(outcome=VerdictOutcome.FAILED, reasons=(*failed, *others))
    if reasons:
        return Verdict(outcome=VerdictOutcome.INCONCLUSIVE, reasons=tuple(reasons))
    return Verdict(outcome=VerdictOutcome.PASSED)


def _suite_reasons(suite: str, expected: tuple[str, ...], evidence: Evidence) -> list[Reason]:
    """Return what stands against one required suite: its expected checks, and what else was recorded under it."""
    recorded = evidence.suites[suite].checks if suite in evidence.suites else ()
    judged = [check for check in recorded if check.key in expected or not check.finding.details.get("advisory")]
    if not expected and not judged:
        return [Reason(code="absent", message=f"suite {suite} has no check: nothing was judged")]
    found = {check.key for check in judged}
    reasons = [Reason(code="absent", message="not in the evidence", check=key) for key in expected if key not in found]
    # Every result and not the last of each id: a second one that passed must not cover the first.
    return [*reasons, *(reason for check in judged if (reason := _check_reason(check.key, check)) is not None)]


def _check_reason(key: str, check: CheckResult) -> Reason | None:
    match check.outcome:
        case Outcome.PASSED:
            return None
        case Outcome.FAILED | Outcome.INCONCLUSIVE | Outcome.ERRORED | Outcome.SKIPPED:
            return Reason(code=str(check.outcome), message=check.finding.reason, check=key)
        case _:
            assert_never(check.outcome)


def _age_reasons(evidence: Evidence, now: datetime, max_age_s: float) -> list[Reason]:
    try:
        finished = parse_time(evidence.finished_at)
    except (ValueError, OverflowError):
        return [Reason(code="stale", message=f"finished_at '{evidence.finished_at}' is no time")]
    age = (now - finished).total_seconds()
    if age > max_age_s:
        return [
            Reason(
                code="stale", message=f"evidence is {format_duration(age)} old > {format_duration(max_age_s)} allowed"
            )
        ]
    if age < -CLOCK_SKEW.total_seconds():
        return [Reason(code="future", message=f"evidence is dated {format_duration(-age)} in the future")]
    return []


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time.

    Raises:
        ValueError: No time, or one without an offset.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"'{text}' has no offset from UTC")
    return time.astimezone(UTC)


def format_time(time: datetime) -> str:
    """Print an aware time as RFC 3339 in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
