"""From a model version to an environment that can serve it: mlgate's image against `mlflow.models.build_docker`.

One model, one base image (theirs with nginx and pip added beforehand, not counted), interleaved. Three questions: the first
build of all, with no package downloaded yet on either side (a fresh uv cache volume; pip's cache inside their build container
is empty by their design) and no layer there (a base with a digest of its own); one changed pin after that (our foundation and
uv cache and their layers warm); and the same again, unchanged.
Their image holds the model, ours does not: copying a model of 12 kB takes no time that is seen here.

Goals (medians): first build at least 2 times faster, one changed pin at least 3 times, unchanged under 1 s.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import peer_image
import small_model
from docker.errors import DockerException
from machine import finish, spread

from mlgate.artifacts.directory import read_directory
from mlgate.images import docker as images
from mlgate.images.built import REPOSITORY
from mlgate.images.docker import ImageBuilder, find_base
from mlgate.images.version_recipe import version_recipe
from mlgate.policy import Policy, PolicyValues, Runtime
from mlgate.sandbox.engine import Engine, connect
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import remove_session

FIRST, CHANGED, UNCHANGED_S = 2.0, 3.0, 1.0
QUESTIONS = ("first build", "one changed pin", "unchanged")
LOOSE = ("0.9.0", "0.10.0")


def timed(act: Callable[[], object]) -> float:
    """Return how long *act* took."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


class Ours:
    """mlgate's image builder, with a uv cache of its own."""

    def __init__(self, engine: Engine, session: SessionTag, base: str) -> None:
        self.engine, self.session, self.base = engine, session, base
        self.policy = Policy()

    def build(self, model: Path) -> None:
        """Build what the version asks for."""
        ImageBuilder(self.engine, session=self.session).build(version_recipe(read_directory(model), self.policy))

    def _environments(self) -> set[str]:
        """Return the names of the environment images that are there."""
        images = self.engine.client.images.list(name=REPOSITORY)
        return {tag for image in images for tag in image.tags}

    def round(self, model: Path) -> list[float]:
        """Answer the three questions."""
        # Not the machine's cache, which others fill and use.
        images.CACHE_VOLUME = f"mlgate-benchmark-{self.session.id}"
        self.engine.client.volumes.create(images.CACHE_VOLUME, labels={peer_image.LABEL: "cache"})
        base = peer_image.fresh(self.engine, self.base)
        self.policy = Policy(values=PolicyValues(runtime=Runtime(base_image=base)))
        before = self._environments()
        try:
            return _three(model, self.build)
        finally:
            # With the foundation, which stands below the others and goes last.
            made = sorted(self._environments() - before)
            peer_image.forget(self.engine, *made, base)
            with suppress(DockerException):
                self.engine.client.volumes.get(images.CACHE_VOLUME).remove(force=True)


class Theirs:
    """`mlflow.models.build_docker`."""

    def __init__(self, engine: Engine, base: str, log: Path) -> None:
        self.engine, self.base, self.log = engine, base, log

    def round(self, model: Path) -> list[float]:
        """Answer the three questions, on a base that no layer was built on yet."""
        name = f"mlgate-benchmark-env:{time.time_ns()}"
        base = peer_image.fresh(self.engine, self.base)
        try:
            return _three(model, lambda path: peer_image.build_docker(path, name, base, self.log))
        finally:
            peer_image.forget(self.engine, name, base)
            peer_image.forget_nameless(self.engine)


def _three(model: Path, build: Callable[[Path], None]) -> list[float]:
    small_model.pin(model, LOOSE[0])
    first = timed(lambda: build(model))
    small_model.pin(model, LOOSE[1])
    changed = timed(lambda: build(model))
    return [first, changed, timed(lambda: build(model))]


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round instead of 5")
    rounds = 1 if parser.parse_args().quick else 5
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it made is removed on the way out
    engine, session = connect(), SessionTag.new()
    found: dict[str, list[list[float]]] = {"mlgate": [], "build_docker": []}
    base = ""
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        model = small_model.save(Path(folder), loose=LOOSE[0])
        try:
            own = find_base(engine, version_recipe(read_directory(model), Policy()).python)
            if own is None:
                raise SystemExit("no base image: make base-image")
            base = peer_image.peer_base(engine, own)
            contestants = {
                "mlgate": Ours(engine, session, own),
                "build_docker": Theirs(engine, base, Path(folder) / "log"),
            }
            for turn in range(rounds):
                for name in sorted(contestants, reverse=turn % 2 == 0):
                    found[name].append(contestants[name].round(model))
        finally:
            remove_session(engine, session)
            peer_image.forget(engine, *filter(None, [base]))
            engine.close()
    return _report(found, rounds)


def _report(found: dict[str, list[list[float]]], rounds: int) -> int:
    columns = {name: list(zip(*answers, strict=True)) for name, answers in found.items()}
    print(f"{'s: median (least to most)':20}{'mlgate':>26}{'build_docker':>26}{'times faster':>14}")
    ratios = []
    for index, question in enumerate(QUESTIONS):
        ours, theirs = (list(columns[name][index]) for name in ("mlgate", "build_docker"))
        ratios.append(median(theirs) / median(ours))
        print(f"{question:25}{spread(ours, digits=2):>24}{spread(theirs, digits=2):>26}{ratios[-1]:>11.1f}")
    unchanged = median(columns["mlgate"][2])
    reached = ratios[0] >= FIRST and ratios[1] >= CHANGED and unchanged < UNCHANGED_S
    goal = f"first build {FIRST:g} times faster, one changed pin {CHANGED:g} times, unchanged under {UNCHANGED_S:g} s"
    return finish("env_ready", ratio=ratios[0], goal=goal, n=rounds, reached=reached, ratio_changed_pin=round(ratios[1], 3), unchanged_s=round(unchanged, 3), seconds={name: [round(median(column), 2) for column in answers] for name, answers in columns.items()})  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
