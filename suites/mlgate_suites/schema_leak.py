"""Schema, advisory: what the bodies of errors tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlgate.evidence import Cause, Finding
from mlgate.scoring.answers import Answer
from mlgate.scoring.bad_requests import PLANTED, BadRequest
from mlgate.scoring.leaks import leaks
from mlgate.scoring.payloads import Batch
from mlgate.scoring.wrong_values import WORD
from mlgate_suites.findings import failed, passed
from mlgate_suites.schema_trial import shown


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A wrong request and what it got; *valid* is the row that it was made of."""

    case: str
    request: BadRequest
    answer: Answer
    valid: Batch


def judge_leaks(sent: Sequence[Sent]) -> Finding:
    """Say which error bodies hold a traceback, a path or the sent values."""
    errors = [item for item in sent if item.answer.status >= 400 and item.answer.body]
    found: dict[str, list[str]] = {}
    first: Answer | None = None
    for item in errors:
        kinds = leaks(item.answer.body, planted=(PLANTED, WORD), valid=item.valid)
        first = first or (item.answer if kinds else None)
        for kind in kinds:
            found.setdefault(kind, []).append(item.case)
    if first is None:
        return passed(
            f"{len(errors)} error bodies hold no traceback, no path and none of the sent values", n=len(errors)
        )
    told = {kind: list(dict.fromkeys(cases)) for kind, cases in sorted(found.items())}
    what = "; ".join(f"{kind} ({', '.join(cases)})" for kind, cases in told.items())
    return failed(
        f"error bodies tell more than a caller needs: {what}",
        cause=Cause.SERVER,
        n=len(errors),
        advice="let what stands before the server replace the body of errors",
        details={"leaks": told, "body": shown(first)},
    )
