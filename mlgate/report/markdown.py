"""The gate report as Markdown: for MLflow's viewer, a job log or a merge request. Pure."""

import re
from collections.abc import Iterator, Sequence

from mlgate.evidence import Evidence
from mlgate.report import accuracy, accuracy_charts, cold_start, load, words
from mlgate.report.accuracy_words import conclusions
from mlgate.report.facts import fact_groups
from mlgate.report.measurements import arranged, comparisons
from mlgate.report.text import one_line
from mlgate.report.view import (
    Caps,
    CheckView,
    ComparisonView,
    Group,
    champion_text,
    check_groups,
    comparison_view,
    in_reading_order,
    tally,
    took,
    when,
)
from mlgate.waivers import Waived

# MLflow renders Markdown up to 100 KiB and shows more as source.
MAX_BYTES = 100_000
# A character takes at most nine bytes here (`:` before `//`, escaped).
LEVELS = (
    Caps(text=600, block=0, cards=200, rows=400, listing=60, policy=0),
    Caps(text=300, block=0, cards=60, rows=200, listing=30, policy=0),
    Caps(text=160, block=0, cards=20, rows=80, listing=15, policy=0),
    Caps(text=100, block=0, cards=5, rows=20, listing=8, policy=0),
)

_MARKS = {"passed": "✅", "failed": "❌", "inconclusive": "❓"}
# What starts or closes markup anywhere in a line. An underscore inside a word, as in `cold_start`, starts nothing.
_SPECIAL = re.compile(r"[\\`*\[\]~$]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
# What makes a block of the line that it starts: a heading, a list, a rule.
_BLOCK_START = re.compile(r"^(\d+(?=[.)])|(?=[#+=-]))")


def render_markdown(evidence: Evidence, *, signature: str | None = None, waived: Sequence[Waived] = ()) -> str:
    """Return the report as Markdown below `MAX_BYTES`: the verdict, why, the checks with the worst first, the facts.

    Args:
        evidence: Of one run.
        signature: Who vouches for it, as `signed by ci.pub`; `None` for unsigned evidence.
        waived: The checks that somebody answers for.
    """
    evidence, digest = in_reading_order(evidence), evidence.digest
    for caps in LEVELS:
        text = "\n".join((*_lines(evidence, digest, caps, waived), "", escape(words.provenance(signature)))) + "\n"
        if len(text.encode()) < MAX_BYTES:
            break
    return text


def escape(text: str, *, starts_line: bool = False) -> str:
    """Return one line of text that Markdown shows as it is: no markup, no HTML, no links.

    Args:
        text: The text; its line breaks become spaces.
        starts_line: Whether nothing stands before it on its line, where "# " or "1. " would begin a block.
    """
    shown = re.sub(r"[&<>|@]", lambda match: _ENTITIES[match[0]], " ".join(text.split()))
    shown = _SPECIAL.sub(lambda match: f"\\{match[0]}", shown)
    if starts_line:
        shown = _BLOCK_START.sub(r"\1\\", shown)
    # GitHub's and GitLab's dialects make a link of a bare address.
    return re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:3]}&#46;", shown.replace("://", "&#58;//"))


def code(text: str, *, in_table: bool = False) -> str:
    """Return *text* as a code span, whatever backticks it holds."""
    shown = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    if not shown:
        return ""
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    # A table is cut at its bars before code spans are seen.
    return f"{fence}{pad}{shown.replace('|', chr(92) + '|') if in_table else shown}{pad}{fence}"


