"""Recorder: what each check said, held against what pytest saw. No pytest import, no decision about the verdict."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mlgate.check_id import parse_check_id
from mlgate.evidence import Cause, CheckResult, Finding, Outcome, SuiteResult

# What pytest's report of a test says at the least about its check.
_REPORTED = {"passed": Outcome.PASSED, "failed": Outcome.ERRORED, "skipped": Outcome.SKIPPED}


@dataclass
class _Entry:
    suite: str
    findings: list[Finding] = field(default_factory=list)
    reported: list[tuple[Outcome, str]] = field(default_factory=list)
    runs: int = 0
    called: bool = False
    duration_s: float = 0.0


class Recorder:
    """Collects, check by check; the outcome of a check is the worst of what it recorded and what pytest reported."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def collected(self, key: str, suite: str) -> bool:
        """Note that a check exists; `False` where its id was collected before."""
        known = key in self._entries
        self._entries.setdefault(key, _Entry(suite=suite))
        return not known

    def suites_of(self, keys: Iterable[str]) -> frozenset[str]:
        """Return the suites of collected checks."""
        return frozenset(self._entries[key].suite for key in keys)

    def started(self, key: str) -> None:
        """Note that a check runs; a second run (a rerun plugin) will not pass."""
        self._entries[key].runs += 1

    def record(self, key: str, finding: Finding) -> None:
        """Take what a check found."""
        self._entries[key].findings.append(finding)

    def record_part(self, key: str, part: CheckResult) -> None:
        """Take a check that is found only while *key* runs, and belongs to its suite; a second one of that id spoils both."""
        entry = self._entries.setdefault(part.key, _Entry(suite=self._entries[key].suite, runs=1, called=True))
        entry.findings.append(part.finding)

    def reported(self, key: str, *, outcome: str, when: str, xfail: bool, text: str, duration_s: float) -> None:
        """Take pytest's report of one phase of the check's test."""
        entry = self._entries[key]
        entry.duration_s += duration_s
        entry.called = entry.called or when == "call"
        worst = Outcome.SKIPPED if xfail else _REPORTED.get(outcome, Outcome.ERRORED)
        if worst is not Outcome.PASSED:
            entry.reported.append((worst, f"{when}: {'marked xfail' if xfail else text}"))

    def finding(self, key: str) -> Finding | None:
        """Return what came of a check as it stands; `None` where it was not collected."""
        return _settle(self._entries[key]) if key in self._entries else None

    def outcome(self, key: str) -> Outcome:
        """Return the outcome of a check as it stands."""
        return _settle(self._entries[key]).outcome

    def results(self, order: Iterable[str]) -> dict[str, SuiteResult]:
        """Return every collected check under its suite; *order* is the order of suites, others follow."""
        suites: dict[str, list[tuple[str, _Entry]]] = {name: [] for name in order}
        for key, entry in self._entries.items():
            suites.setdefault(entry.suite, []).append((key, entry))
        return {
            name: SuiteResult(
                duration_s=round(sum(entry.duration_s for _, entry in entries), 3),
                checks=tuple(_result(key, entry) for key, entry in entries),
            )
            for name, entries in suites.items()
            if entries
        }


def _result(key: str, entry: _Entry) -> CheckResult:
    check, params = parse_check_id(key)
    return CheckResult(id=check, params=params, finding=_settle(entry))


def _settle(entry: _Entry) -> Finding:
    """Return the check's finding, made worse by whatever pytest or a rerun did to it."""
    if entry.runs > 1 or len(entry.findings) > 1:
        times = max(entry.runs, len(entry.findings))
        return _spoiled(entry, Outcome.ERRORED, f"ran or was recorded {times} times: a rerun does not make a pass")
    if not entry.findings:
        if entry.reported:
            outcome, text = max(entry.reported, key=lambda report: report[0].badness)
            return _spoiled(entry, outcome, text)
        if entry.runs == 0:
            return _spoiled(entry, Outcome.SKIPPED, "did not run: deselected, or the run stopped before it")
        return _spoiled(entry, Outcome.ERRORED, "recorded no finding")
    finding = entry.findings[0]
    if not entry.called:
        # Another plugin's runner took over: whether the test went on to fail is not known.
        return _spoiled(entry, Outcome.ERRORED, "pytest reported no call of it")
    for outcome, text in entry.reported:
        # A recorded failure is raised as one, so pytest's "failed" adds nothing to it.
        if outcome.badness > finding.outcome.badness:
            return _spoiled(entry, outcome, f"{text} (the check itself recorded {finding.outcome})")
    return finding


def _spoiled(entry: _Entry, outcome: Outcome, reason: str) -> Finding:
    worst = max(entry.findings, key=lambda finding: finding.outcome.badness, default=None)
    if worst is not None and worst.outcome.badness > outcome.badness:
        return replace(worst, reason=f"{worst.reason} ({reason})")
    return Finding(outcome=outcome, reason=reason, cause=Cause.HARNESS)
