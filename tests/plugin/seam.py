"""The seam of the plugin's tests: a registry in memory and a server in this process, where MLflow and the engine would be.

In the test's own process `World.install` patches the wiring; in a subprocess this module is a plugin (`-p tests.plugin.seam`)
that reads its orders from `MLGATE_SEAM` and writes there what became of them.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import Model, infer_signature

from mlgate.errors import EngineError, RegistryError
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.images.given import GivenImage
from mlgate.images.recipe import recipe_digest
from mlgate.registry.memory import MemoryRegistry
from tests.inprocess import InProcessServer

VARIABLE = "MLGATE_SEAM"
EXAMPLE = pd.DataFrame({"age": [30.0, 41.5, 77.0], "visits": [1.0, 2.0, 5.0]})
SIGNATURE = infer_signature(EXAMPLE, pd.DataFrame({"score": [0.1, 0.2, 0.3]}))
PINS = ("mlflow==3.17.2", "scikit-learn==1.9.1")


def score(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"score": 1 / (1 + (rows["age"] - 40.0).abs() / 10)})


def _raises_above_fifty(rows: pd.DataFrame) -> pd.DataFrame:
    if (rows["age"] > 50).any():
        raise ValueError("too old")
    return score(rows)


def _random() -> Callable[[Any], Any]:
    import numpy as np

    generator = np.random.default_rng()
    return lambda rows: pd.DataFrame({"score": generator.random(len(rows))})


def _unloadable() -> Callable[[Any], Any]:
    raise ModuleNotFoundError("No module named 'lightgbm'")


def _wrong_type(rows: pd.DataFrame) -> list[str]:
    return ["high"] * len(rows)


# What a model directory does when it is served; it says which in a file `behaviour`.
BEHAVIOURS: dict[str, Callable[[], Callable[[Any], Any]]] = {
    "good": lambda: score,
    "raises": lambda: _raises_above_fifty,
    "random": _random,
    "unloadable": _unloadable,
    "wrong_type": lambda: _wrong_type,
}


def write_model(folder: Path, behaviour: str = "good") -> Path:
    """Write a model directory as MLflow writes one, with a behaviour in place of a pickle."""
    folder.mkdir(parents=True)
    model = Model(run_id="0" * 32, signature=SIGNATURE, model_uuid="m-" + "0" * 32)
    model.add_flavor("python_function", loader_module="nowhere", python_version="3.11.9")
    model.save(folder / "MLmodel")
    (folder / "behaviour").write_text(behaviour)
    (folder / "requirements.txt").write_text("\n".join(PINS) + "\n")
    (folder / "python_env.yaml").write_text("python: 3.11.9\ndependencies:\n- -r requirements.txt\n")
    document = {"dataframe_split": EXAMPLE.to_dict(orient="split", index=False)}
    (folder / "serving_input_example.json").write_text(json.dumps(document))
    (folder / "input_example.json").write_text(json.dumps(document["dataframe_split"]))
    text = (folder / "MLmodel").read_text()
    saved = "saved_input_example_info:\n  artifact_path: input_example.json\n  serving_input_path: serving_input_example.json\n"
    (folder / "MLmodel").write_text(text + saved)
    return folder


class SeamServer(InProcessServer):
    """An in-process server that counts itself, and says of its sandbox what was asked for."""

    def __init__(
        self, *arguments: Any, world: "World", kind: str, given: GivenImage | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._world, self._kind, self._given = world, kind, given

    @property
    def image(self) -> ImageFacts:
        if self._given is not None:
            return self._given.facts(threads=1)
        facts: dict[str, Any] = {
            "base_digest": "sha256:" + "b" * 64,
            "platform": "linux/amd64",
            "apt": (),
            "python": "3.11.9",
            "pins": PINS,
            "server": "in-process",
        }
        return ImageFacts(recipe_digest=recipe_digest(**facts), image_digest="", base="", threads=1, **facts)

    @property
    def sandbox(self) -> SandboxFacts:
        return replace(super().sandbox, kind=self._kind, network="none" if self._kind == "container" else "host")

    def start(self) -> Any:
        self._world.reach("start")
        self._world.running += 1
        try:
            return super().start()
        except BaseException:
            self._world.running -= 1
            raise

    def stop(self) -> None:
        if self._server is not None:
            self._world.running -= 1
        super().stop()

    def another(self) -> "SeamServer":
        return SeamServer(
            self._make,
            self._signature,
            ready_s=self._ready_s,
            world=self._world,
            kind=self._kind,
            given=self._given,
        )


class SeamRegistry(MemoryRegistry):
    """A registry that breaks, or is interrupted, where a test says so."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    def resolve(self, uri: Any) -> Any:
        self._world.reach("resolve")
        return super().resolve(uri)

    def fetch(self, version: Any, destination: Path, *, progress: bool = False) -> None:
        self._world.reach("fetch")
        super().fetch(version, destination, progress=progress)

    def set_tags(self, version: Any, tags: Any) -> None:
        self._world.reach("running" if len(tags) == 1 else "tags")
        super().set_tags(version, tags)

    def publish(self, run: Any) -> str:
        self._world.reach("publish")
        return super().publish(run)


