"""The counters and cores of a container: the host's /sys may belong to another machine than the engine.

What the engine itself counts is asked of it; what it does not (the peak, kills, forks) is read inside the container, which needs a
shell there and costs the model's own CPU.
"""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container

from mlgate.sandbox.interface import MemoryUse, Usage

# cgroup v1 and v2, as seen from inside the container.
_OOM_FILES = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")
_REFUSED_FORKS_FILES = ("/sys/fs/cgroup/pids/pids.events", "/sys/fs/cgroup/pids.events")
_MEMORY_FILES = (
    ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat"),
    ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory.stat"),
)
_KINDS = ("anon", "file", "shmem")
# Of this host; "0-3,8" (Documentation/admin-guide/cputopology.rst).
_ONLINE = Path("/sys/devices/system/cpu/online")


def oom_kills(container: Container) -> int:
    """Return how many of its processes the kernel killed for memory: Docker's own flag misses a worker's death."""
    return count_of("oom_kill", _read_first(container, _OOM_FILES) or "")


def refused_forks(container: Container) -> int:
    """Return how many processes and threads it could not create for the limit on them."""
    return count_of("max", _read_first(container, _REFUSED_FORKS_FILES) or "")


def tmp_free(container: Container) -> int | None:
    """Return the bytes free in its `/tmp`; `None` where nobody could look."""
    said = _run(container, "stat -f -c '%a %S' /tmp") or ""
    match = re.fullmatch(r"(\d+) (\d+)\s*", said)
    return int(match.group(1)) * int(match.group(2)) if match else None


def count_of(key: str, text: str) -> int:
    """Return the number of *key* in a flat-keyed file of cgroup v1 or v2; 0 where it is not told."""
    match = re.search(rf"^{re.escape(key)} (\d+)$", text, re.MULTILINE)
    return int(match.group(1)) if match else 0


def memory(container: Container) -> MemoryUse | None:
    """Return the most memory its cgroup ever held, and what it holds now; `None` where no counter can be read."""
    script = "; ".join(f"if [ -f {peak} ]; then cat {peak}; exec cat {stat}; fi" for peak, stat in _MEMORY_FILES)
    return memory_of(_run(container, script) or "")


def memory_of(text: str) -> MemoryUse | None:
    """Read a cgroup's peak, on the first line, and its `memory.stat`, after it; of cgroup v1 or v2.

    A peak of all-time is in the kernel from cgroup v1 on, and in v2 since Linux 5.19 (`memory.peak`).
    """
    first, _, stat = text.partition("\n")
    if not first.strip().isdigit():
        return None
    version = "v1" if re.search(r"^rss \d", stat, re.MULTILINE) else "v2"
    kinds = {"anon": "rss", "file": "cache", "shmem": "shmem"} if version == "v1" else dict.fromkeys(_KINDS)
    return MemoryUse(
        peak=int(first),
        now={kind: count_of(name or kind, stat) for kind, name in kinds.items()} if stat.strip() else {},
        counted=f"every process of the container, the page cache that it was the first to use, and tmpfs (cgroup {version})",
    )


def peak_memory(container: Container) -> int | None:
    """Return the most bytes its cgroup ever held, page cache included; `None` where no counter can be read."""
    found = memory(container)
    return None if found is None else found.peak


def usage(container: Container) -> Usage | None:
    """Ask the engine once for what it counts; `None` where it does not answer or the container does not run.

    An engine's collector sleeps a second between two collections (moby, daemon/stats/collector.go): who asks meanwhile waits for
    the next one. Some versions sleep only after they were asked; a question a second after the last one then takes 5 ms.
    """
    with suppress(docker.errors.DockerException, OSError):
        # Without `one_shot` the engine waits for a second collection.
        told: Any = container.stats(stream=False, one_shot=True)
        return usage_of(told)
    return None


def usage_of(told: Mapping[str, Any]) -> Usage | None:
    """Read the answer of `GET /containers/{id}/stats`, with cgroup v1 or v2; `None` for one that does not run."""
    cpu = told.get("cpu_stats") or {}
    cpu_ns = (cpu.get("cpu_usage") or {}).get("total_usage") or 0
    processes = (told.get("pids_stats") or {}).get("current") or 0
    if not cpu_ns or not processes:
        return None
    throttling = cpu.get("throttling_data") or {}
    throttled_s = throttling.get("throttled_time", 0) / 1e9 or throttling.get("throttled_usec", 0) / 1e6
    memory = _held((told.get("memory_stats") or {}).get("stats") or {})
    return Usage(memory=memory, cpu_s=cpu_ns / 1e9, throttled_s=throttled_s, processes=processes)


def processes(container: Container) -> dict[int, str]:
    """Return pid to command line, the main process first; empty where the engine can not look."""
    with suppress(docker.errors.DockerException, OSError):
        return processes_of(container.top(), main=int((container.attrs.get("State") or {}).get("Pid") or 0))
    return {}


def processes_of(told: Mapping[str, Any], *, main: int) -> dict[int, str]:
    """Read the answer of `GET /containers/{id}/top`: columns as `ps -ef` titles them, the command in the last one."""
    titles = told.get("Titles") or []
    if "PID" not in titles:
        return {}
    column = titles.index("PID")
    found = {int(row[column]): str(row[-1]) for row in told.get("Processes") or [] if row[column].isdigit()}
    return dict(sorted(found.items(), key=lambda item: (item[0] != main, item[0])))


def run_on(container: Container, cores: Collection[int]) -> bool:
    """Have its processes run on *cores* only; return whether the engine did it."""
    with suppress(docker.errors.DockerException, OSError):
        container.update(cpuset_cpus=cpuset(cores))
        return True
    return False


def cpuset(cores: Collection[int]) -> str:
    """Return *cores* as the kernel lists them: `0,2,3`."""
    return ",".join(str(core) for core in sorted(cores))


def online_cores() -> frozenset[int]:
    """Return the cores of this host that a container has by default; empty where the kernel does not tell."""
    try:
        return cores_of(_ONLINE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset()


def cores_of(listed: str) -> frozenset[int]:
    """Read a list of cores, `0-3,8`."""
    ends = [part.partition("-") for part in listed.strip().split(",") if part]
    return frozenset(core for first, _, last in ends for core in range(int(first), int(last or first) + 1))


def _held(stat: Mapping[str, int]) -> int | None:
    """Return anonymous memory and tmpfs; `None` where the engine gives no kinds of memory."""
    if "anon" in stat:
        return stat["anon"] + stat.get("shmem", 0)
    if "total_rss" not in stat:
        return None
    if "total_shmem" in stat:
        return stat["total_rss"] + stat["total_shmem"]
    # Of cgroup v1 the engine leaves shmem out. Its pages are cache, but on the lists of anonymous pages
    # (Documentation/admin-guide/cgroup-v1/memory.rst, 5.2): what of the cache is on no list of file pages.
    files = stat.get("total_active_file", 0) + stat.get("total_inactive_file", 0)
    return stat["total_rss"] + max(0, stat.get("total_cache", 0) - files)


def _read_first(container: Container, paths: tuple[str, ...]) -> str | None:
    return _run(container, "; ".join(f"if [ -f {path} ]; then exec cat {path}; fi" for path in paths))


def _run(container: Container, script: str) -> str | None:
    # Gone, or without a shell: there is nothing to be read.
    with suppress(docker.errors.DockerException, OSError):
        code, output = container.exec_run(["sh", "-c", script])
        if code == 0 and isinstance(output, bytes):
            return output.decode(errors="replace")
    return None
