"""The tables of the evidence: counted right, small, and JSON that RFC 8785 can carry."""

import numpy as np
import pytest
import rfc8785
from scipy import stats
from sklearn.metrics import confusion_matrix

from mlgate.evaluation import evidence_details
from mlgate.evaluation.evidence_details import MAX_CLASSES, MAX_ROWS, MAX_TEXT, comparison_details, rows_to_show
from mlgate.evaluation.sample import UNKNOWN_CLASS, Sample
from mlgate.typed_json import jsonable


def labelled(truth, labels, classes=("no", "yes"), **more):
    """Return a sample of classes."""
    return Sample(truth=np.array(truth), labels=np.array(labels), classes=classes, **more)


def keys_of(sample):
    """Return row numbers."""
    return np.arange(len(sample))


def binary(n, seed=0, *, bias=0.0):
    """Return a binary sample with a score that is right on average when *bias* is 0."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(2, 3, n)
    truth = (rng.random(n) < chance).astype(np.int64)
    score = np.clip(chance + bias, 0, 1)
    return labelled(truth, (score > 0.5).astype(np.int64), score=score, positive=1)


def test_a_confusion_table_counts_as_scikit_learn_does(monkeypatch):
    """A row for each truth, a column for each answer; in chunks or at once."""
    rng = np.random.default_rng(1)
    truth, said, before = rng.integers(0, 4, (3, 1000))
    names = ("a", "b", "c", "d")
    for chunk in (7, 10**6):
        monkeypatch.setattr(evidence_details, "_CHUNK", chunk)
        new, old = labelled(truth, said, names), labelled(truth, before, names)
        found = comparison_details(new, old, keys_of(new))["confusion"]
        assert found["classes"] == list(names)
        assert (found["folded"], found["unknown"]) == (0, False)
        assert found["challenger"] == confusion_matrix(truth, said).tolist()
        assert found["champion"] == confusion_matrix(truth, before).tolist()


def test_an_answer_that_is_no_class_has_a_column_of_its_own():
    """It is neither dropped nor taken for a class."""
    sample = labelled([0, 1, 1], [0, UNKNOWN_CLASS, 1])
    found = comparison_details(sample, None, keys_of(sample))["confusion"]
    assert found["unknown"]
    assert found["challenger"] == [[1, 0, 0], [0, 1, 1]]
    assert "champion" not in found


def test_of_many_classes_the_frequent_ones_stay_and_the_rest_share_a_row():
    """At most twenty rows, and not one answer is lost."""
    rng = np.random.default_rng(2)
    truth = np.concatenate([rng.integers(0, 60, 500), np.repeat(np.arange(40, 59), 40)])
    said = rng.integers(-1, 60, len(truth))
    sample = labelled(truth, said, tuple(f"class {code}" for code in range(60)))
    found = comparison_details(sample, None, keys_of(sample))["confusion"]
    assert found["classes"] == [f"class {code}" for code in range(40, 59)]
    assert found["folded"] == 60 - (MAX_CLASSES - 1)
    table = np.array(found["challenger"])
    assert table.shape == (MAX_CLASSES, MAX_CLASSES + 1)
    assert table.sum() == len(truth)
    assert table[0, 0] == np.sum((truth == 40) & (said == 40))
    rest = ~np.isin(truth, range(40, 59))
    assert table[-1, -1] == np.sum(rest & (said == UNKNOWN_CLASS))
    assert table[-1, -2] == np.sum(rest & (said >= 0) & ~np.isin(said, range(40, 59)))


def test_the_reliability_curve_has_ten_bins_of_equal_size_with_wilson_intervals():
    """Mean score and share of each bin agree with a slow computation; so does the interval, with scipy's."""
    sample = binary(5000)
    found = comparison_details(sample, None, keys_of(sample))["reliability"]
    assert found["of"] == "yes"
    bins = found["challenger"]
    assert [part["n"] for part in bins] == [500] * 10
    for part, rows in zip(bins, np.split(np.argsort(sample.score), 10), strict=True):
        happened = int(sample.truth[rows].sum())
        assert part["score"] == pytest.approx(sample.score[rows].mean())
        assert part["share"] == pytest.approx(happened / 500)
        slow = stats.binomtest(happened, 500).proportion_ci(0.95, method="wilson")
        assert (part["lower"], part["upper"]) == pytest.approx(slow)


