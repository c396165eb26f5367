"""What became weaker from one policy to another: the table of directions, and comparisons that must not miss anything."""

from dataclasses import replace
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mlgate.policy import PolicyValues
from mlgate.policy_diff import Snapshot, Standing, compare, weakened
from mlgate.policy_directions import DIRECTIONS
from mlgate.policy_file import parse_policy
from mlgate.policy_rules import Effect

WEAKER, MAY, STRICTER, DIFFERENT = Effect.WEAKER, Effect.MAY_BE_WEAKER, Effect.STRICTER, Effect.DIFFERENT
MARGINS = "label: y, metrics: {f1: {margin: 0.1}"


def branches(annotation) -> list[Any]:
    """The branches of a union, without what annotates them."""
    if get_origin(annotation) is Annotated:
        return branches(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [leaf for inner in get_args(annotation) for leaf in branches(inner)]
    return [annotation]


def leaves(annotation, key: str):
    """Every key that a change can happen at: values, entries of mappings and lists of sections, optional sections."""
    kinds = branches(annotation)
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if len(kinds) > 1 and key:
                yield key
            for name, info in kind.model_fields.items():
                yield from leaves(info.annotation, f"{key}.{info.alias or name}".lstrip("."))
        elif get_origin(kind) is dict:
            yield f"{key}.*"
            yield from leaves(get_args(kind)[1], f"{key}.*")
        elif get_origin(kind) is tuple and any(
            isinstance(inner, type) and issubclass(inner, BaseModel) for inner in branches(get_args(kind)[0])
        ):
            if len(branches(get_args(kind)[0])) > 1:  # names or sections: whether there are any is a change as well
                yield key
            yield f"{key}.*"
            yield from leaves(get_args(kind)[0], f"{key}.*")
        elif kind is not NoneType:
            yield key


LEAVES = sorted(set(leaves(PolicyValues, "")))


parsed = lru_cache(parse_policy)


def snapshot(text="", *, files=(), keys=(), digest=None):
    """A policy that lies somewhere, without a file system."""
    policy = parsed(text)
    return Snapshot(
        name="mlgate.yaml",
        policy=policy,
        digest=digest or policy.digest,
        files=None if files is None else {key: dict(inner) for key, inner in dict(files).items()},
        keys=dict(keys),
    )


def effects(old, new, **facts):
    """Key and effect of each change between two texts."""
    return [(one.key, one.effect) for one in compare(snapshot(old, **facts), snapshot(new, **facts))]


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_of_the_policy_has_a_direction(key):
    """A new key without one would weaken a gate and nobody would see it: add it to mlgate/policy_directions.py."""
    assert key in DIRECTIONS


def test_no_direction_is_of_a_key_that_is_not_there():
    """A name that is misspelt in the table would be the direction of nothing. What a key's file says is no key of the policy."""
    of_files = {f"evidence.{who}.*.{said}" for who in ("signers", "waivers") for said in ("expires", "revoked")}
    assert DIRECTIONS.keys() - set(LEAVES) == of_files | {"evidence.waivers.*"}


def test_the_enumeration_sees_unions_mappings_and_lists_of_sections():
    """Else the test above would pass for the wrong reason."""
    assert {
        "load.profile.ramp.from", "load.batch.max", "load.batch.*", "load.locustfile", "accuracy.gaps.*.max",
        "evidence.signers", "evidence.signers.*.sha", "properties.scale.*.multiply.*", "properties.inputs.*.step", "properties.monotonic.*", "runtime.env.*",
    } <= set(LEAVES)  # fmt: skip


def test_a_new_key_without_a_direction_is_found():
    """Wherever it is added: in a section, in a section of a list, or at the top."""

    class Grown(PolicyValues):
        rollout: int = 0
        later: tuple[PolicyValues, ...] = ()

    missing = set(leaves(Grown, "")) - DIRECTIONS.keys()
    assert {"rollout", "later.*", "later.*.load.p95"} <= missing


def test_a_key_that_the_table_does_not_know_may_be_weaker(monkeypatch):
    """Fail closed, also where the table and the model come from different commits."""
    monkeypatch.setattr("mlgate.policy_diff.DIRECTIONS", {})
    assert effects("load: {p95: 1s}", "load: {p95: 900ms}") == [("load.p95", MAY)]


# One line a rule: old, new, key, effect; the other way round is tested as well.
WEAKENINGS = [
    ("load: {p95: 100ms}", "load: {p95: 250ms}", "load.p95"),
    ("load: {p99: 1s}", "", "load.p99"),
    ("load: {error_rate: 1%}", "load: {error_rate: 2%}", "load.error_rate"),
    ("load: {confidence: 95%}", "load: {confidence: 90%}", "load.confidence"),
    ("load: {rate: 50/s}", "", "load.rate"),
    ("load: {duration: 60s}", "", "load.duration"),
    ("load: {arrivals: poisson}", "", "load.arrivals"),
    ("load: {profile: spike}", "", "load.profile"),
    ("", "load: {profile: ramp}", "load.profile"),
    ("load: {profile: {ramp: {from: 5/s}}}", "load: {profile: ramp}", "load.profile.ramp.from"),
    ("load: {profile: {spike: {to: 90/s}}}", "load: {profile: spike}", "load.profile.spike.to"),
    ("load: {profile: {spike: {length: 9s}}}", "load: {profile: spike}", "load.profile.spike.length"),
    ("load: {batch: 10}", "load: {batch: {min: 1, max: 10}}", "load.batch"),
    ("load: {batch: {1: 50%, 10: 50%}}", "load: {batch: {1: 90%, 10: 10%}}", "load.batch"),
    ("load: {max_drift: 1.5}", "", "load.max_drift"),
    ("load: {max_memory_growth: 10MiB}", "", "load.max_memory_growth"),
    ("load: {locustfile: {file: a.py, users: 9}}", "load: {locustfile: {file: a.py, users: 8}}", "load.locustfile.users"),
    ("cold_start: {peak_memory: 1GiB}", "", "cold_start.peak_memory"),
    ("cold_start: {max_ratio_to_champion: 1.2}", "cold_start: {max_ratio_to_champion: 1.3}", "cold_start.max_ratio_to_champion"),
    ("cold_start: {repeats: 7}", "", "cold_start.repeats"),
    ("requires: [schema, load]", "requires: [schema]", "requires"),
    ("own_checks: [a.py, b.py]", "own_checks: [a.py]", "own_checks"),
    ("", "sandbox: [container, process]", "sandbox"),
    ("", "runtime: {cpus: 2.0}", "runtime.cpus"),
    ("", "runtime: {request_timeout: 1m}", "runtime.request_timeout"),
    ("", "runtime: {allow_requirements: ['x @ https://a/b.whl']}", "runtime.allow_requirements"),
    ("model: churn", "", "model"),
    ("schema: {rejects: strict}", "", "schema.rejects"),
    ("", "schema: {compatible_with_champion: false}", "schema.compatible_with_champion"),
    ("schema: {max_body: 1MiB}", "schema: {max_body: 2MiB}", "schema.max_body"),
    ("", "properties: {examples: 499}", "properties.examples"),
    ("", "properties: {tolerance: 0.001}", "properties.tolerance"),
    ("properties: {tolerance: 0.0000001}", "", "properties.tolerance"),
    ("", "properties: {tolerate: 1%}", "properties.tolerate"),
    ("properties: {tolerate: 1%}", "properties: {tolerate: 2%}", "properties.tolerate"),
    ("properties: {invariant_to: [id, name]}", "properties: {invariant_to: [id]}", "properties.invariant_to"),
    ("properties: {monotonic: {a: increasing}}", "", "properties.monotonic.a"),
    ("properties: {symmetric: [[a, b]]}", "", "properties.symmetric"),
    ("properties: {scale: [{multiply: {a: 2}}]}", "", "properties.scale.a*2"),
    ("properties: {output: {min: 0}}", "properties: {output: {min: -1}}", "properties.output.min"),
    ("properties: {output: {labels: [a]}}", "properties: {output: {labels: [a, b]}}", "properties.output.labels"),
    ("properties: {output: {simplex: true}}", "", "properties.output"),
    ("properties: {unseen_category: refuse}", "", "properties.unseen_category"),
    ("", "properties: {order: [a <= b]}", "properties.order"),
    ("properties: {inputs: {a: {min: 0}}}", "properties: {inputs: {a: {min: 1}}}", "properties.inputs.a.min"),
    ("properties: {inputs: {a: {max: 9}}}", "properties: {inputs: {a: {max: 8}}}", "properties.inputs.a.max"),
    ("properties: {inputs: {a: {step: 1}}}", "properties: {inputs: {a: {step: 2}}}", "properties.inputs.a.step"),
    ("properties: {inputs: {a: {min: 0}}}", "properties: {inputs: {a: {min: 0, step: 2}}}", "properties.inputs.a.step"),
    ("properties: {inputs: {a: {values: [1, 2]}}}", "properties: {inputs: {a: {values: [1]}}}", "properties.inputs.a.values"),
    (
        "properties: {inputs: {a: {before: 2024-02-01}}}",
        "properties: {inputs: {a: {before: '2024-01-31T12:00:00'}}}",
        "properties.inputs.a.before",
    ),
    (f"accuracy: {{{MARGINS}}}}}", f"accuracy: {{{MARGINS.replace('0.1', '0.2')}}}}}", "accuracy.metrics.f1.margin"),
    (f"accuracy: {{{MARGINS}, auc: {{min: 1}}}}}}".replace("auc", "recall"), f"accuracy: {{{MARGINS}}}}}", "accuracy.metrics.recall"),
    (f"accuracy: {{slices: [a], {MARGINS}}}}}", f"accuracy: {{{MARGINS}}}}}", "accuracy.slices"),
    ("accuracy: {gaps: [{column: a, metric: f1, max: 1}]}", "", "accuracy.gaps.f1 over a"),
    ("accuracy: {confidence: 99%}", "", "accuracy.confidence"),
    (f"accuracy: {{digest: 'sha256:{'a' * 64}'}}", "", "accuracy.digest"),
    ("accuracy: {data: a.csv}", "", "accuracy.data"),
    ("accuracy: {group: g}", "", "accuracy.group"),
    ("", "runtime: {memory: 2GiB}", "runtime.memory"),
    ("", "cold_start: {ready: 11s}", "cold_start.ready"),
    ("", "cold_start: {first_prediction: 11s}", "cold_start.first_prediction"),
    ("load: {max_ratio_to_champion: 1.2, duration: 1h}", "load: {duration: 1h}", "load.max_ratio_to_champion"),
    ("load: {locustfile: {file: a.py}}", "load: {locustfile: {file: a.py, spawn_rate: 1/s}}", "load.locustfile.spawn_rate"),
    ("accuracy: {label: y, metrics: {f1: {min: 0.5}}}", "accuracy: {label: y, metrics: {f1: {min: 0.4}}}", "accuracy.metrics.f1.min"),
    ("accuracy: {label: y, metrics: {rmse: {max: 5}}}", "accuracy: {label: y, metrics: {rmse: {max: 6}}}", "accuracy.metrics.rmse.max"),
    ("accuracy: {gaps: [{column: a, metric: f1, max: 1}]}", "accuracy: {gaps: [{column: a, metric: f1, max: 2}]}", "accuracy.gaps.f1 over a.max"),
    ("", "accuracy: {max_challengers: 21}", "accuracy.max_challengers"),
    ("schema: {extra_column: refuse}", "", "schema.extra_column"),
    ("properties: {output: {max: 1}}", "properties: {output: {max: 2}}", "properties.output.max"),
    ("properties: {output: {simplex: true, place: a}}", "properties: {output: {place: a}}", "properties.output.simplex"),
    ("properties: {regressions: a}", "", "properties.regressions"),
    ("properties: {inputs: {a: {min_length: 1}}}", "properties: {inputs: {a: {min_length: 2}}}", "properties.inputs.a.min_length"),
    ("properties: {inputs: {a: {max_length: 2}}}", "properties: {inputs: {a: {max_length: 1}}}", "properties.inputs.a.max_length"),
    ("properties: {inputs: {a: {after: 2024-01-01}}}", "properties: {inputs: {a: {after: 2024-01-02}}}", "properties.inputs.a.after"),
    ("properties: {inputs: {a: {nullable: true}}}", "properties: {inputs: {a: {nullable: false}}}", "properties.inputs.a.nullable"),
    ("", "evidence: {max_age: 8d}", "evidence.max_age"),
    ("", "evidence: {digest_cache: true}", "evidence.digest_cache"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "key"), WEAKENINGS, ids=[f"{key}-{i}" for i, (*_, key) in enumerate(WEAKENINGS)]
)
def test_a_weakening_is_one_and_stricter_the_other_way_round(old, new, key):
    """One rule at a time, by its key."""
    assert dict(effects(old, new))[key] is WEAKER
    assert dict(effects(new, old))[key] is STRICTER


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        (f"accuracy: {{{MARGINS}}}}}", f"accuracy: {{{MARGINS}}}}}".replace(" y", " z"), "accuracy.label"),
        (
            f"accuracy: {{classes: [a, b], {MARGINS}}}}}",
            f"accuracy: {{classes: [b, a], {MARGINS}}}}}",
            "accuracy.classes",
        ),
        ("properties: {monotonic: {a: increasing}}", "properties: {monotonic: {a: decreasing}}", "properties.monotonic.a"),
        ("", "properties: {tolerance: 0.00001}", "properties.tolerance"),
        ("", "properties: {inputs: {a: {min: 0}}}", "properties.inputs.a"),
        ("properties: {inputs: {a: {min: 0}}}", "properties: {inputs: {a: {max: 9}}}", "properties.inputs.a.min"),
        ("properties: {inputs: {a: {step: 2}}}", "properties: {inputs: {a: {step: 3}}}", "properties.inputs.a.step"),
        ("properties: {inputs: {a: {min: 0, step: 1}}}", "properties: {inputs: {a: {min: -0.5, step: 1}}}", "properties.inputs.a.step"),
        ("load: {batch: 5}", "load: {batch: {1: 50%, 10: 50%}}", "load.batch"),
        ("", "load: {locustfile: {file: a.py}}", "load.locustfile"),
        ("load: {locustfile: {file: a.py}}", "load: {locustfile: {file: b.py}}", "load.locustfile.file"),
        ("model: a", "model: b", "model"),
    ],
)  # fmt: skip
def test_an_unclear_direction_counts_as_weaker_both_ways(old, new, key):
    """Else the unclear way would be the way round."""
    for one, two in ((old, new), (new, old)):
        assert dict(effects(one, two))[key] is MAY
        assert weakened(compare(snapshot(one), snapshot(two)))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("", "runtime: {env: {A: b}}", "runtime.env.A"),
        ("", "runtime: {server: mlserver}", "runtime.server"),
        ("accuracy: {data: a.csv}", "accuracy: {data: b.csv}", "accuracy.data"),
        ("", "load: {workers: 2}", "load.workers"),
        ("", "evidence: {rows: full}", "evidence.rows"),
        ("requires: [schema, load]", "requires: [load, schema]", "requires"),
        ("", "load: {max_memory_growth: 107374182B}", "load.max_memory_growth"),
        ("load: {profile: ramp}", "load: {profile: {ramp: {from: 2/s}}}", "load.profile"),
    ],
)
def test_what_is_neither_weaker_nor_stricter_is_different_and_stops_nobody(old, new, key):
    """It is said all the same: each changes the digest, or what is stored."""
    assert effects(old, new) == [(key, DIFFERENT)]
    assert not weakened(compare(snapshot(old), snapshot(new)))


