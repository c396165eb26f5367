"""Evidence: what was tested, what was measured, what came of it. Canonical JSON (RFC 8785), digest. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, Self

import rfc8785

from mlgate.check_id import format_check_id
from mlgate.errors import EvidenceError
from mlgate.typed_json import finite, jsonable, read_number, typed

FORMAT = "mlgate-evidence/1"


class Outcome(StrEnum):
    """Outcome of one check."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERRORED = "errored"
    SKIPPED = "skipped"

    @property
    def badness(self) -> int:
        """Order for `worst`: a failure is the strongest statement, a pass the weakest."""
        return _BADNESS[self]


_BADNESS = {Outcome.PASSED: 0, Outcome.SKIPPED: 1, Outcome.INCONCLUSIVE: 2, Outcome.ERRORED: 3, Outcome.FAILED: 4}


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the worst of *outcomes*; nothing at all is `skipped`, never `passed`."""
    return max(outcomes, key=lambda outcome: outcome.badness, default=Outcome.SKIPPED)


class Cause(StrEnum):
    """Who has to act when a check did not pass."""

    MODEL = "model"
    SERVER = "server"
    ENVIRONMENT = "environment"
    HARNESS = "harness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found: the outcome, the measurement behind it and the words for it.

    Attributes:
        outcome: The check's own outcome.
        reason: One sentence: measured against which limit, with unit and n.
        cause: Who has to act; `None` where the check passed.
        measured: The measured value, in *unit*; `None` where nothing was measured (never NaN).
        limit: The limit it was held against, in *unit*.
        unit: `ms`, `s`, `share`, `bytes`, `1/s`, or empty for a metric's own unit.
        n: Number of observations behind *measured*.
        interval: Lower and upper bound, each one-sided at *confidence*.
        confidence: Between 0 and 1.
        advice: What to do next; empty where nothing is to be done.
        details: Further facts as JSON.
    """

    outcome: Outcome
    reason: str
    cause: Cause | None = None
    measured: float | None = None
    limit: float | None = None
    unit: str = ""
    n: int | None = None
    interval: tuple[float, float] | None = None
    confidence: float | None = None
    advice: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("measured", "limit", "confidence"):
            object.__setattr__(self, name, finite(getattr(self, name)))
        if self.interval is not None:
            lower, upper = map(finite, self.interval)
            object.__setattr__(self, "interval", None if lower is None or upper is None else (lower, upper))
        object.__setattr__(self, "reason", jsonable(" ".join(self.reason.split())))
        object.__setattr__(self, "advice", jsonable(self.advice))
        object.__setattr__(self, "details", jsonable(self.details))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A finding under its check id."""

    id: str
    params: Mapping[str, str]
    finding: Finding

    @property
    def key(self) -> str:
        """The text form: `accuracy.floor[metric=f1]`."""
        return format_check_id(self.id, self.params)

    @property
    def outcome(self) -> Outcome:
        """Outcome of the finding."""
        return self.finding.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """The checks of one suite, in the order they ran."""

    duration_s: float
    checks: tuple[CheckResult, ...]

    @property
    def outcome(self) -> Outcome:
        """Worst outcome of the checks; `skipped` where there are none."""
        return worst([check.outcome for check in self.checks])


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of the model directory."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The model version that was tested, by name and by bytes."""

    uri: str
    name: str | None
    version: str | None
    model_id: str | None
    source_run_id: str | None
    artifact_digest: str
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The image (or environment) that it ran in. Empty text where a sandbox has no such thing.

    Attributes:
        recipe_digest: Digest over what came of the recipe; empty for an image that mlgate did not build.
        image_digest: What the engine calls the image.
        registry_digest: Digest of its manifest in a registry: what a cluster pulls. Empty where it was never pushed.
        origin: `built` (environment, model mounted) or `given` (`--mlgate-image`, model inside).
        model_digest: Artifact digest of the model that was found in a given image; empty where none was.
        python_asked: Full version of Python that the model version names; empty where it names none.
    """

    recipe_digest: str
    image_digest: str
    base: str
    base_digest: str
    python: str
    platform: str
    pins: tuple[str, ...]
    apt: tuple[str, ...]
    server: str
    threads: int
    registry_digest: str = ""
    origin: str = "built"
    model_digest: str = ""
    python_asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFacts:
    """How it was contained.

    *network* is `none` (no network at all; a given image, too, has loopback only) or `host` (a plain process).
    """

    kind: str
    engine: str
    cpus: float
    memory: int
    network: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionFacts:
    """The champion that the version was compared with."""

    uri: str
    version: str | None
    artifact_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """The evaluation data, by content."""

    source: str
    digest: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """The policy it was judged by: digest of the effective values, and the text as it stood."""

    digest: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFacts:
    """The verdict at the time; the gate computes it again and does not trust this one."""

    outcome: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFacts:
    """The versions of what measured."""

    mlgate: str
    python: str
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One gate run. `started_at` and `finished_at` are RFC 3339 in UTC; `seed` is below 2^53."""

    subject: Subject
    image: ImageFacts | None
    sandbox: SandboxFacts | None
    champion: ChampionFacts | None
    data: DataFacts | None
    policy: PolicyFacts
    seed: int
    complete: bool
    started_at: str
    finished_at: str
    suites: Mapping[str, SuiteResult]
    verdict: VerdictFacts
    tool: ToolFacts
    ci: Mapping[str, str] = field(default_factory=dict)

    def check(self, key: str) -> CheckResult | None:
        """Return the result under the text id *key*, or `None`."""
        return next((check for check in self.checks() if check.key == key), None)

    def checks(self) -> list[CheckResult]:
        """Return every result, suite by suite."""
        return [check for suite in self.suites.values() for check in suite.checks]

    def to_json(self) -> dict[str, Any]:
        """Return the document of `evidence.json`, version 1, as JSON values."""
        document = {name.name: _plain(getattr(self, name.name)) for name in fields(self) if name.name != "suites"}
        document["format"] = FORMAT
        document["suites"] = {
            jsonable(name): {
                "outcome": str(suite.outcome),
                "duration_s": suite.duration_s,
                "checks": [_check_to_json(check) for check in suite.checks],
            }
            for name, suite in self.suites.items()
        }
        return document

    def canonical(self) -> bytes:
        """Return the RFC 8785 bytes: what is stored, digested and signed."""
        return rfc8785.dumps(self.to_json())

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the canonical bytes."""
        return digest_of(self.canonical())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read `evidence.json`.

        Raises:
            EvidenceError: Not JSON, not this format, a missing or unknown key, or an outcome that contradicts its
                checks.
        """
        try:
            document = json.loads(raw, parse_int=read_number, parse_float=read_number, parse_constant=read_number)
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"evidence is not JSON ({error})") from error
        return cls.from_json(document)

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read the parsed document of `evidence.json`; see `from_bytes`."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            found = document.get("format") if isinstance(document, dict) else type(document).__name__
            raise EvidenceError(f"evidence format is '{found}'; this mlgate reads {FORMAT}")
        try:
            found = typed(_Document, {key: value for key, value in document.items() if key != "format"}, "evidence")
            suites = {name: _suite_from_json(suite) for name, suite in found.suites.items()}
        except (ValueError, RecursionError) as error:
            raise EvidenceError(f"evidence is malformed: {error}") from error
        parts = {item.name: getattr(found, item.name) for item in fields(found)}
        return cls(**{**parts, "suites": suites})


