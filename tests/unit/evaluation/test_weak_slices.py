"""The search for weak slices: it finds what was planted, and seldom what is not there."""

import json

import numpy as np
import pytest

from mlgate.evaluation.sample import Sample
from mlgate.evaluation.slices import Column
from mlgate.evaluation.weak_slices import MAX_COLUMNS, MIN_ROWS, row_loss, weak_slices

N = 4000


def columns(rng, n=N):
    """Five columns of every kind, that have nothing to do with anything."""
    return {
        "region": Column(codes=rng.integers(0, 4, n), values=("EU", "US", "APAC", "LATAM")),
        "plan": Column(codes=rng.integers(0, 3, n), values=("basic", "plus", "pro")),
        "vip": Column(codes=rng.integers(-1, 2, n), values=(False, True)),
        "income": Column(codes=np.arange(n), values=rng.normal(size=n)),
        "visits": Column(codes=(rng.random(n) ** 3 * 20).astype(int), values=tuple(range(20))),
    }


def names(search):
    """What was found."""
    return [weak.name for weak in search.found]


LOSSES = {
    "right or wrong": lambda rng, n: (rng.random(n) < 0.1).astype(float),
    "absolute error": lambda rng, n: rng.lognormal(0, 1.5, n),
    "seldom any": lambda rng, n: np.where(rng.random(n) < 0.03, rng.lognormal(0, 2, n), 0.0),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_on_noise_at_most_one_run_in_twenty_reports_a_slice(loss):
    """Five columns, ten pairs, some hundred slices: without a correction nearly every run would."""
    rng = np.random.default_rng(1)
    draws = 150
    false = sum(bool(weak_slices(loss(rng, N), columns(rng)).found) for _ in range(draws))
    # Binomial: of 150 draws at 5 %, more than 14 come with probability 1 %.
    assert false <= 14


def test_a_planted_value_is_found_and_its_pairs_are_not_told_again():
    """The slice itself is the finding; what lies inside of it says nothing more."""
    rng = np.random.default_rng(2)
    context = columns(rng)
    loss = (rng.random(N) < np.where(context["region"].codes == 0, 0.25, 0.1)).astype(float)
    found = weak_slices(loss, context)
    assert names(found)[0] == "region=EU"
    assert not any(name.startswith("region=EU,") for name in names(found))
    weak = found.found[0]
    assert weak.rows == int((context["region"].codes == 0).sum())
    assert weak.loss == pytest.approx(loss[context["region"].codes == 0].mean())
    assert weak.overall == pytest.approx(loss.mean())
    assert weak.p <= weak.adjusted <= 0.05


def test_a_planted_pair_is_found():
    """Neither of the two values is weak by itself to the eye; together they are."""
    rng = np.random.default_rng(3)
    context = columns(rng)
    both = (context["region"].codes == 2) & (context["plan"].codes == 1)
    found = weak_slices((rng.random(N) < np.where(both, 0.45, 0.1)).astype(float), context)
    assert names(found)[0] == "region=APAC, plan=plus"
    assert found.found[0].to_json()["slice"] == {"region": "APAC", "plan": "plus"}


def test_a_planted_range_of_a_number_is_found():
    """A column of many numbers is cut at its quintiles."""
    rng = np.random.default_rng(4)
    context = columns(rng)
    income = np.asarray(context["income"].values)
    loss = rng.exponential(np.where(income > np.quantile(income, 0.8), 2.0, 1.0))
    assert names(weak_slices(loss, context))[0].startswith("income=>=")


def test_a_slice_with_few_rows_is_not_looked_at():
    """Nor one that leaves few outside: there is nothing to compare with."""
    loss = np.zeros(1000)
    loss[: MIN_ROWS - 1] = 1
    few = Column(codes=(np.arange(1000) >= MIN_ROWS - 1).astype(int), values=("few", "rest"))
    found = weak_slices(loss, {"x": few})
    assert (found.searched, found.found) == (0, ())


def test_rows_of_one_group_are_no_independent_witnesses():
    """Twenty households of 200 alike rows: by rows the unlucky ones stand out, by households there is nothing to see."""
    rng = np.random.default_rng(5)
    false = {True: 0, False: 0}
    for _ in range(20):
        household = np.repeat(np.arange(200), 20)
        loss = np.repeat((rng.random(200) < 0.2).astype(float), 20)
        town = {"town": Column(codes=np.repeat(rng.integers(0, 8, 200), 20), values=tuple("abcdefgh"))}
        for grouped in (True, False):
            found = weak_slices(loss, town, group=household if grouped else None)
            false[grouped] += bool(found.found)
            assert found.rows == (200 if grouped else 4000)
    assert false[True] <= 3
    assert false[False] >= 15


def test_what_was_not_looked_at_is_named():
    """A column of texts with too many values, and columns beyond the limit."""
    rng = np.random.default_rng(6)
    names_ = Column(codes=np.arange(N), values=tuple(map(str, range(N))))
    many = {f"c{index}": Column(codes=rng.integers(0, 2, N), values=("a", "b")) for index in range(MAX_COLUMNS)}
    assert weak_slices(rng.random(N), {"name": names_, **many}).skipped == (f"c{MAX_COLUMNS - 1}", "name")


def test_what_is_found_says_that_it_was_found_on_this_data():
    """Advice and no gate."""
    rng = np.random.default_rng(2)
    context = columns(rng)
    loss = (rng.random(N) < np.where(context["region"].codes == 0, 0.25, 0.1)).astype(float)
    found = weak_slices(loss, context, kind="share of wrong answers")
    assert found.sentence.startswith("region=EU: share of wrong answers 0.2")
    assert "found on this data" in found.sentence
    details = found.to_json()
    json.dumps(details, allow_nan=False)
    assert details["weak_slices_search"]["found_on_this_data"] is True
    assert details["weak_slices"][0].keys() >= {"slice", "n", "value", "overall", "p_adjusted"}
    assert weak_slices(np.zeros(N), context).sentence.startswith("no weak slice among ")


def test_nothing_to_search_is_nothing_found():
    """No rows, no columns."""
    assert weak_slices(np.zeros(0), {}).found == ()
    assert weak_slices(np.ones(500), {}).searched == 0
    assert weak_slices(np.zeros(0), {"x": Column.of([])}).found == ()


def test_a_rows_loss_follows_from_what_the_answers_hold():
    """Wrong or right, how far off, or how far from certain."""
    truth = np.array([0, 1, 1])
    assert row_loss(Sample(truth=truth, labels=np.array([0, 0, -1]))).values.tolist() == [0, 1, 1]
    assert row_loss(Sample(truth=truth.astype(float), numbers=np.array([0.5, 1, -1]))).values.tolist() == [0.5, 0, 2]
    scored = row_loss(Sample(truth=truth, score=np.array([0.5, 1, 0]), positive=1, classes=("a", "b")))
    assert scored.values.tolist() == [0.25, 0, 1]
    assert row_loss(Sample(truth=truth, score=np.array([0.5, 7, 0]), positive=1)) is None
    assert row_loss(Sample(truth=truth)) is None
