"""What the accuracy suite comes to, in words."""

from dataclasses import replace

import pytest

from mlgate.evidence import Cause, CheckResult, Finding, Outcome
from mlgate.report.accuracy_words import conclusions
from mlgate.report.words import next_steps
from tests.unit.report.accuracy_runs import accuracy_suite, compared, floor, gap, slices, too_small


@pytest.fixture
def told(examples):
    """Return the conclusions of some checks."""
    return lambda *checks: conclusions(accuracy_suite(examples["good"](), checks))


def test_a_loss_on_one_slice_only_is_named(told):
    """The sentence that a model's author needs."""
    found = slices("f1", {"EU": (-0.07, 0.02), "US": (0.0, 0.01), "APAC": (0.0, 0.01)}, 0.03)
    assert told(compared("f1", 0.0, 0.01, 0.02), *found) == [
        "Loses on region=EU only (f1): all rows together pass, and so do 2 other slices."
    ]


def test_only_is_not_said_where_something_else_is_open(told):
    """What is not known may be lost too."""
    found = slices("f1", {"EU": (-0.07, 0.02), "US": (0.0, 0.05)}, 0.03)
    first = told(compared("f1", 0.0, 0.01, 0.02), *found)[0]
    assert first == "Loses on region=EU (f1); 1 further comparison did not pass."


def test_a_loss_over_all_rows_comes_first(told):
    """Then the slices, without the word only."""
    found = slices("f1", {"EU": (-0.07, 0.02), "US": (0.0, 0.01)}, 0.03)
    assert told(compared("f1", -0.05, 0.01, 0.02), compared("auc", 0.0, 0.001, 0.01), *found) == [
        "Loses over all rows, by more than the margin: f1.",
        "Loses on region=EU (f1).",
    ]


def test_many_lost_slices_are_counted_after_the_third(told):
    """A sentence of fifty names is read by nobody."""
    found = slices("f1", {f"r{index}": (-0.07, 0.02) for index in range(9)}, 0.03)
    (sentence,) = told(compared("f1", 0.0, 0.01, 0.02), *found)
    assert sentence == "Loses on region=r0, region=r1, region=r2 and 6 more only (f1): all rows together pass."


def test_the_rows_that_are_missing_are_counted(told):
    """More rows, not rows in all, and no more digits than a forecast has."""
    open_ = compared("f1", -0.005, 0.03, 0.02, n=6000, rows_needed=18_321)
    assert told(open_) == ["Needs 12 400 more rows to decide f1."]


def test_the_neediest_slices_are_named_with_their_rows(told):
    """Each slice once, with the most that any metric needs there."""
    found = [
        compared("f1", 0, 0.05, 0.03, slice_params={"region": "EU"}, n=100, rows_needed=300),
        compared("auc", 0, 0.05, 0.03, slice_params={"region": "EU"}, n=100, rows_needed=250),
        too_small("f1", {"slice": "age >= 90"}, n=0),
    ]
    assert told(compared("f1", 0.0, 0.01, 0.02), *found) == [
        "Needs 1 240 more rows where age >= 90 and 200 more rows where region=EU."
    ]


def test_a_floor_that_is_open_needs_rows_too(told):
    """The bound of a floor narrows as any other."""
    check = floor("f1")
    finding = replace(check.finding, outcome=Outcome.INCONCLUSIVE, details={"rows_needed": 7366})
    assert told(replace(check, finding=finding)) == ["Needs 1 000 more rows to decide f1."]


def test_a_missed_floor_and_a_gap_say_by_how_much(told):
    """Measured against the limit."""
    assert told(floor("f1", 0.71), gap(0.13)) == [
        "Not good enough on its own: f1 is 0.71, the limit 0.8.",
        "Unequal: recall of plan=pro is worse than that of plan=basic by 0.13; the limit is 0.1.",
    ]


def test_a_broken_champion_says_that_nothing_was_compared(told):
    """Its cause is the environment, and no number of rows helps."""
    check = compared("f1", 0, 0.1, 0.01)
    broken = replace(
        check.finding, cause=Cause.ENVIRONMENT, reason="the champion could not be scored: exit 1", details={}
    )
    assert told(replace(check, finding=broken)) == ["Nothing was compared: the champion could not be scored: exit 1."]


def test_a_slice_of_which_nothing_is_in_the_data_is_named(told):
    """A declared slice is never skipped in silence."""
    finding = Finding(
        outcome=Outcome.INCONCLUSIVE, reason="nothing was judged: no row where age >= 150", details={"values": []}
    )
    check = CheckResult(id="accuracy.slices", params={"slice": "age >= 150"}, finding=finding)
    assert told(compared("f1", 0.0, 0.01, 0.02), check) == [
        "Slice age >= 150: nothing was judged: no row where age >= 150."
    ]


def test_the_same_answers_raise_the_question(told):
    """A pass that compares a model with itself is worth a sentence."""
    assert told(compared("f1", 0.0, 0.01, 0.02, identical=True))[-1] == (
        "Both models answer every row alike: is this the same model?"
    )
    assert "alike" not in " ".join(told(compared("f1", 0.0, 0.01, 0.02)))


def test_a_pass_says_what_it_could_have_seen(told):
    """A pass without its power is half an answer."""
    found = slices("f1", {"EU": (0.0, 0.02), "US": (0.0, 0.01)}, 0.03)
    assert told(compared("f1", 0.0, 0.01, 0.02), *found) == [
        "Has not lost more than the margin against the champion, over all rows and on each of 2 slices.",
        "The smallest loss that these rows can show: 0.015 (f1).",
    ]


def test_a_warning_stands_at_the_end(told):
    """Data that too many challengers were judged on change no outcome, but are said."""
    assert told(compared("f1", 0.0, 0.01, 0.02, warning="21 challengers were judged on these rows"))[-1] == (
        "Warning: 21 challengers were judged on these rows."
    )


def test_the_first_screen_says_it_where_accuracy_stands_in_the_way(examples):
    """And not where it does not."""
    assert any(step.startswith("Accuracy: Loses on region=EU only") for step in next_steps(examples["sliced"]()))
    assert not any(step.startswith("Accuracy:") for step in next_steps(examples["uninstallable"]()))
    assert not any(step.startswith("Accuracy:") for step in next_steps(examples["alike"]()))


def test_a_suite_that_did_not_run_says_nothing(examples):
    """No sentence about nothing."""
    assert conclusions(examples["empty"]()) == []
