"""MLflow's signatures, written by MLflow itself, come out as our types."""

import json

import pytest
from mlflow.types import schema

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Param,
    Property,
    Signature,
    Tensor,
    TensorSchema,
    UnsupportedType,
    parse_signature,
    unsupported,
)
from mlgate.errors import ModelDirectoryError


def parsed(inputs=None, outputs=None, params=None):
    from mlflow.models import ModelSignature

    written = ModelSignature(inputs=inputs, outputs=outputs, params=params).to_dict()
    return parse_signature({"signature": json.loads(json.dumps(written))})


def columns(*specs):
    return parsed(inputs=schema.Schema(list(specs))).inputs.columns


@pytest.mark.parametrize("name", [str(scalar) for scalar in DataType])
def test_every_scalar_type_is_read(name):
    """All that MLflow's enum knows, required and optional."""
    found = columns(schema.ColSpec(name, "a"), schema.ColSpec(name, "b", required=False))
    assert found == (Column("a", DataType(name), True), Column("b", DataType(name), False))


def test_we_know_every_scalar_that_mlflow_knows():
    """A new one in MLflow shows here first."""
    assert {str(scalar) for scalar in DataType} == set(schema.DataType.__members__)


def test_nested_types_are_read():
    """Array, object, map and any, inside each other."""
    inner = schema.Object(
        [schema.Property("a", schema.DataType.long), schema.Property("b", schema.AnyType(), required=False)]
    )
    found = columns(schema.ColSpec(schema.Array(schema.Map(inner)), "x", required=False))
    properties = (Property("a", DataType.LONG, True), Property("b", AnyType(), False))
    assert found == (Column("x", ArrayType(MapType(ObjectType(properties))), False),)


def test_a_spark_vector_is_named_and_not_supported():
    """MLflow writes it as a type of its own."""
    signature = parsed(inputs=schema.Schema([schema.ColSpec(schema.SparkMLVector(), "v")]))
    assert signature.inputs.columns[0].type == UnsupportedType("sparkml_vector")
    assert unsupported(signature) == ("v: sparkml_vector",)


def test_tensors_are_read():
    """One without a name, and several with."""
    import numpy as np

    one = parsed(inputs=schema.Schema([schema.TensorSpec(np.dtype("float32"), (-1, 28, 28))]))
    assert one.inputs == TensorSchema((Tensor(None, "float32", (-1, 28, 28)),))
    two = schema.Schema(
        [schema.TensorSpec(np.dtype("str"), (-1,), "t"), schema.TensorSpec(np.dtype("uint8"), (-1, 3), "u")]
    )
    assert parsed(outputs=two).outputs == TensorSchema((Tensor("t", "str", (-1,)), Tensor("u", "uint8", (-1, 3))))
    assert unsupported(one) == ()


def test_params_are_read():
    """One value, a list, a date, an object."""
    import datetime as dt

    found = parsed(
        params=schema.ParamSchema(
            [
                schema.ParamSpec("t", "double", 0.5),
                schema.ParamSpec("stop", "string", ["a"], (-1,)),
                schema.ParamSpec("day", "datetime", dt.datetime(2026, 1, 2)),  # noqa: DTZ001 - MLflow's are naive
                schema.ParamSpec("o", schema.Object([schema.Property("a", "long")]), {"a": 1}),
            ]
        )
    ).params
    assert found[0] == Param("t", DataType.DOUBLE, 0.5, None)
    assert found[1] == Param("stop", DataType.STRING, ["a"], (-1,))
    assert found[2].type is DataType.DATETIME
    assert found[2].default.startswith("2026-01-02")
    assert found[3] == Param("o", ObjectType((Property("a", DataType.LONG, True),)), {"a": 1}, None)


def test_an_inferred_frame_is_read():
    """`infer_signature` of pandas, with an unnamed output."""
    import pandas as pd
    from mlflow.models import infer_signature

    frame = pd.DataFrame({"age": [1.5, 2.5], "plan": ["a", "b"], "when": pd.to_datetime(["2026-01-01"] * 2)})
    found = parse_signature({"signature": infer_signature(frame, pd.Series([True, False])).to_dict()})
    assert [(column.name, column.type) for column in found.inputs.columns] == [
        ("age", DataType.DOUBLE),
        ("plan", DataType.STRING),
        ("when", DataType.DATETIME),
    ]
    assert found.outputs == ColumnSchema((Column(None, DataType.BOOLEAN, True),))
    assert unsupported(found) == ()


