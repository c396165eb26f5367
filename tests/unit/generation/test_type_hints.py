"""Models whose signature comes from Python type hints: they take the `inputs` key only, and no table."""

import datetime as dt
import json
import warnings
from typing import Any

import mlflow
import pydantic
import pytest
import yaml
from mlflow.pyfunc import PythonModel
from mlflow.pyfunc.scoring_server import invocations

from mlgate.artifacts.signature import parse_signature
from mlgate.generation.input_space import example_batch, input_space
from mlgate.generation.interface import Mode
from mlgate.scoring.payloads import Encoding
from mlgate.scoring.protocols import Invocations, protocol_of


class Message(pydantic.BaseModel):
    """What chat models take."""

    role: str
    tokens: list[int]
    weight: float | None = None
    tags: dict[str, bool] = {}


class Numbers(PythonModel):
    """Takes whole numbers."""

    def predict(self, model_input: list[int]) -> list[int]:
        """Count them."""
        assert all(type(value) is int for value in model_input)
        return [len(model_input)] * len(model_input)


class Reals(PythonModel):
    """Takes floats."""

    def predict(self, model_input: list[float]) -> list[float]:
        """Return them."""
        return model_input


class Texts(PythonModel):
    """Takes texts."""

    def predict(self, model_input: list[str]) -> list[str]:
        """Return them."""
        assert all(isinstance(value, str) for value in model_input)
        return model_input


class Bytes(PythonModel):
    """Takes bytes."""

    def predict(self, model_input: list[bytes]) -> list[int]:
        """Return their sizes."""
        assert all(isinstance(value, bytes) for value in model_input)
        return [len(value) for value in model_input]


class Times(PythonModel):
    """Takes times."""

    def predict(self, model_input: list[dt.datetime]) -> list[int]:
        """Return their years."""
        return [value.year for value in model_input]


class Messages(PythonModel):
    """Takes objects."""

    def predict(self, model_input: list[Message]) -> list[int]:
        """Return their sizes."""
        assert all(isinstance(value, Message) for value in model_input)
        return [len(value.tokens) for value in model_input]


class Maps(PythonModel):
    """Takes maps of lists."""

    def predict(self, model_input: list[dict[str, list[str]]]) -> list[int]:
        """Return their sizes."""
        return [len(value) for value in model_input]


class Anything(PythonModel):
    """Takes anything."""

    def predict(self, model_input: list[Any]) -> list[str]:
        """Return their types."""
        return [type(value).__name__ for value in model_input]


MODELS = {
    "int": (Numbers(), [3, 4]),
    "float": (Reals(), [0.5]),
    "str": (Texts(), ["a"]),
    "bytes": (Bytes(), [b"a"]),
    "datetime": (Times(), [dt.datetime(2024, 1, 1)]),  # noqa: DTZ001  (as in MLflow's documentation)
    "pydantic": (Messages(), [Message(role="user", tokens=[1, 2])]),
    "map": (Maps(), [{"a": ["b"]}]),
    "any": (Anything(), ["a"]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each model as MLflow saves it and loads it for serving, with our reading of its signature."""
    home = tmp_path_factory.mktemp("hints")
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (model, example) in MODELS.items():
            mlflow.pyfunc.save_model(str(home / name), python_model=model, input_example=example, pip_requirements=[])
            signature = parse_signature(yaml.safe_load((home / name / "MLmodel").read_text()))
            loaded = mlflow.pyfunc.load_model(str(home / name))
            found[name] = (loaded, signature, (home / name / "serving_input_example.json").read_bytes())
    return found


def served(model, body):
    """What the scoring server answers, as it computes it."""
    return json.loads(invocations(body.decode(), "application/json", model, model.metadata.get_input_schema()).response)


@pytest.mark.parametrize("name", MODELS)
def test_generated_rows_are_answered(name, saved, monkeypatch):
    """Without and with the logged example as a known row."""
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    model, signature, example = saved[name]
    assert signature.from_type_hint
    known = example_batch(example, signature.inputs)
    assert known is not None
    assert len(known) == len(MODELS[name][1])
    for rows in ([], [known]):
        space = input_space(signature.inputs, rules={}, known=rows)
        for mode in Mode:
            batch = space.sample(12, seed=5, modes={0: mode})
            assert space.holds(batch)
            body, _ = protocol_of("mlflow", signature).encode(batch)
            assert len(served(model, body)["predictions"]) == 12
    assert space.holds(space.spelled(known))


def test_only_the_inputs_key_is_taken(saved, monkeypatch):
    """A data frame, which any other model takes, is refused."""
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
    model, signature, _ = saved["int"]
    batch = input_space(signature.inputs, rules={}).sample(3, seed=1)
    body, _ = Invocations(signature).encode(batch)
    assert json.loads(body) == {"inputs": batch.column(0)}
    frame, _ = Invocations(signature).encode(batch, Encoding.SPLIT)
    with pytest.raises(mlflow.MlflowException, match="'inputs' key"):
        served(model, frame)
