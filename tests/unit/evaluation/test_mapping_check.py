"""Metrics whose inputs the output lacks are refused before anything is started."""

import pytest

from mlgate.artifacts.signature import ArrayType, Column, ColumnSchema, DataType, Tensor, TensorSchema
from mlgate.errors import PolicyError
from mlgate.evaluation.answer_columns import AnswerColumns, Classes
from mlgate.evaluation.mapping_check import check_mapping, truth_kind
from mlgate.evaluation.metric_names import METRICS, Better, Need
from mlgate.evaluation.outputs import OutputMapping
from mlgate.policy_accuracy import Accuracy

CLASSES = {"classes": ("stay", "churn")}
THREE = {"classes": ("a", "b", "c"), "positive": "b"}
BOTH = {"prediction": "label", "score": "p"}


def accuracy(metrics=(), **values):
    """The policy's section."""
    floors = {name: {"max" if METRICS[name].better is Better.LESS else "min": 0.5} for name in metrics}
    for name, floor in floors.items():
        if METRICS[name].at is not None:
            floor["at"] = 1.0
    return Accuracy.model_validate({**values, "metrics": floors})


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


TEXT = columns(("y", DataType.STRING))
PROBABILITIES = columns(("a", DataType.DOUBLE), ("b", DataType.DOUBLE), ("c", DataType.DOUBLE))
LABEL_AND_ARRAY = TensorSchema((Tensor("label", "int64", (-1,)), Tensor("p", "float64", (-1, 3))))


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
    (["accuracy"], {"classes": (1, "1")}, LABEL, "accuracy.classes: 1 stands there twice"),
    (["f1", "rmse"], {}, None, "accuracy.metrics.rmse: is of numbers, and f1 of classes; .*Hint: brier"),
    (["log_loss"], THREE, ONE, "accuracy.metrics.log_loss: needs a score for each of 3 classes, .*accuracy.score"),
    (["roc_auc_ovr"], {**THREE, "score": "p", "prediction": "label"}, TWO, "needs a score for each of 3 classes"),
    (["accuracy"], {**THREE, "score": "p"}, TWO, "one score tells two classes apart"),
    (["accuracy"], {"score": "p", "positive": "churn"}, TWO, "one score tells two classes apart, .*accuracy.classes"),
    (["rmse"], {}, TEXT, "accuracy.metrics.rmse: needs a number, and the output is y: string"),
    (["roc_auc"], {"score": "label"}, columns(("label", DataType.STRING), ("p", DataType.DOUBLE)), "needs a score"),
    (["roc_auc"], {**CLASSES, "prediction": 0}, array("float64", -1, 2), "needs a score"),
    (["brier"], {}, LABEL, "needs a score, and the output is y: long"),
    (["accuracy"], {}, PROBABILITIES, "the model has 3 outputs"),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "values", "outputs", "says"), REFUSED)
def test_a_metric_whose_inputs_the_output_lacks_is_refused_before_anything_starts(metrics, values, outputs, says):
    """By name, with what to write."""
    with pytest.raises(PolicyError, match=says) as caught:
        check_mapping(accuracy(metrics, **values), outputs)
    assert caught.value.exit_code == 2


NEEDS_OF_CLASSES = ["accuracy", "f1", "roc_auc", "log_loss"]
ACCEPTED = [
    (["f1", "accuracy"], {}, LABEL, 1),
    (["accuracy"], CLASSES, TEXT, "stay"),
    (["rmse"], {}, ONE, 0.5),
    (["r2", "pinball", "quantile_coverage"], {}, UNNAMED, 0.5),
    (["roc_auc", "brier", "ece"], {}, ONE, 0.25),
    (["f1", "roc_auc", "average_precision"], BOTH, TWO, {"label": 1, "p": 0.25}),
    (["f1", "roc_auc", "log_loss"], {"score": "p"}, TWO, {"label": 1, "p": 0.25}),
    (["f1", "roc_auc"], {"prediction": 0, "score": 1}, TWO, {"label": 1, "p": 0.25}),
    (NEEDS_OF_CLASSES, CLASSES, array("float64", -1, 2), [0.25, 0.75]),
    (NEEDS_OF_CLASSES, CLASSES, ONE, 0.25),
    (NEEDS_OF_CLASSES, THREE, array("float64", -1, 3), [0.25, 0.5, 0.25]),
    (NEEDS_OF_CLASSES, THREE, PROBABILITIES, {"a": 0.25, "b": 0.5, "c": 0.25}),
    (NEEDS_OF_CLASSES, {**THREE, **BOTH}, LABEL_AND_ARRAY, {"label": "a", "p": [0.25, 0.5, 0.25]}),
    (NEEDS_OF_CLASSES, THREE, ColumnSchema((Column("p", ArrayType(DataType.DOUBLE), True),)), {"p": [0.25, 0.5, 0.25]}),
    (["accuracy"], {"classes": ("a", "b", "c")}, array("float64", -1, 3), [0.25, 0.5, 0.25]),
    (["roc_auc", "f1"], {"classes": ("a", "b", "c"), "positive": "c"}, array("float32", -1, -1), [0.25, 0.5, 0.25]),
    (["rmse"], {"prediction": 1}, array("float64", -1, 2), [0.25, 0.5]),
    (["rmse"], {}, array("float64", -1, 1), [0.5]),
    (["f1"], {}, array("int64", -1), 1),
    (["ndcg", "mrr"], {"group": "query", "score": "p"}, TWO, {"label": 1, "p": 0.25}),
    (["f1", "roc_auc"], {}, None, 1),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "values", "outputs", "row"), ACCEPTED)
def test_a_mapping_that_can_be_read_is_accepted_and_read(metrics, values, outputs, row):
    """A row of that shape gives what each metric needs."""
    section = accuracy(metrics, **values)
    check_mapping(section, outputs)
    mapping = OutputMapping.of(section)
    of_classes = truth_kind(section) == "classes"
    classes = (
        Classes.of(() if section.classes else ("0", "1"), mapping) if of_classes else Classes(names=(), positive=None)
    )
    needs = {need for metric in metrics for need in METRICS[metric].needs}
    columns = AnswerColumns(mapping, needs, classes, 1)
    columns.take([row])
    assert columns.problems == {}
    assert columns.unknown_rows == 0
    for need in needs - {Need.POSITIVE, Need.GROUP, Need.SCORES}:
        assert getattr(columns.sample([0]), need) is not None


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_is_refused_where_the_outputs_hold_nothing_for_it(metric):
    """Two outputs, and nothing says which is which: what a metric needs has to be named."""
    values = {"group": "query"} if Need.GROUP in METRICS[metric].needs else {}
    with pytest.raises(PolicyError, match=rf"accuracy.metrics.{metric}: "):
        check_mapping(accuracy([metric], **values), TWO)


def test_what_the_labels_are_follows_from_the_metrics():
    """Classes or numbers; of a metric of the user's own only the data can tell, unless the mapping says it."""
    own = {"my.metrics:cost": {"max": 1}}
    assert truth_kind(accuracy(["f1"])) == "classes"
    assert truth_kind(accuracy(["r2"])) == "numbers"
    assert truth_kind(accuracy(["mrr"], group="query", score="p")) == "numbers"
    assert truth_kind(Accuracy.model_validate({"metrics": own})) is None
    assert truth_kind(Accuracy.model_validate({"metrics": own, "positive": "churn"})) == "classes"
