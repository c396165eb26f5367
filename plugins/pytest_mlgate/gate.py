"""The gate inside pytest: collects the suites, guards the checks, judges at the end. Registered only with `--mlgate`."""

import inspect
import sys
import warnings
from collections.abc import Generator, Sequence
from fnmatch import fnmatch
from functools import cached_property
from importlib.metadata import entry_points
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from mlgate.check_id import format_check_id, parse_check_id
from mlgate.errors import ConfigError, MlgateError
from mlgate.evidence import Outcome
from mlgate.verdict import VerdictOutcome
from pytest_mlgate import fixtures, options, summary
from pytest_mlgate.keys import CHECK, EXIT_STATUS, EXPECTED, RECORDER, SESSION, in_order
from pytest_mlgate.recorder import Recorder
from pytest_mlgate.request import Request
from pytest_mlgate.session import GateSession
from pytest_mlgate.terminal import Terminal

ENVIRONMENT = "environment"
# The package of the built-in suites.
PACKAGE = "mlgate_suites"
# Files of `own_checks`; pytest's own defaults for python_files.
CHECK_FILES = ("test_*.py", "*_test.py")
# Exit status for any verdict that is neither passed nor failed; pytest itself uses 0 to 6.
UNDECIDED = 20
_EXIT = {VerdictOutcome.PASSED: 0, VerdictOutcome.FAILED: 1, VerdictOutcome.INCONCLUSIVE: UNDECIDED}


