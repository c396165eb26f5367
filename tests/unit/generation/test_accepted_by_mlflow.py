"""What is generated gets through MLflow's own parser and schema enforcement, for signatures of every type."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.pyfunc.scoring_server import _parse_json_data
from mlflow.types.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)

from mlgate.artifacts.signature import parse_signature
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.generation.params import params_space
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations

SCALARS = [DataType[name] for name in ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")]
# MLflow's server converts what is nested by pandas' guess of its type, and refuses these three whatever their value.
NESTED = [kind for kind in SCALARS if kind.name not in {"integer", "float", "datetime"}]
DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "bool", "str", "bytes", "object", "datetime64[ns]", "complex64", "complex128"]  # fmt: skip
NAMES = st.text("abcxyz ä._-🙂", min_size=1, max_size=5)


def nested(children):
    """Types that hold other types."""
    properties = st.lists(
        st.tuples(NAMES, children, st.booleans()), min_size=1, max_size=3, unique_by=lambda part: part[0]
    )
    return st.one_of(
        children.map(Array),
        children.map(Map),
        properties.map(lambda parts: Object([Property(name, kind, required) for name, kind, required in parts])),
    )


KINDS = (
    st.sampled_from(SCALARS)
    | st.just(AnyType())
    | st.recursive(st.sampled_from(NESTED) | st.just(AnyType()), nested, max_leaves=6)
)


@st.composite
def column_schemas(draw):
    """Named columns, some of them optional, or one or more columns without names."""
    kinds = draw(st.lists(KINDS, min_size=1, max_size=5))
    if draw(st.booleans()):
        return Schema([ColSpec(kind) for kind in kinds])
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique=True))
    return Schema([ColSpec(kind, name, required=draw(st.booleans())) for kind, name in zip(kinds, names, strict=True)])


@st.composite
def tensor_schemas(draw):
    """One tensor, or several that share their rows; several axes may be open."""
    shapes = st.lists(st.sampled_from([-1, 1, 2, 3]), max_size=3)
    specs = draw(st.lists(st.tuples(st.sampled_from(DTYPES), shapes), min_size=1, max_size=3))
    if len(specs) == 1 and draw(st.booleans()):
        return Schema([TensorSpec(np.dtype(specs[0][0]), (-1, *specs[0][1]))])
    return Schema(
        [TensorSpec(np.dtype(dtype), (-1, *shape), f"t{place}") for place, (dtype, shape) in enumerate(specs)]
    )


def accepted(schema, batch, *, signature):
    """What a model gets for *batch*; raises what MLflow's server answers with a 4xx."""
    body, _ = Invocations(signature).encode(batch)
    metadata = SimpleNamespace(_is_signature_from_type_hint=lambda: signature.from_type_hint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _enforce_schema(_parse_json_data(body.decode(), metadata, schema).data, schema)


def ours(schema=None, params=None):
    """The signature as mlgate reads it out of the file that MLflow writes."""
    return parse_signature({"signature": ModelSignature(inputs=schema, params=params).to_dict()})


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(column_schemas(), st.integers(0, 2**32), st.sampled_from(Mode))
def test_every_row_of_columns_is_accepted(schema, seed, mode):
    """Parsed as the scoring server parses it, and held to the schema as `predict` holds it."""
    signature = ours(schema)
    space = input_space(signature.inputs, rules={})
    batch = space.sample(20, seed=seed, modes={domain.name: mode for domain in space.domains})
    assert space.holds(batch)
    assert len(accepted(schema, batch, signature=signature)) == 20
    assert space.sample(20, seed=seed) == space.sample(20, seed=seed)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tensor_schemas(), st.integers(0, 2**32), st.sampled_from(Mode))
def test_every_row_of_tensors_is_accepted(schema, seed, mode):
    """With the dtype and the shape that the signature names."""
    signature = ours(schema)
    space = input_space(signature.inputs, rules={})
    batch = space.sample(4, seed=seed, modes={domain.name: mode for domain in space.domains})
    assert space.holds(batch)
    found = accepted(schema, batch, signature=signature)
    arrays = found.values() if isinstance(found, dict) else [found]
    assert all(len(array) == 4 for array in arrays)
    assert all(np.isfinite(array.astype(complex)).all() for array in arrays if array.dtype.kind in "fiuc")


@given(st.integers(0, 2**32))
def test_rows_made_of_real_ones_are_accepted_too(seed):
    """Dates that the data spell in three ways come in one, and whole numbers with a point without it."""
    schema = Schema(
        [ColSpec("datetime", "start"), ColSpec("datetime", "end"), ColSpec("long", "n"), ColSpec("float", "f")]
    )
    signature = ours(schema)
    rows = (
        ["2024-01-01", "2024-01-02T10:00:00", 1.0, 0.1],
        ["2024-01-03 08:00:00", "2024-01-03T09:00:00.5", 7, 0.25],
        ["2024-01-01T00:00:00", "2024-01-09T00:00:00+00:00", 9, 3.0],
    )
    data = Batch(columns=("start", "end", "n", "f"), rows=rows)
    space = input_space(signature.inputs, rules={}, order=["start < end"], data=data, keys=["a", "b", "c"])
    assert len(space.known) == 3
    batch = space.sample(20, seed=seed)
    assert sum(key is not None for key in batch.keys) == 10
    frame = accepted(schema, batch, signature=signature)
    assert (frame["start"] < frame["end"]).all()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from([kind for kind in SCALARS if kind.name != "binary"]), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_every_params_object_is_accepted(kinds, listed, seed):
    """Defaults, other values, and parameters left out."""
    plain = {
        "boolean": True,
        "integer": 3,
        "long": 10,
        "float": 0.5,
        "double": 0.7,
        "string": "fast",
        "datetime": np.datetime64("2024-01-01T00:00:00"),
    }
    specs = [
        ParamSpec(f"p{place}", kind, [plain[kind.name]] if listed else plain[kind.name], (-1,) if listed else None)
        for place, kind in enumerate(kinds)
    ]
    schema = ParamSchema(specs)
    space = params_space(ours(params=schema).params)
    for params in space.sample(20, seed=seed):
        json.dumps(params, allow_nan=False)
        assert set(_enforce_params_schema(params, schema)) == {spec.name for spec in specs}


@pytest.mark.parametrize("kind", ["integer", "float", "datetime"])
def test_what_mlflow_refuses_whatever_its_value_is_generated_all_the_same(kind):
    """The signature promises it: that nobody can send it is for the checks to find, and for docs/inputs.md to tell."""
    schema = Schema([ColSpec(Array(DataType[kind]), "a")])
    signature = ours(schema)
    batch = input_space(signature.inputs, rules={}).sample(20, seed=1)
    with pytest.raises(MlflowException, match="Failed to convert"):
        accepted(schema, batch, signature=signature)
