"""What a gate run prints: the header, the table of checks, and the verdict last."""

from collections.abc import Iterable, Sequence
from typing import Any

from mlgate.check_id import readable_check_id
from mlgate.errors import one_line
from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.images.labels import MODEL_PATH
from mlgate.own_suites import words
from mlgate.publication import measured_text
from mlgate.quantities import format_number
from mlgate.report.words import is_advisory
from pytest_mlgate.session import GateSession

_COLOUR = {
    Outcome.PASSED: {"green": True},
    Outcome.FAILED: {"red": True, "bold": True},
    Outcome.ERRORED: {"red": True},
    Outcome.INCONCLUSIVE: {"yellow": True},
    Outcome.SKIPPED: {"yellow": True},
}
_VERDICT_COLOUR = {"passed": {"green": True}, "failed": {"red": True}, "inconclusive": {"yellow": True}}


def header(session: GateSession) -> list[str]:
    """Return the lines that say what is tested, against what, by which policy."""
    if not hasattr(session, "directory"):
        return []
    champion = session.champion.version.uri if session.champion else "none"
    where = session.policy.path or "built in"
    lines = [
        f"mlgate: {session.version.uri} {session.directory.digest[:19]}…, champion {champion}",
        f"mlgate: policy {where} {session.policy.digest[:19]}…, sandbox {session.request.sandbox}, seed {session.seed}",
    ]
    if session.request.sandbox == "process":
        lines.append("mlgate: NOT ISOLATED: the model runs as a plain process of this machine")
    if session.signer.withheld:
        lines.append("mlgate: NOT SIGNED: in the sandbox 'process' the model runs as the user who holds the key")
    if session.given is not None:
        lines.append(f"mlgate: image {session.given.name} {session.given.reference[:19]}…, given; nothing is built")
    if session.unverified:
        lines.append(f"mlgate: UNVERIFIED IMAGE: no model at {MODEL_PATH} in it; writes no tags, admits nothing")
    if session.announced is not None and session.announced.words:
        lines.append(f"mlgate: {session.announced.words}")
    if session.partial:
        lines.append(f"mlgate: PARTIAL: only {', '.join(session.suites)}; writes no tags, admits nothing")
    return lines


def not_judged(session: GateSession, collected: Iterable[str]) -> list[str]:
    """Return a line for every suite that runs and that the policy does not require."""
    undecided = () if session.replays else sorted({*collected} - {"environment", *session.suites})
    return [f"mlgate: NOT JUDGED: {words(suite)}" for suite in undecided]


def write_table(reporter: Any, session: GateSession) -> None:
    """Print every check, the worst first."""
    evidence = session.evidence
    if evidence is None or session.verdict is None:
        return
    reporter.ensure_newline()
    reporter.section("mlgate")
    checks = evidence.checks()
    advice = [check for check in checks if is_advisory(check, evidence)]
    told = ""
    for check in sorted((check for check in checks if check not in advice), key=lambda found: -found.outcome.badness):
        reporter.write(f"{check.outcome:<13}", **_COLOUR[check.outcome])
        reporter.write_line(f"{readable_check_id(check.key):<38} {_numbers(check)}".rstrip())
        if "headroom" in check.finding.details:
            reporter.write_line(f"{'':13}{check.finding.details['headroom']}"[:160])
        # Where nothing is served, every check has the same reason: once is enough.
        if check.outcome is not Outcome.PASSED and check.finding.reason != told:
            told = check.finding.reason
            reporter.write_line(f"{'':13}{one_line(told)}")
            if check.finding.advice:
                reporter.write_line(f"{'':13}→ {one_line(check.finding.advice)}")
            if "example" in check.finding.details:
                reporter.write_line(f"{'':13}example: {one_line(str(check.finding.details['example']))}"[:400])
    _write_advice(reporter, [check for check in advice if check.outcome is not Outcome.PASSED])


def _write_advice(reporter: Any, advice: Sequence[CheckResult]) -> None:
    """Print what decides nothing, last and in one line each: red lines there would hide the ones that count."""
    for check in advice:
        reporter.write(f"{'advice':<13}", cyan=True)
        reporter.write_line(f"{check.key:<38} {one_line(check.finding.reason)}"[:160])


def write_verdict(reporter: Any, session: GateSession) -> None:
    """Print where the report is and, last, the verdict: what is read first in a job log is its end."""
    evidence = session.evidence
    if evidence is None or session.verdict is None:
        return
    if session.problem is not None:
        reporter.write_line(f"mlgate: {session.problem}", red=True, bold=True)
    if session.installed:
        reporter.write_line(f"report: {session.output / 'report.html'}")
    if session.run_id is not None:
        reporter.write_line(f"MLflow: {session.registry.run_url(session.run_id) or f'run {session.run_id}'}")
    for found in session.waived:
        reporter.write_line(f"waived at the gate: {found}", red=True)
    reporter.write_line(_verdict_line(session, evidence), bold=True, **_VERDICT_COLOUR[str(session.verdict.outcome)])


def _numbers(check: CheckResult) -> str:
    finding = check.finding
    if finding.measured is None:
        return ""
    parts = [measured_text(finding.measured, finding.unit)]
    if finding.limit is not None:
        parts.append(f"limit {measured_text(finding.limit, finding.unit)}")
    if finding.n is not None:
        parts.append(f"n = {format_number(finding.n)}")
    return ", ".join([*parts, *_power(check), *_allowed(check)])


def _allowed(check: CheckResult) -> list[str]:
    """Return how many of a load's requests may violate the limit, and how many did: what its n allows to say."""
    allowed, did = (check.finding.details.get(key) for key in ("allowed", "violations"))
    if not isinstance(did, int):
        return []
    return [f"{format_number(allowed) if isinstance(allowed, int) else 'none'} may exceed, {format_number(did)} did"]


def _power(check: CheckResult) -> list[str]:
    """Return what the rows of a comparison can show: a pass by a wide margin and one by luck look alike without it."""
    shown, needed = (check.finding.details.get(key) for key in ("minimum_detectable_loss", "rows_needed_for_margin"))
    if not isinstance(shown, (int, float)):
        return []
    return [f"shows a loss of {format_number(shown)}", *([f"margin needs {format_number(needed)}"] if needed else [])]


def _verdict_line(session: GateSession, evidence: Evidence) -> str:
    verdict = session.verdict
    words = ["PARTIAL"] if session.partial else []
    if evidence.sandbox is not None and evidence.sandbox.kind == "process":
        words.append("NOT ISOLATED")
    if session.unverified:
        words.append("UNVERIFIED IMAGE")
    words.append(session.provenance or "unsigned")
    summary = verdict.summary if verdict else ""
    outcome = verdict.outcome if verdict else "none"
    return f"{evidence.subject.uri}: {outcome} ({', '.join(words)}): {summary}"