def test_a_default_follows_the_value_that_it_is_taken_from():
    """A tenth of the memory is more of more memory, although the key is in neither file."""
    assert effects("", "runtime: {memory: 2GiB}") == [("load.max_memory_growth", WEAKER), ("runtime.memory", WEAKER)]


def test_a_column_that_is_named_like_a_key_gets_its_own_direction():
    """Names in the policy are the user's: they must not lead to another line of the table."""
    old = "properties: {inputs: {'*.min': {min: 0}, examples: {min: 0}}}"
    new = "properties: {inputs: {'*.min': {min: 1}, examples: {min: 1}}}"
    assert effects(old, new) == [("properties.inputs.*.min.min", WEAKER), ("properties.inputs.examples.min", WEAKER)]


def test_a_change_says_what_passes_now():
    """In words, with units."""
    (found,) = compare(snapshot("load: {p95: 100ms}"), snapshot("load: {p95: 250ms}"))
    assert (found.before, found.after, found.meaning) == ("100 ms", "250 ms", "slower answers pass")


def test_values_that_are_printed_alike_are_printed_in_full():
    """A change of the fifth digit is one."""
    (found,) = compare(snapshot("load: {max_drift: 1.50001}"), snapshot("load: {max_drift: 1.50002}"))
    assert (found.before, found.after) == ("1.50001", "1.50002")


