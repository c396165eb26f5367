"""The valid inputs: every row that is drawn is one that signature, policy and data call valid."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Property,
    Tensor,
    TensorSchema,
    UnsupportedType,
)
from mlgate.errors import PolicyError
from mlgate.policy import InputRule
from mlgate.scoring.input_space import UNKNOWN_RANGE, Mode, Unsupported, example_batch, input_space
from mlgate.scoring.payloads import Batch, encode

NUMBERS = [DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE]
WHOLE = [DataType.INTEGER, DataType.LONG]
SCALARS = [*NUMBERS, DataType.BOOLEAN, DataType.STRING, DataType.DATETIME]
INT_MAX = 2**31 - 1


def space_of(kind, *, rule=None, seen=(), required=True, name="a"):
    """The input space of one column."""
    known = [Batch(columns=(name,), rows=tuple([value] for value in seen))] if seen else []
    return input_space(ColumnSchema((Column(name, kind, required),)), rules={name: rule} if rule else {}, known=known)


def drawn(space, n=200, seed=1, mode=None):
    """The values of the only column."""
    modes = None if mode is None else {space.domains[0].name: mode}
    return [row[0] for row in space.sample(n, seed=seed, modes=modes).rows]


modes = st.none() | st.sampled_from(Mode)
bounds = st.floats(-1.7e308, 1.7e308) | st.floats(-100, 100) | st.integers(-(10**6), 10**6).map(float)
some_numbers = st.lists(st.floats(allow_nan=True) | st.integers(-(2**53), 2**53) | st.booleans(), max_size=4)


@given(st.sampled_from(NUMBERS), st.none() | bounds, st.none() | bounds, some_numbers, modes, st.integers(0, 2**32))
def test_every_number_is_inside_its_domain(kind, low, high, seen, mode, seed):
    """Rules, known rows and the type's edge: whole where the type is whole, representable where it has 32 bits."""
    if low is not None and high is not None and low > high:
        low, high = high, low
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            space = space_of(kind, rule=InputRule(min=low, max=high), seen=seen)
    except Unsupported:
        # Only a declared range can be without a value of the type; what was seen never is.
        assert (low, high) != (None, None)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = drawn(space, n=40, seed=seed, mode=mode)
    domain = space.domains[0]
    for value in values:
        assert math.isfinite(value)
        assert low is None or value >= low
        assert high is None or value <= high
        assert domain.low <= value <= domain.high
        assert type(value) is (int if kind in WHOLE else float)
        if kind is DataType.INTEGER:
            assert abs(value) <= INT_MAX
        if kind is DataType.LONG:
            assert abs(value) < 2**53
        if kind is DataType.FLOAT:
            assert float(np.float32(value)) == value
    encode(space.sample(5, seed=seed))


@pytest.mark.parametrize("kind", NUMBERS)
def test_where_nothing_is_known_the_range_is_a_million(kind):
    """A healthy forest raises on 3.5e38: the dtype's edge is no domain."""
    domain = space_of(kind).domains[0]
    assert (domain.low, domain.high) == (-UNKNOWN_RANGE, UNKNOWN_RANGE)
    values = drawn(space_of(kind))
    assert min(values) == -UNKNOWN_RANGE
    assert max(values) == UNKNOWN_RANGE


def test_a_known_range_is_widened_once():
    """By its own width, on both sides; null and what is no number say nothing."""
    domain = space_of(DataType.DOUBLE, seen=[20.0, None, 30.0, float("nan"), True, 10**400]).domains[0]
    assert (domain.low, domain.high, domain.default) == (10.0, 40.0, 20.0)
    whole = space_of(DataType.LONG, seen=[2.5, 4.0, 6]).domains[0]
    assert (whole.low, whole.high, whole.default) == (2, 8, 4)
    assert type(whole.default) is int


