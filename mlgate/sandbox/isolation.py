"""What a hardened container on this engine really gets. Looked at from inside: an engine may take an option and ignore it."""

import json
from dataclasses import dataclass
from typing import Any

from mlgate.errors import EngineError
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import hardened, remove, run
from mlgate.sandbox.session import SessionTag

TIMEOUT_S = 30
# Numbers that no engine would choose by itself.
MEMORY = 97 * 2**20
PIDS = 37
CPUS = 0.73
_UNCONFINED = {"", "unconfined", "kernel"}
_LOOK = """
import json, os
def read(*paths):
    for path in paths:
        try:
            with open(path) as file:
                return file.read().replace(chr(0), "").strip()
        except OSError:
            pass
    return ""
status = dict(line.split(":", 1) for line in read("/proc/self/status").splitlines())
quota = read("/sys/fs/cgroup/cpu.max") or " ".join(
    read(*("/sys/fs/cgroup/%s/cpu.cfs_%s_us" % (name, what) for name in ("cpu", "cpu,cpuacct"))) for what in ("quota", "period")
)
try:
    open("/probe", "w").close()
    writable = True
except OSError:
    writable = False
print(json.dumps({
    "memory": read("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "pids": read("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
    "cpu": quota,
    "seccomp": status.get("Seccomp", "").strip(),
    "no_new_privs": status.get("NoNewPrivs", "").strip(),
    "capabilities": status.get("CapBnd", "").strip(),
    "label": read("/proc/self/attr/apparmor/current", "/proc/self/attr/current"),
    "uid_map": read("/proc/self/uid_map").split(),
    "uid": os.getuid(),
    # Some kernels give every network namespace tunnels of their own, which are down.
    "interfaces": [name for name in sorted(os.listdir("/sys/class/net")) if read("/sys/class/net/%s/operstate" % name) != "down"],
    "writable": writable,
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """What holds in a container that was started as a server's is.

    Attributes:
        memory: The memory limit is in force.
        pids: The limit of processes is.
        cpu: The CPU quota is.
        seccomp: A system call filter is.
        no_new_privileges: A setuid program gives no rights.
        no_capabilities: There is none, and none can be got.
        read_only: The root file system can not be written.
        no_network: There is no interface but loopback.
        user: Numeric user.
        label: AppArmor profile or SELinux label; empty where neither confines it.
        user_namespace: Its user ids are not the machine's.
    """

    memory: bool
    pids: bool
    cpu: bool
    seccomp: bool
    no_new_privileges: bool
    no_capabilities: bool
    read_only: bool
    no_network: bool
    user: int
    label: str
    user_namespace: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """What a sandbox needs and this engine does not give."""
        needed = ("memory", "pids", "cpu", "seccomp", "no_new_privileges", "no_capabilities", "read_only", "no_network")
        return tuple(name.replace("_", " ") for name in needed if not getattr(self, name))


def look(engine: Engine, image: str, session: SessionTag, *, python: str = "python3") -> Isolation:
    """Start a container as a server's is started, and read what it got.

    Args:
        engine: Where.
        image: Image with a Python.
        session: Labels of the container.
        python: The interpreter in *image*.

    Raises:
        EngineError: It can not be started, or says nothing.
    """
    options = {
        **hardened(session, "probe", memory=MEMORY, pids=PIDS),
        "entrypoint": [python, "-I", "-S", "-c", _LOOK],
        "command": [],
        "network": "none",
        "nano_cpus": int(CPUS * 1e9),
    }
    with engine_errors("the isolation can not be looked at"):
        container = run(engine, image, options)
        try:
            container.wait(timeout=TIMEOUT_S)
            said = container.logs(stderr=False).decode(errors="replace").strip()
        finally:
            remove(container)
    try:
        return read(json.loads(said.splitlines()[-1]))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise EngineError(f"the probe for isolation said {said[-200:]!r}") from error


def read(said: dict[str, Any]) -> Isolation:
    """Return what the probe's words mean."""
    quota, _, period = str(said["cpu"]).partition(" ")
    numbers = quota.lstrip("-").isdigit() and period.isdigit()
    inside, outside = said["uid_map"][:2]
    label = str(said["label"]).strip()
    return Isolation(
        memory=said["memory"] == str(MEMORY),
        pids=said["pids"] == str(PIDS),
        cpu=numbers and abs(int(quota) / int(period) - CPUS) < 0.01,
        seccomp=said["seccomp"] == "2",
        no_new_privileges=said["no_new_privs"] == "1",
        no_capabilities=set(said["capabilities"]) == {"0"},
        read_only=not said["writable"],
        no_network=set(said["interfaces"]) <= {"lo"},
        user=int(said["uid"]),
        label="" if label in _UNCONFINED else label,
        user_namespace=inside != outside,
    )
