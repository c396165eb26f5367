"""F1, one model and paired."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from mlgate.statistics.confusion import f1_interval, paired_f1_interval
from mlgate.statistics.interval import Interval, Undefined

rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60).filter(
    lambda table: any(row[0] for row in table)
)

# Truth, challenger, champion of the eight kinds of row.
KINDS = np.array([[t, new, old] for t in (1, 0) for new in (1, 0) for old in (1, 0)])


@given(rows)
def test_estimates_equal_scikit_learn_within_bounds(table):
    """Values are f1_score's, the bounds enclose them and have width."""
    y, new, old = np.array(table).T
    single, paired = f1_interval(y, new, 1, 0.95), paired_f1_interval(y, new, old, 1, 0.95, seed=0)
    assert isinstance(single, Interval)
    assert isinstance(paired, Interval)
    assert single.estimate == pytest.approx(f1_score(y, new, zero_division=0))
    difference = f1_score(y, new, zero_division=0) - f1_score(y, old, zero_division=0)
    assert paired.estimate == pytest.approx(difference)
    assert 0 <= single.lower < single.upper <= 1
    assert -1 <= paired.lower < paired.upper <= 1


@given(rows)
def test_swapping_the_models_mirrors_the_interval(table):
    """The same seed gives exactly mirrored bounds."""
    y, new, old = np.array(table).T
    one = paired_f1_interval(y, new, old, 1, 0.95, seed=5)
    two = paired_f1_interval(y, old, new, 1, 0.95, seed=5)
    assert isinstance(one, Interval)
    assert isinstance(two, Interval)
    assert (one.lower, one.estimate, one.upper) == (-two.upper, -two.estimate, -two.lower)


def test_the_single_interval_is_exact():
    """70 hits among 100 rows that are or are called positive: Clopper-Pearson through 2J / (1 + J)."""
    y = np.repeat([1, 1, 0, 0], [70, 20, 10, 500])
    predicted = np.repeat([1, 0, 1, 0], [70, 20, 10, 500])
    result = f1_interval(y, predicted, 1, 0.95)
    assert isinstance(result, Interval)
    share = stats.binomtest(70, 100).proportion_ci(0.9, method="exact")
    expected = 2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high)
    assert (result.lower, result.upper) == pytest.approx(expected)


def test_identical_models_get_the_rule_of_three():
    """No discordant row still allows some three lost positives or added alarms."""
    y = np.repeat([1, 0], [500, 500])
    result = paired_f1_interval(y, y, y, 1, 0.95, seed=0)
    assert isinstance(result, Interval)
    assert -0.006 < result.lower < -0.002
    assert result.upper == -result.lower


@pytest.mark.parametrize(
    ("n", "shares"),
    [
        # in the order of KINDS: true positives of both, challenger, champion, neither; the same for true negatives
        (1000, [0.3, 0.02, 0.03, 0.1, 0.05, 0.02, 0.02, 0.46]),
        (500, [0.3, 0.0, 0.012, 0.1, 0.05, 0.0, 0.0, 0.538]),
        (500, [0.3, 0.0, 0.006, 0.1, 0.05, 0.006, 0.0, 0.538]),
        (2000, [0.012, 0.001, 0.002, 0.003, 0.004, 0.002, 0.002, 0.974]),
    ],
    ids=["balanced", "rare losses", "rare losses and alarms", "rare positives"],
)
def test_a_challenger_at_the_margin_seldom_passes(n, shares):
    """Simulated one-sided error at the margin is at most 5 %, where a plain bootstrap's reaches 10 %."""
    rng = np.random.default_rng(3)
    p = np.array(shares)
    new, old = (2 * (p[0] + p[i]) / (p[:4].sum() + p[0] + p[i] + p[4] + p[4 + i]) for i in (1, 2))
    passed = 0
    for i in range(600):
        y, challenger, champion = np.repeat(KINDS, rng.multinomial(n, p), axis=0).T
        result = paired_f1_interval(y, challenger, champion, 1, 0.95, seed=i)
        assert isinstance(result, Interval)
        passed += result.lower > new - old
    assert passed / 600 <= 0.05


def test_no_positives_are_undefined():
    """F1 of a class that is not there is no number, whatever the models say."""
    assert isinstance(f1_interval([0, 0], [1, 0], 1, 0.95), Undefined)
    result = paired_f1_interval(["a", "b"], ["a", "b"], ["a", "b"], "c", 0.95, seed=0)
    assert isinstance(result, Undefined)
    assert "'c'" in result.reason
    assert isinstance(f1_interval([], [], 1, 0.95), Undefined)


def test_a_champion_at_zero_needs_no_ratio():
    """A champion without a single hit has F1 0; the difference is defined (peers.md section 3.2, entry 5)."""
    y = np.repeat([1, 0], 50)
    result = paired_f1_interval(y, y, np.zeros(100), 1, 0.95, seed=0)
    assert isinstance(result, Interval)
    assert result.estimate == 1
    assert result.lower > 0.8


def test_missing_labels_and_unequal_lengths_are_refused():
    """None and NaN are not a class."""
    for missing in (np.array([1.0, np.nan]), np.array(["a", None], dtype=object)):
        with pytest.raises(ValueError, match="missing"):
            f1_interval(missing, [1, 0], 1, 0.95)
    with pytest.raises(ValueError, match="lengths"):
        paired_f1_interval([1, 0], [1, 0], [1], 1, 0.95, seed=0)
