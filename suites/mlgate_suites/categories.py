"""Unseen categories: a text value that no known row has is answered, or refused cleanly."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest

from mlgate.artifacts.signature import ColumnSchema, DataType, Schema, Signature
from mlgate.generation.choice import ChoiceDomain
from mlgate.generation.domain import distinct
from mlgate.generation.input_space import InputSpace
from mlgate.generation.pairs import EachInTurn, free_name
from mlgate.generation.rebuilt import labels_of, replaced
from mlgate.policy import Policy
from mlgate.scoring.answers import Answer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import passed, problem_of
from mlgate_suites.problem import Problem, Unanswered, ask, lost
from mlgate_suites.search import Search

Wanted = Literal["any", "answer", "refuse"]
# A refused batch is asked again row by row, so that one refusal does not hide another row's crash.
_ROWS = 25
_LEAST_ROWS = 100
_SPELLED_ANEW = 3  # known values of a column that are tried in another spelling
_STRANGE = ("unseen", "", " ", "0", "null", "nan", "None", "Ünsëen", "不明", "🙂", "'; --", "x" * 300)
_MOST_COLUMNS = 50


@pytest.mark.mlgate_check("properties.unseen_category", suite="properties")
def test_unseen_category(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """A value that no known row has, in a column of categories, gets what `properties.unseen_category` asks for."""
    domains = _categories(mlgate_inputs, mlgate_signature.inputs)
    if not domains:
        mlgate_record(passed(f"no text column has known values{_why(mlgate_signature.inputs)}", n=0))
        return
    cases = [{str(domain.name): value} for domain in domains for value in unseen_values(domain)]
    name = free_name(mlgate_inputs, "unseen")
    declared = all(domain.declared for domain in domains)
    space = mlgate_inputs.with_extra([EachInTurn(name=name, values=tuple(cases), declared=declared, default=cases[0])])
    wanted = mlgate_policy.values.properties.unseen_category

    def answered_or_refused(batch: Batch) -> Problem | None:
        known = space.inputs_of(batch)
        answer, _ = ask(mlgate_client, known)
        if problem_of(answer, mlgate_signature.outputs, rows=len(known)) is not None:
            raise Unanswered(answer)
        changed = _with_unseen(known, batch.column(name))
        return _judged(mlgate_client, changed, batch.column(name), mlgate_signature.outputs, wanted)

    rows = max(_LEAST_ROWS, len(cases))
    searched = mlgate_search.run(answered_or_refused, space, examples=rows, rows=_ROWS)
    held = {"any": "answered, or refused with a clean 4xx", "answer": "answered", "refuse": "refused with a clean 4xx"}
    columns = "one column" if len(domains) == 1 else f"{len(domains)} columns"
    mlgate_record(
        mlgate_search.finding(searched, passed=f"{{n}} rows with an unseen value in {columns} are {held[wanted]}")
    )


def unseen_values(domain: ChoiceDomain) -> list[str]:
    """Return text that is none of the domain's values: strange ones, and known ones in another spelling."""
    known = [value for value in domain.values if isinstance(value, str)]
    respelled = [text for value in known[:_SPELLED_ANEW] for text in (value.upper(), value.title(), f"{value} ")]
    taken = set(known)
    return [text for text in distinct([*_STRANGE, *respelled]) if text not in taken]


def _categories(space: InputSpace, inputs: Schema | None) -> list[ChoiceDomain]:
    if not isinstance(inputs, ColumnSchema):
        return []
    kinds = dict(zip(labels_of(space), (column.type for column in inputs.columns), strict=True))
    texts = [domain for domain in space.domains if kinds[domain.name] is DataType.STRING]
    return [domain for domain in texts if isinstance(domain, ChoiceDomain)][:_MOST_COLUMNS]


def _why(inputs: Schema | None) -> str:
    texts = isinstance(inputs, ColumnSchema) and any(column.type is DataType.STRING for column in inputs.columns)
    return ": any text is valid, and properties.total tries it" if texts else ": there is no text column"


def _with_unseen(known: Batch, unseen: list[dict[str, str]]) -> Batch:
    columns: dict[str | int, list[Any]] = {}
    for place, case in enumerate(unseen):
        ((name, value),) = case.items()
        label = next(label for label in known.columns or () if str(label) == name)
        columns.setdefault(label, known.column(label))[place] = value
    return replaced(known, columns)


def _judged(
    client: ScoringClient, batch: Batch, unseen: list[dict[str, str]], outputs: Schema | None, wanted: Wanted
) -> Problem | None:
    answer, request = ask(client, batch)
    text = problem_of(answer, outputs, rows=len(batch))
    if text is not None and refuses(answer) and len(batch) > 1:
        return _first([_judged(client, batch.take([n]), unseen[n : n + 1], outputs, wanted) for n in range(len(batch))])
    what = (
        f"the unseen value {json.dumps(unseen[0], ensure_ascii=False)[:120]}" if len(batch) == 1 else "an unseen value"
    )
    if text is None:
        wrong = f"{what} is answered, and properties.unseen_category is refuse" if wanted == "refuse" else None
    elif refuses(answer):
        refused = f"{what} is refused ({answer.status}: {answer.error_text(120)})"
        wrong = f"{refused}, and properties.unseen_category is answer" if wanted == "answer" else None
    else:
        wrong = f"{what} is neither answered nor refused cleanly: {text}"
    if wrong is None:
        return None
    return Problem(
        text=wrong,
        answers=(answer,),
        requests=(request,),
        rows=tuple(range(len(batch))) if text is None else None,
        hang=lost(answer) and answer.problem != "connection",
    )


def _first(problems: list[Problem | None]) -> Problem | None:
    found = {place: problem for place, problem in enumerate(problems) if problem is not None}
    return None if not found else replace(next(iter(found.values())), row=min(found), rows=tuple(found))


def refuses(answer: Answer) -> bool:
    """Whether *answer* is a clean refusal: a 4xx in JSON, and no exception of the model in disguise."""
    if answer.problem or not 400 <= answer.status < 500 or answer.crashed:
        return False
    try:
        return isinstance(json.loads(answer.body), (dict, list))
    except (ValueError, RecursionError):
        return False
