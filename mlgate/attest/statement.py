"""Statement: evidence as an in-toto Statement v1 with the predicate test-result v0.1. Pure.

Every field of it follows from the evidence, so that a statement and its evidence either agree or are not about the same.

Sources: https://github.com/in-toto/attestation, spec/v1/statement.md and spec/predicates/test-result.md.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import rfc8785

from mlgate.attest.root_digest import in_order, root_digest
from mlgate.attest.untrusted import AttestationError, Flaw, read_json, read_object
from mlgate.errors import EvidenceError
from mlgate.evidence import FORMAT, CheckResult, Evidence, Outcome, digest_of
from mlgate.typed_json import typed

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
# The predicate takes extension fields whose names have neither "." nor "$" and collide with nobody's.
EVIDENCE_FIELD = "mlgate_evidence"
# The variable of the pipeline, as the evidence records it, that links to the job.
JOB_URL = "CI_JOB_URL"
# An envelope of 64 MiB holds three quarters of it.
MAX_STATEMENT_BYTES = 48 * 1024 * 1024
# Evidence nests seven levels by itself; a finding's details, what a model was asked and answered, come on top.
MAX_STATEMENT_DEPTH = 128
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


class TestResult(StrEnum):
    """The predicate's three words."""

    __test__ = False  # pytest takes every class of this name for tests

    PASSED = "PASSED"
    WARNED = "WARNED"  # it may be promoted, and some check that was not required did not pass
    FAILED = "FAILED"  # it may not: the predicate has no word for "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A name and the sha256, in hex, of what it names."""

    name: str
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a signature says.

    Attributes:
        subjects: First the model version with the root digest of its files, then each file, then the images.
        result: The verdict.
        configuration: The policy, and what else decided: data, champion, recipe.
        url: The pipeline's job; `None` where the evidence names none.
        passed: Text ids of the checks that passed, sorted.
        warned: Of those that did not, and need not.
        failed: Of those that did not pass, whether failed, errored, inconclusive or skipped.
        evidence: The evidence itself.
    """

    subjects: tuple[Resource, ...]
    result: TestResult
    configuration: tuple[Resource, ...]
    url: str | None
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]
    evidence: Evidence

    @property
    def evidence_digest(self) -> str:
        """`sha256:` and the hex digest of the evidence's canonical bytes."""
        return self.evidence.digest

    def canonical(self) -> bytes:
        """Return the RFC 8785 bytes: what is signed."""
        document = self.evidence.to_json()
        digest = digest_of(rfc8785.dumps(document)).removeprefix("sha256:")
        predicate: dict[str, Any] = {
            "result": str(self.result),
            "configuration": [resource.to_json() for resource in self.configuration],
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
            EVIDENCE_FIELD: {"digest": {"sha256": digest}, "document": document},
        }
        return rfc8785.dumps(
            {
                "_type": STATEMENT_TYPE,
                "subject": [resource.to_json() for resource in self.subjects],
                "predicateType": PREDICATE_TYPE,
                "predicate": predicate if self.url is None else {**predicate, "url": self.url},
            }
        )


def statement_about(evidence: Evidence) -> Statement:
    """Return the statement that *evidence* supports: the same for evidence in memory and read back.

    Raises:
        EvidenceError: Evidence that could not be read back.
    """
    found = Evidence.from_bytes(evidence.canonical())
    checks = found.checks()
    return Statement(
        subjects=_subjects(found),
        result=_result(found),
        configuration=_configuration(found),
        url=_url(found),
        passed=_keys(check for check in checks if check.outcome is Outcome.PASSED),
        warned=_keys(check for check in checks if _warned(found, check)),
        failed=_keys(check for check in checks if check.outcome is not Outcome.PASSED and not _warned(found, check)),
        evidence=found,
    )


def statement_of(evidence: Evidence) -> bytes:
    """Return the canonical bytes of the statement about *evidence*: what `sign` takes.

    Raises:
        EvidenceError: Evidence that could not be read back.
        AttestationError: A statement that no gate would read, because it is too large or nests too deep.
    """
    raw = statement_about(evidence).canonical()
    read_statement(raw)
    return raw


