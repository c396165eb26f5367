"""Who owns what is on the engine: the labels that the watchdog and the sweep go by. Pure, but for `/proc`."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SESSION_LABEL = "mlgate.session"
OWNER_LABEL = "mlgate.owner"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


def is_dead(owner: str) -> bool:
    """Return whether the process that *owner* names is certainly gone.

    A process in another pid namespace of this same boot can not be looked at, so it counts as alive: jobs of one CI
    runner share an engine, and must not remove each other's containers.
    """
    pid, _, rest = owner.partition(":")
    _, _, rest = rest.partition(":")
    boot, _, namespace = rest.partition(":")
    if not (pid.isdigit() and boot and namespace):
        return False
    if boot != _BOOT_ID.read_text(encoding="ascii").strip():
        return True
    if namespace != _namespace():
        return False
    try:
        return owner_of(int(pid)) != owner
    except OSError:
        return True


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
