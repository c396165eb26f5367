"""Charts place things where the numbers say."""

from dataclasses import replace

import pytest

from mlgate.evidence import SuiteResult
from mlgate.report import charts
from mlgate.report.measurements import Latency, Limit, comparisons, latency, repeats


def with_accuracy(examples, checks):
    """Return evidence that holds *checks* only."""
    return replace(examples["good"](), suites={"accuracy": SuiteResult(duration_s=1, checks=tuple(checks))})


def test_every_difference_is_drawn_in_units_of_its_own_margin(examples, make_check):
    """An error of 500 dollars and one of 0.01 share one limit line."""
    rows = [
        make_check(
            "accuracy.regression",
            "x",
            params={"metric": name},
            details={"difference": {"value": 0, "lower": -margin, "upper": margin / 2}, "margin": margin},
        )
        for name, margin in (("rmse", 500.0), ("f1", 0.01))
    ]
    chart = charts.forest(comparisons(with_accuracy(examples, rows)))
    first, second = chart.rows
    assert first.lower == second.lower == chart.margin
    assert first.value == second.value == chart.zero
    assert chart.margin < chart.zero < first.upper


def test_a_bound_beyond_the_edge_is_an_arrow_inside_it(examples, make_check):
    """One wild row does not squeeze the others flat."""
    row = make_check(
        "accuracy.regression", "x", details={"difference": {"value": 9, "lower": -900, "upper": None}, "margin": 1}
    )
    chart = charts.forest(comparisons(with_accuracy(examples, [row])))
    assert chart.rows[0].open_left
    assert chart.rows[0].open_right
    assert 0 <= chart.rows[0].lower < chart.rows[0].upper <= 100


def test_a_limit_outside_the_samples_is_on_the_axis():
    """The limit line is the point of the chart."""
    held = Latency(
        edges_ms=(1.0, 2.0, 4.0), counts=(3, 1), percentiles={}, limits=(Limit(label="p95 limit", value=400.0),)
    )
    chart = charts.histogram(held)
    mark = chart.marks[0]
    assert chart.bars[-1].x + chart.bars[-1].width < mark.x <= 95
    assert chart.bars[0].height == pytest.approx(3 * chart.bars[1].height, rel=0.01)
    assert len(chart.ticks) <= 7


@pytest.mark.parametrize(
    "histogram",
    [
        {},
        [],
        "x",
        {"edges_ms": [], "counts": []},
        {"edges_ms": [1, 2], "counts": [1, 2]},
        {"edges_ms": [2, 1], "counts": [1]},
        {"edges_ms": [0, 1], "counts": [1]},
        {"edges_ms": [1, 2], "counts": [0]},
        {"edges_ms": [1, 2], "counts": [-1]},
        {"edges_ms": [1, "nan"], "counts": [1]},
    ],
    ids=str,
)
def test_a_histogram_that_makes_no_sense_is_not_drawn(examples, make_check, histogram):
    """Details are written by suites, own checks among them; none may break the page."""
    check = make_check("load.p95_latency", "x", details={"histogram": histogram})
    evidence = replace(examples["good"](), suites={"load": SuiteResult(duration_s=1, checks=(check,))})
    assert latency(evidence) is None


def test_cold_starts_and_their_limit_share_one_axis(examples):
    """A dot right of the line is a start that took too long."""
    chart = charts.dots(repeats(examples["refused"]()))
    row = chart.rows[0]
    assert sum(dot > row.limit.x for dot in row.dots) == 2
    assert chart.ticks[0].label == "0 s"


def test_nothing_to_draw_draws_nothing(examples):
    """An empty run has no charts."""
    evidence = examples["empty"]()
    assert charts.forest(comparisons(evidence)) is None
    assert latency(evidence) is None
    assert charts.dots(repeats(evidence)) is None
