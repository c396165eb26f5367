"""Each check of the environment suite fails its mutant environment, and no other check of the suite does."""

from dataclasses import dataclass, field

import pytest

from mlgate.errors import InstallError, ServerError
from mlgate_suites import environment
from tests.suites.test_schema_mutants import only

CHECKS = {
    "environment.install": environment.test_install,
    "environment.pins": environment.test_pins,
    "environment.load": environment.test_load,
}


@dataclass
class Built:
    """What came of building and starting a version."""

    requirements: tuple[str, ...] = ("numpy==2.4.6", "pandas>=2")
    pins: tuple[str, ...] = ("numpy==2.4.6", "pandas==3.1.1")
    python: str | None = "3.11.2"
    install_problem: InstallError | None = None
    load_problem: ServerError | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def findings(built):
    """Run the three checks and return id to finding."""
    found = {}
    for key, check in CHECKS.items():
        recorded = []
        check(built, recorded.append)
        (found[key],) = recorded
    return found


def outcomes(built):
    """Return id to outcome."""
    return {key: str(found.outcome) for key, found in findings(built).items()}


def test_an_environment_that_installs_and_loads_passes():
    """Nothing to complain about."""
    assert set(outcomes(Built()).values()) == {"passed"}


def test_a_requirement_that_can_not_be_installed_fails_the_install_check():
    """The resolver's line is the reason; of the other two nothing can be said, and that is no pass."""
    problem = InstallError("nosuchpackage was not found in the package registry", log="line 1\nline 2")
    found = findings(Built(pins=(), python=None, install_problem=problem))
    assert str(found["environment.install"].outcome) == "failed"
    assert "nosuchpackage" in found["environment.install"].reason
    assert found["environment.install"].details["log"] == "line 1\nline 2"
    assert {str(found[key].outcome) for key in ("environment.pins", "environment.load")} == {"inconclusive"}


def test_a_pin_that_was_not_kept_fails_the_pins_check_and_only_it():
    """The difference is named: asked for one version, got another."""
    built = Built(pins=("numpy==2.1.0", "pandas==3.1.1"))
    assert only(outcomes(built), "environment.pins")
    assert "numpy" in findings(built)["environment.pins"].reason


@pytest.mark.parametrize("kind", ["load_failed", "oom", "exited", "hang"])
def test_a_model_that_does_not_load_fails_the_load_check_and_only_it(kind):
    """With the last log lines, and what kind of end it was."""
    built = Built(load_problem=ServerError("No module named 'statsmodels'", kind=kind, log="Traceback …"))
    assert only(outcomes(built), "environment.load")
    assert findings(built)["environment.load"].details["kind"] == kind
