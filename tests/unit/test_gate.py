"""The gate: every reason to refuse, and none to admit but the whole truth."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.evidence import ChampionFacts, DataFacts, Outcome
from mlgate.gate import Today, admit
from mlgate.model_version import ModelVersion
from mlgate.policy_file import parse_policy
from mlgate.registry.interface import StoredEvidence
from tests.unit.builders import (
    BYTES,
    CHAMPION_BYTES,
    DATA,
    FULL_POLICY,
    NOW,
    WITH_ACCURACY,
    admissible,
    findings,
    image,
    result,
    with_check,
    with_outcome,
    without_check,
)

VERSION = ModelVersion(
    uri="models:/churn/3", name="churn", version="3", model_id="m-1", source_run_id="r-1", location="file:///x"
)
TODAY = Today(version=VERSION, artifact_digest=BYTES, champion_version="2", champion_digest=CHAMPION_BYTES, now=NOW)
GOOD = admissible(FULL_POLICY)
OTHER = "sha256:" + "c" * 64
PINNED = parse_policy(WITH_ACCURACY.replace("{data:", f"{{digest: '{DATA}', data:"))


def stored(evidence, run_id="run-1", **changes):
    """Evidence as the registry holds it."""
    entry = StoredEvidence(run_id=run_id, raw=evidence.canonical(), claimed_digest=evidence.digest)
    return replace(entry, **changes)


def codes(policy, today, *entries):
    """The codes of the reasons against."""
    return [reason.code for reason in admit(policy, today, entries).reasons]


def test_whole_evidence_of_these_bytes_and_this_policy_admits():
    """With the run and the digest that it rests on; and it says that nobody signed."""
    admission = admit(FULL_POLICY, TODAY, [stored(GOOD)])
    assert (admission.admitted, admission.exit_code, admission.word, admission.reasons) == (True, 0, "admitted", ())
    assert (admission.run_id, admission.evidence_digest, admission.evidence) == ("run-1", GOOD.digest, GOOD)
    assert admission.signed is False


CASES = {
    "no evidence": (FULL_POLICY, TODAY, None, ["no_evidence"]),
    "evidence of another version with the same bytes": (
        FULL_POLICY, TODAY, replace(GOOD, subject=replace(GOOD.subject, version="4", uri="models:/churn/4")), ["no_evidence"],
    ),
    "evidence of another model with the same bytes": (
        FULL_POLICY, TODAY, replace(GOOD, subject=replace(GOOD.subject, name="other")), ["no_evidence"],
    ),
    "the artifacts changed since": (FULL_POLICY, replace(TODAY, artifact_digest=OTHER), GOOD, ["other_bytes"]),
    "another policy": (parse_policy(WITH_ACCURACY + "load: {rate: 21/s}\n"), TODAY, GOOD, ["other_policy"]),
    "the champion alias moved": (FULL_POLICY, replace(TODAY, champion_version="1"), GOOD, ["other_champion"]),
    "the champion's bytes changed": (FULL_POLICY, replace(TODAY, champion_digest=OTHER), GOOD, ["other_champion"]),
    "the champion's bytes are gone": (FULL_POLICY, replace(TODAY, champion_digest=None), GOOD, ["other_champion"]),
    "a champion appeared": (FULL_POLICY, TODAY, admissible(FULL_POLICY, champion=False), ["other_champion"]),
    "compared with the same number of another model": (
        FULL_POLICY, TODAY,
        replace(GOOD, champion=ChampionFacts(uri="models:/other/2", version="2", artifact_digest=OTHER)), ["other_champion"],
    ),
    "compared with a directory": (
        FULL_POLICY, TODAY,
        replace(GOOD, champion=ChampionFacts(uri="/tmp/m", version=None, artifact_digest=CHAMPION_BYTES)), ["other_champion"],
    ),
    "a partial run": (FULL_POLICY, TODAY, replace(GOOD, complete=False), ["partial"]),
    "a sandbox that the policy does not list": (
        FULL_POLICY, TODAY, replace(GOOD, sandbox=replace(GOOD.sandbox, kind="process")), ["sandbox"],
    ),
    "no sandbox": (FULL_POLICY, TODAY, replace(GOOD, sandbox=None), ["sandbox"]),
    "no image": (FULL_POLICY, TODAY, replace(GOOD, image=None), ["recipe"]),
    "other pins than the recipe digest says": (FULL_POLICY, TODAY, replace(GOOD, image=image(pins=("numpy==1.0",))), ["recipe"]),
    "a recipe digest of something else": (FULL_POLICY, TODAY, replace(GOOD, image=image(recipe_digest=OTHER)), ["recipe"]),
    "another platform": (
        FULL_POLICY, TODAY, replace(GOOD, image=image(platform="linux/arm64")), ["platform", "recipe"],
    ),
    "a given image without a model to compare": (
        FULL_POLICY, TODAY, replace(GOOD, image=image(origin="given", recipe_digest="")), ["image"],
    ),
    "a given image with another model": (
        FULL_POLICY, TODAY, replace(GOOD, image=image(origin="given", model_digest=OTHER)), ["image"],
    ),
    "a given image without a name": (
        FULL_POLICY, TODAY, replace(GOOD, image=image(origin="given", model_digest=BYTES, image_digest="")), ["image"],
    ),
    "an image from nowhere": (
        FULL_POLICY, TODAY, replace(GOOD, image=image(origin="found", model_digest=BYTES)), ["image"],
    ),
    "a given image for another platform": (
        FULL_POLICY, TODAY,
        replace(GOOD, image=image(origin="given", model_digest=BYTES, platform="linux/arm64")), ["platform"],
    ),
    "other data than pinned": (
        PINNED, TODAY, admissible(PINNED, data=DataFacts(source="x.csv", digest=OTHER, rows=5)), ["other_data"],
    ),
    "no data where some is pinned": (PINNED, TODAY, admissible(PINNED, data=None), ["other_data"]),
    "too old": (FULL_POLICY, replace(TODAY, now=NOW + timedelta(days=8)), GOOD, ["stale"]),
    "from the future": (FULL_POLICY, replace(TODAY, now=NOW - timedelta(days=1)), GOOD, ["future"]),
    "not registered": (
        FULL_POLICY, replace(TODAY, version=replace(VERSION, name=None, version=None)), GOOD, ["not_registered"],
    ),
    "a policy for another model": (parse_policy("model: fraud\n"), TODAY, GOOD, ["other_model"]),
    "a failed check": (FULL_POLICY, TODAY, with_outcome(GOOD, "load.rate", Outcome.FAILED), ["failed"]),
}  # fmt: skip
UNDECIDED = {
    "an inconclusive check": (with_outcome(GOOD, "load.rate", Outcome.INCONCLUSIVE), ["inconclusive"]),
    "an errored check": (with_outcome(GOOD, "load.rate", Outcome.ERRORED), ["errored"]),
    "a skipped check": (with_outcome(GOOD, "load.rate", Outcome.SKIPPED), ["skipped"]),
    "an absent check": (without_check(GOOD, "load.rate"), ["absent"]),
}


@pytest.mark.parametrize(("policy", "today", "evidence", "expected"), CASES.values(), ids=CASES)
def test_each_reason_refuses_alone(policy, today, evidence, expected):
    """With its own word for machines, one sentence for people, and exit status 1."""
    admission = admit(policy, today, [] if evidence is None else [stored(evidence)])
    assert not admission.admitted
    assert [reason.code for reason in admission.reasons] == expected
    assert (admission.exit_code, admission.word) == (1, "refused")
    assert all(reason.message and "\n" not in reason.message for reason in admission.reasons)


@pytest.mark.parametrize(("evidence", "expected"), UNDECIDED.values(), ids=UNDECIDED)
def test_what_is_not_decided_is_inconclusive_and_not_refused(evidence, expected):
    """Exit status 4; with any reason to refuse beside it, 1."""
    admission = admit(FULL_POLICY, TODAY, [stored(evidence)])
    assert not admission.admitted
    assert [reason.code for reason in admission.reasons] == expected
    assert (admission.exit_code, admission.word) == (4, "inconclusive")
    assert admit(FULL_POLICY, replace(TODAY, champion_version="1"), [stored(evidence)]).exit_code == 1


@pytest.mark.parametrize(
    "entry",
    [
        stored(GOOD, raw=GOOD.canonical() + b"\n", claimed_digest=None),
        stored(GOOD, raw=GOOD.canonical().replace(b'"seed":7', b'"seed": 7'), claimed_digest=None),
        stored(GOOD, raw=GOOD.canonical().replace(b'"seed":7', b'"seed":7.0'), claimed_digest=None),
        stored(GOOD, raw=GOOD.canonical().replace(b'"seed":7', b'"seed":6,"seed":7'), claimed_digest=None),
        stored(GOOD, claimed_digest=OTHER),
        stored(GOOD, claimed_digest=""),
        stored(GOOD, raw=b"{}"),
        stored(GOOD, raw=b"\xff"),
        stored(GOOD, raw=b"[" * 100_000),
    ],
    ids=["newline", "space", "float", "twice", "other digest", "empty digest", "empty", "not text", "deep"],
)
def test_edited_evidence_is_forged(entry):
    """Not the canonical bytes, or not those that the run says it stored."""
    assert codes(FULL_POLICY, TODAY, entry) == ["forged"]


def test_one_unreadable_run_does_not_hide_the_next():
    """Whoever can log a run could otherwise block every promotion."""
    broken = stored(GOOD, run_id="broken", raw=b"{}")
    assert admit(FULL_POLICY, TODAY, [broken, stored(GOOD)]).run_id == "run-1"


def test_a_newer_failed_run_wins_over_an_older_passed_one():
    """And a newer passed one over an older failure: the newest counts."""
    bad = stored(with_outcome(GOOD, "load.rate", Outcome.FAILED), run_id="bad")
    good = stored(GOOD, run_id="good")
    assert admit(FULL_POLICY, TODAY, [bad, good]).run_id == "bad"
    assert codes(FULL_POLICY, TODAY, bad, good) == ["failed"]
    assert admit(FULL_POLICY, TODAY, [good, bad]).admitted


def test_the_stored_verdict_is_not_read():
    """It may say passed; the outcomes do not."""
    evidence = with_outcome(GOOD, "load.rate", Outcome.FAILED)
    assert evidence.verdict.outcome == "passed"
    assert codes(FULL_POLICY, TODAY, stored(evidence)) == ["failed"]


def test_a_version_that_is_the_champion_is_not_compared_with_itself():
    """It serves already: there is nobody else."""
    today = replace(TODAY, champion_version="3", champion_digest=BYTES)
    assert admit(FULL_POLICY, today, [stored(admissible(FULL_POLICY, champion=False))]).admitted
    assert admit(FULL_POLICY, today, [stored(GOOD)]).admitted


def test_a_champion_that_was_taken_away_is_no_reason():
    """The comparison was with a stricter world."""
    assert admit(FULL_POLICY, replace(TODAY, champion_version=None, champion_digest=None), [stored(GOOD)]).admitted


def test_a_sandbox_that_the_policy_lists_is_none_either():
    """The user's own decision."""
    policy = parse_policy(WITH_ACCURACY + "sandbox: [process]\n")
    evidence = admissible(policy, sandbox=replace(GOOD.sandbox, kind="process"))
    assert admit(policy, TODAY, [stored(evidence)]).admitted


