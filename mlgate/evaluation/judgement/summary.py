"""One declared slice as a whole: what was judged of it, and how. Pure."""

from collections.abc import Sequence

from mlgate.evaluation.slices import Partition
from mlgate.evidence import Cause, CheckResult, Finding, Outcome, worst
from mlgate.quantities import format_number
from mlgate.statistics.interval import Undefined


def summarise_slices(name: str, slices: Partition | Undefined, checks: Sequence[CheckResult]) -> Finding:
    """Say which values were judged, with rows and outcome each; the outcome is the worst of theirs.

    Args:
        name: Of the declared slice.
        slices: Its values, or why there are none.
        checks: One a value and metric.
    """
    if isinstance(slices, Undefined) or not checks:
        nothing = slices.reason if isinstance(slices, Undefined) else f"{name} has no value in the data"
        return Finding(
            outcome=Outcome.INCONCLUSIVE,
            cause=Cause.HARNESS,
            reason=f"nothing was judged: {nothing}",
            advice="correct accuracy.slices, or the evaluation data",
            details={"slice": name, "values": []},
        )
    outcome = worst([check.outcome for check in checks])
    short = [check for check in checks if check.outcome is outcome]
    table = [
        {
            "name": value.name,
            "rows": int(rows),
            "outcomes": {
                check.params["metric"]: str(check.outcome)
                for check in checks
                if check.params == {**value.params, "metric": check.params["metric"]}
            },
        }
        for value, rows in zip(slices.values, slices.counts, strict=True)
    ]
    judged = f"{len(slices.values)} {'value' if len(slices.values) == 1 else 'values'} of {name} judged"
    if outcome is Outcome.PASSED:
        reason, advice = f"{judged}: all passed", ""
    else:
        where = ", ".join(_where(check) for check in short)
        reason, advice = f"{judged}: {outcome} on {where}", _advice(outcome, short)
    return Finding(
        outcome=outcome,
        cause=None if outcome is Outcome.PASSED else short[0].finding.cause,
        reason=f"{reason} (n = {format_number(int(slices.counts.sum()))})",
        n=int(slices.counts.sum()),
        advice=advice,
        details={"slice": name, "values": table},
    )


def _where(check: CheckResult) -> str:
    value = ", ".join(
        text if key == "slice" else f"{key}={text}" for key, text in check.params.items() if key != "metric"
    )
    return f"{value} ({check.params['metric']})"


def _advice(outcome: Outcome, short: Sequence[CheckResult]) -> str:
    if outcome is not Outcome.FAILED:
        return short[0].finding.advice
    places = dict.fromkeys(_where(check).rpartition(" (")[0] for check in short)
    return f"the challenger loses on {', '.join(places)} only" if len(places) <= 3 else "the challenger loses widely"
