"""Markers in memory, with a clock that a test may set."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mlgate.registry.markers import Marker


class MemoryMarkers:
    """The markers of one process.

    Args:
        clock: Seconds since 1970, as the registry's own clock.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._markers: dict[str, Marker] = {}

    def create(self, name: str, tags: Mapping[str, str], text: str = "") -> Marker | None:  # noqa: ARG002 - nobody reads it here
        """Create a marker, or return `None` where there is one."""
        with self._lock:
            if name in self._markers:
                return None
            made = self._markers[name] = Marker(name=name, created_at=self._clock(), tags=dict(tags))
            return made

    def find(self, name: str) -> Marker | None:
        """Return a marker."""
        with self._lock:
            return self._markers.get(name)

    def matching(self, prefix: str) -> Sequence[Marker]:
        """Return the markers whose names begin with *prefix*."""
        with self._lock:
            return tuple(marker for name, marker in self._markers.items() if name.startswith(prefix))

    def set_tag(self, name: str, key: str, value: str) -> bool:
        """Set a tag."""
        with self._lock:
            found = self._markers.get(name)
            if found is not None:
                self._markers[name] = replace(found, tags={**found.tags, key: value})
            return found is not None

    def delete(self, name: str) -> bool:
        """Delete a marker."""
        with self._lock:
            return self._markers.pop(name, None) is not None
