"""The dataset on the source run, as a real MLflow logs it, over HTTP and in a plain database."""

import contextlib
import os
import warnings

import pandas as pd
import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import ModelNotFound
from mlgate.evaluation.data import load_data
from mlgate.evaluation.logged_dataset import logged_source
from mlgate.model_version import ModelVersion
from mlgate.policy import Accuracy
from mlgate.registry.mlflow import MlflowRegistry


@pytest.fixture(params=["http", "sqlite"])
def uri(request, tmp_path, monkeypatch):
    """A tracking URI that holds nothing of this machine's."""
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    if request.param == "http":
        return request.getfixturevalue("mlflow_server").uri
    from mlflow import MlflowClient

    address = f"sqlite:///{tmp_path}/mlflow.db"
    with contextlib.chdir(tmp_path):
        MlflowClient(address).search_experiments()
    return address


def version_of(run_id):
    return ModelVersion(
        uri="models:/churn/1", name="churn", version="1", model_id=None, source_run_id=run_id, location=""
    )


def logged_run(uri, *datasets):
    """A run that has read these: frame, source and context each."""
    import mlflow
    from mlflow.entities import DatasetInput, InputTag

    client = mlflow.MlflowClient(uri)
    run_id = client.create_run("0").info.run_id
    inputs = []
    for frame, source, context in datasets:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's hints on integer columns and on kinds of sources
            dataset = mlflow.data.from_pandas(frame, source=source, name=context)
        entity = dataset._to_mlflow_entity()
        inputs.append(DatasetInput(entity, [InputTag("mlflow.data.context", context)]))
    if inputs:
        client.log_inputs(run_id, datasets=inputs)
    return run_id


def test_the_evaluation_dataset_of_the_source_run_is_read(uri, tmp_path):
    """Logged in training as MLflow's documents show it, found without a path in the policy."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    frame.to_parquet(tmp_path / "holdout.parquet")
    run_id = logged_run(
        uri,
        (frame.head(2), "s3://bucket/train.parquet", "training"),
        (frame, str(tmp_path / "holdout.parquet"), "evaluation"),
    )
    found = logged_source(MlflowRegistry(uri), version_of(run_id))
    assert (found.location, found.rows) == (str(tmp_path / "holdout.parquet"), 3)
    accuracy = Accuracy.model_validate({"label": "y", "metrics": {"accuracy": {"min": 0.5}}})
    inputs = ColumnSchema((Column("x", DataType.DOUBLE, True),))
    assert load_data(accuracy, inputs, folder=tmp_path / "elsewhere", logged=found).labels == ["a", "b", "a"]


def test_each_dataset_comes_with_its_context_and_its_kind(uri):
    """As MLflow spells them."""
    frame = pd.DataFrame({"x": [1.0]})
    run_id = logged_run(uri, (frame, "s3://b/t.csv", "training"), (frame, "https://example.org/h.csv", "test"))
    found = {dataset.name: dataset for dataset in MlflowRegistry(uri).datasets(version_of(run_id))}
    assert {name: (dataset.source_type, dataset.contexts) for name, dataset in found.items()} == {
        "training": ("s3", ("training",)),
        "test": ("http", ("test",)),
    }
    assert '"num_rows": 1' in found["test"].profile


def test_a_run_without_datasets_has_none_and_no_run_is_an_error(uri):
    """Told apart."""
    registry = MlflowRegistry(uri)
    assert registry.datasets(version_of(logged_run(uri))) == ()
    assert registry.datasets(version_of(None)) == ()
    with pytest.raises(ModelNotFound, match="there is no run 0123456789abcdef"):
        registry.datasets(version_of("0123456789abcdef0123456789abcdef"))
