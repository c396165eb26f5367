"""Each relation and each further property fails its mutant, and no other check of the suite does."""

import json
import threading
import time

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from mlgate.failure import read_failure
from mlgate.policy_file import parse_policy
from tests.suites.test_schema_mutants import only

POLICY = """
requires: [properties]
runtime: {request_timeout: 3s}
properties:
  examples: 100
  inputs:
    customer: {min: 1, max: 99999}
    tenure: {min: 0, max: 40}
    plan: {values: [basic, pro]}
    distance: {min: 0, max: 500}
    unit: {values: [km, mi]}
    home: {min: 1, max: 9}
    work: {min: 3, max: 12}
    bonus: {min: 0, max: 1}
    region: {values: [north, south]}
    first: {after: '2020-01-01', before: '2024-12-31'}
    last: {after: '2020-01-01', before: '2024-12-31'}
  order: [first <= last]
  output: {min: 0, max: 1, place: score}
  invariant_to: [customer, first]
  monotonic: {tenure: decreasing, last: increasing}
  symmetric: [[home, work]]
  scale: [{multiply: {distance: 0.621371}, set: {unit: mi}, where: {unit: km}}]
"""
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec("long", "customer"),
            ColSpec("long", "tenure"),
            ColSpec("string", "plan"),
            ColSpec("double", "distance"),
            ColSpec("string", "unit"),
            ColSpec("long", "home"),
            ColSpec("long", "work"),
            ColSpec("double", "bonus", required=False),
            ColSpec("string", "region", required=False),
            ColSpec("datetime", "first"),
            ColSpec("datetime", "last"),
        ]
    ),
    outputs=Schema([ColSpec("double", "score"), ColSpec("string", "label")]),
)
CHECKS = 13


def column(frame, name, default=0.0):
    """A column as numbers, null and absent as the default."""
    return pd.to_numeric(frame[name]).fillna(default).to_numpy(float) if name in frame else np.full(len(frame), default)


def kilometres(frame):
    return column(frame, "distance") * np.where(frame["unit"].to_numpy(object) == "mi", 1.609344, 1.0)


def level(frame):
    """What the score is the sigmoid of."""
    years = (frame["last"] - pd.Timestamp("2020-01-01")).dt.days.to_numpy(float) / 365
    z = (
        0.5
        - 0.05 * column(frame, "tenure")
        + 0.002 * kilometres(frame)
        + 0.1 * column(frame, "bonus", 0.5)
        + 0.1 * years
    )
    z = z - 0.05 * (column(frame, "home") + column(frame, "work"))
    north = frame["region"].to_numpy(object) == "north" if "region" in frame else False
    return z + np.where(frame["plan"].to_numpy(object) == "pro", -0.5, 0.5) + np.where(north, 0.1, 0.0)


def answers(z):
    score = 1 / (1 + np.exp(-z))
    return pd.DataFrame({"score": score, "label": np.where(score > 0.5, "churn", "stay")})


def healthy(frame, params=None):
    return answers(level(frame))


def shifted(when, by=1.0):
    """A healthy model but for rows of which `when(frame)` holds."""
    return lambda frame, params=None: answers(level(frame) + np.where(when(frame), by, 0.0))


@pytest.fixture
def put(bench):
    """Put a model on the bench that has a column for each relation."""
    return lambda predict=healthy, **more: bench(predict, signed=SIGNATURE, data=None, **{"policy": POLICY, **more})


def pair(finding):
    """The pair of the finding."""
    return json.loads(finding.details["example"])


def test_a_healthy_model_passes_every_relation_and_every_one_compared_something(put):
    """Rows, pairs, distinct values and edges stand in each finding."""
    findings = put().findings("properties")
    assert len(findings) == CHECKS
    assert {str(finding.outcome) for finding in findings.values()} == {"passed"}, findings
    for key, finding in findings.items():
        assert finding.n >= 20, key
        assert finding.details["coverage"]["columns"]["plan"]["distinct"] == 2, key
    pairs = {key: found.details["pairs"] for key, found in findings.items() if "[" in key}
    assert all(count >= 90 for count in pairs.values()), pairs


