"""Registered versions that were tested and passed, without a run: evidence as a run leaves it, published through the registry."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlgate.artifacts.directory import read_directory
from mlgate.evidence import ChampionFacts
from mlgate.policy_file import parse_policy
from mlgate.publication import publish, write_files
from mlgate.verdict import format_time
from tests.unit.builders import admissible

POLICY_TEXT = "requires: [cold_start]\n"
MLMODEL = """\
flavors:
  python_function: {loader_module: nowhere, python_version: 3.11.9, env: {virtualenv: python_env.yaml}}
model_uuid: m-00000000000000000000000000000000
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "double", "required": true}]'
"""


def model(folder: Path, weights: str) -> Path:
    """A model directory whose bytes are told apart by *weights*."""
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "requirements.txt").write_text("mlflow==3.17.2\n")
    (folder / "python_env.yaml").write_text("python: 3.11.9\ndependencies:\n- -r requirements.txt\n")
    (folder / "weights").write_text(weights)
    return folder


def evidence_about(version, folder: Path, *, champion=None, age=timedelta(hours=1), policy=POLICY_TEXT, **changes):
    """Evidence of a run on *version*, whose files lie in *folder*, compared with *champion*, a version and its folder."""
    directory = read_directory(folder)
    facts = None
    if champion is not None:
        other, place = champion
        facts = ChampionFacts(uri=other.uri, version=other.version, artifact_digest=read_directory(place).digest)
    whole = admissible(parse_policy(policy), champion=facts is not None)
    subject = replace(
        whole.subject,
        uri=version.uri,
        name=version.name,
        version=version.version,
        model_id=version.model_id,
        source_run_id=version.source_run_id,
        artifact_digest=directory.digest,
        files=directory.files,
    )
    finished = format_time(datetime.now(UTC) - age)
    return replace(whole, subject=subject, champion=facts, started_at=finished, finished_at=finished, **changes)


def publish_evidence(registry, version, evidence, envelope=None) -> str:
    """Publish as a run does, and return the run's id."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(evidence, folder, envelope=envelope)
        return publish(registry, version, evidence, folder)
