"""The move itself: what is looked at right before the write and right after it, and what is said where somebody else was there."""

from contextlib import contextmanager

import pytest

from mlgate.errors import LockedError, RegistryError
from mlgate.promotion import move as moving
from mlgate.promotion.journal import Action, Event, read_journal
from mlgate.promotion.move import move
from mlgate.registry.memory import MemoryRegistry
from tests.promotable import model


class Lock:
    """A lock that is lost at one of its checks; `None` for never."""

    def __init__(self, lost_at=None):
        self.lost_at, self.checks = lost_at, 0

    def check(self):
        self.checks += 1
        if self.checks == self.lost_at:
            raise LockedError("churn: locked by ann")


@pytest.fixture
def registry(tmp_path):
    """Three versions, of which the first is the champion and on record."""
    made = MemoryRegistry()
    for number in "123":
        made.add("churn", model(tmp_path / number, number))
    move(made, promotion("1"), seen=None)
    return made


@pytest.fixture
def lock(monkeypatch):
    """The lock of the move, never lost unless a test says so."""
    held = Lock()

    @contextmanager
    def lock_for(*_):
        yield held

    monkeypatch.setattr(moving, "lock_for", lock_for)
    return held


def promotion(version):
    """A move of champion."""
    digest = "sha256:" + version * 64
    return Event(
        action=Action.PROMOTE, name="churn", alias="champion", before=None, after=version, artifact_digest=digest,
        evidence=digest, run_id="r", signer=None, policy=digest, waived=(), reason="", by="kim", at="2026-11-24T10:00:00Z",
    )  # fmt: skip


def found(registry):
    """Where champion is, and how far each entry came, oldest first."""
    states = [str(stored.state) for stored in registry.events("churn")]
    return registry.aliases("churn").get("champion"), states[::-1]


def test_a_lock_that_was_lost_before_the_write_moves_nothing(registry, lock):
    """Whoever slept between taking it and writing: the alias stays, and the next one abandons what was begun."""
    lock.lost_at = 1
    with pytest.raises(LockedError, match="locked by ann"):
        move(registry, promotion("2"), seen="1")
    assert found(registry) == ("1", ["closed", "open"])
    assert move(registry, promotion("3"), seen="1").moved
    assert found(registry) == ("3", ["closed", "abandoned", "closed"])


def test_a_lock_that_was_lost_during_the_write_is_told_though_the_alias_moved(registry, lock):
    """The fence behind the write: somebody else may have written too, and the entry says what was done."""
    lock.lost_at = 2
    with pytest.raises(LockedError, match="was moved to 2, and may be moved again: churn: locked by ann") as caught:
        move(registry, promotion("2"), seen="1")
    assert caught.value.exit_code == 6
    assert "Hint: see who is right: mlgate history churn" in str(caught.value)
    assert found(registry) == ("2", ["closed", "closed"])


def test_an_alias_that_is_not_where_it_was_judged_is_left_alone(registry):
    """Under the lock, before anything is on record."""
    registry.set_alias("churn", "champion", "3")
    with pytest.raises(LockedError, match="champion of churn moved from 1 to 3 meanwhile"):
        move(registry, promotion("2"), seen="1")
    assert found(registry) == ("3", ["closed"])


def test_an_alias_that_moves_between_the_two_reads_is_left_alone(registry, monkeypatch):
    """By hand, who asks for no lock: what was begun is abandoned."""
    write = registry.open_event

    def and_by_hand(*words):
        registry.set_alias("churn", "champion", "3")
        return write(*words)

    monkeypatch.setattr(registry, "open_event", and_by_hand)
    with pytest.raises(LockedError, match="champion of churn moved from 1 to 3 meanwhile"):
        move(registry, promotion("2"), seen="1")
    assert found(registry) == ("3", ["closed", "abandoned"])


def test_an_alias_that_reads_back_as_another_was_moved_by_somebody_else_too(registry, monkeypatch):
    """Last write wins in MLflow: the loser says so, and closes nothing."""
    write = registry.set_alias

    def and_by_hand(name, alias, version):
        write(name, alias, version)
        write(name, alias, "3")

    monkeypatch.setattr(registry, "set_alias", and_by_hand)
    with pytest.raises(
        LockedError, match="champion of churn is at 3 after it was moved to 2: somebody else moved it too"
    ):
        move(registry, promotion("2"), seen="1")
    assert found(registry) == ("3", ["closed", "open"])
    journal = read_journal("churn", registry.events("churn"))
    assert [one.code for one in journal.anomalies(registry.aliases("churn"))] == ["outside_move", "unfinished"]


def test_an_alias_that_does_not_read_back_is_no_success(registry, monkeypatch):
    """A registry that says yes and keeps nothing."""
    monkeypatch.setattr(registry, "set_alias", lambda *_: registry._aliases["churn"].clear())
    with pytest.raises(RegistryError, match="champion of churn does not read back after the move"):
        move(registry, promotion("2"), seen="1")
    assert found(registry) == (None, ["closed", "open"])
