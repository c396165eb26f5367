"""Statistics of weighted rows: a weight of k is the row k times. Held against scikit-learn and numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mlgate.statistics.calibration import BINS, CalibrationBins, calibration_bounds
from mlgate.statistics.precision_recall import PrecisionRecall

rows = st.lists(st.tuples(st.booleans(), st.integers(-4, 4), st.integers(0, 3)), min_size=1, max_size=50)


def columns(drawn):
    """Labels, scores and weights as arrays, and the repeated rows' indices."""
    positive, score, weight = (np.array(column) for column in zip(*drawn, strict=True))
    return positive, score.astype(float), weight.astype(np.int32), np.repeat(np.arange(weight.size), weight)


@given(rows)
def test_average_precision_of_repeated_rows(drawn):
    """scikit-learn's average_precision_score of the rows, each as often as its weight; ties are one threshold."""
    positive, score, weight, repeated = columns(drawn)
    found = PrecisionRecall(positive, score).average_precision(np.stack([weight, weight * 2]))
    if positive[repeated].any():
        expected = sk.average_precision_score(positive[repeated], score[repeated])
        assert found == pytest.approx([expected, expected])
    else:
        assert np.isnan(found).all()


@given(rows, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_recall_at_precision_of_repeated_rows(drawn, least):
    """The highest recall on scikit-learn's curve at this precision; weights are not changed."""
    positive, score, weight, repeated = columns(drawn)
    given_weights = weight[np.newaxis].copy()
    found = PrecisionRecall(positive, score).recall_at(least, given_weights)
    assert (given_weights == weight).all()
    if positive[repeated].any():
        precision, recall, _ = sk.precision_recall_curve(positive[repeated], score[repeated])
        assert found == pytest.approx([recall[precision >= least].max()])
    else:
        assert np.isnan(found).all()


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_the_calibration_error_is_its_definition(drawn):
    """Guo et al. (2017), equations 2 and 3: bins of equal width, closed above."""
    hit, confidence = (np.array(column) for column in zip(*drawn, strict=True))
    expected = 0.0
    for low in np.arange(BINS):
        inside = (np.ceil(confidence * BINS) == low + 1) | ((confidence == 0) & (low == 0))
        if inside.any():
            expected += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert CalibrationBins.of(confidence, hit).error() == pytest.approx(expected, abs=1e-12)


def calibrated(rng, n, *, sharpness=1.0):
    """Draw hits with the chances that are predicted, or sharper predictions than chances."""
    chance = rng.random(n)
    logit = np.log(chance / (1 - chance))
    return CalibrationBins.of(1 / (1 + np.exp(-sharpness * logit)), rng.random(n) < chance)


def test_the_bounds_cover_a_calibrated_model():
    """Its true error is 0, where a bootstrap's lower bound is above in every sample: the error is biased upwards."""
    rng = np.random.default_rng(0)
    found = [calibration_bounds([calibrated(rng, 1000)], None, 0.95, 1) for _ in range(200)]
    assert np.mean([bounds.lower > 0 for bounds in found]) <= 0.05 + 0.046


def test_the_difference_of_two_models_is_covered():
    """The champion calibrated, the challenger overconfident: the true difference is that of a large sample."""
    rng = np.random.default_rng(1)

    def pair(n):
        chance = rng.random(n)
        logit, hit = np.log(chance / (1 - chance)), rng.random(n) < chance
        return [CalibrationBins.of(1 / (1 + np.exp(-s * logit)), hit) for s in (1.6, 1.0)]

    large = [model.error() for model in pair(1_000_000)]
    true = large[0]  # the champion's is 0
    found = [calibration_bounds(pair(1500), None, 0.95, 1) for _ in range(200)]
    assert np.mean([bounds.upper < true for bounds in found]) <= 0.05 + 0.046
    assert np.mean([bounds.lower > true for bounds in found]) <= 0.05 + 0.046


def test_groups_widen_the_calibration_bounds():
    """Rows in ten copies are worth a tenth."""
    rng = np.random.default_rng(2)
    one = calibrated(rng, 1000, sharpness=2.0)
    copies = CalibrationBins(
        position=np.repeat(one.position, 10), excess=np.repeat(one.excess, 10), expected=10 * one.expected
    )
    single = calibration_bounds([one], None, 0.95, 1)
    grouped = calibration_bounds([copies], np.repeat(np.arange(1000), 10), 0.95, 1)
    assert grouped.standard_error == pytest.approx(single.standard_error, rel=0.1)
