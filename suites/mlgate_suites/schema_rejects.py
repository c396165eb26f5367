"""Schema: what is no valid request is refused, and the server lives."""

from collections.abc import Sequence
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.compatibility import Extra
from mlgate.evidence import Cause, CheckResult, Finding
from mlgate.generation.input_space import InputSpace
from mlgate.policy import Policy
from mlgate.policy_schema import REJECT_CASES, STRICT_CASES
from mlgate.scoring.answers import Answer
from mlgate.scoring.bad_requests import MAX_REQUESTS, BadRequest, Case, bad_requests, no_such_request
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate_suites.findings import failed, passed
from mlgate_suites.schema_leak import Sent, judge_leaks
from mlgate_suites.schema_trial import Trial, advisory, is_json, shown

SLOW_BODY = "slow_body"
# Where it does not gate, nobody waits for the end of a slow request: only whether others are answered meanwhile.
_GLANCE_S = 0.3
_LISTED = 20  # requests that the details name
# Bodies of these say nothing that others do not, and take seconds.
_HEAVY = {"gzip_bomb", "large_body", SLOW_BODY}


@pytest.mark.mlgate_check("schema.rejects", suite="schema")
def test_rejects(
    case: str,
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """What is no valid request is refused with a 4xx, as JSON, and the server lives."""
    trial = Trial(mlgate_client, mlgate_signature, mlgate_inputs, mlgate_equality, mlgate_seed)
    extra = mlgate_policy.values.schema_.extra_column
    mlgate_record(trial.unanswered or judge_case(case, trial, extra=extra, whole=True))


@pytest.mark.mlgate_check("schema.alive", suite="schema")
def test_alive(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """After all that is no valid request, a valid row gets the answer that it got before; what else was seen is advice."""
    trial = Trial(mlgate_client, mlgate_signature, mlgate_inputs, mlgate_equality, mlgate_seed)
    if trial.unanswered is not None:
        mlgate_record(trial.unanswered)
        return
    section = mlgate_policy.values.schema_
    sent: list[Sent] = []
    parts: list[CheckResult] = []
    cases = 0
    for case in (*REJECT_CASES, *STRICT_CASES):
        gates = case in section.gating_cases
        if gates and case in _HEAVY:
            continue
        cases += 1
        finding = judge_case(case, trial, extra=section.extra_column, whole=not gates, sent=sent)
        if not gates:
            parts.append(CheckResult(id="schema.rejects", params={"case": case}, finding=advisory(finding)))
    parts.append(CheckResult(id="schema.leak", params={}, finding=advisory(judge_leaks(sent))))
    told = f"a valid row is answered as before, after wrong requests of {cases} kinds"
    mlgate_record(trial.dead(cause=Cause.MODEL) or passed(told, n=len(sent)), parts=parts)


def judge_case(case: str, trial: Trial, *, extra: Extra, whole: bool, sent: list[Sent] | None = None) -> Finding:
    """Try the requests of *case* and say what came of them.

    Args:
        case: Of `schema.rejects`.
        trial: What to try them on.
        extra: What is due to a column that the signature does not have.
        whole: Try every request of it, and a slow one to its end; else one, and for a second.
        sent: Takes the answers.
    """
    if case == SLOW_BODY:
        wait_s = trial.client.timeout_s if whole and sent is None else _GLANCE_S
        return _judge_slow(trial, wait_s=wait_s)
    known = Case(valid=trial.valid, signature=trial.signature, protocol=trial.client.protocol, extra=extra)
    requests = bad_requests(case, known)
    if not requests:
        return passed(no_such_request(case, trial.signature), n=0)
    return _judge_all(
        case, requests[: MAX_REQUESTS if whole else 1], trial, [] if sent is None else sent, len(requests)
    )


def _judge_all(case: str, requests: Sequence[BadRequest], trial: Trial, sent: list[Sent], known: int) -> Finding:
    let_through: list[tuple[str, Answer]] = []
    statuses = []
    for request in requests:
        answer = trial.send(request)
        sent.append(Sent(case=case, request=request, answer=answer, valid=trial.valid))
        statuses.append(str(answer.status))
        problem = problem_with(request, answer, trial)
        if problem is not None:
            let_through.append((f"{request.what}: {problem}", answer))
        if answer.problem or answer.status >= 500:
            break  # each further one may cost a timeout and a restart
    dead = trial.dead()
    if dead is not None:
        return dead
    if let_through:
        return _let_through(case, let_through, len(statuses))
    more = "" if known == len(requests) else f", of {known} known"
    seen = ", ".join(dict.fromkeys(statuses))
    return passed(f"wrong requests get what is due ({len(requests)} tried{more}: {seen})", n=len(requests))


def _let_through(case: str, found: Sequence[tuple[str, Answer]], tried: int) -> Finding:
    first, answer = found[0]
    # MLflow's server refuses what always gates, as JSON: an answer there is the model's, or the image's, doing.
    models = case not in STRICT_CASES and answer.status < 400 and not answer.problem
    which = first if tried == 1 else f"{len(found)} of {tried} wrong requests are not refused: {first}"
    return failed(
        which,
        cause=Cause.MODEL if models else Cause.SERVER,
        n=tried,
        details={"status": answer.status, "body": shown(answer), "requests": [what for what, _ in found[:_LISTED]]},
    )


def problem_with(request: BadRequest, answer: Answer, trial: Trial) -> str | None:
    """Return what is wrong with *answer* to *request*, or `None`."""
    if answer.problem:
        return f"no answer ({answer.problem})"
    refused = 400 <= answer.status < 500
    if request.due != "refused" and trial.as_before(answer):
        return None
    if request.due == "ignored":
        what = "the answer is another one than without it" if answer.status == 200 else answer.error_text(120)
        return f"answered {answer.status}: {what}"
    if not refused:
        return f"answered {answer.status}, not 4xx"
    if request.json and not is_json(answer):
        return f"answered {answer.status} without JSON"
    return None


def _judge_slow(trial: Trial, *, wait_s: float) -> Finding:
    beside: list[Finding | None] = []
    answer = trial.send_slowly(timeout_s=wait_s, meanwhile=lambda: beside.append(trial.dead()))
    facts = {"status": answer.status, "body": shown(answer), "waited_s": round(answer.elapsed_s, 1)}
    if beside and beside[0] is not None:
        return failed(f"beside a slow request, {beside[0].reason}", cause=Cause.SERVER, n=1, details=facts)
    dead = trial.dead()
    if dead is not None:
        return dead
    if answer.problem == "connection":
        return passed("a request that never ends is cut off, and others are answered meanwhile", n=1, details=facts)
    if 400 <= answer.status < 500:
        return passed(f"a request that never ends is refused with {answer.status}", n=1, details=facts)
    if answer.problem and wait_s <= _GLANCE_S:
        reason = f"beside a slow request others are answered; its end was not waited for after {wait_s:g} s"
        return passed(reason, n=1, details=facts)
    if answer.problem:
        reason = f"a request that never ends is still waited for after {answer.elapsed_s:.0f} s"
    else:
        reason = f"a request that never ends is answered {answer.status}, not 4xx"
    return failed(reason, cause=Cause.SERVER, n=1, details=facts)
