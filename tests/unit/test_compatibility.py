"""The relation over signatures: each rule of the table in docs/schema.md, its laws, and MLflow's own word."""

import warnings
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models.utils import _enforce_schema
from mlflow.types import schema as mlflow_schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

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
)
from mlgate.compatibility import accepts, differences, spelled

OUTPUTS = ColumnSchema((Column("p", DataType.DOUBLE, required=True),))
INTEGER, LONG, FLOAT, DOUBLE, STRING = (DataType(name) for name in ("integer", "long", "float", "double", "string"))
OLD = ObjectType((Property("a", LONG, required=True), Property("b", STRING, required=False)))


def columns(*parts, outputs=OUTPUTS, **more):
    """Return a signature with columns `(name, type)` or `(name, type, required)`."""
    made = tuple(Column(part[0], part[1], part[2] if len(part) > 2 else True) for part in parts)
    return Signature(inputs=ColumnSchema(made), outputs=outputs, **more)


def tensors(*parts):
    return Signature(inputs=TensorSchema(tuple(Tensor(*part) for part in parts)), outputs=OUTPUTS)


def properties(*parts):
    return ObjectType(tuple(Property(name, kind, required) for name, kind, required in parts))


def breaks(old, new, **more):
    """Return the places of the differences that break."""
    return [difference.place for difference in differences(old, new, **more) if difference.breaks]


TABLE = columns(("age", DOUBLE), ("n", LONG), ("plan", STRING, False))
WITH_PARAMS = columns(("a", LONG), params=(Param("k", LONG, 3, None), Param("ids", LONG, [1], (-1,))))


@pytest.mark.parametrize(
    "new",
    [
        TABLE,
        columns(("plan", STRING, False), ("n", LONG), ("age", DOUBLE)),
        columns(("age", DOUBLE), ("n", LONG), ("plan", STRING, False), ("more", STRING, False)),
        columns(("age", DOUBLE, False), ("n", LONG), ("plan", STRING, False)),
        columns(("age", DOUBLE), ("n", DOUBLE), ("plan", STRING, False)),
        columns(("age", AnyType()), ("n", LONG), ("plan", STRING, False)),
        columns(("age", DOUBLE), ("n", LONG)),
        replace(TABLE, params=(Param("k", LONG, 3, None),)),
    ],
    ids=["same", "another order", "new optional", "optional now", "long to double", "any", "column gone", "new param"],
)
def test_what_widens_is_allowed(new):
    """Every request that was valid still is."""
    assert breaks(TABLE, new) == []


@pytest.mark.parametrize(
    ("new", "place"),
    [
        (columns(("age", DOUBLE), ("n", LONG), ("plan", STRING, False), ("more", STRING)), "inputs.more"),
        (columns(("age", FLOAT), ("n", LONG), ("plan", STRING, False)), "inputs.age"),
        (columns(("age", DOUBLE), ("n", INTEGER), ("plan", STRING, False)), "inputs.n"),
        (columns(("age", DOUBLE), ("n", STRING), ("plan", STRING, False)), "inputs.n"),
        (columns(("age", DOUBLE), ("n", LONG), ("plan", STRING)), "inputs.plan"),
        (columns((None, DOUBLE), (None, LONG), (None, STRING)), "inputs"),
        (tensors((None, "float64", (-1, 3))), "inputs"),
        (replace(TABLE, inputs=None), "inputs"),
        (replace(TABLE, from_type_hint=True), "inputs"),
        (replace(TABLE, outputs=None), "outputs"),
        (replace(TABLE, outputs=ColumnSchema((Column("p", FLOAT, required=True),))), "outputs.p"),
        (replace(TABLE, outputs=ColumnSchema((Column("p", DOUBLE, required=False),))), "outputs.p"),
        (replace(TABLE, outputs=TensorSchema((Tensor(None, "float64", (-1,)),))), "outputs"),
    ],
)
def test_what_narrows_or_changes_the_answer_breaks(new, place):
    """And is named by its place."""
    assert breaks(TABLE, new) == [place]


