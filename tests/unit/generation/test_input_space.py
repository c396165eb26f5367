"""The valid inputs: every row that is drawn is one that signature, policy and data call valid."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import (
    Column,
    ColumnSchema,
    DataType,
    Tensor,
    TensorSchema,
    UnsupportedType,
)
from mlgate.errors import PolicyError
from mlgate.generation.domain import renamed
from mlgate.generation.input_space import UNKNOWN_RANGE, Mode, Unsupported, input_space
from mlgate.policy_properties import InputRule
from mlgate.scoring.payloads import Batch, encode

NUMBERS = [DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE]
WHOLE = [DataType.INTEGER, DataType.LONG]
SCALARS = [*NUMBERS, DataType.BOOLEAN, DataType.STRING, DataType.DATETIME]
INT_MAX = 2**31 - 1


def space_of(kind, *, rule=None, seen=(), required=True, name="a"):
    """The input space of one column."""
    known = [Batch(columns=(name,), rows=tuple([value] for value in seen))] if seen else []
    return input_space(ColumnSchema((Column(name, kind, required),)), rules={name: rule} if rule else {}, known=known)


def drawn(space, n=200, seed=1, mode=Mode.MIXED):
    """The values of the only column."""
    return space.sample(n, seed=seed, modes={space.domains[0].name: mode}).column(space.domains[0].name)


modes = st.sampled_from(Mode)
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
    except PolicyError:
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
    ("seen", "low", "high"), [([30.0], 0, 60), ([0.5], 0, 1), ([-2.0], -4, 0), ([0.0], -1, 1), ([7.0] * 30, 7, 7)]
)
def test_one_known_value_shows_no_range(seen, low, high):
    """The logged example often is one row: a domain of one point would try nothing. Many equal values are a constant."""
    domain = space_of(DataType.DOUBLE, seen=seen).domains[0]
    assert (domain.low, domain.high, domain.default) == (low, high, seen[0])


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
    with pytest.raises(PolicyError, match=f"inputs.a: no {kind} lies between min and max"):
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
@pytest.mark.parametrize("mode", Mode)
def test_listed_values_are_all_there_is(kind, values, mode):
    """A rule wins over the type and over what was seen."""
    space = space_of(kind, rule=InputRule(values=values), seen=["other"])
    listed = [space.domains[0].spelled(value) for value in values]
    assert set(drawn(space, mode=mode)) == set(listed[:1] if mode in {Mode.DEFAULT, Mode.NULL} else listed)


@pytest.mark.parametrize("names", [["b"], ["b", "x"]])
def test_a_rule_for_no_column_is_refused_by_name(names):
    """And one for no tensor."""
    columns = ColumnSchema((Column("a", DataType.DOUBLE, True),))
    with pytest.raises(PolicyError, match="names 'b', which is no input column"):
        input_space(columns, rules=dict.fromkeys(names, InputRule(min=0)))
    with pytest.raises(PolicyError, match="names 'b', which is no input column"):
        input_space(TensorSchema((Tensor("x", "float64", (-1,)),)), rules=dict.fromkeys(names, InputRule(min=0)))


def test_a_type_that_mlgate_does_not_know_is_named_with_its_column():
    """Never a row of something else."""
    with pytest.raises(Unsupported, match="column 'history' has type sparkml_vector"):
        space_of(UnsupportedType("sparkml_vector"), name="history")


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
    assert (None in values) == (kind not in WHOLE)  # these MLflow's server refuses: the column is left out instead
    assert optional.optional == ("a",)
    assert any(value is not None for value in values)
    assert None not in drawn(optional, mode=Mode.DEFAULT)
    assert set(drawn(optional, mode=Mode.NULL)) == ({None} if kind not in WHOLE else {optional.domains[0].default})


@given(st.sampled_from(SCALARS), st.integers(0, 2**53), modes)
def test_the_same_seed_gives_the_same_rows(kind, seed, mode):
    """A rerun repeats; another seed does not."""
    space = space_of(kind)
    assert drawn(space, n=30, seed=seed, mode=mode) == drawn(space, n=30, seed=seed, mode=mode)
    if mode in {Mode.MIXED, Mode.SPREAD} and kind is DataType.DOUBLE:
        assert drawn(space, n=30, seed=seed, mode=mode) != drawn(space, n=30, seed=seed + 1, mode=mode)


def test_each_mode_fills_a_column_in_its_own_way():
    """Edges only, no edges, the default only."""
    space = space_of(DataType.DOUBLE, rule=InputRule(min=-3, max=7), seen=[2.0])
    edges = set(drawn(space, n=len(space.domains[0].edges), mode=Mode.EDGES))
    assert {-3.0, 7.0, 0.0, 1.0, -1.0, 2.0} <= edges
    assert edges == set(space.domains[0].edges)  # no more rows than edges try each
    assert len(edges) < 12
    assert not {-3.0, 7.0} & set(drawn(space, mode=Mode.SPREAD))
    assert set(drawn(space, mode=Mode.DEFAULT)) == {2.0}


def test_words_are_those_that_were_seen():
    """An unknown word is as invalid to an encoder as an unknown column."""
    assert set(drawn(space_of(DataType.STRING, seen=["a", "b", "a"]))) == {"a", "b"}


def test_times_are_times():
    """As MLflow's JSON has them."""
    from datetime import datetime

    for text in drawn(space_of(DataType.DATETIME)):
        assert 1970 <= datetime.fromisoformat(text).year <= 2032


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


