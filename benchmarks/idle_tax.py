"""What mlgate costs those who do not use it: pytest with the idle plugin against without; `mlgate --help`.

Interleaved in one run. Goals: the plugin at most 10 ms and 3 %; the help at most 150 ms more than `python -c pass`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread


def seconds(command: list[str], folder: str) -> float:
    """Run a command and return how long it took; it must succeed."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTEST_ADDOPTS": ""})
    return time.perf_counter() - began


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="7 runs instead of 20")
    runs = 7 if parser.parse_args().quick else 20
    python = sys.executable
    # Other plugins of this environment are there in both; a locust that is installed would add its own noise.
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:locust", "test_empty.py"]
    commands = {
        "pytest, without": [*pytest, "-p", "no:pytest_mlgate.plugin"],
        "pytest, idle plugin": pytest,
        "python -c pass": [python, "-c", "pass"],
        "mlgate --help": [python, "-m", "mlgate", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("def test_empty():\n    pass\n")
        for command in commands.values():
            seconds(command, folder)  # bytecode and page cache
        for _ in range(runs):
            for name, command in commands.items():
                times[name].append(seconds(command, folder))
    print(f"{'command':24}{'ms: median (least to most)':>32}")
    for name, found in times.items():
        print(f"{name:24}{spread(found, 1000):>32}")
    # Pairs of one round share the machine's mood, so their differences are what the plugin costs.
    tax = median(a - b for a, b in zip(times["pytest, idle plugin"], times["pytest, without"], strict=True))
    ratio = 1 + tax / median(times["pytest, without"])
    help_ms = 1000 * median(a - b for a, b in zip(times["mlgate --help"], times["python -c pass"], strict=True))
    print(f"idle plugin: {tax * 1000:+.1f} ms, {100 * (ratio - 1):+.1f} %; mlgate --help: {help_ms:+.0f} ms")
    reached = tax <= 0.010 and ratio <= 1.03 and help_ms <= 150
    goal = "plugin at most 10 ms and 3 %, help at most 150 ms"
    return finish("idle_tax", ratio=ratio, goal=goal, n=runs, reached=reached, idle_ms=round(tax * 1000, 2), help_ms=round(help_ms, 1))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
