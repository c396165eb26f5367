"""Fixtures of the suites, and of a user's own checks. They arrive by name; all are of session scope but the recorder.

Each asks pytest's `request` and no other fixture: a conftest that overrides one of them, or `pytestconfig`, must not
reach the value of another, which stays for the whole session.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.errors import MlgateError, RegistryError
from mlgate.evaluation.engines.interface import Replica, ScoringEngine
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import CheckResult, Finding, Outcome
from mlgate.generation.input_space import InputSpace
from mlgate.model_version import ModelVersion
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion, Environment, ModelServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from pytest_mlgate.keys import CHECK, RECORDER, SESSION, NotServed, check_failed
from pytest_mlgate.session import GateSession
from pytest_mlgate.wiring import TestedEnvironment

if TYPE_CHECKING:
    from mlgate_suites.search import Search


@pytest.fixture(scope="session")
def mlgate_session(request: pytest.FixtureRequest) -> GateSession:
    """The gate run; for the fixtures below."""
    return _run(request)


@pytest.fixture(scope="session")
def mlgate_version(request: pytest.FixtureRequest) -> ModelVersion:
    """The model version under test."""
    return _run(request).version


@pytest.fixture(scope="session")
def mlgate_policy(request: pytest.FixtureRequest) -> Policy:
    """The policy it is judged by."""
    return _run(request).policy


@pytest.fixture(scope="session")
def mlgate_signature(request: pytest.FixtureRequest) -> Signature:
    """Its signature; inputs or outputs are `None` where it declares none."""
    return _run(request).signature


@pytest.fixture(scope="session")
def mlgate_example(request: pytest.FixtureRequest) -> bytes | None:
    """Its logged example as a request body, or `None`."""
    return _run(request).directory.serving_example


@pytest.fixture(scope="session")
def mlgate_inputs(request: pytest.FixtureRequest) -> InputSpace:
    """Its valid inputs, to draw rows from."""
    return _run(request).inputs


@pytest.fixture(scope="session")
def mlgate_equality(request: pytest.FixtureRequest) -> Equality:
    """When two of its answers are equal."""
    return _run(request).equality


@pytest.fixture(scope="session")
def mlgate_seed(request: pytest.FixtureRequest) -> int:
    """The seed of every random choice in this run."""
    return _run(request).seed


@pytest.fixture(scope="session")
def mlgate_digest(request: pytest.FixtureRequest) -> str:
    """Digest of its artifacts."""
    return _run(request).directory.digest


@pytest.fixture(scope="session")
def mlgate_challengers(request: pytest.FixtureRequest) -> frozenset[str]:
    """Artifact digests of the versions that were judged on the same evaluation data before."""
    run = _run(request)
    if run.data is None or run.version.name is None:
        return frozenset()
    try:
        return run.registry.challengers(run.version.name, run.data.digest)
    except RegistryError:
        return frozenset()  # it is for a warning only


@pytest.fixture(scope="session")
def mlgate_checks(request: pytest.FixtureRequest) -> Mapping[str, tuple[str, ...]]:
    """Suite to the ids of the checks that this run must record."""
    return _run(request).expected


@pytest.fixture(scope="session")
def mlgate_tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes one line of progress, for checks that take minutes."""
    return _run(request).tell


@pytest.fixture(scope="session")
def mlgate_show(request: pytest.FixtureRequest) -> Callable[[str], None] | None:
    """Rewrites one line on a terminal, and clears it for an empty text; `None` where there is no terminal."""
    return _run(request).live()


@pytest.fixture(scope="session")
def mlgate_output(request: pytest.FixtureRequest) -> Path:
    """A folder for files that go with the evidence; `accuracy/`, `load/` and `failures/` are published."""
    return _run(request).work


@pytest.fixture(scope="session")
def mlgate_environment(request: pytest.FixtureRequest) -> Environment:
    """What came of building and starting the version."""
    return _environment(request)


@pytest.fixture(scope="session")
def mlgate_server(request: pytest.FixtureRequest) -> ModelServer:
    """The running server. Where there is none, the check that asks is `errored`."""
    return _client(request).server


@pytest.fixture(scope="session")
def mlgate_client(request: pytest.FixtureRequest) -> ScoringClient:
    """A client of the running server; brings it back after a crash or a hang."""
    return _client(request)


@pytest.fixture(scope="session")
def mlgate_champion(request: pytest.FixtureRequest) -> Champion | None:
    """The champion, to be served when it is needed; `None` where there is no comparison."""
    return _run(request).served_champion()


@pytest.fixture(scope="session")
def mlgate_scoring_engine(request: pytest.FixtureRequest) -> ScoringEngine:
    """Where evaluation rows are scored, by `accuracy.engine`; a context, to be entered by who scores."""
    return _run(request).engine


@pytest.fixture(scope="session")
def mlgate_replica(request: pytest.FixtureRequest) -> Replica | None:
    """Serves the version on other machines; `None` where only this one can."""
    return _run(request).replica


@pytest.fixture(scope="session")
def mlgate_data(request: pytest.FixtureRequest) -> EvaluationData | None:
    """The evaluation data, or `None` where the policy names none."""
    return _run(request).data


@pytest.fixture
def mlgate_search(request: pytest.FixtureRequest) -> "Search":
    """The search for rows that break this check's claim: see `mlgate_suites.search`."""
    key = request.node.stash.get(CHECK, None)
    if key is None:
        raise pytest.UsageError("mlgate_search needs the marker mlgate_check(id, suite=…) on the test")
    suite = request.node.get_closest_marker("mlgate_check").kwargs["suite"]
    run = _run(request)
    return run.failures.search(run, key, suite, _client(request))


def _run(request: pytest.FixtureRequest) -> GateSession:
    return request.config.stash[SESSION]


def _environment(request: pytest.FixtureRequest) -> TestedEnvironment:
    try:
        return _run(request).environment()
    except MlgateError as error:
        pytest.exit(str(error), returncode=error.pytest_exit_code)


def _client(request: pytest.FixtureRequest) -> ScoringClient:
    environment = _environment(request)
    client = _run(request).client()
    if client is None:
        raise NotServed(f"the model is not served: {environment.problem}")
    return client


@pytest.fixture
def mlgate_record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record what the check found, once. A failed or errored finding ends the test as one.

    Beside the finding, `parts` takes results of checks that are known only now, such as the values of a slice.
    """
    key = request.node.stash.get(CHECK, None)
    recorder = request.config.stash[RECORDER]
    failures = _run(request).failures
    expected = {known for keys in _run(request).expected.values() for known in keys}

    def record(finding: Finding, parts: Sequence[CheckResult] = ()) -> Any:
        __tracebackhide__ = True
        if key is None:
            raise pytest.UsageError("mlgate_record needs the marker mlgate_check(id, suite=…) on the test")
        finding = failures.held(key, finding)
        recorder.record(key, finding)
        for part in parts:
            if part.key in expected:
                raise pytest.UsageError(f"{part.key} is a check of its own and no part of {key}")
            recorder.record_part(key, part)
        if finding.outcome in {Outcome.FAILED, Outcome.ERRORED, Outcome.SKIPPED}:
            check_failed(finding)

    return record
