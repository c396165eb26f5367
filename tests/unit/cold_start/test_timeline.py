"""Where the time of a start goes: phases one after another, and the slowest by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.cold_start.timeline import Timeline

START = Timeline(
    before={"start": 0.3, "create": 0.1},
    phases={"interpreter": 0.1, "imports": 0.9, "load": 2.1, "warm_up": 2.2, "ready": 2.2, "first_prediction": 2.25},
    imports={"load": {"skops": {"skops": 0.2, "scipy": 0.5, "sklearn": 0.1}}, "imports": {"mlflow": {"mlflow": 0.6}}},
)


def test_the_engines_work_comes_first_and_what_took_no_time_is_left_out():
    """Each phase with its own seconds, and when it was over."""
    parts = START.parts()
    names = ["create", "start", "interpreter", "imports", "load", "warm_up", "first_prediction"]
    assert [part.name for part in parts] == names
    assert [round(part.seconds, 6) for part in parts] == [0.1, 0.3, 0.1, 0.8, 1.2, 0.1, 0.05]
    assert parts[-1].until_s == pytest.approx(START.total_s) == pytest.approx(2.65)


def test_the_slowest_phase_is_named_with_the_import_that_takes_most_of_it():
    """Outermost package first, then the package within it."""
    assert START.slowest() == "model load 45 % (1.2 s): importing skops 800 ms, of it scipy 500 ms"


def test_imports_are_named_as_the_issue_has_it():
    """A phase in percent, then the package."""
    found = Timeline(
        phases={"interpreter": 0.1, "imports": 2.0, "load": 2.3}, imports={"imports": {"sklearn": {"sklearn": 1.4}}}
    )
    assert found.slowest() == "imports 83 % (1.9 s): sklearn 1.4 s"


@pytest.mark.parametrize("imports", [{}, {"load": {"small": {"small": 0.01}}}, {"imports": {"mlflow": {"mlflow": 9}}}])
def test_an_import_that_is_not_what_takes_the_time_is_not_blamed(imports):
    """Nor one of another phase."""
    assert Timeline(phases={"imports": 0.1, "load": 2.1}, imports=imports).slowest() == "model load 95 % (2 s)"


def test_nothing_measured_names_nothing():
    """And takes no time."""
    assert (Timeline().slowest(), Timeline().total_s, Timeline().parts()) == ("", 0.0, ())


def test_it_survives_the_evidence():
    """Written into a finding's details, and read by the report."""
    assert Timeline.from_json(START.to_json()) == START


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.fixed_dictionaries({"before": JSON, "phases": JSON, "imports": JSON}) | JSON)
def test_anything_can_be_read_and_never_gives_a_time_below_zero(value):
    """Evidence may be edited, and a server may say what it likes."""
    found = Timeline.from_json(value)
    assert all(part.seconds > 0 for part in found.parts())
    assert found.total_s >= 0
    assert isinstance(found.slowest(), str)
