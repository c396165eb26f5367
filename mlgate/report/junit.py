"""The checks as JUnit XML, written from the evidence, for GitLab's Tests tab and its like. Pure."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from mlgate.evidence import CheckResult, Evidence, Outcome
from mlgate.report import words
from mlgate.report.text import as_text, clean, clean_end, one_line
from mlgate.report.view import Caps, check_view, in_reading_order
from mlgate.verdict import VerdictOutcome

# GitLab copies it for "copy failed tests". The policy's path is not part of the evidence; this is its usual name.
FILE = "mlgate.yaml"
# GitLab reads 30 MB a file: room for two thousand failures with everything they have to say.
CAPS = Caps(text=2000, block=8000, cards=0, rows=0, listing=0, policy=0)
VERDICT = "verdict"

_KINDS = {
    Outcome.FAILED: "failure",
    Outcome.ERRORED: "error",
    # Not `skipped`: a reader of green and grey dots would take "we can not say" for "fine".
    Outcome.INCONCLUSIVE: "error",
    Outcome.SKIPPED: "skipped",
}


def render_junit(evidence: Evidence) -> bytes:
    """Return UTF-8 XML with one `testsuite` per suite and one `testcase` per check, each under a name of its own.

    A verdict that is not passed always shows: what no check can be blamed for (a check that is absent, a partial run)
    becomes one more case, `mlgate.verdict`. An advisory check that did not pass is `skipped`, because it decides nothing.
    """
    evidence = in_reading_order(evidence)
    root = ET.Element("testsuites", {"name": "mlgate"})
    taken: set[str] = set()
    for name, suite in evidence.suites.items():
        element = ET.SubElement(root, "testsuite", {"name": one_line(name, 200)})
        share_s = suite.duration_s / len(suite.checks) if suite.checks else 0.0
        for check in suite.checks:
            _add_case(element, name, check, evidence, taken=taken, time_s=share_s)
        _count(element, suite.duration_s)
    unexplained = _unexplained(evidence, root)
    if unexplained:
        element = ET.SubElement(root, "testsuite", {"name": VERDICT})
        case = _case(element, VERDICT, VERDICT, taken=taken, time_s=0.0)
        kind = "failure" if words.verdict_outcome(evidence) is VerdictOutcome.FAILED else "error"
        _say(case, kind, message=unexplained[0], type_=VERDICT, body="\n".join(unexplained))
        _count(element, 0.0)
    _count(root, sum(suite.duration_s for suite in evidence.suites.values()))
    ET.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _add_case(
    suite: ET.Element, name: str, check: CheckResult, evidence: Evidence, *, taken: set[str], time_s: float
) -> None:
    case = _case(suite, name, check.key, taken=taken, time_s=time_s)
    finding = check.finding
    body = "\n".join(_body(name, check, evidence))
    if check.outcome is Outcome.PASSED:
        ET.SubElement(case, "system-out").text = body
        return
    advisory = words.is_advisory(check, evidence)
    kind = "skipped" if advisory else _KINDS[check.outcome]
    message = f"advisory, decides nothing: {finding.reason}" if advisory else finding.reason
    _say(case, kind, message=message, type_=str(finding.cause or check.outcome), body=body)


def _case(suite: ET.Element, name: str, key: str, *, taken: set[str], time_s: float) -> ET.Element:
    # GitLab keeps only the first of two cases with one name; a cut or cleaned name may meet another.
    base = shown = one_line(key, 500)
    count = 1
    while shown in taken:
        count += 1
        shown = f"{base} ({count})"
    taken.add(shown)
    where = {"classname": f"mlgate.{one_line(name, 200)}", "name": shown, "file": FILE, "time": f"{time_s:.3f}"}
    return ET.SubElement(suite, "testcase", where)


def _say(case: ET.Element, kind: str, *, message: str, type_: str, body: str) -> None:
    element = ET.SubElement(case, kind, {"message": one_line(message, 2000), "type": type_})
    element.text = body


def _body(suite: str, check: CheckResult, evidence: Evidence) -> Iterator[str]:
    view = check_view(suite, check, evidence, CAPS)
    details = check.finding.details
    yield view.reason
    for term, text in (
        ("outcome", str(check.outcome)),
        ("means", view.meaning),
        ("measured", view.measured),
        ("limit", view.limit),
        ("n", view.n),
        ("interval", view.interval),
        ("cause", view.cause),
        ("what to do", view.advice),
    ):
        if text:
            yield f"{term}: {text}"
    if check.outcome is Outcome.PASSED:
        return
    for key in ("example", "curl"):
        if details.get(key):
            yield f"{key}: {clean(as_text(details[key]), CAPS.block)}"
    if details.get("log"):
        yield f"log: {clean_end(as_text(details['log']), CAPS.block)}"


def _unexplained(evidence: Evidence, root: ET.Element) -> list[str]:
    if words.verdict_outcome(evidence) is VerdictOutcome.PASSED:
        return []
    keys = {check.key for check in evidence.checks()}
    reasons = evidence.verdict.reasons
    own = [clean(reason, CAPS.text) for reason in reasons if reason.partition(": ")[0] not in keys]
    shows = root.find(".//failure") is not None or root.find(".//error") is not None
    # Without this, a refusal over a skipped check would be a page of green and grey.
    return own or ([] if shows else [clean(words.why(evidence), CAPS.text)])


def _count(element: ET.Element, time_s: float) -> None:
    for attribute, path in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(len(element.findall(f".//testcase/{path}"))))
    element.set("tests", str(len(element.findall(".//testcase"))))
    element.set("time", f"{time_s:.3f}")
