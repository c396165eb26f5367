"""JUnit: every check once, under its own name, with the right word."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from mlgate.evidence import CheckResult, Finding, Outcome, SuiteResult, VerdictFacts
from mlgate.report.junit import render_junit

KINDS = {"failed": "failure", "errored": "error", "inconclusive": "error", "skipped": "skipped"}


def parse(evidence):
    """Return the root and the cases by name, without the verdict's own."""
    root = ET.fromstring(render_junit(evidence))
    cases = [case for case in root.iter("testcase") if case.get("classname") != "mlgate.verdict"]
    return root, {case.get("name"): case for case in cases}


def test_every_check_is_a_case_of_its_suite(example):
    """Class name, file and time are what GitLab reads."""
    _, cases = parse(example)
    assert set(cases) == {check.key for check in example.checks()}
    for name, suite in example.suites.items():
        for check in suite.checks:
            case = cases[check.key]
            assert case.get("classname") == f"mlgate.{name}"
            assert case.get("file") == "mlgate.yaml"
            assert float(case.get("time")) >= 0


def test_outcomes_become_the_words_of_junit(example):
    """Inconclusive is an error and not a skip: a reader of dots must see it."""
    _, cases = parse(example)
    for check in example.checks():
        marks = [child.tag for child in cases[check.key] if child.tag != "system-out"]
        if check.finding.details.get("advisory") and check.outcome is not Outcome.PASSED:
            assert marks == ["skipped"]
        else:
            assert marks == ([KINDS[check.outcome]] if check.outcome is not Outcome.PASSED else [])


def test_a_failure_says_what_was_measured_and_what_to_do(examples):
    """The message is the reason, the body the rest."""
    _, cases = parse(examples["refused"]())
    failure = cases["load.p95_latency"].find("failure")
    assert failure.get("message") == "p95 412 ms > 100 ms (n = 6 000)"
    for text in ("measured: 412 ms", "limit: 100 ms", "interval: 398 ms to 431 ms at 95 %", "what to do: Profile"):
        assert text in failure.text
    assert "curl: curl -s" in cases["properties.total"].find("failure").text


def test_counters_agree_with_the_cases(example):
    """Each suite and the whole count what they hold."""
    root, _ = parse(example)
    for element in (root, *root.iter("testsuite")):
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert int(element.get("errors")) == len(list(element.iter("error")))
        assert int(element.get("skipped")) == len(list(element.iter("skipped")))


def test_a_refusal_is_never_all_green(examples, make_check):
    """A partial run, an absent check or a skipped one still shows as an error."""
    skipped = make_check("schema.compatible", "not run", outcome=Outcome.SKIPPED)
    only_skipped = replace(
        examples["good"](),
        suites={"schema": SuiteResult(duration_s=1, checks=(skipped,))},
        verdict=VerdictFacts(outcome="inconclusive", reasons=("schema.compatible: not run",)),
    )
    for evidence in (examples["unisolated"](), examples["empty"](), only_skipped):
        root, _ = parse(evidence)
        assert root.find(".//testcase[@classname='mlgate.verdict']/error") is not None


def test_a_passed_run_has_no_case_for_the_verdict(examples):
    """One case per check and no more."""
    root, _ = parse(examples["good"]())
    assert root.get("failures") == root.get("errors") == "0"
    assert root.find(".//testcase[@classname='mlgate.verdict']") is None


def test_names_are_unique_even_where_checks_are_not(examples, make_check):
    """GitLab keeps only the first of two cases with one name."""
    twice = make_check("own.check", "first"), make_check("own.check", "second"), make_check("verdict", "third")
    long = [make_check("own." + "x" * 2000 + str(index), "long") for index in range(3)]
    evidence = replace(
        examples["good"](),
        suites={"a": SuiteResult(duration_s=1, checks=twice), "b": SuiteResult(duration_s=1, checks=(*twice, *long))},
        verdict=VerdictFacts(outcome="failed", reasons=("elsewhere",)),
    )
    names = [case.get("name") for case in ET.fromstring(render_junit(evidence)).iter("testcase")]
    assert len(names) == len(set(names)) == 10


@pytest.mark.parametrize(
    "text", ["]]>", "<b>&amp;", "\x00\x01\x1f", "\ud800 \udfff", "\ufffe\uffff", "\x1b[31m", "\u202e"], ids=ascii
)
def test_any_text_makes_well_formed_xml(examples, text):
    """Characters that XML 1.0 forbids come out in a visible form."""
    finding = Finding(outcome=Outcome.FAILED, reason=text, advice=text, details={"example": text, "log": text})
    check = CheckResult(id=text, params={"column": text}, finding=finding)
    evidence = replace(
        examples["good"](),
        suites={text: SuiteResult(duration_s=1, checks=(check,))},
        verdict=VerdictFacts(outcome="failed", reasons=(text,)),
    )
    root = ET.fromstring(render_junit(evidence))
    assert root.get("failures") == "2"
