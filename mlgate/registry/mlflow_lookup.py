"""From a model URI to one version, over an MLflow client that is handed in: what is there, and what is nearby.

Imports nothing of mlflow: its errors are told apart by their `error_code`.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import chain, islice, takewhile
from typing import Any

from mlgate.errors import ModelNotFound, RegistryError
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry import tags as keys
from mlgate.registry.markers import is_marker

# How MLflow says "there is none"; a missing alias and an impossible run id are invalid parameters to it.
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "ENDPOINT_NOT_FOUND"})
_ABSENT_OR_INVALID = ABSENT | {"INVALID_PARAMETER_VALUE"}
PAGE = 100
# A hostile server may page for ever.
_MAX_PAGES = 200
_MAX_HOPS = 5


def error_code(error: BaseException) -> str:
    """Return MLflow's code of an error, or empty text for any other error."""
    return str(getattr(error, "error_code", ""))


def pages(call: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield the entries of every page that *call* returns for a page token.

    Raises:
        RegistryError: The pages do not end.
    """
    token: str | None = None
    for _ in range(_MAX_PAGES):
        page = call(token)
        yield from page
        token = page.token
        if not token:
            return
    raise RegistryError(f"the registry's list does not end after {_MAX_PAGES} pages")


def newest_runs(runs: Iterable[Any], limit: int, since: datetime | None) -> list[Any]:
    """Return the first *limit* of *runs*, newest first, and whatever else ended since *since*.

    A number alone would let whoever logs that many runs put everybody else's out of sight.
    """
    earliest_ms = math.inf if since is None else since.timestamp() * 1000
    numbered = takewhile(
        lambda found: found[0] < limit or (found[1].info.end_time or 0) >= earliest_ms, enumerate(runs)
    )
    return [run for _, run in numbered]


class Lookup:
    """Questions about model versions.

    Args:
        client: An `MlflowClient`.
        place: The registry's address without credentials, for messages.
    """

    def __init__(self, client: Any, place: str) -> None:
        self._client = client
        self._place = place

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """Return the version that *uri*, which is no directory, names now.

        Raises:
            ModelNotFound: There is none; the hint says what there is.
        """
        if uri.name is not None:
            return self._registered(uri, uri.name)
        if uri.model_id is not None:
            return self._logged(uri.model_id)
        return self._of_run(uri.run_id or "", uri.path or "")

    def model(self, name: str) -> Any:
        """Return MLflow's registered model *name*.

        Raises:
            ModelNotFound: There is none; the hint names similar ones.
        """
        try:
            return self._client.get_registered_model(name)
        except Exception as error:
            # A name that MLflow does not take for one, as "models:/churn", is nobody's.
            if error_code(error) not in _ABSENT_OR_INVALID:
                raise
        every = pages(lambda token: self._client.search_registered_models(max_results=PAGE, page_token=token))
        known = list(islice((str(model.name) for model in every if not is_marker(str(model.name))), PAGE))
        close = difflib.get_close_matches(name, known, n=3) or known[:10]
        raise ModelNotFound(
            f"there is no registered model '{name}' in {self._place}",
            hint=f"it has: {', '.join(close) or 'no models'}",
        )

    def versions(self, name: str) -> list[str]:
        """Return the version numbers of *name*, newest first; none where there is no such model.

        A server that can not search them (GitLab) tells the latest only.
        """
        quote = '"' if "'" in name else "'"
        found = pages(
            lambda token: self._client.search_model_versions(
                f"name = {quote}{name}{quote}", max_results=PAGE, page_token=token
            )
        )
        try:
            numbers = [str(version.version) for version in found if version.name == name]
        except Exception as error:
            if not _not_mlflows(error):
                raise
            numbers = [str(version.version) for version in self.model(name).latest_versions]
        return sorted(numbers, key=lambda number: (int(number) if number.isdecimal() else -1, number), reverse=True)

    def newest(self, name: str, limit: int) -> list[tuple[str, dict[str, str]]]:
        """Return the newest version numbers of *name* with their tags, newest first.

        Raises:
            ModelNotFound: There is no such model.
        """
        quote = '"' if "'" in name else "'"
        try:
            found = self._client.search_model_versions(
                f"name = {quote}{name}{quote}",
                max_results=limit,
                order_by=["version_number DESC"],
                page_token=None,
            )
        except Exception as error:
            if not _not_mlflows(error):
                raise
            found = self.model(name).latest_versions
        rows = [(str(version.version), dict(version.tags)) for version in found if version.name == name]
        if not rows:
            self.model(name)
        return rows

    def found(self, what: str, call: Callable[[], Any], *, also_invalid: bool = False) -> Any:
        """Return what *call* returns, or say that there is no *what*.

        Raises:
            ModelNotFound: MLflow answers that it does not exist.
        """
        try:
            return call()
        except Exception as error:
            if error_code(error) not in (_ABSENT_OR_INVALID if also_invalid else ABSENT):
                raise
        raise ModelNotFound(f"there is no {what} in {self._place}", hint="check it, and MLFLOW_TRACKING_URI")

    def _registered(self, uri: ModelUri, name: str) -> ModelVersion:
        client, by_alias = self._client, uri.alias is not None
        try:
            found = (
                client.get_model_version_by_alias(name, uri.alias)
                if by_alias
                else client.get_model_version(name, uri.version)
            )
        except Exception as error:
            if error_code(error) not in (_ABSENT_OR_INVALID if by_alias else ABSENT):
                raise
            found = None
        if found is None:
            raise self._nearby(uri, name)
        number = str(found.version)
        self._expect(found.name, name)
        self._expect(number, uri.version or number or "a version number")
        location = str(client.get_model_version_download_uri(name, number))
        source = re.fullmatch(r"models:/+(m-[0-9a-zA-Z]+)/?", found.source or "")
        return ModelVersion(
            uri=f"models:/{name}/{number}",
            name=name,
            version=number,
            model_id=getattr(found, "model_id", None) or (source[1] if source else None),
            source_run_id=found.run_id or None,
            location=self._concrete(location),
            description=found.description or "",
        )

    def _nearby(self, uri: ModelUri, name: str) -> ModelNotFound:
        try:
            aliases = self.model(name).aliases
        except ModelNotFound as error:
            return error
        pointed = ", ".join(f"{alias} → {version}" for alias, version in sorted(aliases.items()))
        return ModelNotFound(
            f"there is no {uri.text} in {self._place}",
            hint=f"{name} has {_listed(self.versions(name))}; aliases: {pointed or 'none'}",
        )

    def _logged(self, model_id: str) -> ModelVersion:
        model = self.found(f"models:/{model_id}", lambda: self._client.get_logged_model(model_id))
        self._expect(model.model_id, model_id)
        return ModelVersion(
            uri=f"models:/{model_id}",
            name=None,
            version=None,
            model_id=model_id,
            source_run_id=model.source_run_id or None,
            location=self._concrete(str(model.artifact_location)),
        )

    def _of_run(self, run_id: str, path: str, hops: int = 0) -> ModelVersion:
        """Find a logged model of that name first (MLflow 3 keeps it outside the run), else the run's own artifacts."""
        text = f"runs:/{run_id}/{path}"
        if ".." in path.split("/"):
            raise ModelNotFound(f"{text} leaves the artifacts of its run")
        run = self.found(f"run {run_id}", lambda: self._client.get_run(run_id), also_invalid=True)
        self._expect(run.info.run_id, run_id)
        head, _, rest = path.strip("/").partition("/")
        models = self._models_of_run(run)
        model = next((model for model in models if model.name == head), None)
        if model is not None:
            location = "/".join(filter(None, [str(model.artifact_location).rstrip("/"), rest]))
        elif self._client.list_artifacts(run_id, path):
            location = f"{str(run.info.artifact_uri).rstrip('/')}/{path}"
        else:
            own = (entry.path for entry in self._client.list_artifacts(run_id))
            there = ", ".join(sorted({*(str(model.name) for model in models), *own}))
            raise ModelNotFound(f"{text}: the run has no such artifact", hint=f"it has: {there or 'none'}")
        return ModelVersion(
            uri=text,
            name=None,
            version=None,
            model_id=None if model is None else str(model.model_id),
            source_run_id=run_id,
            location=self._concrete(location, hops),
        )

    def gate_runs(self, name: str, *, shelf: str = "", run_id: str | None = None, **tags: str) -> Iterator[Any]:
        """Yield MLflow's finished runs of experiment `mlgate/<name>`, or of a shelf beside it, newest first.

        Args:
            name: The registered model.
            shelf: As in `GateRun`.
            run_id: Only this one.
            tags: Values that run tags must have, by key without `mlgate.`.
        """
        experiment = self._client.get_experiment_by_name(keys.experiment_name(name, shelf))
        if experiment is None:
            return
        wanted = " and ".join(
            [
                "attributes.status = 'FINISHED'",
                *([f"attributes.run_id = '{run_id}'"] if run_id is not None and "'" not in run_id else []),
                *(f"tags.`mlgate.{key}` = '{value}'" for key, value in tags.items() if "'" not in value),
            ]
        )
        experiment_id = experiment.experiment_id
        newest = ["attributes.end_time DESC", "attributes.start_time DESC"]
        found = pages(
            lambda token: self._client.search_runs(
                [experiment_id], filter_string=wanted, max_results=PAGE, order_by=newest, page_token=token
            )
        )
        try:
            first = next(found, None)
        except Exception as error:
            if not _not_mlflows(error):
                raise
            found, first = iter(self._unsorted_runs(experiment_id)), None
        # A server may not know filters, and say nothing.
        told = {f"mlgate.{key}": value for key, value in tags.items()}
        yield from (
            run
            for run in (found if first is None else chain([first], found))
            if run.info.status == "FINISHED"
            and run_id in (None, run.info.run_id)
            and all(run.data.tags.get(key) == value for key, value in told.items())
        )

    def _unsorted_runs(self, experiment_id: str) -> list[Any]:
        """Return every run, newest first, of a server that takes neither MLflow's order nor its filters (GitLab)."""
        found = pages(lambda token: self._client.search_runs([experiment_id], max_results=PAGE, page_token=token))
        return sorted(found, key=lambda run: (run.info.end_time or 0, run.info.start_time or 0), reverse=True)

    def _models_of_run(self, run: Any) -> list[Any]:
        try:
            found = pages(
                lambda token: self._client.search_logged_models(
                    [run.info.experiment_id],
                    filter_string=f"source_run_id = '{run.info.run_id}'",
                    order_by=[{"field_name": "creation_timestamp", "ascending": False}],
                    max_results=PAGE,
                    page_token=token,
                )
            )
            return [model for model in found if model.source_run_id == run.info.run_id]
        except Exception as error:
            if error_code(error) in ABSENT:  # a server before MLflow 3 knows no logged models
                return []
            raise

    def _concrete(self, location: str, hops: int = 0) -> str:
        """Follow a location that names another model, so that one set of bytes has one location."""
        if hops > _MAX_HOPS:
            raise RegistryError(f"{self._place}: the source {location} leads in a circle")
        if match := re.fullmatch(r"models:/+(m-[0-9a-zA-Z]+)(/.*)?", location):
            model = self.found(location, partial(self._client.get_logged_model, match[1]))
            return self._concrete(f"{model.artifact_location}{match[2] or ''}", hops + 1)
        if match := re.fullmatch(r"models:/+([^/:@]+)/([0-9]+)/?", location):
            found = self.found(location, partial(self._client.get_model_version_download_uri, match[1], match[2]))
            return self._concrete(str(found), hops + 1)
        if match := re.fullmatch(r"runs:/+([0-9a-zA-Z_-]+)/(.+)", location):
            return self._of_run(match[1], match[2], hops + 1).location
        if not location or location.startswith("models:"):
            raise RegistryError(f"{self._place}: the artifacts are at '{location}', which is no place")
        return location

    def _expect(self, told: Any, asked: str) -> None:
        # Any JSON object parses as any answer: MLflow's client leaves what is missing empty.
        if told != asked:
            raise RegistryError(
                f"{self._place}: asked for {asked}, it answered about '{str(told)[:100]}', not as an MLflow server",
                hint="is MLFLOW_TRACKING_URI right?",
            )


def _not_mlflows(error: BaseException) -> bool:
    """Return whether a server that is not MLflow refused: JSON, and none of MLflow's error codes in it (GitLab)."""
    told = getattr(error, "json", None)
    return isinstance(told, dict) and "error" in told and "error_code" not in told


def _listed(numbers: list[str]) -> str:
    """Return `versions 1 to 3`, or the numbers where some are missing between."""
    if not numbers:
        return "no versions"
    if len(numbers) == 1:
        return f"version {numbers[0]}"
    if len(numbers) > 2 and all(number.isdecimal() for number in numbers):
        first, last = int(numbers[-1]), int(numbers[0])
        if last - first + 1 == len(numbers):
            return f"versions {first} to {last}"
    shown = ", ".join(numbers[:10])
    return f"versions {shown}{', …' if len(numbers) > 10 else ''}"
