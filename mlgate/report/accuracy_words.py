"""What the accuracy suite comes to, in words: what is lost and where, and how many rows are missing. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from mlgate.evidence import Cause, CheckResult, Evidence, Outcome
from mlgate.quantities import format_number
from mlgate.report.measurements import Comparison, comparisons_of, gap_of, params_text, rows_missing
from mlgate.report.text import one_line

SUITE = "accuracy"
# More names than this in one sentence are a list that nobody reads.
MAX_NAMES = 3


def conclusions(evidence: Evidence) -> list[str]:
    """Return what to know and to do about accuracy, a sentence each, what stands in the way first.

    Empty where the suite did not run, or set nothing beside a limit.
    """
    suite = evidence.suites.get(SUITE)
    checks = suite.checks if suite else ()
    items = comparisons_of(checks)
    against = [*_unscored(checks), *_lost(items), *_floors(checks), *_gaps(checks), *_missing(checks, items)]
    against += _slices(checks)
    told = [*(against or _fine(items)), *_same(items), *_warnings(checks)]
    return [one_line(sentence, 400) for sentence in told]


def _unscored(checks: Sequence[CheckResult]) -> Iterator[str]:
    """A comparison that no champion stood up to: its cause is the environment's, as no rows can mend it."""
    broken = [
        check
        for check in checks
        if check.id in {"accuracy.regression", "accuracy.slice"}
        and check.outcome is Outcome.INCONCLUSIVE
        and check.finding.cause is Cause.ENVIRONMENT
    ]
    if broken:
        yield f"Nothing was compared: {broken[0].finding.reason}."


def _lost(items: Sequence[Comparison]) -> Iterator[str]:
    whole = [item for item in items if not item.slice]
    lost = [item for item in items if item.check.outcome is Outcome.FAILED]
    overall, slices = [item for item in lost if not item.slice], [item for item in lost if item.slice]
    if overall:
        yield f"Loses over all rows, by more than the margin: {_names(item.metric for item in overall)}."
    if not slices:
        return
    where = _names(dict.fromkeys(item.slice for item in slices))
    metrics = _names(dict.fromkeys(item.metric for item in slices))
    rest = [item for item in items if item not in lost]
    everything_else = bool(rest) and all(item.check.outcome is Outcome.PASSED for item in rest)
    if overall or not whole:
        yield f"Loses on {where} ({metrics})."
    elif everything_else:
        others = len(dict.fromkeys(item.slice for item in rest if item.slice))
        yield f"Loses on {where} only ({metrics}): all rows together pass" + (
            f", and so do {format_number(others)} other slices." if others > 1 else "."
        )
    else:
        open_ = len([item for item in rest if item.check.outcome is not Outcome.PASSED])
        yield f"Loses on {where} ({metrics}); {format_number(open_)} further comparison{_s(open_)} did not pass."


def _floors(checks: Sequence[CheckResult]) -> Iterator[str]:
    failed = [check for check in checks if check.id == "accuracy.floor" and check.outcome is Outcome.FAILED]
    for check in failed[:MAX_NAMES]:
        measured, limit = check.finding.measured, check.finding.limit
        if measured is not None and limit is not None:
            metric = check.params.get("metric", check.id)
            yield f"Not good enough on its own: {metric} is {format_number(measured)}, the limit {format_number(limit)}."


def _gaps(checks: Sequence[CheckResult]) -> Iterator[str]:
    failed = [check for check in checks if check.id == "accuracy.gap" and check.outcome is Outcome.FAILED]
    for check in failed[:MAX_NAMES]:
        gap, finding = gap_of(check), check.finding
        if gap.worst and gap.best and finding.measured is not None:
            by = f" by {format_number(abs(finding.measured))}"
            limit = "" if finding.limit is None else f"; the limit is {format_number(finding.limit)}"
            yield f"Unequal: {gap.metric} of {gap.worst} is worse than that of {gap.best}{by}{limit}."


def _missing(checks: Sequence[CheckResult], items: Sequence[Comparison]) -> Iterator[str]:
    """How many more rows each open question needs: the most of those over all rows, and the neediest slices."""
    whole = {
        check.params.get("metric", check.id): missing
        for check in checks
        if check.id in {"accuracy.floor", "accuracy.regression"}
        and check.outcome is Outcome.INCONCLUSIVE
        and (missing := rows_missing(check))
    }
    if whole:
        yield f"Needs {_more(max(whole.values()))} more rows to decide {_names(whole)}."
    slices: dict[str, int] = {}
    for item in items:
        if item.slice and item.check.outcome is Outcome.INCONCLUSIVE and item.rows_missing:
            slices[item.slice] = max(item.rows_missing, slices.get(item.slice, 0))
    neediest = sorted(slices.items(), key=lambda pair: -pair[1])
    if neediest:
        told = [f"{_more(missing)} more rows where {one_line(name, 80)}" for name, missing in neediest[:MAX_NAMES]]
        left = len(neediest) - len(told)
        yield f"Needs {_listed(told)}" + (
            f", and more on {format_number(left)} further slice{_s(left)}." if left else "."
        )


def _slices(checks: Sequence[CheckResult]) -> Iterator[str]:
    """Declared slices of which nothing is in the data; those with values speak through them."""
    lost = [
        check
        for check in checks
        if check.id == "accuracy.slices"
        and check.outcome is not Outcome.PASSED
        and not check.finding.details.get("values")
    ]
    for check in lost[:MAX_NAMES]:
        yield f"Slice {one_line(params_text(check.params), 80)}: {check.finding.reason}."


def _same(items: Sequence[Comparison]) -> Iterator[str]:
    if any(item.check.finding.details.get("identical") is True for item in items if not item.slice):
        yield "Both models answer every row alike: is this the same model?"


def _warnings(checks: Sequence[CheckResult]) -> Iterator[str]:
    """What a finding warns of that changes no outcome, such as data that too many challengers were judged on."""
    found = dict.fromkeys(check.finding.details.get("warning") for check in checks if _is_text(check))
    yield from (f"Warning: {text}." for text in list(found)[:MAX_NAMES])


def _is_text(check: CheckResult) -> bool:
    warning = check.finding.details.get("warning")
    return isinstance(warning, str) and bool(warning.strip())


def _fine(items: Sequence[Comparison]) -> Iterator[str]:
    """Say what a pass means, and how small a loss it could have seen."""
    if not items or any(item.check.outcome is not Outcome.PASSED for item in items):
        return
    slices = len({item.slice for item in items if item.slice})
    where = f", over all rows and on each of {format_number(slices)} slices" if slices else ""
    yield f"Has not lost more than the margin against the champion{where}."
    seen = [
        f"{format_number(item.detectable, 2)} ({item.metric})" for item in items if not item.slice and item.detectable
    ]
    if seen:
        yield f"The smallest loss that these rows can show: {_listed(seen[:MAX_NAMES])}."


def _more(missing: int) -> str:
    """Round up to three digits: a forecast has no more."""
    step = 10 ** max(0, len(str(missing)) - 3)
    return format_number(-(-missing // step) * step)


def _names(names: Iterable[str]) -> str:
    found = [one_line(name, 80) for name in names]
    more = len(found) - MAX_NAMES
    return _listed([*found[:MAX_NAMES], f"{format_number(more)} more"] if more > 0 else found)


def _listed(found: Sequence[str]) -> str:
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


def _s(count: int) -> str:
    return "" if count == 1 else "s"
