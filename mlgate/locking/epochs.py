"""How the markers of one lock are named and read. Pure.

Epoch 1 of the lock of `churn` is `mlgate-lock-churn`, epoch 7 is `mlgate-lock-churn~7`.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlgate.locking.interface import MAX_EXPIRY_S
from mlgate.registry.markers import MARKER_PREFIX, Marker
from mlgate.registry.tags import LOCK_EXPIRY_S, LOCK_HOLDER, LOCK_RELEASED, LOCK_TOKEN, cut

# MLflow keeps 256 characters of a name.
_MAX_NAME = 200
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
# No model's part holds a "~", so that no two models share a name. 18 digits: more epochs than anybody will see.
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_CLOCK = "clock-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One taking of a lock.

    Attributes:
        number: From 1; the highest one counts.
        marker: Name of the marker.
        token: Of the attempt that created it.
        holder: Who that says to be.
        created_at: Seconds since 1970, by the registry's clock.
        until: When its time is over, by the same clock.
        released: Whether its holder gave it back.
    """

    number: int
    marker: str
    token: str
    holder: str
    created_at: float
    until: float
    released: bool


def lock_name(model: str) -> str:
    """Return a model's part of the name: itself, where every character is safe, else shortened and with a digest."""
    safe = _UNSAFE.sub("_", model)
    if safe == model and len(model) <= _MAX_NAME:
        return model
    return f"{safe[: _MAX_NAME - 17]}-{hashlib.sha256(model.encode()).hexdigest()[:16]}"


def first_name(model: str) -> str:
    """Return the name of epoch 1."""
    return f"{MARKER_PREFIX}{lock_name(model)}"


def later_prefix(model: str) -> str:
    """Return what the names of a model's other markers begin with, and nobody else's."""
    return f"{first_name(model)}~"


def marker_name(model: str, number: int) -> str:
    """Return the name of an epoch's marker."""
    return first_name(model) if number == 1 else f"{later_prefix(model)}{number}"


def clock_name(model: str, token: str) -> str:
    """Return the name of a marker that lives for one question: what time it is there."""
    return f"{later_prefix(model)}{_CLOCK}{token}"


def is_clock(model: str, marker: Marker) -> bool:
    """Whether a marker asked for the time on behalf of this model's lock."""
    return marker.name.startswith(f"{later_prefix(model)}{_CLOCK}")


def marker_tags(*, token: str, holder: str, expiry_s: float) -> Mapping[str, str]:
    """Return what an epoch's marker is created with."""
    return {LOCK_TOKEN: token, LOCK_HOLDER: cut(holder), LOCK_EXPIRY_S: f"{expiry_s:g}"}


def epochs(model: str, markers: Iterable[Marker]) -> list[Epoch]:
    """Return the epochs of a model's lock among *markers*, the one that counts last."""
    found = [_epoch(marker, number) for marker in markers if (number := _number(model, marker.name)) is not None]
    return sorted(found, key=lambda epoch: epoch.number)


def _number(model: str, name: str) -> int | None:
    if name == first_name(model):
        return 1
    number = name.removeprefix(later_prefix(model))
    return int(number) if _NUMBER.fullmatch(number) and number != "1" else None


def _epoch(marker: Marker, number: int) -> Epoch:
    token = marker.tags.get(LOCK_TOKEN, "")
    return Epoch(
        number=number,
        marker=marker.name,
        token=token,
        holder=marker.tags.get(LOCK_HOLDER) or "somebody who left no name",
        created_at=marker.created_at,
        until=marker.created_at + _expiry_s(marker.tags.get(LOCK_EXPIRY_S, "")),
        # With its token, so that no late word of an earlier holder gives back what is another's.
        released=bool(token) and marker.tags.get(LOCK_RELEASED) == token,
    )


def _expiry_s(text: str) -> float:
    """Return what a marker says, at most the longest that mlgate writes; that one where it says nothing sensible."""
    try:
        found = float(text)
    except ValueError:
        return MAX_EXPIRY_S
    return found if math.isfinite(found) and 0 < found < MAX_EXPIRY_S else MAX_EXPIRY_S
