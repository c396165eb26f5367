"""Properties: what holds for every valid input, tried on generated ones.

The whole suite is collected here; its further checks stand in the modules beside this one.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from mlgate.artifacts.signature import Schema, Signature
from mlgate.generation.input_space import InputSpace
from mlgate.scoring.answers import Answer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.payloads import Batch
from mlgate.typed_json import jsonable
from mlgate_suites.answer_range import test_output_range
from mlgate_suites.categories import test_unseen_category
from mlgate_suites.concurrency import test_concurrent
from mlgate_suites.findings import passed, problem_of
from mlgate_suites.nulls import test_null_handling
from mlgate_suites.problem import Problem, Request, ask, ask_rows, lost
from mlgate_suites.relations import test_invariant, test_monotonic, test_scale, test_symmetric
from mlgate_suites.search import Search

__all__ = [
    "test_concurrent",
    "test_invariant",
    "test_monotonic",
    "test_null_handling",
    "test_output_range",
    "test_scale",
    "test_symmetric",
    "test_unseen_category",
]

# A batch of these is compared with as many single requests: enough for each column's edges, quick on one core.
BATCH_ROWS = 24
DETERMINISM_ROWS = 100
# Each probe that finds no difference costs a restart.
DETERMINISM_PROBES = 12
TURNED = "a batch in another order is answered differently"
ALONE = "a row alone is answered differently from in a batch"


@pytest.mark.mlgate_check("properties.total", suite="properties")
def test_total(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """Every generated valid input is answered validly, in time."""
    outputs = mlgate_signature.outputs

    def answered_validly(batch: Batch) -> Problem | None:
        answer, request = ask(mlgate_client, batch)
        text = problem_of(answer, outputs, rows=len(batch))
        return None if text is None else _invalid(text, answer, request, outputs)

    searched = mlgate_search.run(answered_validly, mlgate_inputs)
    mlgate_record(mlgate_search.finding(searched, passed="{n} generated valid rows are answered validly"))


def _invalid(text: str, answer: Answer, request: Request, outputs: Schema | None) -> Problem:
    bad = answer.bad_rows(outputs)
    return Problem(
        text=text,
        answers=(answer,),
        requests=(request,),
        row=bad[0] if bad else None,
        rows=bad or None,
        hang=lost(answer) and answer.problem != "connection",
    )


@pytest.mark.mlgate_check("properties.deterministic", suite="properties")
def test_deterministic(
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """The same rows get the same answer, also after a restart."""

    def answered_alike(batch: Batch) -> Problem | None:
        first, again = (ask_rows(mlgate_client, batch) for _ in range(2))
        problem = _difference(first, again, mlgate_equality, "the same rows, asked twice, differ")
        if problem is not None:
            return problem
        mlgate_client.close()
        mlgate_client.server.restart()
        restarted = ask_rows(mlgate_client, batch)
        return _difference(first, restarted, mlgate_equality, "the same rows differ after a restart")

    rows = mlgate_search.rows_per_request(mlgate_inputs, DETERMINISM_ROWS)  # one batch: each costs a restart
    searched = mlgate_search.run(answered_alike, mlgate_inputs, examples=rows, rows=rows, probes=DETERMINISM_PROBES)
    mlgate_record(mlgate_search.finding(searched, passed="{n} rows get equal answers, also after a restart"))


@pytest.mark.mlgate_check("properties.batch", suite="properties")
def test_batch(
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """A batch's answer equals the single rows' answers, and follows a permutation."""
    if mlgate_inputs.request_rows == 1:
        mlgate_record(passed("each request holds exactly one row: there are no batches", n=0))
        return
    fixed = mlgate_inputs.request_rows is not None

    def answered_as_single(batch: Batch) -> Problem | None:
        together = ask_rows(mlgate_client, batch)
        backwards = range(len(batch))[::-1]
        rows, answer, request = ask_rows(mlgate_client, batch.take(backwards))
        turned = ([rows[place] for place in backwards], answer, request)
        problem = _difference(together, turned, mlgate_equality, TURNED, rowwise=False)
        for place in () if problem or fixed else range(len(batch)):
            alone = ask_rows(mlgate_client, batch.take([place]))
            one = (together[0][place : place + 1], *together[1:])
            problem = problem or _difference(one, alone, mlgate_equality, ALONE, rowwise=False)
        return problem

    searched = mlgate_search.run(answered_as_single, mlgate_inputs, examples=BATCH_ROWS, rows=BATCH_ROWS)
    mlgate_record(mlgate_search.finding(searched, passed="{n} rows: batch, single and permuted answers are equal"))


Asked = tuple[Sequence[Any], Answer, Request]


def _difference(first: Asked, second: Asked, equality: Equality, what: str, *, rowwise: bool = True) -> Problem | None:
    """Return where two answers to the same rows differ; *rowwise* where a row that differs would do so alone."""
    place = equality.first_difference(first[0], second[0])
    if place is None:
        return None
    pair = [
        json.dumps(jsonable(side[0][place]))[:200] if place < len(side[0]) else "nothing" for side in (first, second)
    ]
    return Problem(
        text=f"{what}: {pair[0]}, then {pair[1]} (tolerance {equality.tolerance:g})",
        answers=(first[1], second[1]),
        requests=(first[2], second[2]),
        row=place if rowwise else None,
    )
