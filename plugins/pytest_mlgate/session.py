"""One gate run: prepared before collection, served while checks run, judged and published at the end."""

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.artifacts.cache import fetch
from mlgate.artifacts.directory import ModelDirectory
from mlgate.errors import ConfigError, MlgateError
from mlgate.evaluation.data import load_data
from mlgate.evaluation.engines.interface import ScoringEngine, find_engine
from mlgate.evaluation.engines.local import LOCAL
from mlgate.evaluation.logged_dataset import logged_source
from mlgate.evaluation.mapping_check import check_mapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.run import check_metrics
from mlgate.evidence import DataFacts, Evidence, PolicyFacts, Subject, SuiteResult, VerdictFacts
from mlgate.generation.input_space import InputSpace, Unsupported, example_batch, input_space
from mlgate.load.process import check_master
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.policy import SUITES, Policy
from mlgate.policy_file import load_policy
from mlgate.property_check import check_pairs, check_properties
from mlgate.publication import check_output, install_files, publish, write_files
from mlgate.sandbox.interface import ModelServer
from mlgate.sandbox.session import SessionTag
from mlgate.scoring.equality import Equality, equality_for
from mlgate.surroundings import pipeline_facts, tool_facts
from mlgate.verdict import Verdict, assess, format_time
from mlgate.waivers import Waived
from pytest_mlgate import wiring
from pytest_mlgate.announcement import Announcement
from pytest_mlgate.champion import find_champion
from pytest_mlgate.replica import FetchedReplica
from pytest_mlgate.request import Request
from pytest_mlgate.saved_failures import SavedFailures
from pytest_mlgate.signing import RunSigner
from pytest_mlgate.waived import waived_of

if TYPE_CHECKING:
    from mlgate.images.given import GivenImage
    from mlgate.registry.interface import ModelRegistry
    from mlgate.scoring.client import ScoringClient

# Rows of the evaluation data that show what is valid: more hardly widen a range, and all of them do not fit in memory.
KNOWN_ROWS = 10_000
# Digest hex digits that make a seed: 12 are 2^48, below the 2^53 that JSON numbers carry.
_SEED_DIGITS = 12


