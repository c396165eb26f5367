"""properties.invariant_to and its like: checks of the evidence, or an error before anything starts."""


def with_properties(gated, text):
    """The project's policy with more under `properties`."""
    path = gated.policy("properties")
    path.write_text(path.read_text().replace("properties: {examples: 40}", f"properties: {{examples: 40, {text}}}"))


def test_a_relation_is_a_check_of_the_evidence(gated):
    """One line for each, with its pairs."""
    with_properties(gated, "monotonic: {visits: increasing}, invariant_to: [visits], output: {min: -1.0e9, max: 1.0e9}")
    gated.run()
    checks = {check.key: check for check in gated.evidence().suites["properties"].checks}
    assert checks["properties.output_range"].finding.n >= 40
    assert checks["properties.monotonic[column=visits]"].finding.details["pairs"] >= 30
    assert checks["properties.invariant[column=visits]"].finding.details["pairs"] >= 30
    assert "properties.concurrent" in checks


def test_a_relation_of_a_column_that_is_not_there_is_refused_with_one_line(gated):
    """Before any server is started; the line lists the columns."""
    with_properties(gated, "invariant_to: [customer_id]")
    said = gated.refusal(gated.run())
    assert "properties.invariant_to names 'customer_id', which is no input column" in said
    assert "columns: " in said


def test_a_relation_without_a_valid_pair_is_refused_with_one_line(gated):
    """No value is valid in both units."""
    with_properties(gated, "inputs: {age: {min: 0, max: 9}}, scale: [{multiply: {age: 2}, add: {age: 100}}]")
    assert "no value of 'age' is valid in both units" in gated.refusal(gated.run())
