"""The AUC's methods against published numbers and against slow implementations of the definitions."""

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlgate.statistics.auc import auc, auc_covariance, auc_interval, paired_auc_interval
from mlgate.statistics.auc_ovr import auc_ovr, auc_ovr_interval, paired_auc_ovr_interval
from mlgate.statistics.interval import Interval, Undefined

DATA = Path(__file__).parent / "data"
# The reference values' source and the commands that print them are in the file.
REFERENCE = json.loads((DATA / "asah_reference.json").read_text())


@pytest.fixture(scope="module")
def asah():
    """113 patients with aneurysmal subarachnoid haemorrhage: outcome and three markers (Turck et al. 2010)."""
    with (DATA / "asah.csv").open() as file:
        rows = list(csv.DictReader(file))
    markers = {name: np.array([float(row[name]) for row in rows]) for name in ("wfns", "s100b", "ndka")}
    return np.array([row["outcome"] == "Poor" for row in rows]), markers


@pytest.mark.parametrize("marker", sorted(REFERENCE["auc"]))
def test_area_variance_and_interval_of_the_asah_markers(asah, marker):
    """The values of pROC: auc, var and two-sided 95 % ci.auc."""
    y, markers = asah
    expected = REFERENCE["auc"][marker]
    variance = float(auc_covariance(y, markers[marker], markers[marker])[0, 0])
    assert auc(y, markers[marker]) == pytest.approx(expected["auc"], abs=1e-12)
    assert variance == pytest.approx(expected["variance"], abs=1e-12)
    half = stats.norm.ppf(0.975) * math.sqrt(variance)
    assert (expected["auc"] - half, expected["auc"] + half) == pytest.approx(tuple(expected["ci95"]), abs=1e-12)


@pytest.mark.parametrize("pair", REFERENCE["paired"], ids=lambda pair: f"{pair['first']}-{pair['second']}")
def test_paired_delong_of_the_asah_markers(asah, pair):
    """The values of pROC: roc.test (Z, p, 95 % interval) and cov."""
    y, markers = asah
    covariance = auc_covariance(y, markers[pair["first"]], markers[pair["second"]])
    assert covariance[0, 1] == pytest.approx(pair["covariance"], abs=1e-12)
    difference = auc(y, markers[pair["first"]]) - auc(y, markers[pair["second"]])
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert difference / error == pytest.approx(pair["z"], abs=1e-9)
    assert 2 * stats.norm.sf(abs(difference / error)) == pytest.approx(pair["p"], abs=1e-9)
    interval = difference - 1.959963984540054 * error, difference + 1.959963984540054 * error
    assert interval == pytest.approx(tuple(pair["ci95"]), abs=1e-9)


def test_the_gating_interval_encloses_the_published_one(asah):
    """Our bounds are corrected outward from DeLong's, never inward; the estimate is the same."""
    y, markers = asah
    result = paired_auc_interval(y, markers["s100b"], markers["wfns"], 0.975)
    assert isinstance(result, Interval)
    low, high = REFERENCE["paired"][1]["ci95"]
    assert result.lower < low
    assert high < result.upper
    assert result.estimate == pytest.approx(0.731368563685637 - 0.823678861788618, abs=1e-12)


