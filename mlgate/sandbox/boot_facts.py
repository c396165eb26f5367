"""What a server says of its own start, read with suspicion: a model can say anything in its place. Pure."""

from collections.abc import Mapping
from typing import Any

# What one start may put into the evidence.
MAX_NAMES = 60
MAX_NAME = 64
MAX_BYTES = 2**53 - 1
MAX_SECONDS = 1e6


def imports_of(said: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return phase to outermost package to package to seconds; what is malformed is left out."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for phase, by_outermost in _named(said.get("imports")):
        packages = {outermost: _seconds(parts) for outermost, parts in _named(by_outermost)}
        kept = {outermost: parts for outermost, parts in packages.items() if parts}
        if kept:
            found[phase] = kept
    return found


def read_of(said: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return phase to bytes `asked` by system calls and read from the `disk`; what is malformed is left out."""
    found = {}
    for phase, counters in _named(said.get("read")):
        known = {name: size for name, value in _named(counters) if (size := _bytes(value)) is not None}
        if set(known) == {"asked", "disk"}:
            found[phase] = known
    return found


def model_bytes_of(said: Mapping[str, Any]) -> int | None:
    """Return the size of the model directory, or `None`."""
    return _bytes(said.get("model_bytes"))


def _named(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return []
    names = [(name, inner) for name, inner in value.items() if isinstance(name, str) and 0 < len(name) <= MAX_NAME]
    return names[:MAX_NAMES]


def _seconds(value: Any) -> dict[str, float]:
    return {
        name: float(seconds)
        for name, seconds in _named(value)
        if isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and 0 <= seconds <= MAX_SECONDS  # so neither NaN nor an integer that no float can hold
    }


def _bytes(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= MAX_BYTES else None