@dataclass
class World:
    """What is outside of the plugin.

    Attributes:
        at: Point reached (`resolve fetch image running build start load publish tags`) to what happens there: an exception,
            or `SIGINT` for a real signal to this process.
        running: Servers that run now.
        works: Working folders the guard was told of.
        images: What there is for `--mlgate-image`, by name.
    """

    at: dict[str, Any] = field(default_factory=dict)
    running: int = 0
    works: list[Path] = field(default_factory=list)
    images: dict[str, GivenImage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.registry = SeamRegistry(self)

    def reach(self, point: str) -> None:
        match self.at.get(point):
            case None:
                pass
            case "SIGINT":
                # A job in the background of a shell starts with it ignored.
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(30)  # the signal ends it at once
            case what:
                raise what

    def make_server(
        self, directory: Any, policy: Any, *, sandbox: str, session: Any, tell: Any, scratch: Any = None
    ) -> SeamServer:
        self.reach("build")
        make = BEHAVIOURS[(directory.path / "behaviour").read_text().split()[0]]
        return SeamServer(make, SIGNATURE, world=self, kind=sandbox)

    def open_image(self, name: str, directory: Any, policy: Any, *, session: Any, tell: Any) -> GivenImage:
        self.reach("image")
        return self.images[name]

    def make_given_server(
        self, image: GivenImage, directory: Any, policy: Any, *, session: Any, tell: Any
    ) -> SeamServer:
        make = BEHAVIOURS[(directory.path / "behaviour").read_text().split()[0]]
        return SeamServer(make, SIGNATURE, world=self, kind="container", given=image)

    def guard(self, session: Any, *, sandbox: str) -> tuple[Path, Callable[[], None]]:
        self.reach("guard")
        self.works.append(Path(tempfile.mkdtemp(prefix="mlgate-")))
        return self.works[-1], lambda: None

    def install(self, patch: Callable[[Any, str, Any], object]) -> None:
        """Put this world where the wiring looks; *patch* is `setattr` or a monkeypatch's."""
        import mlgate.load.locust
        from pytest_mlgate import wiring

        run_load = mlgate.load.locust.run_load

        def reached(*arguments: Any, **options: Any) -> Any:
            self.reach("load")
            return run_load(*arguments, **options)

        patch(wiring, "open_registry", lambda: self.registry)
        patch(wiring, "make_server", self.make_server)
        patch(wiring, "open_image", self.open_image)
        patch(wiring, "make_given_server", self.make_given_server)
        patch(wiring, "guard", self.guard)
        patch(mlgate.load.locust, "run_load", reached)


# The plugin of a subprocess.

_WORLD = World()
_ERRORS = {
    "KeyboardInterrupt": KeyboardInterrupt(),
    "RegistryError": RegistryError("the registry at http://nowhere does not answer", hint="MLFLOW_TRACKING_URI"),
    "EngineError": EngineError("the container engine does not answer"),
}


def pytest_configure(config: Any) -> None:
    if VARIABLE not in os.environ:
        return
    orders = json.loads(os.environ[VARIABLE])
    _WORLD.at = {point: _ERRORS.get(what, what) for point, what in orders.get("at", {}).items()}
    for folder in orders["versions"]:
        _WORLD.registry.add("churn", Path(folder))
    if orders.get("champion"):
        _WORLD.registry.set_alias("churn", "champion", orders["champion"])
    from pytest_mlgate import wiring

    open_registry = wiring.open_registry
    _WORLD.install(setattr)
    if orders.get("registry") == "mlflow":
        wiring.open_registry = open_registry


def pytest_unconfigure(config: Any) -> None:
    if VARIABLE not in os.environ:
        return
    import sys

    told = {
        "writes": _WORLD.registry.writes,
        "running": _WORLD.running,
        "works": [str(work) for work in _WORLD.works if work.exists()],
        "modules": sorted(name for name in sys.modules if "." not in name),
    }
    Path(json.loads(os.environ[VARIABLE])["told"]).write_text(json.dumps(told))
