"""The load section shows what the run was like, at the right places, and nothing it does not know."""

import re
from dataclasses import replace

import pytest

from mlgate.evidence import CheckResult, SuiteResult
from mlgate.load import capacity
from mlgate.report import load, load_charts
from mlgate.report.html import render_html
from mlgate.report.load import Curve, LatencyLimit, OverTime
from mlgate.report.markdown import render_markdown
from tests.unit.report.test_html import Page


def series(duration_s=4.0, bin_s=1.0, **columns):
    """Return a series of the given columns."""
    return OverTime(bin_s=bin_s, duration_s=duration_s, columns={name: tuple(held) for name, held in columns.items()})


def line(plot, kind):
    """Return the points of one line: per cent across, pixels down."""
    path = next(held.path for held in plot.lines if held.kind == kind)
    return [tuple(map(float, point)) for point in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def with_details(examples, make_check, details, check_id="load.p95_latency"):
    """Return evidence whose only load check holds *details*."""
    suite = SuiteResult(duration_s=1, checks=(make_check(check_id, "x", details=details),))
    return replace(examples["good"](), suites={"load": suite})


def test_a_bin_stands_in_the_middle_of_its_second_and_higher_is_slower():
    """The second with the stall is where it was, and above the limit line."""
    limit = LatencyLimit(quantile=0.95, value=50.0)
    plot = load_charts.latency(series(response_p95_ms=[10.0, 90.0, 20.0, 10.0]), [limit])
    points = line(plot, "response")
    assert [x for x, _ in points] == [12.5, 37.5, 62.5, 87.5]
    rule = plot.rules[0]
    assert [y < rule.y for _, y in points] == [False, True, False, False]
    assert points[0][1] == points[3][1] > points[2][1]
    assert plot.said == "The worst second has a p95 of 90 ms (at 1 s); 1 of 4 is beyond the limit."
    assert not plot.is_log


def test_a_stall_does_not_squeeze_everything_else_flat():
    """From 10 ms to 2 s is two decades: the axis is logarithmic, and says so."""
    plot = load_charts.latency(series(response_p50_ms=[10.0] * 4, response_max_ms=[12.0, 2000.0, 90.0, 12.0]), [])
    assert plot.is_log
    assert line(plot, "median")[0][1] - line(plot, "longest")[1][1] > 100


def test_a_bin_without_an_answer_is_a_hole_and_a_lone_one_a_dot():
    """A line across a hole would claim a measurement."""
    plot = load_charts.latency(series(response_p95_ms=[10.0, None, 30.0, None]), [])
    path = plot.lines[0].path
    assert path.count("M") == path.count("h0") == 2
    assert "L" not in path


def test_the_last_bin_counts_for_the_time_it_had():
    """Fifty requests in half a second are 100/s, not a drop to 50/s."""
    plot = load_charts.rate(series(duration_s=2.5, offered=[100, 100, 50], answered=[100, 0, 50], errors=[0, 100, 0]))
    assert len({y for _, y in line(plot, "offered")}) == 1
    assert plot.said == "100 of 250 requests went wrong."
    bars = next(held.path for held in plot.lines if held.kind == "errors")
    assert bars.startswith("M40 ")
    assert bars.count("M") == 1


def test_memory_is_drawn_against_the_growth_that_is_allowed():
    """A line that reaches the rule has grown by the limit; noise of a MiB stays flat."""
    grown = load_charts.memory(series(memory_mib=[200.0, 230.0, 260.0, 300.0]), 100 * 2**20)
    assert line(grown, "server")[-1][1] == pytest.approx(grown.rules[0].y)
    flat = load_charts.memory(series(memory_mib=[200.0, 201.0, 200.0, 201.0]), None)
    heights = [y for _, y in line(flat, "server")]
    assert max(heights) - min(heights) < 10


def test_each_nine_is_as_wide_as_the_one_before_and_the_limit_ends_at_its_percentile():
    """The curve passes below the corner of a limit that it keeps."""
    curve = Curve(
        n=5000, quantiles=(0.0, 0.9, 0.99, 0.999, 0.9999), response_ms=(1, 2, 3, 4, None), service_ms=(None,) * 5
    )
    plot = load_charts.percentiles(curve, [LatencyLimit(quantile=0.99, value=3.5)])
    across = [x for x, _ in line(plot, "response")]
    assert across == pytest.approx([0, 25, 50, 75])
    assert plot.rules[0].until == pytest.approx(50)
    assert plot.rules[0].y < line(plot, "response")[2][1]
    assert [label for _, label in plot.across] == ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]


def test_the_page_has_every_chart_and_each_has_a_title(examples):
    """A screen reader hears what the eye sees."""
    html = render_html(examples["stalled"]())
    section = html[html.index("Latency under load") : html.index("<h2>Cold start")]
    titles = re.findall(r"<title>(.*?)</title>", section)
    begins = [
        "Latency over 60",
        "Latency by percentile",
        "Latency of",
        "Requests a second",
        "Memory of",
        "CPU in",
        "Chal",
    ]
    assert all(any(title.startswith(begin) for title in titles) for begin in begins)
    assert section.count('role="img"') == len(titles) == len(begins)
    words = Page(html).words
    for heading in (
        "Latency over time",
        "Requests over time",
        "Memory and CPU",
        "Challenger beside champion",
        "Capacity",
    ):
        assert heading in words


