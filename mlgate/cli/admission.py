"""What `gate` and `promote` share: today's facts, and the decision from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.cli.console import Output, coloured, emit_json, result
from mlgate.errors import ConfigError

if TYPE_CHECKING:
    from mlgate.attest.pipeline import Listed
    from mlgate.evidence import Evidence
    from mlgate.gate import Admission, Today
    from mlgate.policy import Policy
    from mlgate.registry.interface import ModelRegistry
    from mlgate.verdict import Reason

CHAMPION_ALIAS = "champion"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision with what it was made from."""

    registry: "ModelRegistry"
    policy: "Policy"
    today: "Today"
    admission: "Admission"


def open_registry() -> "ModelRegistry":
    """Return the registry of `MLFLOW_TRACKING_URI` and `MLFLOW_REGISTRY_URI`, or MLflow's default."""
    from mlgate.registry.mlflow import MlflowRegistry

    return MlflowRegistry()


def listed_signers(policy: "Policy") -> "tuple[Listed, ...]":
    """Read the signers that *policy* lists, as they are now.

    Raises:
        ConfigError: One can not be read, or needs an extra that is not installed.
    """
    names = policy.values.evidence.signers
    if not names:
        return ()
    from mlgate.attest.key_files import read_signers

    return read_signers(names, policy.folder)


def vouched(envelope: bytes | None, evidence: "Evidence", signers: "Sequence[Listed]") -> "Listed | Reason":
    """Return who vouches for *evidence*, or why nobody does: for a display.

    Where nobody is listed, or there is no envelope, the reason begins with the word "unsigned".
    """
    from mlgate.attest.acceptance import vouching
    from mlgate.gate import UNNAMED
    from mlgate.verdict import Reason

    if envelope is None or not signers:
        message = "unsigned" if envelope is None else f"unsigned: {UNNAMED}"
        return Reason(code="unsigned", message=message)
    return vouching(envelope, evidence, signers, datetime.now(UTC))


def decide(uri: str, policy_file: str | None, *, alias: str = CHAMPION_ALIAS) -> Decision:
    """Read everything again and decide.

    Args:
        uri: The version; an alias is resolved once.
        policy_file: Default: found upward from here.
        alias: Whose version the evidence must have been compared with.

    Raises:
        MlgateError: Wrong URI or policy, or the registry does not answer.
    """
    from mlgate.artifacts.cache import fetch
    from mlgate.gate import Today, admit
    from mlgate.model_version import ModelUri
    from mlgate.policy_file import load_policy

    policy = load_policy(Path(policy_file) if policy_file else None)
    signers = listed_signers(policy)
    parsed = ModelUri.parse(uri)
    if parsed.directory is not None:
        raise ConfigError(
            f"{uri} is a directory: tested, never promotable", hint="register it and test models:/name/version"
        )
    registry = open_registry()
    version = registry.resolve(parsed)
    champion_version = registry.aliases(version.name).get(alias) if version.name else None
    champion_digest = None
    if champion_version is not None and champion_version != version.version:
        champion = registry.resolve(ModelUri.parse(f"models:/{version.name}/{champion_version}"))
        champion_digest = fetch(registry, champion).digest
    today = Today(
        version=version,
        artifact_digest=fetch(registry, version).digest,
        champion_version=champion_version,
        champion_digest=champion_digest,
        now=datetime.now(UTC),
        signers=signers,
    )
    stored = registry.evidence(version.name) if version.name else ()
    return Decision(registry=registry, policy=policy, today=today, admission=admit(policy, today, stored))


def show(decision: Decision, output: Output) -> None:
    """Print the decision: one sentence why, every reason, what to do next."""
    admission, uri = decision.admission, decision.today.version.uri
    if output is Output.JSON:
        emit_json({"uri": uri, "policy": decision.policy.digest, **admission.to_json()})
        return
    mark = "**" if output is Output.MARKDOWN else ""
    why = "every required check passed" if admission.admitted else str(admission.reasons[0])
    result(f"{uri}: {mark}{coloured(admission.word)}{mark} ({admission.provenance}): {why}")
    for reason in admission.reasons[1:]:
        result(f"- {reason}")
    image = admission.evidence.image if admission.admitted and admission.evidence else None
    if image is not None and image.origin == "given":
        # What a cluster has to pull, so that it runs what was tested.
        result(
            f"image: {image.registry_digest or image.image_digest}{'' if image.registry_digest else ' (in no registry)'}"
        )
    if not admission.admitted:
        result(f"Hint: mlgate report {uri}" if admission.evidence else f"Hint: pytest --mlgate {uri}")