def test_an_answer_beyond_the_declared_range_fails_the_range_check_and_only_it(put):
    """A rounding that goes over the top in one corner."""

    def predict(frame, params=None):
        table = healthy(frame)
        corner = (frame["plan"] == "pro") & (frame["home"] == 9)
        table["score"] = np.where(corner, 1.0 + 1e-9, table["score"])
        return table

    findings = put(predict).findings("properties")
    outcomes = {key: str(finding.outcome) for key, finding in findings.items()}
    # A jump up at home 9 is no mirror of one at work 9 either, nor are the mirrored rows' scores equal.
    assert outcomes.pop("properties.symmetric[columns=home%20x%20work]") == "failed"
    assert only(outcomes, "properties.output_range")
    found = findings["properties.output_range"]
    assert "above 1" in found.reason
    assert pair(found)["home"] == 9
    assert set(found.details["changed"]) <= {"plan", "home"}


@pytest.mark.parametrize(
    ("output", "bad", "said"),
    [
        ("{labels: [churn, stay], place: label}", {"label": "maybe"}, 'answers "maybe", none of'),
        ("{min: 0.2, place: score}", {"score": 0.1}, "below 0.2"),
        ("{max: 0.9, place: 0}", {"score": 0.95}, "above 0.9"),
    ],
)
def test_labels_and_one_sided_ranges_are_held_at_their_place(put, output, bad, said):
    """The other outputs may be what they are."""

    def predict(frame, params=None):
        table = pd.DataFrame({"score": np.full(len(frame), 0.5), "label": np.full(len(frame), "stay", dtype=object)})
        for name, value in bad.items():
            table[name] = np.where(frame["tenure"] > 30, value, table[name])
        return table

    policy = POLICY.replace("{min: 0, max: 1, place: score}", output)
    assert put(policy=policy, predict=lambda frame, params=None: healthy(frame).assign(score=0.5)).outcomes(
        "properties", "properties.output_range"
    ) == {"properties.output_range": "passed"}
    found = put(predict, policy=policy).findings("properties", "properties.output_range")["properties.output_range"]
    assert str(found.outcome) == "failed"
    assert said in found.reason
    assert pair(found)["tenure"] > 30


@pytest.mark.parametrize("wrong", [[0.5, 0.3, 0.3], [1.2, -0.1, -0.1]])
def test_probabilities_that_do_not_sum_to_one_fail_the_simplex(bench, wrong):
    """An array output, and a corner of it that was normalised wrongly."""
    signature = ModelSignature(
        inputs=Schema([ColSpec("double", "x")]), outputs=Schema([TensorSpec(np.dtype("float32"), (-1, 3))])
    )
    policy = (
        "requires: [properties]\nproperties: {examples: 60, inputs: {x: {min: 0, max: 9}}, output: {simplex: true}}"
    )

    def good(frame, params=None):
        return np.tile(np.array([0.2, 0.3, 0.5], dtype=np.float32), (len(frame), 1))

    def bad(frame, params=None):
        return np.where(frame[["x"]].to_numpy() > 8, np.array([wrong], dtype=np.float32), good(frame))

    outcomes = bench(good, signed=signature, policy=policy, data=None).outcomes("properties")
    assert set(outcomes.values()) == {"passed"}
    assert only(
        bench(bad, signed=signature, policy=policy, data=None).outcomes("properties"), "properties.output_range"
    )


def test_a_score_that_leaks_the_customer_number_fails_the_invariance_and_only_it(put):
    """The pair in the finding differs in the column alone; all that does not matter has its default."""
    findings = put(shifted(lambda frame: frame["customer"] % 2 == 0)).findings("properties")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "properties.invariant[column=customer]")
    found = findings["properties.invariant[column=customer]"]
    row = pair(found)
    assert (row["customer"] + row["customer (changed)"]) % 2 == 1
    assert set(found.details["changed"]) <= {"customer", "customer (changed)"}
    assert found.details["file"].startswith("failures/properties.invariant")


