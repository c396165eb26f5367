"""Properties: what holds for every valid input, tried on generated ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Finding
from mlgate.policy import Policy
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.input_space import InputSpace
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import ServingProtocol
from mlgate.typed_json import jsonable
from mlgate_suites.findings import explained, failed, inconclusive, passed, problem_of, rows_or_none, suspect_row
from mlgate_suites.shrink import Budget, answered, narrow, simplify
from mlgate_suites.strategies import explore

# One request of these is compared with as many single requests: enough for each column's edges, quick on one core.
BATCH_ROWS = 24
DETERMINISM_ROWS = 100


@pytest.mark.mlgate_check("properties.total", suite="properties")
def test_total(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_output: Path,
    mlgate_record: Any,
) -> None:
    """Every generated valid input is answered validly, in time."""
    outputs = mlgate_signature.outputs
    tried = 0
    broken: list[Finding] = []

    def fails(batch: Batch) -> str | None:
        return problem_of(mlgate_client.score(batch), outputs, rows=len(batch))

    def visit(batch: Batch) -> None:
        nonlocal tried
        if broken:
            return
        tried += len(batch)
        answer = mlgate_client.score(batch)
        if problem_of(answer, outputs, rows=len(batch)) is None:
            return
        budget = Budget()
        row = narrow(batch, fails, budget, suspect=suspect_row(answer, outputs))
        row = simplify(row, mlgate_inputs, fails, budget)
        last = mlgate_client.score(row)
        problem = problem_of(last, outputs, rows=len(row)) or "fails among others and not alone"
        problem, details = explained(problem, last, mlgate_client)
        broken.append(_broken(row, problem, tried, details, mlgate_client.protocol))

    examples = mlgate_policy.values.properties.examples
    explore(mlgate_inputs, visit, examples=examples, seed_value=mlgate_seed, folder=mlgate_output)
    if broken:
        mlgate_record(broken[0])
    elif tried == 0:
        mlgate_record(inconclusive("no row was generated", n=0))
    else:
        mlgate_record(passed(f"{tried} generated valid rows are answered validly", n=tried))


def _broken(row: Batch, problem: str, tried: int, known: dict[str, Any], protocol: ServingProtocol) -> Finding:
    body, content_type = protocol.encode(row)
    text = body.decode("utf-8", "backslashreplace")
    quoted = text.replace("'", "'\\''")
    shown = json.dumps(jsonable(row.records()[0] if len(row) == 1 else row.records()), ensure_ascii=False)
    return failed(
        f"a valid row: {problem}",
        n=tried,
        advice="the row below is valid by signature and policy: answer it, or narrow properties.inputs",
        details={
            "example": shown,
            "request": text,
            "curl": f"curl -s $SERVER{protocol.path} -H 'Content-Type: {content_type}' -d '{quoted}'",
            **known,
        },
    )


@pytest.mark.mlgate_check("properties.deterministic", suite="properties")
def test_deterministic(
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """The same rows get the same answer, also after a restart."""
    batch = _answerable(mlgate_client, mlgate_inputs, DETERMINISM_ROWS, mlgate_seed)
    if batch is None:
        mlgate_record(_nothing_answered())
        return
    first = rows_or_none(mlgate_client.score(batch))
    again = rows_or_none(mlgate_client.score(batch))
    finding = _compare(batch, first, again, mlgate_equality, "the same rows, asked twice, differ")
    if finding is None:
        mlgate_client.close()
        mlgate_client.server.restart()
        restarted = rows_or_none(mlgate_client.score(batch))
        finding = _compare(batch, first, restarted, mlgate_equality, "the same rows differ after a restart")
    mlgate_record(finding or passed(f"{len(batch)} rows get equal answers, also after a restart", n=len(batch)))


@pytest.mark.mlgate_check("properties.batch", suite="properties")
def test_batch(
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """A batch's answer equals the single rows' answers, and follows a permutation."""
    batch = _answerable(mlgate_client, mlgate_inputs, BATCH_ROWS, mlgate_seed + 1)
    if batch is None:
        mlgate_record(_nothing_answered())
        return
    together = rows_or_none(mlgate_client.score(batch))
    backwards = list(range(len(batch)))[::-1]
    turned = rows_or_none(mlgate_client.score(batch.take(backwards)))
    turned = None if turned is None or len(turned) != len(batch) else [turned[index] for index in backwards]
    finding = _compare(batch, together, turned, mlgate_equality, "a batch in another order is answered differently")
    if finding is None:
        alone: list[Any] = []
        for index in range(len(batch)):
            rows = rows_or_none(mlgate_client.score(batch.take([index])))
            alone.append(rows[0] if rows else None)
        finding = _compare(
            batch, together, alone, mlgate_equality, "a row alone is answered differently from in a batch"
        )
    mlgate_record(finding or passed(f"{len(batch)} rows: batch, single and permuted answers are equal", n=len(batch)))


def _answerable(client: ScoringClient, space: InputSpace, rows: int, seed: int) -> Batch | None:
    """Return rows that the server answers together; what it can not answer is `properties.total`'s to find."""
    batch = space.sample(rows, seed=seed)
    return batch if rows_or_none(client.score(batch)) is not None else answered(client, batch)


def _nothing_answered() -> Finding:
    return inconclusive("no generated row is answered: there is nothing to compare", n=0)


def _compare(
    batch: Batch, first: Sequence[Any] | None, second: Sequence[Any] | None, equality: Equality, what: str
) -> Finding | None:
    if first is None or second is None:
        return failed(f"{what}: one of the two is no prediction", n=len(batch))
    place = equality.first_difference(first, second)
    if place is None:
        return None
    pair = [json.dumps(jsonable(side[place]))[:200] if place < len(side) else "nothing" for side in (first, second)]
    shown = json.dumps(jsonable(batch.take([place]).records()[0])) if place < len(batch) else "{}"
    return failed(
        f"{what}: row {place} gives {pair[0]}, then {pair[1]}",
        n=len(batch),
        details={"example": shown, "tolerance": equality.tolerance},
    )
