"""What every benchmark prints: the machine, and one JSON line at the end."""

import json
import os
import platform
from pathlib import Path
from statistics import median


def machine() -> dict[str, str | int]:
    """Return what the numbers depend on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 0,
        "load_average": round(os.getloadavg()[0], 2),
    }


def spread(values: list[float], scale: float = 1.0, digits: int = 1) -> str:
    """Return median, and least and most, for a table."""
    return f"{median(values) * scale:.{digits}f} ({min(values) * scale:.{digits}f} to {max(values) * scale:.{digits}f})"


def finish(name: str, *, ratio: float, goal: str, n: int, reached: bool, **more: object) -> int:
    """Print the JSON line and return the exit status: 1 where the goal is missed."""
    line = {
        "benchmark": name,
        "ratio": round(ratio, 4),
        "goal": goal,
        "reached": reached,
        "n": n,
        **more,
        "machine": machine(),
    }
    print(json.dumps(line))
    return 0 if reached else 1