@pytest.mark.parametrize(
    ("rule", "seen", "low", "high"),
    [
        (InputRule(min=0), [20.0, 30.0], 0, 40),
        (InputRule(min=0, max=120), [20.0, 30.0], 0, 120),
        (InputRule(max=5), [20.0, 30.0], -25, 5),
        (InputRule(min=100), [20.0, 30.0], 100, 130),
        (InputRule(min=1_600_000_000), [], 1_600_000_000, 1_602_000_000),
        (InputRule(max=-2_000_000), [], -4_000_000, -2_000_000),
        (InputRule(min=7, max=7), [], 7, 7),
    ],
)
def test_a_declared_bound_is_never_passed(rule, seen, low, high):
    """Also where it is beyond everything that was seen: the other bound follows it."""
    domain = space_of(DataType.DOUBLE, rule=rule, seen=seen).domains[0]
    assert (domain.low, domain.high) == (low, high)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (DataType.LONG, InputRule(min=0.2, max=0.8)),
        (DataType.INTEGER, InputRule(min=3e9)),
        (DataType.LONG, InputRule(min=1e300)),
        (DataType.FLOAT, InputRule(min=1e39)),
    ],
)
def test_a_range_without_a_value_of_the_type_is_refused(kind, rule):
    """Generated from nowhere, every value would be against the rule."""
    with pytest.raises(Unsupported, match=f"inputs.a: no {kind} lies between min and max"):
        space_of(kind, rule=rule)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DataType.STRING, ("basic", "pro")),
        (DataType.LONG, (1, 5)),
        (DataType.DOUBLE, (0.5, 1)),
        (DataType.BOOLEAN, (True,)),
        (DataType.DATETIME, ("2024-01-01",)),
    ],
)
@pytest.mark.parametrize("mode", [None, *Mode])
def test_listed_values_are_all_there_is(kind, values, mode):
    """A rule wins over the type and over what was seen."""
    space = space_of(kind, rule=InputRule(values=values), seen=["other"])
    found = set(drawn(space, mode=mode))
    assert found == ({values[0]} if mode is Mode.DEFAULT else set(values))


@pytest.mark.parametrize(
    ("kind", "rule", "says"),
    [
        (DataType.LONG, InputRule(values=(0.5,)), "0.5 is no long"),
        (DataType.LONG, InputRule(values=(True,)), "True is no long"),
        (DataType.STRING, InputRule(values=(1,)), "1 is no string"),
        (DataType.BOOLEAN, InputRule(values=(1,)), "1 is no boolean"),
        (DataType.DOUBLE, InputRule(values=("a",)), "'a' is no double"),
        (DataType.STRING, InputRule(min=0), "min and max are for numbers"),
        (DataType.BOOLEAN, InputRule(max=1), "min and max are for numbers"),
        (DataType.DATETIME, InputRule(min=0), "min and max are for numbers"),
    ],
)
def test_a_rule_that_does_not_fit_the_type_is_refused(kind, rule, says):
    """Ignored, it would look as if it held."""
    with pytest.raises(Unsupported, match=f"properties.inputs.a: {says}"):
        space_of(kind, rule=rule)


def test_a_rule_for_no_column_is_refused_by_name():
    """And one for a tensor, which nothing would apply."""
    columns = ColumnSchema((Column("a", DataType.DOUBLE, True),))
    with pytest.raises(PolicyError, match="names 'b', which is no input column"):
        input_space(columns, rules={"b": InputRule(min=0)})
    with pytest.raises(Unsupported, match="names 'x', and rules for tensors are not built yet"):
        input_space(TensorSchema((Tensor("x", "float64", (-1,)),)), rules={"x": InputRule(min=0)})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (DataType.BINARY, "binary"),
        (ArrayType(DataType.DOUBLE), "ArrayType"),
        (ObjectType((Property("p", DataType.DOUBLE, True),)), "ObjectType"),
        (MapType(DataType.DOUBLE), "MapType"),
        (AnyType(), "AnyType"),
        (UnsupportedType("sparkml_vector"), "UnsupportedType"),
    ],
)
def test_a_type_that_can_not_be_generated_is_named_with_its_column(kind, name):
    """Never a row of something else."""
    with pytest.raises(Unsupported, match=f"column 'history' has type {name}"):
        space_of(kind, name="history")


