"""Fixtures of the suites, and of a user's own checks. They arrive by name; all are of session scope but the recorder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.errors import MlgateError
from mlgate.evaluation.data import EvaluationData
from mlgate.evidence import Finding, Outcome
from mlgate.model_version import ModelVersion
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion, Environment, ModelServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.input_space import InputSpace
from pytest_mlgate.keys import CHECK, RECORDER, SESSION, NotServed, check_failed
from pytest_mlgate.session import GateSession


@pytest.fixture(scope="session")
def mlgate_session(pytestconfig: pytest.Config) -> GateSession:
    """The gate run; for the fixtures below."""
    return pytestconfig.stash[SESSION]


@pytest.fixture(scope="session")
def mlgate_version(mlgate_session: GateSession) -> ModelVersion:
    """The model version under test."""
    return mlgate_session.version


@pytest.fixture(scope="session")
def mlgate_policy(mlgate_session: GateSession) -> Policy:
    """The policy it is judged by."""
    return mlgate_session.policy


@pytest.fixture(scope="session")
def mlgate_signature(mlgate_session: GateSession) -> Signature:
    """Its signature; inputs or outputs are `None` where it declares none."""
    return mlgate_session.signature


@pytest.fixture(scope="session")
def mlgate_example(mlgate_session: GateSession) -> bytes | None:
    """Its logged example as a request body, or `None`."""
    return mlgate_session.directory.serving_example


@pytest.fixture(scope="session")
def mlgate_inputs(mlgate_session: GateSession) -> InputSpace:
    """Its valid inputs, to draw rows from."""
    return mlgate_session.inputs


@pytest.fixture(scope="session")
def mlgate_equality(mlgate_session: GateSession) -> Equality:
    """When two of its answers are equal."""
    return mlgate_session.equality


@pytest.fixture(scope="session")
def mlgate_seed(mlgate_session: GateSession) -> int:
    """The seed of every random choice in this run."""
    return mlgate_session.seed


@pytest.fixture(scope="session")
def mlgate_output(mlgate_session: GateSession) -> Path:
    """A folder for files that go with the evidence; `load/` and `failures/` are published."""
    return mlgate_session.work


@pytest.fixture(scope="session")
def mlgate_environment(mlgate_session: GateSession) -> Environment:
    """What came of building and starting the version."""
    try:
        return mlgate_session.environment()
    except MlgateError as error:
        pytest.exit(str(error), returncode=error.pytest_exit_code)


@pytest.fixture(scope="session")
def mlgate_server(mlgate_session: GateSession, mlgate_environment: Environment) -> ModelServer:
    """The running server. Where there is none, the check that asks is `errored`."""
    client = mlgate_session.client()
    if client is None:
        problem = mlgate_session.environment().problem
        raise NotServed(f"the model is not served: {problem}")
    return client.server


@pytest.fixture(scope="session")
def mlgate_client(mlgate_session: GateSession, mlgate_server: ModelServer) -> ScoringClient:
    """A client of the running server; brings it back after a crash or a hang."""
    client = mlgate_session.client()
    if client is None:
        raise NotServed("the model is not served")
    return client


@pytest.fixture(scope="session")
def mlgate_champion(mlgate_session: GateSession) -> Champion | None:
    """The champion, to be served when it is needed; `None` where there is no comparison."""
    return mlgate_session.served_champion()


@pytest.fixture(scope="session")
def mlgate_data(mlgate_session: GateSession) -> EvaluationData | None:
    """The evaluation data, or `None` where the policy names none."""
    return mlgate_session.data


@pytest.fixture
def mlgate_record(request: pytest.FixtureRequest) -> Callable[[Finding], None]:
    """Record what the check found, once. A failed or errored finding ends the test as one."""
    key = request.node.stash.get(CHECK, None)
    recorder = request.config.stash[RECORDER]

    def record(finding: Finding) -> Any:
        __tracebackhide__ = True
        if key is None:
            raise pytest.UsageError("mlgate_record needs the marker mlgate_check(id, suite=…) on the test")
        recorder.record(key, finding)
        if finding.outcome in {Outcome.FAILED, Outcome.ERRORED, Outcome.SKIPPED}:
            check_failed(finding)

    return record
