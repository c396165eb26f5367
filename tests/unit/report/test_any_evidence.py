"""Whatever the evidence holds, every report comes out, below its size and well formed."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgate.evidence import Cause, CheckResult, Evidence, Finding, Outcome, SuiteResult, VerdictFacts
from mlgate.report.cold_start import PHASES
from mlgate.report.html import MAX_BYTES as MAX_HTML
from mlgate.report.html import render_html
from mlgate.report.junit import render_junit
from mlgate.report.load import COLUMNS
from mlgate.report.markdown import MAX_BYTES as MAX_MARKDOWN
from mlgate.report.markdown import render_markdown
from mlgate.report.measurements import SHOWN

GENERATOR = ["offered_rate", "achieved_rate", "send_lag_p99_ms", "dropped", "generator_cores", "pinned", "calibration"]

text = st.text(st.characters(), max_size=40)
name_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10, 10)
leaf = st.none() | st.booleans() | number | st.just("nan") | text
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
estimate = st.dictionaries(st.sampled_from(["value", "lower", "upper"]), leaf)
phases = st.dictionaries(st.sampled_from(list(PHASES)) | text, leaf, max_size=5)
timeline = st.fixed_dictionaries(
    {"before": phases, "phases": phases, "imports": st.dictionaries(text, st.dictionaries(text, phases, max_size=2))}
)
table = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=3), min_size=2, max_size=2)
bin_ = st.dictionaries(st.sampled_from(["n", "score", "share", "lower", "upper"]), st.floats(0, 1) | leaf)
row = st.dictionaries(st.sampled_from(["key", "truth", "challenger", "champion"]), leaf)
tables = st.fixed_dictionaries(
    {},
    optional={
        "confusion": st.fixed_dictionaries(
            {"classes": st.lists(text, min_size=2, max_size=2), "folded": leaf, "unknown": st.booleans()},
            optional={"challenger": table | leaf, "champion": table | leaf},
        ),
        "reliability": st.dictionaries(
            st.sampled_from(["of", "challenger", "champion"]), st.lists(bin_, max_size=3) | leaf
        ),
        "only_challenger": st.fixed_dictionaries(
            {"count": leaf, "n": leaf, "other_way": leaf}, optional={"rows": st.lists(row | leaf, max_size=3) | leaf}
        ),
    },
)
column = st.lists(leaf | st.floats(0, 1e3), max_size=4)
series = st.fixed_dictionaries(
    {"bin_s": st.just(1.0) | leaf, "duration_s": st.floats(0, 5) | leaf},
    optional=dict.fromkeys(COLUMNS, column | leaf),
)
quantiles = st.lists(st.floats(0, 0.999), max_size=4, unique=True).map(sorted)
curves = st.fixed_dictionaries(
    {"n": st.integers(0, 100) | leaf, "quantiles": quantiles | leaf, "response_ms": column, "service_ms": column | leaf}
)
step = st.dictionaries(st.sampled_from(["callers", "rate", "error_share", "p95_ms", "p99_ms", "exceeded"]), leaf)
weak = st.dictionaries(st.sampled_from(["slice", "n", "value", "overall", "p_adjusted"]), leaf)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "challenger": estimate,
        "champion": estimate,
        "difference": estimate,
        "margin": leaf,
        "times_s": st.lists(leaf, max_size=5),
        "phases": phases,
        "timeline": timeline | leaf,
        "champion_timeline": timeline | leaf,
        "bytes": st.dictionaries(st.sampled_from(["model_bytes", "load_s", "mb_per_s", "disk_bytes"]), leaf),
        "percentiles": st.dictionaries(st.sampled_from(["p50", "p95", "response", "service_ms"]), leaf | estimate),
        "histogram": st.fixed_dictionaries(
            {
                "edges_ms": st.lists(st.floats(1e-300, 1e300), max_size=5, unique=True).map(sorted),
                "counts": st.lists(st.integers(0, 5), max_size=4),
            }
        ),
        "over_time": series | anything,
        "percentile_curve": curves | anything,
        "champion_percentile_curve": curves | anything,
        "generator": st.dictionaries(st.sampled_from(GENERATOR), leaf | st.dictionaries(text, leaf)) | leaf,
        "steps": st.lists(step | leaf, max_size=3) | anything,
        "headroom": leaf,
        "stopped": leaf,
        "response_ms": st.dictionaries(st.sampled_from(["p50", "p95"]), leaf) | leaf,
        "advisory": st.booleans(),
        "tables": tables | leaf,
        "weak_slices": st.lists(weak | leaf, max_size=2) | leaf,
        "weak_slices_search": st.dictionaries(st.just("loss"), leaf) | leaf,
        "values": st.dictionaries(text, estimate | leaf, max_size=2) | leaf,
        "best": st.dictionaries(st.sampled_from(["slice", "value"]), leaf) | leaf,
        "worst": st.dictionaries(st.sampled_from(["slice", "value"]), leaf) | leaf,
        "identical": leaf,
        "rows_needed": leaf,
        "rows_needed_for_margin": leaf,
        "minimum_detectable_loss": leaf,
        "warning": leaf,
    },
)
details = shaped | st.dictionaries(st.sampled_from(sorted(SHOWN)) | text, anything, max_size=5)
finding = st.builds(
    Finding,
    outcome=st.sampled_from(Outcome),
    reason=text,
    cause=st.none() | st.sampled_from(Cause),
    measured=st.none() | number,
    limit=st.none() | number,
    unit=st.sampled_from(["ms", "s", "share", "bytes", "1/s", ""]) | text,
    n=st.none() | st.integers(0, 2**53 - 1),
    interval=st.none() | st.tuples(number, number),
    confidence=st.none() | st.floats(0, 1),
    advice=text,
    details=details,
)
check = st.builds(
    CheckResult,
    id=st.sampled_from(
        [
            "accuracy.regression",
            "accuracy.slice",
            "accuracy.slices",
            "accuracy.gap",
            "load.p95_latency",
            "load.memory",
            "load.regression",
            "cold_start.ready",
        ]
    )
    | name_text,
    params=st.dictionaries(name_text | st.sampled_from(["metric", "slice"]), text, max_size=2),
    finding=finding,
)
suite = st.builds(SuiteResult, duration_s=st.floats(0, 1e6), checks=st.lists(check, max_size=4).map(tuple))
suites = st.dictionaries(st.sampled_from(["accuracy", "load", "cold_start"]) | name_text, suite, max_size=4)
verdict = st.builds(
    VerdictFacts,
    outcome=st.sampled_from(["passed", "failed", "inconclusive"]) | text,
    reasons=st.lists(text, max_size=3).map(tuple),
)


@pytest.mark.parametrize("name", ["good", "empty"])
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(suites=suites, verdict=verdict, marks=st.tuples(text, st.booleans()))
def test_any_evidence_renders_in_every_form(examples, name, suites, verdict, marks):
    """No finding, however odd, keeps a run from being reported."""
    base, (uri, complete) = examples[name](), marks
    evidence = replace(base, suites=suites, verdict=verdict, complete=complete, subject=replace(base.subject, uri=uri))
    page = render_html(evidence)
    assert len(page.encode()) < MAX_HTML
    assert "nan%" not in page
    assert "inf%" not in page
    assert len(render_markdown(evidence).encode()) < MAX_MARKDOWN
    names = [case.get("name") for case in ET.fromstring(render_junit(evidence)).iter("testcase")]
    assert len(names) == len(set(names))


def test_reports_are_the_same_after_a_round_trip(example):
    """What the gate reads back shows what was written."""
    again = Evidence.from_bytes(example.canonical())
    assert render_html(again) == render_html(example)
    assert render_markdown(again) == render_markdown(example)
    assert render_junit(again) == render_junit(example)
