"""What a killed gate run leaves behind: `pytest --mlgate DIR` gets SIGKILL at random moments of its life.

Looked for: containers, networks and volumes of the run, temporary files, and processes. The time to clean is from the kill
to the last moment when anything of that was there. Goals: nothing is left, and the median time is at most 1 s.
The moments are drawn once from each of as many equal parts of a whole run, so that every phase is met.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread

from mlgate.sandbox.engine import Engine, connect
from mlgate.sandbox.session import OWNER_LABEL

SEED = 1
GOAL_S = 1.0
# After this what is still there counts as left.
PATIENCE_S = 60.0
POLL_S = 0.02
PHASES = ("set-up", "start", "suites", "load")
PINNED = ("mlflow", "scikit-learn", "numpy", "pandas", "skops")
POLICY = """
requires: [schema, properties, load]
properties: {examples: 60}
load: {rate: 20/s, duration: 4s, p95: 5s, error_rate: 5%}
"""
SOURCE = """
class Model:
    def predict(self, rows):
        return [1.0] * len(rows)
def _load_pyfunc(path):
    return Model()
"""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One killed run: when in its life, what it was doing, how long cleaning took, and what was left at last."""

    at_s: float
    phase: str
    clean_s: float
    left: tuple[str, ...]


def write_model(folder: Path) -> Path:
    """Write a model directory by hand: nothing has to be trained."""
    number = {"type": "double", "required": True}
    signature = {"inputs": json.dumps([{**number, "name": "x"}]), "outputs": json.dumps([number])}
    flavor = {"loader_module": "benchmark_model", "code": "code"}
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "benchmark_model.py").write_text(SOURCE)
    # JSON is YAML.
    (folder / "MLmodel").write_text(json.dumps({"flavors": {"python_function": flavor}, "signature": signature}))
    (folder / "requirements.txt").write_text("\n".join(f"{name}=={version(name)}" for name in PINNED))
    example = {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}
    (folder / "serving_input_example.json").write_text(json.dumps(example))
    return folder


class Desk:
    """A working directory, a cache and a temporary directory for runs that will be killed."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.engine = engine
        self.model = write_model(folder / "model")
        self.work, self.tmp, self.cache = folder / "work", folder / "tmp", folder / "cache"
        for made in (self.work, self.tmp):
            made.mkdir()
        (self.work / "mlgate.yaml").write_text(POLICY)
        # What an earlier run left counts once.
        self.known: set[Path] = set()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start a gate run in a process of its own."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:locust",
            "-p",
            "no:cacheprovider",
            "--mlgate",
            str(self.model),
        ]
        environment = {**os.environ, "TMPDIR": str(self.tmp), "MLGATE_CACHE": str(self.cache), "PYTEST_ADDOPTS": ""}
        with (self.work / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=self.work, env=environment, stdout=log, stderr=log)

    def on_engine(self, pid: int) -> list[tuple[str, str]]:
        """Return kind and role of what a run has on the engine."""
        api, filters = self.engine.client.api, {"label": OWNER_LABEL}
        boxes = [("container", box) for box in api.containers(all=True, filters=filters)]
        networks = [("network", found) for found in api.networks(filters=filters)]
        volumes = [("volume", found) for found in api.volumes(filters=filters)["Volumes"] or []]
        labelled = [(kind, found.get("Labels") or {}) for kind, found in [*boxes, *networks, *volumes]]
        return [
            (kind, labels.get("mlgate.role", ""))
            for kind, labels in labelled
            if labels[OWNER_LABEL].split(":")[0] == str(pid)
        ]

    def processes(self) -> Iterator[tuple[int, str]]:
        """Yield the processes of a run: all of them inherit its temporary directory's name."""
        mark = f"TMPDIR={self.tmp}".encode()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield (
                        int(entry.name),
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
                    )
            except OSError:
                continue

    def left(self, pid: int) -> tuple[str, ...]:
        """Return what is left of a killed run, but for the watchdog at its work."""
        running = [
            f"process {words[:60]}"
            for found, words in self.processes()
            if found != pid and "sandbox.watchdog" not in words
        ]
        files = [f"file {path.name}" for path in self.files() - self.known]
        return (*(f"{kind} {role}" for kind, role in self.on_engine(pid)), *files, *running)

    def files(self) -> set[Path]:
        """Return what a run may leave on the disk."""
        return {*self.tmp.iterdir(), *self.cache.glob("models/.fetch-*")}

    def phase(self, pid: int) -> str:
        """Return what a run is doing, told by what it has."""
        if any("-m locust" in words for _, words in self.processes()):
            return "load"
        roles = [role for kind, role in self.on_engine(pid) if kind == "container"]
        if not roles:
            return "set-up"
        return "suites" if b"schema.py" in (self.work / "log").read_bytes() else "start"

    def watched(self) -> bool:
        """Whether a watchdog is at work."""
        return any("sandbox.watchdog" in words for _, words in self.processes())


