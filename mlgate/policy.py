"""Policy: what must hold before a model version may be promoted. The values of `mlgate.yaml`, parsed and checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from mlgate.check_id import format_check_id
from mlgate.evidence import canonical_digest
from mlgate.policy_accuracy import Accuracy
from mlgate.policy_load import Load
from mlgate.policy_properties import InputRule, Properties
from mlgate.policy_schema import REJECT_CASES, SchemaSection
from mlgate.policy_section import Duration, Section, Size
from mlgate.policy_signers import PipelineSigner, SignerEntry, SignerFile
from mlgate.quantities import format_duration
from mlgate.regressions import regression_files

SUITES = ("schema", "properties", "accuracy", "cold_start", "load")
ENVIRONMENT_CHECKS = ("environment.install", "environment.load", "environment.pins")
# The sections that decide what a run does. `evidence` is read fresh at gate time, so it does not change the digest.
DIGESTED = ("requires", "own_checks", "sandbox", "runtime", "schema", "properties", "accuracy", "cold_start", "load")
# Five repeats are the fewest of which the slowest bounds the median at 95 %: 1 - 0.5**5 = 96.9 %.
MIN_REPEATS = 5
# Sockets and locks count their timeouts in numbers that end; an answer that takes a day is none.
MAX_REQUEST_S = 86400.0
# Each costs a verification for every signature of an envelope.
MAX_SIGNERS = 32


AliasName = Annotated[str, Field(max_length=255, pattern=r"^[\w-]+$")]


class Runtime(Section):
    """What the model is served with."""

    server: Literal["mlflow", "mlserver"] = Field(default="mlflow", description="mlserver answers the V2 protocol")
    base_image: str | None = Field(default=None, description="default: python:{python}-slim")
    platform: Literal["linux/amd64"] = "linux/amd64"
    apt: tuple[str, ...] | None = Field(default=None, description="default: by flavour and requirements", strict=False)
    allow_requirements: tuple[str, ...] = Field(
        default=(),
        description="lines of a requirements.txt that would be refused (a URL, an option), word for word",
        strict=False,
    )
    env: dict[str, str] = Field(default_factory=dict, description="literals, recorded in the evidence")
    cpus: float = Field(default=1.0, gt=0, le=64)
    memory: Size = 2**30
    request_timeout: Duration = Field(default=10.0, gt=0, description="a request beyond this is a hang")
    port: int = Field(default=8080, ge=1, le=65535, description="TCP port of an image given with --mlgate-image")

    @model_validator(mode="after")
    def _gives_up(self) -> Self:
        if self.request_timeout > MAX_REQUEST_S:
            given, most = format_duration(self.request_timeout), format_duration(MAX_REQUEST_S)
            raise ValueError(f"request_timeout is {given}; a request is given up after {most} at the latest")
        return self


class ColdStart(Section):
    """The cold start suite."""

    repeats: int = Field(default=MIN_REPEATS, le=100)
    ready: Duration = Field(default=10.0, gt=0)
    first_prediction: Duration = Field(default=10.0, gt=0)
    peak_memory: Size | None = Field(default=None, description="of a start with one prediction; default: not checked")
    max_ratio_to_champion: float | None = Field(
        default=None, gt=0, le=100, description="start to first correct prediction; default: not checked"
    )

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if self.repeats < MIN_REPEATS:
            raise ValueError(
                f"repeats {self.repeats} can not decide: the slowest of n bounds the median at 95 % from n = {MIN_REPEATS}"
            )
        return self


class EvidenceSection(Section):
    """Which evidence admits. Read fresh at gate time."""

    max_age: Duration = Field(default=7 * 86400.0, gt=0)
    signers: tuple[SignerEntry, ...] = Field(
        default=(),
        max_length=MAX_SIGNERS,
        strict=False,
        description="who may sign evidence: files with public keys, beside this file, or pipelines; empty admits unsigned evidence",
    )
    waivers: tuple[SignerFile, ...] = Field(
        default=(),
        max_length=MAX_SIGNERS,
        strict=False,
        description="files with the public keys that may waive a check; empty lets nobody",
    )
    digest_cache: bool = Field(
        default=False,
        description="whether the gate may reuse a digest while the artifact store's own listing (etag, size, times) is the same",
    )
    rows: Literal["synthetic", "full"] = Field(
        default="synthetic", description="what of the evaluation data may be stored: keys and answers, or features too"
    )

    @model_validator(mode="after")
    def _each_pipeline_once(self) -> Self:
        pipelines = [signer.identity for signer in self.signers if isinstance(signer, PipelineSigner)]
        if twice := next((one for index, one in enumerate(pipelines) if one in pipelines[:index]), None):
            raise ValueError(
                f"signers lists {twice[1]} on {twice[2]} twice: a second entry would undo what the first pins"
            )
        return self


class Promotion(Section):
    """In which order aliases may move. Read fresh at each move."""

    path: tuple[AliasName, ...] = Field(
        default=(),
        max_length=10,
        strict=False,
        description="aliases from first to last: a version gets one only after the one before; empty asks for no order",
    )

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        twice = next((alias for index, alias in enumerate(self.path) if alias in self.path[:index]), None)
        if twice is not None:
            raise ValueError(f"path has '{twice}' twice")
        taken = next((alias for alias in self.path if re.fullmatch(r"latest|v[0-9]+", alias, re.IGNORECASE)), None)
        if taken is not None:
            raise ValueError(f"path has '{taken}', which is no alias to MLflow")
        return self


class PolicyValues(Section):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, title="mlgate policy")

    version: Literal[1] = 1
    model: str | None = Field(default=None, description="refuse to judge another registered model")
    requires: tuple[str, ...] | None = Field(default=None, min_length=1, strict=False)
    own_checks: tuple[str, ...] = Field(default=(), strict=False)
    sandbox: tuple[Literal["container", "process"], ...] = Field(default=("container",), min_length=1, strict=False)
    runtime: Runtime = Runtime()
    schema_: SchemaSection = Field(default=SchemaSection(), alias="schema")
    properties: Properties = Properties()
    accuracy: Accuracy = Accuracy()
    cold_start: ColdStart = ColdStart()
    load: Load = Load()
    evidence: EvidenceSection = EvidenceSection()
    promotion: Promotion = Promotion()

    @model_validator(mode="after")
    def _requires_what_exists(self) -> Self:
        requires = self.requires or ()
        for index, name in enumerate(requires):
            if name == "environment":
                raise ValueError("requires environment, which is always required: leave it out")
            if name in requires[:index]:
                raise ValueError(f"requires {name} twice")
            if name not in SUITES and not self.own_checks:
                raise ValueError(f"requires '{name}', which is no suite ({', '.join(SUITES)}) and own_checks is empty")
        if "accuracy" in requires and not self.accuracy.decides:
            raise ValueError("requires accuracy, which needs accuracy.metrics")
        if self.accuracy.metrics and self.accuracy.data is not None and self.accuracy.label is None:
            raise ValueError("accuracy.label is missing: name the column that holds the truth")
        return self

    @model_validator(mode="after")
    def _latency_can_be_missed(self) -> Self:
        """A request that takes longer than the timeout is an error, so nothing is seen of how late it would have been."""
        if self.load.locustfile is not None or "load" not in (self.requires or ("load",)):
            return self
        given = self.runtime.request_timeout
        for key, limit in (("p95", self.load.p95), ("p99", self.load.p99)):
            if limit is not None and limit > given:
                raise ValueError(
                    f"load.{key} {format_duration(limit)} is longer than runtime.request_timeout "
                    f"{format_duration(given)}, when a request is given up: it could never be missed"
                )
        return self


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy with its file.

    Attributes:
        values: The parsed values; quantities are in seconds, bytes, fractions and events per second.
        text: The file as it stood; the built-in policy's is a comment.
        path: The file, or `None` for the built-in policy.
        origins: Dotted key to the line it stands on, for keys that the file sets.
    """

    values: PolicyValues = field(default_factory=PolicyValues)
    text: str = "# the built-in policy of mlgate\n"
    path: Path | None = None
    origins: Mapping[str, int] = field(default_factory=dict)

    @property
    def requires(self) -> tuple[str, ...]:
        """Suites that must pass; the implicit suite `environment` is not listed."""
        if self.values.requires is not None:
            return self.values.requires
        return tuple(suite for suite in SUITES if suite != "accuracy" or self.values.accuracy.decides)

    @property
    def folder(self) -> Path:
        """Paths in the policy are relative to this folder."""
        return self.path.parent if self.path else Path.cwd()

    @property
    def own_checks(self) -> tuple[Path, ...]:
        """The user's own check files and folders, resolved."""
        return tuple(self.folder / name for name in self.values.own_checks)

    @property
    def regressions(self) -> Path | None:
        """Folder of saved failures that are tried again, resolved."""
        name = self.values.properties.regressions
        return None if name is None else self.folder / name

    @property
    def _metric_files(self) -> tuple[str, ...]:
        """The user's own metrics: of each the whole package at the top, since a function calls others beside it."""
        modules = (name.partition(":")[0] for name in self.values.accuracy.own_metrics)
        tops = dict.fromkeys(module.partition(".")[0] for module in modules)
        return tuple(top if (self.folder / top).is_dir() else f"{top}.py" for top in tops)

    def effective(self) -> dict[str, Any]:
        """Return every value by section, defaults filled in, as JSON."""
        document = self.values.model_dump(mode="json", by_alias=True)
        document["requires"] = list(self.requires)
        return document

    @cached_property
    def digest(self) -> str:
        """Digest of the effective values that decide what a run does, and of the bytes of the files that they name."""
        effective = self.effective()
        digested: dict[str, Any] = {section: effective[section] for section in DIGESTED}
        digested["own_check_files"] = self._digest_files(self.values.own_checks)
        digested["metric_files"] = self._digest_files(self._metric_files)
        if self.values.load.files:
            digested["load_files"] = self._digest_files(self.values.load.files)
        if self.regressions is not None:  # not where there are none: evidence of before stays what it was
            digested["regression_files"] = [
                [str(path.relative_to(self.regressions)), canonical_digest(path.read_bytes().hex())]
                for path in regression_files(self.regressions)
            ]
        return canonical_digest(digested)

    def _digest_files(self, names: Sequence[str]) -> list[list[str]]:
        """Return each file at or below *names* with its digest, by its whole path: a conftest.py is about what lies beside it."""
        found = {
            str(PurePosixPath(name, file.relative_to(path))): file
            for name, path in ((name, self.folder / name) for name in names)
            for file in ([path] if path.is_file() else path.rglob("*.py"))
            if file.is_file() and "__pycache__" not in file.parts
        }
        return [[name, canonical_digest(found[name].read_bytes().hex())] for name in sorted(found)]

    def expected_checks(self, *, champion: bool) -> dict[str, tuple[str, ...]]:
        """Return suite to the check ids that must be in the evidence.

        They come from the policy and not from what pytest collected: a check that was deselected is missed here.
        A suite of the user's own has no ids in advance; it must have at least one.

        Args:
            champion: Whether there is a champion to compare with.
        """
        built_in = {
            "schema": self.values.schema_.checks(champion=champion),
            "properties": self.values.properties.checks(),
            "accuracy": self._accuracy_checks(champion=champion),
            "cold_start": self._cold_start_checks(champion=champion),
            "load": self.values.load.checks(champion=champion),
        }
        required = {suite: built_in.get(suite, ()) for suite in self.requires if suite != "environment"}
        return {"environment": ENVIRONMENT_CHECKS} | required

    def _accuracy_checks(self, *, champion: bool) -> tuple[str, ...]:
        section = self.values.accuracy
        metrics = sorted(section.metrics.items())
        floors = [
            format_check_id("accuracy.floor", {"metric": name})
            for name, metric in metrics
            if metric.min is not None or metric.max is not None
        ]
        gaps = [format_check_id("accuracy.gap", {"column": gap.column, "metric": gap.metric}) for gap in section.gaps]
        if not champion:
            return (*floors, *gaps)
        margins = [name for name, metric in metrics if metric.margin is not None]
        regressions = [format_check_id("accuracy.regression", {"metric": name}) for name in margins]
        # A value's own check is known from the data only. This one is always there, so that none gets lost unnoticed.
        slices = [format_check_id("accuracy.slices", {"slice": spec.name}) for spec in section.slice_specs]
        return (*floors, *regressions, *slices, *gaps)

    def _cold_start_checks(self, *, champion: bool) -> tuple[str, ...]:
        section = self.values.cold_start
        memory = ("cold_start.peak_memory",) if section.peak_memory is not None else ()
        regression = ("cold_start.regression",) if champion and section.max_ratio_to_champion is not None else ()
        return ("cold_start.ready", "cold_start.first_prediction", *memory, *regression)


__all__ = [
    "DIGESTED",
    "ENVIRONMENT_CHECKS",
    "MIN_REPEATS",
    "REJECT_CASES",
    "SUITES",
    "Accuracy",
    "ColdStart",
    "EvidenceSection",
    "InputRule",
    "Load",
    "Policy",
    "PolicyValues",
    "Properties",
    "Runtime",
    "SchemaSection",
]
