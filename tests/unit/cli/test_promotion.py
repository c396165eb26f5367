"""`promote`, `rollback`, `history` and `status` on a registry in memory: what moves, what is on record, what is refused."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mlgate.attest.dsse import sign
from mlgate.attest.key_files import write_pair
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.statement import statement_of
from mlgate.cli import admission, app, history, moving, rollback, status
from mlgate.evidence import Outcome, VerdictFacts
from mlgate.promotion.journal import read_event, read_journal
from mlgate.registry.interface import EventState
from mlgate.registry.memory import MemoryRegistry
from tests.promotable import POLICY_TEXT, evidence_about, model, publish_evidence
from tests.unit.builders import with_outcome


class World:
    """A registry in which each version is tested against the champion of its day."""

    def __init__(self, folder, capsys):
        self.registry, self.folder, self.capsys = MemoryRegistry(), folder, capsys
        self.places = {}
        self.key = None

    def add(self, **changes):
        """Register and test the next version."""
        place = model(self.folder / f"model-{len(self.places) + 1}", str(len(self.places)))
        version = self.registry.add("churn", place)
        self.places[version.version] = version, place
        self.test(version.version, **changes)
        return version.version

    def test(self, number, **changes):
        """Publish evidence about a version, compared with today's champion."""
        version, place = self.places[number]
        champion = self.registry.aliases("churn").get("champion")
        compared = self.places[champion] if champion not in (None, number) else None
        evidence = evidence_about(version, place, champion=compared, **changes)
        envelope = None if self.key is None else sign(statement_of(evidence), [self.key])
        return publish_evidence(self.registry, version, evidence, envelope)

    def run(self, *words):
        """Exit status, standard output and standard error."""
        self.capsys.readouterr()
        code = app.run([str(word) for word in words])
        return code, *self.capsys.readouterr()

    def promote(self, number, *words):
        return self.run("promote", f"models:/churn/{number}", "--yes", *words)

    @property
    def champion(self):
        return self.registry.aliases("churn").get("champion")

    @property
    def journal(self):
        return read_journal("churn", self.registry.events("churn"))

    def moves(self):
        """What is on record: action, from, to."""
        return [(str(e.event.action), e.event.before, e.event.after) for e in self.journal.done]


