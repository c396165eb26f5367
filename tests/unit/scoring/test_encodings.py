"""Rows that are compared across encodings reach the model unchanged in each: by MLflow's own server code."""

import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models.utils import _enforce_schema
from mlflow.pyfunc.scoring_server import infer_and_parse_data, parse_csv_input
from mlflow.types.schema import AnyType as MlflowAny
from mlflow.types.schema import Array, ColSpec, Schema, TensorSpec

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    Signature,
    Tensor,
    TensorSchema,
)
from mlgate.scoring.encodings import NA_WORDS, comparable
from mlgate.scoring.payloads import Batch, Encoding, encode

SCALARS = {
    "b": (DataType.BOOLEAN, st.booleans()),
    "i": (DataType.INTEGER, st.integers(-(2**31) + 1, 2**31 - 1)),
    "l": (DataType.LONG, st.integers(-(2**53) + 1, 2**53 - 1)),
    "f": (DataType.FLOAT, st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "d": (DataType.DOUBLE, st.floats(allow_nan=False, allow_infinity=False) | st.none()),
    "s": (DataType.STRING, st.text(max_size=6) | st.sampled_from(sorted(NA_WORDS)) | st.none()),
    "t": (DataType.DATETIME, st.sampled_from(["2020-01-02T03:04:05", "1969-12-31T00:00:00"])),
}
OPTIONAL = {"d", "s"}


def signature_of(names):
    """Return ours and MLflow's schema of some of the scalar columns."""
    ours = tuple(Column(name, SCALARS[name][0], name not in OPTIONAL) for name in names)
    theirs = Schema([ColSpec(str(SCALARS[name][0]), name, required=name not in OPTIONAL) for name in names])
    return Signature(inputs=ColumnSchema(ours), outputs=None), theirs


def seen(batch, encoding, schema):
    """Return the cells that a model of *schema* gets, by MLflow's parser and its enforcement."""
    body, _ = encode(batch, encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if encoding is Encoding.CSV:
            data = parse_csv_input(io.StringIO(body.decode()), schema)
        else:
            data = infer_and_parse_data(json.loads(body), schema)
        frame = _enforce_schema(data, schema)
    return {name: [cell(value) for value in frame[name].tolist()] for name in frame}


def cell(value):
    """Return a cell as what a model can tell it from another by: null is null, whatever pandas calls it."""
    return "null" if pd.api.types.is_scalar(value) and pd.isna(value) else (type(value).__name__, value)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_rows_that_fit_an_encoding_reach_the_model_as_by_the_reference(data):
    """Any text, any number, nulls: what is kept is the same to the last bit."""
    names = sorted(data.draw(st.sets(st.sampled_from(sorted(SCALARS)), min_size=1)))
    row = st.tuples(*(SCALARS[name][1] for name in names)).map(list)
    batch = Batch(columns=tuple(names), rows=tuple(data.draw(st.lists(row, min_size=1, max_size=5))))
    signature, schema = signature_of(names)
    known = comparable(signature, batch)
    assert known.reference is Encoding.SPLIT
    assert {*known.fits, *known.left_out} == set(Encoding) - {Encoding.SPLIT}
    for encoding in known.fits:
        kept = known.rows(batch, encoding, limit=10)
        if kept:
            assert seen(kept, encoding, schema) == seen(kept, Encoding.SPLIT, schema)


@pytest.mark.parametrize(
    ("value", "left_out"),
    [
        ("plain", set()),
        (None, {Encoding.INPUTS, Encoding.INSTANCES, Encoding.CSV}),
        ("", {Encoding.CSV}),
        ("  ", {Encoding.CSV}),
        ("NA", {Encoding.CSV}),
        ("null", {Encoding.CSV}),
        ("a\rb", {Encoding.CSV}),
        ("a\0b", {Encoding.CSV}),
        ("a\0", {Encoding.INPUTS, Encoding.INSTANCES, Encoding.CSV}),
        ("\ud800", {Encoding.CSV}),
        ("a\nb", set()),
        ('say "a", b', set()),
        ("007", set()),
        ("\u202e🙂", set()),
    ],
)
def test_a_text_is_left_out_where_mlflow_hands_over_another(value, left_out):
    """Null becomes the word None, zeros at the end are cut, and CSV knows fewer texts."""
    signature, _ = signature_of("s")
    batch = Batch(columns=("s",), rows=([value],))
    known = comparable(signature, batch)
    assert {encoding for encoding in known.fits if not known.rows(batch, encoding, limit=1)} == left_out


def test_what_is_left_out_would_differ():
    """The rule is no more careful than it has to be: each of these is another value on the other side."""
    _, schema = signature_of("s")
    for value, encoding in (
        (None, Encoding.INPUTS),
        ("a\0", Encoding.INPUTS),
        ("NA", Encoding.CSV),
        ("", Encoding.CSV),
    ):
        batch = Batch(columns=("s",), rows=([value], ["x"]))
        assert seen(batch, encoding, schema) != seen(batch, Encoding.SPLIT, schema)


@pytest.mark.parametrize(
    ("kind", "theirs", "values", "left_out"),
    [
        (DataType.BINARY, "binary", ["aGk="], {Encoding.INPUTS, Encoding.INSTANCES, Encoding.CSV}),
        (DataType.DATETIME, "datetime", ["2020-01-02"], {Encoding.CSV}),
        (
            ArrayType(DataType.DOUBLE),
            Array("double"),
            [[1.5], [2.5, 3.5]],
            {Encoding.INPUTS, Encoding.INSTANCES, Encoding.CSV},
        ),
        (AnyType(), MlflowAny(), [1, "a"], {Encoding.INSTANCES, Encoding.CSV}),
    ],
)
def test_a_type_is_left_out_where_mlflow_hands_over_another(kind, theirs, values, left_out):
    """By its column, with the reason; and what is left out is refused there, or is another value."""
    signature = Signature(
        inputs=ColumnSchema((Column("c", kind, True), Column("k", DataType.LONG, True))), outputs=None
    )
    schema = Schema([ColSpec(theirs, "c"), ColSpec("long", "k")])
    batch = Batch(columns=("c", "k"), rows=tuple([value, place] for place, value in enumerate(values)))
    known = comparable(signature, batch)
    assert set(known.left_out) == left_out
    assert all("'c' is" in reason for reason in known.left_out.values())
    reference = str(seen(batch, Encoding.SPLIT, schema))
    for encoding in known.fits:
        assert str(seen(batch, encoding, schema)) == reference
    for encoding in left_out:
        try:
            other = str(seen(batch, encoding, schema))
        except Exception:  # noqa: BLE001  (MLflow refuses it, each encoding in its own way)
            continue
        assert other != reference


def test_a_model_with_type_hints_takes_one_encoding():
    """Nothing is left to compare."""
    signature, _ = signature_of("d")
    hinted = Signature(inputs=signature.inputs, outputs=None, from_type_hint=True)
    known = comparable(hinted, Batch(columns=("d",), rows=([1.0],)))
    assert (known.reference, dict(known.fits)) == (Encoding.INPUTS, {})
    assert set(known.left_out) == set(Encoding) - {Encoding.INPUTS}


def test_labels_that_are_numbers_have_one_encoding():
    """JSON's keys are text."""
    inputs = ColumnSchema((Column("0", DataType.DOUBLE, True, integer_name=True),))
    known = comparable(Signature(inputs=inputs, outputs=None), Batch(columns=(0,), rows=([1.5],)))
    assert (known.reference, dict(known.fits)) == (Encoding.SPLIT, {})
    schema = Schema([ColSpec("double", 0)])
    with pytest.raises(Exception, match="missing inputs"):
        seen(Batch(columns=(0,), rows=([1.5],)), Encoding.RECORDS, schema)


@pytest.mark.parametrize("name", [None, "x"])
def test_tensors_have_two_encodings(name):
    """`inputs` and `instances`, with the same array."""
    signature = Signature(inputs=TensorSchema((Tensor(name, "float32", (-1, 2)),)), outputs=None)
    rows = ([0.5, 1.5], [2.5, 3.5])
    batch = Batch(columns=None, rows=rows if name is None else tuple({name: row} for row in rows))
    known = comparable(signature, batch)
    assert (known.reference, set(known.fits)) == (Encoding.INPUTS, {Encoding.INSTANCES})
    schema = Schema([TensorSpec(np.dtype("float32"), (-1, 2), name)])
    arrays = []
    for encoding in (Encoding.INPUTS, Encoding.INSTANCES):
        found = _enforce_schema(infer_and_parse_data(json.loads(encode(batch, encoding)[0]), schema), schema)
        arrays.append(found if name is None else found[name])
    assert arrays[0].dtype == arrays[1].dtype == np.float32
    assert np.array_equal(*arrays)


def test_the_words_that_pandas_reads_as_null_are_all_known():
    """By pandas' own list."""
    from pandas._libs.parsers import STR_NA_VALUES

    assert NA_WORDS | {""} == STR_NA_VALUES
