"""Exploring: as many rows as asked for, valid ones, and the same ones for the same seed."""

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.policy import InputRule
from mlgate_suites.strategies import batches, plans

SPACE = input_space(
    ColumnSchema((Column("age", DataType.DOUBLE, True), Column("plan", DataType.STRING, True))),
    rules={"age": InputRule(min=0, max=120), "plan": InputRule(values=("basic", "pro"))},
)


def explored(space=SPACE, examples=500, seed=1, rows=50):
    """The batches of one exploration."""
    return list(batches(space, examples=examples, rows=rows, seed_value=seed))


@pytest.mark.parametrize("examples", [1, 20, 49, 50, 51, 500, 1001])
def test_exactly_as_many_rows_are_drawn_as_asked_for(examples):
    """In batches of at most so many."""
    sizes = list(map(len, explored(examples=examples)))
    assert sum(sizes) == examples
    assert max(sizes) <= 50


def test_a_model_of_a_fixed_number_of_rows_gets_no_other():
    """The last request is no smaller than the others."""
    space = input_space(TensorSchema((Tensor(None, "float32", (4, 2)),)), rules={})
    assert set(map(len, explored(space, examples=10, rows=4))) == {4}


def test_one_valid_value_is_explored_as_often_as_any():
    """Hypothesis must not stop early because it thinks that it has seen everything."""
    space = input_space(ColumnSchema((Column("b", DataType.STRING, True),)), rules={"b": InputRule(values=("x",))})
    assert sum(map(len, explored(space, examples=500))) == 500


@pytest.mark.parametrize("seed", [0, 1, 2**48, -5])
def test_the_same_seed_gives_the_same_rows(seed):
    """A rerun repeats; another seed does not."""
    assert explored(seed=seed) == explored(seed=seed)
    assert explored(seed=seed) != explored(seed=seed + 1)


def test_no_rows_come_twice():
    """Hypothesis draws some numbers again and again; the rows are others all the same."""
    drawn = [tuple(row[0] for row in batch.rows) for batch in explored(examples=2000, rows=20)]
    varied = [ages for ages in drawn if len(set(ages)) > 1]  # the others hold the default only
    assert len(set(varied)) == len(varied) > 0.6 * len(drawn)


def test_the_first_two_batches_are_spread_and_edges_everywhere():
    """A short run must have had both."""
    first, second, *more = plans(SPACE, 40, seed_value=3)
    assert (first.base, second.base) == (Mode.MIXED, Mode.EDGES)
    assert first.special == second.special == ()
    assert any(plan.special for plan in more)
    assert {plan.base for plan in more} == {Mode.MIXED, Mode.SPREAD, Mode.EDGES}


def test_few_columns_are_also_drawn_while_the_others_keep_their_defaults():
    """What is wrong with one column alone is not hidden by the others."""
    wide = input_space(ColumnSchema(tuple(Column(f"c{place}", DataType.DOUBLE, place % 2 == 0) for place in range(9))), rules={})  # fmt: skip
    alone = [plan for plan in plans(wide, 60, seed_value=1) if plan.base is Mode.DEFAULT]
    assert 10 < len(alone) < 50
    assert all(1 <= len(plan.special) <= 3 for plan in alone)
    assert {place % 2 for plan in alone for place, mode in plan.special if mode is Mode.NULL} == {1}


def test_every_row_is_valid_and_the_edges_are_tried():
    """Each column's own, also together."""
    rows = [row for batch in explored() for row in batch.rows]
    assert all(0 <= age <= 120 and plan in ("basic", "pro") for age, plan in rows)
    ages = {age for age, _ in rows}
    assert {0.0, 120.0, 1.0, 60.0} <= ages
    assert len(ages) > 100


def test_nothing_is_left_in_the_folder(tmp_path, monkeypatch):
    """Hypothesis keeps files where it runs, if one lets it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    list(batches(SPACE, examples=200, rows=20, seed_value=1, folder=tmp_path / "files"))
    assert [path.name for path in tmp_path.rglob("*")] == ["files"]


@pytest.mark.parametrize(
    "inputs",
    [
        TensorSchema((Tensor(None, "float32", (-1, 3)),)),
        TensorSchema((Tensor("x", "float32", (-1, 3)), Tensor("y", "int64", (-1,)))),
        ColumnSchema((Column(None, DataType.DOUBLE, True), Column(None, DataType.DOUBLE, True))),
        ColumnSchema((Column("0", DataType.DOUBLE, True, integer_name=True),)),
    ],
)
def test_every_kind_of_signature_is_explored(inputs):
    """Tensors, names and none."""
    space = input_space(inputs, rules={})
    assert sum(map(len, explored(space, examples=100))) == 100