def test_data_is_held_to_its_digest_only_where_it_is_judged():
    """A policy that pins data and does not require accuracy reads none."""
    policy = parse_policy(f"requires: [schema]\n{WITH_ACCURACY.replace('{data:', f'{{digest: {DATA!r}, data:')}")
    assert admit(policy, TODAY, [stored(admissible(policy, data=None))]).admitted


def test_every_near_miss_is_told():
    """Old bytes and an old policy: the reader sees why neither counts."""
    old_bytes = replace(GOOD, subject=replace(GOOD.subject, artifact_digest=OTHER))
    old_policy = replace(GOOD, policy=replace(GOOD.policy, digest=OTHER))
    assert codes(FULL_POLICY, TODAY, stored(old_bytes), stored(old_policy)) == ["other_bytes", "other_policy"]


def test_the_machine_form_names_each_reason():
    """Code, check and message."""
    admission = admit(FULL_POLICY, TODAY, [stored(with_outcome(GOOD, "load.rate", Outcome.FAILED))])
    document = admission.to_json()
    assert document["admitted"] is False
    assert document["decision"] == "refused"
    assert document["reasons"] == [{"code": "failed", "check": "load.rate", "message": "measured"}]


KEYS = [check.key for check in GOOD.checks()]
states = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(Outcome), max_size=2)
facts = st.sampled_from([TODAY, replace(TODAY, champion_version="1"), replace(TODAY, now=NOW + timedelta(days=9))])


