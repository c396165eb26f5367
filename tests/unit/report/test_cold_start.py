"""The bars of a cold start: phases on one scale, the slowest by name, and what the times depend on."""

from dataclasses import replace

import pytest

from mlgate.report.cold_start import bars, circumstances, sentence, sides
from mlgate.report.html import render_html


def test_the_challenger_stands_over_the_champion_on_one_scale(examples):
    """The longer bar takes the whole width; a phase has one number and one colour on both."""
    chart = bars(sides(examples["good"]()))
    challenger, champion = chart.bars
    assert challenger.label == "Challenger: 2.77 s"
    assert champion.label == "Champion: 2.04 s"
    assert challenger.y < champion.y
    assert sum(part.width for part in challenger.segments) == pytest.approx(100, abs=0.1)
    assert sum(part.width for part in champion.segments) == pytest.approx(100 * 2.04 / 2.77, abs=0.1)
    assert [part.number for part in champion.segments] == [part.number for part in challenger.segments]


def test_phases_are_in_the_order_of_time_from_the_containers_creation(examples):
    """The engine's share is in the bar, and a line where the limits begin to count."""
    chart = bars(sides(examples["good"]()))
    assert [row.label for row in chart.rows][:4] == [
        "Container is created",
        "Container starts",
        "Interpreter starts",
        "Libraries import",
    ]
    assert chart.rows[4].takes == ("900 ms", "320 ms")
    assert chart.bars[0].begin == pytest.approx(100 * 0.43 / 2.77, abs=0.1)


def test_a_run_without_a_champion_has_one_bar(examples):
    """And no line where the engine's share is not known."""
    chart = bars(sides(examples["good"]())[:1])
    assert len(chart.bars) == 1
    evidence = examples["good"]()
    suite = evidence.suites["cold_start"]
    plain = replace(suite.checks[0], finding=replace(suite.checks[0].finding, details={"phases": {"load": 1.0}}))
    alone = replace(evidence, suites={"cold_start": replace(suite, checks=(plain,))})
    (bar,) = bars(sides(alone)).bars
    assert bar.begin is None


def test_the_slowest_thing_is_named_on_both_sides(examples):
    """Phase, share, and the import that takes most of it."""
    told = sentence(sides(examples["good"]()))
    assert "Challenger: imports 40 % (1.12 s): mlflow 800 ms" in told
    assert "Champion: imports 53 %" in told
    assert told.replace(" ", "") in render_html(examples["good"]()).replace("\u00a0", "").replace(" ", "")


def test_what_the_times_depend_on_is_said(examples):
    """The image, the page cache, and how fast a big model was read."""
    told = circumstances(examples["good"]())
    assert "Page cache: warm: an earlier server had read the environment and the model." in told
    assert "Environment image: build (install 14.2 s, total 19.8 s)." in told
    assert any(line.startswith("Model: 333.8 MiB loaded in 900 ms, 388.9 MB/s") for line in told)


def test_nothing_measured_draws_nothing(examples):
    """An empty run has no bars and no sentence."""
    found = sides(examples["empty"]())
    assert (bars(found), sentence(found), circumstances(examples["empty"]())) == (None, "", [])