def kill(desk: Desk, at_s: float) -> Kill | None:
    """Kill one run after *at_s* seconds; `None` where it was over before: runs are not all of one length."""
    run = desk.start()
    try:
        run.wait(at_s)
    except subprocess.TimeoutExpired:
        pass
    else:
        return None
    phase = desk.phase(run.pid)
    run.kill()
    killed_at = last_seen = time.monotonic()
    run.wait()
    left: tuple[str, ...] = ()
    while time.monotonic() - killed_at < PATIENCE_S:
        left = desk.left(run.pid)
        if left:
            last_seen = time.monotonic()
        elif not desk.watched():
            break
        time.sleep(POLL_S)
    desk.known |= desk.files()
    return Kill(at_s=at_s, phase=phase, clean_s=last_seen - killed_at, left=left)


def whole_run(desk: Desk) -> float:
    """Return how long a run takes that nobody kills; it must come to a verdict, on a busy machine to whichever."""
    began = time.monotonic()
    code = desk.start().wait()
    if code not in (0, 1, 20):
        sys.exit(f"the run itself failed ({code}):\n{(desk.work / 'log').read_text()[-2000:]}")
    return time.monotonic() - began


def table(kills: list[Kill]) -> None:
    """Print the kills by phase."""
    print(f"{'killed in':12}{'runs':>6}{'left':>6}   s to clean: median (least to most)")
    for phase in PHASES:
        of_phase = [each for each in kills if each.phase == phase]
        if of_phase:
            times = spread([each.clean_s for each in of_phase], digits=2)
            print(f"{phase:12}{len(of_phase):>6}{sum(bool(each.left) for each in of_phase):>6}   {times}")


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 kills")
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    count = 10 if options.quick else options.kills
    chance = random.Random(SEED)
    engine = connect()
    with tempfile.TemporaryDirectory(prefix="bench-kill-") as name:
        desk = Desk(Path(name), engine)
        whole_run(desk)  # builds the image where there is none
        length_s = whole_run(desk)
        moments = [length_s * (part + chance.random()) / count for part in range(count)]
        chance.shuffle(moments)
        kills = [done for at_s in moments if (done := kill(desk, at_s) or kill(desk, 0.7 * at_s)) is not None]
    engine.close()
    table(kills)
    left = [thing for each in kills for thing in each.left]
    times = [each.clean_s for each in kills]
    print(f"{len(kills)} of {count} runs killed in {length_s:.1f} s of life; left: {', '.join(left) or 'nothing'}")
    reached = not left and median(times) <= GOAL_S and len(kills) >= 0.9 * count
    return finish(
        "kill_clean", ratio=median(times) / GOAL_S, goal="0 leftovers, median at most 1 s to clean", n=len(kills),
        reached=reached, left=len(left), median_s=round(median(times), 3), max_s=round(max(times), 3),
        phases={phase: sum(each.phase == phase for each in kills) for phase in PHASES},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
