"""Params beside the rows, and values that MLflow's own schema refuses for them."""

import json

import pytest
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_params_schema
from mlflow.types.schema import DataType as MlflowType
from mlflow.types.schema import Object, ParamSchema, ParamSpec
from mlflow.types.schema import Property as MlflowProperty

from mlgate.artifacts.signature import DataType, ObjectType, Param, Property
from mlgate.scoring.params import with_params, wrong_params

OBJECT = ObjectType((Property("a", DataType.LONG, required=True),))
DEFAULTS = {
    DataType.BOOLEAN: True, DataType.INTEGER: 3, DataType.LONG: 3, DataType.FLOAT: 0.5, DataType.DOUBLE: 0.5,
    DataType.STRING: "a", DataType.DATETIME: "2020-01-02",
}  # fmt: skip
THEIRS = Object([MlflowProperty("a", MlflowType.long)])


def test_mlflows_params_stand_beside_the_rows():
    """Whatever they are."""
    made = json.loads(with_params(b'{"inputs": [1]}', {"k": 1}, path="/invocations"))
    assert made == {"inputs": [1], "params": {"k": 1}}
    assert json.loads(with_params(b"{}", [1], path="/invocations")) == {"params": [1]}


def test_v2s_params_stand_among_the_requests_own():
    """MLServer's runtime hands over what it does not know itself."""
    body = b'{"parameters": {"content_type": "pd"}, "inputs": []}'
    made = json.loads(with_params(body, {"k": 1}, path="/v2/models/model/infer"))
    assert made["parameters"] == {"content_type": "pd", "k": 1}
    with pytest.raises(ValueError, match="no mapping"):
        with_params(body, [1], path="/v2/models/model/infer")


@pytest.mark.parametrize("kind", DEFAULTS)
@pytest.mark.parametrize("listed", [False, True])
def test_every_wrong_value_is_refused_by_mlflow(kind, listed):
    """By its types, its shapes, and the types of a list's elements; and the default is taken."""
    default = [DEFAULTS[kind]] if listed else DEFAULTS[kind]
    shape = (-1,) if listed else None
    schema = ParamSchema([ParamSpec("k", str(kind), default, shape=shape)])
    _enforce_params_schema({"k": default}, schema)
    wrong = list(wrong_params(Param("k", kind, default, shape)))
    assert len(wrong) >= 3
    for _, value in wrong:
        with pytest.raises(MlflowException):
            _enforce_params_schema({"k": value}, schema)


def test_the_parts_of_an_object_are_tried():
    """One of the wrong type, and one that is missing."""
    schema = ParamSchema([ParamSpec("k", THEIRS, {"a": 1})])
    wrong = [value for _, value in wrong_params(Param("k", OBJECT, {"a": 1}, None))]
    assert {"a": "twelve"} in wrong
    assert {} in wrong
    for value in wrong:
        with pytest.raises(MlflowException):
            _enforce_params_schema({"k": value}, schema)


def test_a_default_that_is_null_has_wrong_values_too():
    """The list's own element is made up then."""
    wrong = dict(wrong_params(Param("k", DataType.LONG, None, (-1,))))
    assert wrong["no list in 'k'"] == 0
    assert wrong["\"twelve\" among the elements of 'k'"] == ["twelve"]
