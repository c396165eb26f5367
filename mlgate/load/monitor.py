"""Reads what server and host use while a load runs."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mlgate.load.usage import HostTimes, Reading, UsageSeries, replacements
from mlgate.sandbox.interface import ModelServer

_STAT = Path("/proc/stat")
_T = TypeVar("_T")


class Monitor:
    """A thread that reads the counters of a server and of this host, from the start of a block to its end.

    The host's are those of the machine that the generator runs on, wherever the engine is. What can not be read is left out; nothing is
    ever raised into the block. Its end waits for one reading at most, and one look at the processes.

    Args:
        server: A server that runs.
        every_s: Seconds from one reading to the next; a tenth of a short run. An engine gives one a second at most.
        pinned: Whether server and generator have cores of their own, to be told with the series.
    """

    def __init__(self, server: ModelServer, *, every_s: float = 1.0, pinned: bool = False) -> None:
        self._server = server
        self._every_s = every_s
        self._pinned = pinned
        self._readings: list[Reading] = []
        self._replaced: tuple[str, ...] = ()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="mlgate-load-monitor", daemon=True)

    def __enter__(self) -> Self:
        self._before = _tried(self._server.processes) or {}
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._replaced = replacements(self._before, _tried(self._server.processes) or {})

    def series(self, started_at: float, *, length_s: float | None = None) -> UsageSeries:
        """Return what was read.

        Args:
            started_at: `time.monotonic()` of second 0 of the samples.
            length_s: Readings later than this many seconds after it are left out: the generator still writes its files, and
                the server rests; `None`: all.
        """
        readings = self._readings.copy()
        if length_s is not None:
            readings = [reading for reading in readings if reading.at - started_at <= length_s]
        cpus = self._server.sandbox.cpus
        return UsageSeries.of(readings, started_at=started_at, cpus=cpus, replaced=self._replaced, pinned=self._pinned)

    def _watch(self) -> None:
        due = time.monotonic()
        while True:
            self._read()
            # Asked after the reading: one that began before the end is the last one, and one is made at the end.
            if self._done.is_set():
                return
            due = max(due + self._every_s, time.monotonic())
            self._done.wait(due - time.monotonic())

    def _read(self) -> None:
        server = _tried(self._server.usage)
        host = _tried(_host_times)
        self._readings.append(Reading(at=time.monotonic(), server=server, host=host))


def _host_times() -> HostTimes | None:
    return HostTimes.of(_STAT.read_text(encoding="ascii"), ticks_per_s=os.sysconf("SC_CLK_TCK"))


def _tried(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except Exception:  # noqa: BLE001  (a server that dies under load may answer with anything; the run must go on)
        return None
