"""The data and the model that a run says it has read, as MLflow's entities hold them."""

from contextlib import suppress
from typing import Any

from mlgate.registry.interface import GateRun, LoggedDataset
from mlgate.registry.urls import without_credentials

_DATA_CONTEXT = "mlflow.data.context"


def read_dataset(found: Any) -> LoggedDataset:
    """Return what MLflow's `DatasetInput` says."""
    dataset = found.dataset
    return LoggedDataset(
        name=str(dataset.name),
        digest=str(dataset.digest),
        source_type=str(dataset.source_type),
        source=str(dataset.source),
        profile=str(dataset.profile or ""),
        contexts=tuple(str(tag.value) for tag in found.tags if tag.key == _DATA_CONTEXT),
    )


def link_inputs(client: Any, run_id: str, run: GateRun) -> None:
    """Link a gate run with the logged model and the evaluation data: for the reader, so a server may refuse it.

    Args:
        client: An `MlflowClient`.
        run_id: Where to.
        run: What was stored there.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput  # noqa: PLC0415 - slow

    models = [LoggedModelInput(run.version.model_id)] if run.version.model_id else []
    datasets = []
    if run.dataset:
        dataset = Dataset(
            name=run.dataset.get("name", "evaluation")[:500],
            # MLflow keeps 36 characters of a digest.
            digest=run.dataset.get("digest", "").removeprefix("sha256:")[:36] or "unknown",
            source_type=run.dataset.get("source_type", "local"),
            source=without_credentials(run.dataset.get("source", "")),
        )
        datasets = [DatasetInput(dataset, [InputTag(_DATA_CONTEXT, "evaluation")])]
    if models or datasets:
        # A server before MLflow 3 has no place for them.
        with suppress(Exception):
            client.log_inputs(run_id, datasets=datasets, models=models)
