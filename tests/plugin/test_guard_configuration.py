"""The user's own configuration can not weaken the gate, and a harmless one does not disturb it."""

import os
import shutil
from pathlib import Path

import pytest

import mlgate_suites.schema

HARMLESS = [
    "python_functions = check_*",
    "python_classes = Check*",
    "python_files = check_*.py",
    "addopts = -x",
    "addopts = --maxfail=1",
    "addopts = --import-mode=importlib",
    "addopts = --import-mode=append",
    "addopts = --strict-markers --strict-config",
    "addopts = --continue-on-collection-errors",
    "addopts = --ignore-glob=*.py",
    "addopts = --assert=plain",
    "addopts = -p no:logging -p no:capture",
    "addopts = -n 2",
    "addopts = --ff",
    "xfail_strict = true",
    "empty_parameter_set_mark = fail_at_collect",
    "norecursedirs = * .*",
    "testpaths = tests",
    "filterwarnings = error",
    "junit_family = xunit2",
    "usefixtures = tmp_path",
]


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_configuration_leaves_a_healthy_run_passed(gated, line):
    """Every check runs and passes, whatever the repository's tests are configured to."""
    gated.ini(line)
    gated.policy("schema, properties")
    gated.options = ("-p", "no:locust")
    result = gated.run()
    assert result.ret == 0, result.outlines
    assert gated.evidence().verdict.outcome == "passed"
    assert len(gated.outcomes()) == gated.expected()


SELECTING = [
    "-k signature",
    "-k 'not signature'",
    "-k nothing_at_all",
    "-m slow",
    "-m 'not mlgate_check'",
    "--deselect=mlgate_suites/schema.py::test_signature",
    "--setup-only",
    "--setup-plan",
    "--stepwise-skip --maxfail=1 -k 'not output'",
]


@pytest.mark.parametrize("options", SELECTING)
def test_a_check_that_is_deselected_is_never_passed(gated, options):
    """What did not run is named as skipped, and the verdict is inconclusive."""
    gated.ini(f"addopts = {options}")
    gated.options = ("-p", "no:locust")
    result = gated.run()
    assert result.ret == 20
    assert gated.evidence().verdict.outcome == "inconclusive"
    assert "skipped" in gated.outcomes().values()
    assert gated.tags()["mlgate.status"] == "inconclusive"


@pytest.mark.parametrize("options", ["--ignore=SUITES", "--ignore-glob=*/mlgate_suites/*", "-p no:python"])
def test_a_suite_that_is_not_collected_is_never_passed(gated, options):
    """However the packaged files are hidden: exit 0 only when they ran and passed."""
    gated.ini(f"addopts = {options.replace('SUITES', mlgate_suites.schema.__file__)}")
    result = gated.run()
    if result.ret == 0:
        assert len(gated.outcomes()) == gated.expected()
        assert set(gated.outcomes().values()) == {"passed"}
    else:
        assert result.ret in (4, 20)
        assert gated.tags()["mlgate.status"] in ("inconclusive", "not finished")


def test_only_the_last_failed_is_never_passed(gated):
    """`--lf` after a failing run runs one check, and one check is not all."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance("assert False")
    gated.options = ("-p", "no:locust")
    assert gated.run().ret == 20
    gated.acceptance()
    result = gated.run("--lf")
    assert result.ret == 20
    assert "skipped" in gated.outcomes().values() or len(gated.outcomes()) <= gated.expected()
    assert gated.run("--ff").ret == 0


def test_stopping_at_the_first_failure_judges_what_ran_and_names_the_rest(gated):
    """`-x`: the failure is a failure, the rest did not run."""
    gated.policy("schema, properties")
    gated.register("wrong_type")
    assert gated.run("-x").ret == 1
    assert {"failed", "skipped"} <= set(gated.outcomes().values())


@pytest.mark.parametrize("options", [(), ("--continue-on-collection-errors",)])
def test_an_own_check_that_can_not_be_imported_is_never_passed(gated, options):
    """A broken file beside healthy suites: nothing says what it would have found."""
    gated.policy("schema", "own_checks: [acceptance/]")
    gated.acceptance(suite="schema")
    (gated.pytester.path / "acceptance/test_broken.py").write_text("import nothing_is_called_this\n")
    result = gated.run(*options)
    assert result.ret == 20
    result.stdout.fnmatch_lines(["*No module named 'nothing_is_called_this'*"])
    assert gated.evidence().verdict.outcome == "inconclusive"


def test_without_the_terminal_a_deselected_check_is_never_passed(gated):
    """The judgement does not hang on what is printed."""
    assert gated.run("-p", "no:terminal", "-k", "signature").ret == 20


@pytest.mark.parametrize("name", ["mlgate-gate", "mlgate-fixtures"])
def test_blocking_a_part_of_the_plugin_is_refused(gated, name):
    """`-p no:…` takes a part away; nothing is started with what is left."""
    gated.ini(f"addopts = -p no:{name}")
    assert f"-p no:{name}" in gated.refusal(gated.run())


def test_blocking_the_plugin_refuses_the_option(gated):
    """Without the plugin there is no --mlgate."""
    gated.ini("addopts = -p no:pytest_mlgate.plugin")
    assert gated.run().ret == 4


def test_the_suites_are_found_in_a_virtualenv_below_the_project(gated, monkeypatch):
    """The commonest layout: `.venv` in the repository, its conftest above the suites, norecursedirs over them."""
    site = gated.pytester.path / ".venv/lib/python3.11/site-packages"
    shutil.copytree(Path(mlgate_suites.__file__).parent, site / "mlgate_suites")
    (gated.pytester.path / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    gated.pytester.makeconftest("def pytest_runtest_setup(item): print('REACHED', item.nodeid)")
    gated.pytester.makeini("[pytest]\naddopts = --import-mode=importlib -s")
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    result = gated.run_subprocess()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*REACHED mlgate_suites/schema.py::test_signature*"])
    assert gated.evidence().verdict.outcome == "passed"
