"""Findings in few words, and what an answer is guilty of."""

import json
from collections.abc import Sequence
from typing import Any

from mlgate.artifacts.signature import Schema
from mlgate.errors import one_line
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.scoring.answers import Answer, NotAPrediction, nonconformities
from mlgate.scoring.client import ScoringClient
from mlgate.typed_json import jsonable


def passed(reason: str, **facts: Any) -> Finding:
    """The claim holds."""
    return Finding(outcome=Outcome.PASSED, reason=one_line(reason), **facts)


def failed(reason: str, *, cause: Cause = Cause.MODEL, **facts: Any) -> Finding:
    """The claim does not hold."""
    return Finding(outcome=Outcome.FAILED, reason=one_line(reason), cause=cause, **facts)


def inconclusive(reason: str, *, cause: Cause = Cause.MODEL, **facts: Any) -> Finding:
    """There is not enough to say."""
    return Finding(outcome=Outcome.INCONCLUSIVE, reason=one_line(reason), cause=cause, **facts)


def errored(reason: str, *, cause: Cause = Cause.HARNESS, **facts: Any) -> Finding:
    """We could not measure."""
    return Finding(outcome=Outcome.ERRORED, reason=one_line(reason), cause=cause, **facts)


def problem_of(answer: Answer, outputs: Schema | None, *, rows: int) -> str | None:
    """Return what is wrong with *answer* to a valid request of *rows* rows, or `None`."""
    if answer.problem == "timeout" or answer.status == 504:
        return f"hangs: no answer within {answer.elapsed_s:.1f} s"
    if answer.problem == "connection":
        return "the server died"
    if answer.crashed:
        return f"raises: {answer.error_text()}"
    try:
        predictions = answer.rows()
    except NotAPrediction as error:
        return str(error)
    problems = nonconformities(predictions, outputs, expected_rows=rows)
    return problems[0] if problems else None


def explained(problem: str, answer: Answer, client: ScoringClient) -> tuple[str, dict[str, Any]]:
    """Return *problem* with what became of the server and which limits it met, and the details that go with that.

    Args:
        problem: What is wrong with *answer*.
        answer: The last one that *client* got.
        client: Its server is asked.
    """
    trouble = client.why(answer)
    known = [trouble.message] if trouble is not None else []
    met = client.server.limits_met(" ".join([problem, *known]))
    details: dict[str, Any] = {"limits": list(met)} if met else {}
    if trouble is not None:
        details |= {"kind": str(trouble.kind), "log": trouble.log}
    return "; ".join([problem, *known, *met]), details


def as_text(value: Any, limit: int = 200) -> str:
    """Return a prediction, or a row, as a reader sees it."""
    return json.dumps(jsonable(value), ensure_ascii=False)[:limit]


def rows_or_none(answer: Answer) -> Sequence[Any] | None:
    """Return the predictions, or `None` where the answer holds none."""
    try:
        return answer.rows()
    except NotAPrediction:
        return None
