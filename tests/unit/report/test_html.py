"""The page: complete, small, escaped, readable by everybody."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from mlgate.check_id import readable_check_id
from mlgate.evidence import Cause, Outcome, PolicyFacts, SandboxFacts, SuiteResult, VerdictFacts
from mlgate.report.html import MAX_BYTES, render_html

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "]]></title></style><h1>passed</h1>",
    "{{ 7 * 7 }}{% include 'x' %}",
    "</pre></details><iframe src=//evil.example>",
    "\x00\x08\x1b[31m\x7f\x85",
    "\u202egnp.exe\u2066",
    "javascript:alert(1)",
]
# HTML5 elements without an end tag.
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects elements and text, and insists on matching tags."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.text, self.stack, self.faults = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Remember the element."""
        self.elements.append((tag, dict(attrs)))
        self.text.append(" ")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Remember the element, which needs no end."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Note an end that does not match."""
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        """Keep what a reader sees."""
        if "style" not in self.stack:
            self.text.append(data)

    @property
    def words(self):
        """All text with single, ordinary spaces."""
        return " ".join("".join(self.text).split())

    def tags(self, name):
        """Return the attributes of every element called *name*."""
        return [attrs for tag, attrs in self.elements if tag == name]


def hostile(evidence, text):
    """Return *evidence* with *text* wherever a model or a user can write."""
    suites = {
        name: replace(
            suite,
            checks=tuple(
                replace(
                    check,
                    params={**check.params, text[:2000]: text[:2000]},
                    finding=replace(
                        check.finding,
                        reason=text,
                        advice=text,
                        unit=text if check.finding.unit == "" else check.finding.unit,
                        details={**check.finding.details, "example": text, "curl": text, "log": text, text: [text]},
                    ),
                )
                for check in suite.checks
            ),
        )
        for name, suite in evidence.suites.items()
    }
    # A suite is named by the policy, which is UTF-8.
    suites[text] = SuiteResult(duration_s=0, checks=())
    return replace(
        evidence,
        subject=replace(evidence.subject, uri=text, name=text, version=text, artifact_digest=text),
        image=evidence.image and replace(evidence.image, pins=(text,), base=text, apt=(text,)),
        policy=PolicyFacts(digest=text, text=text),
        suites=suites,
        started_at=text,
        finished_at=text,
        verdict=VerdictFacts(outcome=text, reasons=(text, text)),
        ci={text: text},
    )


def assert_inert(page):
    """Assert that *page* runs nothing and loads nothing."""
    assert not page.faults
    assert not page.stack
    for tag, attrs in page.elements:
        assert tag not in {"script", "iframe", "img", "object", "embed", "link", "base", "form", "a", "image", "use"}
        assert not [name for name in attrs if name.startswith("on")]
        assert not {"src", "href", "xlink:href", "action", "formaction", "srcset", "style", "background"} & set(attrs)
        assert not any("://" in (value or "") for value in attrs.values())


