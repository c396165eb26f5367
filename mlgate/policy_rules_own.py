"""Directions that belong to one key of the policy: rows per request, the profile, signers, steps, the tolerance. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlgate.policy_rules import REWRITTEN, Change, Effect, Said, change, shown

# `properties.tolerance` left out: 1e-6 for double, 1e-4 for float (design §6, equal answers).
TIGHTEST_DEFAULT, LOOSEST_DEFAULT = 1e-6, 1e-4
# All else equal, how much the schedule asks of the server: a ramp stays below `rate`, a spike goes above it, and a soak
# is a constant rate that may not be short.
_PROFILES = {"ramp": 0, "constant": 1, "soak": 2, "spike": 2}
_UNSIGNED = "unsigned evidence"


class Batch:
    """`load.batch`, however it is written: as the shares of requests with at least so many rows."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare as first-order stochastic dominance: larger requests are stricter, and a mix of both is unclear."""
        shares = [rows_shares(value) for value in (old, new)]
        sizes = sorted(shares[0].keys() | shares[1].keys())
        tails = [[sum(share for rows, share in side.items() if rows >= size) for size in sizes] for side in shares]
        steps = [after - before for before, after in zip(*tails, strict=True)]
        more, less = any(step > 1e-9 for step in steps), any(step < -1e-9 for step in steps)
        said: Said = (Effect.MAY_BE_WEAKER, "unclear which way: some requests are larger, and some smaller")
        if not (more and less):
            said = (Effect.STRICTER, "larger requests must keep the limits") if more else said
            said = (Effect.WEAKER, "smaller requests are enough") if less else said
            said = said if more or less else REWRITTEN
        return [change(key, said, _batch_text(old), _batch_text(new), old, new)]


def rows_shares(value: Any) -> Mapping[int, float]:
    """Return rows per request to their share, of each form of `load.batch`."""
    if not isinstance(value, Mapping):
        return {int(value): 1.0}
    if "max" in value:
        sizes = range(int(value["min"]), int(value["max"]) + 1)
        return dict.fromkeys(sizes, 1 / len(sizes))
    return {int(rows): float(share) for rows, share in value.items()}


def _batch_text(value: Any) -> str:
    return f"{shown(value)} rows a request"


class Profile:
    """`load.profile` as a section of one key, its shape."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change] | None:
        """Compare the shapes; of the same shape, the numbers inside have directions of their own."""
        (before, *_), (after, *_) = old, new
        if before == after:
            return None
        ranks = _PROFILES.get(before), _PROFILES.get(after)
        said: Said = (Effect.MAY_BE_WEAKER, "unclear which way: another schedule is sent")
        if None not in ranks and ranks[0] != ranks[1]:
            is_weaker = (ranks[1] or 0) < (ranks[0] or 0)
            said = (Effect.WEAKER, "less is asked of the server over the run")
            said = said if is_weaker else (Effect.STRICTER, "more is asked of the server over the run")
        return [change(key, said, _profile_text(old), _profile_text(new), old, new)]


def _profile_text(value: Mapping[str, Any]) -> str:
    ((shape, numbers),) = value.items()
    return f"{shape} {shown(numbers)}" if numbers else shape


class Signers:
    """`evidence.signers` by name: none admits unsigned evidence."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change] | None:
        """Say that signatures came or went; of two lists, each entry has a direction of its own."""
        if old and new:
            return None
        said: Said = (Effect.STRICTER, "unsigned evidence is refused")
        said = said if new else (Effect.WEAKER, "anybody's unsigned evidence admits")
        return [change(key, said, _signers_text(old), _signers_text(new), old, new)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnList:
    """Somebody on a list, who has a key of their own there; what is inside has directions of its own.

    Attributes:
        added: What it means that they came.
        removed: That they went.
    """

    added: Said
    removed: Said

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change] | None:
        """Say who came or went."""
        if old is not None and new is not None:
            return None
        here, gone = "listed", "not listed"
        if old is None:
            return [change(key, self.added, gone, here, old, new)]
        return [change(key, self.removed, here, gone, old, new)]


