"""What the accuracy suite shows beside its comparisons: confusion, calibration, rows, gaps, weak slices. Pure.

`mlgate.evaluation.evidence_details` says what the details hold; here they are read with suspicion, as anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.quantities import format_number, format_share
from mlgate.report.measurements import gap_of, params_text
from mlgate.report.text import number, numbers, one_line
from mlgate.report.words import SYMBOLS

SUITE = "accuracy"
MAX_CLASSES = 21  # with the row of the folded ones
# Up to here two tables stand beside each other, and a cell has room for its share.
SMALL = 5
NO_CLASS = "no class"
MAX_ROWS = 50
# Rows that are seen at once; the rest is folded.
FIRST_ROWS = 10
MAX_WEAK = 10
MAX_GAPS = 20
# Share of the row from which a cell is tinted one step darker.
TINTS = (0.0, 0.05, 0.2, 0.5)
SIDES = ("challenger", "champion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One count; *tone* is empty, or the style of its tint."""

    count: str
    share: str
    change: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionTable:
    """One model's table: a row for each true class, with its number, name and cells."""

    title: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Tables of both models over the same columns."""

    columns: tuple[str, ...]
    tables: tuple[ConfusionTable, ...]
    small: bool
    folded: bool
    unknown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the data, as text."""

    key: str
    truth: str
    challenger: str
    champion: str
    features: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows where only the challenger is wrong; *first* are seen, *more* are folded."""

    title: str
    sentence: str
    first: tuple[Row, ...]
    more: tuple[Row, ...]
    features: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Best and worst slice of one column by one metric."""

    label: str
    outcome: Outcome
    symbol: str
    worst: str
    best: str
    difference: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakSlice:
    """A part of the data that the search found."""

    name: str
    n: str
    value: str
    overall: str
    p: str


def accuracy_checks(evidence: Evidence) -> tuple[CheckResult, ...]:
    """Return the checks of the suite; none where it did not run."""
    suite = evidence.suites.get(SUITE)
    return suite.checks if suite else ()


def tables(evidence: Evidence) -> Mapping[str, Any]:
    """Return the tables of the first finding that holds some."""
    found = (check.finding.details.get("tables") for check in accuracy_checks(evidence))
    return next((held for held in found if isinstance(held, Mapping) and held), {})


def confusion(evidence: Evidence) -> Confusion | None:
    """Return the confusion tables as text; `None` where there are none."""
    held = tables(evidence).get("confusion")
    if not isinstance(held, Mapping) or not isinstance(held.get("classes"), list):
        return None
    names = [one_line(name, 40) for name in held["classes"]]
    folded = number(held.get("folded")) or 0
    if folded > 0:
        names.append(f"{format_number(folded)} further classes")
    unknown = held.get("unknown") is True
    columns = [*names, NO_CLASS] if unknown else names
    counts = {side: _counts(held.get(side), len(names), len(columns)) for side in SIDES}
    challenger, champion = counts["challenger"], counts["champion"]
    if not names or challenger is None or len(names) > MAX_CLASSES:
        return None
    small = len(names) <= SMALL
    drawn = [_table("Challenger", names, challenger, champion if small else None)]
    if champion is not None:
        drawn.append(_table("Champion", names, champion, None))
    return Confusion(columns=tuple(columns), tables=tuple(drawn), small=small, folded=folded > 0, unknown=unknown)


def no_curve(evidence: Evidence) -> str:
    """Return why there is no reliability curve; empty where there is one, or nothing to say."""
    held = tables(evidence).get("reliability")
    reason = held.get("reason") if isinstance(held, Mapping) else None
    return one_line(reason, 200) if isinstance(reason, str) else ""


def rows_of_challenger(evidence: Evidence, *, limit: int, text: int) -> Rows | None:
    """Return the rows where only the challenger is wrong.

    Args:
        evidence: The evidence.
        limit: Most rows.
        text: Most characters of one row's features.
    """
    held = tables(evidence).get("only_challenger")
    count = number(held.get("count")) if isinstance(held, Mapping) else None
    if not isinstance(held, Mapping) or count is None:
        return None
    found = held.get("rows")
    rows = found[: min(limit, MAX_ROWS)] if isinstance(found, list) else []
    listed = [_row(row, text) for row in rows if isinstance(row, Mapping)]
    first = FIRST_ROWS if len(listed) > FIRST_ROWS + 2 else len(listed)
    further = held.get("kind") == "further"
    return Rows(
        title="Rows where the challenger got further off" if further else "Rows where only the challenger is wrong",
        sentence=_rows_sentence(count, number(held.get("n")), number(held.get("other_way")), len(listed), further),
        first=tuple(listed[:first]),
        more=tuple(listed[first:]),
        features=any(row.features for row in listed),
    )


