"""Which part of an answer is the prediction, and which the score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.artifacts.signature import Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import PolicyError
from mlgate.evaluation.outputs import OutputMapping, UnmappedOutput, check_mapping
from mlgate.policy import Accuracy

CLASSES = {"classes": ("stay", "churn")}
BOTH = {"prediction": "label", "score": "p"}


def accuracy(metrics=(), **values):
    """The policy's section."""
    floor = {name: {"max" if name == "rmse" else "min": 0.5} for name in metrics}
    return Accuracy.model_validate({**values, "metrics": floor})


def mapping(**values):
    """The mapping that the section says."""
    return OutputMapping.of(accuracy(**values))


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


@given(mappings, rows, st.sampled_from(["label_of", "score_of", "number_of"]))
def test_any_answer_is_read_or_unmapped(values, row, read):
    """A model may answer anything."""
    try:
        value = getattr(mapping(**values), read)(row)
    except UnmappedOutput:
        return
    assert read == "label_of" or abs(value) < float("inf")


def columns(*parts):
    """An output schema of named columns."""
    return ColumnSchema(tuple(Column(name, kind, True) for name, kind in parts))


ONE = columns(("y", DataType.DOUBLE))
LABEL = columns(("y", DataType.LONG))
TWO = columns(("label", DataType.LONG), ("p", DataType.DOUBLE))
UNNAMED = ColumnSchema((Column(None, DataType.DOUBLE, True),))


def array(dtype, *shape):
    """An output schema of one tensor."""
    return TensorSchema((Tensor(None, dtype, shape),))


REFUSED = [
    (["f1"], {}, TWO, r"accuracy.metrics.f1: the model has 2 outputs \(label, p\). Hint: name the one.*accuracy.prediction"),
    (["accuracy"], {}, TWO, "accuracy.metrics.accuracy: the model has 2 outputs"),
    (["rmse"], {"score": "p"}, TWO, "accuracy.metrics.rmse: the model has 2 outputs"),
    (["roc_auc"], {}, TWO, "accuracy.metrics.roc_auc: needs a score, .*Hint: .*accuracy.score"),
    (["roc_auc"], {"prediction": "label"}, TWO, "accuracy.metrics.roc_auc: needs a score"),
    (["roc_auc"], {}, LABEL, "needs a score, and the output is y: long"),
    (["roc_auc"], {}, array("int64", -1), r"needs a score, and the output is int64 of shape \[-1\]"),
    (["roc_auc"], {}, array("float64", -1, 2), "needs a score"),
    (["f1"], {"prediction": "lable"}, TWO, r"accuracy.prediction: no output 'lable'. Hint: outputs: label, p"),
    (["f1"], {"score": "q"}, TWO, "accuracy.score: no output 'q'"),
    (["f1"], {"prediction": 2}, TWO, "accuracy.prediction: no output 2"),
    (["rmse"], {"prediction": -3}, TWO, "accuracy.prediction: no output -3"),
    (["roc_auc"], {"score": 3}, array("float64", -1, 2), "accuracy.score: no output 3"),
    (["accuracy"], {}, array("float64", -1, 3), r"accuracy.metrics.accuracy: the output is float64 of shape \[-1, 3\]. Hint: .*accuracy.classes"),
    (["rmse"], CLASSES, array("float64", -1, 2), "accuracy.metrics.rmse: the output is"),
    (["accuracy"], CLASSES, array("float64", -1, 3), "accuracy.classes: 2 classes for 3 outputs"),
    (["f1"], {"classes": ("a", "b", "c")}, array("float64", -1, 3), "accuracy.positive is missing. Hint: classes: a, b, c"),
    (["accuracy"], {**CLASSES, "positive": "yes"}, array("float64", -1, 2), "accuracy.positive: 'yes' is none of the classes"),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "values", "outputs", "says"), REFUSED)
def test_a_metric_whose_inputs_the_output_lacks_is_refused_before_anything_starts(metrics, values, outputs, says):
    """By name, with what to write."""
    with pytest.raises(PolicyError, match=says) as caught:
        check_mapping(accuracy(metrics, **values), outputs)
    assert caught.value.exit_code == 2


ACCEPTED = [
    (["f1", "accuracy"], {}, LABEL),
    (["rmse", "roc_auc"], {}, ONE),
    (["rmse"], {}, UNNAMED),
    (["f1", "roc_auc"], BOTH, TWO),
    (["f1", "roc_auc"], {"score": "p"}, TWO),
    (["f1", "roc_auc"], {"prediction": 0, "score": 1}, TWO),
    (["f1", "accuracy", "roc_auc"], CLASSES, array("float64", -1, 2)),
    (["accuracy"], {"classes": ("a", "b", "c")}, array("float64", -1, 3)),
    (["roc_auc", "f1"], {"classes": ("a", "b", "c"), "positive": "c"}, array("float32", -1, -1)),
    (["rmse"], {"prediction": 1}, array("float64", -1, 2)),
    (["rmse", "roc_auc"], {}, array("float64", -1)),
    (["rmse"], {}, array("float64", -1, 1)),
    (["f1"], {}, array("int64", -1)),
    (["f1", "rmse"], {}, None),
]


@pytest.mark.parametrize(("metrics", "values", "outputs"), ACCEPTED)
def test_a_mapping_that_can_be_read_is_accepted(metrics, values, outputs):
    """And a row of that shape is read without an error."""
    section = accuracy(metrics, **values)
    check_mapping(section, outputs)
    match outputs:
        case None:
            return
        case ColumnSchema(columns=parts):
            row = {part.name or "0": 1 for part in parts}
        case TensorSchema(tensors=(only,)):
            sizes = [len(section.classes or (1, 2)) if size == -1 else size for size in only.shape[1:]]
            row = [0.25] * sizes[0] if sizes else 1
    read = {"f1": "label_of", "accuracy": "label_of", "rmse": "number_of", "roc_auc": "score_of"}
    for metric in metrics:
        getattr(OutputMapping.of(section), read[metric])(row)
