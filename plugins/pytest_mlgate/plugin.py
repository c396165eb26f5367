"""Hooks. Without `--mlgate` they cost a dictionary look-up; everything heavy is imported behind it."""

from collections.abc import Iterator
from typing import Any

import pytest

from pytest_mlgate import options

MARKER = (
    "mlgate_check(id, suite=...): the test is an acceptance check of a model version; it records with mlgate_record"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[Any]:
    """Keep the run in one process, before xdist reads its options: latency beside another worker is worthless."""
    if config.getoption(options.URI):
        for name, off in (("numprocesses", None), ("dist", "no"), ("tx", [])):
            if hasattr(config.option, name):
                setattr(config.option, name, off)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; with `--mlgate`, the gate."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption(options.URI) is None:
        _refuse_lonely_options(config)
        return
    from pytest_mlgate.gate import Gate  # noqa: PLC0415  (0.4 s that a run without --mlgate must not pay)

    gate = Gate(config)
    config.pluginmanager.register(gate, "mlgate-gate")


def _refuse_lonely_options(config: pytest.Config) -> None:
    for name in (options.POLICY, options.CHAMPION, options.IMAGE, options.OUTPUT, options.SEED):
        if config.getoption(name) is not None:
            flag = "--" + name.removesuffix("_file").replace("_", "-")
            raise pytest.UsageError(f"{flag} does nothing without --mlgate URI")
