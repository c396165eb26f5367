"""Rules of `properties.inputs` and `properties.order`: what does not fit, or can not be met, is an error of one line."""

import pytest
from pydantic import ValidationError

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
)
from mlgate.errors import PolicyError
from mlgate.generation.input_space import input_space
from mlgate.policy_file import load_policy
from mlgate.policy_properties import InputRule, Properties

NUMBERS = [DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE]
GIVEN = {
    "min": 0,
    "max": 5,
    "step": 2,
    "values": ("a",),
    "pattern": "a+",
    "min_length": 1,
    "max_length": 2,
    "after": "2024-01-01",
    "before": "2024-02-01",
}
FITTING = {
    **{kind: {"min", "max", "step"} for kind in NUMBERS},
    DataType.BOOLEAN: set(),
    DataType.STRING: {"values", "pattern", "min_length", "max_length"},
    DataType.BINARY: {"min_length", "max_length"},
    DataType.DATETIME: {"after", "before"},
    ArrayType(DataType.LONG): {"min", "max", "step", "min_length", "max_length"},
    MapType(DataType.STRING): {"values", "pattern", "min_length", "max_length"},
    ArrayType(ArrayType(DataType.DATETIME)): {"after", "before", "min_length", "max_length"},
    ObjectType((Property("p", DataType.LONG, True),)): set(),
    AnyType(): {"values"},
}


def space(kind, rule, *, required=True):
    """The space of one column with one rule."""
    return input_space(ColumnSchema((Column("a", kind, required),)), rules={"a": rule})


@pytest.mark.parametrize("kind", FITTING, ids=str)
@pytest.mark.parametrize("field", GIVEN)
def test_a_rule_fits_its_type_or_is_refused_by_name(kind, field):
    """Ignored, it would look as if it held."""
    rule = InputRule(**{field: GIVEN[field]})
    if field in FITTING[kind]:
        domain = space(kind, rule).domains[0]
        assert domain.holds(domain.default)
    else:
        with pytest.raises(PolicyError, match=rf"properties\.inputs\.a\.{field}: (does not fit a|'a' is no)"):
            space(kind, rule)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.LONG, 0.5),
        (DataType.LONG, True),
        (DataType.STRING, 1),
        (DataType.BOOLEAN, 1),
        (DataType.DOUBLE, "a"),
        (DataType.DATETIME, "soon"),
        (ArrayType(DataType.LONG), "a"),
    ],
)
def test_a_listed_value_of_another_type_is_refused(kind, value):
    """It would be against the signature in every row."""
    with pytest.raises(PolicyError, match=rf"properties\.inputs\.a\.values: {value!r} is no"):
        space(kind, InputRule(values=(value,)))


def test_null_is_declared_only_where_a_request_can_hold_it():
    """Never in a required column, and not where MLflow's server refuses it; it may be taken back anywhere."""
    with pytest.raises(PolicyError, match=r"inputs\.a\.nullable: the signature says that the column is required"):
        space(DataType.DOUBLE, InputRule(nullable=True))
    with pytest.raises(PolicyError, match=r"inputs\.a\.nullable: MLflow's server refuses null in a long column"):
        space(DataType.LONG, InputRule(nullable=True), required=False)
    assert space(DataType.DOUBLE, InputRule(nullable=True), required=False).domains[0].nullable
    assert not space(DataType.DOUBLE, InputRule(nullable=False), required=False).domains[0].nullable


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"min": 5, "max": 1}, "min 5 is above max 1"),
        ({"values": []}, "at least one value"),
        ({"values": [1], "min": 0}, "stands alone"),
        ({"pattern": "("}, "pattern is no regular expression"),
        ({"pattern": "a", "min_length": 2}, "pattern stands without min_length"),
        ({"min_length": 5, "max_length": 1}, "min_length 5 is above max_length 1"),
        ({"min_length": -1}, "greater than or equal to 0"),
        ({"step": 0}, "greater than 0"),
        ({"after": "soon"}, "after: 'soon' is no date"),
        ({"before": "2024-13-01"}, "before: '2024-13-01' is no date"),
        ({"after": "2024-02-01", "before": "2024-01-31"}, "after 2024-02-01 is later than before 2024-01-31"),
        ({"smallest": 1}, "Extra inputs"),
    ],
)
def test_a_rule_that_can_not_be_met_is_refused_when_the_policy_is_read(rule, says):
    """Before any container starts."""
    with pytest.raises(ValidationError, match=says):
        InputRule.model_validate(rule)