def test_a_renamed_output_breaks_twice():
    """One is gone and one is new; their order says nothing."""
    two = (Column("p", DOUBLE, required=True), Column("q", LONG, required=True))
    old, turned = (replace(TABLE, outputs=ColumnSchema(order)) for order in (two, two[::-1]))
    assert breaks(old, turned) == []
    renamed = replace(TABLE, outputs=ColumnSchema((two[0], replace(two[1], name="r"))))
    assert breaks(old, renamed) == ["outputs.q", "outputs.r"]


def test_a_column_that_is_gone_breaks_where_unknown_columns_are_refused():
    """`schema.extra_column` of the policy: every old request holds it."""
    new = columns(("age", DOUBLE), ("n", LONG))
    assert breaks(TABLE, new, extra="refuse") == ["inputs.plan"]
    assert [str(found) for found in differences(TABLE, new)] == ["inputs.plan: gone: requests that hold it are ignored"]


def test_a_label_that_was_a_number_is_another_one_as_text():
    """MLflow compares without converting."""
    number = Signature(inputs=ColumnSchema((Column("0", LONG, required=True, integer_name=True),)), outputs=OUTPUTS)
    assert breaks(number, columns(("0", LONG))) == ["inputs.0"]


def test_columns_without_names_are_compared_by_place():
    """MLflow counts them, so that an optional new one breaks too; one fewer is a column too many."""
    old = columns((None, LONG), (None, STRING))
    assert breaks(old, columns((None, DOUBLE), (None, STRING))) == []
    assert breaks(old, columns((None, STRING), (None, LONG))) == ["inputs.0", "inputs.1"]
    assert breaks(old, columns((None, LONG), (None, STRING), (None, STRING, False))) == ["inputs.2"]
    assert breaks(old, columns((None, LONG))) == []


SCALAR_PAIRS = [(old, new) for old in DataType for new in DataType if old is not new]
WIDER = {(INTEGER, LONG), (INTEGER, DOUBLE), (LONG, DOUBLE), (FLOAT, DOUBLE)}


@pytest.mark.parametrize(("old", "new"), SCALAR_PAIRS)
def test_of_two_scalars_one_is_wider_in_four_cases_only(old, new):
    """Without loss: 24 bits of a float hold no integer of 32."""
    assert accepts(new, old) is ((old, new) in WIDER)


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        (ArrayType(INTEGER), ArrayType(LONG), True),
        (ArrayType(LONG), ArrayType(INTEGER), False),
        (LONG, ArrayType(LONG), False),
        (ArrayType(LONG), AnyType(), True),
        (AnyType(), ArrayType(LONG), False),
        (ArrayType(ArrayType(FLOAT)), ArrayType(ArrayType(DOUBLE)), True),
        (ArrayType(LONG), ArrayType(DOUBLE), False),
        (MapType(INTEGER), MapType(LONG), True),
        (MapType(LONG), MapType(STRING), False),
        (OLD, properties(("a", LONG, True), ("b", STRING, False), ("c", STRING, False)), True),
        (OLD, properties(("a", LONG, True), ("b", STRING, False), ("c", STRING, True)), False),
        (OLD, properties(("a", LONG, False), ("b", STRING, False)), True),
        (OLD, properties(("a", LONG, True), ("b", STRING, True)), False),
        (OLD, properties(("a", LONG, True)), False),
        (OLD, properties(("a", DOUBLE, True), ("b", STRING, False)), False),
        (OLD, properties(("a", INTEGER, True), ("b", STRING, False)), False),
        (OLD, properties(("a", LONG, True), ("b", AnyType(), False)), True),
        (OLD, MapType(AnyType()), False),
        (properties(("a", LONG, True), ("b", INTEGER, True)), MapType(LONG), True),
        (properties(("a", LONG, True), ("b", STRING, True)), MapType(LONG), False),
        (MapType(LONG), OLD, False),
        (UnsupportedType("sparkml_vector"), UnsupportedType("sparkml_vector"), True),
        (UnsupportedType("sparkml_vector"), UnsupportedType("other"), False),
    ],
)
def test_of_two_nested_types_one_is_wider_part_by_part(old, new, wider):
    """A property that is gone breaks: MLflow refuses one that it does not know."""
    assert accepts(new, old) is wider
    assert breaks(columns(("c", old)), columns(("c", new))) == ([] if wider else ["inputs.c"])


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        (("x", "float32", (-1, 3)), ("x", "float64", (-1, 3)), True),
        (("x", "float64", (-1, 3)), ("x", "float32", (-1, 3)), False),
        (("x", "int32", (-1, 3)), ("x", "float64", (-1, 3)), True),
        (("x", "int32", (-1, 3)), ("x", "float32", (-1, 3)), False),
        (("x", "uint8", (-1, 3)), ("x", "int16", (-1, 3)), True),
        (("x", "int8", (-1, 3)), ("x", "uint8", (-1, 3)), False),
        (("x", "bool", (-1, 3)), ("x", "int64", (-1, 3)), False),
        (("x", "str", (-1, 3)), ("x", "object", (-1, 3)), False),
        (("x", "float32", (-1, 3)), ("x", "float32", (-1, -1)), True),
        (("x", "float32", (-1, -1)), ("x", "float32", (-1, 3)), False),
        (("x", "float32", (-1, 3)), ("x", "float32", (-1, 3, 1)), False),
        (("x", "float32", (-1, 3)), ("x", "float32", (1, 3)), False),
        (("x", "float32", (-1, 3)), ("y", "float32", (-1, 3)), False),
        (("x", "float32", (-1, 3)), (None, "float32", (-1, 3)), False),
    ],
)
def test_a_tensor_may_widen_in_type_and_in_each_axis(old, new, wider):
    """Numbers without loss, and -1 for a length."""
    assert (breaks(tensors(old), tensors(new)) == []) is wider


