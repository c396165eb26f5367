"""`mlgate accuracy recompute`: the verdict on accuracy once more, from the stored scores alone."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgate.check_id import readable_check_id
from mlgate.cli.console import Output, OutputOption, PolicyOption, coloured, emit_json, result, say, table
from mlgate.errors import EvidenceError, one_line

if TYPE_CHECKING:
    from mlgate.evaluation.score_table import StoredScores
    from mlgate.evidence import CheckResult, Evidence

NAME = "recompute"
HELP = (
    "Judge accuracy again from a run's stored scores, without models and data. "
    "Example: mlgate accuracy recompute .mlgate/churn-3"
)
_CHECKS = {"accuracy.floor", "accuracy.regression", "accuracy.gap", "accuracy.slices", "accuracy.slice"}
_EXIT = {"passed": 0, "failed": 1, "inconclusive": 4}
_OTHER_EVIDENCE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is read: the scores, and the evidence of the same run where it is there."""

    scores: Path
    evidence: Path | None
    name: str


def command(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A run's folder, a scores.parquet, or models:/name/3")
    ],
    policy: PolicyOption = None,
    output: OutputOption = Output.TEXT,
) -> int:
    """Read, judge, compare with the evidence; the exit status is the verdict's."""
    from mlgate.evaluation.score_table import read_scores

    with _files(source) as files:
        stored = read_scores(files.scores)
        evidence = None if files.evidence is None else _read_evidence(files.evidence)
    checks = _judge(stored, policy)
    verdict = _verdict(checks)
    differences = [] if evidence is None else _differences(stored, checks, evidence)
    if output is Output.JSON:
        emit_json(_document(files.name, stored, checks, verdict, evidence, differences))
    else:
        _print(files.name, stored, checks, verdict, evidence, differences, markdown=output is Output.MARKDOWN)
    return _OTHER_EVIDENCE if differences else _EXIT[verdict]


@contextmanager
def _files(source: str) -> Iterator[Files]:
    """Find the files; those of a registry are there for the length of the block only."""
    if "://" not in source and not source.startswith("models:/"):
        yield _local(Path(source), source)
        return
    with tempfile.TemporaryDirectory(prefix="mlgate-") as folder:
        yield _downloaded(source, Path(folder))


def _local(path: Path, name: str) -> Files:
    places = [path / "accuracy" / "scores.parquet", path / "scores.parquet"] if path.is_dir() else [path]
    scores = next((place for place in places if place.exists()), places[0])
    beside = (scores.parent / "evidence.json", scores.parent.parent / "evidence.json")
    return Files(scores=scores, evidence=next((place for place in beside if place.is_file()), None), name=name)


def _downloaded(uri: str, folder: Path) -> Files:
    from mlgate.cli.admission import newest_evidence, open_registry
    from mlgate.evaluation.score_table import FILE
    from mlgate.model_version import ModelUri

    registry = open_registry()
    version = registry.resolve(ModelUri.parse(uri))
    stored, _ = newest_evidence(registry, version)
    files = Files(scores=folder / "scores.parquet", evidence=folder / "evidence.json", name=version.uri)
    (folder / "evidence.json").write_bytes(stored.raw)
    if not registry.run_file(stored.run_id, FILE, files.scores):
        raise EvidenceError(f"{version.uri}: its newest run {stored.run_id} stored no {FILE}")
    return files


def _read_evidence(path: Path) -> "Evidence":
    from mlgate.evidence import Evidence as Document

    try:
        return Document.from_bytes(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"{path}: can not be read ({error.strerror})") from error


def _judge(stored: "StoredScores", policy_file: str | None) -> "list[CheckResult]":
    from mlgate.evaluation.metric_set import metrics_of
    from mlgate.policy_file import load_policy

    accuracy = stored.scores.accuracy
    folder = Path.cwd()
    if accuracy.own_metrics:  # the user's own code is in no file of ours: it is imported as at the run
        folder = load_policy(Path(policy_file) if policy_file else None).folder
    metrics = metrics_of(accuracy, folder, classification=bool(stored.scores.challenger.sample.classes))
    return replace(stored.scores, metrics=metrics).judge_all(stored.facts.checks)


