"""Which limit of the sandbox a model ran into, in words: a person reads "256 processes", not "Errno 11". Pure.

Memory is not among them: going over it kills, and a death is named by `mlgate.sandbox.readiness`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlgate.quantities import format_number, format_size
from mlgate.sandbox.interface import ServerLimits

# What the C library, Python and the JVM say. A model may say the same without having met the limit, and then the words
# mislead about the model, never about the verdict.
_NO_PROCESS = re.compile(
    r"\[Errno 11\]|Resource temporarily unavailable|can't start new thread|unable to create.*thread"
)
_NO_SPACE = re.compile(r"\[Errno 28\]|No space left on device")
_NO_NETWORK = re.compile(
    r"Network is unreachable|\[Errno 101\]|Temporary failure in name resolution|Name or service not known|getaddrinfo failed"
    r"|Failed to resolve|NameResolutionError"
)
_READ_ONLY = re.compile(r"\[Errno 30\]|Read-only file system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the kernel counted in the server's container since it started.

    Attributes:
        refused_forks: Processes and threads that were not created.
        tmp_free: Bytes free in `/tmp`; `None` where nobody could look.
    """

    refused_forks: int = 0
    tmp_free: int | None = None


def limits_met(said: str, *, limits: ServerLimits, counted: Counters, network: bool = False) -> tuple[str, ...]:
    """Name the limits that were met, the most telling first.

    Args:
        said: The server's answer or last lines.
        limits: What it may use.
        counted: What the kernel knows.
        network: The sandbox has one.
    """
    return tuple(_met(said, limits, counted, network=network))


def _met(said: str, limits: ServerLimits, counted: Counters, *, network: bool) -> Iterator[str]:
    if counted.refused_forks or _NO_PROCESS.search(said):
        yield f"no more processes or threads could be created (limit {format_number(limits.pids)})"
    if counted.tmp_free == 0 or _NO_SPACE.search(said):
        yield f"/tmp is full ({format_size(limits.tmp_size)})"  # noqa: S108  (inside the sandbox)
    if not network and _NO_NETWORK.search(said):
        yield "the sandbox has no network"
    if _READ_ONLY.search(said):
        yield "only /tmp can be written"
