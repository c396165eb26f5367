"""V2: what is sent, and how the rows come out of what MLServer 1.7 really answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Signature, Tensor, TensorSchema
from mlgate.scoring.answers import Answer, NotAPrediction, nonconformities
from mlgate.scoring.payloads import Batch, Encoding
from mlgate.scoring.protocols import Invocations, protocol_of
from mlgate.scoring.v2 import V2, holds_null

KINDS = {"d": "double", "f": "float", "i": "integer", "l": "long", "b": "boolean", "s": "string", "t": "datetime"}
TABLE = ColumnSchema(tuple(Column(name, DataType(kind), required=True) for name, kind in KINDS.items()))
ROW = [1.5, 0.1, 3, 2**53 - 1, True, "zé", "2000-01-02T03:04:05+02:00"]
UNNAMED = TensorSchema((Tensor(None, "float32", (-1, 2, 2)),))
NAMED = TensorSchema((Tensor("u", "float64", (-1, 3)), Tensor("v", "int64", (-1,))))
WITH_RATE = TensorSchema((Tensor("u", "float64", (-1, 3)), Tensor("rate", "int64", ())))


def v2(inputs=None, outputs=None):
    return V2(Signature(inputs=inputs, outputs=outputs))


def sent(protocol, batch):
    body, content_type = protocol.encode(batch)
    assert content_type == "application/json"
    return json.loads(body)


def output(data, *, name="output-1", shape=None, codec="np", datatype="FP64"):
    found = {"name": name, "shape": shape or [len(data), 1], "datatype": datatype, "data": data}
    return found | ({"parameters": {"content_type": codec}} if codec else {})


def answered(*outputs, codec="np"):
    return {"model_name": "model", "id": "1", "parameters": {"content_type": codec}, "outputs": list(outputs)}


def column(kind="double", *, name=None, required=True):
    return ColumnSchema((Column(name, DataType(kind), required=required),))


def test_a_table_travels_as_columns_with_the_types_of_the_signature():
    """MLflow's schema refuses FP64 for a float and INT64 for an integer."""
    document = sent(v2(TABLE), Batch(columns=tuple(KINDS), rows=(ROW, ROW)))
    assert document["parameters"] == {"content_type": "pd"}
    inputs = {entry["name"]: entry for entry in document["inputs"]}
    types = {name: (entry["datatype"], entry["parameters"]["content_type"]) for name, entry in inputs.items()}
    assert types == {
        "d": ("FP64", "np"), "f": ("FP32", "np"), "i": ("INT32", "np"), "l": ("INT64", "np"), "b": ("BOOL", "np"),
        "s": ("BYTES", "str"), "t": ("BYTES", "datetime"),
    }  # fmt: skip
    assert {tuple(entry["shape"]) for entry in inputs.values()} == {(2, 1)}
    assert inputs["l"]["data"] == [2**53 - 1] * 2
    assert inputs["s"]["data"] == ["zé", "zé"]


def test_a_time_with_an_offset_travels_as_utc_without_one():
    """MLflow's schema takes naive times only, and its own server reads an offset as this."""
    document = sent(v2(TABLE), Batch(columns=("t",), rows=([ROW[6]], ["2000-01-02"], ["no time"])))
    assert document["inputs"][0]["data"] == ["2000-01-02T01:04:05", "2000-01-02", "no time"]


def test_a_wrong_value_arrives_wrong():
    """A word in a numeric column is what `schema.rejects` sends; encoding must not repair it."""
    document = sent(v2(TABLE), Batch(columns=("d", "i"), rows=(["twelve", 1.5], [None, True])))
    assert [entry["data"] for entry in document["inputs"]] == [["twelve", None], [1.5, True]]
    assert [entry["datatype"] for entry in document["inputs"]] == ["FP64", "INT32"]