def test_unnamed_columns_are_labelled_by_their_place():
    """As pandas labels a frame without names; rules call them so as well."""
    schema = ColumnSchema((Column(None, DataType.LONG, True), Column(None, DataType.DOUBLE, True)))
    space = input_space(schema, rules={"1": InputRule(min=2, max=3)})
    batch = space.sample(20, seed=0)
    assert batch.columns == (0, 1)
    assert all(2 <= value <= 3 for value in batch.column(1))


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


# Further columns

TABLE = input_space(
    ColumnSchema((Column("a", DataType.LONG, True), Column("b", DataType.STRING, True))),
    rules={"a": InputRule(min=1, max=9)},
)
TENSOR = input_space(TensorSchema((Tensor(None, "float32", (-1, 3)),)), rules={})
TENSORS = input_space(TensorSchema((Tensor("x", "float32", (-1, -1)), Tensor("y", "int64", (-1, -1)))), rules={})


@pytest.mark.parametrize("space", [TABLE, TENSOR, TENSORS])
def test_further_columns_are_drawn_and_dropped_again(space):
    """A relation's partner value goes through narrowing with its row, and is never sent."""
    extra = renamed(TABLE.domain("a"), "a'")
    wide = space.with_extra([extra])
    batch = wide.sample(30, seed=4)
    assert all(1 <= value <= 9 for value in batch.column("a'"))
    assert wide.holds(batch)
    assert not wide.holds(batch.with_value("a'", 10))
    sent = wide.inputs_of(batch.take([3, 4]))
    assert space.holds(sent)
    assert space.inputs_of(sent) == sent
    for domain in space.domains:
        assert sent.column(domain.name) == batch.column(domain.name)[3:5]
    assert json.loads(json.dumps(batch.rows[0])) == batch.rows[0]
    assert len(encode(sent)[0]) < len(json.dumps(batch.rows))
    assert wide.default_row().column("a'") == [extra.default]
    assert space.default_row() == wide.inputs_of(wide.default_row())


@pytest.mark.parametrize("name", ["a", "b", 0])
def test_a_further_column_needs_a_name_of_its_own(name):
    """Else nobody could tell it from the input."""
    with pytest.raises(ValueError, match="names of their own"):
        TABLE.with_extra([renamed(TABLE.domain("a"), name)])


def test_a_row_that_is_not_valid_is_told():
    """The search keeps to rows that a model must answer."""
    good = TABLE.sample(3, seed=1)
    assert TABLE.holds(good)
    assert not TABLE.holds(good.with_value("a", 10))
    assert not TABLE.holds(good.with_value("a", 1.0))
    assert not TABLE.holds(good.with_value("a", True))
    assert not TABLE.holds(good.with_value("b", None))
    assert not TABLE.holds(good.without_column("a"))
    assert not TENSOR.holds(good)
    with pytest.raises(KeyError, match="no input"):
        TABLE.domain("c")


def test_how_large_a_row_is_can_be_told():
    """A picture of 150 000 numbers is no row to send by the hundred."""
    assert TABLE.cells == 2
    assert TENSOR.cells == 3
    assert input_space(TensorSchema((Tensor("x", "uint8", (-1, 10, 10, 3)),)), rules={}).cells == 300


# Rows of the evaluation data

DATA = Batch(columns=("plan", "age", "spent"), rows=tuple([f"p{n % 3}", n, n * 1.5] for n in range(50)))
REAL = input_space(
    ColumnSchema(
        (
            Column("age", DataType.LONG, True),
            Column("plan", DataType.STRING, True),
            Column("spent", DataType.DOUBLE, True),
        )
    ),
    rules={"age": InputRule(min=5)},
    data=DATA,
    keys=[f"k{n}" for n in range(50)],
)


