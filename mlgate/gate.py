"""Gate: whether a model version may be promoted, from policy and stored evidence alone. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlgate.attest.acceptance import vouching
from mlgate.attest.pipeline import Listed
from mlgate.errors import EvidenceError
from mlgate.evidence import Evidence, ImageFacts, Subject, digest_of
from mlgate.images.recipe import recipe_digest
from mlgate.model_version import ModelVersion
from mlgate.policy import Policy
from mlgate.registry.interface import StoredEvidence, StoredWaiver
from mlgate.verdict import Reason, VerdictOutcome, assess, parse_time
from mlgate.waivers import Waived, settle

# Codes that say "there is not enough to decide" (exit 4); every other code is a refusal (exit 1).
_UNDECIDED = frozenset({"inconclusive", "errored", "skipped", "absent", "waiver_refused"})
# Said of an envelope where the policy lists nobody: no signature is looked at.
UNNAMED = "signed, by nobody the policy names"
_NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What is true at gate time, read again and not taken from the evidence.

    Attributes:
        version: The version that asks to be promoted.
        artifact_digest: Digest of its bytes in the store, now.
        champion_version: Version under the champion alias, now; `None` where there is none.
        champion_digest: Digest of the champion's bytes in the store, now.
        now: Aware time.
        signers: Whom the policy lists, keys read from their files.
        waivers: What the registry holds of them, where the policy lists who may waive.
        waiver_signers: Who may, read from their files.
    """

    version: ModelVersion
    artifact_digest: str
    champion_version: str | None
    champion_digest: str | None
    now: datetime
    signers: tuple[Listed, ...] = ()
    waivers: tuple[StoredWaiver, ...] = ()
    waiver_signers: tuple[Listed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The gate's decision.

    Attributes:
        admitted: Whether the version may be promoted.
        reasons: Every reason against that nobody answers for; empty where admitted.
        waived: The checks that do not pass and that somebody answers for.
        evidence: The evidence that counted, or `None`.
        run_id: Where it lies.
        signer: Who vouches for it, of those that the policy lists; `None` where nobody does, or nobody is listed.
        enveloped: Whether some envelope lies beside it, believed or not; `None` where no evidence is about this version,
            its bytes and the policy.
    """

    admitted: bool
    reasons: tuple[Reason, ...]
    waived: tuple[Waived, ...] = ()
    evidence: Evidence | None = None
    evidence_digest: str | None = None
    run_id: str | None = None
    signer: Listed | None = None
    enveloped: bool | None = None

    @property
    def signed(self) -> bool:
        """Whether an accepted signer vouches for the evidence."""
        return self.signer is not None

    @property
    def provenance(self) -> str:
        """Who vouches for the evidence, in a few words."""
        if self.signer is not None:
            return f"signed by {self.signer.name}"
        if self.enveloped is None:
            return "no evidence that counts"
        if not self.enveloped:
            return "unsigned evidence"
        # Without evidence that counted, there was a list, and no envelope that it believes.
        return "no accepted signature" if self.evidence is None else f"unsigned evidence: {UNNAMED}"

    @property
    def exit_code(self) -> int:
        """0 admitted, 1 refused, 4 inconclusive."""
        if self.admitted:
            return 0
        return 4 if self.reasons and all(reason.code in _UNDECIDED for reason in self.reasons) else 1

    @property
    def word(self) -> str:
        """`admitted`, `refused` or `inconclusive`."""
        return {0: "admitted", 1: "refused", 4: "inconclusive"}[self.exit_code]

    def to_json(self) -> dict[str, Any]:
        """Return the machine form: the reasons as data."""
        return {
            "admitted": self.admitted,
            "decision": self.word,
            "signed": self.signed,
            "signer": self.signer.name if self.signer else None,
            "keyid": self.signer.keyid if self.signer else None,
            "provenance": self.provenance,
            "evidence": self.evidence_digest,
            "run_id": self.run_id,
            "image": self._image(),
            "waived": [waived.to_json() for waived in self.waived],
            "reasons": [
                {"code": reason.code, "check": reason.check, "message": reason.message} for reason in self.reasons
            ],
        }

    def _image(self) -> dict[str, str] | None:
        """Return which image was tested, where the evidence says so."""
        image = self.evidence.image if self.evidence else None
        if image is None:
            return None
        return {"origin": image.origin, "image_digest": image.image_digest, "registry_digest": image.registry_digest}


def admit(policy: Policy, today: Today, stored: Sequence[StoredEvidence]) -> Admission:
    """Decide from evidence and policy whether a version may be promoted.

    Args:
        policy: Today's policy.
        today: Today's facts.
        stored: Finished gate runs of the registered model, newest first. The newest that is about these bytes and
            this policy counts: a newer failure wins over an older pass. Where the policy lists signers, only what one
            of them signed counts, and the newest of it by the time that was signed.
    """
    # (1) Only registered versions have a place in the order of versions.
    if not today.version.promotable:
        return _refuse(
            "not_registered", f"{today.version.uri} is not a registered model version: tested, never promotable"
        )
    if policy.values.model not in (None, today.version.name):
        return _refuse("other_model", f"the policy is for model '{policy.values.model}', not '{today.version.name}'")
    # (2) The newest evidence about this version, these bytes and this policy.
    chosen = _choose(policy, today, stored)
    if isinstance(chosen, Admission):
        return chosen
    candidate, evidence, signer = chosen
    # (3) The verdict is computed again; the stored one is not read.
    verdict = assess(policy, evidence, today.now)
    # (4) What was tested is what is deployed, compared with who serves today. After the verdict: where a version could
    # not even be installed, that is the news, and not that there is no image to compare.
    against = [*verdict.reasons, *_comparisons(policy, today, evidence)]
    # (5) What somebody answers for, by name and until a day.
    reasons, waived = settle(against, evidence, today.waivers, today.waiver_signers, today.now)
    return Admission(
        admitted=(verdict.outcome is VerdictOutcome.PASSED or bool(waived)) and not reasons,
        reasons=reasons,
        waived=waived,
        evidence=evidence,
        evidence_digest=digest_of(candidate.raw),
        run_id=candidate.run_id,
        signer=signer,
        enveloped=candidate.envelope is not None,
    )


def _choose(
    policy: Policy, today: Today, stored: Sequence[StoredEvidence]
) -> tuple[StoredEvidence, Evidence, Listed | None] | Admission:
    """Return the evidence that counts and who signed it, or the refusal."""
    # Either of the two: a list that was not read must not read like none.
    must_be_signed = bool(policy.values.evidence.signers or today.signers)
    misses: dict[int, Reason] = {}
    matching: list[tuple[int, StoredEvidence, Evidence]] = []
    for place, candidate in enumerate(stored):
        try:
            evidence = read_evidence(candidate)
        except EvidenceError as error:
            misses[place] = Reason(code="forged", message=f"run {candidate.run_id}: {error.message}")
            continue
        miss = _mismatch(policy, today, evidence)
        if miss is not None:
            misses[place] = miss
        elif must_be_signed:
            matching.append((place, candidate, evidence))
        else:
            return candidate, evidence, None
    # The registry's order is whoever's may copy a run there; the time is signed.
    for place, candidate, evidence in sorted(matching, key=lambda found: _age_key(policy, today, *found[1:])):
        found = vouching(candidate.envelope, evidence, today.signers, today.now)
        if not isinstance(found, Reason):
            return candidate, evidence, found
        misses[place] = found
    reasons: dict[str, Reason] = {}
    for _, reason in sorted(misses.items(), key=lambda miss: miss[0]):
        reasons.setdefault(reason.code, reason)
    if not reasons:
        return _refuse("no_evidence", f"no evidence for {today.version.uri}; run pytest --mlgate {today.version.uri}")
    enveloped = any(candidate.envelope is not None for _, candidate, _ in matching) if matching else None
    return Admission(admitted=False, reasons=tuple(reasons.values()), enveloped=enveloped)


def _age_key(policy: Policy, today: Today, stored: StoredEvidence, evidence: Evidence) -> tuple[float, bool, str]:
    """Return what sorts the newest first; of two that finished together, the one that is refused.

    The last part settles the rest, so that nothing depends on the order in which a registry lists.
    """
    try:
        finished = parse_time(evidence.finished_at)
    except (ValueError, OverflowError):
        finished = _NO_TIME  # refused by its age, and so before what it might hide
    passed = assess(policy, evidence, today.now).outcome is VerdictOutcome.PASSED
    return -finished.timestamp(), passed and not _comparisons(policy, today, evidence), digest_of(stored.raw)


def read_evidence(stored: StoredEvidence) -> Evidence:
    """Read stored evidence and hold its bytes against its digest.

    Raises:
        EvidenceError: Unreadable, not in canonical form, or not the bytes that the run says it stored.
    """
    evidence = Evidence.from_bytes(stored.raw)
    if evidence.canonical() != stored.raw:
        raise EvidenceError("evidence.json is not in canonical form: edited after the run")
    if stored.claimed_digest is not None and stored.claimed_digest != digest_of(stored.raw):
        raise EvidenceError("evidence.json is not the file that the run recorded")
    return evidence


def _mismatch(policy: Policy, today: Today, evidence: Evidence) -> Reason | None:
    """Return why *evidence* is not about this version, these bytes and this policy."""
    subject = evidence.subject
    if (subject.name, subject.version) != (today.version.name, today.version.version):
        return Reason(
            code="no_evidence", message=f"no evidence for {today.version.uri}; there is some for {subject.uri}"
        )
    if subject.artifact_digest != today.artifact_digest:
        message = f"the artifacts changed since the test: {_short(subject.artifact_digest)} tested, {_short(today.artifact_digest)} in the store"
        return Reason(code="other_bytes", message=message)
    if evidence.policy.digest != policy.digest:
        message = f"judged by another policy: {_short(evidence.policy.digest)} then, {_short(policy.digest)} today"
        return Reason(code="other_policy", message=message)
    if not evidence.complete:
        return Reason(code="partial", message="the only run was partial: not every required suite was asked for")
    return None


def _comparisons(policy: Policy, today: Today, evidence: Evidence) -> list[Reason]:
    reasons = [
        _champion_reason(today, evidence),
        _sandbox_reason(policy, evidence),
        *_image_reasons(policy, evidence),
    ]
    pinned = policy.values.accuracy.digest
    judged = "accuracy" in policy.requires  # only then does a run read the data
    if judged and pinned is not None and (evidence.data is None or evidence.data.digest != pinned):
        found = _short(evidence.data.digest) if evidence.data else "no data"
        reasons.append(Reason(code="other_data", message=f"judged on {found}, the policy pins {_short(pinned)}"))
    return [reason for reason in reasons if reason is not None]


def _champion_reason(today: Today, evidence: Evidence) -> Reason | None:
    if today.champion_version == today.version.version:
        return None  # it serves already; there is nobody else to compare with
    judged = evidence.champion
    if today.champion_version is None:
        # A champion that was taken away since is no reason to refuse: the comparison was with a stricter world.
        return None
    if judged is None:
        message = f"judged without a champion, and version {today.champion_version} is the champion today"
        return Reason(code="other_champion", message=message)
    if judged.version != today.champion_version:
        message = f"judged against version {judged.version or judged.uri}, and version {today.champion_version} is the champion today"
        return Reason(code="other_champion", message=message)
    if judged.artifact_digest != today.champion_digest:
        return Reason(code="other_champion", message="the champion's artifacts changed since the test")
    return None


def _sandbox_reason(policy: Policy, evidence: Evidence) -> Reason | None:
    kind = evidence.sandbox.kind if evidence.sandbox else "none"
    if kind in policy.values.sandbox:
        return None
    allowed = ", ".join(policy.values.sandbox)
    return Reason(code="sandbox", message=f"tested in sandbox '{kind}'; the policy promotes only from {allowed}")


def _image_reasons(policy: Policy, evidence: Evidence) -> list[Reason]:
    image = evidence.image
    if image is None:
        return [Reason(code="recipe", message="the evidence names no image")]
    reasons = []
    if image.platform != policy.values.runtime.platform:
        message = f"tested on {image.platform}, the policy serves on {policy.values.runtime.platform}"
        reasons.append(Reason(code="platform", message=message))
    if image.origin != "built":
        return [*reasons, *_given_image_reasons(image, evidence.subject)]
    expected = recipe_digest(
        base_digest=image.base_digest,
        platform=image.platform,
        apt=image.apt,
        python=image.python,
        pins=image.pins,
        server=image.server,
    )
    if image.recipe_digest != expected:
        reasons.append(Reason(code="recipe", message="the recipe digest does not fit the recipe in the evidence"))
    return reasons


def _given_image_reasons(image: ImageFacts, subject: Subject) -> list[Reason]:
    """Hold an image that mlgate did not build by its own digest: there is no recipe to compare."""
    if image.origin != "given":
        return [Reason(code="image", message=f"the evidence names an image of unknown origin '{image.origin}'")]
    if not image.image_digest:
        return [Reason(code="image", message="the evidence does not say which image was given")]
    if not image.model_digest:
        message = "the image that was tested holds no model that could be compared with the version's: tested, never promotable"
        return [Reason(code="image", message=message)]
    if image.model_digest != subject.artifact_digest:
        message = f"the image that was tested holds {_short(image.model_digest)}, the version is {_short(subject.artifact_digest)}"
        return [Reason(code="image", message=message)]
    return []


def _refuse(code: str, message: str) -> Admission:
    return Admission(admitted=False, reasons=(Reason(code=code, message=message),))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
