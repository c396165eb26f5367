"""The Markdown report: short, complete, inert."""

import re
from dataclasses import replace

import pytest

from mlgate.check_id import readable_check_id
from mlgate.evidence import Outcome, SuiteResult, VerdictFacts
from mlgate.report.markdown import MAX_BYTES, code, escape, render_markdown


def rows(text):
    """Return the cells of every table row, cut at bars that are not escaped."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_every_example_names_verdict_reason_and_checks(example):
    """The same content as the page, short."""
    text = render_markdown(example)
    assert text.startswith("# Gate report: `")
    assert "## What to do next" in text
    assert example.digest in text
    for check in example.checks():
        assert f"`{readable_check_id(check.key)}`" in text
        assert escape(check.finding.reason) in text


def test_failed_checks_come_first(examples):
    """The first row of the table is the one that matters."""
    first = [cells[0].split() for cells in rows(render_markdown(examples["refused"]())) if len(cells) == 6]
    outcomes = [words[1] for words in first if len(words) > 1]
    shown = [outcome for outcome in outcomes if outcome in set(Outcome)]
    assert shown[0] == "failed"
    assert shown[-1] == "passed"


def test_a_refusal_says_why_and_what_to_do(examples):
    """Verdict, reason and advice are in the text."""
    text = render_markdown(examples["refused"]())
    assert "**Failed: must not be promoted.**" in text
    assert "properties.total: a valid row was answered with NaN" in text
    assert "Profile one prediction" in text


def test_a_process_sandbox_and_a_partial_run_are_said_loudly(examples):
    """As on the page."""
    text = render_markdown(examples["unisolated"]())
    assert "NOT ISOLATED" in text
    assert "PARTIAL" in text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a | b || c",
        "`code` ``more``",
        "line\n# heading\n\n| a | b |",
        "[click](http://evil.example) www.evil.example",
        "![x](y) *b* __i__ ~~s~~ @everyone",
        "\u202egnp.exe \x00 \ud800",
        "&lt;b&gt;",
        "\\| \\` \\",
    ],
    ids=ascii,
)
def test_hostile_text_stays_one_inert_line(examples, text):
    """No table breaks, no HTML starts, no address becomes a link."""
    evidence = examples["refused"]()
    suites = {
        name: replace(
            suite,
            checks=tuple(
                replace(check, finding=replace(check.finding, reason=text, advice=text)) for check in suite.checks
            ),
        )
        for name, suite in evidence.suites.items()
    }
    evidence = replace(
        evidence,
        suites=suites,
        subject=replace(evidence.subject, uri=text, name=text),
        verdict=VerdictFacts(outcome="failed", reasons=(text,)),
    )
    shown = render_markdown(evidence)
    widths = [len(cells) for cells in rows(shown)]
    assert set(widths) == {3, 6}
    # Whatever stands outside code spans holds no markup.
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", shown.replace("\\`", ""))
    assert "<" not in outside
    assert "://" not in outside
    assert "www." not in outside
    assert "](" not in outside.replace("\\](", "")
    assert shown.count("\n# ") == 0
    assert "\u202e" not in shown
    shown.encode()


def test_escape_leaves_words_readable():
    """Check names and numbers stay as they are written."""
    assert escape("cold_start.ready: 2.61 s (n = 5)") == "cold_start.ready: 2.61 s (n = 5)"
    assert escape("_x_ # y") == "\\_x\\_ # y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("# x", "\\# x"), ("1. x", "1\\. x"), ("- x", "\\- x"), ("x - 1. y", "x - 1. y"), ("41.2", "41\\.2")],
)
def test_a_line_never_starts_a_block(text, shown):
    """A reason that begins like a heading or a list stays a sentence."""
    assert escape(text, starts_line=True) == shown


@pytest.mark.parametrize("text", ["", "a", "`", "a``b`", "``` x"])
def test_a_code_span_is_longer_than_its_backticks(text):
    """No text can close its own code span."""
    shown = code(text)
    fence = re.match("`*", shown)[0]
    assert shown.endswith(fence)
    assert fence not in shown[len(fence) : len(shown) - len(fence)] or fence == ""


def test_a_huge_run_stays_below_what_mlflow_renders(examples, make_check):
    """MLflow shows the source of a longer file."""
    checks = tuple(
        make_check("own.check", "|<&`:// " * 500, params={"row": "|" * 200 + str(index)}, outcome=Outcome.FAILED)
        for index in range(3000)
    )
    evidence = replace(examples["good"](), suites={"own": SuiteResult(duration_s=1, checks=checks)})
    text = render_markdown(evidence)
    assert len(text.encode()) < MAX_BYTES
    assert "more, in evidence.json" in text