def test_half_of_the_rows_are_real_ones_with_one_or_two_columns_changed():
    """Independent columns never meet as they do in the world."""
    batch = REAL.sample(200, seed=3)
    origins = [REAL.origin(batch, row) for row in range(200)]
    real = [origin for origin in origins if origin is not None]
    assert len(real) == 100
    assert {len(origin.changed) for origin in real} == {0, 1, 2}  # a drawn value may be what was there
    assert REAL.holds(batch)
    for row, origin in zip(batch.rows, origins, strict=True):
        if origin is not None:
            number = int(origin.key[1:])
            was = {"age": number, "plan": f"p{number % 3}", "spent": number * 1.5}
            assert dict(zip(batch.columns, row, strict=True)) == {**was, **origin.changed}
            assert number >= 5  # a real row that is against a rule is not valid


def test_the_origin_survives_narrowing_and_changes():
    """It is told from the values as they are: the search need not keep account."""
    batch = REAL.sample(40, seed=3)
    place = next(row for row in range(40) if batch.keys[row] is not None)
    alone = batch.take([place])
    assert REAL.origin(alone, 0) == REAL.origin(batch, place)
    changed = alone.with_value("spent", -1.25)
    assert REAL.origin(changed, 0).changed["spent"] == -1.25
    wide = REAL.with_extra([renamed(REAL.domain("age"), "other")])
    pairs = wide.sample(40, seed=3)
    row = next(row for row in range(40) if pairs.keys[row] is not None)
    assert "other" not in wide.origin(wide.inputs_of(pairs), row).changed
    told = wide.origin(pairs, row)
    assert told.changed["other"] == pairs.column("other")[row]  # or the pair could not be built again


def test_what_a_caller_demands_of_a_column_holds_in_real_rows_too():
    """Default and null are demands; the other modes are manners of drawing."""
    batch = REAL.sample(60, seed=1, modes={"plan": Mode.DEFAULT})
    assert set(batch.column("plan")) == {REAL.domain("plan").default}
    assert sum(key is not None for key in batch.keys) == 30
    everything = {domain.name: Mode.DEFAULT for domain in REAL.domains}
    assert REAL.sample(5, seed=1, modes=everything).keys == ()
    assert {REAL.sample(1, seed=seed).keys[0] is None for seed in range(20)} == {True, False}


def test_a_column_that_the_data_lack_counts_as_changed():
    """Whoever builds the row again has only the data's columns."""
    schema = ColumnSchema((Column("age", DataType.LONG, True), Column("extra", DataType.LONG, False)))
    space = input_space(schema, rules={}, data=Batch(columns=("age",), rows=([4], [8])))
    batch = space.sample(10, seed=0)
    assert [space.origin(batch, row) is None for row in range(10)].count(False) == 5
    for row in range(10):
        origin = space.origin(batch, row)
        if origin is not None:
            assert origin.key in {0, 1}
            assert "extra" in origin.changed


def test_known_rows_are_spelled_as_the_columns_are():
    """A long's 4.0 is 4, and all dates of a column have one format, or MLflow's pandas refuses them."""
    schema = ColumnSchema(
        (Column("n", DataType.LONG, True), Column("t", DataType.DATETIME, True), Column("f", DataType.FLOAT, True))
    )
    data = Batch(columns=("n", "t", "f"), rows=([4.0, "2024-01-01", 0.1], [5.0, "2024-01-03 10:30:00", 0.2]))
    space = input_space(schema, rules={}, data=data)
    again = space.spelled(data)
    assert again.rows[0] == [4, "2024-01-01T00:00:00", float(np.float32(0.1))]
    assert space.holds(again)
    assert len({len(text) for text in space.sample(50, seed=1).column("t")}) == 1


def test_one_column_may_be_filled_at_its_edges_only():
    """All others are drawn."""
    batch = TABLE.sample(30, seed=2, modes={"a": Mode.EDGES})
    assert set(batch.column("a")) <= set(TABLE.domain("a").edges)
    assert len(set(batch.column("b"))) > 10


def test_a_default_is_no_row_of_the_evaluation_data():
    """Defaults are stored with failures: without a logged example they are the middle, column by column."""
    schema = ColumnSchema((Column("a", DataType.DOUBLE, True), Column("n", DataType.LONG, True)))
    data = Batch(columns=("a", "n"), rows=([5.123, 9], [1.0, 2], [float("nan"), 3]))
    space = input_space(schema, rules={}, data=data)
    assert space.default_row().rows == ([pytest.approx(3.0615), 5],)
    example = Batch(columns=("a", "n"), rows=([1.5, 3],))
    assert input_space(schema, rules={}, known=[example], data=data).default_row().rows == ([1.5, 3],)