@pytest.fixture
def world(tmp_path, monkeypatch, capsys):
    """A project with a policy, and nothing registered yet."""
    made = World(tmp_path, capsys)
    for module in (admission, history, rollback, status):
        monkeypatch.setattr(module, "open_registry", lambda: made.registry)
    monkeypatch.setattr(moving, "image_missing", lambda event: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlgate.yaml").write_text(POLICY_TEXT)
    for name in ("GITLAB_USER_LOGIN", "CI_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def three(world):
    """Three versions, promoted one after another."""
    for _ in range(3):
        assert world.promote(world.add())[0] == 0
    return world


def test_a_promotion_is_on_record_with_all_that_it_was_decided_from(world, monkeypatch):
    """Who, when, from, to, evidence, policy, reason, and what the pipeline says of itself."""
    monkeypatch.setenv("GITLAB_USER_LOGIN", "kim")
    monkeypatch.setenv("CI_JOB_ID", "77")
    world.promote(world.add())
    number = world.add()
    code, out, _ = world.promote(number, "--reason", "better  on\nregion EU", "--output", "json")
    assert (code, world.champion) == (0, "2")
    (stored, _) = world.registry.events("churn")
    event = read_event(stored.raw)
    found = world.registry.evidence("churn")[0]
    assert stored.state is EventState.CLOSED
    assert (event.before, event.after, event.alias, event.by, event.ci["CI_JOB_ID"]) == (
        "1",
        "2",
        "champion",
        "kim",
        "77",
    )
    assert (event.run_id, event.evidence, event.signer) == (found.run_id, found.claimed_digest, None)
    assert event.reason == "better on region EU"
    document = json.loads(out)
    assert (document["moved"], document["event"]) == (True, event.to_json())
    assert world.journal.anomalies({"champion": "2"}) == ()


def test_what_the_gate_refuses_moves_nothing_and_is_not_on_record(world):
    """Exit 1, and the reason."""
    number = world.add(verdict=VerdictFacts(outcome="failed", reasons=()), complete=False)
    code, out, _ = world.promote(number)
    assert (code, world.champion, world.moves()) == (1, None, [])
    assert "refused" in out


def test_a_version_that_was_judged_against_another_champion_is_judged_again_first(world):
    """Two challengers were tested against nobody; the first one's promotion makes the second one's evidence old."""
    first, second = world.add(), world.add()
    assert world.promote(first)[0] == 0
    code, out, _ = world.promote(second)
    assert (code, world.champion) == (1, "1")
    assert "version 1 is the champion today" in out


def test_a_dry_run_says_what_would_move_and_writes_nothing(three):
    """Promotion and rollback."""
    number = three.add()
    before = list(three.registry.writes)
    code, out, _ = three.promote(number, "--dry-run")
    assert (code, "would move champion: 3 → 4" in out) == (0, True)
    code, out, _ = three.run("rollback", "churn", "--dry-run")
    assert (code, "would move champion: 3 → 2" in out) == (0, True)
    assert three.registry.writes == before


def test_promoting_the_champion_again_changes_nothing(three):
    """And is no second entry."""
    code, out, _ = three.promote("3")
    assert (code, "champion is at version 3 already" in out) == (0, True)
    assert len(three.moves()) == 3


def test_the_policy_says_in_which_order_aliases_move(world):
    """First staging, then champion; an alias that is not on the path is a mistake."""
    (world.folder / "mlgate.yaml").write_text(f"{POLICY_TEXT}promotion: {{path: [staging, champion]}}\n")
    number = world.add()
    code, _, err = world.promote(number)
    assert (code, world.champion) == (1, None)
    assert err == (
        "mlgate: models:/churn/1 was never staging, which comes before champion. "
        "Hint: mlgate promote models:/churn/1 --to staging\n"
    )
    world.registry.set_alias("churn", "staging", number)
    assert world.promote(number)[0] == 1, "set by hand, it is no promotion"
    code, _, err = world.promote(number, "--to", "canary")
    assert (code, "canary is not on the policy's promotion.path: staging, champion" in err) == (2, True)
    other = world.add()
    assert world.promote(other, "--to", "staging")[0] == 0
    assert world.promote(other)[0] == 0
    assert world.champion == other


def test_the_way_back_is_looked_at_before_it_is_needed(world, monkeypatch):
    """A champion that mlgate never promoted, one whose bytes changed, one whose image is gone."""
    first = world.add()
    world.registry.set_alias("churn", "champion", first)
    code, _, err = world.promote(world.add())
    assert (code, "no way back: models:/churn/1 was never promoted by mlgate" in err) == (0, True)
    monkeypatch.setattr(moving, "image_missing", lambda event: True)
    code, _, err = world.promote(world.add())
    assert (code, "no image of models:/churn/2 on this engine. Hint: mlgate image build models:/churn/2" in err) == (
        0,
        True,
    )


@pytest.fixture
def later(monkeypatch):
    """A second rollback is meant, and not the first one asked for twice."""
    monkeypatch.setattr(rollback, "JUST_NOW", timedelta(0))


def test_two_who_roll_back_in_one_incident_go_back_once(three):
    """The second is told who was faster, and how to go further; after a promotion in between it is another incident."""
    assert three.run("rollback", "churn", "--yes")[0] == 0
    code, out, err = three.run("rollback", "churn", "--yes")
    assert (code, three.champion) == (0, "2")
    assert "champion was rolled back at " in out
    assert "3 → 2" in out
    assert "further back: mlgate rollback churn --to VERSION" in err
    assert three.moves()[3:] == [("rollback", "3", "2")]
    assert three.run("rollback", "churn", "--to", "1", "--yes")[0] == 0
    assert three.champion == "1"


def test_a_rollback_that_was_cut_short_is_put_right_by_the_next(three):
    """The alias moved and the entry stayed open: it is closed, and the alias goes neither forward nor further back."""
    settle = three.registry.settle_event
    three.registry.settle_event = lambda key, state: (_ for _ in ()).throw(KeyboardInterrupt)
    assert three.run("rollback", "churn", "--yes")[0] == 130
    three.registry.settle_event = settle
    assert three.champion == "2"
    assert three.run("rollback", "churn", "--yes")[0] == 0
    assert (three.champion, three.moves()[3:]) == ("2", [("rollback", "3", "2")])
    assert three.journal.anomalies({"champion": "2"}) == ()


def test_a_rollback_to_a_version_that_was_cut_short_is_put_right_by_the_same_command(three):
    """The alias is there, and its entry stayed open: exit 0, and on record once."""
    settle = three.registry.settle_event
    three.registry.settle_event = lambda key, state: (_ for _ in ()).throw(KeyboardInterrupt)
    assert three.run("rollback", "churn", "--to", "1", "--yes")[0] == 130
    three.registry.settle_event = settle
    for _ in range(2):
        code, out, err = three.run("rollback", "churn", "--to", "1", "--yes")
        assert (code, "champion was rolled back at " in out, err) == (0, True, "")
    assert (three.champion, three.moves()[3:]) == ("1", [("rollback", "3", "1")])
    assert three.journal.anomalies({"champion": "1"}) == ()


def test_a_rollback_goes_back_one_champion_at_a_time(three, later):
    """Twice in a row is two back; then there is nowhere to go."""
    code, out, _ = three.run("rollback", "churn", "--yes", "--reason", "p99")
    assert (code, three.champion) == (0, "2")
    assert "models:/churn/2: rolled back: moved champion: 3 → 2" in out
    assert three.run("rollback", "churn", "--yes")[0] == 0
    assert three.champion == "1"
    code, out, err = three.run("rollback", "churn", "--yes")
    assert (code, out, three.champion) == (1, "", "1")
    assert "knows no version that was champion before 1" in err
    assert three.moves()[3:] == [("rollback", "3", "2"), ("rollback", "2", "1")]
    assert three.run("rollback", "churn", "--to", "3", "--yes")[0] == 0
    assert three.champion == "3"


def test_old_evidence_another_policy_and_a_moved_champion_do_not_stop_a_rollback(world, later):
    """An incident is no time to judge again."""
    first = world.add(age=timedelta(days=6, hours=23))
    assert world.promote(first)[0] == 0
    assert world.promote(world.add())[0] == 0
    (world.folder / "mlgate.yaml").write_text("requires: [schema, load]\nevidence: {max_age: 1m}\n")
    world.registry.set_alias("churn", "champion", world.add())
    code, out, _ = world.run("rollback", "churn", "--yes")
    assert (code, world.champion) == (0, "2"), out
    assert world.run("rollback", "churn", "--yes")[0] == 0
    assert world.champion == "1"


def spoil_bytes(world):
    """Other weights under the same version."""
    (world.folder / "model-2" / "weights").write_text("other")


def lose_evidence(world):
    """The run is gone."""
    run_id = world.journal.admitted("2", "champion").event.run_id
    world.registry._runs = [run for run in world.registry._runs if run.run_id != run_id]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(spoil_bytes, "the artifacts changed since the promotion"), (lose_evidence, "the evidence of run")],
)
def test_a_way_back_that_does_not_hold_is_refused(three, spoil, says):
    """Other bytes, or nobody who says that they passed; another version can be named."""
    spoil(three)
    code, out, _ = three.run("rollback", "churn", "--yes")
    assert (code, three.champion) == (1, "3")
    assert "models:/churn/2: refused: " in out
    assert says in out
    code, out, _ = three.run("rollback", "churn", "--yes", "--output", "json")
    assert json.loads(out)["moved"] is False
    assert three.run("rollback", "churn", "--to", "1", "--yes")[0] == 0
    assert three.champion == "1"


