"""What signatures do not prevent, as docs/trust.md says it: each of these is admitted or verified, and the way out is refused."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import permutations

import pytest

from mlgate.attest.directory import Expected
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.signers import Signer
from mlgate.evidence import ChampionFacts, DataFacts
from mlgate.gate import admit
from mlgate.policy_file import parse_policy
from mlgate.verdict import format_time
from mlgate.verification import verify_directory
from tests.unit.attest.delivered import evidence_about, flip, written
from tests.unit.attest.delivered import signed as envelope_of
from tests.unit.builders import DATA, NOW, WITH_ACCURACY, admissible
from tests.unit.test_gate_signed import CI, FAILED, GOOD, KEY, OTHER, POLICY, SIGNERS, TODAY, later, signed, stored

UNPINNED = parse_policy(WITH_ACCURACY + SIGNERS)
THIEF = generate(KeyKind.ECDSA)


@pytest.fixture
def pod(tmp_path):
    """A directory that passed an hour ago, its envelope beside it, and what was found of it by the one signer."""
    directory = written(tmp_path / "model")

    def verify(evidence=None, *, key=KEY, signers=(CI,), **expected):
        evidence = evidence or evidence_about(directory, now=NOW)
        (tmp_path / "evidence.dsse.json").write_bytes(envelope_of(evidence, key))
        return verify_directory(directory, Expected(signers=signers, now=NOW, **expected))

    verify.directory = directory
    return verify


def test_a_stolen_key_admits_what_was_never_run_until_it_is_revoked():
    """No date in what it signs helps then: a key is held against the day of the gate."""
    invented = replace(GOOD, started_at=format_time(NOW), finished_at=format_time(NOW), seed=1)
    assert admit(POLICY, TODAY, [signed(invented)]).admitted
    revoked = replace(TODAY, signers=(replace(CI, revoked=NOW.date()),))
    for evidence in (invented, replace(invented, finished_at=format_time(NOW - timedelta(days=3)))):
        admission = admit(POLICY, revoked, [signed(evidence)])
        assert [reason.code for reason in admission.reasons] == ["signature_revoked_key"]


def test_whoever_hides_the_newer_failure_brings_the_older_pass_back_until_it_is_too_old():
    """A signature says what was found, and not that it is the last word: deleting runs is a right of the registry's."""
    passed, failed = signed(GOOD, run_id="passed"), signed(later(FAILED, 30), run_id="failed")
    assert not admit(POLICY, TODAY, [failed, passed]).admitted
    assert admit(POLICY, TODAY, [passed]).admitted
    assert admit(POLICY, TODAY, [stored(later(FAILED, 30)), passed]).admitted
    a_week_on = replace(TODAY, now=NOW + timedelta(days=7))
    assert [reason.code for reason in admit(POLICY, a_week_on, [passed]).reasons] == ["stale"]


def test_a_runner_whose_clock_is_behind_signs_failures_that_count_as_older():
    """Ahead is refused beyond ten minutes; behind can not be told from old."""
    passed, behind = signed(GOOD, run_id="passed"), signed(later(FAILED, -90), run_id="behind")
    for order in permutations([behind, passed]):
        assert admit(POLICY, TODAY, order).run_id == "passed"
    ahead = admit(POLICY, TODAY, [signed(later(FAILED, 75)), passed])
    assert (ahead.admitted, ahead.reasons[-1].code) == (False, "future")


def test_without_the_champion_alias_nothing_is_compared():
    """Whoever may write aliases can take it away before the test; floors and limits hold all the same."""
    alone = replace(TODAY, champion_version=None, champion_digest=None)
    unpaired = admissible(UNPINNED, champion=False)
    assert admit(UNPINNED, alone, [signed(unpaired)]).admitted
    assert [reason.code for reason in admit(UNPINNED, TODAY, [signed(unpaired)]).reasons] == ["other_champion"]


def test_a_champion_that_somebody_chose_is_the_one_that_is_compared_with():
    """Whoever may write aliases chooses it before the test; back at the real one, the evidence is about another."""
    worse = ChampionFacts(uri="models:/churn/1", version="1", artifact_digest=OTHER)
    chosen = signed(replace(admissible(UNPINNED), champion=worse))
    moved = replace(TODAY, champion_version="1", champion_digest=OTHER)
    assert admit(UNPINNED, moved, [chosen]).admitted
    assert [reason.code for reason in admit(UNPINNED, TODAY, [chosen]).reasons] == ["other_champion"]


def test_data_that_the_policy_does_not_pin_may_be_any():
    """Evidence says which data were judged; only `accuracy.digest` says which have to be."""
    other = DataFacts(source="x.csv", digest=OTHER, rows=5)
    assert admit(UNPINNED, TODAY, [signed(admissible(UNPINNED, data=other))]).admitted
    pinned = parse_policy(f"{WITH_ACCURACY.replace('{data:', f'{{digest: {DATA!r}, data:')}{SIGNERS}")
    admission = admit(pinned, TODAY, [signed(admissible(pinned, data=other))])
    assert [reason.code for reason in admission.reasons] == ["other_data"]


def test_what_changes_after_the_gate_is_refused_at_pod_start(pod):
    """The gate's digest is of that moment; the pod's is of its own."""
    assert pod().verified
    evidence = evidence_about(pod.directory, now=NOW)
    flip(pod.directory / "model.pkl")
    assert [reason.code for reason in pod(evidence).reasons] == ["changed_file"]


def test_a_complete_older_pair_is_served_unless_the_pod_names_its_version_or_an_age(pod):
    """Both were signed, and both passed."""
    older = evidence_about(pod.directory, now=NOW, age=timedelta(days=90))
    older = replace(older, subject=replace(older.subject, uri="models:/churn/2", version="2"))
    assert pod(older).verified
    assert [reason.code for reason in pod(older, uri="models:/churn/3").reasons] == ["other_version"]
    assert [reason.code for reason in pod(older, max_age_s=86400.0).reasons] == ["stale"]


def test_whoever_may_edit_the_pod_or_the_list_of_signers_chooses_whom_to_believe(pod):
    """The list is the root of all trust: a thief's key on it is a good key."""
    thief = Signer(keyid=THIEF.public.keyid, name="thief.pub", public=THIEF.public)
    assert [reason.code for reason in pod(key=THIEF).reasons] == ["signature_wrong_key"]
    assert pod(key=THIEF, signers=(CI, thief)).verified
    assert admit(POLICY, replace(TODAY, signers=(thief,)), [signed(GOOD, THIEF)]).admitted
    expired = replace(thief, expires=date(2026, 1, 1))
    assert not admit(POLICY, replace(TODAY, signers=(CI, expired)), [signed(GOOD, THIEF)]).admitted
