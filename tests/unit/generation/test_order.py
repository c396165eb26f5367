"""Order relations: kept in every row by construction, whatever the columns' types, modes and bounds."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import PolicyError
from mlgate.generation.domain import renamed
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.policy_properties import InputRule
from mlgate.scoring.payloads import Batch

NUMBERS = [DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE]
RULES = st.sampled_from(
    [
        None,
        InputRule(min=0, max=50),
        InputRule(min=-20, max=20, step=3),
        InputRule(min=0.25, max=40, step=0.5),
        InputRule(values=(1, 5, 9, 30, 12)),
        InputRule(max=8),
        InputRule(min=4),
    ]
)


def table(kinds, *, required=True):
    """A schema of columns a, b, c and so on."""
    return ColumnSchema(tuple(Column(chr(97 + place), kind, required) for place, kind in enumerate(kinds)))


def related(batch, text):
    """Whether a chain of relations holds in every row, as a reader would check it."""
    parts = text.replace("<=", " <= ").replace("< ", " < ").split()
    names, signs = parts[::2], parts[1::2]
    for row in batch.records():
        for first, sign, second in zip(names, signs, names[1:], strict=False):
            one, other = row[first], row[second]
            if one is not None and other is not None and not (one < other if sign == "<" else one <= other):
                return False
    return True


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(NUMBERS), min_size=3, max_size=3),
    st.lists(RULES, min_size=3, max_size=3),
    st.sampled_from(["a <= b <= c", "a < b < c", "a <= b < c", "c < a"]),
    st.sampled_from(Mode),
    st.integers(0, 2**32),
)
def test_numbers_keep_their_order(kinds, rules, order, mode, seed):
    """Whole and not, on a step and not, listed and not; nothing is thrown away to get there."""
    given_rules = {name: rule for name, rule in zip("abc", rules, strict=True) if rule is not None}
    try:
        space = input_space(table(kinds), rules=given_rules, order=[order])
    except PolicyError as error:
        assume(any(text in str(error) for text in ("no values of", "is no", "must be whole")))
        return
    batch = space.sample(30, seed=seed, modes=dict.fromkeys("abc", mode))
    assert related(batch, order)
    assert space.holds(batch)
    assert related(space.default_row(), order)
    assert space.sample(30, seed=seed, modes=dict.fromkeys("abc", mode)) == batch


def test_dates_keep_their_order_also_where_one_is_finer():
    """And where some are listed; pandas gets one format in each column."""
    known = Batch(columns=("a", "b"), rows=(["2024-01-01T00:00:00.25", "2024-01-02"], ["2024-01-03", "2024-01-09"]))
    space = input_space(
        table([DataType.DATETIME] * 3),
        rules={"c": InputRule(values=("2024-01-04", "2024-01-20", "2024-02-28"))},
        order=["a < b", "b <= c"],
        known=[known],
    )
    batch = space.sample(300, seed=2)
    assert related(batch, "a < b <= c")
    assert space.holds(batch)
    assert len(set(batch.column("c"))) == 3
    assert len(set(batch.column("a"))) > 100
    for name in "abc":
        assert len({len(text) for text in batch.column(name)}) == 1


def test_equal_values_come_up_where_they_are_valid():
    """Zero nights, zero stops: the edge of every order."""
    space = input_space(table([DataType.LONG] * 2), rules={}, order=["a <= b"])
    assert sum(first == second for first, second in space.sample(400, seed=1).rows) > 4
    strict = input_space(table([DataType.LONG] * 2), rules={}, order=["a < b"])
    assert all(first < second for first, second in strict.sample(400, seed=1).rows)


def test_both_columns_still_reach_their_ends():
    """Cut domains, not squeezed values."""
    rules = {"a": InputRule(min=0, max=100), "b": InputRule(min=0, max=100)}
    batch = input_space(table([DataType.LONG] * 2), rules=rules, order=["a <= b"]).sample(500, seed=1)
    assert {0, 100} <= set(batch.column("a"))
    assert {1, 100} <= set(batch.column("b"))
    assert sum(first > 50 for first in batch.column("a")) > 100


def test_null_relates_to_nothing():
    """And stays null."""
    space = input_space(table([DataType.DOUBLE] * 2, required=False), rules={}, order=["a < b"])
    batch = space.sample(300, seed=1)
    assert related(batch, "a < b")
    assert any(None in row for row in batch.rows)
    assert space.sample(5, seed=1, modes={"a": Mode.NULL}).column("a") == [None] * 5


def test_a_row_out_of_order_does_not_hold():
    """The search keeps to valid rows."""
    space = input_space(table([DataType.LONG] * 2), rules={}, order=["a < b"])
    assert space.holds(Batch(columns=("a", "b"), rows=([1, 2],)))
    assert not space.holds(Batch(columns=("a", "b"), rows=([1, 2], [2, 2])))


def test_real_rows_stay_in_order_when_a_column_is_changed():
    """And those that are not in order are not used."""
    data = Batch(columns=("a", "b"), rows=tuple([n, 50 - n] for n in range(50)))
    space = input_space(table([DataType.LONG] * 2), rules={}, order=["a <= b"], data=data)
    assert len(space.known) == 26
    batch = space.sample(200, seed=1)
    assert sum(key is not None for key in batch.keys) == 100
    assert related(batch, "a <= b")


def test_a_column_that_stands_for_another_keeps_its_order():
    """The partner of `b` may not come before `a` either, nor the partner of `a` after any of the two."""
    space = input_space(table([DataType.LONG] * 2), rules={}, order=["a < b"])
    wide = space.with_extra(
        [renamed(space.domain("a"), "a'"), renamed(space.domain("b"), "b'")], stands_for={"a'": "a", "b'": "b"}
    )
    batch = wide.sample(300, seed=5)
    assert all(a < b and a < b2 and a2 < b and a2 < b2 for a, b, a2, b2 in batch.rows)
    assert wide.holds(batch)
    assert len({(a, a2) for a, _, a2, _ in batch.rows if a != a2}) > 200
    free = space.with_extra([renamed(space.domain("b"), "b'")])
    assert not all(a < b2 for a, _, b2 in free.sample(300, seed=5).rows)


@pytest.mark.parametrize(
    ("kinds", "rules", "order", "says"),
    [
        ("ll", {"a": InputRule(min=10), "b": InputRule(max=9)}, ["a <= b"], "no values of 'a' and 'b' meet a <= b"),
        (
            "ll",
            {"a": InputRule(min=9, max=9), "b": InputRule(min=9, max=9)},
            ["a < b"],
            "no values of 'a' and 'b' meet a < b",
        ),
        ("lll", {"a": InputRule(min=5), "c": InputRule(max=6)}, ["a < b < c"], "no values of"),
        ("ll", {}, ["a <= b", "b <= a"], "goes in a circle"),
        ("ll", {}, ["a <= z"], "'a <= z' names 'z', which is no input column"),
        ("ls", {}, ["a <= b"], "needs two columns of numbers, or two of dates"),
        ("lt", {}, ["a <= b"], "needs two columns of numbers, or two of dates"),
        ("ss", {}, ["a <= b"], "needs two columns of numbers, or two of dates"),
        ("tt", {"a": InputRule(after="2024-01-01"), "b": InputRule(before="2023-01-01")}, ["a <= b"], "no values of"),
    ],
)
def test_an_order_that_can_not_be_kept_is_refused(kinds, rules, order, says):
    """In one line, before any container starts."""
    letters = {"l": DataType.LONG, "s": DataType.STRING, "t": DataType.DATETIME}
    with pytest.raises(PolicyError, match=r"properties\.order") as error:
        input_space(table([letters[kind] for kind in kinds]), rules=rules, order=order)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
