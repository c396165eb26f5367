"""The accuracy suite on the page: what was found, in tables and words, whatever the data call themselves."""

import re
from dataclasses import replace

import pytest

from mlgate.check_id import readable_check_id
from mlgate.evidence import Cause, Outcome, SuiteResult
from mlgate.report import accuracy, accuracy_charts
from mlgate.report.html import MAX_BYTES, render_html
from mlgate.report.markdown import render_markdown
from mlgate.report.measurements import arranged, comparisons
from tests.unit.report import accuracy_runs
from tests.unit.report.test_html import HOSTILE, Page, assert_inert, contrast
from tests.unit.report.test_markdown import rows as markdown_rows


def with_checks(examples, checks):
    """Return a run with these accuracy checks."""
    return accuracy_runs.accuracy_suite(examples["good"](), checks)


def with_tables(examples, tables, **details):
    """Return a run whose accuracy suite holds *tables*."""
    return with_checks(examples, [accuracy_runs.floor(tables=tables, **details)])


def test_the_page_shows_everything_that_the_suite_found(examples):
    """Gaps, confusion of both, the curve, the rows, the weak slices, and what it comes to."""
    words = Page(render_html(examples["sliced"]())).words
    for text in (
        "Loses on region=EU only (f1)",
        "recall, plan",
        "plan=pro: 0.58",
        "Challenger Truth stay churn",
        "Champion Truth stay churn",
        "How often rows are churn",
        "On 352 of 6 366 rows only the challenger is wrong; on 311 only the champion is.",
        "The worst 50 are listed.",
        "40 more rows",
        "age=88, plan=basic",
        "found on this data, not judged",
        "plan=pro, region=EU",
        "shows a loss of 0.0135",
        "margin needs 2 901 rows",
    ):
        assert text in words, text


def test_one_row_of_the_forest_for_each_metric_and_slice(examples):
    """Over all rows first, then the slices with the worst first; also one that could not be measured."""
    found = comparisons(examples["open_slices"]())
    shown, folded = arranged(found)
    assert len(shown) + len(folded) == len(found) == 103
    assert [item.label for item in shown][:3] == ["f1_macro", "accuracy", "f1_macro, age >= 90"]
    assert all(item.check.outcome is Outcome.PASSED for item in folded)
    assert [item.slack for item in folded] == sorted(item.slack for item in folded)
    html = render_html(examples["open_slices"]())
    assert "no interval: too little to measure" in html
    assert "94 comparisons on slices that passed" in Page(html).words


def test_few_slices_are_all_open(examples):
    """Folding seven rows would only hide them."""
    shown, folded = arranged(comparisons(examples["sliced"]()))
    assert [item.slice for item in shown] == [
        "",
        "",
        *(f"region={name}" for name in ("EU", "Africa", "LATAM", "APAC", "US")),
    ]
    assert folded == []


def test_a_gap_is_no_comparison_with_the_champion(examples):
    """Its two sides are slices of one model."""
    check = accuracy_runs.gap()
    details = {**check.finding.details, "difference": {"value": 0.1, "lower": 0.0, "upper": 0.2}, "margin": 0.1}
    check = replace(check, finding=replace(check.finding, details=details))
    assert comparisons(with_checks(examples, [check])) == []


def test_a_cell_says_its_share_of_the_true_class_and_the_change(examples):
    """Counts alone hide a rare class; the tint follows the share."""
    held = {
        "classes": ["no", "yes"],
        "folded": 0,
        "unknown": False,
        "challenger": [[90, 10], [4, 6]],
        "champion": [[80, 20], [4, 6]],
    }
    found = accuracy.confusion(with_tables(examples, {"confusion": held}))
    challenger, champion = found.tables
    cells = challenger.rows[0][1]
    assert (cells[0].count, cells[0].share, cells[0].change) == ("90", "90 %", "+10")
    assert (cells[1].share, cells[1].change) == ("10 %", "\u221210")
    assert challenger.rows[1][1][0].change == ""
    assert [cell.tone for cell in cells] == ["right4", "wrong2"]
    assert all(cell.change == "" for _, row in champion.rows for cell in row)


def test_many_classes_stand_under_numbers(examples):
    """Twenty names do not fit over twenty columns; the last row is the folded ones, the last column no class."""
    found = accuracy.confusion(examples["open_slices"]())
    assert not found.small
    assert len(found.tables[0].rows) == 20
    assert found.tables[0].rows[-1][0] == "5 further classes"
    words = Page(render_html(examples["open_slices"]())).words
    assert "17 18 19 20 none" in words
    assert "The rarest classes share the last row" in words


