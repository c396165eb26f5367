"""Each check of the schema suite fails its mutant, and no other check of the suite does."""

import json

import numpy as np
import pytest
from mlflow.models import ModelSignature

from tests.suites.conftest import healthy
from tests.suites.misbehaving import answering, document_of, split_of

REJECTS = {
    "missing_column": lambda raw, _: bool(split_of(raw)) and "age" not in split_of(raw)["columns"],
    "word": lambda raw, _: any("twelve" in row for row in split_of(raw).get("data", [])),
    "envelope": lambda raw, _: "rows" in (document_of(raw) or {}),
    "malformed_json": lambda raw, _: bool(raw) and document_of(raw) is None,
    "empty_body": lambda raw, _: not raw,
    "content_type": lambda _, content_type: content_type == "application/x-mlgate",
}


def only(outcomes, key, outcome="failed"):
    """Return whether *key* is the only check that did not pass."""
    return {name: found for name, found in outcomes.items() if found != "passed"} == {key: outcome}


def test_a_signature_without_outputs_fails_the_signature_check(bench, signature):
    """Nothing declared about the answer: the one check fails, and the output check can not say."""
    outcomes = bench(signed=ModelSignature(inputs=signature.inputs)).outcomes("schema")
    assert outcomes.pop("schema.output") == "inconclusive"
    assert only(outcomes, "schema.signature")


def test_a_model_that_breaks_on_its_own_example_fails_the_example_check(bench):
    """Only the logged rows are answered with NaN."""

    def predict(frame, params=None):
        return np.where(frame["age"].to_numpy() == 57.5, np.nan, healthy(frame))

    assert only(bench(predict).outcomes("schema"), "schema.example")


def test_an_answer_with_a_row_too_many_fails_the_output_check(bench):
    """Rows out are not rows in, in batches only."""

    def predict(frame, params=None):
        answer = healthy(frame)
        return np.append(answer, 0.5) if len(frame) > 50 else answer

    assert only(bench(predict).outcomes("schema"), "schema.output")


def test_an_answer_of_another_type_fails_the_output_check(bench):
    """Numbers as text are no doubles."""

    def predict(frame, params=None):
        answer = healthy(frame)
        return answer.astype(str) if len(frame) > 50 else answer

    findings = bench(predict).findings("schema")
    assert str(findings["schema.output"].outcome) == "failed"
    assert "declared" in findings["schema.output"].reason or "not float64" in findings["schema.output"].reason


@pytest.mark.parametrize("case", REJECTS)
def test_a_bad_request_that_is_answered_fails_its_case(bench, case):
    """Each case has a server that answers 200 to that request alone."""
    outcomes = bench(app=answering(REJECTS[case])).outcomes("schema")
    assert only(outcomes, f"schema.rejects[case={case}]")


@pytest.mark.parametrize("case", REJECTS)
def test_a_bad_request_that_is_a_server_error_fails_its_case(bench, case):
    """A 500 is no refusal."""
    outcomes = bench(app=answering(REJECTS[case], status=500)).outcomes("schema")
    assert only(outcomes, f"schema.rejects[case={case}]")


def test_a_refusal_without_json_fails_its_case(bench):
    """A 400 must say why in JSON; only the wrong content type may be answered in any form."""
    outcomes = bench(app=answering(REJECTS["envelope"], status=400, body=b"<html>no</html>")).outcomes("schema")
    assert only(outcomes, "schema.rejects[case=envelope]")


def test_a_server_that_does_not_live_on_after_a_bad_request_fails_the_case(bench):
    """Refused properly, but nothing valid is answered from then on."""
    poisoned = []

    def when(raw, content_type):
        if REJECTS["malformed_json"](raw, content_type):
            poisoned.append(raw)
            return False
        return bool(poisoned)

    findings = bench(app=answering(when, status=503, body=json.dumps({"error": "gone"}).encode())).findings("schema")
    assert str(findings["schema.rejects[case=malformed_json]"].outcome) == "failed"
    assert "after the bad request" in findings["schema.rejects[case=malformed_json]"].reason
