"""The dataset that is logged on a version's source run: chosen by its context, or a line that says why not."""

import json

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import DataError
from mlgate.evaluation.data import load_data
from mlgate.evaluation.logged_dataset import LoggedSource, logged_source
from mlgate.model_version import ModelVersion
from mlgate.policy import Accuracy
from mlgate.registry.interface import LoggedDataset
from mlgate.registry.memory import MemoryRegistry

INPUTS = ColumnSchema((Column("x", DataType.DOUBLE, True),))


@pytest.fixture
def registry():
    """A registry in memory."""
    return MemoryRegistry()


@pytest.fixture
def version(registry, tmp_path):
    """A version that a run made."""
    return registry.add("churn", tmp_path)


def dataset(name, *contexts, kind="local", source='{"uri": "/data/h.csv"}', profile='{"num_rows": 2}'):
    """A dataset as MLflow describes one."""
    return LoggedDataset(
        name=name, digest=name, source_type=kind, source=source, profile=profile, contexts=tuple(contexts)
    )


def at(path):
    """A local source."""
    return json.dumps({"uri": path})


@pytest.mark.parametrize(
    ("logged", "chosen"),
    [
        ([("train", "training"), ("v", "validation"), ("t", "test"), ("e", "evaluation")], "e"),
        ([("train", "training"), ("v", "validation"), ("t", "test")], "t"),
        ([("train", "training"), ("v", "validation")], "v"),
        ([("both", "training", "evaluation")], "both"),
        ([("e", "evaluation"), ("e", "evaluation")], "e"),
    ],
)
def test_evaluation_goes_before_test_and_test_before_validation(registry, version, logged, chosen):
    """Logged twice is logged once."""
    for name, *contexts in logged:
        registry.log_dataset(version, dataset(name, *contexts, source=at(f"/{name}.csv")))
    assert logged_source(registry, version) == LoggedSource(location=f"/{chosen}.csv", rows=2)


def test_a_bucket_is_a_place_too(registry, version):
    """Whose address MLflow keeps as it was given."""
    registry.log_dataset(
        version, dataset("h", "evaluation", kind="s3", source='{"uri": "s3://b/h.parquet"}', profile="")
    )
    assert logged_source(registry, version) == LoggedSource(location="s3://b/h.parquet", rows=None)


BAD = {
    "nothing": ([], "logged no dataset for evaluation, test or validation .contexts: none.. Hint: mlflow.log_input"),
    "training only": ([dataset("t", "training")], r"validation \(contexts: training\)"),
    "two": (
        [dataset("a", "evaluation"), dataset("b", "evaluation", source=at("/b.csv"))],
        "logged 2 datasets for evaluation: a, b. Hint: name the rows in the policy: accuracy.data",
    ),
    "code": ([dataset("h", "test", kind="code", source="{}")], "dataset 'h' of run .* its source is code, and only"),
    "http": ([dataset("h", "test", kind="http", source='{"url": "https://u:p@x/h.csv"}')], "its source is http"),
    "no place": ([dataset("h", "test", source="{}")], "its source can not be understood"),
    "no JSON": ([dataset("h", "test", source="{")], "its source can not be understood"),
    "deep": ([dataset("h", "test", source="[" * 100_000)], "its source can not be understood"),
}


@pytest.mark.parametrize(("logged", "says"), BAD.values(), ids=BAD)
def test_what_can_not_be_read_is_one_line(registry, version, logged, says):
    """With what to do: to name the rows in the policy."""
    for each in logged:
        registry.log_dataset(version, each)
    with pytest.raises(DataError, match=says) as caught:
        logged_source(registry, version)
    assert "\n" not in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_a_directory_has_no_run(registry, tmp_path):
    """Nobody logged it."""
    version = ModelVersion(
        uri="./m", name=None, version=None, model_id=None, source_run_id=None, location=str(tmp_path)
    )
    with pytest.raises(DataError, match=r"no run logged it, so no dataset is logged beside it. Hint: name the rows"):
        logged_source(registry, version)


def load(folder, logged, data=None):
    """Read with label y."""
    accuracy = Accuracy.model_validate({"data": data, "label": "y", "metrics": {"accuracy": {"min": 0.5}}})
    return load_data(accuracy, INPUTS, folder=folder, logged=logged)


@pytest.mark.parametrize("rows", [2, None])
def test_the_logged_rows_are_read(tmp_path, rows):
    """A relative place is beside the policy."""
    (tmp_path / "h.csv").write_text("x,y\n1,a\n2,b\n")
    data = load(tmp_path, LoggedSource(location="h.csv", rows=rows))
    assert (data.source, len(data)) == ("h.csv", 2)


def test_a_source_with_other_rows_than_were_logged_is_refused(tmp_path):
    """Often the source is the raw file, and the dataset what was split off."""
    (tmp_path / "h.csv").write_text("x,y\n1,a\n2,b\n")
    with pytest.raises(
        DataError, match=r"h\.csv: 2 rows, and the dataset that was logged has 1: they are not the same"
    ):
        load(tmp_path, LoggedSource(location="h.csv", rows=1))


def test_the_policys_own_data_go_first(tmp_path):
    """Nothing else is looked at."""
    (tmp_path / "own.csv").write_text("x,y\n1,a\n")
    assert load(tmp_path, LoggedSource(location="gone.csv", rows=7), data="own.csv").source == "own.csv"