@pytest.mark.parametrize(
    ("inputs", "rows", "kind", "names", "shapes", "flat"),
    [
        (UNNAMED, ([[1, 2], [3, 4]],) * 2, "np", ["input-0"], [[2, 2, 2]], [[1, 2, 3, 4] * 2]),
        (NAMED, ({"u": [1, 2, 3], "v": 4},), "dict", ["u", "v"], [[1, 3], [1]], [[1, 2, 3], [4]]),
        (WITH_RATE, ({"u": [1, 2, 3], "rate": 8},) * 2, "dict", ["u", "rate"], [[2, 3], []], [[1, 2, 3] * 2, [8]]),
        (UNNAMED, ("twelve",), "np", ["input-0"], [[1]], [["twelve"]]),
    ],
)
def test_tensors_travel_flat_with_their_shape(inputs, rows, kind, names, shapes, flat):
    """One unnamed, several named, one without axes, which goes once a request, and one that is none."""
    document = sent(v2(inputs), Batch(columns=None, rows=rows))
    assert document["parameters"] == {"content_type": kind}
    assert [entry["name"] for entry in document["inputs"]] == names
    assert [entry["shape"] for entry in document["inputs"]] == shapes
    assert [entry["data"] for entry in document["inputs"]] == flat


@pytest.mark.parametrize(
    ("dtype", "datatype"),
    [
        ("float16", "FP16"),
        ("float64", "FP64"),
        ("uint8", "UINT8"),
        ("int16", "INT16"),
        ("bool", "BOOL"),
        ("str", "BYTES"),
    ],
)
def test_every_tensor_type_has_its_datatype(dtype, datatype):
    """As `mlserver.codecs.numpy` names them."""
    document = sent(v2(TensorSchema((Tensor(None, dtype, (-1,)),))), Batch(columns=None, rows=(1,)))
    assert document["inputs"][0]["datatype"] == datatype


def test_columns_without_names_travel_by_position():
    """MLServer calls them so in its metadata."""
    unnamed = ColumnSchema(tuple(Column(None, DataType.DOUBLE, required=True) for _ in range(2)))
    document = sent(v2(unnamed), Batch(columns=None, rows=([1.0, 2.0], [3.0, 4.0])))
    assert {entry["name"]: entry["data"] for entry in document["inputs"]} == {
        "input-0": [1.0, 3.0],
        "input-1": [2.0, 4.0],
    }
    placed = Batch(columns=(0, 1), rows=([1.0, 2.0], [3.0, 4.0]))
    assert sent(v2(unnamed), placed) == document


def test_a_column_that_is_not_declared_travels_as_it_looks():
    """A model without a signature is still asked for its example."""
    row = [True, 1, 0.5, "a", [1, 2], None]
    document = sent(v2(), Batch(columns=tuple("bifsla"), rows=(row,)))
    looks = [(entry["datatype"], entry["parameters"]["content_type"]) for entry in document["inputs"]]
    assert looks[:4] == [("BOOL", "np"), ("INT64", "np"), ("FP64", "np"), ("BYTES", "str")]


