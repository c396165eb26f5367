"""Reading slices: what has a meaning, and the one line for what has none."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlgate.evaluation.slice_expression import Every, Member, Missing, Not, Order, Some
from mlgate.evaluation.slice_spec import (
    BinSlice,
    ColumnSlice,
    CrossSlice,
    ExpressionSlice,
    SliceSyntaxError,
    check_distinct,
    parse_slice,
)


def condition(text):
    """The condition of an expression."""
    found = parse_slice(text)
    assert isinstance(found, ExpressionSlice)
    assert found.name == text
    return found.condition


@pytest.mark.parametrize(
    "name", ["region", "customer region", "region-code", "2024", "größe", "a.b", "f(x)", "plan/basic"]
)
def test_a_name_is_a_column(name):
    """Also one that is no Python."""
    assert parse_slice(f" {name} ") == ColumnSlice(column=name)
    assert parse_slice({"column": name}).columns == (name,)


def test_a_column_that_reads_like_an_expression_has_a_way_in():
    """Written out, or in backticks."""
    assert parse_slice({"column": "days in arrears"}) == ColumnSlice(column="days in arrears")
    assert condition("`days in arrears` > 3") == Order(column="days in arrears", operator=">", value=3)
    assert condition("x == '`days`'") == Member(column="x", values=("`days`",))


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("age >= 65", Order(column="age", operator=">=", value=65)),
        ("65 <= age", Order(column="age", operator=">=", value=65)),
        ("-1.5 > t", Order(column="t", operator="<", value=-1.5)),
        ("region == 'EU'", Member(column="region", values=("EU",))),
        ("region != 'EU'", Not(condition=Member(column="region", values=("EU",)))),
        ("plan in ['a', 'b']", Member(column="plan", values=("a", "b"))),
        ("plan not in (1, 2)", Not(condition=Member(column="plan", values=(1, 2)))),
        ("x is None", Missing(column="x")),
        ("x is not None", Not(condition=Missing(column="x"))),
        ("not vip", Not(condition=Member(column="vip", values=(True,)))),
        (
            "18 <= age < 65",
            Every(
                conditions=(Order(column="age", operator=">=", value=18), Order(column="age", operator="<", value=65))
            ),
        ),
        (
            'region == "EU" and (plan != "pro" or vip)',
            Every(
                conditions=(
                    Member(column="region", values=("EU",)),
                    Some(
                        conditions=(
                            Not(condition=Member(column="plan", values=("pro",))),
                            Member(column="vip", values=(True,)),
                        )
                    ),
                )
            ),
        ),
    ],
)
def test_an_expression_means_what_it_says(text, means):
    """Comparisons, and, or, not, in."""
    assert condition(text) == means


def test_an_expression_knows_its_columns():
    """Each once, in its order."""
    assert parse_slice("b > 1 and not (a == 2 or b < 9 or c is None)").columns == ("b", "a", "c")


@pytest.mark.parametrize(
    ("text", "character", "says"),
    [
        ("__import__('os').system('ls') == 0", 1, "the name of a column"),
        ("age.__class__ == 1", 1, "the name of a column"),
        ("age > len(region)", 7, "a number, a text in quotes"),
        ("age + 1 > 65", 1, "the name of a column"),
        ("a > b", 5, "compare a column with a value"),
        ("region == EU", 11, "a text stands in quotes"),
        ("not f(x)", 5, "only comparisons, and, or, not and in"),
        ("a > 1 and [x for x in y]", 11, "only comparisons"),
        ("(lambda: 1) == 2", 2, "the name of a column"),
        ("plan in 'abc'", 9, "takes a list of values"),
        ("plan in []", 9, "takes a list of values"),
        ("plan in ['a', 1]", 9, "of one kind"),
        ("x == None", 6, "`is None`"),
        ("x is 3", 6, "compare with =="),
        ("x > True", 5, "have no order"),
        ("x > 1e999", 5, "a number, a text"),
        ("x == b'a'", 6, "a number, a text"),
        ("größe > f(1)", 9, "a number, a text"),
        ("a = 3", 3, "invalid syntax"),
        ("days in arrears", 9, "takes a list of values"),
        ("(x := 3) > 2", 2, "the name of a column"),
    ],
)
def test_everything_else_is_refused_with_its_place(text, character, says):
    """Nothing of it is ever run."""
    with pytest.raises(SliceSyntaxError, match=f"at character {character}: .*{says}"):
        parse_slice(text)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "empty text"),
        ("x > 1" + " " * 3 + "or x > 1 " * 100, "are the most"),
        ("x > 1\0", "null"),
        (5, "5 is no slice"),
        (None, "None is no slice"),
        ({"bins": [1]}, "keys bins are no slice"),
        ({"column": "a", "bin": [1]}, "keys column, bin are no slice"),
        ({"column": 3}, "column is 3"),
        ({"column": "a", "bins": []}, "list of numbers"),
        ({"column": "a", "bins": [1, "2"]}, "list of numbers"),
        ({"column": "a", "bins": [True]}, "list of numbers"),
        ({"column": "a", "bins": [1, 1]}, "must rise"),
        ({"column": "a", "bins": list(range(60))}, "48 are the most"),
        ({"column": "a", "bins": [float("nan")]}, "list of numbers"),
        ({"cross": ["a"]}, "takes two columns"),
        ({"cross": ["a", "a"]}, "two different columns"),
        ({"cross": ["a", {"x": 1}]}, "is no column"),
        ({"cross": "ab"}, "takes two columns"),
    ],
)
def test_what_is_no_slice_is_refused_with_what_would_be(value, says):
    """One line for each."""
    with pytest.raises(SliceSyntaxError, match=says):
        parse_slice(value)


def test_bins_and_crossings_have_names_that_say_what_they_are():
    """They are the names of their checks."""
    bins = parse_slice({"column": "age", "bins": [18, 30.5]})
    assert bins == BinSlice(column="age", edges=(18.0, 30.5))
    assert bins.name == "age [18, 30.5]"
    crossed = parse_slice({"cross": ["region", {"column": "age", "bins": [18]}]})
    assert isinstance(crossed, CrossSlice)
    assert (crossed.name, crossed.columns) == ("region x age [18]", ("region", "age"))


@pytest.mark.parametrize("slices", [["a", "a"], ["a > 1", " a > 1"], [{"column": "a", "bins": [1]}, {"column": "a", "bins": [2]}]])  # fmt: skip
def test_two_slices_never_write_the_same_check(slices):
    """One check has one id."""
    with pytest.raises(SliceSyntaxError, match="twice"):
        check_distinct(tuple(map(parse_slice, slices)))
    check_distinct(tuple(map(parse_slice, ["a", "b > 1", {"column": "a", "bins": [1]}])))


@given(st.text(max_size=60))
@example("((((((((((((((((((((((((((((((")
@example("not " * 100 + "x")
@example("`")
@example("x == '\ud800'")
@example("1 < 2")
def test_any_text_is_a_slice_or_one_line(text):
    """No text makes the reader raise anything else."""
    columns = ()
    with contextlib.suppress(SliceSyntaxError):
        columns = parse_slice(text).columns
    assert all(isinstance(column, str) for column in columns)
