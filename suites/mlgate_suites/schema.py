"""Schema: the model keeps the contract that its signature states.

The whole suite is collected here; its further checks stand in the modules beside this one.
"""

import json
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.compatibility import Extra, differences
from mlgate.evidence import Finding
from mlgate.generation.input_space import InputSpace
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate_suites.findings import explained, failed, inconclusive, passed, problem_of, rows_or_none
from mlgate_suites.schema_encodings import test_encodings
from mlgate_suites.schema_limits import test_limits
from mlgate_suites.schema_params import test_params
from mlgate_suites.schema_rejects import test_alive, test_rejects
from mlgate_suites.shrink import answered

__all__ = ["test_alive", "test_encodings", "test_limits", "test_params", "test_rejects"]

# Enough rows that each column's edges come up several times, few enough for one request.
OUTPUT_ROWS = 200


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


@pytest.mark.mlgate_check("schema.compatible", suite="schema")
def test_compatible(
    mlgate_signature: Signature, mlgate_champion: Champion | None, mlgate_policy: Policy, mlgate_record: Any
) -> None:
    """What was a valid request for the champion is valid here, and the output type is the same."""
    if mlgate_champion is None:
        mlgate_record(inconclusive("there is no champion to be compatible with"))
        return
    mlgate_record(_compatible(mlgate_champion, mlgate_signature, mlgate_policy.values.schema_.extra_column))


def _compatible(champion: Champion, signature: Signature, extra: Extra) -> Finding:
    off = "schema.compatible_with_champion: false, to go on without this check"
    if not champion.artifact_digest:
        return inconclusive("the champion can not be read, so nothing says what was valid for it", advice=off)
    known = champion.signature
    missing = [side for side in ("inputs", "outputs") if getattr(known, side) is None]
    if missing:
        reason = f"the champion declares no {' and no '.join(missing)}: nothing says what was valid for it"
        return inconclusive(reason, advice=off)
    found = differences(known, signature, extra=extra)
    breaking = [str(difference) for difference in found if difference.breaks]
    details = {"breaks": breaking, "allowed": [str(difference) for difference in found if not difference.breaks]}
    if breaking:
        more = f" (and {len(breaking) - 1} more)" if len(breaking) > 1 else ""
        advice = "declare what the champion took as well, or register under another name; " + off
        return failed(f"breaks callers of the champion: {breaking[0]}{more}", n=1, advice=advice, details=details)
    told = f"{len(found)} differences, all of them wider" if found else "the same signature"
    return passed(f"every valid request for the champion is valid here: {told}", n=1, details=details)


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
