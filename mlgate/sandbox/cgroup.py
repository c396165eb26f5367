"""The memory counters of a container, read inside it: the host's /sys may belong to another machine than the engine."""

import re
from contextlib import suppress

import docker.errors
from docker.models.containers import Container

from mlgate.sandbox.interface import MemoryUse

# cgroup v1 and v2, as seen from inside the container.
_OOM_FILES = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")
_REFUSED_FORKS_FILES = ("/sys/fs/cgroup/pids/pids.events", "/sys/fs/cgroup/pids.events")
_MEMORY_FILES = (
    ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat"),
    ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory.stat"),
)
_KINDS = ("anon", "file", "shmem")


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


def _read_first(container: Container, paths: tuple[str, ...]) -> str | None:
    return _run(container, "; ".join(f"if [ -f {path} ]; then exec cat {path}; fi" for path in paths))


def _run(container: Container, script: str) -> str | None:
    # Gone, or without a shell: there is nothing to be read.
    with suppress(docker.errors.DockerException, OSError):
        code, output = container.exec_run(["sh", "-c", script])
        if code == 0 and isinstance(output, bytes):
            return output.decode(errors="replace")
    return None
