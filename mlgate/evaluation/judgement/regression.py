"""Judging a measured difference by its margin: has the challenger lost more than that? Pure."""

from dataclasses import dataclass
from typing import Any

from mlgate.evaluation.judgement.measure import Measured, bounds, numbers
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.quantities import format_number
from mlgate.statistics.interval import Interval, Undefined
from mlgate.statistics.power import Power, power_of

_SAME = "the models answer alike on every row: is this the same model?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of a difference.

    Attributes:
        margin: Loss allowed, in the metric's own unit.
        where: The slice, `region=EU`; empty for all rows.
        seed: Of the resampling.
        failing_confidence: At which failing is judged, corrected for the number of comparisons (Holm).
        corrected: The difference at that confidence, where the margin is lost at the uncorrected one.
        lost: Whether the margin is lost at it.
        typical: The difference on all rows, which says what a slice that is too small would need.
    """

    margin: float
    where: str = ""
    seed: int
    failing_confidence: float
    corrected: Interval | None = None
    lost: bool = False
    typical: Interval | Undefined | None = None


def judge(measured: Measured, asked: Asked) -> Finding:
    """Judge: passed above the margin, failed below it, else inconclusive with the rows that would decide."""
    subject = f"{measured.name} on {asked.where}" if asked.where else measured.name
    difference = measured.difference
    if isinstance(difference, Undefined):
        return _undefined(subject, measured, difference, asked)
    passed = difference.lower > -asked.margin
    failed = not passed and asked.lost
    # Not failed only because of the correction: then the corrected bounds are the ones to be narrowed.
    undecided = difference if passed or failed or asked.corrected is None else asked.corrected
    power = power_of(difference, asked.margin, alike=measured.alike)
    to_decide = power_of(undecided, asked.margin, alike=measured.alike).rows_to_decide
    reason = (
        f"{subject}: challenger - champion {difference.estimate:+.4f}, {bounds(difference)}; "
        f"must be > {-asked.margin:g} (n = {format_number(difference.n)} paired rows)"
    )
    return Finding(
        outcome=Outcome.PASSED if passed else Outcome.FAILED if failed else Outcome.INCONCLUSIVE,
        cause=None if passed else Cause.MODEL,
        reason=f"{reason}; {_SAME}" if measured.alike else reason,
        measured=difference.estimate,
        limit=-asked.margin,
        n=difference.n,
        interval=(difference.lower, difference.upper),
        confidence=difference.confidence,
        advice="" if passed else _LOST if failed else _more_rows(difference, asked.margin, to_decide),
        details={**_details(measured, difference, asked), **_power_facts(power), "rows_needed": to_decide},
    )


_LOST = "the challenger is worse by more than the margin on the same rows: do not promote; retrain"


def _more_rows(difference: Interval, margin: float, needed: int | None) -> str:
    if needed is None:
        return "more rows would decide"
    more = format_number(max(0, needed - difference.n))
    leaning = " (as it looks now, against the challenger)" if difference.estimate < -margin else ""
    return f"about {format_number(needed)} rows would decide, {more} more than there are{leaning}"


def _details(measured: Measured, difference: Interval, asked: Asked) -> dict[str, Any]:
    details: dict[str, Any] = {
        **measured.facts(),
        "method": difference.method,
        "margin": asked.margin,
        "difference": numbers(difference),
        "counts": dict(difference.details),
        "seed": asked.seed,
        "identical": measured.alike,
        "adjusted_confidence": asked.failing_confidence,
    }
    if asked.corrected is not None:
        details["adjusted"] = numbers(asked.corrected)
    return details


def _power_facts(power: Power) -> dict[str, Any]:
    return {
        "minimum_detectable_loss": power.minimum_detectable_loss,
        "rows_needed_for_margin": power.rows_for_margin,
    }


def _undefined(subject: str, measured: Measured, undefined: Undefined, asked: Asked) -> Finding:
    needed = None
    if isinstance(asked.typical, Interval):
        # As many rows of this slice as all rows would need, were it like the whole.
        needed = power_of(asked.typical, asked.margin, alike=False).rows_for_margin
    advice = "more evaluation rows, of the rarer class above all, or another metric"
    if asked.where and needed is not None:
        advice = f"about {format_number(needed)} rows of {asked.where} would decide if it is like the whole"
    return Finding(
        outcome=Outcome.INCONCLUSIVE,
        cause=Cause.HARNESS,
        reason=f"{subject}: {undefined.reason}",
        limit=-asked.margin,
        n=undefined.n,
        advice=advice,
        details={**measured.facts(), "margin": asked.margin, "seed": asked.seed, "rows_needed": needed},
    )
