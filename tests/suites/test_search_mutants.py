"""What the search does with a mutant: few rows, few columns, a file that is tried again, and a rate where some may break."""

import json
import time

import numpy as np
import pytest

from mlgate.failure import read_failure
from tests.suites.conftest import POLICY, healthy

TOTAL, BATCH, ALIKE = "properties.total", "properties.batch", "properties.deterministic"
INPUTS = """
runtime: {request_timeout: 3s}
properties:
  examples: 500
  inputs:
    age: {min: 18, max: 90}
    tenure: {min: 0, max: 9000000000000000}
    plan: {max_length: 30}
"""


def raising(when):
    """A model that raises where `when(frame)` holds for a row."""

    def predict(frame, params=None):
        if when(frame).any():
            raise OverflowError("Python int too large to convert to C long")
        return healthy(frame)

    return predict


def plan_is(text):
    return lambda frame: frame["plan"].to_numpy(object) == text


def found_in(put, check, folder):
    """The finding of a broken check, its rows, and the file that was saved."""
    finding = put.findings("properties", check)[check]
    assert str(finding.outcome) == "failed", finding
    failure = read_failure((folder / finding.details["file"]).read_bytes(), name="x")
    assert failure.check == check
    assert failure.seed == put.seed
    return finding, failure


SINGLE = {
    "a crash on one category": (POLICY, raising(plan_is("pro")), {"plan"}),
    "NaN at an edge": (POLICY, lambda frame, params=None: np.where(frame["age"] == 90, np.nan, healthy(frame)), {"age"}),
    "an overflow at a large integer": (INPUTS, raising(lambda frame: frame["tenure"].astype(float) >= 2**52), {"tenure"}),
    "a failure that needs two columns": (
        POLICY,
        raising(lambda frame: (frame["age"] > 80) & plan_is("pro")(frame) | (frame["age"] > 80) & (frame["tenure"] > 30)),
        {"age", "plan", "tenure"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", [1, 20, 333])
@pytest.mark.parametrize("mutant", SINGLE)
def test_one_row_is_left_with_at_most_two_columns_that_are_not_the_default(bench, tmp_path, mutant, seed):
    """And these are the columns that matter."""
    policy, predict, columns = SINGLE[mutant]
    # Without evaluation data, so that the defaults do not depend on a row of it.
    _, failure = found_in(bench(predict, policy=policy, data=None, seed=seed), TOTAL, tmp_path)
    assert len(failure.case.rows) == 1
    assert set(failure.changed) <= columns
    assert len(failure.changed) <= 2


def test_a_hang_on_the_empty_text_is_narrowed_within_eight_probes_that_hang(bench, tmp_path):
    """One row, whose text is empty and whose other values are the defaults; the server was brought back each time."""

    def predict(frame, params=None):
        if plan_is("")(frame).any():
            time.sleep(20)
        return healthy(frame)

    put = bench(predict, policy=INPUTS, data=None, timeout_s=1.0)
    finding, failure = found_in(put, TOTAL, tmp_path)
    assert "hangs" in finding.reason
    assert [row[2] for row in failure.case.rows] == [""]
    assert failure.changed == ("plan",)
    # The first request that hung, eight probes, and the start.
    assert 2 <= put.server.starts <= 10


def test_a_failure_that_needs_two_rows_keeps_both(bench, tmp_path):
    """Neither fails alone, and halving would not find them."""

    def predict(frame, params=None):
        if (frame["age"] > 85).any() and (frame["age"] < 20).any():
            raise ZeroDivisionError("division by zero")
        return healthy(frame)

    finding, failure = found_in(bench(predict, data=None), TOTAL, tmp_path)
    assert "2 valid rows together: raises: ZeroDivisionError" in finding.reason
    young, old = sorted(row[0] for row in failure.case.rows)
    assert young < 20
    assert old > 85
    assert failure.changed == ("age",)


def test_an_order_dependent_batch_keeps_two_rows(bench, tmp_path):
    """A batch needs two; of each only what makes the difference is kept."""

    def predict(frame, params=None):
        # The first row's plan decides for all.
        return healthy(frame.assign(plan=frame["plan"].iloc[0]))

    finding, failure = found_in(bench(predict, data=None), BATCH, tmp_path)
    assert "2 valid rows together" in finding.reason
    assert len({row[2] for row in failure.case.rows}) == 2
    assert failure.changed == ("plan",)


def test_a_finding_says_what_was_tried(bench):
    """Rows, and distinct values and edges of each column; the seed to repeat it with."""
    put = bench()
    details = put.findings("properties", TOTAL)[TOTAL].details
    assert details["rows"] == 200
    assert details["seed"] == put.seed
    columns = details["coverage"]["columns"]
    assert set(columns) == {"age", "tenure", "plan"}
    assert columns["plan"] == {"distinct": 2, "edges": [2, 2]}
    assert columns["age"]["distinct"] > 50
    assert columns["age"]["edges"][0] == columns["age"]["edges"][1]


def test_the_same_seed_finds_the_same_row_and_another_seed_may_find_another(bench, tmp_path):
    """Reproducible by default."""
    predict = raising(lambda frame: frame["age"] > 60)
    cases = [found_in(bench(predict, seed=seed), TOTAL, tmp_path)[1].case for seed in (5, 5, 5)]
    assert cases[0] == cases[1] == cases[2]
    assert sorted(path.name for path in (tmp_path / "failures").iterdir()) == [
        f"properties.total-{number}.json" for number in (1, 2, 3)
    ]


def test_the_file_holds_the_request_the_answer_and_a_command(bench, tmp_path):
    """What a person needs who has nothing but the file."""
    finding, failure = found_in(bench(raising(plan_is("pro")), data=None), TOTAL, tmp_path)
    (sent,) = failure.exchanges
    assert json.loads(sent.body)["dataframe_split"]["data"] == [list(failure.case.rows[0])]
    assert sent.answer["status"] == 400
    assert "OverflowError" in sent.answer["body"]
    assert sent.curl.startswith("curl -s $SERVER/invocations -H 'Content-Type: application/json'")
    assert failure.problem in finding.reason
    assert failure.origin.artifact_digest == "sha256:challenger"


# Evaluation data


def test_a_row_that_needs_a_value_of_the_data_is_stored_as_its_key(bench, tmp_path, data):
    """Neither the file nor the evidence holds the row's other values; with the data it is tried again."""
    secret = data.features.batch.rows[7][0]
    rules = POLICY.replace("    age: {min: 18, max: 90}\n", "")
    put = bench(raising(lambda frame: frame["age"] == secret), policy=rules.replace("200", "5000"))
    finding, failure = found_in(put, TOTAL, tmp_path)
    (row,) = failure.case.rows
    assert data.features.batch.rows[row.key][0] == secret
    assert "age" not in dict(row.changed)
    assert str(secret) not in json.dumps(finding.details["example"]) + json.dumps(finding.details.get("request", ""))
    assert str(secret) not in (tmp_path / finding.details["file"]).read_text()
    again = bench(raising(lambda frame: frame["age"] == secret), policy=rules, known={"x.json": failure})
    assert "x.json: still failing" in again.findings("properties", TOTAL)[TOTAL].reason


def test_the_values_are_stored_where_the_policy_says_so(bench, tmp_path, data):
    """`evidence.rows: full`."""
    secret = data.features.batch.rows[7][0]
    rules = POLICY.replace("    age: {min: 18, max: 90}\n", "").replace("200", "5000") + "evidence: {rows: full}\n"
    _, failure = found_in(bench(raising(lambda frame: frame["age"] == secret), policy=rules), TOTAL, tmp_path)
    assert failure.case.keys == ()
    assert failure.case.rows[0][0] == secret


# Known failures


@pytest.fixture
def saved(bench, tmp_path):
    """A failure of the total check: the plan `pro` crashes."""
    return found_in(bench(raising(plan_is("pro")), data=None), TOTAL, tmp_path)[1]


def test_a_known_failure_that_is_back_fails_the_check_before_anything_is_drawn(bench, saved):
    """The finding names the file; no new file is written for it."""
    put = bench(raising(plan_is("pro")), known={"failures/pro.json": saved})
    finding = put.findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == "failed"
    assert finding.reason.startswith("failures/pro.json: still failing: a valid row: raises: OverflowError")
    assert finding.details["rows"] == 0
    assert finding.details["file"] == "failures/pro.json"
    assert len(list(put.output.glob("failures/*"))) == 1  # the one of the fixture


def test_a_known_failure_that_is_fixed_is_counted_and_the_search_goes_on(bench, saved):
    """It must not take the place of what is generated."""
    finding = bench(known={"failures/pro.json": saved}).findings("properties", TOTAL)[TOTAL]
    assert (str(finding.outcome), finding.n, finding.details["replayed"]) == ("passed", 200, 1)


def test_a_known_failure_of_another_check_is_not_tried(bench, saved):
    """Each check has its own."""
    finding = bench(raising(plan_is("pro")), known={"x.json": saved}).findings("properties", BATCH)[BATCH]
    assert "replayed" not in finding.details


@pytest.mark.parametrize(("predict", "outcome"), [(healthy, "passed"), (raising(plan_is("pro")), "failed")])
def test_a_replay_tries_the_saved_case_and_nothing_else(bench, saved, predict, outcome):
    """Fixed or still failing, by the same check."""
    finding = bench(predict, known={"x.json": saved}, only_known=True).findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == outcome
    assert finding.n == 1
    assert finding.details["rows"] == 0
    assert finding.reason == "the saved failure no longer breaks it" or "x.json: still failing" in finding.reason


def test_a_column_that_came_later_gets_its_default(bench, saved):
    """The file is still of use."""
    from dataclasses import replace

    from mlgate.failure import Case

    shorter = replace(saved, case=Case(columns=("plan",), rows=(["pro"],)))
    finding = bench(raising(plan_is("pro")), known={"x.json": shorter}).findings("properties", TOTAL)[TOTAL]
    assert "x.json: still failing" in finding.reason


def test_a_column_that_the_inputs_no_longer_have_is_an_error_that_names_it(bench, saved):
    """It can not be tried as it was, and is not skipped."""
    from dataclasses import replace

    from mlgate.failure import Case

    longer = replace(saved, case=Case(columns=("plan", "colour"), rows=(["pro", "red"],)))
    finding = bench(known={"x.json": longer}).findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == "errored"
    assert finding.reason == "x.json: it has a column 'colour', and the inputs of this version have none"


def test_a_row_that_the_policy_no_longer_allows_still_fails_and_says_so(bench, saved):
    """Whoever narrowed the inputs has to remove the file: it is not skipped."""
    narrower = POLICY.replace("values: [basic, pro]", "values: [basic]")
    put = bench(raising(plan_is("pro")), policy=narrower, data=None, known={"x.json": saved})
    finding = put.findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == "failed"
    assert "properties.inputs no longer allows it: remove the file" in finding.reason


def test_a_batch_failure_is_tried_again_as_a_batch(bench, tmp_path):
    """Both rows of it."""

    def predict(frame, params=None):
        return np.sort(healthy(frame))

    _, failure = found_in(bench(predict, data=None), BATCH, tmp_path)
    findings = [bench(model, known={"x": failure}, only_known=True).findings("properties", BATCH)[BATCH] for model in (predict, healthy)]  # fmt: skip
    assert [str(finding.outcome) for finding in findings] == ["failed", "passed"]


# Rates


def tolerant(share, examples):
    return POLICY.replace("examples: 200", f"examples: {examples}\n  tolerate: {share}")


def test_fewer_broken_rows_than_are_tolerated_pass_and_are_counted(bench):
    """The upper bound on the share is what counts."""
    rare = lambda frame, params=None: np.where(frame["age"].between(50.1, 50.9), np.nan, healthy(frame))  # noqa: E731
    finding = bench(rare, policy=tolerant("5%", 1000)).findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == "passed"
    assert finding.n == 1000
    assert finding.limit == 0.05
    assert finding.measured * 1000 == finding.details["broken"]
    assert finding.interval[1] <= 0.05


@pytest.mark.parametrize("dressed", ["nan", "crash"])
def test_more_broken_rows_than_are_tolerated_fail_with_the_bound_and_a_row(bench, tmp_path, dressed):
    """Told by the answers, or counted by asking for parts of the batch."""

    def predict(frame, params=None):
        old = frame["age"].to_numpy() > 80
        if dressed == "crash" and old.any():
            raise ValueError("old")
        return np.where(old, np.nan, healthy(frame))

    finding, failure = found_in(bench(predict, policy=tolerant("2%", 300)), TOTAL, tmp_path)
    assert finding.interval[0] > 0.02
    assert "2 % tolerated" in finding.reason
    assert "a valid row: " in finding.reason
    assert failure.case.rows[0][0] > 80
    assert finding.n == 300


def test_too_few_rows_to_say_are_inconclusive_with_the_number_needed(bench):
    """Some broke, and the bound is not below what is tolerated."""
    calls = iter(range(10**6))

    def predict(frame, params=None):
        answers = healthy(frame)
        if next(calls) == 1:
            answers[0] = np.nan
        return answers

    finding = bench(predict, policy=tolerant("2%", 200)).findings("properties", TOTAL)[TOTAL]
    assert str(finding.outcome) == "inconclusive"
    assert "rows would decide at this share" in finding.reason
    assert finding.advice.startswith("properties.examples: ")


def test_a_known_failure_fails_whatever_is_tolerated(bench, saved):
    """It was worth a file."""
    put = bench(raising(plan_is("pro")), policy=tolerant("50%", 100), known={"x.json": saved})
    assert "x.json: still failing" in put.findings("properties", TOTAL)[TOTAL].reason


def test_checks_of_few_rows_tolerate_nothing(bench):
    """The share is one of `properties.examples`; 24 rows say nothing about it."""

    def predict(frame, params=None):
        return np.sort(healthy(frame))

    outcomes = bench(predict, policy=tolerant("50%", 100)).outcomes("properties", BATCH, ALIKE)
    assert outcomes == {BATCH: "failed", ALIKE: "passed"}
