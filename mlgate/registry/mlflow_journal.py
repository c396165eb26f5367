"""The journal as MLflow holds it: a run for each entry, written whole in one call, closed by its status.

An entry is a tag of its run and no file, so that one call writes it and one call reads a thousand.
"""

from typing import Any

from mlgate.registry import tags as keys
from mlgate.registry.interface import EventState, StoredEvent
from mlgate.registry.mlflow_lookup import pages

_PAGE = 1000
_STATES = {"RUNNING": EventState.OPEN, "FINISHED": EventState.CLOSED}
_STATUS = {EventState.CLOSED: "FINISHED", EventState.ABANDONED: "FAILED"}


def open_event(client: Any, experiment_id: str, raw: bytes) -> str:
    """Write an entry and return its run's id."""
    run = client.create_run(experiment_id, tags={**keys.RUN_TYPE, keys.EVENT: raw.decode()}, run_name="move")
    return str(run.info.run_id)


def settle_event(client: Any, key: str, state: EventState) -> None:
    """Close or abandon an entry."""
    client.set_terminated(key, _STATUS[state])


def events(client: Any, experiment_id: str) -> tuple[StoredEvent, ...]:
    """Return every entry of an experiment, newest first."""
    found = pages(
        lambda token: client.search_runs(
            [experiment_id],
            filter_string="",
            max_results=_PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
    )
    return tuple(
        StoredEvent(
            key=str(run.info.run_id),
            raw=run.data.tags.get(keys.EVENT, "").encode(),
            state=_STATES.get(str(run.info.status), EventState.ABANDONED),
        )
        for run in found
    )
