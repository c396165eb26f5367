"""Each check of the schema suite fails its mutant, and no other check of the suite does."""

import json

import numpy as np
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from tests.suites.conftest import POLICY, healthy
from tests.suites.misbehaving import answering, document_of, split_of

REJECTS = {
    "missing_column": lambda raw, _: bool(split_of(raw)) and "age" not in split_of(raw)["columns"],
    "word": lambda raw, _: any("twelve" in row for row in split_of(raw).get("data", [])),
    "envelope": lambda raw, _: "rows" in (document_of(raw) or {}),
    "malformed_json": lambda raw, _: raw.endswith(b"]}") and document_of(raw) is None,
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


@pytest.mark.parametrize("encoding", ["dataframe_records", "inputs", "instances", "csv"])
def test_an_encoding_with_another_answer_fails_the_encodings_check(bench, encoding):
    """Right in shape and type, and another number than for the same rows as `dataframe_split`."""
    body = json.dumps({"predictions": [0.125] * 50}).encode()
    outcomes = bench(app=answering(encoded_as(encoding), body=body)).outcomes("schema")
    assert only(outcomes, "schema.encodings")


def test_an_encoding_that_is_refused_fails_the_encodings_check(bench):
    """A server that knows JSON only does not do what MLflow's contract says."""
    found = bench(app=answering(encoded_as("csv"), status=415)).findings("schema")
    assert only(outcomes_of(found), "schema.encodings")
    assert "as csv" in found["schema.encodings"].reason


def test_a_model_that_minds_how_a_table_reaches_it_fails_the_encodings_check(bench):
    """CSV gives text columns another type than JSON does: a model that looks at it answers differently."""

    def predict(frame, params=None):
        return healthy(frame) + (0.25 if frame["plan"].dtype == object else 0.0)

    assert only(bench(predict).outcomes("schema"), "schema.encodings")


def encoded_as(encoding):
    """Return whether a request is in *encoding* and in no other."""

    def when(raw, content_type):
        if encoding == "csv":
            return content_type == "text/csv"
        return set(document_of(raw) or ()) == {encoding}

    return when


def outcomes_of(findings):
    """Return text id to outcome."""
    return {key: str(finding.outcome) for key, finding in findings.items()}


@pytest.fixture
def with_params(bench, signature):
    """Put a model on the bench that declares a number, a list of numbers and a word."""
    params = [
        ParamSpec("limit", "double", 0.5),
        ParamSpec("ids", "long", [1, 2], shape=(-1,)),
        ParamSpec("mode", "string", "a"),
    ]
    signed = ModelSignature(inputs=signature.inputs, outputs=signature.outputs, params=ParamSchema(params))

    def put(when=lambda params: False, **more):
        def asked(raw, content_type):
            document = document_of(raw)
            return isinstance(document, dict) and "params" in document and when(document["params"])

        return bench(app=answering(asked, **more), signed=signed)

    return put


def test_a_model_with_params_is_healthy(with_params):
    """MLflow's own server does all of it."""
    found = with_params().findings("schema")
    assert set(outcomes_of(found).values()) == {"passed"}
    assert found["schema.params"].n > 15


@pytest.mark.parametrize(
    "when",
    [
        lambda params: params == {"limit": 0.5},
        lambda params: params == {"ids": [1, 2]},
        lambda params: isinstance(params.get("limit"), str) if isinstance(params, dict) else False,
        lambda params: isinstance(params, dict) and isinstance(params.get("mode"), int),
        lambda params: isinstance(params, dict) and "twelve" in params.get("ids", ()),
        lambda params: isinstance(params, dict) and isinstance(params.get("ids"), int),
        lambda params: isinstance(params, dict) and params.get("limit") == [0.5],
        lambda params: isinstance(params, dict) and "mlgate_unknown_param" in params,
        lambda params: isinstance(params, list),
    ],
    ids=["default", "default list", "word", "number", "element", "no list", "list", "unknown", "no mapping"],
)
def test_a_param_that_is_not_taken_as_declared_fails_the_params_check(with_params, when):
    """Another answer for the default, or one for a value of the wrong type."""
    assert only(with_params(when).outcomes("schema"), "schema.params")


def test_an_unknown_param_that_breaks_the_server_fails_the_params_check(with_params):
    """It may be ignored or refused, and nothing else."""
    found = with_params(lambda params: "mlgate_unknown_param" in params, status=500).findings("schema")
    assert only(outcomes_of(found), "schema.params")
    assert str(found["schema.params"].cause) == "server"


def test_a_model_without_params_is_tried_with_one_all_the_same(bench):
    """No check passes without a request."""
    when = answering(lambda raw, _: "mlgate_unknown_param" in str(document_of(raw)))
    assert bench().findings("schema")["schema.params"].n == 3
    assert only(bench(app=when).outcomes("schema"), "schema.params")


def test_a_model_that_predicts_for_zero_rows_fails_the_limits_check(bench):
    """Nothing was asked."""

    def predict(frame, params=None):
        return healthy(frame) if len(frame) else np.array([0.5])

    found = bench(predict).findings("schema")
    assert only(outcomes_of(found), "schema.limits")
    assert "1 predictions" in found["schema.limits"].reason


def test_a_model_that_raises_on_zero_rows_refuses_them(bench):
    """As scikit-learn's do: a 400 of MLflow's, and a warning; the server lives."""

    def predict(frame, params=None):
        if not len(frame):
            raise ValueError("Found array with 0 sample(s)")
        return healthy(frame)

    found = bench(predict).findings("schema")["schema.limits"]
    assert str(found.outcome) == "passed"
    assert "0 sample(s)" in found.details["warning"]


def test_a_server_error_on_zero_rows_fails_the_limits_check(bench):
    """A 500 is no clear refusal."""
    empty = lambda raw, _: bool(split_of(raw)) and split_of(raw)["data"] == []  # noqa: E731
    assert only(bench(app=answering(empty, status=500)).outcomes("schema"), "schema.limits")


LIMITED = POLICY + "schema: {max_body: 1MiB}\n"


def sized(least):
    """Return whether a body has at least so many bytes, and is a valid row: the 50 MB of another case are not."""
    return lambda raw, _: len(raw) >= least and len(raw) < 2**21


def test_a_body_over_the_declared_size_that_is_answered_fails_the_limits_check(bench):
    """MLflow's server has no limit: what stands before it must."""
    found = bench(policy=LIMITED).findings("schema")
    assert only(outcomes_of(found), "schema.limits")
    assert "one byte over" in found["schema.limits"].reason


def test_a_body_over_the_declared_size_that_is_refused_passes(bench):
    """And one of exactly the size is answered."""
    found = bench(policy=LIMITED, app=answering(sized(2**20 + 1), status=413)).findings("schema")
    assert set(outcomes_of(found).values()) == {"passed"}
    assert found["schema.limits"].n == 3


def test_a_limit_below_the_declared_size_fails_the_limits_check(bench):
    """What is declared as allowed must be answered."""
    assert only(bench(policy=LIMITED, app=answering(sized(2**20), status=413)).outcomes("schema"), "schema.limits")


def test_a_server_that_a_large_body_leaves_dead_fails_the_limits_check(bench):
    """Refused, and then nothing."""
    gone = []

    def when(raw, content_type):
        gone.extend([1] if sized(2**20 + 1)(raw, content_type) else [])
        return bool(gone)

    found = bench(policy=LIMITED, app=answering(when, status=413)).findings("schema")
    assert "after the bad request" in found["schema.limits"].reason


def test_a_wrong_request_that_changes_later_answers_fails_the_alive_check(bench):
    """Refused properly, also under `rejects: basic`, where such a request itself decides nothing."""
    poisoned = []

    def when(raw, content_type):
        poisoned.extend([1] if b'"mlgate": "\xff"' in raw else [])
        return False

    def predict(frame, params=None):
        return healthy(frame) * (0.5 if poisoned else 1.0)

    on = bench(predict, app=answering(when))
    assert only(on.outcomes("schema"), "schema.alive")
    part = on.parts["schema.rejects[case=charset]"]
    assert "differently from before" in part.reason
    assert part.details["advisory"] is True


def test_a_model_that_does_not_answer_at_all_is_inconclusive_for_what_needs_an_answer(bench):
    """Nothing can be held against it; the example's check is the one that fails."""

    def predict(frame, params=None):
        raise ValueError("never")

    outcomes = bench(predict).outcomes("schema")
    assert {key for key, outcome in outcomes.items() if outcome == "failed"} == {"schema.example"}
    assert outcomes["schema.alive"] == outcomes["schema.rejects[case=word]"] == "inconclusive"


def columns(**changes):
    """Return the bench's input columns with some changed."""
    kinds = {"age": "double", "tenure": "long", "plan": "string"} | changes
    return Schema([ColSpec(kind, name) for name, kind in kinds.items()])


def test_a_changed_output_breaks_the_champions_callers(bench, signature):
    """The same numbers, declared as another type."""
    signed = ModelSignature(inputs=signature.inputs, outputs=Schema([TensorSpec(np.dtype("float32"), (-1,))]))
    found = bench(champion=healthy, signed=signed).findings("schema")
    assert only(outcomes_of(found), "schema.compatible")
    assert "outputs: float64[-1], now float32[-1]" in found["schema.compatible"].reason


def test_a_narrower_input_breaks_the_champions_callers(bench, signature):
    """What was a long is an integer now."""
    signed = ModelSignature(inputs=columns(tenure="integer"), outputs=signature.outputs)
    assert only(bench(champion=healthy, signed=signed).outcomes("schema"), "schema.compatible")


def test_a_wider_input_does_not(bench, signature):
    """What was a long may be a double now."""
    signed = ModelSignature(inputs=columns(tenure="double"), outputs=signature.outputs)
    found = bench(champion=healthy, signed=signed).findings("schema")
    assert str(found["schema.compatible"].outcome) == "passed"
    assert found["schema.compatible"].details["allowed"] == ["inputs.tenure: long, now double"]


def test_a_champion_that_declares_nothing_is_inconclusive(bench):
    """Nothing says what was valid for it, so nothing passes for compatible; the way on is named."""
    on = bench(champion=healthy)
    on.champion.signature = type(on.champion.signature)(inputs=None, outputs=None)
    found = on.findings("schema")["schema.compatible"]
    assert str(found.outcome) == "inconclusive"
    assert "compatible_with_champion: false" in found.advice


def test_a_champion_that_can_not_be_read_is_inconclusive(bench):
    """Never passed against a signature that is not its own."""
    on = bench(champion=healthy)
    on.champion.artifact_digest = ""
    assert str(on.findings("schema")["schema.compatible"].outcome) == "inconclusive"


@pytest.mark.parametrize("policy", [POLICY, POLICY + "schema: {compatible_with_champion: false}\n"])
def test_compatibility_is_asked_for_with_a_champion_only_and_can_be_switched_off(bench, policy):
    """By the policy, in its digest."""
    expected = bench(champion=healthy, policy=policy).policy.expected_checks(champion=policy is not POLICY)
    assert "schema.compatible" not in expected["schema"]


def test_an_error_that_tells_too_much_is_shown_and_does_not_gate(bench):
    """MLflow repeats what was sent; a crash's trace and its paths are worse."""
    trace = json.dumps(
        {"stack_trace": 'Traceback (most recent call last):\n File "/opt/app/model.py", line 3'}
    ).encode()
    on = bench(app=answering(REJECTS["word"], status=400, body=trace))
    assert set(on.outcomes("schema").values()) == {"passed"}
    leak = on.parts["schema.leak"]
    assert (str(leak.outcome), str(leak.cause), leak.details["advisory"]) == ("failed", "server", True)
    assert leak.details["leaks"]["traceback"] == leak.details["leaks"]["path"] == ["word", "wrong_type"]
    assert "malformed_json" in leak.details["leaks"]["sent values"]


def test_errors_that_tell_nothing_pass(bench):
    """A gateway that replaces every error's body."""
    on = bench(app=silent)
    assert set(on.outcomes("schema").values()) == {"passed"}
    assert str(on.parts["schema.leak"].outcome) == "passed"
    assert on.parts["schema.leak"].n > 10


def silent(inner):
    """Replace the body of every error with the same few words."""

    async def app(scope, receive, send):
        failed = []

        async def hushed(message):
            if message["type"] == "http.response.start" and message["status"] >= 400:
                failed.append(1)
                headers = [(b"content-type", b"application/json"), (b"content-length", b"16")]
                message = {**message, "headers": headers}
            elif message["type"] == "http.response.body" and failed:
                message = {**message, "body": b'{"error": "bad"}' if failed.pop() and not failed else b""}
            await send(message)

        await inner(scope, receive, hushed)

    return app


def test_a_single_column_model_has_no_request_without_it(bench):
    """Said as that, with no request, and not as a pass of something."""
    signed = ModelSignature(inputs=Schema([ColSpec("double", "age")]), outputs=Schema([ColSpec("double")]))
    on = bench(lambda frame, params=None: frame["age"].to_numpy() * 0.0, signed=signed, data=None)
    on.policy = type(on.policy)()
    on.example = None
    found = on.findings("schema")["schema.rejects[case=missing_column]"]
    assert (str(found.outcome), found.n) == ("passed", 0)
    assert "no such request" in found.reason