def test_an_invariance_to_a_column_with_an_order_compares_valid_rows_only(put):
    """The partner of a first day is no later than the last day either: a model that raises on others would tell."""

    def predict(frame, params=None):
        if (frame["first"] > frame["last"]).any():
            raise ValueError("ends before it begins")
        return healthy(frame)

    outcomes = put(predict).outcomes("properties")
    assert set(outcomes.values()) == {"passed"}


def test_a_leak_of_a_column_with_an_order_fails_its_invariance_and_only_it(put):
    """The first day must not matter, and does in one year."""
    outcomes = put(shifted(lambda frame: frame["first"].dt.year == 2021)).outcomes("properties")
    assert only(outcomes, "properties.invariant[column=first]")


def test_a_dip_in_a_monotonic_column_fails_it_and_only_it(put):
    """More tenure, less churn: but for a bump above 30 years."""
    findings = put(shifted(lambda frame: frame["tenure"] > 30, by=3.0)).findings("properties")
    assert only({key: str(found.outcome) for key, found in findings.items()}, "properties.monotonic[column=tenure]")
    found = findings["properties.monotonic[column=tenure]"]
    ends = sorted([pair(found)["tenure"], pair(found)["tenure (changed)"]])
    assert ends[0] <= 30 < ends[1]
    assert f"'tenure' from {ends[0]} to {ends[1]} raises output score" in found.reason
    assert set(found.details["changed"]) <= {"tenure", "tenure (changed)"}


def test_a_dip_in_time_fails_the_monotonic_check_and_only_it(put):
    """Dates have an order as numbers have."""
    outcomes = put(shifted(lambda frame: frame["last"].dt.year == 2023, by=-3.0)).outcomes("properties")
    assert only(outcomes, "properties.monotonic[column=last]")


def test_columns_that_are_not_treated_alike_fail_the_symmetry_and_only_it(put):
    """Home weighs more than work, where both are far."""
    findings = put(shifted(lambda frame: (frame["home"] > 6) & (frame["work"] < 5))).findings("properties")
    key = "properties.symmetric[columns=home%20x%20work]"
    assert only({name: str(found.outcome) for name, found in findings.items()}, key)
    row = pair(findings[key])
    assert {3, 4, 7, 8, 9} >= {row["home"], row["work"]}
    assert set(findings[key].details["changed"]) <= {"home", "work"}


def test_swapped_values_are_valid_in_both_columns(put):
    """Home goes from 1 to 9 and work from 3 to 12: only 3 to 9 can be swapped."""

    def predict(frame, params=None):
        assert frame["home"].between(1, 9).all()
        assert frame["work"].between(3, 12).all()
        return healthy(frame)

    findings = put(predict).findings("properties", "properties.symmetric[columns=home%20x%20work]")
    assert {str(found.outcome) for found in findings.values()} == {"passed"}


def test_an_answer_that_changes_with_the_unit_fails_the_scale_and_only_it(put):
    """Miles are taken for kilometres on long trips."""

    def predict(frame, params=None):
        z = level(frame)
        wrong = (frame["unit"] == "mi") & (frame["distance"] > 200)
        return answers(z - np.where(wrong, 0.3, 0.0))

    findings = put(predict).findings("properties")
    key = "properties.scale[change=distance%2A0.621371]"
    assert only({name: str(found.outcome) for name, found in findings.items()}, key)
    assert pair(findings[key])["unit"] == "km"
    assert set(findings[key].details["changed"]) <= {"distance"}


def test_a_model_that_needs_an_optional_column_fails_the_null_check_and_only_it(put):
    """Nulls are fine; a request without the column is not."""

    def predict(frame, params=None):
        frame["bonus"].sum()
        return healthy(frame)

    findings = put(predict).findings("properties")
    assert only({name: str(found.outcome) for name, found in findings.items()}, "properties.null_handling")
    found = findings["properties.null_handling"]
    assert "'bonus' is absent: raises: KeyError" in found.reason
    assert found.details["changed"] == ["missing"]