def gaps(evidence: Evidence) -> list[Gap]:
    """Return the fairness gaps, in the order they were judged."""
    found = []
    for check in [check for check in accuracy_checks(evidence) if check.id == "accuracy.gap"][:MAX_GAPS]:
        gap = gap_of(check)
        finding = check.finding
        bounds = "" if finding.interval is None else " to ".join(map(format_number, finding.interval))
        difference = "" if finding.measured is None else format_number(finding.measured)
        found.append(
            Gap(
                label=one_line(", ".join(part for part in (gap.metric, gap.column) if part), 80),
                outcome=check.outcome,
                symbol=SYMBOLS[check.outcome],
                worst=_side(gap.worst, gap.worst_value),
                best=_side(gap.best, gap.best_value),
                difference=f"{difference} ({bounds})" if difference and bounds else difference,
                limit="" if finding.limit is None else format_number(finding.limit),
            )
        )
    return found


def weak_slices(evidence: Evidence) -> list[WeakSlice]:
    """Return what the search for weak slices found, from the first finding that holds some."""
    held = (check.finding.details.get("weak_slices") for check in accuracy_checks(evidence))
    found = next((slices for slices in held if isinstance(slices, list) and slices), [])
    return [_weak(item) for item in found[:MAX_WEAK] if isinstance(item, Mapping)]


def weak_measure(evidence: Evidence) -> str:
    """Return what the search for weak slices measured, in words: `share of wrong answers`; empty where not known."""
    held = (check.finding.details.get("weak_slices_search") for check in accuracy_checks(evidence))
    kinds = (search.get("loss") for search in held if isinstance(search, Mapping))
    return next((one_line(kind, 60) for kind in kinds if isinstance(kind, str)), "")


def _counts(value: Any, rows: int, columns: int) -> list[list[float]] | None:
    if not isinstance(value, list) or len(value) != rows:
        return None
    found = [numbers(row) for row in value]
    fits = all(len(row) == columns and min(row, default=0) >= 0 for row in found)
    return found if fits else None


def _table(
    title: str, names: Sequence[str], counts: list[list[float]], other: list[list[float]] | None
) -> ConfusionTable:
    rows = []
    for index, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row)
        cells = tuple(
            _cell(count, total, None if other is None else count - other[index][column], is_right=column == index)
            for column, count in enumerate(row)
        )
        rows.append((name, cells))
    return ConfusionTable(title=title, rows=tuple(rows))


def _cell(count: float, total: float, change: float | None, *, is_right: bool) -> Cell:
    share = count / total if total else 0.0
    step = sum(share > edge for edge in TINTS)
    sign = "+" if change and change > 0 else "\u2212"
    return Cell(
        count=format_number(count),
        share=format_share(share) if total else "",
        change=f"{sign}{format_number(abs(change))}" if change else "",
        tone=f"{'right' if is_right else 'wrong'}{step}" if step else "",
    )


def _row(row: Mapping[str, Any], text: int) -> Row:
    features = row.get("features")
    told = [f"{one_line(k, 40)}={_value(v)}" for k, v in features.items()] if isinstance(features, Mapping) else []
    return Row(
        key=_value(row.get("key")),
        truth=_value(row.get("truth")),
        challenger=_value(row.get("challenger")),
        champion=_value(row.get("champion")),
        features=one_line(", ".join(told), text),
    )


def _value(value: Any) -> str:
    shown = number(value)
    return one_line("" if value is None else value, 60) if shown is None else format_number(shown, 6)


def _rows_sentence(count: float, n: float | None, other: float | None, shown: int, further: bool) -> str:
    of = "" if n is None else f" of {format_number(n)}"
    words = "the challenger is further off than the champion" if further else "only the challenger is wrong"
    back = "it is the other way round" if further else "only the champion is"
    told = f"On {format_number(count)}{of} rows {words}"
    told += "." if other is None else f"; on {format_number(other)} {back}."
    return told + (f" The worst {format_number(shown)} are listed." if 0 < shown < count else "")


def _side(name: str, value: float | None) -> str:
    return one_line(name, 60) + ("" if value is None else f": {format_number(value)}")


def _weak(item: Mapping[str, Any]) -> WeakSlice:
    n, value, overall, p = (number(item.get(name)) for name in ("n", "value", "overall", "p_adjusted"))
    return WeakSlice(
        name=one_line(params_text(item.get("slice")), 80),
        n="" if n is None else format_number(n),
        value="" if value is None else format_number(value),
        overall="" if overall is None else format_number(overall),
        p="" if p is None else "< 0.0001" if p < 0.0001 else format_number(p, 2),
    )
