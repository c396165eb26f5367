"""Journal: one event for each move of an alias that mlgate made, each with the digest of the one before. Pure.

An event is opened before the alias moves and closed after it was read back. So a move that was killed half-way is found
by the next one, and an alias that stands elsewhere than the journal says was moved by somebody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

import rfc8785

from mlgate.attest.untrusted import read_json, read_object
from mlgate.errors import EvidenceError, MlgateError
from mlgate.evidence import digest_of
from mlgate.registry.interface import EventState, StoredEvent
from mlgate.typed_json import typed
from mlgate.verdict import parse_time

FORMAT = "mlgate-journal/1"
# What MLflow takes as the value of a run's tag, with room to spare.
MAX_BYTES = 4500
MAX_REASON = 500
_COUNTS_FIRST = (EventState.CLOSED, EventState.ABANDONED, EventState.OPEN)


class PathError(MlgateError):
    """A move that the policy's order of aliases does not allow yet."""

    exit_code = 1


class Action(StrEnum):
    """Why an alias moved."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One move.

    Attributes:
        action: Why.
        name: Registered model.
        alias: What moved.
        before: Version it pointed at; `None` where there was none.
        after: Version it points at from then on.
        artifact_digest: Of the files of *after*, in the store, at the move.
        evidence: Digest of the evidence that admitted *after*.
        run_id: Where that evidence lies.
        signer: Who vouched for it, by the policy of that day; `None` for unsigned evidence.
        policy: Digest of that policy.
        waived: Text ids of the checks that somebody answered for.
        reason: What whoever moved it says; may be empty.
        by: Who, by their own word.
        at: RFC 3339.
        ci: The pipeline's own facts.
        previous: Digest of the event before this one, of any alias of the model; `None` for the first.
    """

    action: Action
    name: str
    alias: str
    before: str | None
    after: str
    artifact_digest: str
    evidence: str
    run_id: str
    signer: str | None
    policy: str
    waived: tuple[str, ...]
    reason: str
    by: str
    at: str
    ci: Mapping[str, str] = field(default_factory=dict)
    previous: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the machine form."""
        return {
            "format": FORMAT,
            "action": str(self.action),
            "name": self.name,
            "alias": self.alias,
            "before": self.before,
            "after": self.after,
            "artifact_digest": self.artifact_digest,
            "evidence": self.evidence,
            "run_id": self.run_id,
            "signer": self.signer,
            "policy": self.policy,
            "waived": list(self.waived),
            "reason": self.reason,
            "by": self.by,
            "at": self.at,
            "ci": dict(self.ci),
            "previous": self.previous,
        }

    def canonical(self) -> bytes:
        """Return the RFC 8785 bytes.

        Raises:
            EvidenceError: Longer than the registry keeps.
        """
        raw = rfc8785.dumps(self.to_json())
        if len(raw) > MAX_BYTES:
            raise EvidenceError(f"the journal's entry is {len(raw)} bytes > {MAX_BYTES}: shorten the reason")
        return raw

    def same_move(self, other: "Event") -> bool:
        """Whether *other* tells of the same move, by the same hand, for the same reasons; begun at another time."""
        return replace(self, at=other.at) == other

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the canonical bytes."""
        return digest_of(self.canonical())


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as it was read back.

    Attributes:
        event: What it says.
        key: The registry's own id of it.
        state: Open while the alias moves; closed when it was read back.
    """

    event: Event
    key: str
    state: EventState


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Something that the journal does not explain.

    Attributes:
        code: `outside_move`, `broken_chain`, `unreadable` or `unfinished`.
        message: One sentence for people.
        alias: Whose, where it is about one.
        before: Key of the entry that stands after the gap; `None` where the gap reaches until now.
    """

    code: str
    message: str
    alias: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The moves of one registered model, oldest first.

    Attributes:
        name: Registered model.
        entries: Those that can be read, open ones too.
        unreadable: Keys of those that can not.
    """

    name: str
    entries: tuple[Entry, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def done(self) -> tuple[Entry, ...]:
        """The moves that took place."""
        return tuple(entry for entry in self.entries if entry.state is EventState.CLOSED)

    @property
    def open(self) -> tuple[Entry, ...]:
        """The moves that were begun and not closed."""
        return tuple(entry for entry in self.entries if entry.state is EventState.OPEN)

    @property
    def head(self) -> str | None:
        """Digest of the newest move: what the next one names as its *previous*."""
        return self.done[-1].event.digest if self.done else None

    def of(self, alias: str) -> tuple[Entry, ...]:
        """Return the moves of one alias."""
        return tuple(entry for entry in self.done if entry.event.alias == alias)

    def last(self, alias: str) -> Entry | None:
        """Return the newest move of one alias."""
        return next(reversed(self.of(alias)), None)

    def admitted(self, version: str, alias: str) -> Entry | None:
        """Return the newest promotion of *version* to *alias*; `None` where there never was one.

        Of another alias it does not count: a version that was `staging` only would skip what the policy's path has between.
        """
        found = [e for e in self.of(alias) if e.event.after == version and e.event.action is Action.PROMOTE]
        return found[-1] if found else None

    def knows(self, event: Event) -> bool:
        """Whether its alias is there by the newest move of it, with the same bytes."""
        last = self.last(event.alias)
        return last is not None and (last.event.after, last.event.artifact_digest) == (
            event.after,
            event.artifact_digest,
        )

    def previous(self, alias: str, current: str | None) -> str | None:
        """Return the version that a rollback of *alias* leads to.

        A promotion lays its version on a stack, and a rollback takes it off again: two rollbacks in a row go back two
        champions, and never forward to what was just taken away.

        Args:
            alias: Whose.
            current: Where it points now; elsewhere than the journal says, the way back is the journal's last word.
        """
        stack: list[str] = []
        for entry in self.of(alias):
            event = entry.event
            if event.action is Action.ROLLBACK and event.after in stack:
                del stack[stack.index(event.after) + 1 :]
            elif not stack or stack[-1] != event.after:
                stack.append(event.after)
        while stack and stack[-1] == current:
            stack.pop()
        return stack[-1] if stack else None

    def anomalies(self, aliases: Mapping[str, str]) -> tuple[Anomaly, ...]:
        """Return what the journal does not explain: moves that mlgate did not make, entries that are gone or changed.

        Args:
            aliases: Alias to version, now.
        """
        return (*self.holes(), *self._moves(aliases), *self._unfinished())

    def holes(self) -> tuple[Anomaly, ...]:
        """Return where entries are gone or changed, wherever the aliases are."""
        return (*self._unreadable(), *self._gaps())

    def _unreadable(self) -> Sequence[Anomaly]:
        return [
            Anomaly(code="unreadable", message=f"entry {key} can not be read: it was changed")
            for key in self.unreadable
        ]

    def _gaps(self) -> Sequence[Anomaly]:
        found, before = [], None
        for entry in self.done:
            if entry.event.previous != before:
                message = f"an entry before {entry.event.at} is missing or was changed"
                found.append(Anomaly(code="broken_chain", message=message, before=entry.key))
            before = entry.event.digest
        return found

    def _moves(self, aliases: Mapping[str, str]) -> Sequence[Anomaly]:
        found = []
        for alias in dict.fromkeys(entry.event.alias for entry in self.done):
            moves = self.of(alias)
            for one, two in pairwise(moves):
                if two.event.before != one.event.after:
                    found.append(_outside(alias, one.event, two.event.before, until=two.event.at, before=two.key))
            last = moves[-1].event
            # A move that is under way explains where the alias stands.
            under_way = {entry.event.after for entry in self.open if entry.event.alias == alias}
            if aliases.get(alias) != last.after and aliases.get(alias) not in under_way:
                found.append(_outside(alias, last, aliases.get(alias), until="now", before=None))
        return found

    def _unfinished(self) -> Sequence[Anomaly]:
        return [
            Anomaly(
                code="unfinished",
                message=f"a move of {entry.event.alias} to {entry.event.after} was begun at {entry.event.at} and not closed",
                alias=entry.event.alias,
                before=entry.key,
            )
            for entry in self.open
        ]


def read_journal(name: str, stored: Sequence[StoredEvent]) -> Journal:
    """Read what the registry holds, in any order.

    Moves follow one another by their digests, so their order does not hang on clocks; where that chain is broken, the
    time says it.

    Args:
        name: Registered model.
        stored: Its events; abandoned ones are left out.
    """
    entries: list[Entry] = []
    unreadable: list[str] = []
    seen: set[bytes] = set()
    for found in sorted(stored, key=lambda event: (_COUNTS_FIRST.index(event.state), event.key)):
        # A write whose answer was lost is made again: the same entry twice is one, and abandoned with the one that was.
        if found.raw in seen:
            continue
        seen.add(found.raw)
        if found.state is EventState.ABANDONED:
            continue
        try:
            event = read_event(found.raw)
        except EvidenceError:
            unreadable.append(found.key)
            continue
        if event.name == name:
            entries.append(Entry(event=event, key=found.key, state=found.state))
        else:
            unreadable.append(found.key)
    return Journal(name=name, entries=_in_order(entries), unreadable=tuple(sorted(unreadable)))


def read_event(raw: bytes) -> Event:
    """Read one event strictly.

    Raises:
        EvidenceError: Not one, or not as it was written.
    """
    document = read_json(raw, what="the journal's entry", max_bytes=2 * MAX_BYTES, max_depth=3)
    found = read_object(document, what="the journal's entry", required=("format", *Event.__dataclass_fields__))
    if found.pop("format") != FORMAT:
        raise EvidenceError(f"the journal's entry is not {FORMAT}")
    try:
        event: Event = typed(Event, found, "event")
        parse_time(event.at)
    except (ValueError, OverflowError) as error:
        raise EvidenceError(f"the journal's entry is malformed: {error}") from None
    if event.canonical() != raw:
        raise EvidenceError("the journal's entry is not in canonical form (RFC 8785)")
    return event


def _in_order(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Sort by time, then let every entry follow the one that it names."""
    left = sorted(entries, key=lambda entry: (parse_time(entry.event.at), entry.key))
    ordered: list[Entry] = []
    head: str | None = None
    while left:
        following = next(
            (entry for entry in left if entry.event.previous == head and entry.state is EventState.CLOSED), None
        )
        entry = following or left[0]
        left.remove(entry)
        ordered.append(entry)
        if entry.state is EventState.CLOSED:
            head = entry.event.digest
    return tuple(ordered)


def _outside(alias: str, last: Event, found: str | None, *, until: str, before: str | None) -> Anomaly:
    where = f"to {found}" if found is not None else "away"
    message = f"{alias} was moved outside mlgate between {last.at} and {until}: from {last.after} {where}"
    return Anomaly(code="outside_move", message=message, alias=alias, before=before)