def signed(*signers, keys=()):
    """A policy with signers, whether or not the file may name them yet."""
    found = snapshot(keys=keys)
    values = found.policy.values
    evidence = values.evidence.model_copy(update={"signers": signers})
    policy = type(found.policy)(values=values.model_copy(update={"evidence": evidence}))
    return Snapshot(name="x", policy=policy, digest="sha256:x", files={}, keys=dict(keys))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (signed("a"), signed(), [WEAKER]),
        (signed(), signed("a", "b"), [STRICTER]),
        (signed("a"), signed("a", "b"), [WEAKER]),
        (signed("a", "b"), signed("a"), [STRICTER]),
        (signed("a"), signed("b"), [WEAKER, STRICTER]),
        (signed("a", "b"), signed("b", "a"), [DIFFERENT]),
        (signed("a", keys={"a": "sha256:" + "1" * 64}), signed("a", keys={"a": "sha256:" + "2" * 64}), [WEAKER, STRICTER]),
    ],
)  # fmt: skip
def test_who_may_sign_is_compared_by_key(old, new, expected):
    """None at all, one more, and another key in the file of the same name each admit more."""
    assert sorted(one.effect for one in compare(old, new)) == sorted(expected)


@pytest.mark.parametrize("who", ["signers", "waivers"])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Standing(), Standing(revoked=True), [STRICTER]),
        (Standing(revoked=True), Standing(), [WEAKER]),
        (Standing(), Standing(expires="2026-12-01"), [STRICTER]),
        (Standing(expires="2026-12-01"), Standing(expires="2027-01-01"), [WEAKER]),
        (Standing(expires="2026-12-01"), Standing(), [WEAKER]),
        (Standing(expires="2026-12-01"), Standing(expires="2027-01-01", revoked=True), [WEAKER, STRICTER]),
        (Standing(expires="2026-12-01"), Standing(expires="2026-12-01"), []),
    ],
)
def test_a_key_that_is_taken_back_or_ends_earlier_makes_the_gate_stricter(who, old, new, expected):
    """It is the same key: a revocation that is called weaker would wait for somebody who lets it through."""
    text = f"evidence: {{{who}: [a]}}"
    one, two = (replace(snapshot(text, keys={"a": "key:1"}), standing={"a": standing}) for standing in (old, new))
    found = compare(one, two)
    assert [change.effect for change in found] == expected
    assert {change.key.rpartition(".")[0] for change in found} <= {f"evidence.{who}.a (key:1)"}


