"""A model directory against its signed statement: whether these are the files that were tested and passed. Pure; fails closed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlgate.attest.agreement import agrees
from mlgate.attest.pipeline import Listed, disagrees
from mlgate.attest.refusal import Refusal, Refused
from mlgate.attest.statement import Statement, TestResult, read_statement
from mlgate.attest.untrusted import AttestationError
from mlgate.attest.verification import verify
from mlgate.evidence import Evidence, FileEntry
from mlgate.quantities import format_duration
from mlgate.verdict import CLOCK_SKEW, Reason, parse_time

if TYPE_CHECKING:
    from mlgate.gate import Admission
    from mlgate.policy import Policy
    from mlgate.waivers import Waived

# A directory of 100 000 other files is one finding and not as many lines.
MAX_NAMED = 10
# The gate knows the policy's age limit only, and at pod start another one may hold.
_JUDGED_HERE = frozenset({"stale", "future", "not_registered"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What has to hold of an envelope before a file is looked at.

    Attributes:
        signers: Who may have signed.
        now: Aware time.
        uri: The one version to believe, `models:/name/3`; `None` for any that the signers vouch for.
        max_age_s: Oldest evidence, in seconds since the run; `None` leaves it to *policy*, and has no limit without one.
        policy: Judges the evidence again; `None` takes the signed result.
        waivers: Envelopes of waivers; they count only where *policy* judges again.
        waiver_signers: Who may waive.
    """

    signers: Sequence[Listed]
    now: datetime
    uri: str | None = None
    max_age_s: float | None = None
    policy: "Policy | None" = None
    waivers: Sequence[bytes] = ()
    waiver_signers: Sequence[Listed] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """A statement that a listed signer vouches for, what stands against believing it, and what somebody answers for."""

    signer: Listed
    statement: Statement
    reasons: tuple[Reason, ...]
    waived: "tuple[Waived, ...]" = ()


def vouched(raw: bytes | None, expected: Expected, *, place: str) -> Vouched | Reason:
    """Decide whether an envelope says that a version passed, and that the version is the expected one.

    Args:
        raw: The envelope as it lies there; `None` where there is none.
        expected: What has to hold.
        place: Where it was looked for, for the message.

    Returns:
        The statement with every reason against it, or the one reason why there is no statement to believe.
    """
    accepted = verify(raw, expected.signers, expected.now)
    if isinstance(accepted, Refused):
        message = f"no envelope at {place}" if accepted.code is Refusal.ABSENT else accepted.message
        return Reason(code=str(accepted.code), message=message)
    try:
        statement = read_statement(accepted.payload)
    except AttestationError as error:
        return Reason(code=error.code, message=error.message)
    evidence = statement.evidence
    if disagreement := agrees(statement, evidence) or disagrees(accepted.signer, evidence):
        return disagreement
    admission = None if expected.policy is None else _judged_again(statement, expected.policy, raw, expected)
    return Vouched(
        signer=accepted.signer,
        statement=statement,
        reasons=tuple(_statement_reasons(statement, admission, expected)),
        waived=() if admission is None else admission.waived,
    )


def name_reasons(statement: Statement, names: Sequence[str]) -> tuple[Reason, ...]:
    """Return which files are missing and which were never tested.

    Args:
        statement: A `Vouched` one.
        names: Paths of the files that are there, relative with `/`.
    """
    tested, found = {file.path for file in statement.evidence.subject.files}, set(names)
    if not tested:
        return (Reason(code="no_files", message="the signed statement lists no file"),)
    return (
        *_named("missing_file", sorted(tested - found), "was tested and is missing"),
        *_named("extra_file", sorted(found - tested), "is there and was never tested"),
    )


def byte_reasons(statement: Statement, files: Sequence[FileEntry], artifact_digest: str) -> tuple[Reason, ...]:
    """Return which files hold other bytes than those that were tested.

    Args:
        statement: A `Vouched` one.
        files: Every file that is there, digested now.
        artifact_digest: `files_digest` of them.
    """
    tested = {file.path: file.sha256 for file in statement.evidence.subject.files}
    changed = sorted(file.path for file in files if tested.get(file.path) != file.sha256)
    if changed:
        return tuple(_named("changed_file", changed, "is not what was tested: its sha256 differs"))
    signed = statement.evidence.subject.artifact_digest
    if signed != artifact_digest:
        # Sizes are only in this digest; so is a file that the statement lists twice.
        message = f"the artifact digest differs: {signed[:19]} was tested, {artifact_digest[:19]} is there"
        return (Reason(code="other_bytes", message=message),)
    return ()