def test_a_version_that_was_never_promoted_is_no_way_back(three):
    """Whatever it is called."""
    number = three.add()
    for version, says in (
        (number, "was never promoted"),
        ("99", "was never promoted"),
        ("3", "is at version 3 already"),
    ):
        code, _, err = three.run("rollback", "churn", "--to", version, "--yes")
        assert (code, says in err, three.champion) == (1, True, "3")


@pytest.mark.parametrize("to", [(), ("--to", "1")])
def test_an_alias_that_never_was_is_not_made_by_a_rollback(three, to):
    """A misspelt one would stand in the registry, and whoever reads the right one would see nothing."""
    code, out, err = three.run("rollback", "churn", "--alias", "chmapion", *to)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "churn has no alias 'chmapion', and never had one by mlgate. Hint: it has: champion" in err
    assert three.registry.aliases("churn") == {"champion": "3"}


@pytest.mark.parametrize("to", ["3", "4"])
def test_a_way_back_that_there_is_none_of_is_json_too(three, to):
    """Where it is already, and where nobody promoted."""
    code, out, err = three.run("rollback", "churn", "--to", to, "--output", "json")
    assert code == 1
    (reason,) = json.loads(out)["reasons"]
    assert reason["code"] == "no_way_back"
    assert reason["message"] in err


