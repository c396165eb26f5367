"""Tags and the verdict line."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evidence import (
    ChampionFacts,
    CheckResult,
    Evidence,
    Finding,
    Outcome,
    PolicyFacts,
    Subject,
    SuiteResult,
    ToolFacts,
    VerdictFacts,
)
from mlgate.registry import tags


def evidence(**changes):
    passed = CheckResult(id="load.rate", params={}, finding=Finding(outcome=Outcome.PASSED, reason="fine"))
    failed = CheckResult(id="schema.output", params={}, finding=Finding(outcome=Outcome.FAILED, reason="no"))
    whole = Evidence(
        subject=Subject(
            uri="models:/churn/3",
            name="churn",
            version="3",
            model_id=None,
            source_run_id=None,
            artifact_digest="sha256:aa",
            files=(),
        ),
        image=None,
        sandbox=None,
        champion=ChampionFacts(uri="models:/churn/2", version="2", artifact_digest="sha256:bb"),
        data=None,
        policy=PolicyFacts(digest="sha256:cc", text=""),
        seed=1,
        complete=True,
        started_at="2026-11-23T09:00:00Z",
        finished_at="2026-11-23T10:00:00Z",
        suites={
            "schema": SuiteResult(duration_s=1.0, checks=(failed,)),
            "load": SuiteResult(duration_s=1.0, checks=(passed,)),
        },
        verdict=VerdictFacts(outcome="failed", reasons=()),
        tool=ToolFacts(mlgate="0", python="3.11", packages={}),
    )
    return replace(whole, **changes)


def test_a_suite_is_not_tagged_failed_for_advice_that_failed():
    """It decides nothing; MLflow's own server fails some of it for every model."""
    checks = [
        CheckResult(id=f"schema.{name}", params={}, finding=Finding(outcome=outcome, reason="r", details=details))
        for name, outcome, details in (
            ("leak", Outcome.FAILED, {"advisory": True}),
            ("output", Outcome.PASSED, {}),
        )
    ]
    written = [
        tags.version_tags(
            evidence(suites={"schema": SuiteResult(duration_s=1.0, checks=tuple(part))}), run_id="r", report_url=None
        )
        for part in (checks, checks[:1])
    ]
    assert [found["mlgate.suite.schema"] for found in written] == ["passed", "failed"]


def test_the_verdict_is_the_last_tag_written():
    """A run that is killed while tagging never looks decided."""
    written = tags.version_tags(evidence(), run_id="r1", report_url="http://h/#/runs/r1")
    assert list(written)[-1] == "mlgate.status"
    assert written["mlgate.status"] == "failed"


def test_a_version_carries_every_fact_of_its_gate_run():
    """The keys of the design, each with its value."""
    found = evidence()
    assert tags.version_tags(found, run_id="r1", report_url=None) == {
        "mlgate.suite.schema": "failed",
        "mlgate.suite.load": "passed",
        "mlgate.evidence": found.digest,
        "mlgate.artifact_digest": "sha256:aa",
        "mlgate.recipe": "none",
        "mlgate.policy": "sha256:cc",
        "mlgate.champion": "models:/churn/2",
        "mlgate.tested_at": "2026-11-23T10:00:00Z",
        "mlgate.gate_run_id": "r1",
        "mlgate.report": "runs:/r1/mlgate/report.html",
        "mlgate.status": "failed",
    }


def test_a_version_under_test_reads_as_running():
    """With the time it began, and nothing that reads like a pass."""
    assert tags.running_tags("2026-11-23T09:00:00Z") == {"mlgate.status": "running since 2026-11-23T09:00:00Z"}


def test_a_run_is_findable_by_the_digest_of_what_it_tested():
    """The registry narrows its search by this tag."""
    written = tags.run_tags(evidence())
    assert written[tags.ARTIFACT_DIGEST] == "sha256:aa"
    assert written["mlflow.runType"] == "test"


@given(st.text())
def test_a_tag_value_stays_below_500_bytes(value):
    """Whatever the text, and a short one is not touched."""
    shown = tags.cut(value * 40)
    assert len(shown.encode()) < 500


def test_a_long_value_is_not_cut_within_a_character():
    """Four-byte characters at the edge."""
    assert tags.cut("🦊" * 200) == "🦊" * 124 + "…"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        ("passed", "mlgate: passed 1/2 2026-11-23"),
        ("inconclusive", "mlgate: inconclusive 2026-11-23"),
    ],
)
def test_the_verdict_line_fits_mlflows_table(outcome, line):
    """Where the counts do not fit, they go first."""
    found = tags.verdict_line(evidence(verdict=VerdictFacts(outcome=outcome, reasons=())))
    assert found == line
    assert len(found) <= 32


def test_the_first_line_of_a_description_is_the_verdict():
    """The user's own text follows, untouched."""
    text = tags.with_verdict_line("# Churn\r\n\n made by Ann ", "mlgate: passed 18/18 2026-11-23")
    assert text.splitlines()[0] == "mlgate: passed 18/18 2026-11-23"
    assert text.endswith("# Churn\r\n\n made by Ann ")


def test_a_block_that_the_user_moved_down_is_replaced_there_too():
    """And the text on both sides stays."""
    block = tags.with_verdict_line("", "passed 1/1 2026-01-01")
    text = tags.with_verdict_line(f"above\n{block}below", "failed 0/1 2026-01-02")
    assert "passed" not in text
    assert tags.without_verdict_line(text) == "above\nbelow"


def test_a_browsers_line_ends_do_not_hide_the_block():
    """MLflow's form may post carriage returns."""
    posted = tags.with_verdict_line("mine", "passed 1/1 2026-01-01").replace("\n", "\r\n")
    assert tags.without_verdict_line(posted) == "mine"


BLOCK = tags.with_verdict_line("", "passed")
TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["mlgate: passed", "\n", "\r\n", BLOCK, BLOCK[:-1], "x", BLOCK[10:], "mlgate: "])).map(
        "".join
    ),
)


@given(TEXTS, st.text(), st.text())
def test_the_verdict_line_converges_and_leaves_the_users_text_alone(description, first, second):
    """Twice is once; the last one wins; what is left without it is the user's text byte for byte."""
    mine = tags.without_verdict_line(description)
    once = tags.with_verdict_line(description, first)
    assert tags.with_verdict_line(once, first) == once
    assert tags.with_verdict_line(once, second) == tags.with_verdict_line(description, second)
    assert tags.without_verdict_line(once) == mine
    assert once.endswith(mine)
    assert len(once.split("\n")[0]) <= 32


@given(st.text())
def test_text_that_mlgate_never_touched_is_not_touched(description):
    """Not even where it happens to begin like a verdict."""
    assert tags.without_verdict_line(description) == description
    assert tags.without_verdict_line(f"mlgate: {description}") == f"mlgate: {description}"
