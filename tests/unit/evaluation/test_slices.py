"""Rows by slice: each row in the right one, and none in two."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.slice_spec import parse_slice
from mlgate.evaluation.slices import MAX_VALUES, Column, Partition, partition
from mlgate.statistics.interval import Undefined

AGE = [17, 18, 29, 30, 64, 65, 80, None]
REGION = ["EU", "EU", "US", None, "US", "EU", "APAC", "US"]
VIP = [True, False, None, True, False, True, False, None]
COLUMNS = {"age": Column.of(AGE), "region": Column.of(REGION), "vip": Column.of(VIP)}


def cut(spec, columns=None):
    """Name of each slice to its rows."""
    found = partition(parse_slice(spec), columns or COLUMNS)
    assert isinstance(found, Partition), found
    assert found.counts.tolist() == [len(found.rows(index)) for index in range(len(found.values))]
    return {value.name: found.rows(index).tolist() for index, value in enumerate(found.values)}


def test_a_column_is_cut_by_its_values_with_null_as_one_of_them():
    """In the order of the values."""
    assert cut("region") == {"region=APAC": [6], "region=EU": [0, 1, 5], "region=US": [2, 4, 7], "region=null": [3]}
    assert cut("vip") == {"vip=false": [1, 4, 6], "vip=true": [0, 3, 5], "vip=null": [2, 7]}
    assert list(cut("n", {"n": Column.of([10, 2, 1.5, 2.0])})) == ["n=1.5", "n=2", "n=10"]


def test_a_text_null_is_not_a_missing_value():
    """Two slices, two names."""
    found = cut("x", {"x": Column.of(["null", None, "a"])})
    assert found == {"x=a": [2], "x=null": [0], "x=null (missing)": [1]}


def test_a_value_of_the_dictionary_without_rows_is_no_slice():
    """Only what is found in the data is judged."""
    assert cut("x", {"x": Column(codes=np.array([2, 2]), values=("a", "b", "c"))}) == {"x=c": [0, 1]}


def test_bins_hold_their_lower_edge_and_name_what_lies_outside():
    """Every row is in one of them."""
    assert cut({"column": "age", "bins": [18, 30, 65]}) == {
        "age=<18": [0], "age=[18,30)": [1, 2], "age=[30,65)": [3, 4], "age=>=65": [5, 6], "age=null": [7],
    }  # fmt: skip


def test_a_declared_bin_without_rows_is_there_and_an_outer_one_is_not():
    """The policy names the one and not the other."""
    columns = {"age": Column.of([18, 19])}
    assert cut({"column": "age", "bins": [10, 20, 30]}, columns) == {"age=[10,20)": [0, 1], "age=[20,30)": []}
    assert cut({"column": "age", "bins": [50]}, columns) == {"age=<50": [0, 1], "age=>=50": []}


def test_crossing_gives_the_pairs_that_occur():
    """And both columns in their check ids."""
    found = partition(parse_slice({"cross": ["region", "vip"]}), COLUMNS)
    assert isinstance(found, Partition)
    assert cut({"cross": ["region", "vip"]}) == {
        "region=APAC, vip=false": [6], "region=EU, vip=false": [1], "region=EU, vip=true": [0, 5],
        "region=US, vip=false": [4], "region=US, vip=null": [2, 7], "region=null, vip=true": [3],
    }  # fmt: skip
    assert found.values[0].params == {"region": "APAC", "vip": "false"}


def test_a_column_whose_name_is_taken_is_written_as_a_slice():
    """`metric=…` in a check id is the metric."""
    found = partition(parse_slice("metric"), {"metric": Column.of(["km", "mile"])})
    assert isinstance(found, Partition)
    assert [value.params for value in found.values] == [{"slice": "metric=km"}, {"slice": "metric=mile"}]
    crossed = partition(parse_slice({"cross": ["metric", "slice"]}), {"metric": Column.of(["a"]), "slice": Column.of(["b"])})  # fmt: skip
    assert isinstance(crossed, Partition)
    assert crossed.values[0].params == {"slice": "metric=a, slice=b"}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("age >= 65", [5, 6]),
        ("not age >= 65", [0, 1, 2, 3, 4]),
        ("age is None", [7]),
        ("age is not None and region != 'EU'", [2, 4, 6]),
        ("region in ['EU', 'APAC'] or age == 30", [0, 1, 3, 5, 6]),
        ("vip", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("not vip", [1, 4, 6]),
        ("vip == True and age < 65", [0, 3]),
        ("region > 'EU'", [2, 4, 7]),
        ("age not in [17, 18]", [2, 3, 4, 5, 6]),
        ("age > 200", []),
        ("not (vip and age > 20)", [0, 1, 4, 6]),
    ],
)
def test_an_expression_holds_on_the_rows_of_which_it_is_known(text, rows):
    """A null is neither old nor not old."""
    found = [row for part in cut(text).values() for row in part]
    assert sorted(found) == rows


def test_what_can_not_be_sliced_says_why():
    """Column missing, wrong kind, too many values."""
    many = {"id": Column.of([str(index) for index in range(MAX_VALUES + 1)]), "k": Column.of([1] * (MAX_VALUES + 1))}
    cases = [
        ("plan", COLUMNS, "no column 'plan' to slice by (kept: age, region, vip)"),
        ("region >= 3", COLUMNS, "'region' holds texts and is compared with a number"),
        ("age == '3'", COLUMNS, "'age' holds numbers and is compared with a text"),
        ("vip == 1", COLUMNS, "'vip' holds truth values and is compared with a number"),
        ({"column": "region", "bins": [1]}, COLUMNS, "only numbers can be cut into bins"),
        ("id", many, "id has 51 values, more than 50"),
    ]
    for spec, columns, says in cases:
        found = partition(parse_slice(spec), columns)
        assert isinstance(found, Undefined)
        assert says in found.reason


def test_as_many_values_as_are_allowed_are_judged():
    """One fewer than too many."""
    assert len(cut("id", {"id": Column.of([str(index) for index in range(MAX_VALUES)])})) == MAX_VALUES


def test_codes_as_small_as_can_be_hold_their_largest_value():
    """128 values fit in eight bits, and one more code does not."""
    column = Column(codes=np.array([127, 127, -1], dtype=np.int8), values=np.arange(128))
    assert cut("x", {"x": column}) == {"x=127": [0, 1], "x=null": [2]}


cells = st.tuples(st.none() | st.integers(-5, 5), st.none() | st.sampled_from("abc"), st.none() | st.booleans())


@given(st.lists(cells, min_size=1, max_size=40))
def test_every_row_is_in_exactly_one_slice(rows):
    """Of a column, of bins, of a crossing."""
    columns = {name: Column.of(list(values)) for name, values in zip("nst", zip(*rows, strict=True), strict=True)}
    for spec in ("n", "s", "t", {"column": "n", "bins": [-2, 0, 3]}, {"cross": ["s", {"column": "n", "bins": [0]}]}):
        found = [row for part in cut(spec, columns).values() for row in part]
        assert sorted(found) == list(range(len(rows)))


@given(st.lists(cells, min_size=1, max_size=40))
def test_expressions_agree_with_python(rows):
    """Held against Python's own words, row by row; of a null, nothing holds."""
    columns = {name: Column.of(list(values)) for name, values in zip("nst", zip(*rows, strict=True), strict=True)}
    rules = {
        "n > 1 and s == 'a'": lambda n, s, t: n is not None and n > 1 and s == "a",
        "s in ['a', 'b'] or t == True": lambda n, s, t: s in ("a", "b") or t is True,
        "not (n <= 1 or s != 'c')": lambda n, s, t: n is not None and n > 1 and s == "c",
        "-1 <= n < 3": lambda n, s, t: n is not None and -1 <= n < 3,
    }
    for text, rule in rules.items():
        found = [row for part in cut(text, columns).values() for row in part]
        assert found == [index for index, row in enumerate(rows) if rule(*row)]
