"""`mlgate.relation`: a user's own property of the answers, as a check with generated rows, shrinking and recording.

This module declares; `mlgate_suites.user_relations` asks the model. It imports no pytest and no pandas: a test file that is
collected without `--mlgate` pays for neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Frame = pd.DataFrame
    Answers = pd.DataFrame | pd.Series[Any]

# Fixtures that a relation runs with, whether its author asks for them or not.
NEEDED = ("mlgate_search", "mlgate_inputs", "mlgate_record")
PAIR = ("before", "after")
SINGLE = ("answered",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Rows with their answers.

    Attributes:
        inputs: The rows, one column an input; of tensors, a nested list a row. Dates are ISO texts, as they are sent.
        answers: One row each, in the same order: a series where the model gives one value a row, else a data frame
            with a column for each output (0, 1, … where they have no names).
    """

    inputs: "Frame"
    answers: "Answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What `relation` declares.

    Attributes:
        check: The check's id.
        suite: Its suite.
        function: Takes `before` and `after` (or `answered`) and fixtures; says for which rows it holds.
        change: Makes the second request's rows of the first's; `None` for a property of single rows.
    """

    check: str
    suite: str
    function: Callable[..., Any]
    change: "Callable[[Frame], Frame] | None" = None

    @property
    def own_fixtures(self) -> tuple[str, ...]:
        """Names of the fixtures that the function asks for."""
        given = SINGLE if self.change is None else PAIR
        return tuple(name for name in signature(self.function).parameters if name not in given)

    def changed(self, rows: "Frame") -> "Frame":
        """Return the second request's rows.

        Raises:
            TypeError: There is no `change`, or it returned no data frame.
            Exception: Whatever else `change` raises.
        """
        found = None if self.change is None else self.change(rows)
        if found is None or not hasattr(found, "columns"):
            raise TypeError(f"returned {type(found).__name__}, and no data frame")
        return found

    @property
    def place(self) -> str:
        """File and line of the function."""
        code = self.function.__code__
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def relation(
    check: str, *, suite: str, change: "Callable[[Frame], Frame] | None" = None
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Make a check of a function that says whether the answers to generated valid rows are related as they should be.

    The function returns one boolean a row, or one for all; an `assert` that fails in it means all rows. What breaks it
    is narrowed to few rows, made simple and saved, as for the checks of mlgate's own.

    Args:
        check: The check's id, such as `acceptance.taller_is_heavier`.
        suite: The suite that it belongs to.
        change: Takes a data frame of valid rows and returns as many, changed. Then the function gets `before` and
            `after`, each an `Answered`; pairs whose changed row is no valid input are left out. Without it, the function
            gets `answered`.

    Raises:
        TypeError: The function does not take `before` and `after`, or `answered`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        declared = Relation(check=check, suite=suite, function=function, change=change)
        _check_parameters(declared)

        @wraps(function)
        def test(**fixtures: Any) -> None:
            search, inputs, record = (fixtures[name] for name in NEEDED)
            record(search.relation(declared, inputs, {name: fixtures[name] for name in declared.own_fixtures}))

        names = dict.fromkeys((*NEEDED, *declared.own_fixtures))
        parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in names]
        test.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # pytest reads the fixtures from it
        test.mlgate_relation = declared  # type: ignore[attr-defined]  # the plugin looks for it
        return test

    return decorate


def _check_parameters(declared: Relation) -> None:
    wanted = SINGLE if declared.change is None else PAIR
    missing = [name for name in wanted if name not in signature(declared.function).parameters]
    if missing:
        kind = "a relation without change" if declared.change is None else "a relation with change"
        raise TypeError(f"{declared.place}: {kind} takes {' and '.join(wanted)}, {missing[0]} is missing")