def _lines(evidence: Evidence, digest: str, caps: Caps, waived: Sequence[Waived]) -> Iterator[str]:
    verdict = words.verdict_outcome(evidence)
    uri = one_line(evidence.subject.uri, 200)
    yield f"# Gate report: {code(uri)}"
    yield ""
    yield f"{_MARKS[verdict]} **{verdict.capitalize()}: {words.verdict_sentence(evidence, waived)}.**"
    yield ""
    yield escape(one_line(words.why(evidence), caps.text), starts_line=True)
    yield ""
    if not evidence.complete:
        yield from (f"> ⚠ **{escape(words.PARTIAL)}**", "")
    if words.not_isolated(evidence):
        yield from (f"> ⚠ **{escape(words.NOT_ISOLATED)}**", "")
    for notice in words.waived_notices(waived, most=caps.listing, text=caps.text):
        yield from (f"> ⚠ **{escape(notice)}**", "")
    yield f"* Compared with: {escape(champion_text(evidence))}"
    yield f"* Tested: {escape(when(evidence.finished_at))}" + (f", took {took(evidence)}" if took(evidence) else "")
    yield f"* Checks: {tally(evidence)}"
    yield from ("", "## What to do next", "")
    yield from (
        f"{index}. {escape(one_line(step, caps.text))}"
        for index, step in enumerate(words.next_steps(evidence, waived), 1)
    )
    yield from _checks(check_groups(evidence, caps))
    yield from _comparisons(evidence, caps)
    yield from _accuracy(evidence, caps)
    yield from _load(evidence, caps)
    yield from _cold_start(evidence, caps)
    yield from _facts(evidence, digest, caps)


def _checks(groups: list[Group]) -> Iterator[str]:
    yield from ("", "## Checks", "")
    if not groups:
        yield "No check ran."
        return
    yield "| | Check | Measured | Limit | Interval, n | Why |"
    yield "| --- | --- | --- | --- | --- | --- |"
    omitted = 0
    for group in groups:
        for check in (*group.cards, *group.rows, *group.brief):
            yield _row(check)
        omitted += group.omitted
    if omitted:
        yield from ("", f"… and {omitted} more, in evidence.json.")
    advised = [check for group in groups if not group.passed for check in group.cards if check.advice]
    if advised:
        yield from ("", "### What to do", "")
        yield from (f"* {code(check.key)}: {escape(check.advice)}" for check in advised)


def _row(check: CheckView) -> str:
    name = f"{check.symbol} {check.outcome}" + (" (advisory)" if check.advisory else "")
    reason = escape(check.reason) + (f" Cause: {check.cause}." if check.cause else "")
    cells = (
        name,
        code(check.key, in_table=True),
        escape(check.measured),
        escape(check.limit),
        escape(check.basis),
        " ".join(part for part in (check.meaning, reason) if part),
    )
    return f"| {' | '.join(cells)} |"


def _comparisons(evidence: Evidence, caps: Caps) -> Iterator[str]:
    open_, folded = arranged(comparisons(evidence))
    found = [*open_, *folded]
    rows = [comparison_view(item, caps) for item in found[: caps.listing]]
    told = [one_line(sentence, caps.text) for sentence in conclusions(evidence)]
    if not rows and not told:
        return
    yield from ("", "## Challenger beside champion")
    if told:
        yield from ("", " ".join(escape(sentence, starts_line=index == 0) for index, sentence in enumerate(told)))
    if rows:
        heads = ("Metric", "Challenger", "Champion", "Difference", "Interval, n", "Margin")
        yield from _table(heads, [_comparison(row) for row in rows])
    if len(found) > len(rows):
        yield from ("", f"… and {len(found) - len(rows)} more, in evidence.json.")


def _comparison(row: ComparisonView) -> tuple[str, ...]:
    basis = ", ".join(part for part in (row.interval, f"n = {row.n}" if row.n else "") if part)
    margin = "; ".join(part for part in (row.margin, *row.power) if part)
    return f"{row.symbol} {row.label}", row.challenger, row.champion, row.difference, basis, margin


