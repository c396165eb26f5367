"""What mlgate writes beside a version: tag keys, their values, and the verdict line of the description. Pure.

The only file that spells the "mlgate.…" keys. Tags are for display: the gate never believes one.
"""

import re
from types import MappingProxyType

from mlgate.evidence import Evidence, Outcome, SuiteResult, worst

# Every key of ours begins with it, and nobody else's.
PREFIX = "mlgate."
STATUS = "mlgate.status"
SUITE = "mlgate.suite."
EVIDENCE = "mlgate.evidence"
GATE_RUN_ID = "mlgate.gate_run_id"
ARTIFACT_DIGEST = "mlgate.artifact_digest"
RECIPE = "mlgate.recipe"
POLICY = "mlgate.policy"
CHAMPION = "mlgate.champion"
TESTED_AT = "mlgate.tested_at"
REPORT = "mlgate.report"
SUBJECT = "mlgate.subject"
WAIVED = "mlgate.waived"
EVENT = "mlgate.event"
DATA = "mlgate.data"

# On the markers of `mlgate/locking`.
LOCK_HOLDER = "mlgate.lock.holder"
LOCK_TOKEN = "mlgate.lock.token"  # noqa: S105 - says which attempt created it, and is no secret
LOCK_EXPIRY_S = "mlgate.lock.expiry_s"
LOCK_RELEASED = "mlgate.lock.released"

# MLflow's own keys: a run's kind (its UI knows `test`) and its description.
RUN_TYPE = MappingProxyType({"mlflow.runType": "test"})
NOTE = "mlflow.note.content"

EXPERIMENT_PREFIX = "mlgate/"
FOLDER = "mlgate"
EVIDENCE_FILE = "evidence.json"

# Databricks promises 500 bytes a value, older MLflow 5 000, newer 100 000 (reference/ecosystem.md §3.1).
MAX_VALUE_BYTES = 499
# MLflow's table of versions shows the description's first line, cut there.
MAX_LINE = 32
NONE = "none"


def experiment_name(model: str | None, shelf: str = "") -> str:
    """Return the experiment that holds the gate runs of a registered model, or of everything unregistered.

    Args:
        model: Its name.
        shelf: A word for what is kept beside the gate runs, in an experiment of its own.
    """
    # A registered name holds neither "/" nor ":", so this one is nobody's.
    own = f"{EXPERIMENT_PREFIX}{model}" if model else f"{EXPERIMENT_PREFIX}unregistered/models"
    return f"{own}/{shelf}" if shelf else own


def running_tags(started_at: str) -> dict[str, str]:
    """Return what a version carries while it is being tested: never anything that reads like a pass."""
    return {STATUS: cut(f"running since {started_at}")}


def version_tags(evidence: Evidence, *, run_id: str, report_url: str | None) -> dict[str, str]:
    """Return the tags of a tested version in write order: details first, the verdict last.

    Every key is always there, so that no value of an earlier run stays beside newer ones.

    Args:
        evidence: The complete evidence.
        run_id: The MLflow run that holds it.
        report_url: The run's page for a person; `None` where the registry has no pages.
    """
    tags = {f"{SUITE}{_key_part(name)}": _suite_outcome(suite) for name, suite in evidence.suites.items()}
    tags |= _facts(evidence)
    tags[GATE_RUN_ID] = run_id
    tags[REPORT] = report_url or f"runs:/{run_id}/{FOLDER}/report.html"
    tags[STATUS] = evidence.verdict.outcome
    return {key: cut(value) for key, value in tags.items()}


def _suite_outcome(suite: SuiteResult) -> str:
    """Return the outcome of what decides: advice that failed would make every version of a good model look bad."""
    deciding = [check.outcome for check in suite.checks if not check.finding.details.get("advisory")]
    return str(worst(deciding) if deciding else suite.outcome)


def run_tags(evidence: Evidence) -> dict[str, str]:
    """Return the tags that make a gate run findable; add `NOTE` for the text on the run's page."""
    data = evidence.data.digest if evidence.data else NONE
    tags = {**RUN_TYPE, SUBJECT: evidence.subject.uri, **_facts(evidence), DATA: data, STATUS: evidence.verdict.outcome}
    return {key: cut(value) for key, value in tags.items()}


def cut(value: str, *, limit: int = MAX_VALUE_BYTES) -> str:
    """Return *value* in at most *limit* bytes of UTF-8, never within a character; a cut value ends in "…"."""
    raw = value.encode("utf-8", "backslashreplace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - 3].decode("utf-8", "ignore") + "…"


def _facts(evidence: Evidence) -> dict[str, str]:
    return {
        EVIDENCE: evidence.digest,
        ARTIFACT_DIGEST: evidence.subject.artifact_digest,
        RECIPE: evidence.image.recipe_digest if evidence.image and evidence.image.recipe_digest else NONE,
        POLICY: evidence.policy.digest,
        CHAMPION: evidence.champion.uri if evidence.champion else NONE,
        TESTED_AT: evidence.finished_at,
    }


def _key_part(name: str) -> str:
    # MLflow's key characters without "/", which its paths rule could refuse; keys end at 250.
    return re.sub(r"[^\w.\- :]", "_", name, flags=re.ASCII)[:200]


_LINE_PREFIX = "mlgate: "
_MARKER = "<!-- The line above is written by mlgate and replaced at each run; the rest is yours. -->"
# Browsers post "\r\n", and a trimmed description loses the blank lines at its end.
_BLOCK = re.compile(rf"^{_LINE_PREFIX}[^\r\n]*\r?\n{re.escape(_MARKER)}(?:\r?\n){{0,2}}", re.MULTILINE)


def verdict_line(evidence: Evidence) -> str:
    """Return `mlgate: passed 18/18 2026-11-23`: the verdict, passed of all checks, the day; at most 32 characters."""
    checks = evidence.checks()
    passed = sum(check.outcome is Outcome.PASSED for check in checks)
    outcome, day = evidence.verdict.outcome, evidence.finished_at[:10]
    full = f"{_LINE_PREFIX}{outcome} {passed}/{len(checks)} {day}"
    # "inconclusive" leaves room for the day only.
    return full if len(full) <= MAX_LINE else f"{_LINE_PREFIX}{outcome} {day}"[:MAX_LINE]


def with_verdict_line(description: str, line: str) -> str:
    """Return *description* with *line* as its first line, in a block that the next call replaces.

    Everything outside the block stays as it is, byte for byte; the same call twice gives the same text.

    Args:
        description: The text as it stands; it may hold a block of an earlier run anywhere.
        line: One line, with or without the leading "mlgate: "; cut at 32 characters.
    """
    words = " ".join(line.split()).removeprefix(_LINE_PREFIX.strip()).strip()
    first = f"{_LINE_PREFIX}{words}"[:MAX_LINE]
    return f"{first}\n{_MARKER}\n\n{without_verdict_line(description)}"


def without_verdict_line(description: str) -> str:
    """Return *description* without mlgate's blocks: the user's text."""
    # Taking a block out of the middle could join two halves of another.
    while (stripped := _BLOCK.sub("", description)) != description:
        description = stripped
    return description
