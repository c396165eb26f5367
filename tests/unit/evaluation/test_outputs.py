"""Which part of an answer is the prediction, and which the score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput
from mlgate.policy_accuracy import Accuracy

CLASSES = {"classes": ("stay", "churn")}
BOTH = {"prediction": "label", "score": "p"}


def mapping(**values):
    """The mapping that the section says."""
    return OutputMapping.of(Accuracy.model_validate(values))


@pytest.mark.parametrize(
    ("values", "row", "label"),
    [
        ({}, "churn", "churn"),
        ({}, 1, 1),
        ({}, 1.0, 1.0),
        ({}, [1], 1),
        ({}, {"y": "churn"}, "churn"),
        ({"prediction": "label"}, {"label": 1, "p": 0.2}, 1),
        ({"prediction": 0}, [1, 0.2], 1),
        ({"prediction": -1}, [0.2, 1], 1),
        ({"prediction": 1}, {"p": 0.2, "label": 1}, 1),
        (BOTH, {"label": 0, "p": 0.9}, 0),
        ({"score": "p"}, {"p": 0.5, "other": 1}, 1),
        ({"score": "p"}, {"p": 0.49, "other": 1}, 0),
        ({"score": 1, "threshold": 0.3}, [0.7, 0.3], 1),
        ({"score": "p", **CLASSES}, {"p": 0.9}, "churn"),
        ({"score": "p", **CLASSES, "positive": "stay"}, {"p": 0.9}, "stay"),
        (CLASSES, [0.7, 0.3], "stay"),
        (CLASSES, [0.3, 0.7], "churn"),
        (CLASSES, [-3.0, -1.0], "churn"),
        ({**CLASSES, "threshold": 0.3}, [0.7, 0.3], "churn"),
        ({**CLASSES, "threshold": 0.3, "positive": "stay"}, [0.2, 0.8], "churn"),
        ({**CLASSES, "threshold": 0.9}, [0.2, 0.8], "stay"),
        (CLASSES, 0.7, "churn"),
        (CLASSES, 0.2, "stay"),
        ({"classes": ("a", "b", "c")}, [0.1, 0.2, 0.7], "c"),
        ({"classes": ("a", "b", "c"), "threshold": 0.9}, [0.1, 0.7, 0.2], "b"),
        (CLASSES, {"churn": 0.8, "stay": 0.2, "id": 7}, "churn"),
        (CLASSES, {"output": [0.7, 0.3]}, "stay"),
        (CLASSES, {"output": [0.7]}, "churn"),
        ({**CLASSES, "score": "p"}, {"id": 7, "p": [0.7, 0.3]}, "stay"),
        ({"classes": (0, 1, 2)}, 2.0, 2.0),
        ({"classes": (0, 1), "positive": 0, **BOTH}, {"label": 1.0, "p": 0.1}, 1.0),
    ],
)
def test_the_label_is_read_as_the_policy_says(values, row, label):
    """A prediction column wins; else the score at the threshold; else the largest of the scores."""
    assert mapping(**values).label_of(row) == label


@pytest.mark.parametrize(
    ("values", "row", "score"),
    [
        ({}, 0.7, 0.7),
        ({}, [0.7], 0.7),
        ({}, {"p": 1}, 1.0),
        (BOTH, {"label": 1, "p": 0.2}, 0.2),
        ({"score": 1}, [0.3, 0.7], 0.7),
        ({"score": 1}, {"label": 0, "p": 0.7}, 0.7),
        (CLASSES, [0.3, 0.7], 0.7),
        ({**CLASSES, "positive": "stay"}, [0.3, 0.7], 0.3),
        ({"classes": ("a", "b", "c"), "positive": "c"}, [0.1, 0.2, 0.7], 0.7),
        (CLASSES, {"churn": 0.8, "stay": 0.2}, 0.8),
        ({**CLASSES, "prediction": "y"}, {"y": "stay", "churn": 0.8, "stay": 0.2}, 0.8),
        ({**CLASSES, "score": "p"}, {"p": {"stay": 0.2, "churn": 0.8}}, 0.8),
    ],
)
def test_the_score_is_the_positive_classes(values, row, score):
    """By name, by index, or by the place of the class."""
    assert mapping(**values).score_of(row) == score


@pytest.mark.parametrize(
    ("values", "row", "number"), [({}, 5, 5.0), ({}, [5.5], 5.5), ({"prediction": "y"}, {"y": 1.5, "z": 0}, 1.5)]
)
def test_a_number_is_the_prediction(values, row, number):
    """For regression."""
    assert mapping(**values).number_of(row) == number


@pytest.mark.parametrize(
    ("values", "row", "read", "says"),
    [
        ({}, [0.1, 0.9], "label_of", "an array of 2 outputs and no index None"),
        ({}, {"a": 1, "b": 2}, "label_of", "no output 'None' among"),
        ({"prediction": "y"}, {"z": 1}, "label_of", "no output 'y' among"),
        ({"prediction": "y"}, 5, "label_of", "one value, and the policy asks for output 'y'"),
        ({"prediction": 2}, [1, 2], "label_of", "an array of 2 outputs and no index 2"),
        ({}, 0.7, "label_of", "0.7 is a score and no label"),
        ({}, None, "label_of", "None is no label"),
        ({"prediction": "y"}, {"y": [1, 2]}, "label_of", r"\[1, 2\] is no label"),
        ({"score": "p", "positive": "churn"}, {"p": 0.3}, "label_of", "accuracy.classes does not name two"),
        ({}, [0.1, 0.9], "scores_of", "accuracy.classes does not name them"),
        (CLASSES, {"churn": 0.8}, "scores_of", "no output for class 'stay' among"),
        (CLASSES, 0.8, "scores_of", "one value for 2 classes"),
        (CLASSES, [0.1, 0.2, 0.7], "label_of", "3 scores for 2 classes"),
        (CLASSES, ["a", "b"], "label_of", "'a' is not a number"),
        ({"score": "p"}, {"p": None}, "label_of", "None is not a number"),
        ({}, "high", "score_of", "'high' is not a number"),
        ({}, True, "number_of", "True is not a number"),
        ({}, float("nan"), "number_of", "nan is not a finite number"),
        ({}, float("inf"), "score_of", "inf is not a finite number"),
        ({}, 10**400, "number_of", "is not a finite number"),
        ({"classes": ("a", "b", "c")}, [0.1, 0.2, 0.7], "score_of", r"positive class 1 is none of \['a', 'b', 'c'\]"),
    ],
)
def test_an_answer_without_it_is_unmapped_and_says_so(values, row, read, says):
    """Never a label that nothing equals, and never NaN."""
    with pytest.raises(UnmappedOutput, match=says):
        getattr(mapping(**values), read)(row)


def test_the_scores_are_in_the_order_of_the_classes():
    """By place in an array, by name in columns."""
    assert mapping(**CLASSES).scores_of([0.3, 0.7]) == [0.3, 0.7]
    assert mapping(**CLASSES).scores_of({"churn": 0.7, "stay": 0.3}) == [0.3, 0.7]


rows = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["label", "p", "0"]), inner, max_size=3)
    ),
    max_leaves=5,
)
mappings = st.sampled_from(
    [{}, BOTH, CLASSES, {"score": 1}, {"prediction": 0}, {**CLASSES, "threshold": 0.3}, {"classes": (1, 2, 3)}]
)


@given(mappings, rows, st.sampled_from(["label_of", "score_of", "number_of", "scores_of"]))
def test_any_answer_is_read_or_unmapped(values, row, read):
    """A model may answer anything."""
    try:
        value = getattr(mapping(**values), read)(row)
    except UnmappedOutput:
        return
    if read == "scores_of":
        value = max(map(abs, value))
    assert read == "label_of" or abs(value) < float("inf")
