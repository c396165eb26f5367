"""Pairs of rows: both are valid, they differ where they should and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import PolicyError
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.generation.pairs import EachInTurn, changed_pairs, free_name, scaled_pairs, swapped_pairs
from mlgate.generation.rebuilt import fixed, rebuilt
from mlgate.policy_properties import InputRule, UnitChange
from mlgate.scoring.payloads import Batch

KINDS = {
    "id": DataType.LONG, "low": DataType.DOUBLE, "mid": DataType.LONG, "high": DataType.DOUBLE, "flag": DataType.BOOLEAN,
    "plan": DataType.STRING, "note": DataType.STRING, "day": DataType.DATETIME, "km": DataType.DOUBLE, "unit": DataType.STRING,
    "from": DataType.DOUBLE, "to": DataType.DOUBLE, "count": DataType.LONG, "narrow": DataType.FLOAT,
}  # fmt: skip
OPTIONAL = {"low", "plan"}
RULES = {
    "low": InputRule(min=0, max=50),
    "mid": InputRule(min=10, max=60),
    "plan": InputRule(values=("basic", "pro")),
    "km": InputRule(min=0, max=500),
    "unit": InputRule(values=("km", "mi")),
    "from": InputRule(min=0, max=9),
    "to": InputRule(min=3, max=12),
    "count": InputRule(min=0, max=900),
    "narrow": InputRule(min=-3, max=7),
}
ORDER = ["low <= mid", "mid < high"]
SCHEMA = ColumnSchema(tuple(Column(name, kind, name not in OPTIONAL) for name, kind in KINDS.items()))
DATA = Batch(
    columns=("id", "low", "mid", "high", "plan", "km", "unit", "from", "to"),
    rows=tuple([n, 1.0 * n, 20 + n, 70.0, "basic", 300.0, ("km", "mi")[n % 2], 4.0, 5.0] for n in range(20)),
)
SEEDS = st.integers(0, 2**32)
MODES = st.dictionaries(st.sampled_from([*KINDS, "mid (changed)"]), st.sampled_from(list(Mode)), max_size=4)


def made(*, order=ORDER, rules=RULES, data=DATA, schema=SCHEMA):
    """The space that pairs are made of."""
    return input_space(schema, rules=rules, order=order, data=data)


SPACE = made()


def drawn(pairs, seed, modes, n=40):
    """The two requests of *n* pairs."""
    batch = pairs.space.sample(n, seed=seed, modes=modes)
    assert pairs.space.holds(batch)
    return pairs.first(batch), pairs.second(batch)


def unequal(first, second):
    """The columns in which each row differs."""
    return [
        {name for name, one, other in zip(first.columns, *rows, strict=True) if one != other}
        for rows in zip(first.rows, second.rows, strict=True)
    ]


@pytest.mark.parametrize("column", list(KINDS))
@given(seed=SEEDS, modes=MODES)
@settings(max_examples=15, deadline=None)
def test_the_rows_of_a_changed_pair_are_valid_and_differ_in_the_column_alone(column, seed, modes):
    """Also where an order relation holds between the column and others."""
    first, second = drawn(changed_pairs(SPACE, column), seed, modes)
    assert SPACE.holds(first)
    assert SPACE.holds(second)
    found = unequal(first, second)
    assert all(names <= {column} for names in found)
    # An order may leave a row one value and no other.
    single = [n for n, names in enumerate(found) if not names]
    assert all(column in {"low", "mid", "high"} and room(first, n) < 2 for n in single)


def room(batch, row):
    """Whole numbers between the first and the last of the three that have an order."""
    low, high = batch.column("low")[row], batch.column("high")[row]
    return high - (0 if low is None else low)


@given(seed=SEEDS, modes=MODES)
@settings(max_examples=15, deadline=None)
def test_without_nulls_both_values_have_an_order(seed, modes):
    """A monotonic relation says nothing of null."""
    for part in drawn(changed_pairs(SPACE, "low", nulls=False), seed, modes):
        assert None not in part.column("low")
        assert SPACE.holds(part)


@given(seed=SEEDS, modes=MODES)
@settings(max_examples=30, deadline=None)
def test_swapped_rows_are_valid_and_mirror_each_other(seed, modes):
    """From goes to 9 and to begins at 3: what is swapped lies between."""
    first, second = drawn(swapped_pairs(SPACE, "from", "to"), seed, modes)
    assert SPACE.holds(first)
    assert SPACE.holds(second)
    assert first.column("from") == second.column("to")
    assert first.column("to") == second.column("from")
    assert unequal(first, second) == [{"from", "to"}] * len(first)
    assert all(3 <= value <= 9 for value in first.column("from"))


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_swap_keeps_the_order_with_a_third_column(seed):
    """What stands below a mark before the swap stands below it after."""
    space = made(order=["from <= high"], data=None)
    first, second = drawn(swapped_pairs(space, "from", "to"), seed, {})
    assert space.holds(first)
    assert space.holds(second)


@pytest.mark.parametrize(
    "change",
    [
        UnitChange(multiply={"km": 0.621371}, set={"unit": "mi"}, where={"unit": "km"}),
        UnitChange(multiply={"km": 2}, add={"km": 1.5}),
        UnitChange(multiply={"km": -1}, add={"km": 500}),
        UnitChange(multiply={"count": 3}, add={"count": 7}),
        UnitChange(multiply={"narrow": 0.1}),
        UnitChange(add={"narrow": 0.25}),
        UnitChange(multiply={"low": 1.5, "mid": 2, "high": 2}),
    ],
    ids=lambda change: change.label,
)
@given(seed=SEEDS, modes=MODES)
@settings(max_examples=15, deadline=None)
def test_the_same_in_another_unit_is_valid_and_as_declared(change, seed, modes):
    """Only values that are valid in both units are drawn."""
    space = made(order=[])
    first, second = drawn(scaled_pairs(space, change), seed, modes)
    assert space.holds(first)
    assert space.holds(second)
    for column in change.columns:
        for was, now in zip(first.column(column), second.column(column), strict=True):
            wanted = None if was is None else was * change.multiply.get(column, 1) + change.add.get(column, 0)
            assert now == (None if wanted is None else pytest.approx(wanted, rel=1e-6, abs=1e-6))
    for column, value in change.where.items():
        assert set(first.column(column)) == {value}
    for column, value in change.set_.items():
        assert set(second.column(column)) == {value}


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_both_sides_of_an_order_change_their_unit_together(seed):
    """Metres in place of kilometres, at both ends."""
    space = made(order=["from <= to"], rules={**RULES, "from": InputRule(min=0, max=9), "to": InputRule(min=0, max=9)})
    first, second = drawn(scaled_pairs(space, UnitChange(multiply={"from": 0.5, "to": 0.5})), seed, {})
    assert space.holds(first)
    assert space.holds(second)


def test_declared_values_are_met_in_the_other_unit():
    """Of 1, 2, 4 and 5, doubling leads from 1 to 2 and from 2 to 4."""
    rules = {**RULES, "count": InputRule(values=(1, 2, 4, 5))}
    pairs = scaled_pairs(made(order=[], rules=rules, data=None), UnitChange(multiply={"count": 2}))
    first, second = drawn(pairs, 1, {})
    assert set(zip(first.column("count"), second.column("count"), strict=True)) == {(1, 2), (2, 4)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"plan": 2})), "'plan' holds no numbers"),
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"count": 0.5})), "'count' holds whole numbers"),
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"km": 3}, add={"km": 900})), "valid in both units"),
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"km": 2}, where={"unit": "ly"})), "where: 'ly' is no valid"),
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"km": 2}, set={"unit": "ly"})), "set: 'ly' is no valid"),
        (lambda: scaled_pairs(SPACE, UnitChange(multiply={"low": 0.5})), "order 'low <= mid' would not hold"),
        (lambda: swapped_pairs(SPACE, "low", "mid"), "no value is valid in both|must keep"),
        (lambda: swapped_pairs(made(order=["from <= to"]), "from", "to"), "must keep .*circle"),
        (lambda: swapped_pairs(made(rules={**RULES, "to": InputRule(min=20, max=30)}), "from", "to"), "valid in both"),
    ],
)
def test_a_relation_without_a_valid_pair_is_a_policy_error(make, said):
    """One line that says what stands in the way."""
    with pytest.raises(PolicyError, match=said):
        make()


def test_one_value_has_no_other():
    """Then the two rows are the same, and whoever counts pairs counts none."""
    pairs = changed_pairs(made(rules={**RULES, "plan": InputRule(values=("pro",), nullable=False)}, data=None), "plan")
    first, second = drawn(pairs, 3, {})
    assert first.rows == second.rows


def test_rows_of_the_evaluation_data_keep_their_key():
    """A pair that was made of a real row is stored as its key and what was changed."""
    pairs = changed_pairs(SPACE, "plan")
    batch = pairs.space.sample(40, seed=3)
    real = [place for place, key in enumerate(batch.keys) if key is not None]
    assert len(real) == 20
    origin = pairs.space.origin(batch, real[0])
    assert "plan (changed)" not in {name for name in origin.changed if name in DATA.columns}


def test_a_name_that_is_taken_gets_a_mark():
    """A column of the model may be called as we would call the partner."""
    schema = ColumnSchema((Column("x", DataType.DOUBLE, True), Column("x (changed)", DataType.DOUBLE, True)))
    pairs = changed_pairs(made(schema=schema, rules={}, order=[], data=None), "x")
    assert [domain.name for domain in pairs.space.domains] == ["x", "x (changed)", "x (changed)'"]
    first, second = drawn(pairs, 1, {})
    assert unequal(first, second) == [{"x"}] * len(first)
    assert free_name(pairs.space, "y") == "y"


def test_named_tensors_have_pairs_too():
    """Of the same shape as the rest of the request asks for."""
    schema = TensorSchema((Tensor("x", "float64", (-1, -1)), Tensor("mask", "int64", (-1, -1))))
    space = input_space(schema, rules={})
    pairs = changed_pairs(space, "x")
    batch = pairs.space.sample(8, seed=5, modes={"x": Mode.SPREAD, "x (changed)": Mode.SPREAD})
    first, second = pairs.first(batch), pairs.second(batch)
    assert first.rows[0].keys() == second.rows[0].keys() == {"x", "mask"}
    assert np.shape(first.column("x")) == np.shape(second.column("x")) == np.shape(first.column("mask"))
    assert first.column("mask") == second.column("mask")
    assert first.column("x") != second.column("x")


@given(seed=SEEDS, mode=st.sampled_from(list(Mode)), n=st.integers(1, 40))
def test_cases_are_dealt_out_evenly_in_every_mode(seed, mode, n):
    """A batch of as many rows as cases has tried each."""
    domain = EachInTurn(name="case", values=("a", "b", "c"), declared=True, default="a")
    drawn_cases = domain.fill(n, mode, np.random.default_rng(seed))
    counts = [drawn_cases.count(case) for case in "abc"]
    assert max(counts) - min(counts) <= 1


def test_a_rebuilt_space_draws_no_known_row_that_is_not_valid_any_more():
    """Rows in miles are none of those that are in kilometres."""
    only_km = fixed(SPACE.domain("unit"), "km")
    narrow = rebuilt(SPACE, {"unit": only_km})
    assert set(narrow.sample(60, seed=1).column("unit")) == {"km"}
    assert len(narrow.known) == len(SPACE.known) // 2
    assert fixed(SPACE.domain("unit"), "ly") is None
    assert fixed(SPACE.domain("day"), "2020-02-29").default == SPACE.domain("day").spelled("2020-02-29")


def test_a_rebuilt_space_is_cut_to_what_its_order_leaves():
    """Where the second ends at 20, the first does."""
    cut = replace(SPACE.domain("mid"), high=20)
    assert rebuilt(SPACE, {"mid": cut}).domain("low").high == 20
