"""Schema: the same rows in every encoding get the same answer."""

import json
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Finding
from mlgate.generation.input_space import InputSpace
from mlgate.generation.interface import Mode
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.encodings import Comparable, comparable
from mlgate.scoring.equality import Equality
from mlgate.scoring.payloads import Batch, Encoding
from mlgate.typed_json import jsonable
from mlgate_suites.findings import explained, failed, inconclusive, passed, problem_of, rows_or_none
from mlgate_suites.shrink import answered

# Compared in each encoding; of more that are drawn, since not every row is the same to every encoding.
ROWS = 50
_DRAWN = 400


@pytest.mark.mlgate_check("schema.encodings", suite="schema")
def test_encodings(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_seed: int,
    mlgate_record: Any,
) -> None:
    """`dataframe_split`, `dataframe_records`, `inputs`, `instances` and CSV give the same answer."""
    if mlgate_client.protocol.path != "/invocations":
        mlgate_record(passed("V2 has one encoding: there is none to compare it with", n=0))
        return
    drawn = _rows(mlgate_inputs, mlgate_seed)
    known = comparable(mlgate_signature, drawn)
    if not known.fits:
        reason = next(iter(known.left_out.values()))
        details = {"left_out": {str(name): why for name, why in known.left_out.items()}}
        mlgate_record(passed(f"one encoding only, {known.reference}: {reason}", n=0, details=details))
        return
    mlgate_record(_compare(known, drawn, mlgate_client, mlgate_signature, mlgate_equality))


def _rows(space: InputSpace, seed: int) -> Batch:
    """Draw rows of all kinds; half of them without edges and nulls, that some fit every encoding."""
    spread = {domain.name: Mode.SPREAD for domain in space.domains}
    mixed, plain = space.sample(_DRAWN // 2, seed=seed), space.sample(_DRAWN // 2, seed=seed + 1, modes=spread)
    default = space.sample(1, seed=seed, modes={domain.name: Mode.DEFAULT for domain in space.domains})
    # In turns: the first rows that fit must be of both kinds.
    pairs = (row for pair in zip(mixed.rows, plain.rows, strict=True) for row in pair)
    return Batch(columns=mixed.columns, rows=(*pairs, *default.rows))


def _compare(
    known: Comparable, drawn: Batch, client: ScoringClient, signature: Signature, equality: Equality
) -> Finding:
    compared: dict[str, int] = {}
    left_out = {str(name): reason for name, reason in known.left_out.items()}
    for encoding in known.fits:
        rows = known.rows(drawn, encoding, limit=ROWS)
        if rows and rows_or_none(client.score(rows, known.reference)) is None:
            rows = answered(client, rows) or rows.take([])  # what is not answered at all is properties.total's to find
        if not rows:
            left_out[str(encoding)] = "no generated row reaches the model unchanged, and is answered"
            continue
        problem = _difference(rows, encoding, known, client, signature, equality)
        if problem is not None:
            return problem
        compared[str(encoding)] = len(rows)
    facts = {"reference": str(known.reference), "rows": compared, "left_out": left_out}
    if not compared:
        return inconclusive("no generated row could be compared", n=0, details=facts)
    names = ", ".join([str(known.reference), *compared])
    return passed(f"the same rows get the same answers as {names}", n=sum(compared.values()), details=facts)


def _difference(
    rows: Batch,
    encoding: Encoding,
    known: Comparable,
    client: ScoringClient,
    signature: Signature,
    equality: Equality,
) -> Finding | None:
    reference = client.score(rows, known.reference).rows()
    answer = client.score(rows, encoding)
    problem = problem_of(answer, signature.outputs, rows=len(rows))
    found = rows_or_none(answer)
    if found is None or len(found) != len(rows):
        told, details = explained(problem or "no prediction", answer, client)
        return failed(
            f"as {encoding}, what is answered as {known.reference} is not: {told}", n=len(rows), details=details
        )
    place = equality.first_difference(reference, found)
    if place is None:
        return None
    first, second = (json.dumps(jsonable(side[place]))[:200] for side in (reference, found))
    return failed(
        f"a row gives {first} as {known.reference} and {second} as {encoding}",
        n=len(rows),
        details={
            "example": json.dumps(jsonable(rows.take([place]).records()[0]), ensure_ascii=False),
            "tolerance": equality.tolerance,
            "encoding": str(encoding),
        },
    )
