"""Hooks. Without `--mlgate` they cost a dictionary look-up; everything heavy is imported behind it."""

import sys
from collections.abc import Generator
from typing import Any

import pytest

from pytest_mlgate import options

MARKER = (
    "mlgate_check(id, suite=...): the test is an acceptance check of a model version; it records with mlgate_record"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


# Options with which pytest tells something and runs no test: nothing is prepared, fetched or written for them.
_TELLING = ("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
# What a run that never came to a verdict ends with, whatever else said 0.
_UNDECIDED = 20


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Keep the run in one process, before xdist reads its options; let nothing but a verdict end it with 0.

    Latency measured beside another worker is worthless.
    """
    if config.getoption(options.URI) is None:
        return (yield)
    for name, off in (("numprocesses", None), ("dist", "no"), ("distload", False), ("tx", [])):
        if hasattr(config.option, name):
            setattr(config.option, name, off)
    try:
        status = yield
    except pytest.UsageError as error:
        from pytest_mlgate.keys import EXIT_STATUS  # noqa: PLC0415  (only a run with --mlgate comes here)

        if EXIT_STATUS not in config.stash:
            raise
        sys.stderr.write(f"ERROR: {error}\n")
        return config.stash[EXIT_STATUS]
    # Without this, a conftest that ends the run by pytest.exit(returncode=0) would look like a pass.
    if status == pytest.ExitCode.OK and not _only_tells(config) and not config.option.collectonly:
        gate = config.pluginmanager.get_plugin("mlgate-gate")
        return status if gate is not None and gate.passed else _UNDECIDED
    return status


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; with `--mlgate`, the gate."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption(options.URI) is None:
        _refuse_lonely_options(config)
        return
    if _only_tells(config):
        return
    for name in ("mlgate-gate", "mlgate-fixtures"):
        if config.pluginmanager.is_blocked(name):
            raise pytest.UsageError(f"-p no:{name} takes away what judges. Hint: leave --mlgate out instead")
    from pytest_mlgate.gate import Gate  # noqa: PLC0415  (0.4 s that a run without --mlgate must not pay)

    gate = Gate(config)
    config.pluginmanager.register(gate, "mlgate-gate")


def _only_tells(config: pytest.Config) -> bool:
    return any(getattr(config.option, name, False) for name in _TELLING)


def _refuse_lonely_options(config: pytest.Config) -> None:
    for flag, dest in options.OTHERS.items():
        if config.getoption(dest) not in (None, False, []):
            raise pytest.UsageError(f"{flag} does nothing without --mlgate URI")