def test_integer_labels_keep_the_spelling_that_a_request_needs():
    """MLflow compares labels without converting: 0 is not "0"."""
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature

    found = parse_signature({"signature": infer_signature(pd.DataFrame(np.ones((2, 2)))).to_dict()})
    assert [column.name for column in found.inputs.columns] == ["0", "1"]
    assert [column.label for column in found.inputs.columns] == [0, 1]


def test_a_signature_from_type_hints_says_so():
    """Such a model accepts the `inputs` key only."""
    raw = {"is_signature_from_type_hint": True, "signature": {"inputs": '[{"type": "string", "required": true}]'}}
    assert parse_signature(raw).from_type_hint


@pytest.mark.parametrize("raw", [{}, {"signature": None}, {"signature": {"inputs": None, "outputs": None}}])
def test_no_signature_is_an_empty_one(raw):
    """Old versions have none, and the schema suite says what that means."""
    assert parse_signature(raw) == Signature(inputs=None, outputs=None)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("x", "signature is not a mapping"),
        ({"inputs": "{"}, "signature.inputs is not JSON"),
        ({"inputs": "{}"}, "signature.inputs is not a list"),
        ({"inputs": "[1]"}, r"signature.inputs\[0\] is not a mapping"),
        ({"inputs": '[{"name": "a"}]'}, r"signature.inputs\[0\].type is missing"),
        ({"outputs": '[{"type": "array"}]'}, r"signature.outputs\[0\].items is not a mapping"),
        ({"inputs": '[{"type": "object", "properties": {}}]'}, "properties is empty"),
        ({"inputs": '[{"type": "long", "required": 1}]'}, r"\[0\].required"),
        ({"inputs": '[{"type": "long", "name": []}]'}, r"\[0\].name"),
        ({"inputs": '[{"type": "long", "name": "a"}, {"type": "long"}]'}, "mixes named"),
        ({"inputs": '[{"type": "long", "name": "a"}, {"type": "long", "name": "a"}]'}, "twice"),
        ({"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "x", "shape": ["a"]}}]'}, "shape"),
        ({"inputs": '[{"type": "tensor"}]'}, "tensor-spec"),
        ({"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "i", "shape": []}}, {"type": "long"}]'}, "mixes"),
        ({"params": '[{"type": "long"}]'}, r"params\[0\].name"),
        ({"params": '[{"type": "any", "name": "p"}]'}, r"params\[0\].type"),
        ({"inputs": '[{"type": "array", "items": ' * 5000 + "1" + "}]" * 5000}, "signature"),
        ({"inputs": "[" * 100_000}, "signature"),
    ],
)
def test_a_malformed_signature_is_refused_by_its_place(raw, place):
    """One line that says where."""
    with pytest.raises(ModelDirectoryError, match=place):
        parse_signature({"signature": raw})


def test_what_can_not_be_generated_is_named_with_its_column():
    """In order, parameters last; also what is nested in what can be."""
    raw = {
        "inputs": '[{"type": "any", "name": "a"}, {"type": "sparkml_vector", "name": "b"}, '
        '{"type": "array", "items": {"type": "sparkml_vector"}, "name": "c"}, '
        '{"type": "map", "values": {"type": "long"}, "name": "d"}]',
        "params": '[{"type": "object", "name": "p", "default": {}, "properties": {"x": {"type": "sparkml_vector"}}}]',
    }
    found = unsupported(parse_signature({"signature": raw}))
    assert found == ("b: sparkml_vector", "c: sparkml_vector", "params.p: sparkml_vector")
    tensor = '[{"type": "tensor", "tensor-spec": {"dtype": "%s", "shape": [-1, 2]}}]'
    assert unsupported(parse_signature({"signature": {"inputs": tensor % "void"}})) == ("0: tensor of void",)
    for dtype in ("complex64", "object", "bytes", "datetime64[ns]", "<U5", "uint8", "float16"):
        assert unsupported(parse_signature({"signature": {"inputs": tensor % dtype}})) == ()


def test_binary_is_sent_as_base64_which_mlflow_decodes():
    """So it counts as supported."""
    import base64

    from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

    sent = {"columns": ["b"], "data": [[base64.b64encode(b"\x00\xff").decode()]]}
    frame = dataframe_from_parsed_json(sent, "split", schema.Schema([schema.ColSpec("binary", "b")]))
    assert frame["b"][0] == b"\x00\xff"
