"""Evidence that a policy admits, and strategies for evidence of any kind: what the tests of the pure core start from."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from mlgate.artifacts.digest import files_digest
from mlgate.check_id import parse_check_id
from mlgate.evidence import (
    Cause,
    ChampionFacts,
    CheckResult,
    DataFacts,
    Evidence,
    FileEntry,
    Finding,
    ImageFacts,
    Outcome,
    PolicyFacts,
    SandboxFacts,
    Subject,
    SuiteResult,
    ToolFacts,
    VerdictFacts,
)
from mlgate.images.recipe import recipe_digest
from mlgate.policy import Policy
from mlgate.policy_file import parse_policy

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FILES = (FileEntry(path="MLmodel", size=10, sha256="0" * 64),)
BYTES, CHAMPION_BYTES, DATA = files_digest(FILES), "sha256:" + "b" * 64, "sha256:" + "d" * 64
WITH_ACCURACY = (
    "accuracy: {data: holdout.csv, label: y, metrics: {f1: {min: 0.5, margin: 0.1}, accuracy: {margin: 0.1}}}\n"
)


def result(key, outcome=Outcome.PASSED, **facts):
    """A check's result under its text id."""
    check, params = parse_check_id(key)
    return CheckResult(id=check, params=params, finding=Finding(outcome=outcome, reason="measured", **facts))


def image(**changes):
    """Image facts whose recipe digest fits."""
    recipe = {
        "base_digest": "sha256:" + "e" * 64,
        "platform": "linux/amd64",
        "apt": ("libgomp1",),
        "python": "3.11.8",
        "pins": ("mlflow==3.17.2", "numpy==2.1.0"),
        "server": "mlflow",
    }
    facts = {
        "recipe_digest": recipe_digest(**recipe),
        "image_digest": "sha256:i",
        "base": "python:3.11-slim",
        "threads": 1,
    }
    return ImageFacts(**{**recipe, **facts, **changes})


def admissible(policy: Policy, *, champion: bool = True, **changes) -> Evidence:
    """Evidence of version 3 of `churn`, an hour old, in which every check that *policy* expects has passed."""
    expected = policy.expected_checks(champion=champion)
    whole = Evidence(
        subject=Subject(
            uri="models:/churn/3",
            name="churn",
            version="3",
            model_id="m-1",
            source_run_id="r-1",
            artifact_digest=BYTES,
            files=FILES,
        ),
        image=image(),
        sandbox=SandboxFacts(kind="container", engine="docker", cpus=1.0, memory=2**30, network="none", host="ci"),
        champion=ChampionFacts(uri="models:/churn/2", version="2", artifact_digest=CHAMPION_BYTES)
        if champion
        else None,
        data=DataFacts(source="holdout.csv", digest=DATA, rows=1000),
        policy=PolicyFacts(digest=policy.digest, text=policy.text),
        seed=7,
        complete=True,
        started_at="2026-11-23T10:50:00Z",
        finished_at="2026-11-23T11:00:00Z",
        suites={
            suite: SuiteResult(duration_s=1.5, checks=tuple(result(key) for key in keys))
            for suite, keys in expected.items()
        },
        verdict=VerdictFacts(outcome="passed", reasons=()),
        tool=ToolFacts(mlgate="0.1.0", python="3.11.8", packages={"mlflow": "3.17.2"}),
        ci={"CI_JOB_ID": "1"},
    )
    return replace(whole, **changes)


def with_check(evidence: Evidence, suite: str, check: CheckResult, *, first: bool = False) -> Evidence:
    """The evidence with one more result in *suite*, at its end or its start."""
    before = evidence.suites.get(suite, SuiteResult(duration_s=0.0, checks=()))
    checks = (check, *before.checks) if first else (*before.checks, check)
    return replace(evidence, suites={**evidence.suites, suite: replace(before, checks=checks)})


def with_outcome(evidence: Evidence, key: str, outcome: Outcome) -> Evidence:
    """The evidence with another outcome of one check."""
    suites = {
        name: replace(
            suite, checks=tuple(result(key, outcome) if check.key == key else check for check in suite.checks)
        )
        for name, suite in evidence.suites.items()
    }
    return replace(evidence, suites=suites)


def without_check(evidence: Evidence, key: str) -> Evidence:
    """The evidence without one check."""
    suites = {
        name: replace(suite, checks=tuple(check for check in suite.checks if check.key != key))
        for name, suite in evidence.suites.items()
    }
    return replace(evidence, suites=suites)


POLICY = parse_policy("requires: [schema, load]\n")
FULL_POLICY = parse_policy(WITH_ACCURACY)

# Characters of every kind, lone surrogates too: a fuzzer's text ends up in reasons and details.
text = st.text(st.characters(), max_size=30)
numbers = (
    st.floats()
    | st.integers()
    | st.integers(2**53 - 2, 2**70)
    | st.just(10**400)
    | st.sampled_from([1e16, 1e17, 1e20, -0.0])
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | text | st.binary(max_size=5) | st.sets(text, max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text | st.integers(), inner, max_size=3),
    max_leaves=10,
)
findings = st.builds(
    Finding,
    outcome=st.sampled_from(Outcome),
    reason=text,
    cause=st.none() | st.sampled_from(Cause),
    measured=st.none() | numbers,
    limit=st.none() | numbers,
    unit=text,
    n=st.none() | st.integers(0, 2**53 - 1),
    interval=st.none() | st.tuples(numbers, numbers),
    confidence=st.none() | st.floats(),
    advice=text,
    details=st.dictionaries(text | st.just("advice"), anything, max_size=4),
)
param_text = st.text(st.characters(), max_size=12)
results = st.builds(
    CheckResult,
    id=st.sampled_from(["accuracy.slice", "load.rate", "own.check"]),
    params=st.dictionaries(param_text, param_text, max_size=2),
    finding=findings,
)
suites = st.dictionaries(
    st.sampled_from(["load", "own"]) | text,
    st.builds(SuiteResult, duration_s=st.floats(0, 1e9), checks=st.lists(results, max_size=4).map(tuple)),
    max_size=3,
)
