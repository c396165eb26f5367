"""What the server's imports cost, by package."""

import sys
import threading
from time import perf_counter
from typing import Any

_OWN = __name__.partition(".")[0]
_STDLIB: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())
# The file name of Python's own import code. Python drops frames of that name from the traceback of an import that fails;
# with it, ours are dropped too, and a model's error reads as it does anywhere.
_HIDDEN = "<frozen importlib._bootstrap>"


class ImportClock:
    """Attributes the seconds that imports take to the outermost third-party package, and within it to each package.

    The standard library counts as part of who imports it. One call per module that is loaded, none for an import that
    finds its module loaded: about 2 ms for the 2 900 modules of a scikit-learn model. Imports of other threads are not
    counted.

    Attributes:
        seconds: Outermost package to package to the seconds of its own modules.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, dict[str, float]] = {}
        self._open: list[str] = []
        self._mark = 0.0
        self._restore: Any = None

    def start(self) -> None:
        """Begin to count. Where Python has no such place to count at, nothing is counted."""
        bootstrap: Any = sys.modules.get("_frozen_importlib")
        load = getattr(bootstrap, "_load_unlocked", None)
        if load is None:
            return
        thread, is_open = threading.get_ident(), self._open

        def timed(spec: Any) -> Any:
            package = spec.name.partition(".")[0]
            if package == _OWN or threading.get_ident() != thread:
                return load(spec)
            if package in _STDLIB:
                package = "python"
            if is_open and package in (is_open[-1], "python"):
                return load(spec)
            self._charge()
            is_open.append(package)
            try:
                return load(spec)
            finally:
                self._charge()
                is_open.pop()

        timed.__code__ = timed.__code__.replace(co_filename=_HIDDEN)
        bootstrap._load_unlocked = timed  # noqa: SLF001  (the one place that every import passes; put back by `stop`)
        self._restore = lambda: setattr(bootstrap, "_load_unlocked", load)

    def stop(self) -> None:
        """Count no more. May be called twice."""
        if self._restore is not None:
            self._restore()
            self._restore = None

    def take(self) -> dict[str, dict[str, float]]:
        """Return what was counted since the last call, without what took less than 2 ms."""
        taken, self.seconds = self.seconds, {}
        told = {
            outermost: {name: round(seconds, 4) for name, seconds in parts.items() if seconds >= 0.002}
            for outermost, parts in taken.items()
        }
        return {outermost: parts for outermost, parts in told.items() if parts}

    def _charge(self) -> None:
        now = perf_counter()
        if self._open:
            parts = self.seconds.setdefault(self._open[0], {})
            parts[self._open[-1]] = parts.get(self._open[-1], 0.0) + now - self._mark
        self._mark = now