def test_a_forged_journal_leads_nowhere_where_evidence_is_signed(world):
    """An entry that names unsigned evidence, and one whose evidence a revoked key signed; an expired key still counts."""
    world.key = generate(KeyKind.ED25519)
    write_pair(world.key, private=world.folder / "ci.key", public=world.folder / "ci.pub", passphrase=None)
    (world.folder / "mlgate.yaml").write_text(f"{POLICY_TEXT}evidence: {{signers: [ci.pub]}}\n")
    assert world.promote(world.add())[0] == 0
    assert world.promote(world.add())[0] == 0
    public = (world.folder / "ci.pub").read_text()
    (world.folder / "ci.pub").write_text(f"# revoked: 2026-11-01\n{public}")
    code, out, _ = world.run("rollback", "churn", "--yes")
    assert (code, "revoked" in out, world.champion) == (1, True, "2")
    (world.folder / "ci.pub").write_text(f"# expires: 2026-01-01\n{public}")
    assert world.run("rollback", "churn", "--dry-run")[0] == 0
    (world.folder / "ci.pub").write_text(public)
    world.key = None
    evil = world.add(verdict=VerdictFacts(outcome="passed", reasons=()))
    run = world.registry.evidence("churn")[0]
    good = world.journal.admitted("1", "champion").event
    digest = evidence_about(*world.places[evil]).subject.artifact_digest
    forged = replace(
        good,
        after=evil,
        before="1",
        run_id=run.run_id,
        evidence=run.claimed_digest,
        artifact_digest=digest,
        previous=world.journal.head,
    )
    world.registry.settle_event(world.registry.open_event("churn", forged.canonical()), EventState.CLOSED)
    code, out, _ = world.run("rollback", "churn", "--to", evil, "--yes")
    assert (code, "not signed" in out, world.champion) == (1, True, "2")


def test_many_unsigned_runs_on_top_hide_nothing_from_the_gate_and_from_a_rollback(world):
    """A laptop that logs more runs than a page holds: what CI signed about the same bytes counts all the same."""
    world.key = generate(KeyKind.ED25519)
    write_pair(world.key, private=world.folder / "ci.key", public=world.folder / "ci.pub", passphrase=None)
    (world.folder / "mlgate.yaml").write_text(f"{POLICY_TEXT}evidence: {{signers: [ci.pub]}}\n")
    old = world.add()
    assert world.promote(old)[0] == 0
    new = world.add()
    key, world.key = world.key, None
    for _ in range(201):
        world.test(new)
    assert world.run("gate", f"models:/churn/{new}")[0] == 0
    world.key = key
    assert world.promote(new)[0] == 0
    world.key = None
    for _ in range(201):
        world.test(old)
    code, out, _ = world.run("rollback", "churn", "--yes")
    assert (code, world.champion) == (0, old), out


def test_a_gate_without_a_policy_file_says_by_what_it_judges(world):
    """Started in the wrong folder, it would believe anybody; with a file, it says nothing."""
    number = world.add()
    says = "no mlgate.yaml upward from here: judged by the built-in policy, which lists no signers"
    assert says not in world.run("gate", f"models:/churn/{number}")[2]
    (world.folder / "mlgate.yaml").unlink()
    code, out, err = world.run("gate", f"models:/churn/{number}", "--output", "json")
    assert (code, says in err, json.loads(out)["admitted"]) == (1, True, False)