PIPELINE = "gitlab: https://gitlab.com, project_path: g/p, ref: main"
SHA, OTHER_SHA = f"sha: '{'1' * 40}'", f"sha: '{'2' * 40}'"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[]", f"[{{{PIPELINE}}}]", [STRICTER]),
        (f"[{{{PIPELINE}}}]", "[]", [WEAKER]),
        ("[ci.pub]", f"[ci.pub, {{{PIPELINE}}}]", [WEAKER]),
        (f"[ci.pub, {{{PIPELINE}}}]", "[ci.pub]", [STRICTER]),
        (f"[{{{PIPELINE}, {SHA}}}]", f"[{{{PIPELINE}}}]", [WEAKER]),
        (f"[{{{PIPELINE}}}]", f"[{{{PIPELINE}, {SHA}}}]", [STRICTER]),
        (f"[{{{PIPELINE}, {SHA}}}]", f"[{{{PIPELINE}, {OTHER_SHA}}}]", [MAY]),
        (f"[{{{PIPELINE}}}]", f"[{{{PIPELINE}, ref_protected: false}}]", [WEAKER]),
        (f"[{{{PIPELINE}, ref_protected: false}}]", f"[{{{PIPELINE}}}]", [STRICTER]),
        (f"[{{{PIPELINE}}}]", f"[{{{PIPELINE}, trust_root: r.json}}]", [WEAKER, STRICTER]),
        *((f"[{{{PIPELINE}}}]", f"[{{{PIPELINE.replace(*change)}}}]", [WEAKER, STRICTER])
          for change in (("main", "dev"), ("g/p", "g/q"), ("gitlab.com", "gitlab.example.com"))),
        (f"[{{{PIPELINE}}}]", f"[{{{PIPELINE.replace('main', 'refs/heads/main')}}}]", []),
    ],
)  # fmt: skip
def test_a_pipeline_that_may_sign_is_compared_by_what_is_pinned(old, new, expected):
    """One more, another one, and one claim less each admit more."""
    found = [one for _, one in effects(f"evidence: {{signers: {old}}}", f"evidence: {{signers: {new}}}")]
    assert sorted(found) == sorted(expected)