class GateSession:
    """One gate run.

    Args:
        request: From the command line.
        tell: Takes one line of progress.
        live: Returns what rewrites one line on a terminal; `None` where there is none.
    """

    def __init__(
        self, request: Request, *, tell: wiring.Tell, live: Callable[[], wiring.Tell | None] = lambda: None
    ) -> None:
        self.request = request
        self.tell = tell
        self.live = live
        self.started = datetime.now(UTC)
        self.policy: Policy = Policy()
        self.tag = SessionTag.new()
        self.run_id: str | None = None
        self.evidence: Evidence | None = None
        self.verdict: Verdict | None = None
        self.given: GivenImage | None = None
        self.problem: MlgateError | None = None
        self.signer = RunSigner()
        self.provenance: str | None = None
        self.waived: tuple[Waived, ...] = ()
        self.engine: ScoringEngine = LOCAL
        self.installed = False
        self.failures = SavedFailures()
        self._environment: wiring.TestedEnvironment | None = None
        self._client: ScoringClient | None = None
        self.announced: Announcement | None = None
        self._closing: list[wiring.Close] = []

    # (1) Before anything is collected or started.

    def prepare(self) -> None:
        """Read the policy, resolve the URI once, fetch and digest the bytes, find champion and data.

        Raises:
            MlgateError: Nothing was started and nothing written.
        """
        self.signer = RunSigner.take(os.environ, sandbox=self.request.sandbox)
        self.policy = load_policy(Path(self.request.policy) if self.request.policy else None)
        self.failures = SavedFailures.of(self.policy, replay=self.request.replay)
        self._check_request()
        uri = ModelUri.parse(self.request.uri)
        self.registry: ModelRegistry = wiring.open_registry()
        self.version = self.registry.resolve(uri)
        if self.policy.values.model not in (None, self.version.name):
            wanted, found = self.policy.values.model, self.version.name or self.version.uri
            raise ConfigError(f"the policy is for model '{wanted}', not '{found}'", hint="--mlgate-policy FILE")
        self.directory = fetch(self.registry, self.version, progress=self.request.progress)
        self.signature = self.directory.signature
        self.champion = find_champion(self.registry, self.version, self.request.champion)
        if not self.policy.own_checks:
            self.failures.refuse_strangers((), self, final=False)
        self.data = self._load_data()
        properties = self.policy.values.properties
        check_properties(properties, self.policy.values.accuracy, self.signature)
        with suppress(Unsupported):  # the checks that need rows are errored, by name; a rule for no column stops here
            check_pairs(properties, self.inputs)
        if self.request.image is None and not self.replays:
            check_output(self.output)  # after all that can be wrong with the input, which leaves no folder behind
        home, close = wiring.guard(self.tag, sandbox=self.request.sandbox)
        self._closing += [lambda: shutil.rmtree(home, ignore_errors=True), close]
        # What goes with the evidence, and what must not: a server of the process sandbox lives in the other one.
        self.work, self.scratch = home / "files", home / "scratch"
        self.work.mkdir()
        self.scratch.mkdir()
        if self.request.image is not None:
            self.given = wiring.open_image(
                self.request.image, self.directory, self.policy, session=self.tag, tell=self.tell
            )
            if not self.replays:
                check_output(self.output)  # a wrong image leaves no folder behind, either
        if self.writes_tags:
            self.announced = Announcement(self.registry, self.version, self.started)

    def _check_request(self) -> None:
        known = dict.fromkeys((*SUITES, *self.policy.requires))
        for name in self.request.suites:
            if name not in known:
                raise ConfigError(f"--mlgate-suite {name}: no such suite", hint=f"suites: {', '.join(known)}")
            if name == "accuracy" and not self.policy.values.accuracy.decides:
                raise ConfigError("--mlgate-suite accuracy: the policy has no accuracy.metrics")
        if self._compares:
            self.engine = find_engine(self.policy.values.accuracy.engine)
        if self.request.image is not None and self.request.sandbox != "container":
            raise ConfigError("--mlgate-image needs a container engine, and --mlgate-sandbox process uses none")
        seed = self.request.seed
        if seed is not None and self.request.explore:
            raise ConfigError("--mlgate-seed and --mlgate-explore: one names the seed, the other draws a fresh one")
        # isdigit() alone accepts "²", and int() is slow on thousands of digits.
        if seed is not None and not (seed.isascii() and seed.isdigit() and len(seed) <= 16 and int(seed) < 2**53):
            raise ConfigError(f"--mlgate-seed {seed}: not a whole number from 0 to 2^53 - 1")
        if "load" in self.suites:
            check_master(os.environ)
        missing = [path for path in self.policy.own_checks if not path.exists()]
        if missing:
            raise ConfigError(f"own_checks: {missing[0]} does not exist", hint="paths are relative to the policy file")

    def _load_data(self) -> EvaluationData | None:
        accuracy = self.policy.values.accuracy
        if not (self._compares or (accuracy.decides and self.failures.needs_data)):
            return None
        check_mapping(accuracy, self.signature.outputs)
        logged = logged_source(self.registry, self.version) if accuracy.data is None else None
        data = load_data(accuracy, self.signature.inputs, folder=self.policy.folder, logged=logged)
        if accuracy.digest is not None and accuracy.digest != data.digest:
            raise ConfigError(f"{data.source}: digest is {data.digest}, the policy pins {accuracy.digest}")
        check_metrics(self.policy, data, model=self.directory.path)
        return data

    # (2) What the run is about.

    @property
    def partial(self) -> bool:
        """Whether only some of the required suites were asked for."""
        asked = bool(self.request.suites) and not set(self.policy.requires) <= set(self.request.suites)
        return asked or self.replays

    @property
    def replays(self) -> bool:
        """Whether this run tries one saved failure again, and judges nothing."""
        return self.failures.replayed is not None

    @property
    def suites(self) -> tuple[str, ...]:
        """Suites that run, without the implicit one."""
        if self.failures.replayed is not None:
            return (self.failures.replayed.suite,)
        return tuple(dict.fromkeys(self.request.suites)) or self.policy.requires

    @property
    def _compares(self) -> bool:
        return self.policy.values.accuracy.decides and "accuracy" in self.suites

    @property
    def judged_policy(self) -> Policy:
        """The policy, narrowed to what was asked for."""
        values = self.policy.values.model_copy(update={"requires": self.suites})
        return replace(self.policy, values=values)

    @property
    def writes_tags(self) -> bool:
        """Whether the version gets tags: whole runs on registered versions, in a sandbox that may be promoted."""
        allowed = self.request.sandbox in self.policy.values.sandbox and not self.unverified
        return self.request.publish and self.version.promotable and not self.partial and allowed

    @property
    def unverified(self) -> bool:
        """Whether the given image holds no model that could be compared with the version's: tested, never promotable."""
        return self.given is not None and not self.given.model_digest

    @property
    def expected(self) -> Mapping[str, tuple[str, ...]]:
        """Suite to check ids that this run must record."""
        return self.judged_policy.expected_checks(champion=self.champion is not None)

    @cached_property
    def seed(self) -> int:
        """Seed of every random choice: from the bytes, so that a rerun repeats."""
        if self.request.seed is not None:
            return int(self.request.seed)
        if self.request.explore:
            return secrets.randbelow(2**48)
        return int(self.directory.digest.removeprefix("sha256:")[:_SEED_DIGITS], 16)

    @property
    def output(self) -> Path:
        """Where the files of the run end up."""
        return Path(self.request.output) if self.request.output else Path(".mlgate") / self.version.label

    @cached_property
    def inputs(self) -> InputSpace:
        """The valid inputs.

        Raises:
            Unsupported: A type that rows can not be generated for.
            PolicyError: A rule that no input can keep.
        """
        example = example_batch(self.directory.serving_example, self.signature.inputs)
        data = self.data.head(KNOWN_ROWS) if self.data else None
        properties = self.policy.values.properties
        return input_space(
            self.signature.inputs,
            rules=properties.inputs,
            order=properties.order,
            known=[example] if example is not None else [],
            data=data,
            keys=self.data.keys[: len(data)] if self.data and data else None,
            seed=self.seed,
        )

    @cached_property
    def equality(self) -> Equality:
        """When two answers of this model are equal."""
        accuracy = self.policy.values.accuracy
        return equality_for(
            self.signature.outputs,
            tolerance=self.policy.values.properties.tolerance,
            label=accuracy.prediction,
            score=accuracy.score,
            threshold=accuracy.threshold if accuracy.threshold is not None else 0.5,
        )

    # (3) Serving, from the first check that asks.

    def environment(self) -> wiring.TestedEnvironment:
        """Build and start the version under test, once.

        Raises:
            EngineError: The engine or the package index is at fault.
        """
        if self._environment is None:
            self._environment = wiring.open_environment(self._make_tested, self.directory.requirements)
            server = self._environment.server
            if server is not None:
                self._closing.append(server.stop)
        return self._environment

    def client(self) -> "ScoringClient | None":
        """Return the client of the running server, or `None` where there is none."""
        environment = self.environment()
        if self._client is None and environment.server is not None and environment.serves:
            self._client = wiring.client_for(environment.server, self.policy)
            self._closing.append(self._client.close)
        return self._client

    def served_champion(self) -> wiring.ServableChampion | None:
        """Return the champion, ready to be served."""
        if self.champion is None:
            return None
        directory, problem = self.champion.directory, self.champion.problem

        def make() -> ModelServer:
            if directory is None:
                raise ConfigError(problem)
            return self._make(directory)

        signature, digest = (directory.signature, directory.digest) if directory else (self.signature, "")
        replica = self._replica(self.champion.version, directory) if directory else None
        return wiring.ServableChampion(
            signature=signature, make=make, policy=self.policy, artifact_digest=digest, replica=replica
        )

    @property
    def replica(self) -> FetchedReplica | None:
        """The version under test for other machines; an image that was given is on this one only."""
        return None if self.given is not None else self._replica(self.version, self.directory)

    def _replica(self, version: ModelVersion, directory: ModelDirectory) -> FetchedReplica:
        return FetchedReplica(
            version=version, digest=directory.digest, policy=self.policy, sandbox=self.request.sandbox
        )

    def _make_tested(self) -> ModelServer:
        if self.given is None:
            return self._make(self.directory)
        return wiring.make_given_server(self.given, self.directory, self.policy, session=self.tag, tell=self.tell)

    def _make(self, directory: ModelDirectory) -> ModelServer:
        return wiring.make_server(
            directory,
            self.policy,
            sandbox=self.request.sandbox,
            session=self.tag,
            scratch=self.scratch,
            tell=self.tell,
        )

    # (4) The end.

    def finish(self, suites: Mapping[str, SuiteResult]) -> Verdict:
        """Judge, write the files, publish. What can not be written or published is kept as `problem`."""
        now = datetime.now(UTC)
        evidence = self._evidence(suites, now)
        self.verdict = assess(self.judged_policy, replace(evidence, complete=True), now)
        reasons = tuple(str(reason) for reason in self.verdict.reasons)
        self.evidence = replace(evidence, verdict=VerdictFacts(outcome=str(self.verdict.outcome), reasons=reasons))
        try:
            signed = self.signer.sign(self.evidence)
            self.provenance, self.problem = signed.words, signed.problem
            self.waived = waived_of(self.evidence, self.verdict, self.policy, self.registry, now)
            write_files(self.evidence, self.work, envelope=signed.envelope, signature=signed.words, waived=self.waived)
            try:
                self._publish(self.evidence)
            except MlgateError as error:
                self.problem = error  # what was measured is still worth its files
            install_files(self.work, self.output)
            self.installed = True
        except MlgateError as error:
            self.problem = self.problem or error
        except OSError as error:
            self.problem = MlgateError(f"the run's files can not be written ({error.strerror or error})")
        return self.verdict

    def _publish(self, evidence: Evidence) -> None:
        if self.writes_tags and self.problem is None:
            self.run_id = publish(self.registry, self.version, evidence, self.work)

    def abort(self) -> None:
        """Leave nothing that reads like a verdict of this run."""
        self.verdict = self.evidence = None
        if self.announced is not None:
            self.announced.withdraw()

    def close(self) -> None:
        """Stop the server, then the watchdog, and remove the working folder. May be called twice."""
        while self._closing:
            with suppress(MlgateError):
                self._closing.pop()()

    def _evidence(self, suites: Mapping[str, SuiteResult], now: datetime) -> Evidence:
        server = self._environment.server if self._environment else None
        return Evidence(
            subject=Subject(
                uri=self.version.uri,
                name=self.version.name,
                version=self.version.version,
                model_id=self.version.model_id,
                source_run_id=self.version.source_run_id,
                artifact_digest=self.directory.digest,
                files=self.directory.files,
            ),
            image=server.image if server else None,
            sandbox=server.sandbox if server else None,
            champion=self.champion.facts() if self.champion else None,
            data=DataFacts(source=self.data.source, digest=self.data.digest, rows=len(self.data))
            if self.data
            else None,
            policy=PolicyFacts(digest=self.policy.digest, text=self.policy.text),
            seed=self.seed,
            complete=not self.partial,
            started_at=format_time(self.started),
            finished_at=format_time(now),
            suites=suites,
            verdict=VerdictFacts(outcome="inconclusive", reasons=()),
            tool=tool_facts(),
            ci=pipeline_facts(),
        )
