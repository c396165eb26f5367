"""Who owns what is on the engine: the labels that the watchdog and the sweep go by. Pure, but for `/proc`."""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SESSION_LABEL = "mlgate.session"
OWNER_LABEL = "mlgate.owner"
# No run takes a day; what is older was left by an owner that nobody can look at any more.
MAX_RUN_S = 24 * 3600.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UPTIME = Path("/proc/uptime")
# The clock may have been set since.
_CLOCK_SLACK_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTag:
    """One run.

    Attributes:
        id: Random, 16 hex digits.
        owner: `<pid>:<start of that process in clock ticks>:<boot id>:<pid namespace>`: a pid alone is soon somebody
            else's, and means another process in the next CI job's container.
    """

    id: str
    owner: str

    @classmethod
    def new(cls) -> Self:
        """Return a tag for a run of this process."""
        return cls(id=secrets.token_hex(8), owner=owner_of(os.getpid()))

    def labels(self) -> dict[str, str]:
        """Return the labels for everything that must not outlive the run."""
        return {SESSION_LABEL: self.id, OWNER_LABEL: self.owner}


def owner_of(pid: int) -> str:
    """Return the owner text of a running process.

    Raises:
        OSError: There is no such process.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    start = stat.rpartition(")")[2].split()[19]  # field 22 of proc(5), counted after the command's name
    return f"{pid}:{start}:{_BOOT_ID.read_text(encoding='ascii').strip()}:{_namespace()}"


def is_dead(owner: str, *, made_at: float | None = None, now: float | None = None, same_kernel: bool = False) -> bool:
    """Return whether the process that *owner* names is certainly gone.

    A process in another pid namespace can not be looked at, and one of another boot may run on another machine that uses
    the same engine: both count as alive, because runs that share an engine must not remove each other's containers, until
    what they made is older than any run.

    Args:
        owner: As `SessionTag.owner`.
        made_at: When the owner made the thing that is to be removed, unix seconds.
        now: The time on the same clock; default: this machine's.
        same_kernel: The thing lies on this very machine, so that another boot's owner can only be one of before.
    """
    pid, _, rest = owner.partition(":")
    _, _, rest = rest.partition(":")
    boot, _, namespace = rest.partition(":")
    if not (pid.isdigit() and boot and namespace):
        return False
    here = boot == _BOOT_ID.read_text(encoding="ascii").strip()
    if here and namespace == _namespace():
        try:
            return owner_of(int(pid)) != owner
        except OSError:
            return True
    if made_at is None:
        return False
    if not here and same_kernel and made_at < _booted_at() - _CLOCK_SLACK_S:
        return True
    return (time.time() if now is None else now) - made_at > MAX_RUN_S


def _booted_at() -> float:
    return time.time() - float(_UPTIME.read_text(encoding="ascii").split()[0])


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