@pytest.mark.parametrize(
    "held",
    [
        {"classes": ["a", "b"], "challenger": [[1, 2]]},
        {"classes": ["a", "b"], "challenger": [[1, -2], [0, 0]]},
        {"classes": ["a", "b"], "challenger": [[1, "x"], [0, 0]]},
        {"classes": [], "challenger": []},
        {"classes": ["x"] * 40, "challenger": [[1] * 40] * 40},
        {"classes": "ab"},
        [],
    ],
    ids=ascii,
)
def test_a_confusion_table_of_odd_shape_is_left_out(examples, held):
    """Details are not ours to trust."""
    assert accuracy.confusion(with_tables(examples, {"confusion": held})) is None


def test_without_a_champion_there_is_one_table_and_one_curve(examples):
    """The first model has nothing beside it."""
    challenger, _ = accuracy_runs.churn(500)
    tables = accuracy_runs.comparison_details(challenger, None, range(500))
    evidence = with_tables(examples, tables)
    assert [table.title for table in accuracy.confusion(evidence).tables] == ["Challenger"]
    assert accuracy_charts.reliability(tables["reliability"]).sides == ("Challenger",)
    words = Page(render_html(evidence)).words
    assert "Rows where only" not in words
    assert "change against the champion" not in words


def test_the_curve_places_bins_on_equal_axes():
    """A calibrated bin lies on the diagonal, and a rare class is not squeezed into a corner."""
    part = {"n": 100, "score": 0.04, "share": 0.04, "lower": 0.02, "upper": 0.08}
    chart = accuracy_charts.reliability({"of": "fraud", "challenger": [part]})
    (point,) = chart.curves[0].points
    across = (point.x - chart.left) / (chart.right - chart.left)
    down = (chart.base - point.y) / (chart.base - chart.top)
    assert across == pytest.approx(down, abs=0.01) == pytest.approx(0.4, abs=0.01)
    assert chart.across[-1][1] == chart.down[-1][1] == "10 %"
    assert chart.top <= point.high < point.y < point.low <= chart.base


def test_scores_that_are_no_probabilities_draw_nothing(examples):
    """There is a reason in their place, not a chart."""
    held = {"reason": "the challenger's scores leave 0 to 1: they are no probabilities"}
    assert accuracy_charts.reliability(held) is None
    assert "they are no probabilities" in Page(render_html(with_tables(examples, {"reliability": held}))).words


def test_features_are_a_column_only_where_they_were_stored(examples):
    """With `evidence.rows: synthetic` the table has keys and answers."""
    pair = accuracy_runs.churn(300)
    plain = accuracy.rows_of_challenger(with_tables(examples, accuracy_runs.tables_of(pair)), limit=50, text=100)
    full = accuracy.rows_of_challenger(
        with_tables(examples, accuracy_runs.tables_of(pair, full=True)), limit=50, text=100
    )
    assert not plain.features
    assert full.features
    assert full.first[0].key == plain.first[0].key
    assert "plan=basic" in full.first[0].features


def test_a_regression_says_further_off_instead_of_wrong(examples):
    """A number is seldom right."""
    held = {
        "kind": "further",
        "count": 2,
        "other_way": 1,
        "n": 3,
        "rows": [{"key": "b", "truth": 20.0, "challenger": 29.5, "champion": 20.0}],
    }
    found = accuracy.rows_of_challenger(with_tables(examples, {"only_challenger": held}), limit=50, text=100)
    assert found.title == "Rows where the challenger got further off"
    assert found.sentence.startswith("On 2 of 3 rows the challenger is further off than the champion; on 1 it is")
    assert found.first[0].challenger == "29.5"


def hostile_run(examples, text):
    """Return a run in which every name that comes from data is *text*."""
    row = {"key": text, "truth": text, "challenger": text, "champion": text, "features": {text: text}}
    point = {"n": 10, "score": 0.4, "share": 0.5, "lower": 0.2, "upper": 0.8}
    tables = {
        "confusion": {
            "classes": [text, text],
            "folded": 0,
            "unknown": True,
            "challenger": [[1, 2, 3], [4, 5, 6]],
            "champion": [[1, 2, 3], [4, 5, 6]],
        },
        "reliability": {"of": text, "challenger": [point], "champion": [point]},
        "only_challenger": {"kind": "wrong", "count": 60, "n": 100, "other_way": 3, "rows": [row] * 50},
    }
    weak = {
        "weak_slices": [{"slice": {text: text}, "n": 5, "value": 0.1, "overall": 0.2, "p_adjusted": 0.01}],
        "weak_slices_search": {"loss": text},
    }
    gap = accuracy_runs.gap()
    side = {"slice": {text: text}, "value": 0.5}
    gap = replace(
        gap,
        params={"metric": text, "column": text},
        finding=replace(gap.finding, details={"best": side, "worst": side}),
    )
    checks = [
        accuracy_runs.floor(tables=tables, warning=text, **weak),
        accuracy_runs.compared("f1", 0, 0.001, 0.01, identical=True),
        *(
            accuracy_runs.compared(text, -0.1, 0.01, 0.01, slice_params={text or "x": f"{text}{index}"})
            for index in range(20)
        ),
        accuracy_runs.too_small("f1", {"slice": text}),
        gap,
    ]
    return with_checks(examples, checks)


