"""Write a gate run's files to a folder, and the run, its tags and the description line to the registry."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from mlgate.attest.bundle import is_bundle
from mlgate.check_id import mlflow_name
from mlgate.errors import OutputError
from mlgate.evidence import Evidence, Outcome
from mlgate.failure import file_name
from mlgate.model_version import ModelVersion
from mlgate.quantities import format_measured
from mlgate.registry.interface import BUNDLE_FILE, ENVELOPE_FILE, Capability, GateRun, ModelRegistry
from mlgate.registry.tags import NOTE, run_tags, verdict_line, version_tags, with_verdict_line
from mlgate.report.html import render_html
from mlgate.report.junit import render_junit
from mlgate.report.markdown import render_markdown
from mlgate.waivers import Waived

# evidence.json comes last: whoever sees it finds the files it belongs to beside it.
_FILES = ("report.html", "report.md", "junit.xml", "policy.yaml", "failures", "load", "accuracy", ENVELOPE_FILE, BUNDLE_FILE, "evidence.json")  # fmt: skip


def write_files(
    evidence: Evidence,
    folder: Path,
    *,
    envelope: bytes | None = None,
    signature: str | None = None,
    waived: Sequence[Waived] = (),
) -> None:
    """Write the report, JUnit, policy, failing examples and the evidence into *folder*.

    Args:
        evidence: Of a finished run.
        folder: An existing one.
        envelope: The signed statement about *evidence*, a DSSE envelope or a Sigstore bundle; `None` where nothing is
            signed.
        signature: What the reports say of it.
        waived: The checks that somebody answers for, for the reports.
    """
    failures = folder / "failures"
    for check in evidence.checks():
        request = check.finding.details.get("request") or check.finding.details.get("example")
        if check.outcome is Outcome.FAILED and request and not check.finding.details.get("file"):
            failures.mkdir(exist_ok=True)
            document = {
                "check": check.key,
                "reason": check.finding.reason,
                "seed": evidence.seed,
                **check.finding.details,
            }
            (failures / file_name(check.key, 1)).write_text(json.dumps(document, indent=2, ensure_ascii=False), "utf-8")
    (folder / "report.html").write_text(render_html(evidence, signature=signature, waived=waived), "utf-8")
    (folder / "report.md").write_text(render_markdown(evidence, signature=signature, waived=waived), "utf-8")
    (folder / "junit.xml").write_bytes(render_junit(evidence))
    (folder / "policy.yaml").write_text(evidence.policy.text, "utf-8")
    if envelope is not None:
        (folder / (BUNDLE_FILE if is_bundle(envelope) else ENVELOPE_FILE)).write_bytes(envelope)
    (folder / "evidence.json").write_bytes(evidence.canonical())


def check_output(output: Path) -> None:
    """Make *output* and try to write there, before anything else is started.

    Raises:
        OutputError: It can not be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise OutputError(
            f"output directory {output} can not be written ({error.strerror})", hint="--mlgate-output DIR"
        ) from error


def install_files(folder: Path, output: Path) -> None:
    """Bring the files of a finished run from *folder* to *output*: each is the old one or the new one, never a half.

    Two runs that end together take turns; nothing of the user's in *output* is touched.

    Raises:
        OutputError: The disk is full, or *output* can no longer be written. The files of an earlier run stay.
    """
    try:
        with FileLock(output / ".lock"):
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=output))
            try:
                shutil.copytree(folder, staging, dirs_exist_ok=True)
                for name in _FILES:
                    _replace(staging / name, output / name)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        # shutil has an error of its own, which lists files and why not.
        why = (
            str(error.args[0][0][2]).partition(": '")[0].rpartition("] ")[2]
            if isinstance(error, shutil.Error)
            else error.strerror
        )
        raise OutputError(f"output directory {output}: {why}; the earlier files stay") from error


def _replace(new: Path, old: Path) -> None:
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old)
    elif not new.exists():
        old.unlink(missing_ok=True)
    if new.exists():
        os.replace(new, old)  # noqa: PTH105  (Path.replace says nothing of atomicity; os.replace does)


def publish(registry: ModelRegistry, version: ModelVersion, evidence: Evidence, folder: Path) -> str:
    """Store the run, then the tags (where there is a place for them), then the description line; return the run id.

    The tags come after the evidence: killed anywhere in between, nothing reads like a pass that has no evidence.

    Raises:
        RegistryError: The registry is gone. The files in *folder* are complete, and nothing is admitted.
    """
    run_id = registry.publish(
        GateRun(
            version=version,
            name=f"{version.label} {evidence.verdict.outcome}",
            tags={**run_tags(evidence), NOTE: (folder / "report.md").read_text("utf-8")[:4000]},
            metrics=metrics_of(evidence),
            folder=folder,
            dataset=_dataset(evidence),
        )
    )
    if version.promotable:
        if not registry.lacks(Capability.TAGS):
            registry.set_tags(version, version_tags(evidence, run_id=run_id, report_url=registry.run_url(run_id)))
        text = with_verdict_line(registry.description(version), verdict_line(evidence))
        registry.set_description(version, text)
    return run_id


def metrics_of(evidence: Evidence) -> Mapping[str, float]:
    """Return every measured value under its MLflow name, the champion's beside it."""
    metrics: dict[str, float] = {}
    for check in evidence.checks():
        name = mlflow_name(check.key)
        if check.finding.measured is not None:
            metrics[name] = check.finding.measured
        champion = check.finding.details.get("champion")
        if isinstance(champion, Mapping) and isinstance(champion.get("value"), (int, float)):
            metrics[f"champion.{name}"] = float(champion["value"])
    return metrics


def _dataset(evidence: Evidence) -> Mapping[str, str]:
    if evidence.data is None:
        return {}
    return {"name": evidence.data.source, "digest": evidence.data.digest, "rows": str(evidence.data.rows)}


def measured_text(measured: float | None, unit: str) -> str:
    """Return a measurement for a person; a dash where nothing was measured."""
    return "-" if measured is None else format_measured(measured, unit)
