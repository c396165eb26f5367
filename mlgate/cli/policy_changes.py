"""How `mlgate policy diff` prints what changed."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from mlgate.errors import one_line
from mlgate.policy_diff import Snapshot, weakened
from mlgate.policy_rules import Change, Effect
from mlgate.report.markdown import code, escape


def as_text(old: Snapshot, new: Snapshot, changes: Sequence[Change]) -> str:
    """Return a paragraph for each effect, the weaker first, and both digests."""
    lines = [
        line for effect, group in _groups(changes) for line in (f"{effect}:", *(f"  {_line(one)}" for one in group))
    ]
    names = [one_line(side.name) for side in (old, new)]
    width = max(map(len, names))
    digests = [
        f"{role} {name.ljust(width)}  {side.digest}"
        for role, name, side in zip(("old", "new"), names, (old, new), strict=True)
    ]
    return "\n".join([*lines, *digests, conclusion(old, new, changes)])


def as_markdown(old: Snapshot, new: Snapshot, changes: Sequence[Change]) -> str:
    """Return the same for a merge request's comment."""
    lines = [f"**{escape(conclusion(old, new, changes))}**", ""]
    for effect, group in _groups(changes):
        lines += [f"### {effect.capitalize()}", "", *(f"- {_markdown_line(one)}" for one in group), ""]
    sides = zip(("Old", "New"), (old, new), strict=True)
    return "\n".join([*lines, *(f"- {role}: {code(one_line(side.name))} {code(side.digest)}" for role, side in sides)])


def as_json(old: Snapshot, new: Snapshot, changes: Sequence[Change]) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "old": {"name": old.name, "digest": old.digest},
        "new": {"name": new.name, "digest": new.digest},
        "weaker": weakened(changes),
        "equal_values": not changes,
        "equal_bytes": old.policy.text == new.policy.text,
        "changes": [asdict(one) for one in changes],
    }


def conclusion(old: Snapshot, new: Snapshot, changes: Sequence[Change]) -> str:
    """Return the last line: how many of what, or that nothing changed."""
    if changes:
        counts = ", ".join(f"{sum(1 for _ in group)} {effect}" for effect, group in _groups(changes))
        return f"{counts}. The gate {'became weaker, or may have' if weakened(changes) else 'did not become weaker'}."
    if old.policy.text == new.policy.text:
        return "Nothing changed: the same bytes."
    return "Nothing changed: the effective values are equal, although the bytes of the files differ."


def _groups(changes: Sequence[Change]) -> Iterator[tuple[Effect, list[Change]]]:
    return ((effect, list(group)) for effect, group in groupby(changes, key=lambda one: one.effect))


def _line(one: Change) -> str:
    """Return `load.p95: 100 ms → 250 ms: slower answers pass`; what a policy holds stays on its line."""
    return one_line(f"{one.key}: {one.before} → {one.after}: {one.meaning}")


def _markdown_line(one: Change) -> str:
    key, before, after = (one_line(part) for part in (one.key, one.before, one.after))
    return f"{code(key)}: {escape(before)} → {escape(after)}: {escape(one.meaning)}"
