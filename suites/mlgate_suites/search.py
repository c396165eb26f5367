"""The search for a row that breaks a claim: generated, narrowed to one row, made minimal, saved. One a check.

A claim takes a batch and says what is wrong with the answers to it, or `None`. A relation between two requests is a claim
as well: what the second request needs beyond the first (another value of a column) is drawn as columns of its own beside
the inputs (`InputSpace.with_extra`), so that narrowing and simplifying treat pairs as they treat rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with the answers to a batch.

    Attributes:
        text: In words, without the batch.
        answers: The answers that it was seen in, in the order of the requests.
        requests: Body and content type of each.
        row: Place of a row that the answers give away; `None` where they do not.
        rows: Places of all rows that the claim does not hold of, where the claim can tell each; for rates.
        hang: No answer came in time: each further probe costs a whole timeout.
    """

    text: str
    answers: tuple[Answer, ...] = ()
    requests: tuple[tuple[bytes, str | None], ...] = ()
    row: int | None = None
    rows: tuple[int, ...] | None = None
    hang: bool = False


Claim = Callable[[Batch], Problem | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A broken claim.

    Attributes:
        case: The smallest batch found that breaks it: one row but where rows break it together.
        problem: Of that batch.
        changed: Columns whose value is not the default.
        probes: Requests that narrowing took.
        file: Where it was saved, relative to the run's folder; empty where it was not.
        known: It came from a file of `properties.regressions`: the file's name.
    """

    case: Batch
    problem: Problem
    changed: tuple[str, ...]
    probes: int
    file: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search came to.

    Attributes:
        found: The broken claim, or `None`.
        rows: Rows (or pairs) tried.
        broken: Rows of them that broke the claim, where `properties.tolerate` lets some.
        coverage: What was tried, column by column, for the finding's details.
        replayed: Known failures that were tried again.
    """

    found: Found | None
    rows: int
    broken: int = 0
    coverage: dict[str, Any]
    replayed: int = 0
