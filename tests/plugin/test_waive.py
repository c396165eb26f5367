"""`mlgate waive`: from a failing run over a signed waiver to an admitted version, and every way in which it says no."""

import json

import pytest

from mlgate.attest.key_files import write_pair
from mlgate.attest.keys import KeyKind, generate
from mlgate.cli import admission, app, report
from mlgate.errors import RegistryError
from mlgate.registry.interface import WAIVER_FILE

URI = "models:/churn/1"
WAIVE = ("waive", "rules.one", "--uri", URI, "--reason", "JIRA-12: known, harmless", "--expires", "14d")
MORE = "own_checks: [acceptance]\nevidence: {waivers: [release.pub]}"
FAILING = "from mlgate.evidence import Outcome\n    mlgate_record(Finding(outcome=Outcome.FAILED, reason='9 > 5'))"


@pytest.fixture
def failed(gated, monkeypatch):
    """A version that one check of the user's own fails, and the pair of somebody who may waive."""
    here = gated.pytester.path
    for name in ("release", "other"):
        key = generate(KeyKind.ED25519)
        write_pair(key, private=here / f"{name}.key", public=here / f"{name}.pub", passphrase=None)
    for module in (admission, report):
        monkeypatch.setattr(module, "open_registry", lambda: gated.world.registry)
    gated.policy("schema, rules", more=MORE)
    gated.acceptance(FAILING)
    assert gated.run().ret == 1
    monkeypatch.setenv("MLGATE_SIGNING_KEY", str(here / "release.key"))
    return gated


def waivers(gated):
    """The runs that hold a waiver."""
    return [run for run in gated.world.registry.runs() if WAIVER_FILE in run.files]


def said(capsys, *words):
    """Exit status, standard output and standard error."""
    capsys.readouterr()
    status = app.run(list(words))
    return status, *capsys.readouterr()


def test_a_waived_version_is_admitted_and_the_waiver_shows_everywhere(failed, capsys):
    """In the gate's text and JSON, in promote, in both reports, in the tag, and in the next run's own report."""
    status, out, _ = said(capsys, "gate", URI)
    assert (status, out.startswith(f"{URI}: refused")) == (1, True)
    status, out, err = said(capsys, *WAIVE)
    assert (status, err) == (0, "")
    assert f"{URI}: rules.one waived until " in out
    assert f"{URI}: admitted (unsigned evidence): 1 check waived, every other required one passed" in out
    (run,) = waivers(failed)
    assert failed.tags()["mlgate.waived"].startswith("rules.one until ")
    told = "rules.one: 9 &gt; 5 (waived by release.pub until "
    assert f"WAIVED 1 of 1: {told}" in run.files["report.html"].decode()
    status, out, _ = said(capsys, "gate", URI)
    assert status == 0
    assert "- waived: rules.one: 9 > 5; waived by release.pub until " in out
    assert "JIRA-12: known, harmless" in out
    assert "may be promoted only because what is in its way is waived" in run.files["report.html"].decode()
    status, out, _ = said(capsys, "gate", URI, "--output", "json")
    assert [waived["check"] for waived in json.loads(out)["waived"]] == ["rules.one"]
    status, out, _ = said(capsys, "report", URI)
    assert "WAIVED 1 of 1: rules.one: 9 &gt; 5 (waived by release.pub" in out
    status, out, _ = said(capsys, "promote", URI, "--yes")
    assert (status, failed.world.registry.aliases("churn")) == (0, {"champion": "1"})
    assert "- waived: rules.one" in out
    again = failed.run()
    assert again.ret == 1, "a waiver changes no run's verdict"
    again.stdout.fnmatch_lines(["waived at the gate: rules.one: 9 > 5; waived by release.pub until *"])
    assert f"WAIVED 1 of 1: {told}" in (failed.pytester.path / ".mlgate/churn-1/report.html").read_text()
    assert said(capsys, "gate", URI)[0] == 0


def test_a_dry_run_shows_the_decision_and_writes_nothing(failed, capsys, tmp_path):
    """Not even the file."""
    before = list(failed.world.registry.writes)
    status, out, _ = said(capsys, *WAIVE, "--dry-run", "--save", str(tmp_path / "w.json"))
    assert status == 0
    assert "rules.one would be waived until" in out
    assert f"{URI}: admitted" in out
    assert failed.world.registry.writes == before
    assert not (tmp_path / "w.json").exists()


