"""Answers as arrays: the same values as row by row, for every shape that models answer in."""

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.answer_columns import AnswerColumns, Classes
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput, label_text
from mlgate.evaluation.sample import UNKNOWN_CLASS
from mlgate.policy_accuracy import Accuracy

ALL = frozenset({Need.LABELS, Need.SCORE, Need.SCORES, Need.NUMBERS})
TWO, THREE = {"classes": ("stay", "churn")}, {"classes": ("a", "b", "c"), "positive": "b"}


def mapping(**values):
    """The mapping that a policy's section says."""
    return OutputMapping.of(Accuracy.model_validate(values))


def read(rows, needs=ALL, found=("stay", "churn"), **values):
    """Read all *rows* at once."""
    of = mapping(**values)
    columns = AnswerColumns(of, needs, Classes.of(found, of), len(rows))
    columns.take(rows)
    return columns, columns.sample(np.zeros(len(rows), dtype=np.int8))


def labels(sample):
    """Predicted classes as text."""
    return ["?" if code == UNKNOWN_CLASS else sample.classes[code] for code in sample.labels.tolist()]


@pytest.mark.parametrize(
    ("values", "rows", "expected"),
    [
        ({}, ["stay", "churn", "stay"], ["stay", "churn", "stay"]),
        (TWO, [0.2, 0.9, 0.5], ["stay", "churn", "churn"]),
        (TWO, [[0.8, 0.2], [0.1, 0.9], [0.5, 0.5]], ["stay", "churn", "stay"]),
        ({**TWO, "threshold": 0.15}, [[0.8, 0.2], [0.9, 0.1]], ["churn", "stay"]),
        (TWO, [{"stay": 0.8, "churn": 0.2}, {"stay": 0.1, "churn": 0.9}], ["stay", "churn"]),
        ({"prediction": "y", "score": "p"}, [{"y": "churn", "p": 0.1}, {"y": "stay", "p": 0.9}], ["churn", "stay"]),
        ({**TWO, "score": "p"}, [{"p": 0.9, "q": 1}, {"p": 0.1, "q": 1}], ["churn", "stay"]),
        ({**TWO, "score": "p"}, [{"y": 3, "p": [0.9, 0.1]}, {"y": 3, "p": [0.1, 0.9]}], ["stay", "churn"]),
        (TWO, [{"out": [0.9, 0.1]}, {"out": [0.2, 0.8]}], ["stay", "churn"]),
        (TWO, [{"out": [0.9]}, {"out": [0.2]}], ["churn", "stay"]),
        (TWO, [["churn"], ["stay"]], ["churn", "stay"]),
        ({"prediction": 0, "score": 1}, [["churn", 0.1], ["stay", 0.9]], ["churn", "stay"]),
    ],
)
def test_labels_come_from_every_shape_that_models_answer_in(values, rows, expected):
    """Labels; one probability; an array without names; named columns; a column a class."""
    assert labels(read(rows, {Need.LABELS}, **values)[1]) == expected


def test_a_column_a_class_and_an_array_give_the_scores_in_the_order_of_the_classes():
    """Whatever order the model's columns have."""
    named = read([{"c": 0.2, "a": 0.5, "b": 0.3}], {Need.SCORES, Need.SCORE}, found=("c", "d"), **THREE)[1]
    array = read([[0.5, 0.3, 0.2]], {Need.SCORES, Need.SCORE}, found=("c", "d"), **THREE)[1]
    assert named.classes == ("a", "b", "c", "d")
    np.testing.assert_array_equal(named.scores, [[0.5, 0.3, 0.2, 0.0]])  # what the model never saw has no score
    np.testing.assert_array_equal(named.scores, array.scores)
    assert named.score.tolist() == array.score.tolist() == [0.3]


