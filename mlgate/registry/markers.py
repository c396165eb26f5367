"""Markers: names in a registry that are created once or not at all, whoever asks at the same time. Pure.

A marker is a registered model without versions. Creating one is the only thing that a registry does atomically; what
it is good for is `mlgate/locking`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# Whatever lists a registry's models leaves these out.
MARKER_PREFIX = "mlgate-lock-"


def is_marker(name: str) -> bool:
    """Whether a registered model of that name is a marker and no model."""
    return name.startswith(MARKER_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A marker as it stands in the registry: anybody may have written it.

    Attributes:
        name: Begins with `MARKER_PREFIX`.
        created_at: When, in seconds since 1970 by the clock of who keeps the registry; 0 where it does not tell.
        tags: Those it was created with, and those set since.
    """

    name: str
    created_at: float
    tags: Mapping[str, str]


class Markers(Protocol):
    """The markers of one registry. Every method raises `RegistryError` where it does not answer."""

    def create(self, name: str, tags: Mapping[str, str], text: str = "") -> Marker | None:
        """Create a marker together with its tags; of several callers one gets it.

        Args:
            name: Begins with `MARKER_PREFIX`.
            tags: There from the first moment.
            text: Its description, for a person who meets it.

        Returns:
            The marker; `None` where there is one of that name. That may be this call's own: a request that took effect
            and whose answer was lost is sent again.
        """

    def find(self, name: str) -> Marker | None:
        """Return a marker; `None` where there is none, or none that these credentials may read."""

    def matching(self, prefix: str) -> Sequence[Marker]:
        """Return the markers whose names begin with *prefix*, in any order: up to 100 by one look at the registry."""

    def set_tag(self, name: str, key: str, value: str) -> bool:
        """Set a tag; return whether there is such a marker."""

    def delete(self, name: str) -> bool:
        """Delete a marker; return whether there was one."""
