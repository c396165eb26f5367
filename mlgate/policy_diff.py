"""Compare two policies: what became weaker, what stricter, what just different. Pure.

What is compared are the effective values, defaults filled in and resolved (`max_memory_growth` follows `runtime.memory`),
and the bytes of the files that they name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlgate.evaluation.metric_names import METRICS
from mlgate.evaluation.slice_spec import parse_slice
from mlgate.policy import Policy
from mlgate.policy_directions import DIRECTIONS, NOT_IN_TABLE
from mlgate.policy_properties import pair_label
from mlgate.policy_rules import REWRITTEN, Change, Effect, Said, change, json_text, shown
from mlgate.policy_rules_own import grid
from mlgate.policy_signers import signer_files

# Key to what it means that a file of it is gone, is new, or has other bytes.
FILE_EFFECTS: Mapping[str, tuple[Said, Said, Said]] = {
    "own_checks": (
        (Effect.WEAKER, "the checks in it are gone"),
        (Effect.DIFFERENT, "a new file of own checks; have a look"),
        (Effect.DIFFERENT, "other bytes: these checks may do something else; have a look"),
    ),
    "accuracy.metrics": (
        (Effect.DIFFERENT, "a file of own metrics is gone; have a look"),
        (Effect.DIFFERENT, "a new file of own metrics; have a look"),
        (Effect.DIFFERENT, "other bytes: the metric may be another one; have a look"),
    ),
    "load.profile.trace": ((Effect.DIFFERENT, "other bytes: other arrivals are sent; have a look"),) * 3,
    "load.locustfile.file": ((Effect.DIFFERENT, "other bytes: other requests may be sent; have a look"),) * 3,
    "properties.regressions": (
        (Effect.WEAKER, "this saved failure is not tried again"),
        (Effect.STRICTER, "this saved failure is tried again"),
        (Effect.MAY_BE_WEAKER, "unclear which way: another failure is tried again"),
    ),
}
# A change of the key itself already says that these files are others.
_ONE_FILE = ("load.profile.trace", "load.locustfile.file")
_NOT_COMPARED: Said = (
    Effect.MAY_BE_WEAKER,
    "one side came on standard input and has no folder: its files were not compared",
)
_ORDER = tuple(Effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How long a key is believed: until the day *expires*, RFC 3339; not at all where it was *revoked*."""

    expires: str | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A policy as it stood somewhere, with what is read of its files.

    Attributes:
        name: Where it was read, as the user wrote it.
        policy: Its values.
        digest: `Policy.digest`, read while the files were there.
        files: Key of `FILE_EFFECTS` to file, relative to the policy, to digest; `None` where they can not be read.
        keys: File that `evidence.signers` or `evidence.waivers` names to the key in it, else to the file's digest, where
            there is one.
        standing: Such a file to how long its key is believed, as `Standing`; one without an end is not in it.
    """

    name: str
    policy: Policy
    digest: str
    files: Mapping[str, Mapping[str, str]] | None
    keys: Mapping[str, str]
    standing: Mapping[str, Standing] = field(default_factory=dict)


def compare(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """Return every change, the weaker ones first; empty where the effective values and all files are equal."""
    with_keys = old.files is not None and new.files is not None
    documents = [resolved(side, with_keys=with_keys) for side in (old, new)]
    changes = [*_walk("", "", *documents), *_files(old, new)]
    changes += _rewritten(old.policy, new.policy, changes)
    if not old.policy.values.accuracy.decides:
        changes = [_first_data(found) for found in changes]
    return tuple(sorted(changes, key=lambda found: (_ORDER.index(found.effect), found.key)))


def weakened(changes: Iterable[Change]) -> bool:
    """Whether the gate became weaker, or may have."""
    return any(found.effect.weakens for found in changes)


def resolved(snapshot: Snapshot, *, with_keys: bool = True) -> dict[str, Any]:
    """Return the effective values with defaults that depend on others, and lists of sections under their names.

    Args:
        snapshot: The policy.
        with_keys: Tell signers apart by the keys in their files too, and how long those are believed.
    """
    policy, document = snapshot.policy, snapshot.policy.effective()
    values = policy.values
    document["load"]["max_memory_growth"] = values.load.memory_growth(values.runtime.memory)
    document["load"]["profile"] = _profile(policy)
    for name, metric in document["accuracy"]["metrics"].items():
        facts = METRICS.get(name)
        metric["at"] = facts.at.default if metric["at"] is None and facts and facts.at else metric["at"]
    document["accuracy"]["slices"] = [parse_slice(entry).name for entry in values.accuracy.slices]
    document["accuracy"]["gaps"] = {
        f"{gap['metric']} over {gap['column']}": gap for gap in document["accuracy"]["gaps"]
    }
    properties = document["properties"]
    properties["scale"] = {
        section.label: change for section, change in zip(values.properties.scale, properties["scale"], strict=True)
    }
    properties["symmetric"] = [pair_label((min(pair), max(pair))) for pair in values.properties.symmetric]
    for rule in properties["inputs"].values():
        rule["step"] = grid(rule)
    for who in ("signers", "waivers"):
        named = (_signer(entry, snapshot, with_keys=with_keys) for entry in document["evidence"][who])
        document["evidence"][who] = dict(named)
    return document


def _first_data(found: Change) -> Change:
    """Return a change of how answers are read as one that can not weaken: no metric was there that read them."""
    if found.effect is not Effect.MAY_BE_WEAKER or not found.key.startswith("accuracy."):
        return found
    return replace(found, effect=Effect.DIFFERENT, meaning="no metric was judged before")


def _profile(policy: Policy) -> dict[str, Any]:
    load = policy.values.load
    match load.shape:
        case "ramp":
            return {"ramp": {"from": load.ramp_from}}
        case "spike":
            return {"spike": {"to": load.spike_to, "length": load.spike_length}}
        case "trace":
            return {"trace": load.trace}
        case word:
            return {word: {}}


def _signer(entry: Any, snapshot: Snapshot, *, with_keys: bool) -> tuple[str, Any]:
    """Return who an entry is, by the key in the file that it names, and what else it asks of a signature."""
    keys = snapshot.keys if with_keys else {}
    if not isinstance(entry, dict):
        standing = snapshot.standing.get(entry, Standing()) if with_keys else Standing()
        return _with_key(entry, keys), asdict(standing)
    root = entry["trust_root"]
    by = f" by {_with_key(root, keys)}" if root else ""
    return f"{entry['project_path']}@{entry['ref']} on {entry['gitlab']}{by}", entry


def _with_key(file: str, keys: Mapping[str, str]) -> str:
    return f"{file} ({keys[file][:19]})" if file in keys else file


def _walk(pattern: str, key: str, old: Any, new: Any) -> Iterator[Change]:
    if json_text(old) == json_text(new):
        return
    rule = DIRECTIONS.get(pattern)
    both = isinstance(old, dict) and isinstance(new, dict)
    if rule is None and not both:
        rule = NOT_IN_TABLE
    found = None if rule is None else rule.changes(key, old, new)
    if found is not None:
        yield from found
        return
    if not both:
        yield from NOT_IN_TABLE.changes(key, old, new) or ()
        return
    for name in dict.fromkeys([*old, *new]):
        inner = f"{pattern}.*" if f"{pattern}.*" in DIRECTIONS else f"{pattern}.{name}"
        yield from _walk(inner.lstrip("."), f"{key}.{name}".lstrip("."), old.get(name), new.get(name))


def _files(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    if old.files is None or new.files is None:
        named = sorted({key for side in (old, new) for key in _named_files(side.policy)})
        yield from (_not_compared(key) for key in named)
        return
    for key, (gone, come, other) in FILE_EFFECTS.items():
        before, after = old.files.get(key, {}), new.files.get(key, {})
        for path in sorted(before.keys() | after.keys()):
            one, two = before.get(path), after.get(path)
            if one == two or (key in _ONE_FILE and None in {one, two}):
                continue
            said = come if one is None else gone if two is None else other
            yield change(f"{key}: {path}", said, _bytes_text(one), _bytes_text(two), one, two)


def _not_compared(key: str) -> Change:
    effect, meaning = _NOT_COMPARED
    return Change(key=key, effect=effect, before="its files", after="its files", meaning=meaning)


def _bytes_text(digest: str | None) -> str:
    return "no file" if digest is None else digest[:19]


def _named_files(policy: Policy) -> tuple[str, ...]:
    values = policy.values
    named = {
        "own_checks": values.own_checks,
        "accuracy.metrics": values.accuracy.own_metrics,
        "load": values.load.files,
        "properties.regressions": values.properties.regressions,
        "evidence.signers": signer_files(values.evidence.signers),
        "evidence.waivers": values.evidence.waivers,
    }
    return tuple(key for key, names in named.items() if names)


def _rewritten(old: Policy, new: Policy, changes: list[Change]) -> Iterator[Change]:
    """Yield what is written in another way and means the same: it changes the digest, so it is not passed over."""
    before, after = old.effective(), new.effective()
    for key, one, two in _pairs(before, after):
        said = any(found.key == key or found.key.startswith((f"{key}.", f"{key}:")) for found in changes)
        if json_text(one) != json_text(two) and not said:
            yield change(key, REWRITTEN, shown(one), shown(two), one, two)


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys of both, two levels deep."""
    for name, value in before.items():
        other = after.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            yield from (
                (f"{name}.{inner}", value.get(inner), other.get(inner)) for inner in dict.fromkeys([*value, *other])
            )
        else:
            yield name, value, other
