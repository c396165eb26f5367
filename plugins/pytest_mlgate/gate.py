"""The gate inside pytest: collects the suites, guards the checks, judges at the end. Registered only with `--mlgate`."""

import sys
from collections.abc import Generator, Sequence
from importlib.metadata import entry_points
from typing import Any

import pytest

from mlgate.check_id import format_check_id, parse_check_id
from mlgate.errors import ConfigError, MlgateError
from mlgate.evidence import Outcome
from mlgate.verdict import VerdictOutcome
from pytest_mlgate import fixtures, options, summary
from pytest_mlgate.keys import CHECK, EXPECTED, RECORDER, SESSION
from pytest_mlgate.recorder import Recorder
from pytest_mlgate.session import GateSession, Request

ENVIRONMENT = "environment"
# Exit status for any verdict that is neither passed nor failed; pytest itself uses 0 to 6.
UNDECIDED = 20
_EXIT = {VerdictOutcome.PASSED: 0, VerdictOutcome.FAILED: 1, VerdictOutcome.INCONCLUSIVE: UNDECIDED}


class Gate:
    """Hooks of one gate run."""

    def __init__(self, config: pytest.Config) -> None:
        if config.getoption(options.IMAGE):
            raise pytest.UsageError(
                "--mlgate-image is not built yet. Hint: leave it out; an image is built for the test"
            )
        self.config = config
        self.recorder = Recorder()
        self.session = GateSession(_request(config), tell=self._tell)
        self.prepared = False
        self.interrupted = False
        config.stash[RECORDER] = self.recorder
        config.stash[SESSION] = self.session
        config.pluginmanager.register(fixtures, "mlgate-fixtures")
        self._prepare()
        config.option.pyargs = True
        # The user's paths are kept; testpaths and the working directory are not swept up.
        own = list(config.args) if config.args_source is config.ArgsSource.ARGS else []
        config.args = [*self._suite_modules(), *map(str, self.session.policy.own_checks), *own]

    def _prepare(self) -> None:
        try:
            self.session.prepare()
        except ConfigError as error:
            self.session.close()
            raise pytest.UsageError(str(error)) from None
        except MlgateError as error:
            self.session.close()
            pytest.exit(str(error), returncode=error.pytest_exit_code)
        except BaseException:
            self.session.abort()
            self.session.close()
            raise
        self.prepared = True

    def _suite_modules(self) -> list[str]:
        """Return the modules of the suites that run; a suite of the user's own may have an entry point or none."""
        modules = {point.name: point.value for point in entry_points(group="mlgate.suites")}
        wanted = [ENVIRONMENT, *self.session.suites]
        return [modules[name] for name in wanted if name in modules]

    def _tell(self, line: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"mlgate: {line}")

    def pytest_report_header(self) -> list[str]:
        """Say what is tested, against what, by which policy."""
        return summary.header(self.session)

    # Collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: object) -> Any:
        """Collect our checks whatever python_functions says: a user's naming rule must not hide a check."""
        if (
            collector.obj.__name__.startswith("mlgate_suites.")
            and name.startswith("test_")
            and _marker(obj) is not None
        ):
            return list(collector._genfunctions(name, obj))  # noqa: SLF001  (what pytest's own hook calls; no public way)
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of each expected check id: `accuracy.floor[metric=f1]` is its own line everywhere."""
        marker = next(metafunc.definition.iter_markers("mlgate_check"), None)
        if marker is None or not marker.args or not metafunc.module.__name__.startswith("mlgate_suites."):
            return
        expected = self.session.expected.get(marker.kwargs.get("suite", ""), ())
        cases = [params for check, params in map(parse_check_id, expected) if check == marker.args[0] and params]
        names = sorted({name for params in cases for name in params} or set(metafunc.fixturenames) & {"metric", "case"})
        if names:
            values = [tuple(params[name] for name in names) for params in cases]
            metafunc.parametrize(names, values, ids=["-".join(value) for value in values])

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note every check before anybody can deselect it."""
        marker = item.get_closest_marker("mlgate_check")
        if marker is None:
            return
        suite = marker.kwargs.get("suite")
        if len(marker.args) != 1 or not isinstance(suite, str):
            raise pytest.UsageError(f"{item.nodeid}: write mlgate_check('suite.check', suite='suite')")
        call = getattr(item, "callspec", None)
        params = {name: str(value) for name, value in call.params.items()} if call else {}
        key = format_check_id(marker.args[0], params)
        try:
            parse_check_id(key)
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        if not self._wanted(item, suite, key):
            return
        if not self.recorder.collected(key, suite):
            raise pytest.UsageError(f"{item.nodeid}: a second check with the id {key}; ids are unique")
        item.stash[CHECK] = key

    def _wanted(self, item: pytest.Item, suite: str, key: str) -> bool:
        """Whether the policy expects a check of ours; a user's own are always wanted."""
        module = getattr(item, "module", None)
        if module is None or not module.__name__.startswith("mlgate_suites."):
            return True
        return key in self.session.expected.get(suite, ())

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop those of our checks that this policy does not ask for."""
        items[:] = [item for item in items if item.get_closest_marker("mlgate_check") is None or CHECK in item.stash]

    # Running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Count the runs of each check."""
        if CHECK in item.stash:
            self.recorder.started(item.stash[CHECK])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Take pytest's word too: the worst of both counts."""
        report: Any = yield
        if CHECK not in item.stash:
            return report
        text = call.excinfo.exconly().splitlines()[0] if call.excinfo else str(report.outcome)
        if call.excinfo and isinstance(call.excinfo.value, EXPECTED):
            text = str(call.excinfo.value)
            report.longrepr = f"{item.stash[CHECK]}: {text}"
        self.recorder.reported(
            item.stash[CHECK],
            outcome=report.outcome,
            when=report.when,
            xfail=hasattr(report, "wasxfail"),
            text=text,
            duration_s=report.duration,
        )
        if report.when == "call" and report.passed:
            outcome = self.recorder.outcome(item.stash[CHECK])
            report.user_properties.append(("mlgate_outcome", str(outcome)))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Show an inconclusive check as its own status."""
        if report.when == "call" and ("mlgate_outcome", str(Outcome.INCONCLUSIVE)) in report.user_properties:
            return "inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})
        return None

    # The end

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Remember: an interrupted run has no verdict."""
        self.interrupted = True

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
        """Judge and publish; set the exit status of design §5.1."""
        # Exit status 2 without an interrupt is an error in collection: judged, as checks that did not run.
        broken = exitstatus in {pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR}
        try:
            if self.interrupted or broken or self.config.option.collectonly:
                self.session.abort()
            else:
                verdict = self.session.finish(self.recorder.results([ENVIRONMENT, *self.session.suites]))
                session.exitstatus = self._exit_status(_EXIT[verdict.outcome], exitstatus)
        finally:
            self.session.close()
        return (yield)

    def _exit_status(self, verdict: int, pytests: int) -> int:
        if self.session.problem is not None:
            return self.session.problem.pytest_exit_code
        # Another collected test failed: a plain failure, whatever the verdict on the model is.
        own_failed = pytests == pytest.ExitCode.TESTS_FAILED and self._another_failed
        return 1 if own_failed and verdict == 0 else verdict

    _another_failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note failures of tests that are no checks."""
        if report.failed and not any(name == "mlgate_check" for name in report.keywords):
            self._another_failed = True

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of checks and, last, the verdict."""
        summary.write(terminalreporter, self.session)

    def pytest_unconfigure(self) -> None:
        """Stop whatever is left, also after a crash in collection."""
        if self.prepared:
            self.session.close()


def _marker(obj: object) -> Any:
    marks: Sequence[Any] = getattr(obj, "pytestmark", [])
    return next((mark for mark in marks if mark.name == "mlgate_check"), None)


def _request(config: pytest.Config) -> Request:
    option = config.getoption
    return Request(
        uri=option(options.URI),
        policy=option(options.POLICY),
        suites=tuple(option(options.SUITES)),
        champion=option(options.CHAMPION),
        sandbox=option(options.SANDBOX),
        output=option(options.OUTPUT),
        publish=not option(options.NO_PUBLISH),
        seed=option(options.SEED),
        explore=option(options.EXPLORE),
        progress=sys.stderr.isatty(),
    )
