"""Environment: the version installs, loads and gets the packages it asked for. Always required."""

from typing import Any

import pytest

from mlgate.evidence import Cause, Finding
from mlgate.images.pins import asked_lines, patch_difference, pin_differences
from mlgate.sandbox.interface import Environment
from mlgate_suites.findings import failed, inconclusive, passed

_TELLS_NOTHING = "the given image does not tell which packages are in it: it has no Python that lists them"


@pytest.mark.mlgate_check("environment.install", suite="environment")
def test_install(mlgate_environment: Environment, mlgate_record: Any) -> None:
    """The version's own requirements install into a fresh environment."""
    problem = mlgate_environment.install_problem
    if problem is None:
        mlgate_record(_installed(mlgate_environment))
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
    if _is_given(mlgate_environment) and not mlgate_environment.pins:
        mlgate_record(inconclusive(_TELLS_NOTHING, cause=Cause.ENVIRONMENT))
        return
    differences = pin_differences(
        mlgate_environment.requirements, mlgate_environment.pins, python=mlgate_environment.python
    )
    differences = (*differences, *_other_minor(mlgate_environment))
    asked = len(asked_lines(mlgate_environment.requirements))
    if _is_given(mlgate_environment) and not asked and not differences:
        mlgate_record(inconclusive("the version names no requirements to compare the image with", n=0))
        return
    # A patch release keeps what a minor promises, so it is said and does not fail.
    patch = patch_difference(mlgate_environment.python_asked, mlgate_environment.python or "")
    details: dict[str, Any] = {"python": patch} if patch else {}
    if differences:
        mlgate_record(
            failed(
                f"{len(differences)} of {asked} requirements not met: {differences[0]}",
                n=asked,
                advice="pin versions that can be installed together with the model server",
                details=details | {"differences": list(differences)},
            )
        )
    else:
        also = f"; {patch}" if patch else ""
        mlgate_record(passed(f"all {asked} requirements are met by what was installed{also}", n=asked, details=details))


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
                details={"log": problem.log, "kind": str(problem.kind)},
            )
        )


def _installed(environment: Environment) -> Finding:
    """Judge what is there where nothing went wrong: an image that was given passes by what is found in it."""
    n = len(environment.pins)
    if not _is_given(environment):
        return passed(f"{n} packages installed", n=n)
    if n == 0:
        return inconclusive(_TELLS_NOTHING, cause=Cause.ENVIRONMENT, n=0)
    return passed(f"image given, nothing was installed by this run; {n} packages found in it", n=n)


def _is_given(environment: Environment) -> bool:
    return environment.origin == "given"


def _other_minor(environment: Environment) -> tuple[str, ...]:
    """Return the difference where a given image holds another minor of Python: pickles and wheels do not cross it."""
    asked, used = environment.python_asked, environment.python or ""
    if not _is_given(environment) or not asked or not used or asked.split(".")[:2] == used.split(".")[:2]:
        return ()
    return (f"Python: asked {asked}, installed {used}",)
