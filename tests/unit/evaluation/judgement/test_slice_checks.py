"""Declared slices: each value is judged, none is lost, and what is too small is open by its name."""

import json

import numpy as np
import pytest

from mlgate.evaluation.judgement.sides import Absence, NoChampion
from mlgate.evidence import Outcome
from tests.unit.evaluation.judgement.samples import binary, compare, numbers, wrong_at

N = 3000
REGION = ["EU"] * 1000 + ["US"] * 1000 + ["APAC"] * 1000


def sliced(challenger, champion, slices, context, margin=0.02, metric="accuracy"):
    """A comparison with slices."""
    return compare(challenger, champion, metrics={metric: {"margin": margin}}, slices=slices, context=context)


def outcomes(comparison, name):
    """Outcome by check id."""
    return {check.key: str(check.outcome) for check in comparison.slice_checks(name)}


def test_every_value_is_judged_under_its_own_name():
    """A loss on one region only: it fails, the others and the whole pass."""
    comparison = sliced(binary(N, 100), binary(N, 0), ["region"], {"region": REGION}, margin=0.05)
    assert comparison.regression("accuracy").outcome is Outcome.PASSED
    assert outcomes(comparison, "region") == {
        "accuracy.slice[metric=accuracy,region=APAC]": "passed",
        "accuracy.slice[metric=accuracy,region=EU]": "failed",
        "accuracy.slice[metric=accuracy,region=US]": "passed",
    }
    whole = comparison.slices("region")
    assert whole.outcome is Outcome.FAILED
    assert whole.advice == "the challenger loses on region=EU only"
    assert "failed on region=EU (accuracy)" in whole.reason
    assert {row["name"]: (row["rows"], row["outcomes"]["accuracy"]) for row in whole.details["values"]}[
        "region=EU"
    ] == (
        1000,
        "failed",
    )
    json.dumps(dict(whole.details), allow_nan=False)


def test_a_slice_is_judged_on_its_own_rows():
    """The same numbers as a comparison of those rows alone."""
    wrong = np.flatnonzero(wrong_at(N, 60, 500) == 0)
    comparison = sliced(binary(N, 60, 500), binary(N, 20, 900), ["region"], {"region": REGION}, margin=0.1)
    found = {check.params["region"]: check.finding for check in comparison.slice_checks("region")}
    assert {value: finding.n for value, finding in found.items()} == {"APAC": 1000, "EU": 1000, "US": 1000}
    assert found["EU"].measured == pytest.approx(-(len(wrong) - 20) / 1000)
    assert found["US"].measured == 0
    assert "same model" in found["US"].reason


def test_an_expression_is_one_slice():
    """Its check id carries its text."""
    age = (np.arange(N) % 100).tolist()
    comparison = sliced(binary(N, 30), binary(N, 30), ["age >= 65"], {"age": age})
    assert outcomes(comparison, "age >= 65") == {"accuracy.slice[metric=accuracy,slice=age%20%3E%3D%2065]": "passed"}
    (check,) = comparison.slice_checks("age >= 65")
    assert check.finding.n == 1050
    assert check.finding.reason.startswith("accuracy on age >= 65: ")


def test_a_slice_without_a_row_is_open_by_its_name_with_the_rows_it_needs():
    """Nobody was over 200 years old in the data: that is no pass."""
    age = (np.arange(N) % 100).tolist()
    comparison = sliced(binary(N, 40), binary(N, 30), ["age > 200"], {"age": age})
    (check,) = comparison.slice_checks("age > 200")
    assert check.outcome is Outcome.INCONCLUSIVE
    assert "age > 200: no rows" in check.finding.reason
    assert check.finding.details["rows_needed"] > 0
    assert "rows of age > 200 would decide" in check.finding.advice
    whole = comparison.slices("age > 200")
    assert whole.outcome is Outcome.INCONCLUSIVE
    assert "inconclusive on age > 200 (accuracy)" in whole.reason


