"""The claim of a relation that a user wrote with `mlgate.relation`."""

from collections.abc import Callable, Mapping, Sequence
from dis import get_instructions
from typing import Any

from mlgate.frames import answers_of, batch_of, frame_of
from mlgate.generation.input_space import InputSpace
from mlgate.relations import Answered, Relation
from mlgate.scoring.answers import Answer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import as_text
from mlgate_suites.problem import Claim, Problem, Request, Unpaired, ask_rows


class RelationError(Exception):
    """The user's own code raised, or returned what says nothing; the text names file, line and reason."""


def claim_of(declared: Relation, client: ScoringClient, space: InputSpace, fixtures: Mapping[str, Any]) -> Claim:
    """Return what a user's relation claims of a batch.

    Args:
        declared: The relation.
        client: Of the served version.
        space: The valid inputs.
        fixtures: What the function asked for, by name.
    """

    def holds(batch: Batch) -> Problem | None:
        pairs = [batch] if declared.change is None else [batch, _changed(declared, batch, space)]
        asked = [ask_rows(client, rows) for rows in pairs]
        given = [
            Answered(inputs=frame_of(rows, space), answers=answers_of(list(answers)))
            for rows, (answers, _, _) in zip(pairs, asked, strict=True)
        ]
        names = ("answered",) if declared.change is None else ("before", "after")
        broken, said = _judged(declared, dict(zip(names, given, strict=True)) | dict(fixtures), rows=len(batch))
        return None if broken is None else _problem(asked, broken, said)

    return holds


def _changed(declared: Relation, batch: Batch, space: InputSpace) -> Batch:
    """Return the second request's rows.

    Raises:
        Unpaired: Some of them are no valid input.
        RelationError: `change` raised, or gave no such rows.
    """
    try:
        changed = batch_of(declared.changed(frame_of(batch, space)), batch, space)
    except Exception as error:
        raise RelationError(f"{declared.place}: change: {type(error).__name__}: {error}") from error
    if not space.holds(changed):
        raise Unpaired(tuple(row for row in range(len(changed)) if space.holds(changed.take([row]))))
    return changed


def _judged(declared: Relation, given: Mapping[str, Any], *, rows: int) -> tuple[tuple[int, ...] | None, str]:
    """Return the places of the rows that the relation does not hold of, all where it can not tell; and what it said.

    Raises:
        RelationError: It raised anything but an AssertionError, or returned no booleans.
    """
    try:
        verdict = declared.function(**given)
    except AssertionError as error:
        return (), str(error).splitlines()[0][:200] if str(error) else "the assertion does not hold"
    except Exception as error:
        raise RelationError(f"{declared.place}: {type(error).__name__}: {error}") from error
    found = verdict.tolist() if hasattr(verdict, "tolist") else verdict
    if found is None and _asserts(declared.function):
        return None, ""
    if isinstance(found, bool):
        return (None if found else ()), "the relation does not hold"
    if not isinstance(found, (list, tuple)) or len(found) != rows or not all(isinstance(one, bool) for one in found):
        what = "nothing, and asserts nothing" if found is None else f"{type(found).__name__}"
        what = f"{len(found)} values for {rows} rows" if isinstance(found, (list, tuple)) else what
        raise RelationError(f"{declared.place}: returned {what}; return one boolean a row, or one for all")
    broken = tuple(row for row, holds in enumerate(found) if not holds)
    return broken or None, "the relation does not hold"


def _asserts(function: Callable[..., Any]) -> bool:
    """Whether a function has an assert of its own; else, one that returns nothing has said nothing."""
    # pytest rewrites an assert to a call of its own module, and Python has had two instructions for it.
    marks = ("AssertionError", "ASSERTION_ERROR", "@pytest_ar")
    return any(mark in f"{step.opname} {step.argval}" for step in get_instructions(function) for mark in marks)


Asked = tuple[Sequence[Any], Answer, Request]


def _problem(asked: Sequence[Asked], broken: tuple[int, ...], said: str) -> Problem:
    place = broken[0] if broken else 0
    shown = ", then ".join(as_text(rows[place]) for rows, _, _ in asked)
    return Problem(
        text=f"{said}: answered {shown}",
        answers=tuple(answer for _, answer, _ in asked),
        requests=tuple(request for _, _, request in asked),
        row=broken[0] if broken else None,
        rows=broken or None,
    )
