"""The gate report as one self-contained page, for MLflow's artifact viewer and for a file on disk."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mlgate.evidence import Evidence
from mlgate.report import accuracy, accuracy_charts, charts, cold_start, load, load_charts, words
from mlgate.report.accuracy_words import conclusions
from mlgate.report.facts import fact_groups
from mlgate.report.measurements import Latency, arranged, comparisons, latency, repeats
from mlgate.report.text import number, one_line
from mlgate.report.view import (
    Caps,
    champion_text,
    check_groups,
    comparison_view,
    in_reading_order,
    quantity,
    suite_views,
    took,
    when,
)
from mlgate.report.view import tally as tally_of
from mlgate.waivers import Waived

# The page opens at once in the viewer's frame, and travels in a mail.
MAX_BYTES = 500_000
# A sentence of the first screen, in characters; the whole text stands with its check.
FIRST_SCREEN = 300
# Slices that passed, drawn: the numbers of all of them stand with the checks.
MAX_FOLDED = 24
# From everything to what is bounded whatever the evidence holds: a character takes at most five bytes of HTML.
LEVELS = (
    Caps(text=1500, block=6000, cards=300, rows=2000, listing=400, policy=40_000),
    Caps(text=800, block=1500, cards=150, rows=1000, listing=300, policy=20_000),
    Caps(text=400, block=600, cards=100, rows=600, listing=150, policy=10_000),
    Caps(text=200, block=300, cards=40, rows=500, listing=60, policy=5000),
    Caps(text=160, block=0, cards=10, rows=250, listing=30, policy=2000),
    Caps(text=120, block=0, cards=5, rows=40, listing=12, policy=1000),
)


def render_html(evidence: Evidence, *, signature: str | None = None, waived: Sequence[Waived] = ()) -> str:
    """Return the report as one HTML page below `MAX_BYTES`: no script, nothing loaded from anywhere.

    Everything that a model or a user wrote is escaped text. Where the page would grow too large, it shows less of the
    long texts first and fewer of the passed checks last, and says what it left out.

    Args:
        evidence: Of one run.
        signature: Who vouches for it, as `signed by ci.pub`; `None` for unsigned evidence.
        waived: The checks that somebody answers for.
    """
    evidence, digest = in_reading_order(evidence), evidence.digest
    template = _environment().get_template("report.html.j2")
    for caps in LEVELS:
        page = template.render({**_context(evidence, digest, caps, waived), "unsigned": words.provenance(signature)})
        if len(page.encode()) < MAX_BYTES:
            break
    return page


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mlgate.report", "templates"),
        # For every template whatever its name: `select_autoescape` goes by the extension and leaves .j2 alone.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["nb"] = _unbroken
    return environment


def _unbroken(text: str) -> str:
    # A number and its unit stay on one line.
    return re.sub(r"(?<=[0-9]) (?=[0-9%]|m?s\b|min\b|[hdB]\b|[KMGT]iB)", "\u00a0", text)


def _context(evidence: Evidence, digest: str, caps: Caps, waived: Sequence[Waived]) -> dict[str, Any]:
    compared, folded = arranged(comparisons(evidence))
    shown = compared[: min(caps.listing, charts.MAX_ROWS)]
    started = cold_start.sides(evidence)
    groups = check_groups(evidence, caps)
    reasons = [one_line(reason, caps.text) for reason in evidence.verdict.reasons]
    return {
        "uri": one_line(evidence.subject.uri, 160),
        "verdict": words.verdict_outcome(evidence),
        "sentence": words.verdict_sentence(evidence, waived),
        "why": one_line(words.why(evidence), min(caps.text, FIRST_SCREEN)),
        "reasons": reasons[1 : caps.listing],
        "reasons_omitted": max(0, len(reasons) - caps.listing),
        "steps": [one_line(step, min(caps.text, FIRST_SCREEN)) for step in words.next_steps(evidence, waived)],
        "notices": [*_notices(evidence), *words.waived_notices(waived, most=caps.listing, text=caps.text)],
        "champion": champion_text(evidence),
        "when": when(evidence.finished_at),
        "took": took(evidence),
        "tally": tally_of(evidence),
        "suites": suite_views(evidence, caps),
        "against": [group for group in groups if not group.passed],
        "passed": [group for group in groups if group.passed],
        "conclusions": [one_line(sentence, caps.text) for sentence in conclusions(evidence)],
        "comparisons": [comparison_view(item, caps) for item in shown],
        "forest": charts.forest(shown, beside=folded),
        "more_compared": len(compared) - len(shown),
        "folded": len(folded),
        "folded_forest": charts.forest(folded, beside=shown, most=MAX_FOLDED),
        "accuracy": _accuracy(evidence, caps),
        "load": _load(evidence),
        "dots": charts.dots(repeats(evidence)),
        "repeats": [(row.label, [quantity(time, "s") for time in row.times_s]) for row in repeats(evidence)][:40],
        "bars": cold_start.bars(started),
        "slowest": cold_start.sentence(started),
        "circumstances": cold_start.circumstances(evidence),
        "facts": fact_groups(evidence, digest, caps),
        "digest": digest,
        "mlgate": one_line(evidence.tool.mlgate, 40),
    }


def _accuracy(evidence: Evidence, caps: Caps) -> dict[str, Any] | None:
    tables = accuracy.tables(evidence)
    found = {
        "gaps": accuracy.gaps(evidence),
        "confusion": accuracy.confusion(evidence),
        "curve": accuracy_charts.reliability(tables.get("reliability")),
        "no_curve": accuracy.no_curve(evidence),
        "rows": accuracy.rows_of_challenger(evidence, limit=caps.listing, text=min(caps.text, 600)),
        "weak": accuracy.weak_slices(evidence),
        "weak_measure": accuracy.weak_measure(evidence),
    }
    return found if any(found.values()) else None


def _load(evidence: Evidence) -> dict[str, Any] | None:
    spread, series, curve = latency(evidence), load.over_time(evidence), load.curve(evidence)
    limits, beside = load.limits(evidence), load.beside(evidence)
    cpus = number(evidence.sandbox.cpus) if evidence.sandbox else None
    found = {
        "told": load.sentences(evidence),
        "histogram": charts.histogram(spread) if spread else None,
        "percentiles": _percentiles(curve, spread),
        "latency": load_charts.latency(series, limits) if series else None,
        "rate": load_charts.rate(series) if series else None,
        "memory": load_charts.memory(series, load.memory_limit(evidence)) if series else None,
        "cpu": load_charts.cpu(series, cpus) if series else None,
        "curve": load_charts.percentiles(curve, limits) if curve else None,
        "beside": beside,
        "versions": load_charts.versions(beside) if beside else None,
        "steps": load.steps(evidence),
        "generator": load.generator(evidence),
    }
    return {**found, "attached": series is not None} if any(found.values()) else None


def _notices(evidence: Evidence) -> list[str]:
    found = [] if evidence.complete else [words.PARTIAL]
    if words.not_isolated(evidence):
        found.append(words.NOT_ISOLATED)
    return found


def _percentiles(curve: load.Curve | None, spread: Latency | None) -> dict[str, Any] | None:
    # What lies beside the limits counts every request; older evidence knows the answered ones only.
    if curve is not None:
        return {"series": ["response", "service"], "rows": curve.rows}
    return _percentile_table(spread.percentiles) if spread else None


def _percentile_table(percentiles: Any) -> dict[str, Any] | None:
    names = list(dict.fromkeys(name for series in percentiles.values() for name in series))
    if not names:
        return None
    rows = [
        (one_line(name, 20), [quantity(series.get(name), "ms") for series in percentiles.values()])
        for name in names[:12]
    ]
    return {"series": [one_line(name, 20) for name in percentiles], "rows": rows}