def test_every_example_is_one_inert_page_with_a_wall_around_it(example):
    """No script, no resource, no link; and a content security policy in case one slips through."""
    html = render_html(example)
    page = Page(html)
    assert_inert(page)
    assert "http" not in html.replace("http-equiv", "").replace("curl -s http://127.0.0.1:8080", "")
    assert "url(" not in html
    assert "@import" not in html
    policies = [attrs["content"] for attrs in page.tags("meta") if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_every_check_shows_its_id_and_its_reason(example):
    """Nothing that was recorded is left out of a page of ordinary size."""
    words = Page(render_html(example)).words
    for check in example.checks():
        assert readable_check_id(check.key) in words
        assert check.finding.reason in words


def test_first_screen_says_verdict_why_champion_when_and_what_next(examples):
    """A release manager has the answer before scrolling."""
    words = Page(render_html(examples["refused"]())).words
    first = words[: words.index("Suites")]
    assert "models:/churn/7" in first
    assert "Failed must not be promoted" in first
    assert "properties.total: a valid row was answered with NaN" in first
    assert "models:/churn/5" in first
    assert "2026-11-23 14:05 UTC" in first
    assert "Do not promote this version." in first
    assert "Handle tenure = 0" in first


def test_a_good_run_says_so_and_what_the_gate_does_next(examples):
    """A pass has a sentence and a next step too."""
    words = Page(render_html(examples["good"]())).words
    assert "Passed may be promoted every required check passed" in words
    assert "mlgate promote models:/churn/7" in words


def test_failed_checks_come_first_and_passed_ones_last(examples):
    """Readers look for what went wrong."""
    evidence = examples["refused"]()
    words = Page(render_html(evidence)).words
    words = words[words.index("Checks that did not pass") :]
    order = [Outcome.FAILED, Outcome.ERRORED, Outcome.INCONCLUSIVE, Outcome.SKIPPED, Outcome.PASSED]
    checks = [check for check in evidence.checks() if not check.finding.details.get("advisory")]
    places = [(words.index(readable_check_id(check.key)), order.index(check.outcome)) for check in checks]
    assert [rank for _, rank in sorted(places)] == sorted(rank for _, rank in places)


def test_a_failed_check_shows_numbers_cause_advice_and_example(examples):
    """Measured against which limit, at which n and confidence, who acts, what to do, and the row that shows it."""
    words = Page(render_html(examples["refused"]())).words
    for text in ("412 ms", "100 ms", "6 000", "398 ms to 431 ms at 95 %", "Cause model", "Profile one prediction"):
        assert text in words
    assert '"data": [[34, 0, "basic"]]' in words
    assert "curl -s" in words
    assert "invalid value encountered in divide" in words


def test_an_advisory_failure_stands_aside(examples):
    """A passed version must not look blocked by a check that decides nothing."""
    words = Page(render_html(examples["good"]())).words
    assert "For information 1" in words
    assert "advisory: does not decide" in words
    assert "19 passed, 1 advisory" in words
    assert "4 of 4 passed, 1 advisory" in words


def test_an_advisory_check_that_the_verdict_names_is_not_advisory(examples):
    """A check that refuses the version can not call itself information."""
    evidence = examples["good"]()
    reason = "schema.rejects[case=null]: null in a required double was answered 200"
    evidence = replace(evidence, verdict=VerdictFacts(outcome="failed", reasons=(reason,)))
    words = Page(render_html(evidence)).words
    assert "advisory" not in words
    assert "Failed 1" in words


def test_a_process_sandbox_and_a_partial_run_are_said_loudly(examples):
    """Both look like a run that counts, and are not."""
    words = Page(render_html(examples["unisolated"]())).words
    assert "NOT ISOLATED" in words[: words.index("Suites")]
    assert "PARTIAL" in words[: words.index("Suites")]
    passed = replace(
        examples["good"](),
        sandbox=SandboxFacts(kind="process", engine="", cpus=1, memory=1, network="host", host=""),
    )
    assert "Passed may be promoted only where the policy accepts" in Page(render_html(passed)).words


def test_an_unknown_verdict_reads_as_inconclusive(examples):
    """A word that is no verdict never looks like a pass."""
    evidence = replace(examples["good"](), verdict=VerdictFacts(outcome="waved through", reasons=()))
    words = Page(render_html(evidence)).words
    assert "Inconclusive not enough is known" in words
    assert "may be promoted" not in words


def test_the_facts_name_everything_by_digest(examples):
    """What was tested is what is deployed: every digest is on the page."""
    evidence = examples["good"]()
    words = Page(render_html(evidence)).words
    assert evidence.digest in words
    assert "Unsigned" in words
    for text in (
        evidence.subject.artifact_digest,
        evidence.image.recipe_digest,
        evidence.data.digest,
        evidence.policy.digest,
    ):
        assert text in words
    assert "frozen in March" in words
    assert "package-40==1.40.0" in words


def test_charts_have_a_title_and_a_table_with_the_numbers(examples):
    """Nobody needs to see a chart to read it."""
    html = render_html(examples["good"]())
    images = re.findall(r'<svg class="chart" role="img"[^>]*><title>([^<]+)</title>', html)
    assert len(images) == html.count('<svg class="chart"') == 4
    words = Page(html).words
    for text in ("0.8431", "+0.0031", "\u22120.0024 to +0.0086", "58.7 ms", "2.31 s, 2.44 s", "Warm-up predictions"):
        assert text in words


def test_structure_is_sound_for_a_screen_reader(example):
    """A language, one h1, headings without a gap, a scope on every table heading."""
    page = Page(render_html(example))
    assert page.tags("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attrs.get("scope") in {"col", "row"} for attrs in page.tags("th"))
    assert all(attrs.get("aria-hidden") == "true" or attrs.get("role") == "img" for attrs in page.tags("svg"))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_stays_text(example, text):
    """Whatever a model answers, it never becomes an element or an attribute."""
    page = Page(render_html(hostile(example, text)))
    clean = Page(render_html(hostile(example, "harmless")))
    assert_inert(page)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]
    shown = "".join(page.text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)


def test_a_hostile_name_is_readable_as_it_was_written(example):
    """Escaping keeps the text."""
    assert HOSTILE[0] in Page(render_html(hostile(example, HOSTILE[0]))).words


@pytest.mark.parametrize(
    "text", ["x" * 1_000_000, '"&<\u202e' * 25_000, "\U0001f600" * 300_000, "a b\n" * 25_000], ids=len
)
def test_a_megabyte_everywhere_still_makes_a_small_page(examples, text):
    """Long texts are cut, and what is left is still inert."""
    html = render_html(hostile(examples["refused"](), text))
    assert len(html.encode()) < MAX_BYTES
    assert_inert(Page(html))


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PASSED])
def test_five_hundred_checks_with_long_details_are_all_there(examples, make_check, outcome):
    """Every id and every reason of five hundred checks, below the size that opens at once."""
    checks = tuple(
        make_check(
            "accuracy.slice",
            f"reason number {index}: f1 0.71 < 0.75 on this slice",
            outcome=outcome,
            params={"metric": "f1", "region": f"region {index}"},
            cause=None if outcome is Outcome.PASSED else Cause.MODEL,
            measured=0.71,
            limit=0.75,
            n=1000 + index,
            interval=(0.69, 0.73),
            confidence=0.95,
            advice="Look at the rows of this slice. " * 4,
            details={"example": "x" * 20_000, "log": "y" * 20_000, "rows": list(range(500))},
        )
        for index in range(500)
    )
    evidence = replace(examples["good"](), suites={"accuracy": SuiteResult(duration_s=9, checks=checks)})
    html = render_html(evidence)
    words = Page(html).words
    assert len(html.encode()) < MAX_BYTES
    for check in checks:
        assert readable_check_id(check.key) in words
        assert check.finding.reason in words


