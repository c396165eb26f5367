"""Without `--mlgate` the plugin does nothing and costs nothing."""

import json

import pytest

HEAVY = {"mlflow", "pandas", "numpy", "docker", "kubernetes", "hypothesis", "locust", "gevent", "pydantic"}


def test_loading_the_plugin_imports_nothing_heavy(pytester, monkeypatch):
    """A run of somebody else's tests imports none of what mlgate needs."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        test_it="""
        import json, sys
        def test_it():
            print("\\nMODULES", json.dumps(sorted(name for name in sys.modules if "." not in name)))
        """
    )
    result = pytester.runpytest_subprocess("-p", "pytest_mlgate.plugin", "-s")
    assert result.ret == 0
    line = next(line for line in result.outlines if line.startswith("MODULES"))
    modules = set(json.loads(line.removeprefix("MODULES ")))
    assert "pytest_mlgate" in modules
    assert not modules & (HEAVY | {"mlgate", "mlgate_suites", "yaml", "requests"})


def test_help_lists_every_option(pytester):
    """`pytest --help` shows the options in a group of their own."""
    result = pytester.runpytest_inprocess("--help", "-p", "no:locust")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate_check*", "*acceptance tests of a registered model version:*"][1:])
    text = "\n".join(result.outlines)
    for flag in (
        "",
        "-policy",
        "-suite",
        "-champion",
        "-sandbox",
        "-image",
        "-output",
        "-no-publish",
        "-seed",
        "-explore",
    ):
        assert f"--mlgate{flag}" in text


def test_the_marker_is_known_under_strict_markers(pytester):
    """A user's own check does not break a plain run under --strict-markers."""
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.mlgate_check("rules.one", suite="rules")
        def test_one(): pass
        """
    )
    result = pytester.runpytest_inprocess("--strict-markers", "-p", "no:locust")
    result.assert_outcomes(passed=1)
    result = pytester.runpytest_inprocess("--markers", "-p", "no:locust")
    result.stdout.fnmatch_lines(["@pytest.mark.mlgate_check(id, suite=...): *"])


@pytest.mark.parametrize(
    "options",
    [
        ("--mlgate-policy", "x.yaml"), ("--mlgate-suite", "schema"), ("--mlgate-champion", "none"),
        ("--mlgate-sandbox", "process"), ("--mlgate-sandbox", "container"), ("--mlgate-image", "x"),
        ("--mlgate-output", "out"), ("--mlgate-no-publish",), ("--mlgate-seed", "1"), ("--mlgate-explore",),
    ],
)  # fmt: skip
def test_an_option_without_mlgate_is_refused(pytester, options):
    """An option that would do nothing is an error of one line that names it."""
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "no:locust", *options)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {options[0]} does nothing without --mlgate URI"])


@pytest.mark.parametrize("option", ["--help", "--markers", "--fixtures", "--fixtures-per-test", "--cache-show", "-VV"])
def test_an_option_that_only_tells_reaches_no_registry(gated, option):
    """Asking pytest for help with a URI on the line prepares, writes and judges nothing."""
    gated.options = ("-p", "no:locust")
    result = gated.run(option)
    assert result.ret == 0
    assert gated.world.registry.writes == []
    assert not (gated.pytester.path / ".mlgate").exists()
