"""The move of an alias: recorded before, made, read back, closed. The one place that moves anything.

Killed anywhere, the same command run again ends as if nothing had happened: an entry that is open is either the very
move that is asked for, and is continued, or tells of one that took place, and is closed, or of one that did not, and is
abandoned. Traffic belongs between the two reads of the alias: whatever shifts it shares this entry and this order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mlgate.errors import LockedError, RegistryError
from mlgate.locking.interface import Held
from mlgate.locking.lock import lock_for
from mlgate.promotion.journal import Action, Entry, Event, Journal, read_journal
from mlgate.registry.interface import EventState, ModelRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is true under the lock.

    Attributes:
        journal: With every open entry settled, but for those of the move that is asked for.
        aliases: Alias to version.
        finished: Entries whose move had taken place and which were closed now.
    """

    journal: Journal
    aliases: Mapping[str, str]
    finished: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of a move.

    Attributes:
        event: As it is on record, or would be.
        moved: Whether the alias moved now; else it was there.
        repaired: Whether it was there because of an earlier move that had been cut short, and is on record now.
        adopted: Whether it was there by other means, or with other bytes, and is on record now.
    """

    event: Event
    moved: bool
    repaired: bool = False
    adopted: bool = False


def move(
    registry: ModelRegistry,
    wanted: Event,
    *,
    seen: str | None,
    look: Callable[[Standing], None] = lambda _standing: None,
) -> Moved:
    """Take the model's lock and move an alias, on record.

    Args:
        registry: Where.
        wanted: The move; its `before` and `previous` are set to what is true under the lock.
        seen: Where the alias has to be: what the decision was made against.
        look: Told what is true under the lock, before anything is written.

    Raises:
        LockedError: Somebody else has the lock, or the alias is not where it was.
        RegistryError: The registry does not answer, or the alias does not read back.
    """
    with lock_for(registry, wanted.name) as held:
        standing = settle(registry, wanted)
        before = standing.aliases.get(wanted.alias)
        event = replace(wanted, before=before, previous=standing.journal.head)
        there = before == wanted.after
        if there and (wanted.action is not Action.PROMOTE or standing.journal.knows(wanted)):
            repaired = any((e.event.alias, e.event.after) == (wanted.alias, before) for e in standing.finished)
            return Moved(event=event, moved=False, repaired=repaired)
        if before != seen:
            raise elsewhere(event.name, event.alias, seen, before)
        look(standing)
        return Moved(event=carry_out(registry, held, event, standing.journal), moved=not there, adopted=there)


def settle(registry: ModelRegistry, wanted: Event) -> Standing:
    """Read alias and journal, and put in order what a killed move left.

    Args:
        registry: Where.
        wanted: The move that is asked for; the lock of its model is held. An open entry of this very move stays open, to
            be continued.
    """
    journal, aliases = read_journal(wanted.name, registry.events(wanted.name)), registry.aliases(wanted.name)
    finished = tuple(entry for entry in journal.open if aliases.get(entry.event.alias) == entry.event.after)
    for entry in finished:
        registry.settle_event(entry.key, EventState.CLOSED)
    if finished:
        journal = read_journal(wanted.name, registry.events(wanted.name))
    begun = replace(wanted, before=aliases.get(wanted.alias), previous=journal.head)
    others = [entry for entry in journal.open if not entry.event.same_move(begun)]
    for entry in others:
        registry.settle_event(entry.key, EventState.ABANDONED)
    if others:
        journal = read_journal(wanted.name, registry.events(wanted.name))
    return Standing(journal=journal, aliases=aliases, finished=finished)


def carry_out(registry: ModelRegistry, held: Held, event: Event, journal: Journal) -> Event:
    """Move `event.alias` from `event.before` to `event.after`, on record.

    Args:
        registry: Where.
        held: The model's lock.
        event: The move, with the head of *journal* as its `previous`.
        journal: As `settle` returned it.

    Returns:
        The entry that is on record: an earlier one of the very same move is continued.

    Raises:
        LockedError: The alias is not where it was, or somebody else moved it as well.
        RegistryError: The alias does not read back.
    """
    begun = next((entry for entry in journal.open if entry.event.same_move(event)), None)
    key = begun.key if begun is not None else registry.open_event(event.name, event.canonical())
    held.check()
    now = registry.aliases(event.name).get(event.alias)
    if now != event.before:
        registry.settle_event(key, EventState.ABANDONED)
        raise elsewhere(event.name, event.alias, event.before, now)
    if event.before != event.after:
        registry.set_alias(event.name, event.alias, event.after)
    found = registry.aliases(event.name).get(event.alias)
    if found is None:
        raise RegistryError(
            f"{event.alias} of {event.name} does not read back after the move", hint=f"mlgate history {event.name}"
        )
    if found != event.after:
        raise LockedError(
            f"{event.alias} of {event.name} is at {found} after it was moved to {event.after}: somebody else moved it too",
            hint=f"see who is right: mlgate history {event.name}",
        )
    # Whoever took the lock over meanwhile settles the entry as well; to close it twice changes nothing.
    registry.settle_event(key, EventState.CLOSED)
    try:
        held.check()
    except LockedError as error:
        raise LockedError(
            f"{event.alias} of {event.name} was moved to {event.after}, and may be moved again: {error.message}",
            hint=f"see who is right: mlgate history {event.name}",
        ) from error
    return event if begun is None else begun.event


def elsewhere(name: str, alias: str, seen: str | None, now: str | None) -> LockedError:
    """Return what is said where an alias is not where the decision was made against."""
    message = f"{alias} of {name} moved from {seen or 'nobody'} to {now or 'nobody'} meanwhile"
    return LockedError(message, hint=f"mlgate history {name}, and judge again: mlgate gate")