def _accuracy(evidence: Evidence, caps: Caps) -> Iterator[str]:
    gaps, weak = accuracy.gaps(evidence), accuracy.weak_slices(evidence)
    curve = accuracy_charts.reliability(accuracy.tables(evidence).get("reliability"))
    confused = accuracy.confusion(evidence)
    rows = accuracy.rows_of_challenger(evidence, limit=min(caps.listing, accuracy.FIRST_ROWS), text=caps.text)
    if gaps:
        yield from ("", "### Gaps between slices")
        heads: tuple[str, ...] = ("Gap", "Worst", "Best", "Difference", "Limit")
        yield from _table(
            heads, [(f"{gap.symbol} {gap.label}", gap.worst, gap.best, gap.difference, gap.limit) for gap in gaps]
        )
    # A table of many classes is unreadable as text; it is on the page.
    for table in confused.tables if confused and confused.small else ():
        yield from ("", f"### Confusion: {table.title}")
        counts = [(name, *(f"{cell.count} ({cell.share})" for cell in cells)) for name, cells in table.rows]
        yield from _table(("Truth", *(confused.columns if confused else ())), counts)
    if curve:
        yield from ("", "### Reliability" + (f" of {escape(one_line(curve.of, 60))}" if curve.of else ""))
        yield from _table(curve.sides, curve.rows)
    if rows:
        yield from ("", f"### {rows.title}", "", escape(rows.sentence))
        heads = ("Key", "Truth", "Challenger", "Champion", *(("Features",) if rows.features else ()))
        yield from _table(heads, [_data_row(row, features=rows.features) for row in rows.first])
    if weak:
        yield from ("", "### Weak slices (found on this data, not judged)")
        heads = ("Slice", "Rows", "There", "Over all rows", "p, adjusted")
        yield from _table(heads, [(found.name, found.n, found.value, found.overall, found.p) for found in weak])


def _data_row(row: accuracy.Row, *, features: bool) -> tuple[str, ...]:
    return (row.key, row.truth, row.challenger, row.champion, *((row.features,) if features else ()))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"| {' | '.join(map(escape, heads))} |", f"| {' | '.join('---' for _ in heads)} |")
    yield from (f"| {' | '.join(map(escape, row))} |" for row in rows)


def _load(evidence: Evidence, caps: Caps) -> Iterator[str]:
    curve, beside, steps = load.curve(evidence), load.beside(evidence), load.steps(evidence)
    told = [*load.sentences(evidence), *load.generator(evidence)]
    if not (told or curve or beside or steps):
        return
    yield from ("", "## Latency under load")
    if told:
        yield ""
        yield from (f"* {escape(one_line(sentence, caps.text))}" for sentence in told)
    if curve:
        yield from _table(("Percentile", "Response", "Service"), [(name, *times) for name, times in curve.rows])
    if beside:
        yield from ("", f"### Challenger beside champion: {beside.symbol} {beside.outcome}")
        yield from _table(("Percentile", "Challenger", "Champion", "Ratio"), beside.rows)
    if steps:
        yield from ("", "### Capacity (advisory)")
        heads = ("Under way", "Answered", "p95", "p99", "Errors", "Limits")
        rows = [(step.callers, step.rate, *step.latencies, step.errors, step.within) for step in steps]
        yield from _table(heads, rows[: caps.listing])


def _cold_start(evidence: Evidence, caps: Caps) -> Iterator[str]:
    lines = [cold_start.sentence(cold_start.sides(evidence)), *cold_start.circumstances(evidence)]
    told = [one_line(line, caps.text) for line in lines if line]
    if told:
        yield from ("", "## Cold start", "")
        yield from (f"* {escape(line)}" for line in told)


def _facts(evidence: Evidence, digest: str, caps: Caps) -> Iterator[str]:
    yield from ("", "## Facts", "", "| | | |", "| --- | --- | --- |")
    for group in fact_groups(evidence, digest, caps):
        for fact in group.facts:
            value = code(fact.value, in_table=True) if fact.code else escape(fact.value)
            yield f"| {group.title} | {fact.term} | {value} |"
