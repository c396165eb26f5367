"""What server and host used while a load ran, one row a reading. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mlgate.sandbox.interface import Usage

# `/proc/stat` (proc(5)): user nice system idle iowait irq softirq steal; guest time, after them, is in user and nice already.
_TIMES = 8
_IDLE = slice(3, 5)
# The interpreter and its flags make a command line as long as a sentence.
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTimes:
    """CPU seconds of a host since its boot.

    Attributes:
        busy_s: Of all cores, neither idle nor waiting for a disk; what a hypervisor took away is busy.
        total_s: Of all cores, idle or not.
        cores: How many.
    """

    busy_s: float
    total_s: float
    cores: int

    @classmethod
    def of(cls, stat: str, *, ticks_per_s: int) -> Self | None:
        """Read the text of `/proc/stat`; `None` where it holds no counters."""
        lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
        if not lines or len(lines[0]) <= _IDLE.stop:
            return None
        times = [int(word) / ticks_per_s for word in lines[0][1 : _TIMES + 1]]
        return cls(busy_s=sum(times) - sum(times[_IDLE]), total_s=sum(times), cores=len(lines) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All counters at one moment.

    Attributes:
        at: `time.monotonic()`.
        server: The server's; `None`: not read.
        host: The host's; `None`: not read.
    """

    at: float
    server: Usage | None = None
    host: HostTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UsageSeries:
    """Counters of server and host during a run. Columns have shape (m,), one row a reading; NaN: not read.

    Shares are in cores: 1.0 is one core, busy. They are taken over the run, from second 0 on, and `None` where that holds fewer than two
    readings. A server that is restarted counts from zero again: the time between two readings over which one of its counters fell is left out.

    The host is the one that the generator runs on. A server behind an engine elsewhere uses none of these cores: what
    `other_share` says then is too low, by as much as the server used where it is.

    Attributes:
        at_s: Seconds since second 0 of the samples; negative before.
        memory: Bytes that the server held: anonymous memory and tmpfs.
        server_cpu_s: CPU seconds of the server, counted up.
        throttled_s: Seconds that its CPU limit made it wait, counted up.
        host_busy_s: CPU seconds of all cores that were not idle, counted up.
        host_total_s: CPU seconds of all cores, counted up.
        cores: Cores of the host; 0 where nobody could look.
        cpus: The server's CPU limit, in cores.
        replaced: Processes that died and came again, in words.
        pinned: Whether server and generator had cores of their own.
    """

    at_s: NDArray[np.float64]
    memory: NDArray[np.float64]
    server_cpu_s: NDArray[np.float64]
    throttled_s: NDArray[np.float64]
    host_busy_s: NDArray[np.float64]
    host_total_s: NDArray[np.float64]
    cores: int
    cpus: float
    replaced: tuple[str, ...] = ()
    pinned: bool = False

    @classmethod
    def of(
        cls,
        readings: Sequence[Reading],
        *,
        started_at: float,
        cpus: float,
        replaced: tuple[str, ...] = (),
        pinned: bool = False,
    ) -> Self:
        """Return *readings* as columns.

        Args:
            readings: In order of time.
            started_at: `time.monotonic()` of second 0.
            cpus: The server's CPU limit, in cores.
            replaced: Processes that died and came again, in words.
            pinned: Whether server and generator had cores of their own.
        """
        rows = np.full((6, len(readings)), np.nan)
        for column, reading in enumerate(readings):
            rows[0, column] = reading.at - started_at
            if reading.server is not None:
                memory = reading.server.memory
                rows[1, column] = np.nan if memory is None else memory
                rows[2:4, column] = reading.server.cpu_s, reading.server.throttled_s
            if reading.host is not None:
                rows[4:6, column] = reading.host.busy_s, reading.host.total_s
        return cls(
            at_s=rows[0],
            memory=rows[1],
            server_cpu_s=rows[2],
            throttled_s=rows[3],
            host_busy_s=rows[4],
            host_total_s=rows[5],
            cores=max((reading.host.cores for reading in readings if reading.host is not None), default=0),
            cpus=cpus,
            replaced=replaced,
            pinned=pinned,
        )

    def __len__(self) -> int:
        return len(self.at_s)

    @property
    def memory_growth_inputs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and bytes of the readings of the run that saw the server's memory."""
        known = (self.at_s >= 0) & np.isfinite(self.memory)
        return self.at_s[known], self.memory[known]

    def server_share(self) -> float | None:
        """Return the cores' worth of CPU that the server used."""
        grown = self._grown(self.server_cpu_s)
        return None if grown is None else grown[1] / grown[0]

    def throttled_share(self) -> float | None:
        """Return for how much of the time its CPU limit made the server wait; over 1.0 where it waited on several cores at once."""
        grown = self._grown(self.throttled_s)
        return None if grown is None else grown[1] / grown[0]

    def idle_share(self) -> float | None:
        """Return the cores' worth of CPU of the host that nobody used."""
        grown = self._grown(self.host_busy_s, self.host_total_s)
        if grown is None or grown[2] <= 0:
            return None
        return max(0.0, self.cores * (1 - grown[1] / grown[2]))

    def other_share(self, generator_share: float) -> float | None:
        """Return the cores' worth of CPU of the host that neither server nor generator used.

        Args:
            generator_share: CPU of the generator, in cores.
        """
        grown = self._grown(self.host_busy_s, self.host_total_s, self.server_cpu_s)
        if grown is None or grown[2] <= 0:
            return None
        seconds, busy_s, total_s, server_s = grown
        return max(0.0, self.cores * busy_s / total_s - server_s / seconds - generator_share)

    def _grown(self, *counters: NDArray[np.float64]) -> tuple[float, ...] | None:
        """Return by how much the clock and *counters* grew during the run, where all were read and none fell."""
        columns = np.stack((self.at_s, *counters))
        known = (self.at_s >= 0) & np.isfinite(columns).all(axis=0)
        steps = np.diff(columns[:, known], axis=1)
        grown = steps[:, (steps >= 0).all(axis=0)].sum(axis=1)
        return tuple(grown.tolist()) if grown[0] > 0 else None


def replacements(before: Mapping[int, str], after: Mapping[int, str]) -> tuple[str, ...]:
    """Return, in words, which processes went and came again: another pid with the same command line.

    Args:
        before: Pid to command line at the start, the main process first.
        after: The same at the end; empty where nobody could look.
    """
    main = next(iter(before), None)
    fresh = {pid: command for pid, command in after.items() if pid not in before}
    words = []
    for pid, command in before.items():
        successor = next((new for new, same in fresh.items() if same == command), None)
        if pid in after or successor is None:
            continue
        del fresh[successor]
        role = "main process" if pid == main else "worker"
        words.append(f"{role} '{_short(command)}' (pid {pid}) was replaced by pid {successor}")
    return tuple(words)


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
