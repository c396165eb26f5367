"""Shrinking: from a failing batch to one simple row, within a budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.policy import InputRule
from mlgate.scoring.input_space import input_space
from mlgate.scoring.payloads import Batch
from mlgate_suites.shrink import MAX_HANG_PROBES, MAX_PROBES, Budget, narrow, simplify

SPACE = input_space(
    ColumnSchema(
        (Column("a", DataType.DOUBLE, True), Column("b", DataType.LONG, True), Column("c", DataType.STRING, True))
    ),
    rules={"a": InputRule(min=-1000, max=1000), "b": InputRule(min=2, max=900)},
)


def batch(n):
    """Rows that say their own number."""
    return Batch(columns=("a",), rows=tuple([float(index)] for index in range(n)))


class Probe:
    """A failure condition that counts how often it is asked."""

    def __init__(self, fails, problem="raises: boom"):
        self.fails, self.problem, self.asked = fails, problem, []

    def __call__(self, rows):
        self.asked.append(rows)
        return self.problem if self.fails(rows) else None


@given(st.integers(1, 200), st.data())
def test_one_bad_row_among_many_is_found(n, data):
    """By halves: about twice the logarithm of the rows in probes."""
    bad = data.draw(st.integers(0, n - 1))
    probe = Probe(lambda rows: [float(bad)] in rows.rows)
    budget = Budget()
    assert narrow(batch(n), probe, budget).rows == ([float(bad)],)
    assert len(probe.asked) <= 2 * (n - 1).bit_length()
    assert budget.left == MAX_PROBES - len(probe.asked)


@given(st.sets(st.integers(0, 49), min_size=1))
def test_what_is_left_always_fails(bad):
    """Whichever of several bad rows it ends with."""
    probe = Probe(lambda rows: any(int(row[0]) in bad for row in rows.rows))
    assert int(narrow(batch(50), probe, Budget()).rows[0][0]) in bad


def test_rows_that_only_fail_together_stay_together():
    """Half of them would be no example."""
    probe = Probe(lambda rows: {0.0, 9.0} <= {row[0] for row in rows.rows})
    assert narrow(batch(10), probe, Budget()) == batch(10)


def test_a_suspect_that_fails_alone_needs_one_probe():
    """The answer itself gave it away."""
    probe = Probe(lambda rows: [7.0] in rows.rows)
    assert narrow(batch(50), probe, Budget(), suspect=7).rows == ([7.0],)
    assert len(probe.asked) == 1


@pytest.mark.parametrize("suspect", [3, 99])
def test_a_wrong_suspect_only_costs_a_probe(suspect):
    """It does not fail alone, or is no row at all."""
    probe = Probe(lambda rows: [7.0] in rows.rows)
    assert narrow(batch(50), probe, Budget(), suspect=suspect).rows == ([7.0],)


@pytest.mark.parametrize(
    ("problem", "most"), [("hangs: no answer within 10 s", MAX_HANG_PROBES), ("raises: boom", MAX_PROBES)]
)
def test_a_hang_spends_the_budget_faster(problem, most):
    """Each one costs the whole timeout."""
    probe = Probe(lambda rows: True, problem)
    row = simplify(_wide(), _wide_space(), probe, Budget())
    assert len(row) == 1
    assert len(probe.asked) <= most
    assert narrow(batch(9), probe, Budget(0)) == batch(9)


def _wide_space():
    """More columns than the budget has probes."""
    return input_space(
        ColumnSchema(tuple(Column(f"c{index}", DataType.DOUBLE, True) for index in range(200))), rules={}
    )


def _wide():
    """One row of them."""
    return _wide_space().sample(1, seed=5)


def test_a_row_is_made_as_simple_as_it_can_be_while_it_fails():
    """Columns that do not matter go to their default, the one that does to the simplest value that still fails."""
    row = Batch(columns=("a", "b", "c"), rows=([437.123456, 800, "zßx"],))
    probe = Probe(lambda rows: rows.rows[0][0] > 400)
    (simple,) = simplify(row, SPACE, probe, Budget()).rows
    assert simple == [437.0, SPACE.domains[1].default, SPACE.domains[2].default]


def test_every_probe_is_a_valid_row():
    """An invalid one that fails would be no example."""
    row = Batch(columns=("a", "b", "c"), rows=([437.123456, 800, "zßx"],))
    probe = Probe(lambda rows: False)
    assert simplify(row, SPACE, probe, Budget()) == row
    for asked in probe.asked:
        ((a, b, c),) = asked.rows
        assert -1000 <= a <= 1000
        assert 2 <= b <= 900
        assert isinstance(b, int)
        assert isinstance(c, str)


def test_several_rows_and_tensors_are_left_as_they_are():
    """There is nothing to say per column."""
    probe = Probe(lambda rows: True)
    tensors = Batch(columns=None, rows=([1.0, 2.0],))
    assert simplify(batch(2), SPACE, probe, Budget()) == batch(2)
    assert simplify(tensors, SPACE, probe, Budget()) == tensors
    assert probe.asked == []


def test_integer_column_labels_are_simplified_too():
    """Label 0 is a name and not the lack of one."""
    schema = ColumnSchema(
        (Column("0", DataType.DOUBLE, True, integer_name=True), Column("1", DataType.DOUBLE, True, integer_name=True))
    )
    space = input_space(schema, rules={})
    row = Batch(columns=(0, 1), rows=([5.5, 7.5],))
    assert simplify(row, space, Probe(lambda rows: rows.rows[0][1] > 7), Budget()).rows == ([0.0, 8.0],)
