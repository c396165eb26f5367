"""The schema and properties suites on the demo's good version, with its policy (500 examples, the default): how long, and on what.

Waiting: some request is under way, on one connection or on eight. Starting: the server is brought up again, which
`properties.deterministic` asks for. Own: the rest, so generating, encoding, reading and judging. Process sandbox, so that the figures are
the suites' own; each run in an interpreter of its own. Goal: waiting and starting are at least half of the time, so that a faster
harness could not make the suites twice as fast.

This file is also the pytest plugin that keeps the time within the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread

SUITES = ("schema", "properties")
GOAL = 0.5
_WRITTEN_TO = "SUITE_SECONDS"
_spans: dict[str, list[tuple[float, float]]] = {"waiting": [], "starting": []}
_calls: list[tuple[str, float, float]] = []


@contextmanager
def timed(spans: list[tuple[float, float]]) -> Iterator[None]:
    """Keep when the block began and ended."""
    began = time.perf_counter()
    try:
        yield
    finally:
        spans.append((began, time.perf_counter()))


def _wrap(owner: object, name: str, kind: str) -> None:
    inner: Callable = getattr(owner, name)

    def outer(*arguments, **more):
        with timed(_spans[kind]):
            return inner(*arguments, **more)

    setattr(owner, name, outer)


def pytest_configure() -> None:
    """Keep the time of what waits for the model, or for its server."""
    from mlgate.sandbox.process import ProcessServer
    from mlgate.scoring.client import ScoringClient
    from mlgate_suites import schema_trial

    _wrap(ScoringClient, "_request", "waiting")
    _wrap(schema_trial, "send", "waiting")
    _wrap(schema_trial, "send_slowly", "waiting")
    _wrap(ProcessServer, "start", "starting")
    _wrap(ProcessServer, "restart", "starting")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    """Keep the time of each check."""
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        mark = item.get_closest_marker("mlgate_check")
        if mark is not None and mark.kwargs["suite"] in SUITES:
            _calls.append((mark.args[0], began, time.perf_counter()))


def pytest_sessionfinish() -> None:
    """Write what was kept."""
    Path(os.environ[_WRITTEN_TO]).write_text(json.dumps({"spans": _spans, "calls": _calls}))


def covered(spans: list, start: float, end: float) -> float:
    """Return the seconds from *start* to *end* in which at least one span runs."""
    total, until = 0.0, start
    for began, ended in sorted(spans):
        total += max(0.0, min(ended, end) - max(began, until))
        until = max(until, min(ended, end))
    return total


def judged(kept: dict) -> dict[str, dict[str, float]]:
    """Return suite to what its seconds went on."""
    found = {suite: dict.fromkeys(("wall", "waiting", "starting", "own"), 0.0) for suite in SUITES}
    for check, start, end in kept["calls"]:
        row = found[check.partition(".")[0]]
        waiting = covered(kept["spans"]["waiting"], start, end)
        both = covered(kept["spans"]["waiting"] + kept["spans"]["starting"], start, end)
        parts = {"wall": end - start, "waiting": waiting, "starting": both - waiting, "own": end - start - both}
        for name, seconds in parts.items():
            row[name] += seconds
    return found


def run(folder: Path, uri: str, environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """Test one version; return suite to its seconds."""
    kept = folder / "kept.json"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "suite_seconds",
        "-p",
        "pytest_mlgate.plugin",
    ]
    command += [f"--mlgate={uri}", "--mlgate-sandbox=process", "--mlgate-no-publish"]
    command += [f"--mlgate-suite={suite}" for suite in SUITES]
    more = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]]),
        _WRITTEN_TO: str(kept),
    }
    done = subprocess.run(command, cwd=folder, env=environment | more, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 20):  # 20: the other suites are missing, as asked
        sys.exit(f"the good version did not pass:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return judged(json.loads(kept.read_text()))


def main() -> int:
    """Measure, print a table, return the exit status."""
    from mlgate.demo.run import mlflow_server, train

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one run instead of five")
    count = 1 if parser.parse_args().quick else 5
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        folder = Path(name)
        with mlflow_server(folder) as uri:
            environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLGATE_CACHE": str(folder / "cache")}
            version = train(folder, "process", environment)["good"]
            runs = [run(folder, f"models:/affairs/{version}", environment) for _ in range(count)]
    print(f"{'suite':12}{'wall s':>24}{'waiting s':>24}{'starting s':>24}{'own s':>24}")
    for suite in SUITES:
        print(
            f"{suite:12}"
            + "".join(f"{spread([r[suite][part] for r in runs], digits=2):>24}" for part in runs[0][suite])
        )
    wall, waiting, starting = (
        statistics.median(sum(each[suite][part] for suite in SUITES) for each in runs)
        for part in ("wall", "waiting", "starting")
    )
    share = (waiting + starting) / wall
    return finish(
        "suite_seconds",
        ratio=share,
        goal=f"at least {GOAL:.0%} of the time is the model's and its server's",
        n=count,
        reached=share >= GOAL,
        wall_s=round(wall, 2),
        waiting_share=round(waiting / wall, 3),
        starting_share=round(starting / wall, 3),
        suites={suite: {part: round(statistics.median(r[suite][part] for r in runs), 2) for part in runs[0][suite]} for suite in SUITES},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
