"""Each check of the environment suite fails its mutant environment, and no other check of the suite does."""

from dataclasses import dataclass, field

import pytest

from mlgate.errors import FailureKind, InstallError, ServerError
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
    python_asked: str = ""
    origin: str = "built"
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


def test_another_patch_of_python_is_recorded_and_fails_nothing():
    """A patch release keeps what its minor promises."""
    built = Built(python_asked="3.11.8")
    assert set(outcomes(built).values()) == {"passed"}
    finding = findings(built)["environment.pins"]
    assert "Python 3.11.8 asked, 3.11.2 used" in finding.reason
    assert finding.details["python"] == "Python 3.11.8 asked, 3.11.2 used: the patch differs"
    assert "Python" not in findings(Built(python_asked="3.11.2"))["environment.pins"].reason


@pytest.mark.parametrize("kind", FailureKind)
def test_a_model_that_does_not_load_fails_the_load_check_and_only_it(kind):
    """With the last log lines, and what kind of end it was."""
    built = Built(load_problem=ServerError("No module named 'statsmodels'", kind=kind, log="Traceback …"))
    assert only(outcomes(built), "environment.load")
    assert findings(built)["environment.load"].details["kind"] == kind


def test_an_image_that_was_given_passes_by_what_is_found_in_it():
    """Nothing was installed by this run, and no check says so where nothing was looked at."""
    assert set(outcomes(Built(origin="given")).values()) == {"passed"}
    assert "2 packages found in it" in findings(Built(origin="given"))["environment.install"].reason


@pytest.mark.parametrize(
    ("changes", "undecided"),
    [
        ({"pins": ()}, {"environment.install", "environment.pins"}),
        ({"requirements": ()}, {"environment.pins"}),
    ],
)
def test_a_given_image_with_nothing_to_compare_is_inconclusive(changes, undecided):
    """A check that passes on nothing is no check."""
    found = outcomes(Built(origin="given", **changes))
    assert {key for key, outcome in found.items() if outcome == "inconclusive"} == undecided
    assert set(found.values()) == {"passed", "inconclusive"}


def test_a_given_image_with_another_minor_of_python_fails_the_pins_check():
    """A build takes the version's own minor; somebody else's image may hold any."""
    built = Built(origin="given", python_asked="3.12.1")
    assert only(outcomes(built), "environment.pins")
    assert "Python: asked 3.12.1, installed 3.11.2" in findings(built)["environment.pins"].reason
