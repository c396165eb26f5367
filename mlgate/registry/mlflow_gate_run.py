"""Writing a gate run over MLflow's client, which is handed in, and reading what a run says it has read."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgate.errors import RegistryError
from mlgate.registry import tags as keys
from mlgate.registry.interface import GateRun, LoggedDataset
from mlgate.registry.mlflow_lookup import error_code
from mlgate.registry.urls import without_credentials

# MLflow's own limits of one log-batch call.
_METRICS_A_CALL = 1000
_TAGS_A_CALL = 100
_DATA_CONTEXT = "mlflow.data.context"


def existing_experiment(client: Any, name: str, place: str) -> str | None:
    """Return the id of an experiment; `None` where there is none.

    Raises:
        RegistryError: It is deleted: MLflow keeps it, and shows none of its runs.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        return None
    if found.lifecycle_stage != "active":
        raise RegistryError(
            f"{place}: experiment '{name}' is deleted",
            hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
        )
    return str(found.experiment_id)


def experiment_id_of(client: Any, name: str, place: str) -> str:
    """Return the id of an experiment, made where there is none.

    Raises:
        RegistryError: It is deleted, or can not be read; *place* is the registry's address for the message.
    """
    for _ in range(2):
        found = existing_experiment(client, name, place)
        if found is not None:
            return found
        try:
            return str(client.create_experiment(name))
        except Exception as error:
            if error_code(error) != "RESOURCE_ALREADY_EXISTS":  # else another run was faster: read again
                raise
    raise RegistryError(f"{place}: experiment '{name}' exists and can not be read")


def upload(store: Any, folder: Path) -> None:
    """Store every file of *folder*, `evidence.json` last."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    # evidence.json makes the rest count, so it goes last.
    files.sort(key=lambda path: path == folder / keys.EVIDENCE_FILE)
    for path in files:
        below = path.parent.relative_to(folder).as_posix()
        store.log_artifact(str(path), keys.FOLDER if below == "." else f"{keys.FOLDER}/{below}")


def link_inputs(client: Any, run_id: str, run: GateRun) -> None:
    """Link the model and the dataset that were judged, where the server has a place for that."""
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
        # Links for the reader; a server before MLflow 3 has no place for them.
        with suppress(Exception):
            client.log_inputs(run_id, datasets=datasets, models=models)


def read_dataset(found: Any) -> LoggedDataset:
    """Return what MLflow's `DatasetInput` says of a dataset."""
    dataset = found.dataset
    return LoggedDataset(
        name=str(dataset.name),
        digest=str(dataset.digest),
        source_type=str(dataset.source_type),
        source=str(dataset.source),
        profile=str(dataset.profile or ""),
        contexts=tuple(str(tag.value) for tag in found.tags if tag.key == _DATA_CONTEXT),
    )


def log(client: Any, run_id: str, run: GateRun) -> None:
    """Write metrics and tags, as many at a time as MLflow takes."""
    from mlflow.entities import Metric, RunTag  # noqa: PLC0415 - slow

    now_ms = int(time.time() * 1000)
    metrics = [Metric(key, value, now_ms, 0, model_id=run.version.model_id) for key, value in run.metrics.items()]
    for start in range(0, len(metrics), _METRICS_A_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_CALL])
    tags = [RunTag(key, value) for key, value in run.tags.items()]
    for start in range(0, len(tags), _TAGS_A_CALL):
        client.log_batch(run_id, tags=tags[start : start + _TAGS_A_CALL])