def test_a_pin_that_is_dropped_is_said_in_words():
    """Whose, and what it means."""
    one, two = (snapshot(f"evidence: {{signers: [{{{text}}}]}}") for text in (f"{PIPELINE}, {SHA}", PIPELINE))
    (found,) = compare(one, two)
    assert found.key == "evidence.signers.g/p@refs/heads/main on https://gitlab.com.sha"
    assert (found.after, found.meaning) == ("not set", "any commit of the ref may sign")


def test_another_trust_root_in_the_file_of_the_same_name_is_another_signer():
    """Whoever may replace it may sign."""
    text = f"evidence: {{signers: [{{{PIPELINE}, trust_root: r.json}}]}}"
    one, two = (snapshot(text, keys={"r.json": f"sha256:{digit * 64}"}) for digit in "12")
    assert sorted(change.effect for change in compare(one, two)) == sorted([WEAKER, STRICTER])
    assert effects(text, text, files=None) == [("evidence.signers", MAY)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [("[]", "[a]", [WEAKER]), ("[a]", "[]", [STRICTER]), ("[a]", "[b]", [WEAKER, STRICTER]), ("[a, b]", "[b, a]", [DIFFERENT])],
)  # fmt: skip
def test_whoever_may_waive_makes_the_gate_weaker(old, new, expected):
    """The first of them too: before, nobody could."""
    one, two = (snapshot(f"evidence: {{waivers: {names}}}") for names in (old, new))
    assert [change.effect for change in compare(one, two)] == expected