class Expires:
    """The day on which a key ends; none is never."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare the days, as texts of RFC 3339."""
        longer = old is not None and (new is None or new > old)
        said: Said = (Effect.WEAKER, "it is believed for longer") if longer else (Effect.STRICTER, "it ends earlier")
        return [change(key, said, shown(old), shown(new), old, new)]


class Path:
    """`promotion.path`: an alias that comes after another one is moved only after it."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare what each alias waits for: an order that is taken away is weaker, an alias that is not named is free."""
        before, after = (dict(zip(path[1:], path, strict=False)) for path in (list(old), list(new)))
        lost = any(alias in before and after.get(alias) != before[alias] for alias in before)
        free = bool(old) and (not new or any(alias not in old for alias in new))
        said: Said = (Effect.STRICTER, "more aliases wait for another one")
        said = (Effect.WEAKER, "an alias may move earlier than before") if lost or free else said
        return [change(key, said, shown(old), shown(new), old, new)]


def _signers_text(signers: Any) -> str:
    return shown(list(signers)) if signers else f"none ({_UNSIGNED})"


class Grid:
    """`properties.inputs.*.step` with where it starts, as `grid` writes it: the values that may be drawn."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """A grid that lies within the other is narrower."""
        before, after = _steps(old), _steps(new)
        narrower, wider = _within(after, before), _within(before, after)
        said: Said = (Effect.MAY_BE_WEAKER, "unclear which way: other values are tried")
        if narrower and wider:
            said = REWRITTEN
        elif narrower or wider:
            said = (Effect.WEAKER, "fewer inputs are tried") if narrower else (Effect.STRICTER, "more inputs are tried")
        return [change(key, said, shown(old), shown(new), old, new)]


def grid(rule: Mapping[str, Any]) -> str | None:
    """Return an input's step and offset, `0.5 from 0.0`; `None` without a step."""
    step = rule["step"]
    return None if step is None else f"{step!r} from {(rule['min'] or 0.0) % step!r}"


def _steps(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    step, _, offset = text.partition(" from ")
    return float(step), float(offset)


def _within(inner: tuple[float, float] | None, outer: tuple[float, float] | None) -> bool:
    if outer is None:
        return True
    if inner is None:
        return False
    return all(_is_whole(part / outer[0]) for part in (inner[0], inner[1] - outer[1]))


def _is_whole(ratio: float) -> bool:
    return abs(ratio - round(ratio)) < 1e-9


class Tolerance:
    """`properties.tolerance`, whose default depends on the type of the answers."""

    def changes(self, key: str, old: Any, new: Any) -> Sequence[Change]:
        """Compare; between both defaults, the direction is unclear."""
        said: Said = (Effect.MAY_BE_WEAKER, "unclear which way: the default depends on the type of the answers")
        low = [(TIGHTEST_DEFAULT if value is None else value) for value in (old, new)]
        high = [(LOOSEST_DEFAULT if value is None else value) for value in (old, new)]
        if low[1] >= high[0]:
            said = (Effect.WEAKER, "answers that differ more count as equal")
        elif high[1] <= low[0]:
            said = (Effect.STRICTER, "answers must be closer to count as equal")
        return [change(key, said, _tolerance_text(old), _tolerance_text(new), old, new)]


def _tolerance_text(value: float | None) -> str:
    return f"{TIGHTEST_DEFAULT:g} for double, {LOOSEST_DEFAULT:g} for float" if value is None else f"{value:g}"


def start(text: str) -> float:
    """Return the seconds of `after`, since 1970."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def end(text: str) -> float:
    """Return the seconds of `before`, since 1970; a date means all of that day."""
    return start(text) + (86399 if len(text) <= len("2024-01-01") else 0)