def test_a_new_tensor_breaks_and_one_that_is_gone_does_not():
    """No tensor is optional; one too many is ignored."""
    one, other = ("x", "float32", (-1,)), ("y", "float32", (-1,))
    assert breaks(tensors(one), tensors(one, other)) == ["inputs.y"]
    assert breaks(tensors(one, other), tensors(one)) == []
    assert breaks(tensors(one, other), tensors(one), extra="refuse") == ["inputs.y"]


@pytest.mark.parametrize(
    ("params", "places"),
    [
        (WITH_PARAMS.params, []),
        (WITH_PARAMS.params[:1], ["params.ids"]),
        ((Param("k", DOUBLE, 3.0, None), WITH_PARAMS.params[1]), []),
        ((Param("k", INTEGER, 3, None), WITH_PARAMS.params[1]), ["params.k"]),
        ((Param("k", LONG, [3], (-1,)), WITH_PARAMS.params[1]), ["params.k"]),
        ((Param("k", LONG, 4, None), WITH_PARAMS.params[1]), []),
        ((*WITH_PARAMS.params, Param("new", STRING, "a", None)), []),
    ],
    ids=["same", "gone", "wider", "narrower", "a list now", "another default", "new"],
)
def test_params_may_widen_and_not_go(params, places):
    """One that is gone would be ignored without a word; another default is told of."""
    assert breaks(WITH_PARAMS, replace(WITH_PARAMS, params=params)) == places


def test_a_changed_default_is_told_of():
    """It breaks no request."""
    new = replace(WITH_PARAMS, params=(Param("k", LONG, 4, None), WITH_PARAMS.params[1]))
    assert [str(found) for found in differences(WITH_PARAMS, new)] == ["params.k: default 3, now 4"]


def test_what_breaks_comes_first():
    """In a list that is cut, it is what must be seen."""
    new = columns(("age", DOUBLE, False), ("n", INTEGER), ("plan", STRING, False))
    assert [found.breaks for found in differences(TABLE, new)] == [True, False]


def test_a_type_is_spelled_with_what_is_inside_of_it():
    """A reader must see which part changed."""
    assert spelled(ArrayType(OLD)) == "array of object {a: long, b: string?}"
    assert spelled(MapType(AnyType())) == "map of any"


# The laws.

TYPES = st.recursive(
    st.sampled_from([*DataType, AnyType()]),
    lambda inner: st.one_of(
        inner.map(ArrayType),
        inner.map(MapType),
        st.dictionaries(st.sampled_from("abc"), st.tuples(inner, st.booleans()), min_size=1).map(
            lambda parts: properties(*((name, *part) for name, part in sorted(parts.items())))
        ),
    ),
    max_leaves=5,
)


