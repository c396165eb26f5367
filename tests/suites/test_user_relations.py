"""Relations that a user writes: the worked example, shrinking and recording for free, and errors of the user's own code."""

import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

import mlgate
from mlgate.failure import read_failure
from tests.suites.conftest import POLICY, healthy

CHECK = "acceptance.loyalty"
EXAMPLE = Path(__file__).parents[2] / "examples/acceptance/test_loyalty.py"
PLAIN = POLICY.replace("examples: 200", "examples: 300")


def example():
    """The relation of the worked example."""
    spec = importlib.util.spec_from_file_location("test_loyalty", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.test_loyalty


def found(put, test, check=CHECK, **fixtures):
    """What the check of a relation records, as the plugin would call it."""
    recorded = []
    search = put.search(check, "acceptance")
    inputs = put._fixture(None, "mlgate_inputs", None)
    test(mlgate_search=search, mlgate_inputs=inputs, mlgate_record=recorded.append, **fixtures)
    (finding,) = recorded
    return finding


def related(function, change=lambda rows: rows):
    return mlgate.relation(CHECK, suite="acceptance", change=change)(function)


def disloyal(frame, params=None):
    """Long-standing customers of one plan are told to be likelier to leave."""
    answers = healthy(frame)
    odd = (frame["tenure"].to_numpy() > 30) & (frame["plan"].to_numpy(object) == "pro")
    return np.where(odd, 1 - answers, answers)


def test_the_worked_example_passes_a_healthy_model_and_counts_its_pairs(bench):
    """Rows whose changed row is beyond the domain are no pairs, and are counted as such."""
    finding = found(bench(policy=PLAIN), example())
    assert str(finding.outcome) == "passed", finding
    assert finding.n + finding.details["unpaired"] == 300
    assert finding.details["unpaired"] > 0
    assert finding.reason == f"it holds for {finding.n} generated pairs of valid rows"
    assert finding.details["coverage"]["columns"]["tenure"]["distinct"] > 10


def test_the_worked_example_fails_its_mutant_with_one_simple_row(bench, tmp_path):
    """Narrowed, made minimal and saved, as for mlgate's own checks; both requests stand in the file."""
    finding = found(bench(disloyal, policy=PLAIN, data=None), example())
    assert str(finding.outcome) == "failed"
    assert "a valid row: the relation does not hold: answered " in finding.reason
    failure = read_failure((tmp_path / finding.details["file"]).read_bytes(), name="x")
    assert failure.check == CHECK
    assert failure.suite == "acceptance"
    ((_, tenure, plan),) = failure.case.rows
    assert tenure >= 30
    assert plan == "pro"
    assert set(failure.changed) <= {"tenure", "plan"}
    assert len(failure.exchanges) == 2


@pytest.mark.parametrize(("model", "outcome"), [(disloyal, "failed"), (healthy, "passed")])
def test_a_saved_failure_of_a_relation_is_tried_again(bench, tmp_path, model, outcome):
    """Through the relation's own code."""
    first = found(bench(disloyal, policy=PLAIN), example())
    failure = read_failure((tmp_path / first.details["file"]).read_bytes(), name="x")
    finding = found(bench(model, policy=PLAIN, known={"x": failure}, only_known=True), example())
    assert str(finding.outcome) == outcome


def test_a_property_of_single_rows_needs_no_change(bench):
    """The function gets the rows with their answers, and the fixtures that it asks for."""

    @mlgate.relation(CHECK, suite="acceptance")
    def young(answered, mlgate_policy):
        assert mlgate_policy.values.properties.examples == 300
        return (answered.inputs["age"] < 80) | (answered.answers < 0.9)

    finding = found(bench(policy=PLAIN), young, mlgate_policy=bench(policy=PLAIN).policy)
    assert str(finding.outcome) == "failed"
    assert "a valid row" in finding.reason


def test_an_assertion_means_all_rows_and_its_message_is_the_reason(bench):
    """What pytest users write; the failing row is found by asking for parts."""

    def same(before, after):
        assert (before.answers < 0.99).all(), "somebody is certain to leave"

    finding = found(bench(policy=PLAIN), related(same))
    assert str(finding.outcome) == "failed"
    assert "a valid row: somebody is certain to leave: answered " in finding.reason


def raises(rows):
    raise KeyError("agee")


@pytest.mark.parametrize(
    ("function", "change", "said"),
    [
        (lambda before, after: True, raises, "change: KeyError: 'agee'"),
        (lambda before, after: True, lambda rows: rows.head(3), "change: ValueError: 3 rows for "),
        (lambda before, after: True, lambda rows: rows.drop(columns="age"), "column 'age' is missing"),
        (lambda before, after: True, lambda rows: rows.assign(colour=1), "column 'colour' is none of the inputs"),
        (lambda before, after: True, lambda rows: None, "change: TypeError: returned NoneType, and no data frame"),
        (lambda before, after: before.answers["x"] > 0, lambda rows: rows, "KeyError: 'x'"),
        (lambda before, after: None, lambda rows: rows, "returned nothing, and asserts nothing"),
        (lambda before, after: [True], lambda rows: rows, "returned 1 values for "),
        (lambda before, after: after.answers, lambda rows: rows, "values for "),
    ],
)
def test_an_error_of_the_users_code_is_errored_with_a_line_that_names_it(bench, function, change, said):
    """The model is not to blame, and nothing passes."""
    finding = found(bench(policy=PLAIN), related(function, change))
    assert str(finding.outcome) == "errored"
    assert finding.reason.startswith("test_user_relations.py:")
    assert said in finding.reason
    assert str(finding.cause) == "harness"


def test_no_pair_at_all_is_inconclusive(bench):
    """A change that always leaves the domain has shown nothing."""
    finding = found(bench(policy=PLAIN), related(lambda before, after: True, lambda rows: rows.assign(age=200.0)))
    assert str(finding.outcome) == "inconclusive"
    assert "no pair" in finding.reason


def test_rows_that_are_not_answered_are_left_to_the_total_check(bench):
    """One defect is one failed check."""

    def predict(frame, params=None):
        if (frame["age"] > 85).any():
            raise ValueError("too old")
        return healthy(frame)

    finding = found(bench(predict, policy=PLAIN), example())
    assert str(finding.outcome) == "passed"
    assert finding.details["unanswered"] > 0


def test_a_model_that_answers_nothing_is_inconclusive(bench):
    """There is nothing to compare; a hang of every request is not waited for row by row."""

    def predict(frame, params=None):
        time.sleep(20)

    put = bench(predict, policy=PLAIN, timeout_s=0.3)
    finding = found(put, example())
    assert str(finding.outcome) == "inconclusive"
    assert "stopped after 0 rows" in finding.reason
    assert put.server.starts < 8


def test_a_frame_that_is_changed_in_place_does_no_harm(bench):
    """What `before` holds is what was sent first."""

    def change(rows):
        rows["tenure"] = 0
        return rows

    longest = []

    def seen(before, after):
        longest.append(before.inputs["tenure"].max())
        assert (after.inputs["tenure"] == 0).all()

    assert str(found(bench(policy=PLAIN), related(seen, change)).outcome) == "passed"
    assert max(longest) > 30


def test_named_outputs_and_tensors_come_as_frames(bench):
    """A column for each output; a nested list for each tensor."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2), "x"), TensorSpec(np.dtype("float64"), (-1,), "y")]),
        outputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
    )

    def predict(inputs, params=None):
        return np.stack([np.asarray(inputs["x"]).sum(axis=1), np.asarray(inputs["y"])], axis=1)

    def swapped(rows):
        return rows.assign(x=[list(reversed(pair)) for pair in rows["x"]])

    def alike(before, after):
        assert list(before.answers.columns) == [0, 1]
        assert (before.answers[1] == before.inputs["y"]).all()
        return np.isclose(before.answers[0], after.answers[0])

    bare = PLAIN[: PLAIN.index("  inputs:")] + PLAIN[PLAIN.index("accuracy:") :]
    put = bench(predict, signed=signature, policy=bare, data=None)
    finding = found(put, related(alike, swapped))
    assert (str(finding.outcome), finding.n) == ("passed", 300), finding