def obuchowski_variance(y, score, group):
    """Obuchowski (1997), Biometrics 53:567, section 3, as written: sums over groups of the components of all pairs."""
    positive, negative = np.flatnonzero(y), np.flatnonzero(~y)
    m, n = positive.size, negative.size
    kernel = {(i, j): float(np.heaviside(score[i] - score[j], 0.5)) for i in positive for j in negative}
    area = sum(kernel.values()) / (m * n)
    v10 = {i: sum(kernel[i, j] for j in negative) / n for i in positive}
    v01 = {j: sum(kernel[i, j] for i in positive) / m for j in negative}
    groups = np.unique(group)
    t10 = [sum(v10[i] - area for i in positive if group[i] == g) for g in groups]
    t01 = [sum(v01[j] - area for j in negative if group[j] == g) for g in groups]
    i10, i01 = np.unique(group[y]).size, np.unique(group[~y]).size
    s10 = i10 / ((i10 - 1) * m) * sum(t * t for t in t10)
    s01 = i01 / ((i01 - 1) * n) * sum(t * t for t in t01)
    s11 = groups.size / (groups.size - 1) * sum(a * b for a, b in zip(t10, t01, strict=True))
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def test_the_clustered_variance_is_obuchowskis():
    """Equal where every group has rows of both classes (there the formula's divisors agree); ties count half."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 5)
    y = np.tile([True, True, False, False, False], 40)
    score = np.round(y + rng.normal(size=40)[group] + 0.5 * rng.normal(size=200), 1)
    result = auc_interval(y, score, 0.95, group=group)
    assert isinstance(result, Interval)
    # The standard error is raised by 8 / 40 groups.
    assert result.standard_error / (1 + 8 / 40) == pytest.approx(
        math.sqrt(obuchowski_variance(y, score, group)), rel=1e-9
    )
    assert result.details["groups"] == 40


def test_groups_of_one_row_change_nothing_much():
    """With every row a group of its own, only the divisors of the variance differ."""
    rng = np.random.default_rng(1)
    y = np.repeat([True, False], [150, 200])
    new, old = rng.normal(size=(2, 350)) + y
    rows = paired_auc_interval(y, new, old, 0.95)
    groups = paired_auc_interval(y, new, old, 0.95, group=np.arange(350))
    assert isinstance(rows, Interval)
    assert isinstance(groups, Interval)
    assert groups.standard_error == pytest.approx(rows.standard_error, rel=0.01)
    assert groups.lower == pytest.approx(rows.lower, abs=0.01)


def test_too_few_groups_have_no_interval():
    """A thousand rows in ten groups are ten."""
    y = np.tile([True, False], 500)
    result = auc_interval(y, np.random.default_rng(2).normal(size=1000), 0.95, group=np.repeat(np.arange(10), 100))
    assert isinstance(result, Undefined)
    assert result.reason == "the rarer class has 10 groups, fewer than 30"


def naive_ovr_variance(truth, scores):
    """Sum the joint covariance of all classes' areas, from the influence of each row on each area by leaving it out."""

    def areas(rows):
        return np.mean([auc(truth[rows] == code, scores[rows, code]) for code in range(scores.shape[1])])

    n = truth.size
    left_out = np.array([areas(np.delete(np.arange(n), row)) for row in range(n)])
    return (n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum())


def test_one_against_the_rest_has_the_variance_of_the_jackknife():
    """The joint covariance of the placements, against leaving out one row at a time."""
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], [60, 80, 100])
    scores = rng.normal(size=(240, 3)) + 1.2 * np.eye(3)[truth]
    result = auc_ovr_interval(truth, scores, 0.95)
    assert isinstance(result, Interval)
    assert result.standard_error / (1 + 8 / 60) == pytest.approx(math.sqrt(naive_ovr_variance(truth, scores)), rel=0.02)


def test_one_against_the_rest_mirrors_and_has_a_width():
    """Swapping the models mirrors the interval; identical scores get what unseen rows could do."""
    rng = np.random.default_rng(4)
    truth = np.arange(600) % 4
    new, old = rng.normal(size=(2, 600, 4)) + np.eye(4)[truth]
    one, two = paired_auc_ovr_interval(truth, new, old, 0.95), paired_auc_ovr_interval(truth, old, new, 0.95)
    same = paired_auc_ovr_interval(truth, old, old, 0.95)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert isinstance(same, Interval)
    assert (one.lower, one.upper) == pytest.approx((-two.upper, -two.lower))
    assert -0.03 < same.lower < -0.005
    assert isinstance(auc_ovr(truth, np.column_stack([old, old[:, 0]])), Undefined)  # a class that no row has


def test_one_against_the_rest_seldom_passes_at_the_margin():
    """Simulated: the challenger's scores of class 0 are noisier; the true loss is that of a large sample."""
    rng = np.random.default_rng(5)

    def draw(rows):
        truth = rng.integers(0, 3, rows)
        old = 1.5 * np.eye(3)[truth] + rng.normal(size=(rows, 3))
        new = old + 0.3 * rng.normal(size=(rows, 3)) + np.array([0.8, 0.0, 0.0]) * rng.normal(size=(rows, 3))
        return truth, new, old

    truth, new, old = draw(400_000)
    loss = auc_ovr(truth, new) - auc_ovr(truth, old)
    results = [paired_auc_ovr_interval(*draw(400), 0.95) for _ in range(200)]
    passed = np.mean([isinstance(result, Interval) and result.lower > loss for result in results])
    assert loss < -0.01
    assert passed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_all_pairs_of_rows_give_the_area():
    """An O(n^2) count of the pairs, ties half."""
    rng = np.random.default_rng(6)
    y, score = rng.random(80) < 0.4, rng.integers(0, 9, 80).astype(np.float32)
    pairs = [
        (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        for i, j in itertools.product(np.flatnonzero(y), np.flatnonzero(~y))
    ]
    assert auc(y, score) == pytest.approx(float(np.mean(pairs)), abs=1e-12)