def test_a_calibrated_score_lies_on_the_diagonal_and_a_biased_one_does_not():
    """What the curve is for: of the bins of each, most hold the diagonal, or few."""
    new, old = binary(20_000, bias=0.1), binary(20_000)
    found = comparison_details(new, old, keys_of(new))["reliability"]
    inside = {
        side: sum(part["lower"] <= part["score"] <= part["upper"] for part in found[side])
        for side in ("challenger", "champion")
    }
    assert inside["champion"] >= 8
    assert inside["challenger"] <= 2


def test_equal_scores_share_a_bin_whatever_the_order_of_the_rows():
    """A tree gives few scores: the curve must not depend on how ties fall."""
    sample = labelled([0, 1, 1, 0] * 25, [0, 1, 1, 0] * 25, score=np.array([0.2, 0.9, 0.9, 0.9] * 25), positive=1)
    found = comparison_details(sample, None, keys_of(sample))["reliability"]["challenger"]
    shuffled = sample.take(np.random.default_rng(3).permutation(100))
    again = comparison_details(shuffled, None, keys_of(shuffled))["reliability"]["challenger"]
    assert [part["n"] for part in found] == [part["n"] for part in again] == [25, 75]
    assert [part["share"] for part in found] == pytest.approx([0, 2 / 3])


def test_scores_that_are_no_probabilities_have_no_curve_but_a_reason():
    """A margin of a support vector machine is no chance of anything."""
    sample = labelled([0, 1], [0, 1], score=np.array([-1.2, 3.0]), positive=1)
    assert comparison_details(sample, None, keys_of(sample))["reliability"] == {
        "reason": "the challenger's scores leave 0 to 1: they are no probabilities"
    }


def test_of_several_classes_the_curve_is_that_of_the_likeliest():
    """Confidence against being right."""
    scores = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    sample = labelled([0, 2], [0, 1], ("a", "b", "c"), scores=scores)
    found = comparison_details(sample, None, keys_of(sample))["reliability"]
    assert found["of"] == ""
    assert [(part["score"], part["share"]) for part in found["challenger"]] == [(0.6, 0.0), (0.7, 1.0)]


def test_rows_where_only_the_challenger_is_wrong_are_counted_and_named():
    """Not those where both are wrong; and the other way round is counted too."""
    new = labelled([1, 1, 1, 0, 0], [0, 0, 1, 1, UNKNOWN_CLASS])
    old = labelled([1, 1, 1, 0, 0], [0, 1, 0, 0, 0])
    found = comparison_details(new, old, ["k0", "k1", "k2", "k3", "k4"])["only_challenger"]
    assert (found["kind"], found["count"], found["other_way"], found["n"]) == ("wrong", 3, 1, 5)
    assert found["rows"] == [
        {"key": "k1", "truth": "yes", "challenger": "no", "champion": "yes"},
        {"key": "k3", "truth": "no", "challenger": "yes", "champion": "no"},
        {"key": "k4", "truth": "no", "challenger": "", "champion": "no"},
    ]


def test_the_surest_mistakes_come_first_and_at_most_fifty_are_named():
    """All are counted, however many there are."""
    n = 300
    score = np.linspace(0, 0.4, n)
    new = labelled(np.ones(n, dtype=int), np.zeros(n, dtype=int), score=score, positive=1)
    old = labelled(np.ones(n, dtype=int), np.ones(n, dtype=int), score=np.ones(n), positive=1)
    found = comparison_details(new, old, keys_of(new))["only_challenger"]
    assert found["count"] == n
    assert [row["key"] for row in found["rows"]] == [str(index) for index in range(MAX_ROWS)]


