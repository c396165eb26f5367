"""What `gate` and `promote` share: today's facts, and the decision from them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgate.cli.console import Output, coloured, emit_json, result, say
from mlgate.errors import ConfigError

if TYPE_CHECKING:
    from mlgate.artifacts.store_digest import StoreDigest
    from mlgate.attest.pipeline import Listed
    from mlgate.evidence import Evidence
    from mlgate.gate import Admission, Today
    from mlgate.model_version import ModelVersion
    from mlgate.policy import Policy
    from mlgate.policy_signers import PipelineSigner
    from mlgate.registry.interface import Capability, ModelRegistry, StoredEvidence, StoredWaiver
    from mlgate.verdict import Reason

CHAMPION_ALIAS = "champion"
# Runs about other bytes that are read to say why none counts.
_OTHERS = 5


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision with what it was made from: the digests of the version and of its champion among it."""

    registry: "ModelRegistry"
    policy: "Policy"
    today: "Today"
    stored: "Sequence[StoredEvidence]"
    admission: "Admission"
    artifacts: "StoreDigest"
    champion_artifacts: "StoreDigest | None"

    def digests_to_json(self) -> dict[str, Any]:
        """Return where today's digests come from, in the machine form."""
        champion = self.champion_artifacts
        return {
            "artifacts": self.artifacts.to_json(),
            "champion_artifacts": None if champion is None else champion.to_json(),
        }


def open_registry() -> "ModelRegistry":
    """Return the registry of `MLFLOW_TRACKING_URI` and `MLFLOW_REGISTRY_URI`, or MLflow's default."""
    from mlgate.registry.mlflow import MlflowRegistry

    return MlflowRegistry()


def listed_signers(policy: "Policy") -> "tuple[Listed, ...]":
    """Read the signers that *policy* lists, as they are now.

    Raises:
        ConfigError: One can not be read, or needs an extra that is not installed.
    """
    return _read_signers(policy.values.evidence.signers, policy)


def waiver_signers(policy: "Policy") -> "tuple[Listed, ...]":
    """Read the keys that may waive a check, by *policy*, as they are now.

    Raises:
        KeyMaterialError: One can not be read.
    """
    return _read_signers(policy.values.evidence.waivers, policy)


def _read_signers(entries: "Sequence[str | PipelineSigner]", policy: "Policy") -> "tuple[Listed, ...]":
    if not entries:
        return ()
    from mlgate.attest.key_files import read_signers

    return read_signers(entries, policy.folder)


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


def need(registry: "ModelRegistry", doing: str, *needed: "Capability") -> None:
    """Refuse to begin what the registry has no place for.

    Args:
        registry: Asked, without writing.
        doing: The command, for the message.
        needed: What it can not do without.

    Raises:
        CapabilityError: Something of *needed* is not there.
    """
    missing = registry.lacks(*needed)
    if missing:
        from mlgate.errors import CapabilityError

        raise CapabilityError(
            f"{registry.uri} has no {' and no '.join(missing)}: {doing} has nothing to move there",
            hint="mlgate gate decides, and the deployment names the version itself; or use an MLflow server",
        )


def decide(
    uri: str, policy_file: str | None, *, alias: str = CHAMPION_ALIAS, needs: "Sequence[Capability]" = ()
) -> Decision:
    """Read everything again and decide.

    Args:
        uri: The version; an alias is resolved once.
        policy_file: Default: found upward from here.
        alias: Whose version the evidence must have been compared with.
        needs: What the registry must have a place for, to do something with the decision.

    Raises:
        MlgateError: Wrong URI or policy, or the registry does not answer.
    """
    from mlgate.gate import Today, admit
    from mlgate.model_version import ModelUri
    from mlgate.policy_file import load_policy

    policy = load_policy(Path(policy_file) if policy_file else None)
    signers, may_waive = listed_signers(policy), waiver_signers(policy)
    parsed = ModelUri.parse(uri)
    if parsed.directory is not None:
        raise ConfigError(
            f"{uri} is a directory: tested, never promotable", hint="register it and test models:/name/version"
        )
    registry = open_registry()
    need(registry, "promote", *needs)
    version = registry.resolve(parsed)
    champion_version = registry.aliases(version.name).get(alias) if version.name else None
    champion_artifacts = None
    if champion_version is not None and champion_version != version.version:
        champion = registry.resolve(ModelUri.parse(f"models:/{version.name}/{champion_version}"))
        champion_artifacts = _digest(registry, champion, policy)
    artifacts = _digest(registry, version, policy)
    now = datetime.now(UTC)
    today = Today(
        version=version,
        artifact_digest=artifacts.digest,
        champion_version=champion_version,
        champion_digest=None if champion_artifacts is None else champion_artifacts.digest,
        now=now,
        signers=signers,
        waivers=stored_waivers(registry, version.name, now) if version.name and may_waive else (),
        waiver_signers=may_waive,
    )
    since = datetime.fromtimestamp(max(0.0, now.timestamp() - policy.values.evidence.max_age), UTC)
    stored = _evidence(registry, version.name, artifacts.digest, since) if version.name else ()
    if policy.path is None:
        # Started in the wrong folder, a gate would believe anybody.
        say("mlgate: no mlgate.yaml upward from here: judged by the built-in policy, which lists no signers")
    return Decision(
        registry=registry,
        policy=policy,
        today=today,
        stored=stored,
        admission=admit(policy, today, stored),
        artifacts=artifacts,
        champion_artifacts=champion_artifacts,
    )


