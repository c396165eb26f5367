"""Optional columns: null, or absent from the request, is answered as validly as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mlgate.artifacts.signature import ColumnSchema, Signature
from mlgate.generation.input_space import InputSpace
from mlgate.generation.pairs import EachInTurn, free_name
from mlgate.generation.rebuilt import labels_of, rebuilt
from mlgate.policy import Policy
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import passed, problem_of
from mlgate_suites.problem import Problem, Unanswered, ask, lost
from mlgate_suites.search import Search

# Each case is a request of its own, so that a row more costs little and a batch more a request a case.
_BATCHES = 2
_ROWS_PER_CASE = 5
_LEAST_ROWS = 100


@pytest.mark.mlgate_check("properties.null_handling", suite="properties")
def test_null_handling(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """Each optional column as null, absent where a request may leave it out, and all of them at once, is answered validly."""
    inputs = mlgate_signature.inputs
    named = isinstance(inputs, ColumnSchema) and inputs.columns[0].name is not None
    cases = _cases(mlgate_inputs, mlgate_policy, named=named)
    if not cases:
        mlgate_record(passed("no column is optional: there is no null to handle", n=0))
        return
    outputs = mlgate_signature.outputs
    name = free_name(mlgate_inputs, "missing")
    space = _never_null(mlgate_inputs).with_extra(
        [EachInTurn(name=name, values=tuple(cases), declared=True, default=next(iter(cases)))]
    )

    def answered_without(batch: Batch) -> Problem | None:
        whole = space.inputs_of(batch)
        answer, _ = ask(mlgate_client, whole)
        if problem_of(answer, outputs, rows=len(whole)) is not None:
            raise Unanswered(answer)
        for label, places in _groups(batch.column(name)).items():
            part = cases[label].of(whole.take(places))
            answer, request = ask(mlgate_client, part)
            text = problem_of(answer, outputs, rows=len(part))
            if text is not None:
                return Problem(
                    text=f"{label}: {text}",
                    answers=(answer,),
                    requests=(request,),
                    row=places[0],
                    hang=lost(answer) and answer.problem != "connection",
                )
        return None

    rows = max(_LEAST_ROWS, _ROWS_PER_CASE * len(cases))
    searched = mlgate_search.run(answered_without, space, examples=_BATCHES * rows, rows=rows)
    held = f"{{n}} rows are answered validly in {len(cases)} cases: an optional column null or absent, and all of them"
    mlgate_record(mlgate_search.finding(searched, passed=held))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Columns that have no value, as null or not at all."""

    columns: tuple[str | int, ...]
    absent: bool

    def of(self, batch: Batch) -> Batch:
        """Return *batch* without the values."""
        for column in self.columns:
            batch = batch.without_column(column) if self.absent else batch.with_value(column, None)
        return batch


def _cases(space: InputSpace, policy: Policy, *, named: bool) -> Mapping[str, Case]:
    rules = policy.values.properties.inputs
    labels = [label for label in labels_of(space) if label is not None]
    nullable = [label for label in labels if space.domain(label).nullable]
    forbidden = {label for label in labels if str(label) in rules and rules[str(label)].nullable is False}
    absent = [label for label in space.optional if label not in forbidden]
    cases = {f"'{label}' is null": Case(columns=(label,), absent=False) for label in nullable}
    if len(nullable) > 1:
        cases["every optional column is null"] = Case(columns=tuple(nullable), absent=False)
    # A data frame without any column has no rows either.
    if len(labels) > 1 and named:
        cases |= {f"'{label}' is absent": Case(columns=(label,), absent=True) for label in absent}
    if named and 1 < len(absent) < len(labels):
        cases["every optional column is absent"] = Case(columns=tuple(absent), absent=True)
    return cases


def _never_null(space: InputSpace) -> InputSpace:
    changes = {
        domain.name: replace(domain, nullable=False)
        for domain in space.domains
        if domain.name is not None and domain.nullable
    }
    return rebuilt(space, changes)


def _groups(labels: list[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    return groups
