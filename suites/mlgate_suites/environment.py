"""Environment: the version installs, loads and gets the packages it asked for. Always required."""

from typing import Any

import pytest

from mlgate.evidence import Cause
from mlgate.images.pins import pin_differences
from mlgate.sandbox.interface import Environment
from mlgate_suites.findings import failed, inconclusive, passed


@pytest.mark.mlgate_check("environment.install", suite="environment")
def test_install(mlgate_environment: Environment, mlgate_record: Any) -> None:
    """The version's own requirements install into a fresh environment."""
    problem = mlgate_environment.install_problem
    if problem is None:
        mlgate_record(passed(f"{len(mlgate_environment.pins)} packages installed", n=len(mlgate_environment.pins)))
    else:
        mlgate_record(
            failed(
                problem.message,
                advice=problem.hint or "correct the version's requirements.txt and log it again",
                details={"log": problem.log},
            )
        )


@pytest.mark.mlgate_check("environment.pins", suite="environment")
def test_pins(mlgate_environment: Environment, mlgate_record: Any) -> None:
    """What was installed is what the version asked for."""
    if mlgate_environment.install_problem is not None:
        mlgate_record(inconclusive("nothing was installed", cause=Cause.ENVIRONMENT))
        return
    differences = pin_differences(
        mlgate_environment.requirements, mlgate_environment.pins, python=mlgate_environment.python
    )
    asked = len(mlgate_environment.requirements)
    if differences:
        mlgate_record(
            failed(
                f"{len(differences)} of {asked} requirements not met: {differences[0]}",
                n=asked,
                advice="pin versions that can be installed together with the model server",
                details={"differences": list(differences)},
            )
        )
    else:
        mlgate_record(passed(f"all {asked} requirements are met by what was installed", n=asked))


@pytest.mark.mlgate_check("environment.load", suite="environment")
def test_load(mlgate_environment: Environment, mlgate_record: Any) -> None:
    """The model loads in the sandbox, and the server becomes ready."""
    if mlgate_environment.install_problem is not None:
        mlgate_record(inconclusive("nothing was installed", cause=Cause.ENVIRONMENT))
        return
    problem = mlgate_environment.load_problem
    if problem is None:
        details = {"seconds": dict(mlgate_environment.seconds)}
        mlgate_record(passed("the model is loaded and the server is ready", details=details))
    else:
        mlgate_record(
            failed(
                problem.message,
                advice=problem.hint or "the log's last lines say what the model needs and does not find",
                details={"log": problem.log, "kind": problem.kind},
            )
        )
