"""The memory counters of a container, read inside it: the host's /sys may belong to another machine than the engine."""

import re
from contextlib import suppress

import docker.errors
from docker.models.containers import Container

# cgroup v1 and v2, as seen from inside the container.
_OOM_FILES = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")
_PEAK_FILES = ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak")


def oom_kills(container: Container) -> int:
    """Return how many of its processes the kernel killed for memory: Docker's own flag misses a worker's death."""
    match = re.search(r"^oom_kill (\d+)$", _read_first(container, _OOM_FILES) or "", re.MULTILINE)
    return int(match.group(1)) if match else 0


def peak_memory(container: Container) -> int | None:
    """Return the most bytes its cgroup ever held, page cache included; `None` where no counter can be read."""
    text = (_read_first(container, _PEAK_FILES) or "").strip()
    return int(text) if text.isdigit() else None


def _read_first(container: Container, paths: tuple[str, ...]) -> str | None:
    script = "; ".join(f"if [ -f {path} ]; then exec cat {path}; fi" for path in paths)
    # Gone, or without a shell: there is nothing to be read.
    with suppress(docker.errors.DockerException, OSError):
        code, output = container.exec_run(["sh", "-c", script])
        if code == 0 and isinstance(output, bytes):
            return output.decode(errors="replace")
    return None