class Gate:
    """Hooks of one gate run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.recorder = Recorder()
        self._terminal = Terminal(config)
        self.session = GateSession(_request(config), tell=self._terminal.tell, live=self._terminal.live)
        self.prepared = False
        self.interrupted = False
        self._uncollected = False
        self._others_failed = False
        config.stash[RECORDER] = self.recorder
        config.stash[SESSION] = self.session
        config.pluginmanager.register(fixtures, "mlgate-fixtures")
        self._prepare()
        # The user's paths are kept; testpaths and the working directory are not swept up.
        own = list(config.args) if config.args_source is config.ArgsSource.ARGS else []
        if not config.option.pyargs:
            # Ours are module names, for which pytest has one switch; a folder `tests` must not become a package of that name.
            own = [_absolute(config, argument) for argument in own]
        config.option.pyargs = True
        config.args = [*self._suite_modules(), *map(str, self.session.policy.own_checks), *own]
        # Without this, an own check that can not be imported would be missed, and nothing else would say so.
        config.option.continue_on_collection_errors = False

    @property
    def passed(self) -> bool:
        """Whether this run came to the verdict passed, and every file and tag of it is written; of a replay: to fixed."""
        if self.session.replays:
            return self.session.failures.result == "fixed"
        verdict = self.session.verdict
        return self.session.problem is None and verdict is not None and verdict.outcome is VerdictOutcome.PASSED

    def _prepare(self) -> None:
        try:
            # pytest shows these while it configures, which python does not: MLflow's are for MLflow's authors.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self.session.prepare()
        except ConfigError as error:
            self.session.close()
            raise pytest.UsageError(str(error)) from None
        except MlgateError as error:
            self.session.close()
            # No pytest.exit: this early it prints its message twice.
            self.config.stash[EXIT_STATUS] = error.pytest_exit_code
            raise pytest.UsageError(str(error)) from None
        except BaseException:
            try:
                self.session.abort()
            finally:  # a second Ctrl-C may end the abort
                self.session.close()
            raise
        self.prepared = True

    def _suite_modules(self) -> list[str]:
        """Return the modules of the suites that run; a suite of the user's own may have an entry point or none."""
        modules = {point.name: point.value for point in entry_points(group="mlgate.suites")}
        wanted = self.session.suites if self.session.replays else (ENVIRONMENT, *self.session.suites)
        return [modules[name] for name in wanted if name in modules]

    def pytest_report_header(self) -> list[str]:
        """Say what is tested, against what, by which policy."""
        return summary.header(self.session)

    # Collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Collect the policy's own checks whatever --ignore, collect_ignore and norecursedirs say."""
        return False if self._is_own_check(collection_path) else None

    def pytest_collect_file(self, file_path: Path, parent: Any) -> Any:
        """Collect them whatever python_files says."""
        if not self._is_own_check(file_path) or parent.session.isinitpath(file_path):
            return None
        if path_matches(file_path, self.config.getini("python_files")):
            return None  # pytest's own hook takes it
        return parent.session.gethookproxy(file_path).pytest_pycollect_makemodule(module_path=file_path, parent=parent)

    def pytest_pycollect_makemodule(self, module_path: Path, parent: Any) -> Any:
        """Give a packaged suite the same readable node id wherever it is installed.

        Outside of the root directory pytest gives every module the same empty one, and `--deselect` and `--lf` could
        not tell two suites' checks apart.
        """
        if module_path.parent not in _packaged_folders():
            return None
        return pytest.Module.from_parent(parent, path=module_path, nodeid=f"{PACKAGE}/{module_path.name}")

    def _is_own_check(self, path: Path) -> bool:
        if not any(path == own or path.is_relative_to(own) for own in self._own_checks):
            return False
        return path_matches(path, CHECK_FILES) or (path.is_dir() and not path.name.startswith((".", "__")))

    @cached_property
    def _own_checks(self) -> tuple[Path, ...]:
        return tuple(path.resolve() for path in self.session.policy.own_checks)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: object) -> Any:
        """Collect checks whatever python_functions says: a user's naming rule must not hide one."""
        _mark_relation(obj)
        marker = _marker(obj)
        if marker is None:
            return None
        if _is_packaged(collector.module) and name.startswith("test_"):
            ids = self.session.expected.get(marker.kwargs.get("suite", ""), ())
            if marker.args[0] not in {parse_check_id(key)[0] for key in ids}:
                return []  # this policy does not ask for it
        elif collector.funcnamefilter(name):
            return None  # pytest's own hook takes it
        return list(collector._genfunctions(name, obj))  # noqa: SLF001  (what pytest's own hook calls; no public way)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one test of each expected check id: `accuracy.floor[metric=f1]` is its own line everywhere."""
        marker = next(metafunc.definition.iter_markers("mlgate_check"), None)
        if marker is None or not marker.args or not _is_packaged(metafunc.module):
            return
        expected = self.session.expected.get(marker.kwargs.get("suite", ""), ())
        cases = [params for check, params in map(parse_check_id, expected) if check == marker.args[0] and params]
        names = sorted({name for params in cases for name in params})
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
        if _is_packaged(getattr(item, "module", None)):
            _refuse_overrides(item)
        elif key in self._reserved:
            raise pytest.UsageError(f"{item.nodeid}: {key} is a check of mlgate's own. Hint: give yours another id")
        if not self.recorder.collected(key, suite):
            raise pytest.UsageError(f"{item.nodeid}: a second check with the id {key}; ids are unique")
        item.stash[CHECK] = key

    @cached_property
    def _reserved(self) -> frozenset[str]:
        """Ids that only the packaged suites may record."""
        return frozenset(key for keys in self.session.expected.values() for key in keys)

    def _wanted(self, item: pytest.Item, suite: str, key: str) -> bool:
        """Whether the policy expects a check of ours; a user's own are wanted unless other suites were asked for."""
        replayed = self.session.failures.replayed
        if replayed is not None:
            return key == replayed.check
        if not _is_packaged(getattr(item, "module", None)):
            return not self.session.request.suites or suite in self.session.suites
        return key in self.session.expected.get(suite, ())

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected: pytest says so itself, and stops."""
        self._uncollected = self._uncollected or report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop the checks that were not asked for; refuse a promise of own checks that none came of."""
        marked = [item for item in items if item.get_closest_marker("mlgate_check") is not None]
        for own in self._own_checks:
            if not self._uncollected and not any(item.path == own or item.path.is_relative_to(own) for item in marked):
                hint = "its files are called test_….py, and its tests carry the marker mlgate_check(id, suite=…)"
                raise pytest.UsageError(f"own_checks: {own} holds no check. Hint: {hint}")
        unwanted = {item for item in marked if CHECK not in item.stash}
        items[:] = [item for item in items if item not in unwanted]
        if self.session.replays:
            items[:] = [item for item in items if CHECK in item.stash]
        items[:] = in_order(items, chain.from_iterable(self.session.expected.values()))
        if not self._uncollected:
            self._refuse_strangers(items)

    def _refuse_strangers(self, items: list[pytest.Item]) -> None:
        try:
            keys = (item.stash[CHECK] for item in items if CHECK in item.stash)
            self.session.failures.refuse_strangers(keys, self.session, final=True)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Say which suites of the user's own decide nothing."""
        checks = {key for item in items if (key := item.stash.get(CHECK, None)) is not None}
        return summary.not_judged(self.session, self.recorder.suites_of(checks))

    # Running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Count the runs of each check."""
        if CHECK in item.stash:
            self.recorder.started(item.stash[CHECK])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Take pytest's word too: the worst of both counts."""
        raised = call.excinfo
        report: Any = yield
        if CHECK not in item.stash:
            return report
        outcome = str(report.outcome)
        if raised and outcome == "passed":
            outcome = "failed"  # a plugin inside of this hook called an exception a pass
        text = raised.exconly().splitlines()[0] if raised else outcome
        if raised and isinstance(raised.value, EXPECTED):
            text = str(raised.value)
            report.longrepr = f"{item.stash[CHECK]}: {text}"
        self.recorder.reported(
            item.stash[CHECK],
            outcome=outcome,
            when=report.when,
            xfail=hasattr(report, "wasxfail"),
            text=text,
            duration_s=report.duration,
        )
        if report.when == "call" and report.passed:
            report.user_properties.append(("mlgate_outcome", str(self.recorder.outcome(item.stash[CHECK]))))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Show an inconclusive check as its own status."""
        if report.when == "call" and ("mlgate_outcome", str(Outcome.INCONCLUSIVE)) in report.user_properties:
            return "inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})
        return None

    # The end

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember: an interrupted run has no verdict."""
        # An error in collection comes here as well; it is judged, as checks that did not run.
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, Any, Any]:
        """Judge and publish; set the exit status of design §5.1; say the verdict last."""
        try:
            self._finish(session, exitstatus)
        except KeyboardInterrupt:
            self.session.abort()
            self._terminal.tell("interrupted; this run has no verdict")
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        finally:
            self.session.close()
        result = yield
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            summary.write_verdict(reporter, self.session)
        return result

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        broken = exitstatus in {pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR}
        if self.interrupted or broken or self.config.option.collectonly:
            self.session.abort()
            return
        if self.session.replays:
            session.exitstatus = self.session.failures.conclude(self.session, self.recorder, self._terminal.tell)
            return
        verdict = self.session.finish(self.recorder.results([ENVIRONMENT, *self.session.suites]))
        session.exitstatus = self._exit_status(verdict.outcome, exitstatus)

    def _exit_status(self, verdict: VerdictOutcome, pytests: int) -> int:
        if self.session.problem is not None:
            return self.session.problem.pytest_exit_code
        # Something else that was collected failed: a plain failure, whatever the verdict on the model is.
        if pytests == pytest.ExitCode.TESTS_FAILED and (self._others_failed or verdict is VerdictOutcome.PASSED):
            return int(pytest.ExitCode.TESTS_FAILED)
        return _EXIT[verdict]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note failures of tests that are no checks."""
        if report.failed and "mlgate_check" not in report.keywords:
            self._others_failed = True

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the table of checks."""
        summary.write_table(terminalreporter, self.session)

    def pytest_unconfigure(self) -> None:
        """Stop whatever is left, also after a crash in collection."""
        if self.prepared:
            self.session.close()


