"""`mlgate keys new`: two files, or one line that says why not."""

import json
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest

from mlgate.attest.key_files import load_signing_key, read_signers
from mlgate.attest.keys import KeyKind
from mlgate.cli import app


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working directory, and no passphrase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLGATE_KEY_PASSPHRASE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "private", "public"),
    [
        (".", "mlgate.key", "mlgate.pub"),
        ("ci", "ci.key", "ci.pub"),
        ("ci.key", "ci.key", "ci.pub"),
        ("keys", "keys/mlgate.key", "keys/mlgate.pub"),
        ("keys/", "keys/mlgate.key", "keys/mlgate.pub"),
        ("keys/ci.v2", "keys/ci.v2.key", "keys/ci.v2.pub"),
    ],
)
def test_a_pair_is_written_where_it_was_asked_for(here, capsys, place, private, public):
    """A folder gets our names, a prefix its own."""
    (here / "keys").mkdir()
    assert app.run(["keys", "new", place]) == 0
    key = load_signing_key({"MLGATE_SIGNING_KEY": (here / private).read_text()})
    (signer,) = read_signers([public], here)
    assert key.public == signer.public
    assert key.public.kind is KeyKind.ED25519
    assert stat.S_IMODE((here / private).stat().st_mode) == 0o600
    out, err = capsys.readouterr()
    assert f"keyid {signer.keyid}" in out
    assert f"evidence.signers: [{public.rpartition('/')[2]}]" in out
    assert f"{private} is not encrypted: MLGATE_KEY_PASSPHRASE is not set" in err


@pytest.mark.parametrize(("place", "says"), [("x" * 300, "File name too long"), ("a\nb", r"'a\nb' can not name a key")])
def test_a_name_that_can_not_be_one_is_refused_in_one_line(here, capsys, place, says):
    """Before anything is written."""
    assert app.run(["keys", "new", place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert "Hint: choose" in line
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", list(KeyKind))
def test_the_kind_is_the_users_choice_and_the_machine_form_says_it(here, capsys, kind):
    """As JSON, with nothing of the key itself."""
    assert app.run(["keys", "new", "ci", "--kind", kind, "--output", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (signer,) = read_signers([facts["public"]], here)
    assert signer.public.kind is kind
    assert facts == {
        "encrypted": False,
        "expires": None,
        "keyid": signer.keyid,
        "kind": str(kind),
        "private": "ci.key",
        "public": "ci.pub",
    }


def test_a_passphrase_in_the_environment_encrypts_the_private_key(here, capsys, monkeypatch):
    """And is not printed."""
    monkeypatch.setenv("MLGATE_KEY_PASSPHRASE", "open sesame")
    assert app.run(["keys", "new", "ci"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "sesame" not in out
    text = (here / "ci.key").read_text()
    assert "ENCRYPTED PRIVATE KEY" in text
    assert load_signing_key({"MLGATE_SIGNING_KEY": text, "MLGATE_KEY_PASSPHRASE": "open sesame"}) is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ci", "--kind", "rsa"], "--kind 'rsa' is no kind of key. Hint: one of ed25519, ecdsa"),
        (["missing/ci"], "missing is no folder. Hint: mkdir -p missing"),
        (["missing/"], "missing is no folder"),
        ([], "Missing argument 'DIR_OR_PREFIX'"),
        (["ci", "--expires", "soon"], "--expires 'soon' is neither days nor a date. Hint: 90d, or 2027-01-01"),
        (["ci", "--expires", "12h"], "--expires '12h' is neither days nor a date"),
        (["ci", "--expires", "20990101"], "--expires '20990101' is neither days nor a date"),
        (["ci", "--expires", "2099-02-30"], "--expires '2099-02-30' is neither days nor a date"),
        (["ci", "--expires", "0d"], "--expires '0d' is not after today"),
        (["ci", "--expires", "2020-01-01"], "the key would never be believed"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_nothing_is_written(here, capsys, words, says):
    """Exit status 2, like every usage error."""
    assert app.run(["keys", "new", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("given", ["2099-01-01", "90d"])
def test_a_key_can_be_made_with_its_end(here, capsys, given):
    """As the comment that the gate reads, on the first day that does not count."""
    before = datetime.now(UTC).date()
    assert app.run(["keys", "new", "ci", "--expires", given]) == 0
    days = {day + timedelta(days=90) for day in (before, datetime.now(UTC).date())}
    (signer,) = read_signers(["ci.pub"], here)
    assert signer.expires in ({date(2099, 1, 1)} if given == "2099-01-01" else days)
    assert (here / "ci.pub").read_text().startswith(f"# expires: {signer.expires}\n-----BEGIN PUBLIC KEY-----\n")
    assert f"believed until {signer.expires}" in capsys.readouterr().out
    end = datetime.combine(signer.expires, time(), UTC)
    assert (signer.expired(end - timedelta(seconds=1)), signer.expired(end)) == (False, True)


def test_an_empty_passphrase_is_refused(here, capsys, monkeypatch):
    """A variable that CI did not fill must not leave the key open."""
    monkeypatch.setenv("MLGATE_KEY_PASSPHRASE", "")
    assert app.run(["keys", "new", "ci"]) == 2
    assert "MLGATE_KEY_PASSPHRASE is empty" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_a_second_time_leaves_the_first_pair(here, capsys):
    """A key that signs is not to be lost by a repeated command."""
    assert app.run(["keys", "new", "ci"]) == 0
    before = (here / "ci.key").read_bytes(), (here / "ci.pub").read_bytes()
    capsys.readouterr()
    assert app.run(["keys", "new", "ci"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "mlgate: ci.key is there already; it stays as it is. Hint: choose another name\n")
    assert ((here / "ci.key").read_bytes(), (here / "ci.pub").read_bytes()) == before


def test_the_command_of_the_installed_program_works(here):
    """End to end, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "mlgate", "keys", "new", "ci"], cwd=here, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert sorted(path.name for path in here.iterdir()) == ["ci.key", "ci.pub"]