def digest_of(raw: bytes) -> str:
    """Return `sha256:` and the hex digest of *raw*."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def canonical_digest(value: object) -> str:
    """Return the digest of the RFC 8785 form of a JSON value."""
    return digest_of(rfc8785.dumps(jsonable(value)))


_FINDING_KEYS = tuple(item.name for item in fields(Finding))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return jsonable(value)


def _check_to_json(check: CheckResult) -> dict[str, Any]:
    finding = check.finding
    body = {name: _plain(getattr(finding, name)) for name in _FINDING_KEYS if name != "advice"}
    # The pinned format has no field for advice; it is the report's, so it travels among the details.
    if finding.advice:
        body["details"] = {**body["details"], "advice": finding.advice}
    return {"id": jsonable(check.id), "params": jsonable(check.params), **body}


def _suite_from_json(suite: "_Suite") -> SuiteResult:
    result = SuiteResult(duration_s=suite.duration_s, checks=tuple(_check_from_json(check) for check in suite.checks))
    # Without this, an edited summary line could say "passed" over a failed check.
    if suite.outcome is not result.outcome:
        raise ValueError(f"suite outcome '{suite.outcome}' contradicts its checks ({result.outcome})")
    return result


def _check_from_json(check: Mapping[str, Any]) -> CheckResult:
    body = {"advice": "", **check}
    details = body.get("details")
    if isinstance(details, dict) and isinstance(details.get("advice"), str) and details["advice"]:
        body["details"] = {key: value for key, value in details.items() if key != "advice"}
        body["advice"] = details["advice"]
    own = {name: body.pop(name, None) for name in ("id", "params")}
    finding = typed(Finding, body, "check")
    return CheckResult(
        id=typed(str, own["id"], "check.id"),
        params=typed(Mapping[str, str], own["params"], "check.params"),
        finding=finding,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """A suite as the file has it: the summary line beside the checks."""

    outcome: Outcome
    duration_s: float
    checks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document(Evidence):
    """The evidence as the file has it."""

    suites: Mapping[str, _Suite]  # type: ignore[assignment]  # read into SuiteResult, which the file spells otherwise
