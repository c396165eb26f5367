"""Policy errors of the properties: in one line, with what there is, before anything is started."""

import pytest

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Signature, Tensor, TensorSchema
from mlgate.errors import PolicyError
from mlgate.generation.input_space import input_space
from mlgate.policy_file import parse_policy
from mlgate.property_check import check_pairs, check_properties, ordered_number
from mlgate.scoring.output_place import NotThere

INPUTS = ColumnSchema(
    (
        Column("age", DataType.DOUBLE, True),
        Column("years", DataType.LONG, True),
        Column("plan", DataType.STRING, True),
        Column("since", DataType.DATETIME, True),
        Column("member", DataType.BOOLEAN, True),
    )
)
SCORE = ColumnSchema((Column(None, DataType.DOUBLE, True),))
TWO = ColumnSchema((Column("score", DataType.DOUBLE, True), Column("label", DataType.STRING, True)))
MANY = ColumnSchema((Column("a", DataType.DOUBLE, True), Column("b", DataType.DOUBLE, True)))
PROBS = TensorSchema((Tensor(None, "float64", (-1, 2)),))
LISTS = ColumnSchema((Column("probs", ArrayType(DataType.DOUBLE), True), Column("label", DataType.STRING, True)))


def values(properties, accuracy=""):
    return parse_policy(f"requires: [properties]\nproperties: {{{properties}}}\n{accuracy}").values


def check(properties, outputs=SCORE, inputs=INPUTS, accuracy=""):
    found = values(properties, accuracy)
    check_properties(found.properties, found.accuracy, Signature(inputs=inputs, outputs=outputs))
    if inputs is not None:
        check_pairs(found.properties, input_space(inputs, rules=found.properties.inputs, order=found.properties.order))


@pytest.mark.parametrize(
    ("properties", "outputs", "said"),
    [
        ("invariant_to: [customer]", SCORE, "invariant_to names 'customer', .*columns: age, years, plan"),
        ("monotonic: {tenure: increasing}", SCORE, "monotonic names 'tenure', .*columns: age"),
        ("monotonic: {plan: increasing}", SCORE, "'plan' is string, whose values have no order"),
        ("symmetric: [[age, height]]", SCORE, "symmetric names 'height'"),
        ("symmetric: [[age, plan]]", SCORE, "'age' is double and 'plan' string: they can not be swapped"),
        ("symmetric: [[age, years]]", SCORE, "'age' is double and 'years' long"),
        ("scale: [{multiply: {km: 2}}]", SCORE, "scale.multiply names 'km'"),
        ("scale: [{multiply: {age: 2}, set: {unit: mi}}]", SCORE, "scale.set names 'unit'"),
        ("scale: [{multiply: {age: 2}, where: {unit: mi}}]", SCORE, "scale.where names 'unit'"),
        ("scale: [{add: {plan: 2}}]", SCORE, "'plan' holds no numbers"),
        ("output: {min: 0, place: chance}", TWO, "no output 'chance'.*outputs: score: double; label: string"),
        ("output: {min: 0, place: 2}", TWO, "no output 2"),
        ("output: {min: 0}", TWO, "label: string does not hold numbers.*properties.output.place"),
        ("output: {simplex: true}", SCORE, "0: double is no array"),
        ("output: {simplex: true, place: label}", TWO, "label: string does not hold probabilities"),
        ("monotonic: {age: increasing}", MANY, "no output is the one number .*name it: properties.output.place"),
        ("monotonic: {age: increasing}", PROBS, "no output is the one number"),
        ("monotonic: {age: increasing}, output: {simplex: true}", PROBS, "no output is the one number"),
    ],
)
def test_what_the_signature_does_not_have_is_a_policy_error_in_one_line(properties, outputs, said):
    """Names the key, and what there is."""
    with pytest.raises(PolicyError, match=said) as caught:
        check(properties, outputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "outputs"),
    [
        ("invariant_to: [plan, since, member]", SCORE),
        ("monotonic: {age: increasing, since: decreasing, member: increasing}", TWO),
        ("output: {min: 0, max: 1, place: score}, monotonic: {age: increasing}", TWO),
        ("output: {labels: [a, b], place: label}", TWO),
        ("output: {simplex: true}", PROBS),
        ("output: {simplex: true}", MANY),
        ("output: {simplex: true, place: probs}", LISTS),
        ("output: {place: probs.1}, monotonic: {age: increasing}", LISTS),
        ("output: {min: 0}", None),
        ("monotonic: {age: increasing}", None),
    ],
)
def test_what_the_signature_has_is_no_error(properties, outputs):
    """Names, indices, paths; and where no output is declared, the signature check is the one to fail."""
    check(properties, outputs)


