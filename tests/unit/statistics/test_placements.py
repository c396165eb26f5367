"""Placements by one sort, against counting every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.statistics import placements
from mlgate.statistics.clusters import effective_groups, group_codes, group_sums, groups_with
from mlgate.statistics.placements import doubled_wins, score_vector, shares


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=60))
def test_wins_are_counted_over_all_pairs(rows):
    """Two for a pair ranked rightly, one for a tie; runs of ties of every length and mixture."""
    positive, score = (np.array(column) for column in zip(*rows, strict=True))
    score = score.astype(np.float64)
    expected = [
        sum(
            2 if (score[i] > score[j]) == positive[i] and score[i] != score[j] else score[i] == score[j]
            for j in range(score.size)
            if positive[j] != positive[i]
        )
        for i in range(score.size)
    ]
    assert doubled_wins(positive, score).tolist() == expected


def test_large_samples_are_kept_in_single_precision(monkeypatch):
    """The shares agree to seven digits, in half the memory."""
    wins = np.arange(1000, dtype=np.int32)
    double = shares(wins, 700)
    monkeypatch.setattr(placements, "SINGLE_PRECISION_ROWS", 10)
    single = shares(wins, 700)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    assert single == pytest.approx(double, rel=1e-6)


def test_float32_scores_are_not_copied():
    """At 10 M rows a copy would be 80 MB; NaN is refused all the same."""
    score = np.array([0.5, 0.25], dtype=np.float32)
    assert score_vector("score", score) is score
    with pytest.raises(ValueError, match="NaN"):
        score_vector("score", np.array([0.5, np.nan], dtype=np.float32))


def test_groups_are_numbered_summed_and_counted():
    """Codes without gaps, Kish's effective number, and groups with a marked row."""
    codes = group_codes(["b", "a", "b", "c"], 4)
    assert codes.tolist() == [1, 0, 1, 2]
    assert group_sums([1.0, 2.0, 3.0, 4.0], codes).tolist() == [2.0, 4.0, 4.0]
    marked = np.array([True, True, True, False])
    assert effective_groups(marked, codes) == pytest.approx(9 / 5)
    assert effective_groups(marked, None) == 3
    assert (groups_with(marked, codes), groups_with(marked, None)) == (2, 3)
    with pytest.raises(ValueError, match="lengths"):
        group_codes(["a"], 2)
