"""Tests beside each other under `pytest -n`, but for those marked `alone`: while one of them runs, no other test does.

Latency that is measured, or a host's cores that are counted, beside another test say something about that test. One run of
pytest with one report is kept this way, where a second one for these tests would need a report of its own.
"""

import fcntl
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MARK = "alone"


def is_alone(item: pytest.Item) -> bool:
    """Return whether a test asks for the machine to itself."""
    return item.get_closest_marker(MARK) is not None


class Turns:
    """A room that any number of tests may share, or one have to itself.

    Processes agree on it by two files in a folder of theirs. Whoever waits to be alone holds the door meanwhile: the others
    finish the test they are in and start none.
    """

    def __init__(self, folder: Path) -> None:
        self._door = (folder / "door.lock").open("w")
        self._room = (folder / "room.lock").open("w")

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for the room, and leave it in the end."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)


class Alone:
    """The plugin of one worker."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    # First, so that the wait is not in the test's time limit.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Wait for the test's turn: with its fixtures, and with those of its module that it is the first or the last to use."""
        with self._turns.turn(alone=is_alone(item)):
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the files with such tests last, and those with no others at the very end: nobody is left to be kept waiting."""
        kinds: dict[Path, set[bool]] = defaultdict(set)
        for item in items:
            kinds[item.path].add(is_alone(item))
        items.sort(key=lambda item: (True in kinds[item.path], False not in kinds[item.path]))
