"""Check ids: one text form and one MLflow form each."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from mlgate.check_id import format_check_id, mlflow_name, parse_check_id, readable_check_id

ids = st.from_regex(re.compile(r"[a-z_]{1,8}\.[a-z0-9_]{1,8}", re.ASCII), fullmatch=True)
# What collides most easily: the separators of both forms, dots, and what MLflow refuses.
nasty = st.text(st.sampled_from("ab/:.,=%[]~_ \n\t-é漢🙂\ud800\x00"), max_size=6)
values = nasty | st.text(st.characters(), max_size=20)
params = st.dictionaries(values, values, max_size=3)


def test_the_text_form_is_as_pinned():
    """Keys sorted, values percent-encoded outside the alphabet."""
    assert format_check_id("accuracy.slice", {"region": "EU", "metric": "f1"}) == "accuracy.slice[metric=f1,region=EU]"
    assert format_check_id("accuracy.slice", {"x": "a b~ü"}) == "accuracy.slice[x=a%20b%7E%C3%BC]"
    assert format_check_id("load.rate", {}) == "load.rate"


@given(ids, params)
@example("a.b", {"": ""})
@example("a.b", {"x": "\ud800"})
@example("a.b", {"~": "~"})
def test_a_check_id_is_read_back_as_it_was_written(check, given_params):
    """For any text in keys and values, lone surrogates too."""
    text = format_check_id(check, given_params)
    assert parse_check_id(text) == (check, given_params)
    assert re.fullmatch(r"[A-Za-z0-9_.%\[\]=,-]+", text)


def test_people_read_a_check_id_without_percent_signs():
    """But for what a terminal would act on."""
    key = format_check_id("accuracy.slice", {"age": ">= 70", "metric": "f1"})
    assert readable_check_id(key) == "accuracy.slice[age=>= 70,metric=f1]"
    assert readable_check_id(format_check_id("a.b", {"x": "\x1b[31m\n"})) == "a.b[x=%1B[31m%0A]"
    assert readable_check_id("load.rate") == "load.rate"
    assert readable_check_id("no id") == "no id"


@pytest.mark.parametrize(
    "text",
    ["", "load", "load.", "Load.rate", "load.rate[", "load.rate[]", "load.rate[b=1,a=2]", "load.rate[a=1,a=2]",
     "load.rate[a=ü]", "load.rate[a=%61]", "load.rate[a=%FF]", "load.rate[a]", "load.rate[a=1][b=2]", "load.rate\n"],
)  # fmt: skip
def test_what_format_would_not_write_is_no_check_id(text):
    """Two spellings of one check would be two checks in the evidence."""
    with pytest.raises(ValueError, match="not a check id"):
        parse_check_id(text)


@given(st.text(max_size=40))
def test_any_text_is_a_check_id_or_a_value_error(text):
    """And then it is the one spelling of that check."""
    try:
        check, found = parse_check_id(text)
    except ValueError:
        return
    assert format_check_id(check, found) == text


def test_the_mlflow_form_is_as_pinned():
    """Plain values stand as they are; a refused character is replaced and six hex digits say so."""
    assert mlflow_name("load.rate") == "load.rate"
    assert mlflow_name("accuracy.slice[metric=f1,region=EU]") == "accuracy.slice/metric:f1/region:EU"
    assert re.fullmatch(r"accuracy\.slice/region:a_b_[0-9a-f]{6}", mlflow_name("accuracy.slice[region=a%3Fb]"))


@given(ids, params)
def test_mlflow_takes_every_name(check, given_params):
    """By MLflow's own rule, and short enough with `champion.` in front."""
    name = mlflow_name(format_check_id(check, given_params))
    _validate_metric_name(name)
    _validate_metric_name(f"champion.{name}")
    assert len(f"champion.{name}") <= 250
    assert len(f"{name}-1.json".encode()) <= 255


@given(ids, params, ids, params)
@example("a.b", {"x": "1/y:2"}, "a.b", {"x": "1", "y": "2"})
@example("a.b", {"x:1": "2"}, "a.b", {"x": "1:2"})
@example("a.b", {"x": "v" * 300}, "a.b", {"x": "v" * 299})
@example("a.b", {"x": ".."}, "a.b", {"x": "_"})
def test_two_checks_never_share_an_mlflow_name(check, some, other_check, other):
    """Else one would overwrite the other's metric."""
    first, second = format_check_id(check, some), format_check_id(other_check, other)
    assume(first != second)
    assert mlflow_name(first) != mlflow_name(second)


@given(ids, nasty, nasty)
def test_values_that_clean_up_to_the_same_text_stay_apart(check, some, other):
    """The digest is what tells `a/b` from `a:b`."""
    assume(some != other)
    assert mlflow_name(format_check_id(check, {"x": some})) != mlflow_name(format_check_id(check, {"x": other}))
