"""Each check of the property suite fails its mutant, and no other check of the suite does."""

import itertools
import json
import time

import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import Array, DataType

from tests.suites.conftest import POLICY, healthy
from tests.suites.test_schema_mutants import only


def corner(frame):
    """A corner of the valid inputs that one row in some dozens falls into."""
    return (frame["age"].to_numpy() > 80) & (frame["plan"].to_numpy(object) == "pro")


def test_nan_for_some_valid_input_fails_the_total_check_with_one_row(bench):
    """The example in the finding is one row, and it is in the corner."""

    def predict(frame, params=None):
        return np.where(corner(frame), np.nan, healthy(frame))

    findings = bench(predict).findings("properties")
    found = findings["properties.total"]
    assert str(found.outcome) == "failed"
    assert "NaN" in found.reason
    row = json.loads(found.details["example"])
    assert row["age"] > 80
    assert row["plan"] == "pro"
    assert "curl" in found.details


def test_nan_for_some_valid_input_is_the_property_suites_alone_to_find(bench):
    """The other suites judge what is answered: one defect is one failed check, and the reader is led to it."""

    def predict(frame, params=None):
        return np.where(frame["age"].to_numpy() > 89.95, np.nan, healthy(frame))

    put = bench(predict)
    assert only(put.outcomes("properties"), "properties.total")
    assert set(put.outcomes("schema").values()) == {"passed"}


def test_a_crash_fails_the_total_check_though_mlflow_answers_400(bench):
    """MLflow dresses an exception of the model as the client's fault; the body gives it away."""

    def predict(frame, params=None):
        if corner(frame).any():
            raise KeyError("no such plan at that age")
        return healthy(frame)

    findings = bench(predict).findings("properties")
    found = findings["properties.total"]
    assert str(found.outcome) == "failed"
    assert "raises: KeyError" in found.reason
    assert json.loads(found.details["example"])["age"] > 80


def test_the_failing_row_is_made_simple(bench):
    """Columns that do not matter come back as their defaults, so that a reader sees the one that does."""

    def predict(frame, params=None):
        return np.where(frame["age"].to_numpy() > 80, np.nan, healthy(frame))

    policy = POLICY.replace("plan: {values: [basic, pro]}", "plan: {values: [pro, basic]}")
    bench_ = bench(predict, policy=policy)
    row = json.loads(bench_.findings("properties")["properties.total"].details["example"])
    rows = bench_.data.head(len(bench_.data))
    tenures = rows.column("tenure")
    assert row["tenure"] in ((min(tenures) + max(tenures)) // 2, 0)


def test_a_hang_fails_the_total_check_and_the_server_is_brought_back(bench):
    """One row hangs; after its deadline the server is fresh, and the other checks go on."""

    def predict(frame, params=None):
        if corner(frame).any():
            time.sleep(30)
        return healthy(frame)

    policy = POLICY.replace("examples: 200", "examples: 50")
    put = bench(predict, policy=policy, timeout_s=0.7)
    found = put.findings("properties")["properties.total"]
    assert str(found.outcome) == "failed"
    assert "hangs" in found.reason
    assert put.server.starts > 1


def test_noise_in_the_answers_fails_the_deterministic_check(bench):
    """The same row, asked twice, differs in the fifth digit."""
    noise = np.random.default_rng(3)

    def predict(frame, params=None):
        # One draw a request: batches stay consistent within, so the difference is between requests.
        return np.clip(healthy(frame) + noise.normal(scale=1e-4), 0, 1)

    outcomes = bench(predict).outcomes("properties")
    assert outcomes["properties.deterministic"] == "failed"
    assert outcomes["properties.total"] == "passed"


def test_an_answer_that_changes_with_a_restart_fails_the_deterministic_check_and_only_it(bench):
    """A model that draws its weights when it is loaded answers steadily until the next restart."""
    starts = itertools.count()

    def make():
        shift = next(starts) * 1e-3
        return lambda frame, params=None: healthy(frame) * (1 - shift)

    assert only(bench(make=make).outcomes("properties"), "properties.deterministic")


def test_a_batch_that_is_scaled_by_its_own_mean_fails_the_batch_check_and_only_it(bench):
    """What a scaler that is fitted in predict does."""

    def predict(frame, params=None):
        return healthy(frame) / (1 + 0.01 * frame["age"].mean())

    assert only(bench(predict).outcomes("properties"), "properties.batch")


def test_rows_that_come_back_in_another_order_fail_the_batch_check_and_only_it(bench):
    """Every single row is right, every batch is sorted."""

    def predict(frame, params=None):
        return np.sort(healthy(frame))

    assert only(bench(predict).outcomes("properties"), "properties.batch")


def test_a_difference_within_the_tolerance_passes(bench):
    """Sums in another order cost a few digits: that is no failure."""

    def predict(frame, params=None):
        return healthy(frame) * (1 + 1e-9 * len(frame))

    assert set(bench(predict).outcomes("properties").values()) == {"passed"}


def test_a_tensor_model_is_tried_too(bench):
    """Tensors of a fixed shape are generated, and a broken corner of them is found."""
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 3))]),
        outputs=Schema([TensorSpec(np.dtype("float64"), (-1,))]),
    )
    policy = POLICY.replace(
        "    age: {min: 18, max: 90}\n    tenure: {min: 0, max: 40}\n    plan: {values: [basic, pro]}\n", ""
    )
    policy = policy.replace("  inputs:\n", "")

    def good(array, params=None):
        return np.asarray(array).sum(axis=1)

    def bad(array, params=None):
        sums = good(array)
        return np.where(np.asarray(array)[:, 0] > 9e5, np.nan, sums)

    assert set(bench(good, signed=signature, policy=policy, data=None).outcomes("properties").values()) == {"passed"}
    assert bench(bad, signed=signature, policy=policy, data=None).outcomes("properties")["properties.total"] == "failed"


def test_a_model_of_arrays_is_tried_too(bench):
    """An empty array is a valid value, and a model that takes the mean of one is found."""
    signature = ModelSignature(
        inputs=Schema([ColSpec(Array(DataType.double), "history")]), outputs=Schema([ColSpec("double")])
    )
    policy = POLICY.replace(
        "    age: {min: 18, max: 90}\n    tenure: {min: 0, max: 40}\n    plan: {values: [basic, pro]}\n", ""
    ).replace("  inputs:\n", "")

    def good(frame, params=None):
        return [float(np.sum(history)) for history in frame["history"]]

    def bad(frame, params=None):
        return [float(np.max(history)) for history in frame["history"]]

    outcomes = [
        bench(predict, signed=signature, policy=policy, data=None).findings("properties", "properties.total")
        for predict in (good, bad)
    ]
    passed, failed = (found["properties.total"] for found in outcomes)
    assert str(passed.outcome) == "passed", passed
    assert str(failed.outcome) == "failed"
    assert json.loads(failed.details["example"]) == {"history": []}