@pytest.mark.parametrize("dtype", ["object", "complex128", "datetime64[ns]", "<U5"])
def test_a_tensor_that_can_not_be_generated_is_named(dtype):
    """With its dtype."""
    with pytest.raises(Unsupported, match="tensor 'x' has dtype"):
        input_space(TensorSchema((Tensor("x", dtype, (-1,)),)), rules={})


def test_without_an_input_signature_nothing_is_valid():
    """MLflow then checks nothing, and neither can we."""
    with pytest.raises(Unsupported, match="no input signature"):
        input_space(None, rules={})


@pytest.mark.parametrize("kind", SCALARS)
def test_null_comes_only_where_it_is_valid(kind):
    """An optional column gets some, and never in the default row."""
    assert None not in drawn(space_of(kind))
    optional = space_of(kind, required=False)
    values = drawn(optional)
    assert None in values
    assert any(value is not None for value in values)
    assert None not in drawn(optional, mode=Mode.DEFAULT)


@given(st.sampled_from(SCALARS), st.integers(0, 2**53), modes)
def test_the_same_seed_gives_the_same_rows(kind, seed, mode):
    """A rerun repeats; another seed does not."""
    space = space_of(kind)
    assert drawn(space, n=30, seed=seed, mode=mode) == drawn(space, n=30, seed=seed, mode=mode)
    if mode in (None, Mode.SPREAD) and kind is DataType.DOUBLE:
        assert drawn(space, n=30, seed=seed, mode=mode) != drawn(space, n=30, seed=seed + 1, mode=mode)


def test_each_mode_fills_a_column_in_its_own_way():
    """Edges only, no edges, the default only."""
    space = space_of(DataType.DOUBLE, rule=InputRule(min=-3, max=7), seen=[2.0])
    edges = set(drawn(space, mode=Mode.EDGES))
    assert {-3.0, 7.0, 0.0, 1.0, -1.0, 2.0} <= edges
    assert len(edges) < 12
    assert not {-3.0, 7.0} & set(drawn(space, mode=Mode.SPREAD))
    assert set(drawn(space, mode=Mode.DEFAULT)) == {2.0}


def test_words_are_those_that_were_seen():
    """An unknown word is as invalid to an encoder as an unknown column."""
    assert set(drawn(space_of(DataType.STRING, seen=["a", "b", "a"]))) == {"a", "b"}
    unknown = drawn(space_of(DataType.STRING))
    assert "" in unknown
    assert any(not word.isascii() for word in unknown)
    assert max(map(len, drawn(space_of(DataType.STRING), mode=Mode.EDGES))) > 100


def test_times_are_times():
    """As MLflow's JSON has them."""
    from datetime import datetime

    for text in drawn(space_of(DataType.DATETIME)):
        assert 2000 <= datetime.fromisoformat(text).year <= 2032


def test_integer_column_labels_stay_integers():
    """MLflow compares them without converting, and a known row is found by them."""
    schema = ColumnSchema(
        (Column("0", DataType.DOUBLE, True, integer_name=True), Column("1", DataType.LONG, True, integer_name=True))
    )
    known = Batch(columns=(0, 1), rows=([5.0, 7], [6.0, 7]))
    space = input_space(schema, rules={}, known=[known])
    batch = space.sample(3, seed=1)
    assert batch.columns == (0, 1)
    assert (space.domains[0].low, space.domains[0].high) == (4.0, 7.0)
    assert json.loads(encode(batch)[0])["dataframe_split"]["columns"] == [0, 1]