def test_what_a_model_or_a_stranger_wrote_neither_clears_a_terminal_nor_forges_a_line(world):
    """In the reason of a signed failure, in a tag, and in the journal."""
    clear = "12 s\x1b[2J\x1b[H"
    number = world.add()
    version, place = world.places[number]
    evidence = evidence_about(version, place)
    evidence = with_outcome(evidence, "cold_start.ready", Outcome.FAILED)
    suite = evidence.suites["cold_start"]
    checks = tuple(replace(check, finding=replace(check.finding, reason=clear)) for check in suite.checks)
    suites = {**evidence.suites, "cold_start": replace(suite, checks=checks)}
    publish_evidence(world.registry, version, replace(evidence, suites=suites))
    world.registry.set_tags(version, {"mlgate.status": f"passed{clear}\nforged  line"})
    world.registry.open_event("churn", clear.encode())
    for words in (["gate", version.uri], ["promote", version.uri, "--yes"], ["status", "churn"], ["history", "churn"]):
        _, out, err = world.run(*words)
        assert "\x1b" not in out + err, words
        assert not any(line.startswith("forged") for line in out.splitlines()), words
    assert "12 s\\x1b[2J\\x1b[H" in world.run("gate", version.uri)[1]
    assert "passed12 s\\x1b[2J\\x1b[H\\x0aforged  line" in world.run("status", "churn")[1]


def test_history_tells_each_move_and_those_that_mlgate_did_not_make(three):
    """In text, and as data."""
    three.registry.set_alias("churn", "champion", "1")
    code, out, _ = three.run("history", "churn")
    assert code == 0
    assert [line.split()[1:5] for line in out.splitlines()[1:4]] == [
        ["champion", "-", "1", "promote"],
        ["champion", "1", "2", "promote"],
        ["champion", "2", "3", "promote"],
    ]
    assert "unexplained: champion was moved outside mlgate between" in out
    assert out.rstrip().endswith("and now: from 3 to 1")
    document = json.loads(three.run("history", "churn", "--output", "json")[1])
    assert [event["after"] for event in document["events"]] == ["1", "2", "3"]
    assert [anomaly["code"] for anomaly in document["anomalies"]] == ["outside_move"]
    assert three.run("history", "churn", "--alias", "staging")[1] == "mlgate has moved no staging of churn yet.\n"
    code, _, err = three.run("history", "chrun")
    assert (code, err.count("\n")) == (2, 1)


