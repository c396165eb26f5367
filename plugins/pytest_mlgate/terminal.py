"""Lines of progress on the real terminal, while pytest captures what checks print."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest


class Terminal:
    """Where a gate run tells how far it is."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def tell(self, line: str) -> None:
        """Print one line of progress."""
        with self._reporter() as reporter:
            if reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(f"mlgate: {line}")

    def live(self) -> Callable[[str], None] | None:
        """Return what puts a line in place of the one before, and clears it for an empty one; `None` without a terminal."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not reporter.isatty or os.environ.get("TERM") == "dumb":
            return None
        return self._rewrite

    def _rewrite(self, line: str) -> None:
        with self._reporter() as reporter:
            if reporter is None:
                return
            reporter.ensure_newline()
            # One line of the terminal: a longer one wraps, and only its end would be rewritten.
            reporter.rewrite(line[: shutil.get_terminal_size().columns - 1], erase=True)
            if not line:
                reporter.write("\r")
            reporter.flush()

    @contextmanager
    def _reporter(self) -> Iterator[Any]:
        """Yield pytest's reporter with its capture off: from inside a check, a line would go to the captured output."""
        plugins = self._config.pluginmanager
        capture = plugins.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            yield plugins.get_plugin("terminalreporter")
