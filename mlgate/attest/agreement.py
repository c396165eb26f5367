"""Agreement: whether a statement is the one that the evidence supports. Pure."""

from collections.abc import Iterator
from enum import StrEnum

from mlgate.artifacts.digest import files_digest
from mlgate.attest.statement import Resource, Statement, statement_about
from mlgate.errors import EvidenceError
from mlgate.evidence import Evidence
from mlgate.verdict import Reason


class Disagreement(StrEnum):
    """What a statement says otherwise than the evidence: the whole list. Stable words, as in `Reason.code`."""

    VERSION = "statement_other_version"
    FILES = "statement_other_files"
    IMAGE = "statement_other_image"
    POLICY = "statement_other_policy"
    DATA = "statement_other_data"
    CHAMPION = "statement_other_champion"
    RESULT = "statement_other_result"
    RUN = "statement_other_run"
    EVIDENCE = "statement_other_evidence"


_CONFIGURED = {
    "policy": Disagreement.POLICY,
    "evaluation data": Disagreement.DATA,
    "champion": Disagreement.CHAMPION,
    "recipe": Disagreement.IMAGE,
}
# Where the evidence inside a statement differs from the evidence beside it, by the section that does.
_SECTIONS = {
    "image": Disagreement.IMAGE,
    "policy": Disagreement.POLICY,
    "data": Disagreement.DATA,
    "champion": Disagreement.CHAMPION,
    "suites": Disagreement.RESULT,
    "verdict": Disagreement.RESULT,
    "complete": Disagreement.RESULT,
    "ci": Disagreement.RUN,
}


def agrees(statement: Statement, evidence: Evidence) -> Reason | None:
    """Return the first thing that *statement* says otherwise than *evidence*; `None` where it is that evidence's.

    Everything is computed from *evidence* again and compared. No field may differ.

    Args:
        statement: As read from bytes that a signer vouches for.
        evidence: What is to be believed: the run's evidence, of the version that asks.
    """
    try:
        expected = statement_about(evidence)
    except EvidenceError as error:
        return Reason(code=str(Disagreement.EVIDENCE), message=f"the evidence supports no statement: {error.message}")
    for code, says, found, wanted in _compared(statement, expected):
        if found != wanted:
            return Reason(code=str(code), message=f"the signed statement is not about this evidence: {says} differs")
    return None


def _compared(statement: Statement, expected: Statement) -> Iterator[tuple[Disagreement, str, object, object]]:
    subject, wanted = statement.evidence.subject, expected.evidence.subject
    yield (
        Disagreement.VERSION,
        f"the version ('{statement.subjects[0].name}' signed)",
        (statement.subjects[0].name, *_identity(statement.evidence)),
        (expected.subjects[0].name, *_identity(expected.evidence)),
    )
    last = len(wanted.files) + 1
    yield Disagreement.FILES, "the root digest", statement.subjects[0].sha256, expected.subjects[0].sha256
    yield Disagreement.FILES, "a file", statement.subjects[1:last], expected.subjects[1:last]
    yield Disagreement.FILES, "a file in the evidence", subject.files, wanted.files
    yield Disagreement.FILES, "the artifact digest", subject.artifact_digest, wanted.artifact_digest
    # The gate holds the digest against the store, a pod the files: whoever signs must not have two models in one statement.
    yield Disagreement.FILES, "what its files amount to", subject.artifact_digest, files_digest(subject.files)
    yield Disagreement.IMAGE, "the image", statement.subjects[last:], expected.subjects[last:]
    for name, code in _CONFIGURED.items():
        yield code, f"the {name}", _named(statement.configuration, name), _named(expected.configuration, name)
    yield Disagreement.EVIDENCE, "the configuration", statement.configuration, expected.configuration
    yield Disagreement.RESULT, "the result", statement.result, expected.result
    for says in ("passed", "warned", "failed"):
        yield Disagreement.RESULT, f"what {says}", getattr(statement, says), getattr(expected, says)
    yield Disagreement.RUN, "the url", statement.url, expected.url
    for section, code in _SECTIONS.items():
        yield code, f"'{section}' in the evidence", *_sections(statement, expected, section)
    yield Disagreement.EVIDENCE, "the evidence", statement.evidence_digest, expected.evidence_digest
    # A field that a later version adds and forgets above.
    yield Disagreement.EVIDENCE, "a field", statement, expected


def _identity(evidence: Evidence) -> tuple[str | None, ...]:
    subject = evidence.subject
    return subject.uri, subject.name, subject.version, subject.model_id, subject.source_run_id


def _named(configuration: tuple[Resource, ...], name: str) -> list[Resource]:
    return [resource for resource in configuration if resource.name == name]


def _sections(statement: Statement, expected: Statement, section: str) -> tuple[object, object]:
    return getattr(statement.evidence, section), getattr(expected.evidence, section)
