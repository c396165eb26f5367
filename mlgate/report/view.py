"""What the report shows of an evidence, as ready text: the same for HTML and Markdown. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlgate.check_id import readable_check_id
from mlgate.evidence import CheckResult, Evidence, Finding, Outcome, worst
from mlgate.quantities import format_duration, format_measured, format_number
from mlgate.report import words
from mlgate.report.measurements import SHOWN, Comparison
from mlgate.report.text import MAX_NUMBER, as_text, clean, clean_end, one_line
from mlgate.verdict import parse_time

# Checks of one outcome beyond which those of slices take a line each.
MAX_TABLE = 60
# Slices that did not pass and are shown in full all the same.
MAX_SLICE_CARDS = 10
MINUS = "\u2212"  # the sign that is as wide as the plus


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much is shown, in characters and in items. What is left out is in evidence.json.

    Attributes:
        text: A reason, an advice, a fact.
        block: An example, a log; 0 for none.
        cards: Checks shown with everything there is.
        rows: Checks shown in all.
        listing: Items of a list of facts.
        policy: The policy's text.
    """

    text: int
    block: int
    cards: int
    rows: int
    listing: int
    policy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Text as it stands, behind a summary line."""

    title: str
    text: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """One check, as text. Empty text stands for "not measured" or "nothing to say"."""

    key: str
    suite: str
    outcome: Outcome
    symbol: str
    advisory: bool
    meaning: str
    measured: str
    limit: str
    n: str
    interval: str
    cause: str
    reason: str
    advice: str
    blocks: tuple[Block, ...]

    @property
    def basis(self) -> str:
        """Interval and n in one line: `38 to 44.9 ms at 95 %, n = 6 000`."""
        return ", ".join(part for part in (self.interval, f"n = {self.n}" if self.n else "") if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Checks under one heading; *cards* in full, *rows* in a table, *brief* in a line each, *omitted* not at all."""

    title: str
    passed: bool
    note: str
    total: int
    cards: tuple[CheckView, ...]
    rows: tuple[CheckView, ...]
    brief: tuple[CheckView, ...]
    omitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One suite at a glance."""

    name: str
    outcome: Outcome
    symbol: str
    counts: str
    duration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonView:
    """One row of the table challenger beside champion."""

    label: str
    symbol: str
    outcome: Outcome
    challenger: str
    champion: str
    difference: str
    interval: str
    margin: str
    power: tuple[str, ...]
    n: str


def in_reading_order(evidence: Evidence) -> Evidence:
    """Return *evidence* with its suites from the cheapest question to the dearest, and the user's own at the end.

    Canonical JSON sorts its keys: without this, evidence that was read back would make another report.
    """
    names = sorted(evidence.suites, key=lambda name: (words.SUITES.index(name) if name in words.SUITES else 99, name))
    return replace(evidence, suites={name: evidence.suites[name] for name in names})


def check_groups(evidence: Evidence, caps: Caps) -> list[Group]:
    """Return the checks by outcome, failed first, passed last; cards and rows are spent on the worst.

    What did not pass and decides nothing stands by itself before the passed, so that it looks like no obstacle.
    """
    members: dict[Outcome | None, list[tuple[str, CheckResult]]] = {outcome: [] for outcome in words.ORDER[:-1]}
    members |= {None: [], Outcome.PASSED: []}
    for name, suite in evidence.suites.items():
        for check in suite.checks:
            aside = check.outcome is not Outcome.PASSED and words.is_advisory(check, evidence)
            members[None if aside else check.outcome].append((name, check))
    groups, cards, rows = [], caps.cards, caps.rows
    for outcome, found in members.items():
        if not found:
            continue
        shown = found[:rows]
        rows -= len(shown)
        count = 0 if outcome is Outcome.PASSED else min(cards, len(shown))
        cards -= count
        views = [check_view(name, check, evidence, caps) for name, check in shown]
        brief = _brief([check for _, check in shown], len(found))
        groups.append(
            Group(
                title=outcome.capitalize() if outcome else "For information",
                passed=outcome is Outcome.PASSED,
                note=words.GROUP_NOTES[outcome] if outcome else words.ADVISORY_NOTE,
                total=len(found),
                cards=tuple(view for index, view in enumerate(views[:count]) if index not in brief),
                rows=tuple(view for index, view in enumerate(views) if index >= count and index not in brief),
                brief=tuple(views[index] for index in sorted(brief)),
                omitted=len(found) - len(shown),
            )
        )
    return groups


def _brief(checks: Sequence[CheckResult], total: int) -> set[int]:
    """Return the places of the slices that take a line each: their reason says it all, and hundreds bury the rest."""
    if total <= MAX_TABLE:
        return set()
    slices = [index for index, check in enumerate(checks) if check.id == "accuracy.slice"]
    passed = all(check.outcome is Outcome.PASSED for check in checks)
    return set(slices if passed else slices[MAX_SLICE_CARDS:])


def check_view(suite: str, check: CheckResult, evidence: Evidence, caps: Caps) -> CheckView:
    """Return one check as text."""
    finding = check.finding
    return CheckView(
        key=one_line(readable_check_id(check.key), min(caps.text, 300)),
        suite=one_line(suite, 80),
        outcome=check.outcome,
        symbol=words.SYMBOLS[check.outcome],
        advisory=words.is_advisory(check, evidence),
        meaning=words.MEANINGS.get(check.id, ""),
        measured=quantity(finding.measured, finding.unit),
        limit=quantity(finding.limit, finding.unit),
        n="" if finding.n is None else format_number(finding.n),
        interval=interval_text(finding),
        cause="" if finding.cause is None else str(finding.cause),
        reason=one_line(finding.reason, caps.text),
        advice=clean(finding.advice, caps.text),
        blocks=() if check.outcome is Outcome.PASSED else _blocks(finding, caps),
    )


def suite_views(evidence: Evidence, caps: Caps) -> list[SuiteView]:
    """Return the suites at a glance, in the order they ran."""
    found = []
    for name, suite in list(evidence.suites.items())[: caps.listing]:
        deciding = [check.outcome for check in suite.checks if not words.is_advisory(check, evidence)]
        passed, advisory = deciding.count(Outcome.PASSED), len(suite.checks) - len(deciding)
        counts = f"{format_number(passed)} of {format_number(len(deciding))} passed" if deciding else "nothing decided"
        counts += f", {format_number(advisory)} advisory" if advisory else ""
        # Not `suite.outcome`: an advisory failure would paint a suite red that stands in nobody's way.
        outcome = worst(deciding)
        found.append(
            SuiteView(
                name=one_line(name, 60).replace("_", " "),
                outcome=outcome,
                symbol=words.SYMBOLS[outcome],
                counts=counts,
                duration=quantity(suite.duration_s, "s"),
            )
        )
    return found


def comparison_view(item: Comparison, caps: Caps) -> ComparisonView:
    """Return one comparison as text."""
    unit = item.check.finding.unit
    difference, bounds = item.difference, ""
    if difference.lower is not None or difference.upper is not None:
        ends = [signed(end, unit) if end is not None else "?" for end in (difference.lower, difference.upper)]
        bounds = " to ".join(ends)
    return ComparisonView(
        label=one_line(item.label, min(caps.text, 80)),
        symbol=words.SYMBOLS[item.check.outcome],
        outcome=item.check.outcome,
        challenger=quantity(item.challenger.value, unit),
        champion=quantity(item.champion.value, unit),
        difference="" if difference.value is None else signed(difference.value, unit),
        interval=bounds,
        margin=quantity(item.margin, unit),
        power=_power(item),
        n="" if item.check.finding.n is None else format_number(item.check.finding.n),
    )


def _power(item: Comparison) -> tuple[str, ...]:
    """Print what these rows could show, and how many would do."""
    unit, rows, missing = item.check.finding.unit, item.rows_for_margin, item.rows_missing
    told = [] if item.detectable is None else [f"shows a loss of {quantity(item.detectable, unit)}"]
    told += [f"margin needs {format_number(rows)} rows"] if rows is not None and rows > 0 else []
    if missing and item.check.outcome is Outcome.INCONCLUSIVE:
        told.append(f"{format_number(missing)} more would decide")
    return tuple(told)


def quantity(value: float | None, unit: str) -> str:
    """Print a value with its unit; empty where there is none."""
    if value is None:
        return ""
    # Beyond the range of `number`, changing the unit could overflow.
    text = format_measured(value, unit) if abs(value) <= MAX_NUMBER else f"{value:.4g} {unit}".strip()
    return one_line(text, 60).replace("-", MINUS, 1)


def signed(value: float, unit: str) -> str:
    """Print a difference, which always has a sign."""
    if unit == "share":  # a difference of shares is in points: "0.5 %" of what would be open
        return f"{_sign(value)}{format_number(abs(value) * 100, 3)} points"
    return f"{_sign(value)}{quantity(abs(value), unit)}"


def interval_text(finding: Finding) -> str:
    """Print the interval with its confidence: `38 ms to 44.9 ms at 95 %`."""
    if finding.interval is None:
        return ""
    lower, upper = (quantity(bound, finding.unit) for bound in finding.interval)
    at = "" if finding.confidence is None else f" at {quantity(finding.confidence, 'share')}"
    return f"{lower} to {upper}{at}"


def when(text: str) -> str:
    """Print an RFC 3339 time for people, in UTC; text that is no time stays as it is."""
    try:
        time = parse_time(text)
    except (ValueError, OverflowError):
        return one_line(text, 60)
    return f"{time:%Y-%m-%d %H:%M} UTC"


def took(evidence: Evidence) -> str:
    """Print how long the run took; empty where the times tell nothing."""
    try:
        seconds = (parse_time(evidence.finished_at) - parse_time(evidence.started_at)).total_seconds()
    except (ValueError, OverflowError):
        return ""
    return format_duration(seconds) if seconds >= 0 else ""


def tally(evidence: Evidence) -> str:
    """Print the number of checks by outcome, worst first: `1 failed, 17 passed, 2 advisory`."""
    checks = evidence.checks()
    outcomes = [check.outcome for check in checks if not words.is_advisory(check, evidence)]
    counts = [(str(outcome), outcomes.count(outcome)) for outcome in words.ORDER]
    counts.append(("advisory", len(checks) - len(outcomes)))
    return ", ".join(f"{format_number(count)} {name}" for name, count in counts if count) or "no check ran"


def champion_text(evidence: Evidence) -> str:
    """Print what the version was compared with."""
    champion = evidence.champion
    if champion is None:
        return "no champion: judged on its own limits only"
    version = (
        f" (version {champion.version})" if champion.version and f"/{champion.version}" not in champion.uri else ""
    )
    return one_line(f"{champion.uri}{version}", 200)


def listing(items: Sequence[str], caps: Caps) -> str:
    """Return one item a line, with a last line for what is left out."""
    lines = [one_line(item, min(caps.text, 300)) for item in items[: caps.listing]]
    more = len(items) - len(lines)
    return "\n".join([*lines, f"… and {format_number(more)} more"] if more else lines)


def named(values: Mapping[str, str], caps: Caps) -> str:
    """Return `name value` pairs, one a line."""
    return listing([f"{name} {value}" for name, value in sorted(values.items())], caps)


def _sign(value: float) -> str:
    return MINUS if value < 0 else "+" if value > 0 else "±"


def _blocks(finding: Finding, caps: Caps) -> tuple[Block, ...]:
    if not caps.block:
        return ()
    failed = finding.outcome is Outcome.FAILED
    titles = (
        ("example", "Failing example" if failed else "Example", clean),
        ("curl", "Request to repeat it", clean),
        ("log", "Last log lines", clean_end),
    )
    blocks = [
        Block(title=title, text=cut(as_text(finding.details[key]), caps.block), is_open=failed and key == "example")
        for key, title, cut in titles
        if finding.details.get(key)
    ]
    rest = {key: value for key, value in finding.details.items() if key not in SHOWN}
    if rest:
        blocks.append(Block(title="More measurements (JSON)", text=clean(as_text(rest), caps.block)))
    return tuple(blocks)
