"""What a version carries while it is tested: never anything that reads like a pass."""

from contextlib import suppress
from datetime import datetime

from mlgate.errors import MlgateError
from mlgate.model_version import ModelVersion
from mlgate.registry import tags
from mlgate.registry.interface import Capability, ModelRegistry
from mlgate.verdict import format_time


class Announcement:
    """The tag that says "running"; nothing in a registry that has no place for it.

    Args:
        registry: Where.
        version: A registered one.
        started: When the run began.

    Raises:
        RegistryError: The registry does not answer.
    """

    def __init__(self, registry: ModelRegistry, version: ModelVersion, started: datetime) -> None:
        self._registry = registry
        self._version = version
        self.possible = not registry.lacks(Capability.TAGS)
        self._before = registry.tags(version).get(tags.STATUS) if self.possible else None
        if self.possible:
            # Also where this raises: a write whose answer was lost has been made.
            try:
                registry.set_tags(version, tags.running_tags(format_time(started)))
            except BaseException:
                self.withdraw()
                raise

    @property
    def words(self) -> str:
        """What to tell about it; empty where there is nothing."""
        if self.possible:
            return ""
        return f"{self._registry.uri} has no {Capability.TAGS}: none are written, the verdict is on the run"

    def withdraw(self) -> None:
        """Say what stood there before."""
        if self.possible:
            with suppress(MlgateError):
                self._registry.set_tags(self._version, {tags.STATUS: self._before or "not finished"})
