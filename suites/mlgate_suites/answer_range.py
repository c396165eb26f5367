"""Answers stay in the declared range, among the declared labels, or sum to 1."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evaluation.outputs import label_text
from mlgate.generation.input_space import InputSpace
from mlgate.policy import Policy
from mlgate.policy_properties import OutputRule
from mlgate.property_check import judged_places
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.output_place import NotThere, OutputPlace
from mlgate.scoring.payloads import Batch
from mlgate.typed_json import jsonable
from mlgate_suites.problem import Problem, Unanswered, ask_rows
from mlgate_suites.search import Search

# Says what is wrong with what stands at the judged places of one row of answers, or nothing.
Judge = Callable[[Sequence[Any]], str | None]


@pytest.mark.mlgate_check("properties.output_range", suite="properties")
def test_output_range(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_search: Search,
    mlgate_record: Any,
) -> None:
    """Every answer to a valid row keeps to `properties.output`."""
    rule = mlgate_policy.values.properties.output or OutputRule()
    places = judged_places(rule, mlgate_signature.outputs)
    judge, kept = _judge(rule, mlgate_equality)

    def inside(batch: Batch) -> Problem | None:
        rows, answer, request = ask_rows(mlgate_client, batch)
        try:
            wrong = [judge(_values(row, places)) for row in rows]
        except NotThere as error:
            raise Unanswered(answer) from error
        broken = [place for place, text in enumerate(wrong) if text is not None]
        if not broken:
            return None
        text = wrong[broken[0]] or ""
        return Problem(text=text, answers=(answer,), requests=(request,), row=broken[0], rows=tuple(broken))

    searched = mlgate_search.run(inside, mlgate_inputs)
    mlgate_record(mlgate_search.finding(searched, passed=f"{{n}} answers to valid rows {kept}"))


def _values(row: object, places: Sequence[OutputPlace]) -> list[Any]:
    return [place.value(row) for place in places]


def _judge(rule: OutputRule, equality: Equality) -> tuple[Judge, str]:
    """Return what is asked of one row of answers, and what can be said where all keep to it."""
    if rule.labels is not None:
        return _among(rule.labels), f"are among the {len(rule.labels)} declared labels"
    if rule.simplex:
        return _simplex(equality.tolerance), "are numbers from 0 to 1 that sum to 1"
    low, high = -math.inf if rule.min is None else rule.min, math.inf if rule.max is None else rule.max
    ends = [f"{word} {end:g}" for word, end in (("at least", low), ("at most", high)) if math.isfinite(end)]
    return _between(low, high), f"are {' and '.join(ends)}"


def _between(low: float, high: float) -> Judge:
    def judge(values: Sequence[Any]) -> str | None:
        for leaf in _leaves(values):
            if not _is_number(leaf):
                return f"answers {_short(leaf)}, which is no number"
            if not low <= leaf <= high:
                side, end = ("below", low) if leaf < low else ("above", high)
                return f"answers {_short(leaf)}, {side} {end:g}"
        return None

    return judge


def _among(labels: Sequence[Any]) -> Judge:
    known = {label_text(label) for label in labels}

    def judge(values: Sequence[Any]) -> str | None:
        strange = next((leaf for leaf in _leaves(values) if leaf is None or label_text(leaf) not in known), ())
        return None if strange == () else f"answers {_short(strange)}, none of {_short(list(labels))}"

    return judge


def _simplex(tolerance: float) -> Judge:
    """Each innermost array of numbers is one distribution; several outputs of one number each are one together."""

    def judge(values: Sequence[Any]) -> str | None:
        parts = list(_arrays(values[0] if len(values) == 1 else list(values)))
        for part in parts:
            if not all(_is_number(leaf) and 0 <= leaf <= 1 for leaf in part):
                return f"answers {_short(part)}, not numbers from 0 to 1"
            total = math.fsum(part)
            if abs(total - 1) > tolerance:
                return f"answers {_short(part)}, which sum to {total:.10g} (tolerance {tolerance:g})"
        return None if parts else f"answers {_short(values[0])}, which is no array"

    return judge


def _arrays(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        nested = [inner for inner in value if isinstance(inner, (list, dict))]
        if not nested:
            yield value
        for inner in nested:
            yield from _arrays(inner)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    return json.dumps(jsonable(value), ensure_ascii=False)[:200]
