"""Schema: inference params have their defaults, their types and their names."""

from collections.abc import Iterator
from typing import Any

import pytest

from mlgate.artifacts.signature import Param, Signature
from mlgate.evidence import Cause, Finding
from mlgate.generation.input_space import InputSpace
from mlgate.scoring.answers import Answer
from mlgate.scoring.bad_requests import BadRequest, Due
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.params import with_params, wrong_params
from mlgate_suites.findings import explained, failed, passed
from mlgate_suites.schema_rejects import problem_with
from mlgate_suites.schema_trial import Trial, shown

UNKNOWN = "mlgate_unknown_param"


@pytest.mark.mlgate_check("schema.params", suite="schema")
def test_params(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """Left out, a param is its default; of a wrong type it is refused; an unknown one changes nothing or is refused."""
    trial = Trial(mlgate_client, mlgate_signature, mlgate_inputs, mlgate_equality, mlgate_seed)
    mlgate_record(trial.unanswered or _judge(trial, mlgate_signature.params))


def _judge(trial: Trial, params: tuple[Param, ...]) -> Finding:
    requests = list(_requests(trial, params))
    facts = {"params": [param.name for param in params], "requests": len(requests)}
    for request in requests:
        answer = trial.send(request)
        problem = problem_with(request, answer, trial)
        if problem is not None:
            return _broken(request, problem, answer, trial, len(requests))
    dead = trial.dead()
    if dead is not None:
        return dead
    if not params:
        return passed("no params are declared, and one that is sent changes nothing or is refused", n=len(requests))
    told = "have their defaults, take their types only, and an unknown one changes nothing or is refused"
    return passed(f"{len(params)} params {told}", n=len(requests), details=facts)


def _requests(trial: Trial, params: tuple[Param, ...]) -> Iterator[BadRequest]:
    defaults = {param.name: param.default for param in params}
    yield from _with(trial, "no params in an empty mapping", {}, due="ignored")
    if defaults:
        yield from _with(trial, "every default, stated", defaults, due="ignored")
    for name, value in defaults.items():
        yield from _with(trial, f"the default of '{name}', stated", {name: value}, due="ignored")
    for param in params:
        for what, value in wrong_params(param):
            yield from _with(trial, what, {param.name: value}, due="refused")
    yield from _with(trial, f"a param '{UNKNOWN}'", {UNKNOWN: 1}, due="either")
    # Without declared params MLflow ignores whatever stands there.
    yield from _with(trial, "params that are a list", [1], due="refused" if params else "either")


def _with(trial: Trial, what: str, params: object, *, due: Due) -> Iterator[BadRequest]:
    body, content_type = trial.client.protocol.encode(trial.valid)
    try:
        made = with_params(body, params, path=trial.client.protocol.path)
    except ValueError:
        return
    yield BadRequest(what=what, body=made, content_type=content_type, due=due)


def _broken(request: BadRequest, problem: str, answer: Answer, trial: Trial, tried: int) -> Finding:
    details = {
        "status": answer.status,
        "body": shown(answer),
        "request": request.body.decode("utf-8", "replace")[:2000],
    }
    cause = Cause.SERVER if answer.problem or answer.status >= 500 else Cause.MODEL
    if answer.problem:
        problem, told = explained(problem, answer, trial.client)
        details |= told
    return failed(f"{request.what}: {problem}", cause=cause, n=tried, details=details)
