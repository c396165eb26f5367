"""What a search came to, and the finding that says so."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgate.evidence import Finding, Outcome
from mlgate.quantities import format_number
from mlgate.scoring.payloads import Batch
from mlgate.typed_json import jsonable
from mlgate_suites.findings import errored, failed, inconclusive, passed
from mlgate_suites.problem import Problem
from mlgate_suites.rates import CONFIDENCE, Rate

ADVICE = "the row below is valid by signature and policy: answer it, or narrow properties.inputs"
# A row of a tensor model has no end that a reader would reach.
_MOST_SHOWN = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A broken claim.

    Attributes:
        case: The smallest batch found that breaks it: one row but where rows break it together.
        problem: Of that batch.
        changed: Inputs whose value is not the default.
        probes: Requests that narrowing took.
        file: Where it was saved, relative to the run's folder; empty where it was not.
        known: It came from a file of `properties.regressions`: the file's name.
        shown: The rows for a reader: without the values of evaluation data where these may not be stored.
        details: What became of the server and which limits it met.
        steady: Whether the smallest batch broke it each time that it was tried.
    """

    case: Batch
    problem: Problem
    changed: tuple[str | int, ...]
    probes: int
    file: str = ""
    known: str = ""
    shown: tuple[Any, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    steady: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search came to.

    Attributes:
        found: The broken claim, or `None`.
        rows: Rows (or pairs) tried.
        broken: Rows of them that broke the claim, where `properties.tolerate` lets some.
        coverage: What was tried, column by column, for the finding's details.
        empty: Columns, or values of them, that nothing was tried of though they had to be: the search says nothing.
        unanswered: Rows drawn that could not be compared, since they are not answered.
        unpaired: Rows drawn that have no partner which is a valid input.
        stopped: The server was lost too often on rows that this claim is not about.
        replayed: Known failures that were tried again.
        rate: Where `properties.tolerate` lets some rows break the claim, what was counted.
        problem: Why a known failure could not be tried; empty where all could.
    """

    found: Found | None
    rows: int
    broken: int = 0
    coverage: dict[str, Any]
    empty: tuple[str, ...] = ()
    unanswered: int = 0
    unpaired: int = 0
    stopped: bool = False
    replayed: int = 0
    rate: Rate | None = None
    problem: str = ""

    @property
    def details(self) -> dict[str, Any]:
        """What was tried, for the finding."""
        counts = {"unanswered": self.unanswered, "unpaired": self.unpaired, "replayed": self.replayed}
        return {
            "rows": self.rows,
            "coverage": self.coverage,
            **{key: value for key, value in counts.items() if value},
        }


def finding_of(searched: Searched, *, passed_text: str, seed: int) -> Finding:
    """Return what a search says of its check.

    Args:
        searched: What it came to.
        passed_text: The reason where the claim holds; `{n}` stands for the rows tried.
        seed: Of the run.
    """
    n, details = searched.rows, {"seed": seed, **searched.details}
    if searched.problem:
        return errored(searched.problem, n=n, details=details)
    found = searched.found
    if found is not None:
        details |= _found_details(found)
        if found.known or searched.rate is None:
            return failed(_found_text(found), n=n or len(found.case), advice=ADVICE, details=details)
    if n == 0 and searched.replayed:
        return passed(f"{_times(searched.replayed)} no longer breaks it", n=searched.replayed, details=details)
    if searched.stopped:
        why = "the server hangs or dies on valid rows, which is properties.total's to report"
        return inconclusive(f"stopped after {format_number(n)} rows: {why}", n=n, details=details)
    if n == 0:
        return inconclusive(f"no generated row {_nothing(searched)}", n=0, details=details)
    if searched.rate is not None:
        return _rated(searched.rate, found, passed_text, details)
    if searched.empty:
        return inconclusive(f"nothing was tried of {', '.join(searched.empty[:5])}", n=n, details=details)
    return passed(passed_text.replace("{n}", format_number(n)), n=n, details=details)


def _nothing(searched: Searched) -> str:
    if searched.unpaired:
        return "has a partner that is a valid input: there is no pair"
    return "is answered: there is nothing to compare" if searched.unanswered else "was drawn"


def _times(count: int) -> str:
    return "the saved failure" if count == 1 else f"each of {count} saved failures"


def _rated(rate: Rate, found: Found | None, passed_text: str, details: dict[str, Any]) -> Finding:
    facts: dict[str, Any] = {
        "n": rate.rows,
        "measured": rate.broken / rate.rows,
        "limit": rate.tolerate,
        "unit": "share",
        "interval": rate.interval,
        "confidence": CONFIDENCE,
        "details": details | {"broken": rate.broken, "design_effect": round(rate.effect, 3)},
    }
    needed = rate.rows_needed
    example = "" if found is None else f"; {_found_text(found)}"
    match rate.outcome:
        case Outcome.PASSED:
            text = passed_text.replace("{n}", format_number(rate.rows))
            return passed(f"{text}; {rate.words}" if rate.broken else text, **facts)
        case Outcome.FAILED:
            return failed(f"{rate.words}{example}", advice=ADVICE, **facts)
        case _:
            more = (
                f"{format_number(needed)} rows would decide at this share" if needed else "no number of rows would pass"
            )
            hint = f"properties.examples: {needed}" if needed else ADVICE
            return inconclusive(f"{rate.words}; {more}{example}", advice=hint, **facts)


def _found_text(found: Found) -> str:
    rows = "a valid row" if len(found.case) == 1 else f"{len(found.case)} valid rows together"
    steady = "" if found.steady else " (not every time)"
    known = f"{found.known}: still failing: " if found.known else ""
    outside = " (properties.inputs no longer allows it: remove the file)" if found.details.get("outside") else ""
    return f"{known}{rows}: {found.problem.text}{steady}{outside}"


def _found_details(found: Found) -> dict[str, Any]:
    shown = found.shown[0] if len(found.shown) == 1 else list(found.shown)
    text = json.dumps(jsonable(shown), ensure_ascii=False)
    details: dict[str, Any] = {
        "example": text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…",
        "changed": [str(name) for name in found.changed],
        "probes": found.probes,
        "file": found.file or found.known,
    }
    return details | dict(found.details)