def test_bounds_may_stand_in_the_file_without_quotes(tmp_path):
    """YAML makes dates of them; in `values` they need quotes, for they may be texts."""
    path = tmp_path / "mlgate.yaml"
    rules = "{after: 2024-01-01, before: 2024-06-30T12:00:00}, b: {values: ['2024-01-01', '2024-02-01']}"
    path.write_text(f"version: 1\nrequires: [properties]\nproperties:\n  inputs: {{a: {rules}}}\n  order: [a <= b]\n")
    found = load_policy(path).values.properties
    assert (found.inputs["a"].after, found.inputs["a"].before) == ("2024-01-01", "2024-06-30T12:00:00")
    assert found.inputs["b"].values == ("2024-01-01", "2024-02-01")
    schema = ColumnSchema((Column("a", DataType.DATETIME, True), Column("b", DataType.DATETIME, True)))
    space = input_space(schema, rules=found.inputs, order=found.order)
    assert all(
        "2024-01-01T00:00:00" <= first <= second <= "2024-02-01T00:00:00"
        for first, second in space.sample(50, seed=1).rows
    )


def test_a_day_may_be_both_ends():
    """It begins at midnight and ends at the next."""
    domain = space(DataType.DATETIME, InputRule(after="2024-02-01", before="2024-02-01")).domains[0]
    assert domain.holds("2024-02-01T23:59:59")
    assert not domain.holds("2024-02-02T00:00:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a", "no order"),
        ("a >= b", "no order"),
        ("a = b", "no order"),
        ("a <=", "no order"),
        ("a < b > c", "no order"),
        ("a <= a", "names a column twice"),
        ("", "no order"),
    ],
)
def test_an_order_that_can_not_be_read_is_refused(text, says):
    """With what is expected."""
    with pytest.raises(ValidationError, match=says):
        Properties.model_validate({"order": [text]})


@pytest.mark.parametrize(
    ("dtype", "shape", "rule", "fits"),
    [
        ("float32", (-1, 3), InputRule(min=0, max=1), True),
        ("float32", (-1, 3), InputRule(pattern="a"), False),
        ("float32", (-1, 3), InputRule(min_length=2), False),
        ("float32", (-1, -1), InputRule(min_length=2, max_length=4), True),
        ("uint8", (-1, 2), InputRule(values=(0, 255)), True),
        ("uint8", (-1, 2), InputRule(values=(256,)), False),
        ("int64", (-1, 2), InputRule(values=(0.5,)), False),
        ("str", (-1,), InputRule(pattern="[ab]+"), True),
        ("str", (-1,), InputRule(min=1), False),
        ("bool", (-1,), InputRule(values=(True,)), True),
        ("datetime64[ns]", (-1,), InputRule(after="2024-01-01"), True),
        ("float64", (-1,), InputRule(nullable=True), False),
    ],
)
def test_a_rule_for_a_tensor_is_about_its_elements_and_open_axes(dtype, shape, rule, fits):
    """What makes no sense for it is refused by name."""
    schema = TensorSchema((Tensor("x", dtype, shape), Tensor("y", "float64", (-1,))))
    if not fits:
        with pytest.raises(PolicyError, match=r"properties\.inputs\.x\.\w+: "):
            input_space(schema, rules={"x": rule})
        return
    found = input_space(schema, rules={"x": rule})
    batch = found.sample(20, seed=1)
    assert found.holds(batch)
    unnamed = input_space(TensorSchema((Tensor(None, dtype, shape),)), rules={"0": rule})
    assert unnamed.holds(unnamed.sample(20, seed=1))