def read_statement(raw: bytes) -> Statement:
    """Read a statement of ours strictly.

    Another producer's statement of the same type is refused: in-toto has readers ignore what they do not know, which is
    right for a reader that asks for less than was said, and here every field is held against the evidence.

    Args:
        raw: The payload that `verify` accepted.

    Raises:
        AttestationError: Its `flaw` says why: another type, a field too few or too many, no evidence of this format, a
            digest that is not the evidence's, or not the one way to write it.
    """
    document = read_json(raw, what="the statement", max_bytes=MAX_STATEMENT_BYTES, max_depth=MAX_STATEMENT_DEPTH)
    found = read_object(document, what="the statement", required=("_type", "subject", "predicateType", "predicate"))
    for field, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if found[field] != expected:
            raise AttestationError(Flaw.WRONG_TYPE, f"the statement's {field} is not '{expected}'")
    predicate = read_object(
        found["predicate"],
        what="the predicate",
        required=("result", "configuration", "passedTests", "warnedTests", "failedTests", EVIDENCE_FIELD),
        optional=("url",),
    )
    try:
        statement = Statement(
            subjects=_resources(found["subject"], "subject"),
            result=typed(TestResult, predicate["result"], "result"),
            configuration=_resources(predicate["configuration"], "configuration"),
            url=typed(str | None, predicate.get("url"), "url"),
            passed=typed(tuple[str, ...], predicate["passedTests"], "passedTests"),
            warned=typed(tuple[str, ...], predicate["warnedTests"], "warnedTests"),
            failed=typed(tuple[str, ...], predicate["failedTests"], "failedTests"),
            evidence=_evidence(predicate[EVIDENCE_FIELD]),
        )
        written = statement.canonical()
    except ValueError as error:
        raise AttestationError(Flaw.WRONG_VALUE, f"the statement is malformed: {error}") from None
    # Without this, two readers could take the same bytes for two statements.
    if written != raw:
        raise AttestationError(Flaw.NOT_CANONICAL, "the statement is not in canonical form (RFC 8785)")
    return statement


def _evidence(value: object) -> Evidence:
    found = read_object(value, what=EVIDENCE_FIELD, required=("digest", "document"))
    digest = _digest(found["digest"], f"{EVIDENCE_FIELD}.digest")
    document = found["document"]
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise AttestationError(Flaw.OTHER_FORMAT, f"the evidence in the statement is not {FORMAT}")
    try:
        evidence = Evidence.from_json(document)
    except EvidenceError as error:
        raise AttestationError(Flaw.WRONG_VALUE, error.message) from None
    if evidence.digest != f"sha256:{digest}":
        raise AttestationError(Flaw.WRONG_DIGEST, "the statement's digest is not that of the evidence in it")
    return evidence


def _resources(value: object, what: str) -> tuple[Resource, ...]:
    if not isinstance(value, list) or not value:
        raise AttestationError(Flaw.WRONG_VALUE, f"the statement's {what} is no list, or empty")
    return tuple(_resource(item, what) for item in value)


def _resource(value: object, what: str) -> Resource:
    found = read_object(value, what=what, required=("name", "digest"))
    return Resource(name=typed(str, found["name"], f"{what}.name"), sha256=_digest(found["digest"], f"{what}.digest"))


def _digest(value: object, what: str) -> str:
    text = read_object(value, what=what, required=("sha256",))["sha256"]
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text):
        raise AttestationError(Flaw.WRONG_VALUE, f"{what}.sha256 is not 64 digits of lower-case hex")
    return text


def _subjects(evidence: Evidence) -> tuple[Resource, ...]:
    subject = evidence.subject
    try:
        root = root_digest(subject.files)
    except ValueError as error:
        raise AttestationError(Flaw.WRONG_DIGEST, f"the evidence can not be signed: {error}") from None
    files = (Resource(name=file.path, sha256=file.sha256) for file in in_order(subject.files))
    return (Resource(name=subject.uri, sha256=root), *files, *_images(evidence))


def _images(evidence: Evidence) -> tuple[Resource, ...]:
    image = evidence.image
    if image is None:
        return ()
    return _known(("image", image.image_digest), ("image manifest", image.registry_digest))


def _configuration(evidence: Evidence) -> tuple[Resource, ...]:
    data, champion, image = evidence.data, evidence.champion, evidence.image
    return _known(
        ("policy", evidence.policy.digest),
        ("evaluation data", data.digest if data else ""),
        ("champion", champion.artifact_digest if champion else ""),
        ("recipe", image.recipe_digest if image else ""),
    )


def _known(*named: tuple[str, str]) -> tuple[Resource, ...]:
    """Return those that have a sha256: a plain process has no image, a given image no recipe."""
    found = ((name, _SHA256.fullmatch(digest)) for name, digest in named)
    return tuple(Resource(name=name, sha256=match[1]) for name, match in found if match)


def _result(evidence: Evidence) -> TestResult:
    if evidence.verdict.outcome != "passed" or not evidence.complete:
        return TestResult.FAILED
    clean = all(check.outcome is Outcome.PASSED for check in evidence.checks())
    return TestResult.PASSED if clean else TestResult.WARNED


def _warned(evidence: Evidence, check: CheckResult) -> bool:
    """Return whether a check that did not pass need not have: the verdict passed without it, or it only advises."""
    needed = evidence.verdict.outcome != "passed" and not check.finding.details.get("advisory")
    return check.outcome is not Outcome.PASSED and not needed


def _keys(checks: Any) -> tuple[str, ...]:
    return tuple(sorted(check.key for check in checks))


def _url(evidence: Evidence) -> str | None:
    url = evidence.ci.get(JOB_URL, "")
    return url if url.startswith(("https://", "http://")) else None