def test_of_two_classes_the_score_of_the_positive_one_says_both():
    """A sample with `score` and no `scores` is binary."""
    columns, sample = read([[0.8, 0.2], [0.1, 0.9]], {Need.SCORES, Need.POSITIVE}, **TWO)
    assert sample.scores is None
    assert sample.score.tolist() == [0.2, 0.9]
    assert sample.positive == 1
    assert columns.problem_of({Need.SCORES}) is None


def test_numbers_labels_and_truth_values_of_the_same_class_are_one():
    """1, 1.0, true and "1" are one label in JSON, CSV and numpy."""
    for rows in ([1, 0], [1.0, 0.0], [True, False], ["1", "0"], [1, 0.0], [[1], [0]]):
        assert labels(read(rows, {Need.LABELS}, found=("0", "1"))[1]) == ["1", "0"], rows


def test_classes_are_the_policys_in_its_order_then_the_datas():
    """Numbers by their value, texts after them."""
    assert Classes.of(["10", "9", "x"], mapping()).names == ("9", "10", "x")
    assert Classes.of(["10", "9", "x"], mapping(classes=("x", "9"))).names == ("x", "9", "10")
    assert Classes.of(["no"], mapping(positive="yes"), stated=True) == Classes(names=("no", "yes"), positive=1)
    assert Classes.of(["no"], mapping()).positive is None


def test_a_label_that_is_no_class_is_counted_and_named():
    """It is wrong everywhere, and whoever reads the report should know what it was."""
    columns, sample = read(["stay", "gone", "gone", 7, "churn"], {Need.LABELS})
    assert labels(sample) == ["stay", "?", "?", "?", "churn"]
    assert (columns.unknown_rows, dict(columns.unknown)) == (3, {"gone": 2, "7": 1})
    columns, _ = read([str(index) for index in range(1000)], {Need.LABELS})
    assert columns.unknown_rows == 1000
    assert len(columns.unknown) == 10


def test_what_one_need_lacks_spoils_the_others_not():
    """An answer of labels alone has no score, and its accuracy can be judged all the same."""
    columns, sample = read(["stay", "churn"], {Need.LABELS, Need.SCORE})
    assert labels(sample) == ["stay", "churn"]
    assert sample.score is None
    assert "'stay' is not a number" in str(columns.problem_of({Need.SCORE, Need.POSITIVE}))
    assert columns.problem_of({Need.LABELS}) is None
    assert columns.readable
    assert not read(["x"], {Need.NUMBERS})[0].readable


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), "x", True, [1, 2], {"a": 1, "b": 2}, 10**400])
def test_the_row_that_does_not_fit_is_named(bad):
    """Counted over all batches."""
    columns = AnswerColumns(mapping(), {Need.NUMBERS}, Classes(names=(), positive=None), 6)
    columns.take([1.0, 2.0, 3.0])
    columns.take([4.0, bad, 6.0])
    assert columns.problems[Need.NUMBERS].row == 4


