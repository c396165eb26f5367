"""The dataset that was logged on a version's source run: which one is for evaluation, and where its rows are."""

import json
from dataclasses import dataclass
from typing import Any

from mlgate.errors import DataError
from mlgate.model_version import ModelVersion
from mlgate.registry.interface import LoggedDataset, ModelRegistry
from mlgate.registry.urls import without_credentials

# In this order: what a team calls its holdout; training data would flatter every model.
CONTEXTS = ("evaluation", "test", "validation")
_NAME_IT = "name the rows in the policy: accuracy.data"
_READABLE = {"local": "uri", "s3": "uri"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSource:
    """Where the rows of a logged dataset are.

    Attributes:
        location: A path, or `s3://…`.
        rows: How many it had when it was logged; `None` where nothing says it.
    """

    location: str
    rows: int | None


def logged_source(registry: ModelRegistry, version: ModelVersion) -> LoggedSource:
    """Return where the evaluation dataset of *version*'s source run is.

    Raises:
        DataError: There is none, there are several, or its source can not be read.
        RegistryError: The registry does not answer.
    """
    if version.source_run_id is None:
        raise DataError(f"{version.uri}: no run logged it, so no dataset is logged beside it", hint=_NAME_IT)
    run = f"run {version.source_run_id}"
    found = registry.datasets(version)
    for context in CONTEXTS:
        fitting = {(dataset.source, dataset.digest): dataset for dataset in found if context in dataset.contexts}
        if len(fitting) > 1:
            names = ", ".join(sorted(dataset.name for dataset in fitting.values()))
            raise DataError(f"{run} logged {len(fitting)} datasets for {context}: {names}", hint=_NAME_IT)
        for dataset in fitting.values():
            return _source(dataset, run)
    others = ", ".join(sorted({context for dataset in found for context in dataset.contexts})) or "none"
    raise DataError(
        f"{run} logged no dataset for evaluation, test or validation (contexts: {others})",
        hint=f"mlflow.log_input(dataset, context='evaluation') in training, or {_NAME_IT}",
    )


def _source(dataset: LoggedDataset, run: str) -> LoggedSource:
    what = f"dataset '{dataset.name}' of {run}"
    key = _READABLE.get(dataset.source_type)
    if key is None:
        raise DataError(
            f"{what}: its source is {dataset.source_type or 'not told'}, and only files and s3:// can be read",
            hint=_NAME_IT,
        )
    location = _member(dataset.source, key)
    if not isinstance(location, str) or not location:
        raise DataError(f"{what}: its source can not be understood", hint=_NAME_IT)
    rows = _member(dataset.profile, "num_rows")
    return LoggedSource(
        location=without_credentials(location),
        rows=rows if isinstance(rows, int) and not isinstance(rows, bool) else None,
    )


def _member(text: str, key: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document.get(key) if isinstance(document, dict) else None