def _verdict(checks: "Sequence[CheckResult]") -> str:
    outcomes = {str(check.outcome) for check in checks}
    if "failed" in outcomes:
        return "failed"
    return "passed" if outcomes == {"passed"} else "inconclusive"


def _differences(stored: "StoredScores", checks: "Sequence[CheckResult]", evidence: "Evidence") -> list[str]:
    """Say where the evidence of the run says something else, each in a line."""
    from mlgate.evaluation.paired_scores import same_judgement

    suite = evidence.suites.get("accuracy")
    told = {check.key: check for check in suite.checks if check.id in _CHECKS} if suite else {}
    found = []
    digests = {check.finding.details["scores"] for check in told.values() if "scores" in check.finding.details}
    if digests != {stored.digest}:
        says = ", ".join(sorted(map(str, digests))) or "none"
        found.append(f"the scores are {stored.digest}, and the evidence names {says}: this is another file")
    if evidence.subject.artifact_digest != stored.facts.challenger:
        found.append(f"the scores are of {stored.facts.challenger}, the evidence of {evidence.subject.artifact_digest}")
    again = {check.key: check for check in checks}
    for key in [*again, *(key for key in told if key not in again)]:
        if key not in told or key not in again:
            found.append(f"{key}: {'not in the evidence' if key not in told else 'only in the evidence'}")
        elif not same_judgement(again[key], told[key]):
            found.append(
                f"{key}: {again[key].outcome} now, {told[key].outcome} in the evidence: {told[key].finding.reason}"
            )
    return found


def _document(
    name: str,
    stored: "StoredScores",
    checks: "Sequence[CheckResult]",
    verdict: str,
    evidence: "Evidence | None",
    differences: Sequence[str],
) -> dict[str, Any]:
    from mlgate.typed_json import jsonable

    return {
        "source": name,
        "scores": stored.digest,
        "versions": dict(stored.versions),
        "verdict": verdict,
        "evidence": None if evidence is None else evidence.digest,
        "equals_evidence": None if evidence is None else not differences,
        "differences": list(differences),
        "checks": [
            {
                "id": check.key,
                "outcome": str(check.outcome),
                "reason": check.finding.reason,
                "measured": check.finding.measured,
                "limit": check.finding.limit,
                "n": check.finding.n,
                "interval": check.finding.interval,
                "details": jsonable(check.finding.details),
            }
            for check in checks
        ],
    }


def _print(
    name: str,
    stored: "StoredScores",
    checks: "Sequence[CheckResult]",
    verdict: str,
    evidence: "Evidence | None",
    differences: Sequence[str],
    *,
    markdown: bool,
) -> None:
    from mlgate.quantities import format_number

    if not markdown:
        say(f"scores {stored.digest}, written by mlgate {stored.versions.get('mlgate', '?')}")
    rows = [
        (
            str(check.outcome),
            readable_check_id(check.key),
            "-" if check.finding.measured is None else format_number(check.finding.measured),
            "-" if check.finding.limit is None else format_number(check.finding.limit),
            "-" if check.finding.n is None else format_number(check.finding.n),
        )
        for check in sorted(checks, key=lambda check: -check.outcome.badness)
    ]
    result(table(("outcome", "check", "measured", "limit", "n"), rows, markdown=markdown))
    for check in checks:
        if str(check.outcome) != "passed":
            advice = f" → {check.finding.advice}" if check.finding.advice else ""
            result(f"- {readable_check_id(check.key)}: {one_line(check.finding.reason + advice)}")
    result(f"{name}: {coloured(verdict)} (accuracy, recomputed from {format_number(_rows(stored))} rows)")
    if evidence is None:
        result("There is no evidence.json beside the scores to compare with.")
    elif differences:
        result("\n".join(["NOT what the run's evidence says:", *(f"- {line}" for line in differences)]))
    else:
        result("The same findings as in the run's evidence.")


def _rows(stored: "StoredScores") -> int:
    return len(stored.scores.challenger.sample)
