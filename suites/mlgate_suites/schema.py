"""Schema: the model keeps the contract that its signature states."""

import json
from typing import Any

import pytest

from mlgate.artifacts.signature import ColumnSchema, DataType, Schema, Signature
from mlgate.evidence import Cause, Finding
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.input_space import InputSpace
from mlgate.scoring.payloads import JSON_TYPE, Batch
from mlgate.scoring.protocols import ServingProtocol
from mlgate_suites.findings import explained, failed, inconclusive, passed, problem_of, rows_or_none
from mlgate_suites.shrink import answered

# Enough rows that each column's edges come up several times, few enough for one request.
OUTPUT_ROWS = 200
_NUMBERS = {DataType.INTEGER, DataType.LONG, DataType.FLOAT, DataType.DOUBLE}
_WORD = "twelve"


@pytest.mark.mlgate_check("schema.signature", suite="schema")
def test_signature(mlgate_signature: Signature, mlgate_record: Any) -> None:
    """Inputs and outputs are declared."""
    missing = [side for side in ("inputs", "outputs") if getattr(mlgate_signature, side) is None]
    if missing:
        finding = failed(
            f"the signature declares no {' and no '.join(missing)}: MLflow then checks nothing",
            advice="log the model with signature=infer_signature(inputs, outputs)",
        )
    else:
        finding = passed("inputs and outputs are declared")
    mlgate_record(finding)


@pytest.mark.mlgate_check("schema.example", suite="schema")
def test_example(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_example: bytes | None,
    mlgate_inputs: InputSpace,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """The logged example is answered: rows out = rows in, strict JSON."""
    if mlgate_example is None:
        batch = mlgate_inputs.sample(1, seed=mlgate_seed)
        body, content_type = mlgate_client.protocol.encode(batch)
        what, rows = "a generated row (no example is logged)", 1
    else:
        body, content_type = mlgate_client.protocol.encode_example(mlgate_example)
        what, rows = "the logged example", _row_count(mlgate_example)
    answer = mlgate_client.post(body, content_type=content_type)
    problem = problem_of(answer, mlgate_signature.outputs, rows=rows)
    if problem is None:
        mlgate_record(passed(f"{what} is answered", n=rows))
    else:
        shown = body[:2000].decode("utf-8", "replace")
        problem, details = explained(problem, answer, mlgate_client)
        mlgate_record(failed(f"{what}: {problem}", n=rows, details={"example": shown, **details}))


@pytest.mark.mlgate_check("schema.output", suite="schema")
def test_output(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """Every answer conforms to the output signature: names, types, shapes."""
    if mlgate_signature.outputs is None:
        mlgate_record(inconclusive("no output signature to conform to", advice="log the model with a signature"))
        return
    batch = mlgate_inputs.sample(OUTPUT_ROWS, seed=mlgate_seed)
    answer = mlgate_client.score(batch)
    if rows_or_none(answer) is None:
        # A row that the model can not answer is the property suite's to find; here the others must still conform.
        kept = answered(mlgate_client, batch)
        if kept is None:
            mlgate_record(inconclusive("no generated row is answered: nothing can conform", n=0))
            return
        batch, answer = kept, mlgate_client.score(kept)
    problem = problem_of(answer, mlgate_signature.outputs, rows=len(batch))
    if problem is None:
        mlgate_record(passed(f"{len(batch)} answers conform to the output signature", n=len(batch)))
    else:
        mlgate_record(failed(problem, n=len(batch), advice="log the model again with the signature it really has"))


@pytest.mark.mlgate_check("schema.rejects", suite="schema")
def test_rejects(
    case: str,
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """What is no valid request is refused with a 4xx, as JSON, and the server lives."""
    valid = mlgate_inputs.sample(1, seed=mlgate_seed)
    request = _bad_request(case, valid, mlgate_signature.inputs, mlgate_client.protocol)
    if request is None:
        mlgate_record(passed(f"no such request exists for this signature ({case})", n=0))
        return
    body, content_type = request
    answer = mlgate_client.post(body, content_type=content_type)
    finding = _judge_refusal(case, answer)
    after = mlgate_client.score(valid)
    alive = problem_of(after, mlgate_signature.outputs, rows=1)
    if alive is not None:
        alive, details = explained(alive, after, mlgate_client)
        reason = f"after the bad request a valid one is not answered: {alive}"
        finding = failed(reason, cause=Cause.SERVER, details=details)
    mlgate_record(finding)


def _judge_refusal(case: str, answer: Any) -> Finding:
    details = {"status": answer.status, "body": answer.body[:500].decode("utf-8", "replace")}
    if answer.problem:
        return failed(f"no answer ({answer.problem})", cause=Cause.SERVER, details=details)
    if not 400 <= answer.status < 500:
        cause = Cause.SERVER if answer.status >= 500 else Cause.MODEL
        return failed(f"answered {answer.status}, not 4xx", cause=cause, details=details)
    if case != "content_type" and not _is_json(answer.body):
        return failed(f"answered {answer.status} without JSON", cause=Cause.SERVER, details=details)
    return passed(f"refused with {answer.status}", n=1)


def _bad_request(
    case: str, valid: Batch, inputs: Schema | None, protocol: ServingProtocol
) -> tuple[bytes, str | None] | None:
    """Return a request that is not valid, or `None` where the signature has no such case."""
    match case:
        case "missing_column":
            name = _required_name(inputs)
            return None if name is None else protocol.encode(valid.without_column(name))
        case "word":
            worded = _with_word(valid, inputs)
            return None if worded is None else protocol.encode(worded)
        case "envelope":
            return json.dumps({"rows": valid.records()}).encode(), JSON_TYPE
        case "malformed_json":
            return protocol.encode(valid)[0][:-1], JSON_TYPE
        case "empty_body":
            return b"", JSON_TYPE
        case "content_type":
            return protocol.encode(valid)[0], "application/x-mlgate"
        case _:
            raise ValueError(f"no case '{case}'")


def _required_name(inputs: Schema | None) -> str | int | None:
    if isinstance(inputs, ColumnSchema):
        # A model of one column would be left with none: a data frame without columns has no rows either.
        names: list[str | int | None] = [
            column.label for column in inputs.columns if column.required and len(inputs.columns) > 1
        ]
    else:
        names = [tensor.name for tensor in inputs.tensors if len(inputs.tensors) > 1] if inputs else []
    return names[0] if names else None


def _with_word(valid: Batch, inputs: Schema | None) -> Batch | None:
    if isinstance(inputs, ColumnSchema):
        names = [column.label for column in inputs.columns if column.type in _NUMBERS and column.label is not None]
        return valid.with_value(names[0], _WORD) if names else None
    if inputs is None or inputs.tensors[0].dtype.startswith("str"):
        return None
    if len(inputs.tensors) > 1 or inputs.tensors[0].name is not None:
        return valid.with_value(str(inputs.tensors[0].name), _WORD)
    return Batch(columns=None, rows=(_WORD,))


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _row_count(raw: bytes) -> int:
    """Return the rows of a logged serving example, which may be in any of the four encodings."""
    document = json.loads(raw)
    for key in ("dataframe_split", "dataframe_records", "inputs", "instances"):
        value = document.get(key) if isinstance(document, dict) else None
        if value is None:
            continue
        if key == "dataframe_split":
            value = value["data"]
        if isinstance(value, dict):
            value = next(iter(value.values()), [])
        return len(value) if isinstance(value, list) else 1
    return 1
