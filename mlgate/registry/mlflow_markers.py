"""Markers as MLflow's registered models, over a client that is handed in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from mlgate.registry.markers import Marker
from mlgate.registry.mlflow_lookup import ABSENT, PAGE, error_code, pages

# The end of the year 9999: what a hostile server says must still be a date.
_LAST_MS = 253_402_300_799_000


class MlflowMarkers:
    """Registered models whose names are markers.

    Args:
        calling: Yields an `MlflowClient` for what the text says, and turns what it raises into a `RegistryError`.
    """

    def __init__(self, calling: Callable[[str], AbstractContextManager[Any]]) -> None:
        self._calling = calling

    def create(self, name: str, tags: Mapping[str, str], text: str = "") -> Marker | None:
        """Create a registered model with its tags in one request, which the store does in one transaction."""
        with self._calling(f"creating {name}") as client:
            try:
                return _read(client.create_registered_model(name, tags=dict(tags), description=text))
            except Exception as error:
                if error_code(error) == "RESOURCE_ALREADY_EXISTS":
                    return None
                raise

    def find(self, name: str) -> Marker | None:
        """Search for one name: reading one that is not there is forbidden to whoever may read only what is granted."""
        with self._calling(f"looking for {name}") as client:
            found = client.search_registered_models(f"name = '{name}'", 1)
            return next((_read(model) for model in found if model.name == name), None)

    def matching(self, prefix: str) -> Sequence[Marker]:
        """Search by the beginning of the name."""
        with self._calling(f"looking for {prefix}…") as client:
            found = pages(
                lambda token: client.search_registered_models(f"name LIKE '{prefix}%'", PAGE, page_token=token)
            )
            # "_" and "%" stand for anything in LIKE, and some databases take small letters for capitals.
            return tuple(_read(model) for model in found if str(model.name).startswith(prefix))

    def set_tag(self, name: str, key: str, value: str) -> bool:
        """Set a tag of a registered model."""
        with self._calling(f"tagging {name}") as client:
            return _was_there(lambda: client.set_registered_model_tag(name, key, value))

    def delete(self, name: str) -> bool:
        """Delete a registered model, which has no versions."""
        with self._calling(f"deleting {name}") as client:
            return _was_there(lambda: client.delete_registered_model(name))


def _read(model: Any) -> Marker:
    created_ms = min(max(int(model.creation_timestamp or 0), 0), _LAST_MS)
    tags = {str(key): str(value) for key, value in model.tags.items()}
    return Marker(name=str(model.name), created_at=created_ms / 1000, tags=tags)


def _was_there(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Exception as error:
        if error_code(error) not in ABSENT:
            raise
        return False
    return True
