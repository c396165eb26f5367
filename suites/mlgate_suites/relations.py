"""Relations: what the policy declares between the answers to two rows holds on every generated pair."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evidence import Finding, Outcome
from mlgate.generation.input_space import InputSpace
from mlgate.generation.pairs import Pairs, changed_pairs, scaled_pairs, swapped_pairs
from mlgate.policy import Policy
from mlgate.policy_properties import pair_label
from mlgate.property_check import ordered_number
from mlgate.quantities import format_number
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.output_place import NotThere
from mlgate.scoring.payloads import Batch
from mlgate.typed_json import jsonable
from mlgate_suites.findings import inconclusive
from mlgate_suites.problem import Problem, Unanswered, ask_rows
from mlgate_suites.search import Search
from mlgate_suites.searched import Searched

_LONGEST = 200
_ADVICE = "both rows are valid, and the policy declares the relation: mend the model, or narrow properties.inputs"


@pytest.mark.mlgate_check("properties.invariant", suite="properties")
def test_invariant(
    column: str,
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """No answer depends on the column: another value of it gives an equal answer."""
    pairs = changed_pairs(mlgate_inputs, _label(mlgate_inputs, column))
    claim = PairClaim(client=mlgate_client, pairs=pairs, broken=_unequal(mlgate_equality, f"another '{column}'"))
    searched = mlgate_search.run(claim, pairs.space)
    mlgate_record(_finding(mlgate_search, searched, claim, f"differ in '{column}' alone and are answered alike"))


@pytest.mark.mlgate_check("properties.symmetric", suite="properties")
def test_symmetric(
    columns: str,
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """Two columns may be swapped: the answer stays."""
    one, other = {pair_label(pair): pair for pair in mlgate_policy.values.properties.symmetric}[columns]
    pairs = swapped_pairs(mlgate_inputs, _label(mlgate_inputs, one), _label(mlgate_inputs, other))
    what = f"'{one}' and '{other}' swapped"
    claim = PairClaim(client=mlgate_client, pairs=pairs, broken=_unequal(mlgate_equality, what))
    searched = mlgate_search.run(claim, pairs.space)
    mlgate_record(_finding(mlgate_search, searched, claim, f"with {what} are answered alike"))


@pytest.mark.mlgate_check("properties.scale", suite="properties")
def test_scale(
    change: str,
    mlgate_client: ScoringClient,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """The same thing in other units gets an equal answer."""
    unit = next(unit for unit in mlgate_policy.values.properties.scale if unit.label == change)
    pairs = scaled_pairs(mlgate_inputs, unit)
    what = f"the same in other units ({change})"
    claim = PairClaim(client=mlgate_client, pairs=pairs, broken=_unequal(mlgate_equality, what))
    searched = mlgate_search.run(claim, pairs.space)
    mlgate_record(
        _finding(mlgate_search, searched, claim, f"are the same in other units ({change}), and answered alike")
    )


@pytest.mark.mlgate_check("properties.monotonic", suite="properties")
def test_monotonic(
    column: str,
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """Of two rows that differ in the column alone, the one with more never gets less (or never gets more)."""
    values = mlgate_policy.values
    number = ordered_number(values.properties, values.accuracy, mlgate_signature.outputs)
    rising = values.properties.monotonic[column] == "increasing"
    label = _label(mlgate_inputs, column)
    pairs = changed_pairs(mlgate_inputs, label, nulls=False)

    def turns(before: Side, after: Side) -> str | None:
        lower, higher = sorted((before, after), key=lambda side: _value(side, label))
        answers = [number.read(side.answer) for side in (lower, higher)]
        gain = answers[1] - answers[0]
        if (gain >= 0 if rising else gain <= 0) or mlgate_equality.same(*answers):
            return None
        moved = f"'{column}' from {_short(_value(lower, label))} to {_short(_value(higher, label))}"
        turned = "lowers" if rising else "raises"
        return f"{moved} {turned} output {number.name} from {answers[0]:.10g} to {answers[1]:.10g}"

    claim = PairClaim(client=mlgate_client, pairs=pairs, broken=turns)
    searched = mlgate_search.run(claim, pairs.space)
    never = "with more of it never gets less" if rising else "with more of it never gets more"
    mlgate_record(_finding(mlgate_search, searched, claim, f"differ in '{column}' alone, and the one {never}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One row of a pair, with its answer."""

    columns: tuple[str | int, ...]
    row: Any
    answer: Any


# Says how two sides break the relation, or nothing; raises `NotThere` where an answer lacks what is compared.
Broken = Callable[[Side, Side], str | None]


@dataclass(slots=True, kw_only=True)
class PairClaim:
    """The claim that a relation holds between the answers to the two rows of each pair.

    Attributes:
        client: Of the served version.
        pairs: What is asked.
        broken: Compares.
        compared: Pairs that were compared: those whose rows differ.
    """

    client: ScoringClient
    pairs: Pairs
    broken: Broken
    compared: int = field(default=0)

    def __call__(self, batch: Batch) -> Problem | None:
        """Ask for both rows of each pair; return what is wrong with the first, and which others break as well."""
        first, second = self.pairs.first(batch), self.pairs.second(batch)
        places = [place for place in range(len(batch)) if first.rows[place] != second.rows[place]]
        if not places:
            return None
        sides = []
        answers, requests = [], []
        for part in (first, second):
            rows, answer, request = ask_rows(self.client, part)
            sides.append([Side(columns=part.columns or (), row=part.rows[n], answer=rows[n]) for n in range(len(part))])
            answers.append(answer)
            requests.append(request)
        try:
            wrong = {place: self.broken(sides[0][place], sides[1][place]) for place in places}
        except NotThere as error:
            raise Unanswered(answers[-1]) from error
        self.compared += len(places)
        found = [place for place in places if wrong[place] is not None]
        if not found:
            return None
        return Problem(
            text=wrong[found[0]] or "",
            answers=tuple(answers),
            requests=tuple(requests),
            row=found[0],
            rows=tuple(found),
        )


def _unequal(equality: Equality, what: str) -> Broken:
    def broken(before: Side, after: Side) -> str | None:
        if equality.same(before.answer, after.answer):
            return None
        change = f"{_short(before.answer)}, then {_short(after.answer)}"
        return f"{what} changes the answer: {change} (tolerance {equality.tolerance:g})"

    return broken


def _finding(search: Search, searched: Searched, claim: PairClaim, held: str) -> Finding:
    finding = search.finding(searched, passed=f"{{n}} pairs of rows {held}")
    if searched.rows == 0:
        return finding
    # Narrowing compares as well, so that more pairs than rows may have been.
    count = min(claim.compared, searched.rows)
    details = {**finding.details, "pairs": count}
    if count == 0 and finding.outcome is Outcome.PASSED:
        reason = f"no pair of generated rows differs, of {format_number(searched.rows)}: there is nothing to compare"
        return inconclusive(reason, n=0, details=details)
    advice = _ADVICE if finding.outcome is Outcome.FAILED else finding.advice
    return replace(finding, advice=advice, details=details)


def _label(space: InputSpace, name: str) -> str | int:
    return next(domain.name for domain in space.domains if domain.name is not None and str(domain.name) == name)


def _value(side: Side, label: str | int) -> Any:
    return side.row[label] if isinstance(side.row, dict) else side.row[side.columns.index(label)]


def _short(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False)[:_LONGEST]