def test_a_signature_without_inputs_is_another_checks_to_find():
    """Nothing can be said about columns that are not declared."""
    check("invariant_to: [anything]", inputs=None)


def test_tensors_are_named_as_columns_are():
    """An unnamed one has no name to give."""
    named = TensorSchema((Tensor("x", "float64", (-1, 2)), Tensor("y", "float64", (-1, 2))))
    check("invariant_to: [x]", inputs=named)
    with pytest.raises(PolicyError, match="columns: x, y"):
        check("invariant_to: [z]", inputs=named)
    with pytest.raises(PolicyError, match="none that has a name"):
        check("invariant_to: [x]", inputs=TensorSchema((Tensor(None, "float64", (-1, 2)),)))
    with pytest.raises(PolicyError, match="whose values have no order"):
        check("monotonic: {x: increasing}", inputs=named)


@pytest.mark.parametrize(
    ("properties", "accuracy", "outputs", "row", "number"),
    [
        ("monotonic: {age: increasing}", "", SCORE, 0.25, 0.25),
        ("monotonic: {age: increasing}", "", TWO, {"score": 0.25, "label": "a"}, 0.25),
        ("monotonic: {age: increasing}, output: {place: b}", "", MANY, {"a": 1.0, "b": 2.0}, 2.0),
        ("monotonic: {age: increasing}, output: {place: b}", "accuracy: {score: a}", MANY, {"a": 1.0, "b": 2.0}, 2.0),
        ("monotonic: {age: increasing}", "accuracy: {score: a}", MANY, {"a": 1.0, "b": 2.0}, 1.0),
        ("monotonic: {age: increasing}", "accuracy: {classes: [stay, go], positive: go}", PROBS, [0.4, 0.6], 0.6),
        ("monotonic: {age: increasing}, output: {simplex: true}", "accuracy: {score: 0}", PROBS, [0.4, 0.6], 0.4),
    ],
)
def test_the_number_of_a_monotonic_column_is_defined(properties, accuracy, outputs, row, number):
    """`properties.output.place`, else the only number, else the score of the positive class."""
    found = values(properties, accuracy)
    assert ordered_number(found.properties, found.accuracy, outputs).read(row) == number


def test_an_answer_without_that_number_is_told():
    """An answer need not be what the signature says."""
    found = values("monotonic: {age: increasing}", "accuracy: {classes: [stay, go], positive: go}")
    with pytest.raises(NotThere):
        ordered_number(found.properties, found.accuracy, PROBS).read(["a", "b"])
    with pytest.raises(NotThere):
        ordered_number(found.properties, found.accuracy, SCORE).read("a")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ("output: {}", "give min and max, or labels, or simplex"),
        ("output: {min: 0, labels: [a]}", "give min and max, or labels, or simplex"),
        ("output: {labels: []}", "give min and max, or labels, or simplex"),
        ("output: {min: 2, max: 1}", "min 2 is above max 1"),
        ("invariant_to: [age, age]", "invariant_to has 'age' twice"),
        ("symmetric: [[a, b], [b, a]]", "symmetric has 'a x b' twice"),
        ("symmetric: [[a, a]]", "always its own mirror"),
        ("scale: [{multiply: {a: 2}}, {multiply: {a: 2}, where: {u: x}}]", "scale has 'a\\*2' twice; give one a name"),
        ("scale: [{set: {u: x}}]", "multiply is missing"),
        ("scale: [{multiply: {a: 0}}]", "multiply.a is 0"),
        ("scale: [{multiply: {a: 1}, set: {u: x}}]", "no unit changes"),
        ("scale: [{multiply: {a: 2}, where: {a: 3}}]", "a is multiplied, and stands under set or where"),
    ],
)
def test_a_declaration_that_says_nothing_is_a_policy_error(properties, said):
    """With its line, as all errors of the file."""
    with pytest.raises(PolicyError, match=said):
        values(properties)


def test_a_place_alone_asks_nothing_of_the_answers():
    """It only says which output the monotonic relations are about."""
    assert "properties.output_range" not in values("output: {place: 1}").properties.checks()
    assert "properties.output_range" in values("output: {place: 1, min: 0}").properties.checks()


def test_unit_changes_are_told_apart_by_name_or_by_what_they_do():
    """The id stays the same when another is added before it."""
    scale = "scale: [{multiply: {km: 0.5}, add: {t: 32}}, {multiply: {t: 1.8}, add: {t: 32}}, {name: inch, multiply: {x: 3}}]"
    assert [change.label for change in values(scale).properties.scale] == ["km*0.5 t+32", "t*1.8+32", "inch"]
