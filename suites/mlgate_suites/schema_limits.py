"""Schema: bodies larger than declared, and requests of no rows."""

from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Cause, Finding
from mlgate.generation.input_space import InputSpace
from mlgate.policy import Policy
from mlgate.quantities import format_size
from mlgate.scoring.answers import Answer, NotAPrediction
from mlgate.scoring.bad_requests import BadRequest
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.no_rows import no_rows
from mlgate_suites.findings import explained, failed, passed, problem_of
from mlgate_suites.schema_trial import Trial, is_json, shown


@pytest.mark.mlgate_check("schema.limits", suite="schema")
def test_limits(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """Zero rows get zero rows or a clear 4xx; a body over the declared size is refused; the server lives."""
    trial = Trial(mlgate_client, mlgate_signature, mlgate_inputs, mlgate_equality, mlgate_seed)
    section = mlgate_policy.values.schema_
    mlgate_record(trial.unanswered or _judge(trial, section.max_body, strict=section.rejects == "strict"))


def _judge(trial: Trial, max_body: int | None, *, strict: bool) -> Finding:
    body, content_type = no_rows(trial.valid, trial.signature, trial.client.protocol)
    empty = trial.send(BadRequest(what="no rows", body=body, content_type=content_type))
    problem = _empty_problem(empty, strict=strict)
    if problem is not None:
        return _failed(f"zero rows: {problem}", empty, trial)
    facts: dict[str, Any] = {"zero_rows": _told(empty), "max_body": max_body}
    if empty.crashed:
        facts["warning"] = f"zero rows: the model raises ({empty.error_text(120)})"
    dead = trial.dead()
    if dead is not None:
        return dead
    if max_body is None:
        return passed(f"zero rows {_told(empty)}; no schema.max_body is declared", n=1, details=facts)
    return _judge_size(trial, max_body, _told(empty), facts)


def _judge_size(trial: Trial, max_body: int, told: str, facts: dict[str, Any]) -> Finding:
    size = format_size(max_body)
    padded = _padded(trial, max_body)
    if padded is None:
        return failed(
            f"schema.max_body is {size}, and one valid row is larger", cause=Cause.HARNESS, n=1, details=facts
        )
    within = trial.send(padded)
    problem = problem_of(within, trial.signature.outputs, rows=1)
    if problem is not None:
        return _failed(f"a valid body of {size}, the declared limit, is not answered: {problem}", within, trial)
    beyond = _padded(trial, max_body + 1)
    assert beyond is not None
    answer = trial.send(beyond)
    if not 400 <= answer.status < 500:
        found = f"no answer ({answer.problem})" if answer.problem else f"answered {answer.status}, not 4xx"
        return _failed(f"a body one byte over schema.max_body {size}: {found}", answer, trial)
    dead = trial.dead()
    if dead is not None:
        return dead
    return passed(
        f"zero rows {told}; a body of {size} is answered, one byte more refused with {answer.status}",
        n=3,
        details=facts,
    )


def _padded(trial: Trial, size: int) -> BadRequest | None:
    """Return the valid row's request with spaces up to *size* bytes: to JSON they say nothing."""
    body, content_type = trial.client.protocol.encode(trial.valid)
    missing = size - len(body)
    if missing < 0:
        return None
    return BadRequest(what="padded", body=body[:-1] + b" " * missing + body[-1:], content_type=content_type)


def _empty_problem(answer: Answer, *, strict: bool) -> str | None:
    if answer.problem:
        return f"no answer ({answer.problem})"
    if answer.status == 200:
        try:
            rows = answer.rows()
        except NotAPrediction as error:
            return str(error)
        return f"{len(rows)} predictions" if rows else None
    # MLServer's word for a model that raises is 500, where MLflow's server says 400: the same event.
    raised = answer.status == 500 and b"Traceback (most recent call last)" in answer.body and not strict
    if raised or (400 <= answer.status < 500 and is_json(answer)):
        return None
    return f"answered {answer.status}: {answer.error_text(120)}"


def _told(answer: Answer) -> str:
    return "get zero predictions" if answer.status == 200 else f"are refused with {answer.status}"


def _failed(reason: str, answer: Answer, trial: Trial) -> Finding:
    cause = Cause.SERVER if answer.problem or answer.status >= 500 else Cause.MODEL
    details: dict[str, Any] = {"status": answer.status, "body": shown(answer)}
    if answer.problem:
        reason, told = explained(reason, answer, trial.client)
        details |= told
    return failed(reason, cause=cause, details=details)
