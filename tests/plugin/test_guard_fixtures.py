"""A fixture of the user's in place of one of ours does not reach the packaged suites."""

import pytest

OVERRIDES = {
    "mlgate_record": "return lambda finding: None",
    "mlgate_client": "return None",
    "mlgate_policy": "return None",
    "mlgate_inputs": "return None",
    "mlgate_session": "return None",
    "mlgate_seed": "return 1",
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_an_override_in_the_conftest_is_refused_with_one_line(gated, name):
    """It would change what is judged: said in one line that names file and fixture."""
    gated.pytester.makeconftest(
        f"import pytest\n@pytest.fixture(scope='session')\ndef {name}():\n    {OVERRIDES[name]}\n"
    )
    gated.policy("schema, properties")
    result = gated.run()
    if name == "mlgate_session":
        # None of ours asks for it any more, so it reaches nothing.
        assert result.ret == 0
        return
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: *conftest.py: fixture {name} replaces mlgate's own. Hint: *"])
    assert gated.world.registry.runs() == ()
    assert gated.tags()["mlgate.status"] == "not finished"


def test_an_override_that_makes_every_finding_a_pass_is_refused(gated):
    """The shortest way around a gate."""
    gated.register("wrong_type")
    gated.pytester.makeconftest(
        """
        import dataclasses, pytest
        @pytest.fixture
        def mlgate_record(mlgate_record):
            return lambda finding: mlgate_record(dataclasses.replace(finding, outcome="passed"))
        """
    )
    assert gated.run().ret == 4
    assert gated.world.registry.runs() == ()


def test_an_override_by_a_plugin_is_refused(gated):
    """A plugin's fixture comes after ours, as a conftest's does."""
    gated.register("wrong_type")
    gated.pytester.makepyfile(
        hostile="""
        import pytest
        @pytest.fixture
        def mlgate_record(): return lambda finding: None
        """
    )
    gated.pytester.syspathinsert()
    assert gated.run("-p", "hostile").ret in (1, 4)


def test_an_override_for_the_users_own_checks_reaches_only_them(gated):
    """Beside the own checks a fixture is the user's business, also when those run first."""
    gated.policy("schema, rules", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(PASSED); assert mlgate_client == 'mine' and mlgate_server")
    text = (gated.pytester.path / "acceptance/test_rules.py").read_text()
    text = text.replace("(mlgate_record)", "(mlgate_record, mlgate_client, mlgate_server)")
    (gated.pytester.path / "acceptance/test_rules.py").write_text(text)
    (gated.pytester.path / "acceptance/conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\ndef mlgate_client(): return 'mine'\n"
        "@pytest.fixture(scope='session')\ndef mlgate_environment(): return 'mine'\n"
        "@pytest.fixture(scope='session')\ndef mlgate_session(): return 'mine'\n"
        "@pytest.fixture(scope='session')\ndef pytestconfig(): return 'mine'\n"
    )
    gated.pytester.makeconftest("def pytest_collection_modifyitems(items): items.reverse()")
    result = gated.run()
    assert result.ret == 0, result.outlines
    assert set(gated.outcomes().values()) == {"passed"}
    assert len(gated.outcomes()) == gated.expected() + 1