@pytest.mark.parametrize("shift", [0.0, -0.5], ids=["probability", "margin"])
def test_a_sure_mistake_is_as_bad_on_either_class(shift):
    """0.9 for a row that is not of the class, and 0.05 for one that is: the surer comes first."""
    truth = [0, 1, 0, 1]
    new = labelled(truth, [1, 0, 1, 0], score=np.array([0.9, 0.05, 0.6, 0.3]) + shift, positive=1)
    old = labelled(truth, truth, score=np.array([0.1, 0.9, 0.1, 0.9]) + shift, positive=1)
    assert rows_to_show(new, old).tolist() == [1, 0, 3, 2]


def test_of_numbers_the_rows_are_those_that_got_furthest_off():
    """A regression has no wrong answers, but worse ones."""
    truth = np.array([10.0, 20.0, 30.0])
    new = Sample(truth=truth, numbers=np.array([11.0, 29.0, 30.0]))
    old = Sample(truth=truth, numbers=np.array([10.5, 20.0, 35.0]))
    found = comparison_details(new, old, ["a", "b", "c"])["only_challenger"]
    assert (found["kind"], found["count"], found["other_way"]) == ("further", 2, 1)
    assert [row["key"] for row in found["rows"]] == ["b", "a"]
    assert found["rows"][0] == {"key": "b", "truth": 20.0, "challenger": 29.0, "champion": 20.0}


def test_features_are_there_only_where_they_were_given():
    """With `evidence.rows: synthetic` nothing but keys and answers leaves."""
    new, old = labelled([1, 0], [0, 0]), labelled([1, 0], [1, 0])
    assert rows_to_show(new, old).tolist() == [0]
    plain = comparison_details(new, old, [7, 8])["only_challenger"]["rows"]
    assert plain == [{"key": "7", "truth": "yes", "challenger": "no", "champion": "yes"}]
    full = comparison_details(new, old, [7, 8], features=[{"age": np.int64(30), "note": "x" * 999}])
    (row,) = full["only_challenger"]["rows"]
    assert row["features"]["age"] == 30
    assert len(row["features"]["note"]) == MAX_TEXT
    with pytest.raises(ValueError, match="1 rows are shown"):
        comparison_details(new, old, [7, 8], features=[])


def test_a_champion_with_another_label_set_is_left_out():
    """The same code would be another class."""
    new, old = labelled([1, 0], [0, 0]), labelled([1, 0], [1, 0], ("no", "maybe"))
    found = comparison_details(new, old, [1, 2])
    assert "champion" not in found["confusion"]
    assert "only_challenger" not in found


def test_a_ranking_has_no_tables():
    """Relevance is no class, and a rank no probability."""
    sample = Sample(truth=np.array([3.0, 0.0]), score=np.array([0.9, 0.1]), group=np.array([0, 0]))
    assert comparison_details(sample, sample, [1, 2]) == {}


def test_no_rows_make_no_numbers():
    """An empty sample is an empty table, not a division by zero."""
    sample = labelled(np.empty(0, dtype=int), np.empty(0, dtype=int), score=np.empty(0), positive=1)
    found = comparison_details(sample, sample, [])
    assert found["confusion"]["challenger"] == [[0, 0], [0, 0]]
    assert found["only_challenger"]["count"] == 0
    assert "reliability" not in found


def test_another_number_of_rows_is_refused():
    """Rows that do not pair are not compared."""
    with pytest.raises(ValueError, match="2 rows"):
        comparison_details(labelled([0, 1], [0, 1]), None, [1])
    with pytest.raises(ValueError, match="2 rows"):
        comparison_details(labelled([0, 1], [0, 1]), labelled([0], [0]), [1, 2])


def test_the_details_are_canonical_json_as_they_stand_and_small():
    """Finite numbers, text, lists: nothing that `jsonable` would have to change; hostile keys are cut."""
    new, old = binary(3000), binary(3000)
    labels = 1 - new.labels
    new = labelled(new.truth, labels, score=1 - new.score, positive=1)
    found = comparison_details(new, old, ["\u202e<script>" + "k" * 10_000] * 3000)
    assert jsonable(found) == found
    assert len(rfc8785.dumps(found)) < 30_000