def test_a_column_that_is_null_from_top_to_bottom_fails_the_null_check_and_only_it(put):
    """What is text in one row makes the column text; null in every row makes it something else."""

    def predict(frame, params=None):
        if "region" in frame and len(frame) and frame["region"].isna().all() and frame["bonus"].notna().any():
            frame["region"].astype("float").astype("int")
        return healthy(frame)

    findings = put(predict).findings("properties", "properties.total", "properties.null_handling")
    assert str(findings["properties.null_handling"].outcome) == "failed"
    assert "'region' is null: raises" in findings["properties.null_handling"].reason


@pytest.mark.parametrize(("rule", "tried"), [("", 6), ("nullable: false, ", 0)])
def test_a_column_that_the_policy_says_is_never_null_is_not_asked_for_without(put, rule, tried):
    """The signature says optional, the policy knows better."""
    policy = POLICY.replace("bonus: {", f"bonus: {{{rule}").replace(
        "region: {", f"region: {{{rule}" if rule else "region: {"
    )
    if rule:
        policy = policy.replace(
            "region: {nullable: false, values: [north, south]}", "region: {pattern: '[a-z]+', nullable: false}"
        )
    found = put(policy=policy).findings("properties", "properties.null_handling")["properties.null_handling"]
    assert str(found.outcome) == "passed"
    assert (f"in {tried} cases" in found.reason) if tried else ("no column is optional" in found.reason)


def refusing(error):
    """A model that raises *error* on a plan or region it does not know."""

    def predict(frame, params=None):
        if not frame["plan"].isin(["basic", "pro"]).all():
            raise error
        return healthy(frame)

    return predict


CRASH = refusing(KeyError("unseen"))
REFUSAL = refusing(MlflowException.invalid_parameter_value("no such plan"))


def test_an_encoder_that_crashes_on_a_new_value_fails_the_category_check_and_only_it(put):
    """MLflow dresses the exception as a 400; the stack trace in it gives it away."""
    findings = put(CRASH).findings("properties")
    assert only({name: str(found.outcome) for name, found in findings.items()}, "properties.unseen_category")
    found = findings["properties.unseen_category"]
    assert "neither answered nor refused cleanly: raises: KeyError" in found.reason
    assert set(found.details["changed"]) <= {"unseen"}


@pytest.mark.parametrize(
    ("rule", "predict", "outcome"),
    [
        ("any", REFUSAL, "passed"),
        ("any", healthy, "passed"),
        ("answer", REFUSAL, "failed"),
        ("answer", healthy, "passed"),
        ("refuse", healthy, "failed"),
        ("refuse", CRASH, "failed"),
    ],
    ids=["any-refusal", "any-answer", "answer-refusal", "answer-answer", "refuse-answer", "refuse-crash"],
)
def test_what_an_unseen_value_may_get_is_the_policys_to_say(put, rule, predict, outcome):
    """An answer, a clean refusal, or either."""
    policy = f"{POLICY}  unseen_category: {rule}\n"
    assert put(predict, policy=policy).outcomes("properties", "properties.unseen_category") == {
        "properties.unseen_category": outcome
    }


def test_a_model_that_refuses_every_unseen_value_passes_refuse(put):
    """Each text column is checked, not the first alone."""

    def predict(frame, params=None):
        for name, known in {"plan": ["basic", "pro"], "unit": ["km", "mi"], "region": ["north", "south"]}.items():
            if name in frame and not frame[name].dropna().isin(known).all():
                raise MlflowException.invalid_parameter_value(f"no such {name}")
        return healthy(frame)

    policy = f"{POLICY}  unseen_category: refuse\n"
    assert put(predict, policy=policy).outcomes("properties", "properties.unseen_category") == {
        "properties.unseen_category": "passed"
    }