def test_what_is_left_out_of_a_huge_run_is_counted(examples, make_check):
    """Twenty thousand checks do not fit, and the page does not pretend that they do; the failed one stays."""
    checks = [make_check("own.check", "fine " * 50, params={"row": str(index)}) for index in range(20_000)]
    checks.append(make_check("own.last", "the one that failed", outcome=Outcome.FAILED))
    evidence = replace(examples["good"](), suites={"own": SuiteResult(duration_s=9, checks=tuple(checks))})
    html = render_html(evidence)
    assert len(html.encode()) < MAX_BYTES
    words = Page(html).words
    assert "the one that failed" in words
    assert re.search(r"… and \d+ more\. All of them are in evidence\.json\.", words)


def luminance(colour):
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TONES = ("passed", "failed", "inconclusive", "errored", "skipped")
TEXT = [
    *((ink, ground) for ink in ("ink", "muted") for ground in ("bg", "surface", "sunken")),
    *((tone, f"{tone}-bg") for tone in TONES),
    *(("ink", f"{tone}-bg") for tone in TONES),
    *((tone, "surface") for tone in TONES),
    *(("on-strong", f"p{index}") for index in range(5)),
]
SHAPES = [("bar", "surface"), ("accent", "bg"), *(("on-strong", tone) for tone in TONES)]


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["light", "dark", "print"])
def test_contrast_is_enough_in_light_dark_and_print(examples, mode):
    """Text 4.5 to 1 and shapes 3 to 1, as WCAG 2.2 AA asks, from the colours on the page itself."""
    blocks = re.findall(r":root \{([^}]*)\}", render_html(examples["good"]()))
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[mode]))
    for ink, ground in TEXT:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for ink, ground in SHAPES:
        assert contrast(colours[ink], colours[ground]) >= 3, (ink, ground)


def test_the_contrast_formula_agrees_with_the_published_extremes():
    """Black on white is 21 to 1, and #767676 on white just passes."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
