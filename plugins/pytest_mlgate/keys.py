"""Stash keys, the order of checks, and the exceptions that one ends with."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

import pytest

from mlgate.errors import one_line

if TYPE_CHECKING:
    from mlgate.evidence import Finding
    from pytest_mlgate.recorder import Recorder
    from pytest_mlgate.session import GateSession

SESSION: pytest.StashKey["GateSession"] = pytest.StashKey()
RECORDER: pytest.StashKey["Recorder"] = pytest.StashKey()
# The check id of an item, in text form.
CHECK: pytest.StashKey[str] = pytest.StashKey()
# The exit status of a run that ended before anything was collected, where it is not that of wrong usage.
EXIT_STATUS: pytest.StashKey[int] = pytest.StashKey()


class CheckFailed(AssertionError):
    """A check recorded that the model failed."""


class CheckErrored(Exception):
    """A check recorded that it could not measure."""


class NotServed(Exception):
    """There is no server to ask."""


EXPECTED = (CheckFailed, CheckErrored, NotServed)


def check_failed(finding: "Finding") -> NoReturn:
    """End the test with what the check found."""
    __tracebackhide__ = True
    kind = CheckFailed if finding.outcome == "failed" else CheckErrored
    raise kind(one_line(finding.reason))


def in_order(items: Sequence[pytest.Item], keys: Iterable[str]) -> list[pytest.Item]:
    """Put the checks of *keys* in their order: the logged example comes before requests that are meant to hurt."""
    place = {key: index for index, key in enumerate(keys)}
    ours = [item for item in items if item.stash.get(CHECK, None) in place]
    rest = iter(sorted(ours, key=lambda item: place[item.stash[CHECK]]))
    return [next(rest) if item in ours else item for item in items]
