"""Placements by one sort, against counting every pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlgate.statistics import placements
from mlgate.statistics.clusters import effective_groups, group_codes, group_sums, groups_with
from mlgate.statistics.placements import doubled_wins, mean_share, score_vector, shares, subtract_doubled_wins


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


def by_ranks(positive, score):
    """Count wins by mid-ranks, overall and within the class: independent of how placements sorts."""
    ranks, won = stats.rankdata(score), np.zeros(score.size)
    for members in (positive, ~positive):
        won[members] = 2 * (ranks[members] - stats.rankdata(score[members]))
    return np.where(positive, won, 2 * positive.sum() - won).astype(int).tolist()


def scores(kind, n):
    """Scores that are hard to sort by their leading bits."""
    rng = np.random.default_rng(n)
    drawn = rng.normal(size=n)
    return {
        "normal": drawn,
        "one value": np.full(n, 0.25),
        "coarse": np.round(drawn, 1),
        "zeros of both signs": np.where(drawn < 0, -0.0, 0.0),
        "alike but for the last bits": 1 + np.round(4 * drawn) * 2.0**-50,
        "float32": drawn.astype(np.float32),
        "denormal": drawn * 5e-322,
        "large": drawn * 1e307,
        "some tied": np.where(rng.random(n) < 0.5, np.round(drawn, 1), drawn),
    }[kind]


HARD = ["normal", "one value", "coarse", "zeros of both signs", "alike but for the last bits", "float32", "denormal", "large", "some tied"]  # fmt: skip


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("at_once", [64, 100, 10_000])
def test_wins_do_not_depend_on_chunks_ranges_or_bits(monkeypatch, kind, at_once):
    """Chunks of 32 rows, ranges of a few chunks, and scores that differ only in bits that the sorted numbers lack."""
    monkeypatch.setattr(placements, "CHUNK", 32)
    monkeypatch.setattr(placements, "SORTED_AT_ONCE", at_once)
    score = scores(kind, 1000)
    positive = np.random.default_rng(4).random(1000) < 0.3
    assert doubled_wins(positive, score).tolist() == by_ranks(positive, score)


def test_wins_of_another_score_are_subtracted_in_place():
    """The difference of two models, in one array; nothing is left of a score less itself."""
    positive = np.random.default_rng(4).random(500) < 0.3
    new, old = scores("normal", 500), scores("coarse", 500)
    wins = doubled_wins(positive, new)
    subtract_doubled_wins(wins, positive, old)
    assert wins.tolist() == (doubled_wins(positive, new) - doubled_wins(positive, old)).tolist()
    assert wins.any()
    wins = doubled_wins(positive, new)
    subtract_doubled_wins(wins, positive, new)
    assert not wins.any()
    with pytest.raises(ValueError, match="lengths"):
        subtract_doubled_wins(wins, positive[1:], new)


def test_shares_of_some_rows_need_no_copy_of_their_wins(monkeypatch):
    """The same as of the rows taken out, across chunks."""
    monkeypatch.setattr(placements, "CHUNK", 7)
    wins = np.arange(100, dtype=np.int32)
    members = wins % 3 == 1
    assert shares(wins, 9, members).tolist() == shares(wins[members], 9).tolist() == (wins[members] / 18).tolist()
    assert mean_share(wins, 9, members) == mean_share(wins[members], 9)


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
