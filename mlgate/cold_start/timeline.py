"""Where the time of one start goes, and what is slowest in it. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mlgate.quantities import format_duration, format_number

FIRST_PREDICTION = "first_prediction"
# In the order of time; what a server says of its own comes where it says, after these.
ORDER = ("create", "start", "interpreter", "imports", "load", "warm_up", "ready", FIRST_PREDICTION)
# Phases in the words of the sentence that names the slowest.
_WORDS = {
    "create": "creating the container",
    "start": "starting the container",
    "load": "model load",
    "warm_up": "warm-up predictions",
    "ready": "beginning to listen",
    FIRST_PREDICTION: "first prediction",
}
# A part of a phase is named when it is at least this share of it.
_NOTABLE = 0.2
MAX_SECONDS = 1e6
MAX_PARTS = 40

Imports = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One phase: its own seconds, and when it was over, counted from the beginning of the first."""

    name: str
    seconds: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One start, from the engine's first work on it to the first correct prediction.

    Attributes:
        before: What the engine took until its start of the container, `create` and `start`, in seconds.
        phases: Phase to seconds from that start to its end.
        imports: Phase to outermost package to package to the seconds that importing its own modules took.
    """

    before: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    imports: Imports = field(default_factory=dict)

    def parts(self) -> tuple[Part, ...]:
        """Return the phases one after another; what took no time is left out."""
        found: list[Part] = []
        at = 0.0
        for name, seconds in sorted(self.before.items(), key=_place):
            at += seconds
            found.append(Part(name=name, seconds=seconds, until_s=at))
        begun, before = at, 0.0
        for name, until in sorted(self.phases.items(), key=lambda item: (item[1], _place(item))):
            found.append(Part(name=name, seconds=until - before, until_s=begun + until))
            before = until
        return tuple(part for part in found if part.seconds > 0)

    @property
    def total_s(self) -> float:
        """Seconds in all."""
        parts = self.parts()
        return parts[-1].until_s if parts else 0.0

    def slowest(self) -> str:
        """Name the slowest phase with its share, and the import that takes most of it; empty where nothing is known.

        Such as `imports 61 % (1.8 s): sklearn 1.4 s, of it scipy 910 ms`.
        """
        parts = self.parts()
        if not parts:
            return ""
        slowest = max(parts, key=lambda part: part.seconds)
        share = format_number(round(100 * slowest.seconds / self.total_s))
        told = f"{_WORDS.get(slowest.name, slowest.name)} {share} % ({format_duration(slowest.seconds)})"
        packages = {name: sum(own.values()) for name, own in self.imports.get(slowest.name, {}).items()}
        if not packages:
            return told
        package = max(packages, key=lambda name: packages[name])
        if packages[package] < _NOTABLE * slowest.seconds:
            return told
        told += f": {'' if slowest.name == 'imports' else 'importing '}{package} {format_duration(packages[package])}"
        own = self.imports[slowest.name][package]
        inner = max(own, key=lambda name: own[name])
        if inner == package or own[inner] < _NOTABLE * packages[package]:
            return told
        return f"{told}, of it {inner} {format_duration(own[inner])}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a finding's details hold it."""
        return {"before": dict(self.before), "phases": dict(self.phases), "imports": self.imports}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what `to_json` wrote; what is malformed is left out."""
        held = value if isinstance(value, Mapping) else {}
        imports = {
            phase: {package: own for package, inner in _mapping(packages) if (own := _seconds(inner))}
            for phase, packages in _mapping(held.get("imports"))
        }
        return cls(before=_seconds(held.get("before")), phases=_seconds(held.get("phases")), imports=imports)


def _place(item: tuple[str, float]) -> int:
    return ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)


def _mapping(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return []
    return [(name, inner) for name, inner in value.items() if isinstance(name, str)][:MAX_PARTS]


def _seconds(value: Any) -> dict[str, float]:
    return {
        name: float(seconds)
        for name, seconds in _mapping(value)
        if isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and math.isfinite(seconds)
        and 0 <= seconds <= MAX_SECONDS
    }