def test_what_json_does_not_have_is_not_sent():
    """Neither a NaN nor an encoding of the other protocol."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        v2(TABLE).encode(Batch(columns=("d",), rows=([float("nan")],)))
    with pytest.raises(ValueError, match="one encoding"):
        v2(TABLE).encode(Batch(columns=("d",), rows=([1.0],)), Encoding.SPLIT)


@pytest.mark.parametrize(
    "example",
    [
        {"dataframe_split": {"columns": ["d", "s"], "data": [[1.5, "x"], [2.5, "y"]]}},
        {"dataframe_split": {"columns": ["d", "s"], "index": [0, 1], "data": [[1.5, "x"], [2.5, "y"]]}},
        {"dataframe_records": [{"d": 1.5, "s": "x"}, {"d": 2.5, "s": "y"}]},
        {"inputs": {"d": [1.5, 2.5], "s": ["x", "y"]}},
        {"instances": [{"d": 1.5, "s": "x"}, {"d": 2.5, "s": "y"}]},
    ],
)
def test_the_logged_example_becomes_the_same_request_from_every_encoding(example):
    """The example is a file of MLflow's; the rows in it are the model's."""
    protocol = v2(TABLE)
    expected = protocol.encode(Batch(columns=("d", "s"), rows=([1.5, "x"], [2.5, "y"])))
    assert protocol.encode_example(json.dumps(example).encode()) == expected


def test_a_logged_tensor_becomes_the_same_request():
    """One unnamed tensor is one list."""
    rows = [[[1.0, 2.0], [3.0, 4.0]]]
    body = json.dumps({"inputs": rows}).encode()
    assert v2(UNNAMED).encode_example(body) == v2(UNNAMED).encode(Batch(columns=None, rows=tuple(rows)))


def test_a_logged_value_alone_is_a_tensor_without_axes_or_the_only_row():
    """MLflow writes both without a list, and a text is one value and not its letters."""
    rate = Batch(columns=None, rows=({"u": [1, 2, 3], "rate": 8},))
    logged = json.dumps({"inputs": {"u": [[1, 2, 3]], "rate": 8}}).encode()
    assert v2(WITH_RATE).encode_example(logged) == v2(WITH_RATE).encode(rate)
    row = Batch(columns=("d", "s"), rows=([1.5, "word"],))
    logged = json.dumps({"inputs": {"d": 1.5, "s": "word"}}).encode()
    assert v2(TABLE).encode_example(logged) == v2(TABLE).encode(row)


@pytest.mark.parametrize(
    "raw", [b"[]", b"{", b'{"rows": 1}', b'{"dataframe_split": {"columns": ["a"], "data": 5}}', b'{"inputs": 3}']
)
def test_what_is_no_example_is_said(raw):
    """In one type of error."""
    with pytest.raises(ValueError):  # noqa: PT011  (each has words of its own)
        v2(TABLE).encode_example(raw)


@pytest.mark.parametrize(
    ("outputs", "document", "rows"),
    [
        (None, answered(output([0.5, 1.5])), [0.5, 1.5]),
        (column(), answered(output([0.5, 1.5])), [0.5, 1.5]),
        (TensorSchema((Tensor(None, "float64", (-1,)),)), answered(output([0.5, 1.5])), [0.5, 1.5]),
        (TensorSchema((Tensor(None, "float64", (-1, 1)),)), answered(output([0.5, 1.5])), [[0.5], [1.5]]),
        (None, answered(output([1, 2, 3, 4], shape=[2, 2])), [[1, 2], [3, 4]]),
        (None, answered(output([[1, 2], [3, 4]], shape=[2, 2])), [[1, 2], [3, 4]]),
        (None, answered(output(list(range(8)), shape=[2, 2, 2])), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        (None, answered(output([1, 2], shape=[2])), [1, 2]),
        (None, answered(output(["a", "b"], codec="str", datatype="BYTES"), codec="str"), ["a", "b"]),
        (column(name="p"), answered(output([1.5], name="p", codec=None), codec="pd"), [{"p": 1.5}]),
        (
            None,
            answered(output([1.5, 2.5], name="p", codec=None), output([1, 2], name="n", codec=None), codec="pd"),
            [{"p": 1.5, "n": 1}, {"p": 2.5, "n": 2}],
        ),
        (None, answered(output(["[1,2]"], name="p", codec="pd_json"), codec="pd"), [{"p": [1, 2]}]),
        (
            TensorSchema((Tensor("y", "float64", (-1,)), Tensor("z", "float64", (-1, 1)))),
            answered(output([7.0], name="y"), output([8.0], name="z"), codec="dict"),
            [{"y": 7.0, "z": [8.0]}],
        ),
    ],
)  # fmt: skip
def test_rows_are_those_of_mlflows_server(outputs, document, rows):
    """Scalars, rows of an array, records of a frame, named tensors."""
    assert v2(outputs=outputs).rows(document) == rows


@pytest.mark.parametrize(
    "document",
    [
        {"predictions": [1]}, [], {"outputs": []}, {"outputs": [1]}, {"outputs": "x"}, answered({"name": "a"}),
        answered(output([1.0], shape=[2, 1])), answered(output([1.0], shape=[-1, 1])), answered(output([1.0], shape=[True])),
        answered(output([1.0], shape=[1] * 33)), answered({"name": "a", "shape": [1], "data": None}),
        answered(output([1.0], name="a"), output([1.0, 2.0], name="b"), codec="pd"),
        answered(output([1.0], name="a"), output([1.0], name="a"), codec="pd"),
        answered(output(["{"], codec="pd_json"), codec="pd"), answered(output(["NaN"], codec="pd_json"), codec="pd"),
    ],
)  # fmt: skip
def test_what_is_no_prediction_is_said(document):
    """Whatever else a server may answer with 200."""
    with pytest.raises(NotAPrediction):
        v2().rows(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
shaped = st.fixed_dictionaries({"name": st.text(max_size=2), "shape": json_values, "data": json_values})


@given(outputs=st.lists(shaped | json_values, max_size=3), parameters=json_values)
def test_reading_any_answer_gives_rows_or_the_one_error(outputs, parameters):
    """A model writes this; nothing else may come out of it."""
    try:
        rows = v2(outputs=column()).rows({"outputs": outputs, "parameters": parameters})
    except NotAPrediction:
        return
    assert isinstance(rows, list)
    nonconformities(rows, column(), expected_rows=1)


def test_null_is_a_finding_where_the_output_is_required():
    """MLServer spells NaN and infinity so."""
    protocol = v2(outputs=column())
    body = json.dumps(answered(output([0.5, None]))).encode()
    answer = Answer(status=200, content_type="application/json", body=body, elapsed_s=0.0, read=protocol.rows)
    assert nonconformities(answer.rows(), column(), expected_rows=2) == ["row 1: output '0' is null, declared double"]
    assert nonconformities(answer.rows(), None, expected_rows=2) == ["row 1: None is not finite"]
    assert nonconformities(answer.rows(), column(required=False), expected_rows=2) == []


def test_a_null_may_be_meant_where_an_output_is_optional():
    """Then a load run can not tell it from a NaN, and does not try."""
    assert v2().null_is_an_error
    assert v2(outputs=column()).null_is_an_error
    assert not v2(outputs=column(required=False)).null_is_an_error


@pytest.mark.parametrize(
    ("body", "held"),
    [
        (b'{"outputs": [{"data": [1.0, null]}]}', True),
        (b'{"outputs": [{"data": [1]}, {"data": [[null]]}]}', True),
        (b'{"outputs": [{"data": ["null"]}]}', False),
        (b'{"id": null, "outputs": [{"data": [1]}]}', False),
        (b"null", False),
        (b'{"predictions": [null]}', False),
        (b"null {", False),
    ],
)
def test_null_is_looked_for_in_the_outputs_alone(body, held):
    """Not in a label, not beside them."""
    assert holds_null(body) is held


def test_the_server_decides_the_protocol():
    """By name or by identity; an unknown one speaks MLflow's."""
    signature = Signature(inputs=None, outputs=None)
    assert isinstance(protocol_of("mlserver", signature), V2)
    assert isinstance(protocol_of("mlserver+mlgate.serving@sha256:0", signature), V2)
    assert isinstance(protocol_of("mlflow+mlgate.serving@sha256:0", signature), Invocations)


def test_mlflows_protocol_is_what_it_was():
    """The example as it was logged, split frames, the predictions key."""
    protocol = Invocations()
    assert protocol.encode_example(b"{}") == (b"{}", "application/json")
    assert json.loads(protocol.encode(Batch(columns=("a",), rows=([1],)))[0]) == {
        "dataframe_split": {"columns": ["a"], "data": [[1]]}
    }
    assert protocol.rows({"predictions": [1]}) == [1]
    with pytest.raises(NotAPrediction):
        protocol.rows({"outputs": [1]})