def changed(outcomes):
    """The good evidence with other outcomes."""
    evidence = GOOD
    for key, outcome in outcomes.items():
        evidence = with_outcome(evidence, key, outcome)
    return evidence


@given(
    facts,
    states,
    st.sampled_from([*GOOD.suites, "mine"]),
    st.sampled_from([*KEYS, "own.check"]),
    findings.filter(lambda finding: finding.outcome is not Outcome.PASSED),
    st.booleans(),
)
def test_adding_a_bad_outcome_never_turns_a_refusal_into_an_admission(today, outcomes, suite, key, finding, first):
    """Through bytes, digest and all."""
    before = changed(outcomes)
    after = with_check(before, suite, replace(result(key), finding=finding), first=first)
    assert (
        admit(FULL_POLICY, today, [stored(before)]).admitted or not admit(FULL_POLICY, today, [stored(after)]).admitted
    )


@given(
    facts, states, st.sets(st.sampled_from(KEYS), max_size=2), st.sets(st.sampled_from(list(GOOD.suites)), max_size=1)
)
def test_removing_a_check_or_a_suite_never_gives_an_admission(today, outcomes, keys, suites):
    """Unless nothing was removed and everything passed."""
    evidence = changed(outcomes)
    for key in keys:
        evidence = without_check(evidence, key)
    evidence = replace(evidence, suites={name: found for name, found in evidence.suites.items() if name not in suites})
    admission = admit(FULL_POLICY, today, [stored(evidence)])
    clean = not keys and not suites and set(outcomes.values()) <= {Outcome.PASSED} and today is TODAY
    assert admission.admitted is clean
    assert (admission.exit_code == 0) is clean


def test_a_given_image_that_holds_the_versions_own_model_admits_without_a_recipe():
    """It is held by its own digest; the machine form says which one a cluster has to pull."""
    given = image(origin="given", model_digest=BYTES, registry_digest=OTHER, recipe_digest="", base_digest="", pins=())
    admission = admit(FULL_POLICY, TODAY, [stored(replace(GOOD, image=given))])
    assert admission.admitted
    assert admission.to_json()["image"] == {"origin": "given", "image_digest": "sha256:i", "registry_digest": OTHER}
