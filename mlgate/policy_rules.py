"""Which way a key of the policy goes: what a change of its value does to the gate, in words. Pure."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from mlgate.quantities import format_measured


class Effect(StrEnum):
    """What a change does to the gate, the worst first."""

    WEAKER = "weaker"
    MAY_BE_WEAKER = "may be weaker"
    STRICTER = "stricter"
    DIFFERENT = "different"

    @property
    def weakens(self) -> bool:
        """Whether a pipeline has to stop. What is unclear counts: else the unclear way would be the way round."""
        return self in {Effect.WEAKER, Effect.MAY_BE_WEAKER}


Said = tuple[Effect, str]
REWRITTEN: Said = (Effect.DIFFERENT, "means the same, written in another way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key, or one entry of a list, that is not what it was.

    Attributes:
        key: Dotted.
        effect: What it does to the gate.
        before: The old value, with its unit.
        after: The new value, with its unit.
        meaning: The effect in words: what passes now, or no longer.
    """

    key: str
    effect: Effect
    before: str
    after: str
    meaning: str


class Rule(Protocol):
    """The direction of one key."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change] | None:
        """Judge two values that are not equal.

        Args:
            key: Dotted, for the change.
            old: As JSON; `None` where there is none.
            new: As JSON; `None` where there is none.

        Returns:
            The changes; `None` where the keys inside have directions of their own.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number with a direction.

    Attributes:
        more: What a larger value does: weaker for a limit, stricter for a floor.
        weaker: What a weaker value means, in words.
        stricter: What a stricter value means.
        unit: Of `format_measured`; empty for a number.
        absent: What it does that there is no value any more; the other way round, the opposite.
        absent_text: How no value is printed.
        number: Makes a number of the value.
    """

    more: Effect
    weaker: str
    stricter: str
    unit: str = ""
    absent: Effect = Effect.WEAKER
    absent_text: str = "not checked"
    number: Callable[[Any], float] = float

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare; a value against none goes as `absent` says."""
        before, after = self._ease(old), self._ease(new)
        if after == before:
            effect, meaning = REWRITTEN
        elif after > before:
            effect = Effect.WEAKER
            meaning = self.weaker if new is not None else f"the limit is gone: {self.weaker}"
        elif after < before:
            effect, meaning = Effect.STRICTER, self.stricter
        else:
            effect, meaning = (
                Effect.MAY_BE_WEAKER,
                f"unclear which way: one side leaves it to the default; {self.weaker}",
            )
        return [change(key, (effect, meaning), self._text(old), self._text(new), old, new)]

    def _ease(self, value: Any) -> float:
        """Return how much passes: larger is easier, nan is not known."""
        if value is None:
            return {Effect.WEAKER: math.inf, Effect.STRICTER: -math.inf}.get(self.absent, math.nan)
        return self.number(value) if self.more is Effect.WEAKER else -self.number(value)

    def _text(self, value: Any) -> str:
        if value is None:
            return self.absent_text
        return format_measured(value, self.unit) if isinstance(value, (int, float)) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A choice among words or numbers that stand in an order.

    Attributes:
        ranks: Value to rank; a larger one is stricter. Of equal ranks, and without one, the direction is unclear.
        weaker: What a lower rank means, in words.
        stricter: What a higher rank means.
    """

    ranks: Mapping[Any, int]
    weaker: str
    stricter: str

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare the ranks."""
        before, after = self.ranks.get(old), self.ranks.get(new)
        if before is None or after is None or before == after:
            said = (Effect.MAY_BE_WEAKER, f"unclear which way; {self.weaker}")
        else:
            said = (Effect.WEAKER, self.weaker) if after < before else (Effect.STRICTER, self.stricter)
        return [change(key, said, shown(old), shown(new), old, new)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A value, or a section, that may be absent.

    Attributes:
        added: There was none.
        removed: There is none any more.
        changed: Both are there and not equal; `None`: the keys inside have directions of their own.
    """

    added: Said
    removed: Said
    changed: Said | None = None

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change] | None:
        """Say what came, went or changed."""
        said = self.added if old is None else self.removed if new is None else self.changed
        return None if said is None else [change(key, said, shown(old), shown(new), old, new)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list whose order says nothing: each entry that came or went is a change of its own.

    Attributes:
        added: An entry more.
        removed: An entry less.
        appeared: There was no list, which is not an empty one; `None`: it is taken as an empty one.
        vanished: There is no list any more.
    """

    added: Said
    removed: Said
    appeared: Said | None = None
    vanished: Said | None = None

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare entry by entry."""
        whole = self.appeared if old is None else self.vanished if new is None else None
        if whole is not None:
            return [change(key, whole, shown(old), shown(new), old, new)]
        before, after = ({json_text(entry): entry for entry in entries or ()} for entries in (old, new))
        gone = [entry for text, entry in before.items() if text not in after]
        come = [entry for text, entry in after.items() if text not in before]
        if not gone and not come:
            return [change(key, REWRITTEN, shown(old), shown(new), old, new)]
        return [
            *(change(key, self.removed, shown(entry), "not listed", entry, None) for entry in gone),
            *(change(key, self.added, "not listed", shown(entry), None, entry) for entry in come),
        ]


def always(effect: Effect, meaning: str) -> Named:
    """Return the rule of a key whose every change does the same."""
    return Named(added=(effect, meaning), removed=(effect, meaning), changed=(effect, meaning))


def change(key: str, said: Said, before: str, after: str, old: Any, new: Any) -> Change:
    """Return a change; values that would be printed alike, rounded, are printed in full."""
    if before == after:
        before, after = json_text(old), json_text(new)
    return Change(key=key, effect=said[0], before=before, after=after, meaning=said[1])


def json_text(value: Any) -> str:
    """Return *value* as JSON that is equal where the values are: `true` is not 1."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def shown(value: Any) -> str:
    """Print a value as a policy would write it, without the keys that ask nothing."""
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {shown(inner)}' for name, inner in value.items() if inner is not None)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value if isinstance(value, str) else json_text(value)