def test_headroom_generator_and_attachments_are_said_in_words(examples):
    """A release manager reads no chart."""
    words = Page(render_html(examples["loaded"]())).words
    assert "100/s uses 63 % of one core; the limit is reached near 158/s." in words
    assert "The generator sent 100/s of 100/s, 1.2 ms late at p99." in words
    assert "generator 4 % of one core, server 63 % of one core, everything else 8 % of one core." in words
    assert "load/locust.html" in words
    assert "p95 141 ms > 100 ms" in words


def test_a_run_that_was_stopped_says_so_first(examples):
    """Half a run must not look like a whole one; and what nobody could read is not drawn."""
    words = Page(render_html(examples["stopped"]())).words
    section = words[words.index("Latency under load") :]
    assert section.startswith("Latency under load The run was stopped early: after 12.4 s of 60 s")
    assert "Memory and CPU" not in words


def test_percentiles_count_the_requests_without_a_good_answer(examples):
    """Beside a limit that half of the requests miss, "p95 25 ms" of the other half would be a lie."""
    for text in (Page(render_html(examples["stopped"]())).words, render_markdown(examples["stopped"]())):
        assert re.search(r"p95[ |]+no good answer", text)


def test_markdown_tells_the_same(examples):
    """For a job log or a merge request."""
    text = render_markdown(examples["loaded"]())
    section = text[text.index("## Latency under load") : text.index("## Cold start")]
    assert "limit is reached near 158/s" in section
    assert "| p99 |" in section
    assert "### Challenger beside champion: ✓ passed" in section
    assert "within the limits" in section


def test_what_has_a_form_of_its_own_is_not_shown_as_json_too(examples):
    """Two kB of numbers under a failed check help nobody."""
    assert "response_p95_ms" not in render_html(examples["stalled"]())


def test_evidence_of_older_runs_keeps_its_section(examples):
    """A histogram and a table are all there was."""
    html = render_html(examples["good"]())
    assert "Latency of " in html
    assert "Latency over time" not in html
    assert "load/locust.html" not in html


@pytest.mark.parametrize(
    "held",
    [
        [],
        {"bin_s": 1},
        {"bin_s": 0, "duration_s": 4, "offered": [1]},
        {"bin_s": 1, "duration_s": 4, "offered": []},
        {"bin_s": 1, "duration_s": 4, "offered": [1, 2], "answered": [1]},
        {"bin_s": 1, "duration_s": 1e9, "offered": [1] * 100_000},
        {"bin_s": 1, "duration_s": 2, "offered": [1] * 40},
        {"bin_s": 1e-300, "duration_s": 1e-300, "offered": [1e15]},
    ],
    ids=range(8),
)
def test_a_series_that_makes_no_sense_is_not_drawn(examples, make_check, held):
    """Details are written by suites, own checks among them; none may break the page."""
    evidence = with_details(examples, make_check, {"over_time": held})
    assert load.over_time(evidence) is None
    assert "Latency over time" not in render_html(evidence)


@pytest.mark.parametrize(
    "held",
    [
        {"n": 0},
        {"n": 9, "quantiles": [0.5, 0.1], "response_ms": [1, 2], "service_ms": [1, 2]},
        {"n": 9, "quantiles": [0.5, 1.0], "response_ms": [1, 2], "service_ms": [1, 2]},
        {"n": 9, "quantiles": [0.5, 0.9], "response_ms": [1], "service_ms": [1, 2]},
        {"n": 9, "quantiles": ["a", 0.9], "response_ms": [1, 2], "service_ms": [1, 2]},
    ],
    ids=range(5),
)
def test_a_curve_that_makes_no_sense_is_not_drawn(examples, make_check, held):
    """As a series that makes none."""
    evidence = with_details(examples, make_check, {"percentile_curve": held, "champion_percentile_curve": held})
    assert load.curve(evidence) is None
    assert load.beside(evidence) is None


def test_the_curve_of_the_comparison_is_not_that_of_the_run(examples, make_check):
    """Half of those requests went to the champion."""
    curve = {"n": 9, "quantiles": [0.0, 0.5], "response_ms": [1.0, 2.0], "service_ms": [1.0, 2.0]}
    evidence = with_details(examples, make_check, {"percentile_curve": curve}, "load.regression")
    assert load.curve(evidence) is None


def test_a_step_of_the_search_is_shown_as_the_search_writes_it(examples):
    """What the evidence holds of a step is read under the names that it is written with: nothing says `not measured`."""
    step = capacity.Step(
        callers=4, rate=100.0, n=200, errors=3, p50_ms=5.0, p95_ms=8.0, p99_ms=9.0, generator_cpu_share=0.1, exceeded=""
    )
    found = capacity.report_capacity(capacity.Capacity.of([step]), rate=50)
    suite = SuiteResult(duration_s=1.0, checks=(CheckResult(id="load.capacity", params={}, finding=found),))
    (shown,) = load.steps(replace(examples["good"](), suites={"load": suite}))
    assert (shown.callers, shown.rate, shown.errors) == ("4", "100/s", "1.5 %")
    assert all(shown.latencies)