def _statement_reasons(statement: Statement, admission: "Admission | None", expected: Expected) -> Iterator[Reason]:
    evidence, policy = statement.evidence, expected.policy
    yield from _version_reasons(evidence, expected.uri)
    yield from _result_reasons(statement) if admission is None else _admission_reasons(admission)
    limit_s = policy.values.evidence.max_age if policy and expected.max_age_s is None else expected.max_age_s
    yield from _age_reasons(evidence, expected.now, limit_s)


def _version_reasons(evidence: Evidence, uri: str | None) -> Iterator[Reason]:
    subject = evidence.subject
    # The gate promotes nothing else, so nothing else is on its way into a pod.
    if subject.name is None or subject.version is None:
        yield Reason(code="not_registered", message=f"{subject.uri} is no registered version: tested, never promotable")
    if uri is not None and subject.uri != uri:
        yield Reason(code="other_version", message=f"the evidence is about {subject.uri}, not {uri}")


def _result_reasons(statement: Statement) -> Iterator[Reason]:
    evidence = statement.evidence
    if not evidence.complete:
        yield Reason(code="partial", message="the run was partial: not every required suite was asked for")
    if not statement.passed:
        yield Reason(code="nothing_passed", message="no check passed: nothing was judged")
    # WARNED is what the gate admits: some check that was not required did not pass.
    if statement.result is TestResult.FAILED and evidence.complete:
        why = f": {evidence.verdict.reasons[0]}" if evidence.verdict.reasons else ""
        yield Reason(code="not_passed", message=f"{evidence.subject.uri} did not pass{why}")


def _judged_again(statement: Statement, policy: "Policy", raw: bytes | None, expected: Expected) -> "Admission":
    """Ask the gate, as if the champion of the test were today's: who serves now can not be told offline."""
    # Here, because a pod that takes the signed result starts without what a policy needs: numpy, scipy.
    from mlgate.gate import Today, admit  # noqa: PLC0415 - only with a policy
    from mlgate.model_version import ModelVersion  # noqa: PLC0415 - as above
    from mlgate.registry.interface import StoredEvidence, StoredWaiver  # noqa: PLC0415 - as above

    evidence = statement.evidence
    subject, champion = evidence.subject, evidence.champion
    today = Today(
        version=ModelVersion(
            uri=subject.uri,
            name=subject.name,
            version=subject.version,
            model_id=subject.model_id,
            source_run_id=subject.source_run_id,
            location="",
        ),
        artifact_digest=subject.artifact_digest,
        champion_version=champion.version if champion else None,
        champion_digest=champion.artifact_digest if champion else None,
        now=expected.now,
        signers=tuple(expected.signers),
        waivers=tuple(StoredWaiver(run_id="", envelope=raw) for raw in expected.waivers),
        waiver_signers=tuple(expected.waiver_signers),
    )
    return admit(policy, today, [StoredEvidence(run_id="", raw=evidence.canonical(), envelope=raw)])


def _admission_reasons(admission: "Admission") -> Iterator[Reason]:
    if not admission.admitted and not admission.reasons:
        yield Reason(code="not_passed", message="the gate does not admit it")
    yield from (reason for reason in admission.reasons if reason.code not in _JUDGED_HERE)


def _age_reasons(evidence: Evidence, now: datetime, limit_s: float | None) -> Iterator[Reason]:
    try:
        age_s = (now - parse_time(evidence.finished_at)).total_seconds()
    except (ValueError, OverflowError):
        yield Reason(code="stale", message=f"finished_at '{evidence.finished_at}' is no time")
        return
    if limit_s is not None and age_s > limit_s:
        message = f"evidence is {format_duration(age_s)} old > {format_duration(limit_s)} allowed"
        yield Reason(code="stale", message=message)
    if age_s < -CLOCK_SKEW.total_seconds():
        yield Reason(code="future", message=f"evidence is dated {format_duration(-age_s)} in the future")


def _named(code: str, paths: Sequence[str], what: str) -> Iterator[Reason]:
    for path in paths[:MAX_NAMED]:
        yield Reason(code=code, message=f"{path} {what}")
    if len(paths) > MAX_NAMED:
        yield Reason(code=code, message=f"each of {len(paths) - MAX_NAMED} more files {what}")