def stored_waivers(registry: "ModelRegistry", name: str, now: datetime) -> "tuple[StoredWaiver, ...]":
    """Return every waiver of a registered model that may still hold, and some that are over."""
    from mlgate.attest.waiver import MAX_LIFE

    return tuple(registry.waivers(name, since=now - MAX_LIFE))


def _evidence(
    registry: "ModelRegistry", name: str, artifact_digest: str, since: datetime
) -> "Sequence[StoredEvidence]":
    """Return the evidence that may be about these bytes; where there is none, the newest of others, to say so.

    A model with a thousand versions has a thousand runs, and a gate reads those of one: all that are young enough to
    admit, so that nobody hides one below many of their own.
    """
    return registry.evidence(name, artifact_digest=artifact_digest, since=since) or registry.evidence(
        name, limit=_OTHERS
    )


def newest_evidence(registry: "ModelRegistry", version: "ModelVersion") -> "tuple[StoredEvidence, Evidence]":
    """Return the newest evidence of a version that can be read, believed or not: for a display.

    Raises:
        EvidenceError: There is none. What can not be read is said where nothing else is there: it may be anybody's.
    """
    from mlgate.errors import EvidenceError
    from mlgate.gate import read_evidence

    broken: EvidenceError | None = None
    for stored in registry.evidence(version.name) if version.name else ():
        try:
            evidence = read_evidence(stored)
        except EvidenceError as error:
            broken = broken or EvidenceError(f"run {stored.run_id}: {error.message}")
            continue
        if evidence.subject.version == version.version:
            return stored, evidence
    raise broken or EvidenceError(f"no evidence for {version.uri}", hint=f"pytest --mlgate {version.uri}")


def digest_now(registry: "ModelRegistry", version: "ModelVersion", policy: "Policy") -> str:
    """Return the digest of a version's bytes in the store, read again unless *policy* allows the store's word."""
    return _digest(registry, version, policy).digest


def _digest(registry: "ModelRegistry", version: "ModelVersion", policy: "Policy") -> "StoreDigest":
    from mlgate.artifacts.digest_bar import digest_bar
    from mlgate.artifacts.store_digest import digest_in_store

    with digest_bar(shown=sys.stderr.isatty()) as watch:
        return digest_in_store(registry, version, reuse=policy.values.evidence.digest_cache, watch=watch)


def show(decision: Decision, output: Output) -> None:
    """Print the decision: one sentence why, every reason, what to do next."""
    admission, uri = decision.admission, decision.today.version.uri
    if output is Output.JSON:
        emit_json({"uri": uri, "policy": decision.policy.digest, **admission.to_json(), **decision.digests_to_json()})
        return
    mark = "**" if output is Output.MARKDOWN else ""
    result(f"{uri}: {mark}{coloured(admission.word)}{mark} ({admission.provenance}): {_why(admission)}")
    for reason in admission.reasons[1:]:
        result(f"- {reason}")
    show_waived(admission, output)
    result(f"artifacts: {_digests_in_words(decision)}")
    image = admission.evidence.image if admission.admitted and admission.evidence else None
    if image is not None and image.origin == "given":
        # What a cluster has to pull, so that it runs what was tested.
        result(
            f"image: {image.registry_digest or image.image_digest}{'' if image.registry_digest else ' (in no registry)'}"
        )
    if not admission.admitted:
        result(f"Hint: mlgate report {uri}" if admission.evidence else f"Hint: pytest --mlgate {uri}")


def show_waived(admission: "Admission", output: Output) -> None:
    """Print each check that somebody answers for, in red: an exception that nobody sees becomes the rule."""
    mark = "**" if output is Output.MARKDOWN else ""
    for waived in admission.waived:
        result(f"- {mark}{coloured('waived')}{mark}: {waived}")


def _why(admission: "Admission") -> str:
    if not admission.admitted:
        return str(admission.reasons[0])
    count = len(admission.waived)
    if not count:
        return "every required check passed"
    return f"{count} check{'s' * (count != 1)} waived, every other required one passed"


def _digests_in_words(decision: Decision) -> str:
    champion = decision.champion_artifacts
    of_champion = "" if champion is None else f"; the champion's {champion.words}"
    return f"digest {decision.artifacts.words}{of_champion}"