@pytest.mark.parametrize(
    ("key", "gone", "come", "other"),
    [
        ("own_checks", WEAKER, DIFFERENT, DIFFERENT),
        ("accuracy.metrics", DIFFERENT, DIFFERENT, DIFFERENT),
        ("properties.regressions", WEAKER, STRICTER, MAY),
    ],
)
def test_files_are_compared_by_their_bytes_and_named(key, gone, come, other):
    """The policy's text says nothing of what stands in them."""
    one, two = (
        snapshot(files={key: {"a": "sha256:1", "b": "sha256:1"}}),
        snapshot(files={key: {"b": "sha256:2", "c": "x"}}),
    )
    found = {change.key: change.effect for change in compare(one, two)}
    assert found == {f"{key}: a": gone, f"{key}: b": other, f"{key}: c": come}


def test_files_that_can_not_be_read_may_be_weaker():
    """Text on standard input has no folder."""
    text = "own_checks: [a.py]"
    assert effects(text, text, files=None) == [("own_checks", MAY)]
    assert effects("", "", files=None) == []


def texts():
    """Policies of several keys, each as it may stand in a file."""
    choices = {
        "load": ["{}", "{p95: 1s}", "{p99: 1s, rate: 50/s}", "{profile: spike}", "{batch: {min: 2, max: 5}}", "{batch: 3}", "{profile: ramp}"],
        "properties": ["{}", "{examples: 100}", "{tolerance: 0.1}", "{invariant_to: [a]}", "{invariant_to: [b], output: {min: 0}}", "{inputs: {a: {min: 0, step: 2}}}", "{inputs: {a: {min: 1, step: 4}}}", "{inputs: {b: {values: [1, 2]}}}"],
        "accuracy": ["{}", "{label: y, metrics: {f1: {min: 0.5}}}", "{label: y, metrics: {f1: {min: 0.6, margin: 0.1}}, slices: [a]}", "{data: a.csv}", "{gaps: [{column: a, metric: f1, max: 0.5}]}"],
        "runtime": ["{}", "{memory: 2GiB}", "{cpus: 0.5, env: {A: b}}", "{allow_requirements: [x]}"],
        "schema": ["{}", "{rejects: strict}", "{max_body: 1MiB}"],
        "sandbox": ["[container]", "[process]", "[process, container]"],
        "cold_start": ["{}", "{ready: 5s}", "{peak_memory: 1GiB, repeats: 9}"],
        "evidence": ["{}", "{max_age: 1d}", "{rows: full}"],
        "requires": ["[schema]", "[schema, load]", "[load, schema, properties]"],
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in choices.items()}).map(
        lambda keys: "".join(f"{key}: {value}\n" for key, value in keys.items())
    )


