"""Which cores the load generator and the server run on, so that neither waits for the other. Pure."""

import math
from collections.abc import Collection
from dataclasses import dataclass

# One for the generator and one for the server.
MIN_CORES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Who runs where.

    Attributes:
        generator: Cores of the generator; `None`: any.
        server: Cores of the server; `None`: any.
        reason: Why nobody is pinned; empty where both are.
    """

    generator: tuple[int, ...] | None = None
    server: tuple[int, ...] | None = None
    reason: str = ""

    @property
    def pinned(self) -> bool:
        """Whether both have cores of their own."""
        return self.generator is not None


def place(available: Collection[int], *, workers: int, server_cpus: float) -> Placement:
    """Give each worker of the generator a core, and the server all the others where they are enough for its limit.

    Two cores that are threads of one physical core still share its units; that is not looked at.

    Args:
        available: Cores that this process may use: `os.sched_getaffinity(0)`.
        workers: Processes of the generator; each keeps one core busy at most.
        server_cpus: CPU limit of the server, in cores.

    Returns:
        The first *workers* cores for the generator; or nobody pinned, and why.
    """
    cores = sorted(available)
    if len(cores) < MIN_CORES or workers + math.ceil(server_cpus) > len(cores):
        return Placement(reason=_too_few(len(cores), workers, server_cpus))
    return Placement(generator=tuple(cores[:workers]), server=tuple(cores[workers:]))


def _too_few(cores: int, workers: int, server_cpus: float) -> str:
    generator = "a generator" if workers == 1 else f"a generator of {workers} processes"
    return f"{_counted(cores, 'core')} for a server of {_counted(server_cpus, 'CPU')} and {generator}: not pinned"


def _counted(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number == 1 else 's'}"