def test_a_slice_that_is_too_small_is_open_by_its_name_with_the_rows_it_needs():
    """Where the metric is not defined, and where its interval is too wide."""
    rng = np.random.default_rng(1)
    truth = rng.normal(0, 1, N)
    new, old = (numbers(truth, truth + rng.normal(0, 1, N)) for _ in range(2))
    region = ["tiny"] * 5 + ["small"] * 100 + ["large"] * (N - 105)
    comparison = sliced(new, old, ["region"], {"region": region}, margin=0.1, metric="mae")
    found = {check.params["region"]: check.finding for check in comparison.slice_checks("region")}
    assert {value: str(finding.outcome) for value, finding in found.items()} == {
        "tiny": "inconclusive", "small": "inconclusive", "large": "passed",
    }  # fmt: skip
    assert "mae on region=tiny: 5 rows are fewer than 20" in found["tiny"].reason
    assert 100 < found["tiny"].details["rows_needed"] < N
    assert found["small"].details["rows_needed"] > 100


@pytest.mark.parametrize(
    ("slices", "context", "says"),
    [
        (["region"], {}, "no column 'region'"),
        (["region"], {"region": [str(index) for index in range(N)]}, "3000 values, more than 50"),
        (["age > 3"], {"age": ["old"] * N}, "holds texts and is compared with a number"),
    ],
)
def test_rows_that_can_not_be_sliced_so_are_open_by_name(slices, context, says):
    """One check says so: the one that is always there."""
    comparison = sliced(binary(N, 5), binary(N, 5), slices, context)
    assert comparison.slice_checks(slices[0]) == ()
    finding = comparison.slices(slices[0])
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert says in finding.reason
    assert finding.advice


def test_a_whole_that_passed_says_how_many_values_it_holds():
    """And carries each of them."""
    comparison = sliced(binary(N, 5), binary(N, 5), [{"cross": ["region", "plan"]}], {"region": REGION, "plan": ["a", "b"] * 1500})  # fmt: skip
    finding = comparison.slices("region x plan")
    assert finding.outcome is Outcome.PASSED
    assert finding.reason == "6 values of region x plan judged: all passed (n = 3 000)"
    assert len(finding.details["values"]) == 6
    keys = outcomes(comparison, "region x plan")
    assert "accuracy.slice[metric=accuracy,plan=a,region=EU]" in keys


def test_the_margins_family_counts_a_comparison_that_is_not_defined():
    """It could have failed, so it is one of the chances to fail a healthy model."""
    context = {"age": (np.arange(N) % 100).tolist()}
    slices = ["age > 200", "age > 50"]
    finding = sliced(binary(N, 40), binary(N, 30), slices, context).regression("accuracy")
    assert finding.details["adjusted_confidence"] == pytest.approx(1 - 0.05 / 3)


def test_a_broken_champion_leaves_every_slice_open():
    """The values are there, and no one to compare with."""
    champion = NoChampion(absence=Absence.BROKEN, reason="killed for memory")
    comparison = sliced(binary(N, 5), champion, ["region"], {"region": REGION})
    assert set(outcomes(comparison, "region").values()) == {"inconclusive"}
    finding = comparison.slices("region")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "repair or move the champion alias" in finding.advice


def test_a_healthy_model_is_seldom_failed_on_any_of_twenty_slices():
    """At the margin everywhere, 21 comparisons at 5 % each would fail two of three models; Holm at most one in 20."""
    rng = np.random.default_rng(7)
    failed, draws = 0, 80
    store = [str(index % 20) for index in range(4000)]
    for _ in range(draws):
        # True loss of 4 points, the margin itself: 3 % gained, 7 % lost.
        change = rng.choice([1, -1, 0], 4000, p=[0.03, 0.07, 0.9])
        new, old = binary(4000, 0), binary(4000, 0)
        new.labels[change == -1] = 0
        old.labels[change == 1] = 0
        comparison = sliced(new, old, ["store"], {"store": store}, margin=0.04)
        findings = [comparison.regression("accuracy"), comparison.slices("store")]
        failed += any(finding.outcome is Outcome.FAILED for finding in findings)
    # Binomial: of 80 draws at 5 %, more than 9 come with probability 1 %.
    assert failed <= 9
