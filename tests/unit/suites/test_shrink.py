"""Shrinking: from a failing batch to few simple rows, within a budget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import FailureKind, ServerError
from mlgate.generation.input_space import input_space
from mlgate.generation.interface import Mode
from mlgate.policy import InputRule
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch
from mlgate_suites.problem import Problem, Unanswered
from mlgate_suites.shrink import MAX_HANG_PROBES, Budget, Probe, ddmin, narrow, simplify

SPACE = input_space(
    ColumnSchema(
        (Column("a", DataType.DOUBLE, True), Column("b", DataType.LONG, True), Column("c", DataType.STRING, True))
    ),
    rules={"a": InputRule(min=-1000, max=1000), "b": InputRule(min=2, max=900)},
)
WIDE = input_space(ColumnSchema(tuple(Column(f"c{place}", DataType.DOUBLE, True) for place in range(20))), rules={})
LOST = Answer(status=0, content_type="", body=b"", elapsed_s=0, problem="connection")


def batch(n):
    """Rows that say their own number."""
    return Batch(columns=("a",), rows=tuple([float(index)] for index in range(n)))


class Claim:
    """A claim that counts how often it is asked, and how often it is broken."""

    def __init__(self, fails, **problem):
        self.fails, self.problem, self.asked, self.broken = fails, problem, [], 0

    def __call__(self, rows):
        self.asked.append(rows)
        if not self.fails(rows):
            return None
        self.broken += 1
        return Problem(text="raises: boom", **self.problem)


def probe_of(claim, rows, budget=None):
    """A probe whose batch broke the claim."""
    return Probe(claim, budget or Budget(), rows, Problem(text="raises: boom", **claim.problem))


# ddmin


@given(st.integers(1, 300), st.data())
def test_one_bad_item_among_many_is_found(n, data):
    """By halves: about twice the logarithm in questions."""
    bad = data.draw(st.integers(0, n - 1))
    asked = []
    assert ddmin(range(n), lambda part: asked.append(part) or bad in part) == [bad]
    assert len(asked) <= 2 * max(1, (n - 1).bit_length())


@given(st.integers(2, 120), st.data())
@settings(max_examples=60)
def test_items_that_fail_only_together_are_found_and_nothing_else(n, data):
    """However far apart they are: what halving alone can not do."""
    bad = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=4))
    assert set(ddmin(range(n), bad.issubset)) == bad


@given(st.integers(1, 40), st.data())
@settings(max_examples=60)
def test_nothing_can_be_left_out_of_what_is_left(n, data):
    """1-minimal, as Zeller and Hildebrandt define it; for a condition of any kind that all items meet."""
    families = data.draw(st.lists(st.sets(st.integers(0, n - 1), min_size=1), min_size=1, max_size=4))

    def fails(part):
        return any(family <= set(part) for family in families)

    left = ddmin(range(n), fails)
    assert fails(left)
    assert not any(fails([item for item in left if item != dropped]) for dropped in left)


@pytest.mark.parametrize("n", [25, 50, 500])
def test_a_finer_first_cut_makes_few_failing_questions(n):
    """Where each of them costs a server: three for 500 rows."""
    for bad in range(0, n, 7):
        failing = []
        ddmin(range(n), lambda part, bad=bad, failing=failing: bad in part and not failing.append(part), parts=16)
        assert len(failing) <= 3


def test_two_of_five_hundred_rows_are_found_within_the_budget():
    """The budget is made for it."""
    for first, second in [(0, 499), (3, 4), (250, 251), (17, 333)]:
        probe = probe_of(Claim(lambda rows, pair={float(first), float(second)}: pair <= {row[0] for row in rows.rows}), batch(500))  # fmt: skip
        narrow(probe)
        assert [row[0] for row in probe.batch.rows] == [first, second]


# Rows


def test_a_suspect_that_fails_alone_needs_one_probe():
    """The answer itself gave it away."""
    claim = Claim(lambda rows: [7.0] in rows.rows, row=7)
    probe = probe_of(claim, batch(50))
    narrow(probe)
    assert (probe.batch.rows, len(claim.asked)) == (([7.0],), 1)


@pytest.mark.parametrize("hints", [{"row": 3}, {"row": 99}, {"rows": (4, 7)}, {"row": 3, "rows": (3, 5)}])
def test_a_wrong_suspect_only_costs_a_probe(hints):
    """It does not fail alone, or is no row at all."""
    probe = probe_of(Claim(lambda rows: [7.0] in rows.rows, **hints), batch(50))
    narrow(probe)
    assert probe.batch.rows == ([7.0],)


def test_rows_that_are_not_answered_break_nothing():
    """There is nothing to compare in them."""

    def claim(rows):
        if [3.0] in rows.rows:
            raise Unanswered(LOST)
        return Problem(text="x") if [7.0] in rows.rows else None

    probe = Probe(claim, Budget(), batch(8), Problem(text="x"))
    narrow(probe)
    assert probe.batch.rows == ([7.0],)


@pytest.mark.parametrize("problem", [{"hang": True}, {"answers": (LOST,)}])
def test_a_hang_gets_few_probes_for_rows_and_values_together(problem):
    """Each one costs the whole timeout and a restart; the row is found and made simple all the same."""
    rows = WIDE.sample(250, seed=9, modes={"c4": Mode.SPREAD})
    bad = rows.rows[113][4]
    claim = Claim(lambda tried: any(row[4] == bad for row in tried.rows), **problem)
    probe = probe_of(claim, rows)
    narrow(probe)
    assert len(probe.batch) == 1
    simplify(probe, WIDE, seed_value=1)
    assert claim.broken <= MAX_HANG_PROBES
    assert [place for place, value in enumerate(probe.batch.rows[0]) if value != WIDE.domains[place].default] == [4]


def test_no_probe_is_made_beyond_the_budget():
    """What is left is what was found so far."""
    claim = Claim(lambda rows: True)
    probe = probe_of(claim, batch(9), Budget(0))
    narrow(probe)
    simplify(probe, input_space(ColumnSchema((Column("a", DataType.DOUBLE, True),)), rules={}), seed_value=1)
    assert (probe.batch, claim.asked) == (batch(9), [])


def test_a_server_that_does_not_come_back_ends_the_narrowing_and_not_the_finding():
    """What was found so far stands."""

    def claim(rows):
        if len(rows) < 4:
            raise ServerError("it exited", kind=FailureKind.EXITED)
        return Problem(text="x") if [7.0] in rows.rows else None

    probe = Probe(claim, Budget(), batch(8), Problem(text="x"))
    narrow(probe)
    simplify(probe, input_space(ColumnSchema((Column("a", DataType.DOUBLE, True),)), rules={}), seed_value=1)
    assert [row[0] for row in probe.batch.rows] == [4.0, 5.0, 6.0, 7.0]


# Values


def simplified(space, rows, fails, **problem):
    """The rows after simplifying, and the claim."""
    claim = Claim(fails, **problem)
    probe = probe_of(claim, rows)
    simplify(probe, space, seed_value=7)
    return probe.batch.rows, claim


def test_a_row_is_made_as_simple_as_it_can_be_while_it_fails():
    """Columns that do not matter go to their default, the one that does to the simplest value that still fails."""
    row = Batch(columns=("a", "b", "c"), rows=([437.123456, 800, "zßx"],))
    ((simple,), _) = simplified(SPACE, row, lambda rows: rows.rows[0][0] > 400)
    assert simple == [437.0, SPACE.domains[1].default, SPACE.domains[2].default]


@pytest.mark.parametrize("needed", [{0}, {19}, {3, 4}, {0, 19}, {2, 9, 17}])
@pytest.mark.parametrize("seed", range(4))
def test_only_the_columns_that_are_needed_together_stay(needed, seed):
    """However many columns there are."""
    rows = WIDE.sample(1, seed=seed)
    was = rows.rows[0]
    needed = {place for place in needed if was[place] != WIDE.domains[place].default}
    ((simple,), _) = simplified(WIDE, rows, lambda tried: all(tried.rows[0][place] == was[place] for place in needed))
    changed = {place for place, value in enumerate(simple) if value != WIDE.domains[place].default}
    assert changed == needed


def test_every_probe_is_a_valid_row():
    """An invalid one that fails would be no example; a relation between columns counts as well."""
    space = input_space(
        ColumnSchema((Column("start", DataType.LONG, True), Column("end", DataType.LONG, True))),
        rules={"start": InputRule(min=0, max=100), "end": InputRule(min=0, max=100)},
        order=("start <= end",),
    )
    row = Batch(columns=("start", "end"), rows=([88, 93],))
    ((simple,), claim) = simplified(space, row, lambda rows: rows.rows[0][0] > 60)
    assert all(space.holds(asked) for asked in claim.asked)
    assert simple[0] == 88
    assert simple[1] >= 88


def test_rows_that_fail_together_are_made_simple_together():
    """Each keeps only what the failure needs of it."""
    rows = Batch(columns=("a", "b", "c"), rows=([437.5, 800, "x"], [-3.25, 17, "y"]))
    (simple, _) = simplified(
        SPACE, rows, lambda tried: len(tried) == 2 and tried.rows[0][0] > 400 and tried.rows[1][1] == 17
    )
    defaults = [domain.default for domain in SPACE.domains]
    assert simple[0][1:] == defaults[1:]
    assert [simple[1][0], simple[1][2]] == [defaults[0], defaults[2]]
    assert simple[1][1] == 17


@pytest.mark.parametrize("names", [(None,), ("x", "y")])
def test_tensors_are_made_simple_too(names):
    """Named or not: a tensor that does not matter becomes its default."""
    space = input_space(TensorSchema(tuple(Tensor(name, "float64", (-1, 2)) for name in names)), rules={})
    rows = space.sample(1, seed=3)

    def first(tried):
        row = tried.rows[0]
        return (row if names == (None,) else row["x"])[0]

    was = first(rows)
    ((simple,), claim) = simplified(space, rows, lambda tried: first(tried) != space.domains[0].default[0] or was == 0)
    assert claim.broken
    if names != (None,):
        assert simple["y"] == space.domains[1].default


@pytest.mark.parametrize("blamed", [{7}, {0, 2047}, {30, 31, 900}])
def test_of_a_large_tensor_only_the_elements_that_are_to_blame_stay(blamed):
    """Each other element is the plain one, within the budget, although thousands were drawn."""
    space = input_space(TensorSchema((Tensor("x", "int32", (-1, 2048)),)), rules={"x": InputRule(min=0, max=256)})
    drawn = list(space.sample(1, seed=3, modes={"x": Mode.SPREAD}).rows[0]["x"])
    for place in blamed:
        drawn[place] = 255
    claim = Claim(lambda rows: all(rows.rows[0]["x"][place] == 255 for place in blamed))
    probe = probe_of(claim, Batch(columns=None, rows=({"x": drawn},)))
    simplify(probe, space, seed_value=0)
    plain = space.domain("x").element.default
    found = probe.batch.rows[0]["x"]
    assert {place for place, element in enumerate(found) if element != plain} == blamed
    assert all(space.holds(rows) for rows in claim.asked)
    assert probe.budget.left > 0


def test_integer_column_labels_are_simplified_too():
    """Label 0 is a name and not the lack of one."""
    schema = ColumnSchema(
        (Column("0", DataType.DOUBLE, True, integer_name=True), Column("1", DataType.DOUBLE, True, integer_name=True))
    )
    space = input_space(schema, rules={})
    row = Batch(columns=(0, 1), rows=([5.5, 7.5],))
    assert simplified(space, row, lambda rows: rows.rows[0][1] > 7)[0] == ([0.0, 8.0],)


def test_the_same_seed_gives_the_same_simple_row():
    """A rerun repeats."""
    row = Batch(columns=("a", "b", "c"), rows=([437.123456, 800, "zßx"],))
    found = {repr(simplified(SPACE, row, lambda rows: rows.rows[0][0] + rows.rows[0][1] > 1000)[0]) for _ in range(3)}
    assert len(found) == 1