@given(TYPES)
def test_every_type_accepts_itself(kind):
    """A champion against itself."""
    assert accepts(kind, kind)
    assert differences(columns(("c", kind)), columns(("c", kind))) == ()


def wider_than(kind, draw, *, inside=False):
    """Return a type that accepts *kind*, changed in some parts."""
    if draw(st.integers(0, 5)) == 0:
        return AnyType()
    match kind:
        case DataType():
            return draw(st.sampled_from([kind, *(new for new in DataType if accepts(new, kind, inside=inside))]))
        case ArrayType(items):
            return ArrayType(wider_than(items, draw, inside=True))
        case MapType(values):
            return MapType(wider_than(values, draw, inside=True))
        case ObjectType(parts):
            kept = [
                (part.name, wider_than(part.type, draw, inside=True), part.required and draw(st.booleans()))
                for part in parts
            ]
            more = [("z", STRING, False)] if draw(st.booleans()) else []
            return properties(*kept, *more)
    return kind


@given(st.data())
def test_the_relation_is_transitive(data):
    """A request that was valid two champions ago is valid now."""
    first = data.draw(TYPES)
    second = wider_than(first, data.draw)
    third = wider_than(second, data.draw)
    assert accepts(second, first)
    assert accepts(third, second)
    assert accepts(third, first)


VALUES = {
    DataType.BOOLEAN: st.booleans(),
    DataType.INTEGER: st.integers(-(2**31), 2**31 - 1),
    DataType.LONG: st.integers(-(2**53) + 1, 2**53 - 1),
    DataType.FLOAT: st.floats(width=32, allow_nan=False, allow_infinity=False),
    DataType.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    DataType.STRING: st.text(max_size=5),
    DataType.BINARY: st.sampled_from(["aGk=", ""]),
    DataType.DATETIME: st.sampled_from(["2020-01-02T03:04:05", "1999-12-31"]),
}


def value_of(kind, draw):
    """Draw a valid value; no empty list, in which MLflow sees no type."""
    match kind:
        case DataType():
            return draw(VALUES[kind])
        case ArrayType(items):
            return [value_of(items, draw) for _ in range(draw(st.integers(1, 2)))]
        case MapType(values):
            return {name: value_of(values, draw) for name in draw(st.sampled_from(["x", "xy"]))}
        case ObjectType(parts):
            held = [part for part in parts if part.required or draw(st.booleans())]
            return {part.name: value_of(part.type, draw) for part in held}
    return draw(st.sampled_from([1, "a", [1, "b"]]))


def as_mlflow(kind):
    """Return MLflow's own type."""
    match kind:
        case DataType():
            return mlflow_schema.DataType[str(kind)]
        case ArrayType(items):
            return mlflow_schema.Array(as_mlflow(items))
        case MapType(values):
            return mlflow_schema.Map(as_mlflow(values))
        case ObjectType(parts):
            return mlflow_schema.Object(
                [mlflow_schema.Property(part.name, as_mlflow(part.type), part.required) for part in parts]
            )
    return mlflow_schema.AnyType()


def enforced(kind, value):
    """Have MLflow's server's own parser, and its schema, take *value*."""
    declared = mlflow_schema.Schema([mlflow_schema.ColSpec(as_mlflow(kind), "c")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = dataframe_from_parsed_json({"columns": ["c"], "data": [[value]]}, "split", declared)
        return _enforce_schema(frame, declared)


# Inside of others MLflow takes no JSON number for an integer or a float: it converts to neither.
INSIDE = st.recursive(
    st.sampled_from([DataType.BOOLEAN, LONG, DOUBLE, STRING]),
    lambda inner: st.one_of(
        inner.map(ArrayType),
        inner.map(MapType),
        inner.map(lambda kind: properties(("a", kind, True), ("b", STRING, False))),
    ),
    max_leaves=3,
)
WHOLE = st.one_of(st.sampled_from(list(DataType)), INSIDE)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mlflow_takes_every_old_value_by_the_wider_type(data):
    """What the relation allows, MLflow's own parser and schema do accept: whole columns and parts of them."""
    old = data.draw(WHOLE)
    new = wider_than(old, data.draw)
    value = value_of(old, data.draw)
    enforced(old, value)
    enforced(new, value)
