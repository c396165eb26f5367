"""Inference parameters: valid objects near their defaults."""

import pytest

from mlgate.artifacts.signature import DataType, ObjectType, Param, Property
from mlgate.generation.interface import Mode, Unsupported
from mlgate.generation.params import params_space

PARAMS = (
    Param("temperature", DataType.DOUBLE, 0.7, None),
    Param("mode", DataType.STRING, "fast", None),
    Param("stop", DataType.STRING, ["a", "b"], (-1,)),
    Param("seed", DataType.LONG, None, None),
    Param("options", ObjectType((Property("deep", DataType.BOOLEAN, False),)), {"deep": True}, None),
)


def test_each_parameter_has_its_default_and_near_values_or_is_left_out():
    """Texts that nobody declared are no valid mode; a number near the default is one."""
    space = params_space(PARAMS)
    assert space.defaults() == {
        "temperature": 0.7,
        "mode": "fast",
        "stop": ["a", "b"],
        "seed": 0,
        "options": {"deep": True},
    }
    found = space.sample(300, seed=1)
    assert any("temperature" not in one for one in found)
    temperatures = [one["temperature"] for one in found if "temperature" in one]
    assert all(0 <= value <= 1.4 for value in temperatures)
    assert len(set(temperatures)) > 50
    assert {one["mode"] for one in found if "mode" in one} == {"fast"}
    assert {item for one in found for item in one.get("stop", [])} == {"a", "b"}
    assert any(one.get("seed", 0) is None for one in found)
    assert space.sample(300, seed=1) == found


def test_a_parameter_that_is_asked_for_is_never_left_out():
    """The checks send it on purpose."""
    found = params_space(PARAMS).sample(50, seed=1, modes={"temperature": Mode.DEFAULT})
    assert [one["temperature"] for one in found] == [0.7] * 50


def test_a_shape_that_mlflow_does_not_know_is_refused():
    """By name."""
    with pytest.raises(Unsupported, match="parameter 'p' has shape"):
        params_space([Param("p", DataType.LONG, [[1]], (-1, -1))])
