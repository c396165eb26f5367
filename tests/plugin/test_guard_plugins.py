"""A conftest or a plugin of the user's can not turn a check into a pass."""

import pytest

WRAPPER = """
import pytest
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    report.longrepr = None
    return report
"""
INNER_WRAPPER = WRAPPER.replace(", tryfirst=True", ", trylast=True")
FAKE_REPORT = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    call.excinfo_kept, call.excinfo = call.excinfo, None
    return pytest.TestReport.from_item_and_call(item, call)
"""
XFAIL = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.xfail(reason="flaky"))
"""
SKIP = XFAIL.replace("xfail(", "skip(")
SKIP_IN_SETUP = """
import pytest
@pytest.fixture(autouse=True)
def not_today():
    pytest.skip("not today")
"""
REMOVE = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "test_signature" not in item.name]
"""
REMOVE_FIRST = REMOVE.replace("def ", "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef ", 1)
TWICE = """
def pytest_collection_modifyitems(items):
    items.extend(list(items))
"""
NO_RUN = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True
"""
NO_LOOP = NO_RUN.replace("pytest_runtest_protocol(item)", "pytest_runtestloop(session)")
NO_CALL = NO_RUN.replace("pytest_runtest_protocol(item)", "pytest_pyfunc_call(pyfuncitem)")
NO_ITEMS = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    return []
"""
MORE_PARAMETERS = """
def pytest_generate_tests(metafunc):
    if "mlgate_policy" in metafunc.fixturenames:
        metafunc.parametrize("mlgate_policy", [None])
    if "case" not in metafunc.fixturenames and "mlgate_client" in metafunc.fixturenames:
        metafunc.parametrize("mlgate_client", [None])
"""
EXIT_0 = """
import pytest
def pytest_collection_finish():
    pytest.exit("all good", returncode=0)
"""
EXIT_0_AT_THE_END = """
import pytest
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
NO_ARGUMENTS = """
import pytest
@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.args = []
"""

# What a healthy model gets under each: never `passed`.
SABOTAGE = {
    "xfail": XFAIL, "skip": SKIP, "skip_in_setup": SKIP_IN_SETUP, "remove": REMOVE, "remove_first": REMOVE_FIRST,
    "twice": TWICE, "no_run": NO_RUN, "no_loop": NO_LOOP, "no_call": NO_CALL, "no_items": NO_ITEMS,
    "more_parameters": MORE_PARAMETERS, "exit_0": EXIT_0,
}  # fmt: skip
# Per-item hooks of a conftest reach only what lies below it, and our own collection hook comes first: all checks truly run.
REACHES_NOTHING = {
    "no_call": {"conftest"}, "no_items": {"conftest", "plugin"}, "more_parameters": {"conftest"},
}  # fmt: skip
# What a bad model gets under each: never `passed`.
WHITEWASH = {
    "wrapper": WRAPPER, "inner_wrapper": INNER_WRAPPER, "fake_report": FAKE_REPORT, "xfail": XFAIL,
    "exit_0_at_the_end": EXIT_0_AT_THE_END,
}  # fmt: skip


def install(gated, code, where):
    """Put *code* into the project's conftest, or into a plugin that also reaches items outside of the project."""
    if where == "conftest":
        gated.pytester.makeconftest(code)
        return ()
    gated.pytester.makepyfile(hostile=code)
    gated.pytester.syspathinsert()
    return ("-p", "hostile")


@pytest.mark.parametrize("where", ["conftest", "plugin"])
@pytest.mark.parametrize("name", SABOTAGE)
def test_checks_that_did_not_truly_run_are_never_passed(gated, name, where):
    """A healthy model whose checks were skipped, removed, repeated or replaced is not admitted by them."""
    result = gated.run(*install(gated, SABOTAGE[name], where))
    text = "\n".join(result.outlines)
    if name in REACHES_NOTHING and where in REACHES_NOTHING[name]:
        assert result.ret == 0
        assert len(gated.outcomes()) == gated.expected()
        assert gated.evidence().check("schema.output").finding.n == 200
        return
    assert result.ret in (20, 2), text
    assert "models:/churn/1: passed" not in text
    assert gated.tags()["mlgate.status"] != "passed"


@pytest.mark.parametrize("where", ["conftest", "plugin"])
@pytest.mark.parametrize("name", WHITEWASH)
def test_a_failed_check_stays_failed_whatever_the_report_says(gated, name, where):
    """The recorded failure counts, whatever a hook makes of pytest's report."""
    gated.register("wrong_type")
    result = gated.run(*install(gated, WHITEWASH[name], where))
    assert gated.evidence().verdict.outcome == "failed"
    assert gated.tags()["mlgate.status"] == "failed"
    assert result.ret != 0


@pytest.mark.parametrize("code", [WRAPPER, INNER_WRAPPER, FAKE_REPORT])
def test_an_exception_after_a_recorded_pass_counts_whatever_the_report_says(gated, code):
    """The worst of both, where the report was forged."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(PASSED); assert False")
    result = gated.run(*install(gated, code, "plugin"))
    assert gated.evidence().verdict.outcome != "passed"
    assert result.ret == 20


def test_a_runner_that_reports_nothing_is_never_passed(gated):
    """A check that recorded a pass and then raised, under a runner that keeps it to itself."""
    gated.policy("rules", "own_checks: [acceptance/]")
    gated.acceptance("mlgate_record(PASSED); assert False")
    code = """
    import pytest
    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item, nextitem):
        item._initrequest()
        item.session._setupstate.setup(item)
        try:
            item.runtest()
        except AssertionError:
            pass
        item.session._setupstate.teardown_exact(nextitem)
        return True
    """
    gated.pytester.makeconftest(code)
    assert gated.run().ret == 20
    assert gated.outcomes()["rules.one"] == "errored"


def test_a_configuration_without_our_arguments_is_never_passed(gated):
    """A plugin that takes the suites off the list of what is collected."""
    assert gated.run(*install(gated, NO_ARGUMENTS, "conftest")).ret in (20, 4, 1)
    assert gated.tags()["mlgate.status"] != "passed"


def test_a_harmless_conftest_leaves_a_healthy_run_passed(gated):
    """Fixtures, also with our parameters' names, autouse fixtures and hooks of a usual repository."""
    gated.pytester.makeconftest(
        """
        import pytest
        @pytest.fixture
        def case(): return "mine"
        @pytest.fixture
        def metric(): return "mine"
        @pytest.fixture
        def client(): return "mine"
        @pytest.fixture(autouse=True)
        def quiet(monkeypatch): monkeypatch.setenv("QUIET", "1")
        def pytest_collection_modifyitems(items): items.reverse()
        def pytest_itemcollected(item): item.user_properties.append(("team", "us"))
        """
    )
    assert gated.run().ret == 0
    assert set(gated.outcomes().values()) == {"passed"}
