"""Real engine, real MLflow models. What a test here needs and this machine lacks fails, it does not skip."""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from mlgate.images import uv
from mlgate.images.docker import ImageBuilder
from mlgate.images.facts import BuiltImage
from mlgate.images.recipe import Recipe, recipe_for, server_identity
from mlgate.sandbox.engine import Engine, connect
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import remove_session
from tests.integration.company import *  # noqa: F403  (pytest finds fixtures by name in this module)

PINNED = ("mlflow", "scikit-learn", "numpy", "pandas", "skops")
PINS = [f"{name}=={version(name)}" for name in PINNED]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The container engine of this machine."""
    engine = connect()
    yield engine
    engine.close()


@pytest.fixture
def session(engine: Engine) -> Iterator[SessionTag]:
    """Labels of one test, whose containers and volumes are removed at its end."""
    tag = SessionTag.new()
    yield tag
    remove_session(engine, tag)


@pytest.fixture(scope="session")
def scratch_of() -> Callable[[int], Path]:
    """Return the temporary folder of a living run, which its watchdog was told: other runs make and remove their own."""

    def find(pid: int) -> Path:
        commands = [found.info["cmdline"] or [] for found in psutil.process_iter(["cmdline"])]
        (watchdog,) = [words for words in commands if words[3:] and f"--owner {pid} " in " ".join(words)]
        return Path(watchdog[watchdog.index("--tmp") + 1])

    return find


@pytest.fixture(scope="session")
def sklearn_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logistic regression on two columns, with its logged example."""
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    rows = pd.DataFrame(np.random.default_rng(1).random((200, 2)), columns=["a", "b"])
    labels = (rows.a > rows.b).astype(int)
    model = LogisticRegression().fit(rows, labels)
    path = tmp_path_factory.mktemp("sklearn") / "model"
    mlflow.sklearn.save_model(
        model,
        path,
        signature=mlflow.models.infer_signature(rows, model.predict(rows)),
        input_example=rows.head(3),
        pip_requirements=PINS,
    )
    return path


@pytest.fixture(scope="session")
def code_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a model directory whose program is the given source: a class `Model` with `predict`."""

    def make(source: str, *, example: object = None) -> Path:
        import yaml

        path = tmp_path_factory.mktemp("code") / "model"
        (path / "code").mkdir(parents=True)
        lines = ["import os", textwrap.dedent(source), "def _load_pyfunc(path):", "    return Model()"]
        (path / "code" / "mlgate_test_model.py").write_text("\n".join(lines))
        flavor = {"loader_module": "mlgate_test_model", "code": "code", "env": {"virtualenv": "python_env.yaml"}}
        (path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavor}}))
        (path / "requirements.txt").write_text("\n".join(PINS))
        if example is not None:
            (path / "serving_input_example.json").write_text(json.dumps(example))
        return path

    return make


@pytest.fixture(scope="session")
def pins() -> list[str]:
    """Requirements of the test models: what this environment has."""
    return PINS


@pytest.fixture(scope="session")
def make_recipe() -> Callable[[list[str]], Recipe]:
    """Return the recipe of a version with given requirements, on the default base image."""
    return partial(
        recipe_for,
        python_version="3.11.7",
        flavors=["python_function"],
        base_image=None,
        platform="linux/amd64",
        apt=None,
        server=server_identity(),
    )


@pytest.fixture(scope="session")
def recipe(make_recipe: Callable[..., Recipe], pins: list[str]) -> Recipe:
    """What `sklearn_model` and every `code_model` asks for."""
    return make_recipe(requirements=pins)


@pytest.fixture
def chatty_freeze(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[str]], bool]:
    """Let uv begin a line on standard error before it lists packages; return whether pins are whole all the same."""
    quiet = uv.freeze_command

    def chatty(*asked: str) -> list[str]:
        return ["sh", "-c", 'printf "Using Python at /opt" >&2; sleep 0.3; exec "$@" 2>/dev/null', "sh", *quiet(*asked)]

    monkeypatch.setattr(uv, "freeze_command", chatty)
    return lambda pins: (
        all(re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", pin) for pin in pins)
        and any(pin.startswith("a2wsgi==") for pin in pins)
    )


@pytest.fixture(scope="session")
def image(engine: Engine, recipe: Recipe) -> BuiltImage:
    """The environment image of `recipe`."""
    return ImageBuilder(engine).build(recipe)