@given(texts())
def test_a_policy_does_not_differ_from_itself(text):
    """Nor from itself read again."""
    assert compare(snapshot(text), snapshot(text)) == ()


@given(texts(), texts())
def test_what_is_weaker_one_way_is_not_weaker_the_other_way(old, new):
    """Each change turned round; what is unclear stays unclear."""
    there, back = (compare(snapshot(one), snapshot(two)) for one, two in ((old, new), (new, old)))
    turned = {(one.key, one.after, one.before): one.effect for one in back}
    assert len(there) == len(back)
    for one in there:
        allowed = {
            WEAKER: {STRICTER, DIFFERENT},
            STRICTER: {WEAKER},
            MAY: {MAY, DIFFERENT},
            DIFFERENT: {DIFFERENT, WEAKER, MAY},
        }
        assert turned[one.key, one.before, one.after] in allowed[one.effect]


@given(texts(), texts())
def test_no_change_passes_unseen(old, new):
    """Where nothing is said, the digest is the same: what a run does did not change."""
    if not compare(snapshot(old), snapshot(new)):
        assert snapshot(old).digest == snapshot(new).digest


@given(
    texts().filter(lambda text: "accuracy" not in text and "requires" not in text and "properties" not in text),
    st.sampled_from(
        [
            "properties: {invariant_to: [q]}", "properties: {monotonic: {q: increasing}}", "properties: {output: {max: 1}}",
            "accuracy: {label: y, metrics: {f1: {min: 0.1}}}", "accuracy: {gaps: [{column: q, metric: f1, max: 1}]}",
            "own_checks: [q.py]", "model: q", "accuracy: {group: q}", "properties: {regressions: q}",
        ]
    ),
)  # fmt: skip
def test_a_requirement_more_is_never_weaker(text, more):
    """Whatever else the policy says."""
    found = compare(snapshot(text), snapshot(f"{text}{more}\n"))
    assert found
    assert not weakened(found)