def path_matches(path: Path, patterns: Sequence[str]) -> bool:
    """Return whether the name of a Python file matches one of *patterns*."""
    return path.suffix == ".py" and any(fnmatch(path.name, pattern) for pattern in patterns)


def _is_packaged(module: Any) -> bool:
    return module is not None and module.__name__.startswith(f"{PACKAGE}.")


def _packaged_folders() -> Sequence[Path]:
    spec = find_spec(PACKAGE)
    return [Path(place) for place in spec.submodule_search_locations or ()] if spec else []


def _marker(obj: object) -> Any:
    marks = getattr(obj, "pytestmark", ()) if inspect.isfunction(obj) else ()
    return next((mark for mark in marks if mark.name == "mlgate_check" and mark.args), None)


def _mark_relation(obj: object) -> None:
    """Give a user's relation the marker that its decorator, which knows no pytest, can not give."""
    declared = getattr(obj, "mlgate_relation", None)
    if declared is not None and inspect.isfunction(obj) and _marker(obj) is None:
        pytest.mark.mlgate_check(declared.check, suite=declared.suite)(obj)


def _absolute(config: pytest.Config, argument: str) -> str:
    """Return a path of the command line as pytest would read it, made absolute; the part from "::" on stays."""
    path, separator, rest = argument.partition("::")
    return f"{config.invocation_params.dir / path}{separator}{rest}"


def _refuse_overrides(item: pytest.Item) -> None:
    """Refuse a packaged check that would get one of our fixtures from somebody else.

    Raises:
        pytest.UsageError: A conftest or a plugin overrides a fixture.
    """
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():  # type: ignore[attr-defined]  # noqa: SLF001  (no public way)
        modules = [definition.func.__module__ for definition in definitions]
        ours = [module.startswith(("pytest_mlgate.", f"{PACKAGE}.")) for module in modules]
        if any(ours) and not ours[-1]:
            source = inspect.getsourcefile(definitions[-1].func) or modules[-1]
            hint = "rename it; what is judged must not depend on the tests around it"
            raise pytest.UsageError(f"{source}: fixture {name} replaces mlgate's own. Hint: {hint}")


def _request(config: pytest.Config) -> Request:
    option = config.getoption
    return Request(
        uri=option(options.URI),
        policy=option(options.POLICY),
        suites=tuple(option(options.SUITES)),
        champion=option(options.CHAMPION),
        sandbox=option(options.SANDBOX) or "container",
        image=option(options.IMAGE),
        output=option(options.OUTPUT),
        publish=not option(options.NO_PUBLISH) and not config.option.collectonly,
        seed=option(options.SEED),
        explore=option(options.EXPLORE),
        replay=option(options.REPLAY),
        progress=sys.stderr.isatty(),
    )