def test_no_waiver_is_saved_that_was_not_recorded_and_none_recorded_that_can_not_be_saved(
    failed, capsys, tmp_path, monkeypatch
):
    """A pod believes the file: what is in it has to be on record, and whole."""
    for place in ("no/folder.json", "."):
        status, out, err = said(capsys, *WAIVE, "--save", str(tmp_path / place))
        assert (status, out, err.count("\n"), waivers(failed)) == (2, "", 1, [])
        assert "can not be written" in err
        assert "Hint: name another file" in err

    def unreachable(run):
        raise RegistryError("the registry does not answer")

    monkeypatch.setattr(failed.world.registry, "publish", unreachable)
    status, _, err = said(capsys, *WAIVE, "--save", str(tmp_path / "w.json"))
    assert (status, "does not answer" in err) == (3, True)
    assert [path.name for path in tmp_path.iterdir() if "w.json" in path.name] == []


def test_a_saved_waiver_is_the_recorded_one(failed, capsys, tmp_path):
    """For `mlgate verify --waiver`; and the JSON output names the run."""
    status, out, _ = said(capsys, *WAIVE, "--save", str(tmp_path / "w.json"), "--output", "json")
    (run,) = waivers(failed)
    assert status == 0
    assert json.loads(out)["waiver_run_id"] == run.run_id
    assert (tmp_path / "w.json").read_bytes() == run.files[WAIVER_FILE]


NO = {
    "a check that passed": (
        ("schema.output",),
        "schema.output is not in the way of models:/churn/1: there is nothing to waive",
    ),
    "a check that is not there": (("rules.two",), "models:/churn/1 has no check 'rules.two'. Hint: it has rules.one"),
}


@pytest.mark.parametrize(("check", "line"), NO.values(), ids=NO)
def test_what_does_not_stand_in_the_way_is_not_waived(failed, capsys, check, line):
    """One line, exit status 1, nothing written."""
    status, _, err = said(capsys, "waive", *check, *WAIVE[2:])
    assert (status, err) == (1, f"mlgate: {line}\n")
    assert waivers(failed) == []


def no_key(gated, monkeypatch):
    """Nothing to sign with."""
    monkeypatch.delenv("MLGATE_SIGNING_KEY")


def other_key(gated, monkeypatch):
    """A key of somebody who may not."""
    monkeypatch.setenv("MLGATE_SIGNING_KEY", str(gated.pytester.path / "other.key"))


def nobody(gated, monkeypatch):
    """A policy that lets nobody."""
    gated.policy("schema, rules", more="own_checks: [acceptance]")


def revoked(gated, monkeypatch):
    """The key was taken back."""
    path = gated.pytester.path / "release.pub"
    path.write_text(f"# revoked: 2026-11-20\n{path.read_text()}")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (no_key, "MLGATE_SIGNING_KEY is not set, and a waiver is signed"),
        (other_key, "the key of MLGATE_SIGNING_KEY is none of release.pub, who may waive by the policy"),
        (nobody, "the policy lets nobody waive a check"),
        (revoked, "release.pub is expired or revoked: no gate would believe the waiver"),
    ],
)
def test_whoever_may_not_waive_is_told_before_anything_is_read(failed, monkeypatch, capsys, change, line):
    """One line and exit status 2."""
    change(failed, monkeypatch)
    status, out, err = said(capsys, *WAIVE)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{line}. Hint: " in err
    assert waivers(failed) == []


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--expires", "soon", "'soon' is neither a duration nor a day"),
        ("--expires", "91d", "91d is not within 90 days from now"),
        ("--expires", "2020-01-01", "2020-01-01 is not within 90 days from now"),
        ("--expires", "0d", "--expires: "),
        ("--reason", "  ", "--reason has 0 characters, and takes 1 to 500"),
        ("--reason", "x" * 501, "--reason has 501 characters, and takes 1 to 500"),
    ],
)
def test_nonsense_is_one_line(failed, capsys, option, value, line):
    """And nothing is written."""
    words = list(WAIVE)
    words[words.index(option) + 1] = value
    status, out, err = said(capsys, *words)
    assert (status == 2, out, err.count("\n")) == (True, "", 1)
    assert line in err
    assert waivers(failed) == []