def test_columns_keep_the_order_of_the_signature():
    """Each with its own domain."""
    schema = ColumnSchema((Column("z", DataType.LONG, True), Column("a", DataType.STRING, True)))
    batch = input_space(schema, rules={"a": InputRule(values=("x",))}).sample(4, seed=0)
    assert batch.columns == ("z", "a")
    assert all(isinstance(row[0], int) and row[1] == "x" for row in batch.rows)


def test_unnamed_columns_are_rows_without_labels():
    """They are told apart by position."""
    schema = ColumnSchema((Column(None, DataType.LONG, True), Column(None, DataType.DOUBLE, True)))
    batch = input_space(schema, rules={}).sample(2, seed=0)
    assert batch.columns is None
    assert [len(row) for row in batch.rows] == [2, 2]


TENSOR_DTYPES = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "str",
]


@pytest.mark.parametrize("dtype", TENSOR_DTYPES)
@pytest.mark.parametrize("shape", [(-1,), (-1, 4), (-1, 2, 3), (-1, -1, 2)])
def test_tensors_have_their_shape_and_fit_their_dtype(dtype, shape):
    """Read back by numpy without a change of value; an open axis gets some length."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = input_space(TensorSchema((Tensor(None, dtype, shape),)), rules={}).sample(6, seed=3)
    encode(batch)
    array = np.array(list(batch.rows))
    assert array.shape == (6, *(size if size != -1 else array.shape[axis] for axis, size in enumerate(shape[1:], 1)))
    if dtype == "str":
        assert array.dtype.kind == "U"
    else:
        assert np.all(np.isfinite(array.astype(float)))
        assert np.array_equal(array.astype(dtype).astype(array.dtype), array)


def test_named_tensors_are_named_in_every_row():
    """Also where there is only one."""
    both = TensorSchema((Tensor("x", "float32", (-1, 2)), Tensor("y", "int64", (-1,))))
    for row in input_space(both, rules={}).sample(3, seed=0).rows:
        assert row.keys() == {"x", "y"}
        assert (len(row["x"]), type(row["y"])) == (2, int)
    assert input_space(TensorSchema((Tensor("x", "bool", (-1,)),)), rules={}).sample(1, seed=0).rows[0].keys() == {"x"}


@given(st.sampled_from(SCALARS), st.booleans(), st.integers(0, 1000), modes)
def test_what_is_simpler_is_still_valid_and_something_else(kind, required, seed, mode):
    """The shrinker never leaves the domain, and never tries the same value again."""
    space = space_of(kind, required=required, rule=InputRule(min=5, max=9) if kind in NUMBERS else None)
    domain = space.domains[0]
    for value in drawn(space, n=5, seed=seed, mode=mode):
        for candidate in domain.simpler(value):
            assert candidate != value
            assert candidate is not None or domain.nullable
            if kind in NUMBERS and candidate is not None:
                assert 5 <= candidate <= 9
                assert kind not in WHOLE or type(candidate) is int


def test_the_default_is_the_simplest_and_has_nothing_simpler():
    """So that shrinking ends."""
    domain = space_of(DataType.DOUBLE, seen=[20.0, 30.0]).domains[0]
    assert domain.simpler(33.123)[0] == 20.0
    assert domain.simpler(20.0) == []


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"null", b"{", b"\xff", b"[" * 100_000, b'{"inputs": [1]}', b'{"dataframe_split": 5}', b"[]",
     b'{"dataframe_split": {"columns": 5, "data": 6}}', b'{"dataframe_split": {"columns": ["a"], "data": [5]}}',
     b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}', b'{"dataframe_split": {"columns": ["a"]}}'],
)  # fmt: skip
def test_an_example_without_named_columns_says_nothing(raw):
    """The file is the model's: it may hold anything."""
    assert example_batch(raw) is None


def test_a_logged_example_is_read_with_its_labels():
    """As MLflow writes it."""
    raw = b'{"dataframe_split": {"columns": ["a", 0], "data": [[1.5, "x"], [null, "y"]]}}'
    assert example_batch(raw) == Batch(columns=("a", 0), rows=([1.5, "x"], [None, "y"]))