def test_too_few_and_too_many_answers_are_errors_of_ours():
    """Arrays of another length would pair the wrong rows."""
    columns = AnswerColumns(mapping(), {Need.NUMBERS}, Classes(names=(), positive=None), 2)
    columns.take([1.0])
    with pytest.raises(ValueError, match="1 answers and 2 truths for 2 rows"):
        columns.sample(np.zeros(2))
    with pytest.raises(ValueError, match="3 answers for 2 rows"):
        columns.take([1.0, 2.0])


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["a", "b", "x", "1", ""])
scores = st.floats(0, 1) | st.integers(0, 1)
one_shape = st.sampled_from(
    [
        scalars,
        scores,
        st.sampled_from(["a", "b", "c", "x"]),
        st.lists(scores, min_size=1, max_size=1),
        st.lists(scores, min_size=2, max_size=2),
        st.lists(scores, min_size=3, max_size=3),
        st.lists(scalars, max_size=3),
        st.fixed_dictionaries({"a": scores, "b": scores, "c": scores}),
        st.fixed_dictionaries({"a": scores, "b": scores}, optional={"p": scalars}),
        st.fixed_dictionaries({"y": scalars, "p": scores}),
        st.fixed_dictionaries({"p": st.lists(scores, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"p": scores}),
        st.dictionaries(st.sampled_from(["a", "b", "p", "y"]), scalars, max_size=3),
    ]
).flatmap(lambda row: st.lists(row, min_size=1, max_size=6))
mixed = st.tuples(one_shape, one_shape).map(lambda both: both[0] + both[1])
sections = st.sampled_from(
    [
        {},
        {"classes": ("a", "b")},
        {"classes": ("a", "b"), "positive": "a", "threshold": 0.3},
        {"classes": ("a", "b", "c"), "positive": "c"},
        {"classes": (0, 1)},
        {"classes": ("a",)},
        {"score": "p"},
        {"score": "p", "classes": ("a", "b")},
        {"score": "p", "classes": ("a", "b", "c"), "positive": "b"},
        {"prediction": "y", "score": "p"},
        {"prediction": "y"},
        {"prediction": "p", "classes": ("a", "b")},
        {"prediction": 0},
        {"prediction": 0, "score": 1, "classes": ("a", "b")},
        {"prediction": -1, "classes": ("a", "b")},
        {"score": 1, "threshold": 0.7},
        {"positive": "a"},
    ]
)


def slowly(rows, of, need, names):
    """The same row by row, with Python's own lists."""
    found = []
    for index, row in enumerate(rows):
        try:
            match need:
                case Need.LABELS:
                    text = label_text(of.label_of(row))
                    found.append(names.index(text) if text in names else UNKNOWN_CLASS)
                case Need.SCORE:
                    found.append(of.score_of(row))
                case Need.SCORES:
                    found.append(
                        [dict(zip(of.class_names, of.scores_of(row), strict=True)).get(name, 0) for name in names]
                    )
                case Need.NUMBERS:
                    found.append(of.number_of(row))
        except UnmappedOutput as error:
            return index, str(error)
    return found


@given(one_shape | mixed, sections, st.sampled_from([("a", "b"), ("0", "1", "a"), ("a", "b", "c", "d")]))
def test_reading_whole_batches_gives_what_reading_row_by_row_gives(rows, section, texts):
    """Values, and which row is at fault and why."""
    of = mapping(**section)
    classes = Classes.of(texts, of)
    columns = AnswerColumns(of, ALL, classes, len(rows))
    columns.take(rows)
    sample = columns.sample(np.zeros(len(rows)))
    for need in (Need.LABELS, Need.SCORE, Need.NUMBERS, *([Need.SCORES] if len(classes.names) > 2 else [])):
        expected = slowly(rows, of, need, classes.names)
        if isinstance(expected, tuple):
            assert (columns.problems[need].row, str(columns.problems[need])) == expected
        else:
            np.testing.assert_array_equal(getattr(sample, need), np.array(expected))


@pytest.mark.parametrize(
    ("values", "row", "needs"),
    [
        (TWO, 0.25, {Need.LABELS, Need.SCORE}),
        (TWO, [0.25, 0.75], {Need.LABELS, Need.SCORE}),
        (THREE, {"a": 0.25, "b": 0.5, "c": 0.25}, {Need.LABELS, Need.SCORE, Need.SCORES}),
        ({"prediction": "y", "score": "p"}, {"y": "stay", "p": 0.25}, {Need.LABELS, Need.SCORE}),
    ],
)
def test_reading_arrays_is_faster_than_reading_the_answers_json(values, row, needs):
    """Without a model: any model takes longer than its JSON."""
    rows = [row] * 20_000
    body = json.dumps({"predictions": rows})
    times = {"json": [], "arrays": []}
    for _ in range(5):
        began = time.perf_counter()
        parsed = json.loads(body)["predictions"]
        parsing = time.perf_counter() - began
        began = time.perf_counter()
        read(parsed, needs, **values)
        times["arrays"].append(time.perf_counter() - began)
        times["json"].append(parsing)
    assert min(times["arrays"]) < 3 * min(times["json"])