def test_status_tells_for_each_alias_since_when_by_whom_and_whether_the_bytes_are_the_same(three):
    """Also after somebody changed the artifacts, or moved the alias by hand."""
    document = json.loads(three.run("status", "churn", "--output", "json")[1])
    (place,) = document["aliases"]
    assert (place["alias"], place["version"], place["verdict"], place["bytes"]) == ("champion", "3", "passed", "match")
    assert place["since"] == three.journal.last("champion").event.at
    assert (place["evidence"], 3500 < place["age_s"] < 3700) == ("unsigned", True)
    assert [row["version"] for row in document["versions"]] == ["3", "2", "1"]
    (three.folder / "model-3" / "weights").write_text("other")
    three.registry.set_alias("churn", "staging", "1")
    code, out, _ = three.run("status", "churn", "--versions", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[:2] == ["champion", "3"]
    assert lines[1].rstrip().endswith("changed")
    assert "not moved by mlgate" in lines[2]
    assert "\n2 " not in out


def test_a_move_that_was_cut_short_is_put_right_by_the_next(world):
    """The alias moved and the entry stayed open: it is closed, once; or the alias did not, and the move is made, once."""
    number = world.add()
    settle = world.registry.settle_event
    world.registry.settle_event = lambda key, state: (_ for _ in ()).throw(KeyboardInterrupt)
    assert world.promote(number)[0] == 130
    world.registry.settle_event = settle
    assert (world.champion, world.moves()) == (number, [])
    assert "was begun at" in world.run("history", "churn")[1]
    code, out, _ = world.promote(number)
    assert (code, "an earlier move, which was cut short, is on record now" in out) == (0, True)
    assert world.moves() == [("promote", None, "1")]
    move = world.registry.set_alias
    world.registry.set_alias = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    second = world.add()
    assert world.promote(second)[0] == 130
    world.registry.set_alias = move
    assert world.champion == number
    assert world.promote(second)[0] == 0
    assert world.moves() == [("promote", None, "1"), ("promote", "1", "2")]
    assert len(world.registry.events("churn")) == 2


@pytest.mark.parametrize("alias", ["", "latest", "v3", "a b", "a/b", "x" * 256])
def test_an_alias_that_is_none_is_refused_before_anything_is_written(three, alias):
    """Exit 2 and one line, also of a dry run; no entry is begun for a move that can not be."""
    before = list(three.registry.writes)
    for words in (
        ["promote", "models:/churn/2", "--yes", "--to", alias],
        ["promote", "models:/churn/2", "--dry-run", "--to", alias],
        ["rollback", "churn", "--yes", "--alias", alias],
    ):
        code, out, err = three.run(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "is no alias. Hint: " in err
    assert three.registry.writes == before


@pytest.mark.parametrize("version", ["", "v2", "champion", "2 ", "-1"])
def test_a_version_to_go_back_to_is_a_number(three, version):
    """A variable that a pipeline did not set is no rollback to the one before."""
    code, out, err = three.run("rollback", "churn", f"--to={version}", "--yes")
    assert (code, out, three.champion) == (2, "", "3")
    assert "is no version. Hint: a number, as mlgate history shows it" in err


PATH = f"{POLICY_TEXT}promotion: {{path: [staging, canary, champion]}}\n"


def test_what_others_put_there_goes_on_record_once_it_is_promoted(world):
    """The hint that asks for it leads on; an alias that a team had before mlgate becomes a way back."""
    (world.folder / "mlgate.yaml").write_text(PATH)
    number = world.add(policy=PATH)
    for alias in ("staging", "canary", "champion"):
        world.registry.set_alias("churn", alias, number)
    code, _, err = world.promote(number)
    assert (code, "Hint: mlgate promote models:/churn/1 --to canary" in err) == (1, True)
    writes = list(world.registry.writes)
    code, out, _ = world.promote(number, "--to", "staging", "--dry-run")
    assert (code, "staging is at version 1 already, and would be put on record" in out) == (0, True)
    assert world.registry.writes == writes
    for alias in ("staging", "canary", "champion"):
        code, out, err = world.promote(number, "--to", alias)
        assert (code, f"{alias} is at version 1 already: on record now" in out, err) == (0, True, "")
    assert world.moves() == [("promote", "1", "1")] * 3
    code, out, _ = world.promote(number)
    assert (code, out.endswith("champion is at version 1 already\n"), len(world.moves())) == (0, True, 3)
    assert world.journal.anomalies(world.registry.aliases("churn")) == ()


def test_a_move_by_hand_stays_unexplained_after_it_is_on_record(three):
    """It was made outside mlgate, whoever agrees afterwards; what the gate refuses does not go on record at all."""
    number = three.add()
    three.registry.set_alias("churn", "champion", number)
    assert three.promote(number)[0] == 0
    assert three.moves()[3:] == [("promote", "4", "4")]
    (found,) = three.journal.anomalies({"champion": "4"})
    assert (found.code, found.message.endswith("from 3 to 4")) == ("outside_move", True)
    assert three.run("rollback", "churn", "--yes")[0] == 0
    assert three.champion == "3"
    three.registry.set_alias("churn", "champion", three.add(complete=False))
    assert three.promote("5")[0] == 1
    assert len(three.moves()) == 5


def test_a_champion_with_other_bytes_goes_on_record_once_they_are_admitted(three):
    """Else it would read as changed for ever, and be no way back."""
    _, place = three.places["3"]
    (place / "weights").write_text("other")
    assert three.promote("3")[0] == 1
    three.test("3")
    code, out, _ = three.promote("3")
    assert (code, "on record now" in out) == (0, True)
    found = json.loads(three.run("status", "churn", "--output", "json")[1])["aliases"][0]
    assert (found["version"], found["bytes"]) == ("3", "match")
    assert three.promote(three.add())[0] == 0
    assert three.run("rollback", "churn", "--yes")[0] == 0
    assert three.champion == "3"


def test_a_rollback_skips_nothing_of_the_path(world):
    """A version that was staging only is no way back for the champion."""
    (world.folder / "mlgate.yaml").write_text(PATH)
    first = world.add(policy=PATH)
    for alias in ("staging", "canary", "champion"):
        assert world.promote(first, "--to", alias)[0] == 0
    second = world.add(policy=PATH)
    assert world.promote(second, "--to", "staging")[0] == 0
    code, out, err = world.run("rollback", "churn", "--to", second, "--yes")
    assert (code, out, world.champion) == (1, "", first)
    assert err == (
        "mlgate: models:/churn/2 was never promoted to champion by mlgate: no way back leads there. "
        "Hint: mlgate promote models:/churn/2 --to champion\n"
    )


def cut_short(world, *words):
    """Run a command whose process ends before the alias moves."""
    move = world.registry.set_alias
    world.registry.set_alias = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    assert world.run(*words)[0] == 130
    world.registry.set_alias = move


def states(world):
    return [str(stored.state) for stored in world.registry.events("churn")]


def test_a_rollback_does_not_finish_a_promotion_that_was_cut_short(three):
    """To the same version, and another entry: the promotion never took place, also after the next move."""
    three.registry.set_alias("churn", "champion", "1")
    three.test("2")
    cut_short(three, "promote", "models:/churn/2", "--yes")
    assert three.run("rollback", "churn", "--to", "2", "--yes")[0] == 0
    assert states(three)[:2] == ["closed", "abandoned"]
    assert three.promote(three.add())[0] == 0
    assert three.moves()[3:] == [("rollback", "1", "2"), ("promote", "2", "4")]
    assert [found.code for found in three.journal.anomalies({"champion": "4"})] == ["outside_move"]


def test_whoever_repeats_a_move_that_was_cut_short_for_other_reasons_is_on_record_with_those(three, monkeypatch):
    """By another hand, with other evidence or another reason it is another entry; in all the same it is that entry."""
    number = three.add()
    monkeypatch.setenv("GITLAB_USER_LOGIN", "ann")
    cut_short(three, "promote", "models:/churn/4", "--yes", "--reason", "better")
    monkeypatch.setenv("GITLAB_USER_LOGIN", "kim")
    cut_short(three, "promote", "models:/churn/4", "--yes", "--reason", "better")
    three.test(number)
    cut_short(three, "promote", "models:/churn/4", "--yes", "--reason", "better")
    cut_short(three, "promote", "models:/churn/4", "--yes", "--reason", "Friday")
    assert states(three)[:4] == ["open", "abandoned", "abandoned", "abandoned"]
    (left,) = three.journal.open
    begun = replace(left.event, at="2026-11-01T00:00:00Z")
    three.registry.settle_event(left.key, EventState.ABANDONED)
    three.registry.open_event("churn", begun.canonical())
    code, out, _ = three.promote(number, "--reason", "Friday", "--output", "json")
    event = three.journal.last("champion").event
    assert (code, event, json.loads(out)["event"]) == (0, begun, begun.to_json())
    assert (event.by, event.reason, event.evidence) == (
        "kim",
        "Friday",
        three.registry.evidence("churn")[0].claimed_digest,
    )
    assert len(states(three)) == 8


def test_a_version_that_is_gone_is_refused_with_the_way_on_and_status_tells_the_rest(three):
    """As a way back, exit 1 and not a usage error; under an alias, beside the others."""
    (three.folder / "model-2").rename(three.folder / "elsewhere")
    code, out, err = three.run("rollback", "churn", "--yes")
    assert (code, three.champion, err) == (1, "3", "")
    assert out.startswith("models:/churn/2: refused: ")
    assert "Hint: another version, mlgate rollback churn --to VERSION" in out
    code, out, _ = three.run("rollback", "churn", "--dry-run", "--output", "json")
    assert (code, [reason["code"] for reason in json.loads(out)["reasons"]]) == (1, ["gone"])
    three.registry.set_alias("churn", "shadow", "2")
    code, out, _ = three.run("status", "churn", "--output", "json")
    found = {place["alias"]: (place["bytes"], place["verdict"]) for place in json.loads(out)["aliases"]}
    assert (code, found) == (0, {"champion": ("match", "passed"), "shadow": ("gone", "untested")})


def test_a_way_back_over_a_hole_in_the_journal_says_so(three):
    """It does not stop: an incident is no time for that. Where the version is named, there is nothing to guess."""
    del three.registry._events[1]
    code, out, err = three.run("rollback", "churn", "--dry-run")
    assert (code, "would move champion: 3 → 1" in out) == (0, True)
    assert "is missing or was changed: the champion before may be another. Hint: mlgate history churn\n" in err
    assert three.run("rollback", "churn", "--to", "1", "--dry-run")[2] == ""


def test_an_entry_that_was_written_twice_is_never_a_second_move(three, monkeypatch):
    """Its answer was lost, so it was written again, and then cut short: whoever comes next abandons all of it."""
    three.add()
    write = three.registry.open_event
    monkeypatch.setattr(three.registry, "open_event", lambda name, raw: [write(name, raw), write(name, raw)][0])
    monkeypatch.setenv("GITLAB_USER_LOGIN", "ann")
    cut_short(three, "promote", "models:/churn/4", "--yes")
    monkeypatch.setattr(three.registry, "open_event", write)
    monkeypatch.setenv("GITLAB_USER_LOGIN", "kim")
    assert three.promote("4")[0] == 0
    assert three.promote(three.add())[0] == 0
    assert three.moves()[3:] == [("promote", "3", "4"), ("promote", "4", "5")]
    assert three.journal.anomalies({"champion": "5"}) == ()


def test_evidence_that_many_runs_have_followed_still_vouches_for_the_way_back(three):
    """A champion that is tested again every night: the run that the journal names is asked for by its name."""
    run_id = three.journal.admitted("2", "champion").event.run_id
    (run,) = [run for run in three.registry.runs() if run.run_id == run_id]
    three.registry._runs += [replace(run, run_id=f"night-{number}") for number in range(201)]
    code, out, _ = three.run("rollback", "churn", "--yes")
    assert (code, three.champion) == (0, "2"), out


@pytest.mark.parametrize("alias", ["champion", "staging"])
def test_a_champion_that_changes_before_the_lock_is_got_stops_the_move(three, alias):
    """Of any alias: the evidence was compared with another. Exit 6, one line, and nothing on record."""
    number, markers = three.add(), three.registry.markers
    create = markers.create

    def and_meanwhile(*words):
        three.registry.set_alias("churn", "champion", "1")
        return create(*words)

    markers.create = and_meanwhile
    code, out, err = three.promote(number, "--to", alias)
    assert (code, out) == (6, "")
    assert err == (
        "mlgate: champion of churn moved from 3 to 1 meanwhile. Hint: mlgate history churn, and judge again: mlgate gate\n"
    )
    assert (three.registry.aliases("churn"), len(three.registry.events("churn"))) == ({"champion": "1"}, 3)


def test_a_step_of_the_path_counts_for_the_bytes_that_took_it(world):
    """Other weights under the same version, tested and admitted: staging first, again."""
    (world.folder / "mlgate.yaml").write_text(PATH)
    number = world.add(policy=PATH)
    assert world.promote(number, "--to", "staging")[0] == 0
    (world.places[number][1] / "weights").write_text("other")
    world.test(number, policy=PATH)
    code, _, err = world.promote(number, "--to", "canary")
    assert (code, "was never staging, which comes before canary" in err) == (1, True)
    assert world.promote(number, "--to", "staging")[0] == 0
    assert world.promote(number, "--to", "canary")[0] == 0


def test_a_champion_whose_bytes_changed_is_told_as_no_way_back(three):
    """At the promotion, with the challenger compared with the champion as it is now."""
    (three.places["3"][1] / "weights").write_text("other")
    code, _, err = three.promote(three.add())
    assert (code, "no way back: the artifacts of models:/churn/3 changed since its promotion" in err) == (0, True)