def test_a_refusal_in_a_batch_does_not_hide_another_rows_crash(put):
    """A clean refusal of the whole batch says nothing of the rows behind the first bad one."""

    def predict(frame, params=None):
        for plan in frame["plan"]:
            if plan == "BASIC":
                raise KeyError(plan)
            if plan not in ("basic", "pro"):
                raise MlflowException.invalid_parameter_value("no such plan")
        return healthy(frame)

    found = put(predict).findings("properties", "properties.unseen_category")["properties.unseen_category"]
    assert str(found.outcome) == "failed"
    assert "BASIC" in found.reason


def test_state_that_requests_share_fails_the_concurrent_check_and_only_it(put):
    """What lies in an attribute of the model while another request writes it."""
    slot = {}

    def predict(frame, params=None):
        slot["frame"] = frame
        time.sleep(0.002)
        return healthy(slot["frame"]) if len(slot["frame"]) == len(frame) else healthy(frame)

    findings = put(predict).findings("properties")
    assert only({name: str(found.outcome) for name, found in findings.items()}, "properties.concurrent")
    assert "beside 7 other requests" in findings["properties.concurrent"].reason


def test_a_crash_under_concurrency_alone_fails_the_concurrent_check_and_only_it(put):
    """A lock that is not waited for."""
    busy = threading.Lock()

    def predict(frame, params=None):
        if not busy.acquire(blocking=False):
            raise RuntimeError("the session is in use")
        try:
            time.sleep(0.005)
            return healthy(frame)
        finally:
            busy.release()

    findings = put(predict).findings("properties")
    assert only({name: str(found.outcome) for name, found in findings.items()}, "properties.concurrent")
    assert "the session is in use" in findings["properties.concurrent"].reason


def test_a_deadlock_under_concurrency_is_found_and_the_server_comes_back(put):
    """Two requests wait for each other; alone each is answered."""

    def make():
        inside = []  # a server that is started anew knows nothing of the threads of before

        def predict(frame, params=None):
            inside.append(1)
            time.sleep(0.01)
            if len(inside) > 1:
                time.sleep(2)
            inside.pop()
            return healthy(frame)

        return predict

    bench = put(make=make, timeout_s=0.8)
    found = bench.findings("properties", "properties.concurrent")["properties.concurrent"]
    assert str(found.outcome) == "failed"
    assert "hangs" in found.reason
    assert bench.server.starts > 1


def test_noise_is_the_deterministic_checks_to_find_and_not_the_concurrent_ones(put):
    """What differs alone as well is no matter of company."""
    noise = np.random.default_rng(1)

    def predict(frame, params=None):
        return answers(level(frame) + noise.normal(scale=1e-3))

    outcomes = put(predict).outcomes("properties", "properties.deterministic", "properties.concurrent")
    assert outcomes == {"properties.deterministic": "failed", "properties.concurrent": "inconclusive"}


def test_a_crash_on_some_rows_is_totals_to_find_and_the_relations_go_on(put):
    """Rows that are not answered can not be compared; the others are."""

    def predict(frame, params=None):
        if ((frame["plan"] == "pro") & (frame["home"] == 9)).any():
            raise KeyError("pro")
        return healthy(frame)

    findings = put(predict).findings("properties")
    outcomes = {name: str(found.outcome) for name, found in findings.items()}
    assert outcomes["properties.total"] == "failed"
    assert "failed" not in {outcome for name, outcome in outcomes.items() if name != "properties.total"}


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("properties.invariant[column=customer]", "customer: {values: [7]}"),
        ("properties.monotonic[column=tenure]", "tenure: {min: 3, max: 3}"),
    ],
)
def test_a_relation_without_a_single_pair_is_inconclusive(put, key, rule):
    """One value has no other: nothing was compared, and nothing is passed."""
    name = rule.partition(":")[0]
    policy = "\n".join(f"    {rule}" if line.strip().startswith(f"{name}:") else line for line in POLICY.splitlines())
    found = put(policy=policy.replace("{tenure: decreasing", "{tenure: decreasing")).findings("properties", key)[key]
    assert str(found.outcome) == "inconclusive"
    assert "there is nothing to compare" in found.reason