@pytest.mark.parametrize(
    "text", [*HOSTILE, "a | b\n# c", "<" * 10_000, "\u202e" * 10_000], ids=lambda text: ascii(text)[:30]
)
def test_names_from_the_data_stay_text(examples, text):
    """Keys, classes, slices and features are written by whoever wrote the data."""
    html = render_html(hostile_run(examples, text))
    page, clean = Page(html), Page(render_html(hostile_run(examples, "harmless")))
    assert_inert(page)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in clean.elements]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "".join(page.text))
    assert len(html.encode()) < MAX_BYTES


@pytest.mark.parametrize(
    "text", [HOSTILE[0], "a | b || c", "line\n# heading\n\n| a | b |", "\u202egnp.exe \ud800"], ids=ascii
)
def test_names_from_the_data_break_no_markdown_table(examples, text):
    """Every row of a table has the cells of its head."""
    shown = render_markdown(hostile_run(examples, text))
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", shown.replace("\\`", ""))
    assert "<" not in outside
    assert "\u202e" not in shown
    assert shown.count("\n# ") == 0
    width = None
    for line in shown.splitlines():
        cells = markdown_rows(line)
        width = None if not cells else width or len(cells[0])
        assert not cells or len(cells[0]) == width, line


def test_markdown_tells_the_same(examples):
    """For a merge request: words, gaps, confusion, curve, rows, weak slices."""
    shown = render_markdown(examples["sliced"]())
    for text in (
        "Loses on region=EU only",
        "### Gaps between slices",
        "### Confusion: Champion",
        "| stay | 4 359 (88.6 %) |",
        "### Reliability of churn",
        "### Rows where only the challenger is wrong",
        "### Weak slices (found on this data, not judged)",
    ):
        assert text in shown, text


def test_five_hundred_slices_make_a_small_page_and_none_is_lost(examples):
    """Below 200 kB with twenty classes and both tables; every id and reason is there."""
    names = [f"store {index:03d}" for index in range(480)]
    checks = [
        accuracy_runs.compared("f1", 0.0, 0.004, 0.02, tables=accuracy_runs.tables_of(accuracy_runs.digits(2000))),
        *accuracy_runs.slices("f1", dict.fromkeys(names, (0.0, 0.014)), 0.03),
        *accuracy_runs.slices("f1", {"bad": (-0.2, 0.01)}, 0.03),
    ]
    evidence = with_checks(examples, checks)
    assert len(evidence.checks()) > 490
    html = render_html(evidence)
    assert len(html.encode()) < 200_000
    words = Page(html).words
    for check in evidence.checks():
        assert readable_check_id(check.key) in words
        assert check.finding.reason in words


def test_slices_in_lines_are_never_those_that_failed_alone(examples):
    """The first ten that did not pass are shown in full, however many there are."""
    names = [f"store {index:03d}" for index in range(100)]
    evidence = with_checks(examples, accuracy_runs.slices("f1", dict.fromkeys(names, (-0.2, 0.01)), 0.03))
    html = render_html(evidence)
    assert html.count('<article class="card o-failed">') == 10
    assert "90 more checks of slices" in Page(html).words


def blend(over, under, share):
    """Return the colour of *over* at an opacity of *share* on *under*."""
    parts = [(int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(top * share + low * (1 - share)):02x}" for top, low in parts)


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["light", "dark", "print"])
def test_counts_are_readable_on_every_tint(examples, mode):
    """4.5 to 1, also on the darkest cell."""
    html = render_html(examples["sliced"]())
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{([^}]*)\}", html)[mode]))
    tints = [float(share) for share in re.findall(r"\.wrong\d::before \{ opacity: (\.\d+)", html)]
    assert len(tints) == 4
    for tone in ("bar", "failed"):
        for share in tints:
            assert contrast(colours["ink"], blend(colours[tone], colours["surface"], share)) >= 4.5, (tone, share)


def test_an_empty_suite_has_no_section(examples):
    """Nothing was found, nothing is shown."""
    evidence = replace(examples["good"](), suites={"accuracy": SuiteResult(duration_s=1, checks=())})
    assert "Accuracy in detail" not in Page(render_html(evidence)).words


def test_a_broken_champion_is_said_on_the_first_screen(examples):
    """No rows can mend it."""
    check = accuracy_runs.compared("f1", 0, 0.1, 0.01)
    finding = replace(
        check.finding,
        cause=Cause.ENVIRONMENT,
        reason="the champion could not be scored: exit 1",
        details={},
        interval=None,
    )
    html = render_html(
        accuracy_runs.accuracy_suite(examples["good"](), [replace(check, finding=finding)], "inconclusive")
    )
    words = Page(html).words
    assert "Accuracy: Nothing was compared: the champion could not be scored: exit 1." in words[: words.index("Suites")]
