"""Tests that want the machine to themselves get it, and the others run side by side."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = "from tests.conftest import pytest_configure  # noqa: F401\n"
HEAD = """
import os, time
from pathlib import Path
import pytest

HERE = Path({folder!r})
MINE = HERE / {name!r}
"""
# Who runs beside it is seen: every test is there for half a second.
LOOKS = """
{mark}
@pytest.mark.parametrize("number", range(3))
def test_it(number):
    assert "PYTEST_XDIST_WORKER" not in os.environ
    others, until = set(), time.monotonic() + 0.5
    MINE.touch()
    while time.monotonic() < until:
        others |= set(HERE.iterdir()) - {{MINE}}
        time.sleep(0.005)
    MINE.unlink()
    assert {others} == set()
"""
# Neither ends before the other has begun.
MEETS = """
def test_it():
    MINE.touch()
    until = time.monotonic() + 30
    while len(list(HERE.iterdir())) < 2:
        assert time.monotonic() < until, "no other test began"
        time.sleep(0.005)
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run files, by name, on two workers."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nmarkers = alone")
    pytester.makeconftest(CONFTEST)

    def run(**files):
        folder = pytester.mkdir("here")
        for name, text in files.items():
            (pytester.path / f"test_{name}.py").write_text(HEAD.format(folder=str(folder), name=name) + text)
        return pytester.runpytest_subprocess("-p", "no:locust", "-n", "2", "--dist", "loadfile")

    return run


def test_tests_that_are_marked_run_beside_no_other(run):
    """Neither beside one of another file that is marked, nor beside one that is not."""
    marked = LOOKS.format(mark="@pytest.mark.alone", others="others")
    plain = LOOKS.format(mark="", others="{other for other in others if other.name in 'ab'}")
    run(a=marked, b=marked, c=plain, d=plain).assert_outcomes(passed=12)


def test_the_others_run_side_by_side(run):
    """Else nothing would be gained."""
    run(a=MEETS, b=MEETS).assert_outcomes(passed=2)