def test_a_label_may_flip_at_its_threshold_only(put):
    """Of two scores that are equal but for the last digits, one may be above the threshold."""

    def predict(frame, params=None):
        score = np.full(len(frame), 0.5) + 1e-9 * (column(frame, "customer") % 2)
        return pd.DataFrame({"score": score, "label": np.where(score > 0.5, "churn", "stay")})

    key = "properties.invariant[column=customer]"
    bench = put(predict)
    assert bench.outcomes("properties", key) == {key: "failed"}
    from mlgate.scoring.equality import Equality

    lenient = put(predict)
    lenient._made["mlgate_equality"] = Equality(label="label", score="score", threshold=0.5)
    assert lenient.outcomes("properties", key) == {key: "passed"}


def test_a_tensor_named_in_invariant_to_is_changed_too(bench):
    """Named tensors are inputs as columns are."""
    signature = ModelSignature(
        inputs=Schema(
            [TensorSpec(np.dtype("float64"), (-1, 2), "x"), TensorSpec(np.dtype("float64"), (-1, 3), "noise")]
        ),
        outputs=Schema([TensorSpec(np.dtype("float64"), (-1,))]),
    )
    policy = "requires: [properties]\nproperties: {examples: 60, invariant_to: [noise]}"

    def good(tensors, params=None):
        return np.tanh(np.asarray(tensors["x"]).sum(axis=1))

    def bad(tensors, params=None):
        return good(tensors) + (np.asarray(tensors["noise"])[:, 0] > 0)

    assert set(bench(good, signed=signature, policy=policy, data=None).outcomes("properties").values()) == {"passed"}
    outcomes = bench(bad, signed=signature, policy=policy, data=None).outcomes("properties")
    assert only(outcomes, "properties.invariant[column=noise]")


def test_the_policy_expects_a_check_for_each_relation():
    """Ids come from the policy: a relation that nobody ran is missed."""
    policy = parse_policy(POLICY)
    checks = policy.expected_checks(champion=False)["properties"]
    assert len(checks) == CHECKS
    assert checks[3:9] == (
        "properties.output_range",
        "properties.invariant[column=customer]",
        "properties.invariant[column=first]",
        "properties.monotonic[column=tenure]",
        "properties.monotonic[column=last]",
        "properties.symmetric[columns=home%20x%20work]",
    )


@pytest.mark.parametrize(
    ("key", "predict"),
    [
        ("properties.invariant[column=customer]", shifted(lambda frame: frame["customer"] % 2 == 0)),
        ("properties.symmetric[columns=home%20x%20work]", shifted(lambda frame: frame["home"] > 6)),
        ("properties.scale[change=distance%2A0.621371]", shifted(lambda frame: frame["unit"] == "mi")),
        ("properties.unseen_category", CRASH),
    ],
)
def test_a_saved_pair_is_tried_again_on_another_version(put, key, predict):
    """Still failing where it was found, fixed on the healthy model; nothing else is asked."""
    first = put(predict)
    file = first.output / first.findings("properties", key)[key].details["file"]
    failure = read_failure(file.read_bytes(), name=file.name)
    for version, outcome in ((predict, "failed"), (healthy, "passed")):
        again = put(version, known={file.name: failure}, only_known=True)
        assert again.outcomes("properties", key) == {key: outcome}


def test_an_answer_that_is_wrong_alone_as_well_is_totals_to_find(put):
    """A value of another type than declared comes with company and without."""

    def predict(frame, params=None):
        found = healthy(frame).astype(object)
        found.iloc[np.flatnonzero(level(frame) > 0), 0] = "high"
        return found

    found = put(predict).findings("properties", "properties.total", "properties.concurrent")
    assert str(found["properties.total"].outcome) == "failed"
    assert str(found["properties.concurrent"].outcome) == "passed", found["properties.concurrent"].reason
