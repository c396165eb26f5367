"""A registered version with signed evidence that a policy admits, in a real MLflow server, without a container.

Evidence, envelope and run are made by the library's own functions, as a gate run does; nothing was tested.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from mlgate.attest.keys import KeyKind, SigningKey, generate
from mlgate.evidence import Evidence
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.publication import publish, write_files
from mlgate.registry.mlflow import MlflowRegistry
from tests.unit.attest.delivered import POLICY_TEXT, evidence_about, listed, signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A folder with a policy that lists one key, and a registry.

    Attributes:
        folder: Where `mlgate gate` runs.
        registry: The server.
        key: Signs.
    """

    folder: Path
    registry: MlflowRegistry
    key: SigningKey

    @classmethod
    def at(cls, folder: Path, uri: str) -> "Desk":
        """Write policy and key into *folder*."""
        key = generate(KeyKind.ED25519)
        listed(folder, key)
        desk = cls(folder=folder, registry=MlflowRegistry(uri), key=key)
        desk.policy()
        return desk

    def policy(self, *lines: str) -> None:
        """Write the policy, with more lines in its section `evidence`."""
        inner = "".join(f"  {line}\n" for line in ("signers: [ci.pub]", *lines))
        (self.folder / "mlgate.yaml").write_text(f"{POLICY_TEXT}evidence:\n{inner}")

    def add(self, name: str, model: Path) -> ModelVersion:
        """Log *model* as a logged model of a run, and register it."""
        from mlflow import MlflowClient

        client = MlflowClient(self.registry.uri)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        run = client.create_run("0")
        logged = client.create_logged_model("0", name="model", source_run_id=run.info.run_id)
        client.log_model_artifacts(logged.model_id, str(model))
        client.finalize_logged_model(logged.model_id, "READY")
        client.set_terminated(run.info.run_id)
        made = client.create_model_version(
            name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id
        )
        return self.registry.resolve(ModelUri.parse(f"models:/{name}/{made.version}"))

    def passed(self, version: ModelVersion, model: Path, *, ages: Sequence[float] = (3600.0,)) -> None:
        """Publish a signed pass of *version*, whose files are those of *model*, so many seconds old each."""
        for age in ages:
            evidence = self._about(version, model, timedelta(seconds=age))
            with tempfile.TemporaryDirectory() as name:
                write_files(evidence, Path(name), envelope=signed(evidence, self.key))
                publish(self.registry, version, evidence, Path(name))

    def _about(self, version: ModelVersion, model: Path, age: timedelta) -> Evidence:
        evidence = evidence_about(model, age=age, champion=None)
        named = {field: getattr(version, field) for field in ("uri", "name", "version", "model_id", "source_run_id")}
        return replace(evidence, subject=replace(evidence.subject, **named))
