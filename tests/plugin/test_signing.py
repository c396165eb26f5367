"""MLGATE_SIGNING_KEY: what a run signs, and which gate takes it."""

import os

import pytest

from mlgate.attest import statement
from mlgate.attest.key_files import write_pair
from mlgate.attest.keys import KeyKind, generate
from mlgate.cli import admission, app, report, status

SIGNED = "evidence: {signers: [ci.pub]}"


@pytest.fixture
def keys(gated, monkeypatch):
    """A pair `ci` beside the policy, whose private key signs, and a pair `other` of somebody else."""
    here = gated.pytester.path
    pairs = {name: generate(KeyKind.ED25519) for name in ("ci", "other")}
    for name, key in pairs.items():
        write_pair(key, private=here / f"{name}.key", public=here / f"{name}.pub", passphrase=None)
    monkeypatch.setenv("MLGATE_SIGNING_KEY", str(here / "ci.key"))
    monkeypatch.setenv("MLGATE_KEY_PASSPHRASE", "not needed")
    monkeypatch.setattr(admission, "open_registry", lambda: gated.world.registry)
    return pairs


def test_a_run_is_signed_and_only_a_policy_that_lists_the_key_admits_it(gated, keys, capsys):
    """From the key to the gate and back: signed, admitted, and refused where the key is another's."""
    gated.policy(more=SIGNED)
    result = gated.run()
    assert result.ret == 0
    shown = f"signed (keyid {keys['ci'].public.keyid[:12]}…)"
    assert gated.last_line(result) == f"models:/churn/1: passed ({shown}): every required check passed"
    output = gated.pytester.path / ".mlgate/churn-1"
    (run,) = gated.world.registry.runs()
    assert run.files["evidence.dsse.json"] == (output / "evidence.dsse.json").read_bytes()
    assert f"S{shown[1:]}" in (output / "report.html").read_text()
    capsys.readouterr()
    assert app.run(["gate", "models:/churn/1"]) == 0
    assert "models:/churn/1: admitted (signed by ci.pub): " in capsys.readouterr().out
    (gated.pytester.path / "ci.pub").write_bytes((gated.pytester.path / "other.pub").read_bytes())
    assert app.run(["gate", "models:/churn/1"]) == 1
    out = capsys.readouterr().out
    assert "models:/churn/1: refused (no accepted signature): not signed by any of 'ci.pub'" in out
    (gated.pytester.path / "ci.pub").unlink()
    assert app.run(["gate", "models:/churn/1"]) == 2
    err = capsys.readouterr().err
    assert "ci.pub is not a file" in err
    assert err.count("\n") == 1


def test_promote_status_and_report_say_who_signed(gated, keys, capsys, monkeypatch):
    """And without a list, that nobody whom the policy names did."""
    for module in (report, status):
        monkeypatch.setattr(module, "open_registry", lambda: gated.world.registry)
    gated.policy(more=SIGNED)
    assert gated.run().ret == 0
    capsys.readouterr()
    assert app.run(["promote", "models:/churn/1", "--yes"]) == 0
    assert "promoted (signed by ci.pub)" in capsys.readouterr().out
    assert app.run(["status", "churn"]) == 0
    assert "signed by ci.pub" in capsys.readouterr().out
    for uri in ("models:/churn/1", ".mlgate/churn-1/evidence.json"):
        assert app.run(["report", uri]) == 0
        assert "Signed by ci.pub: the signature is over the evidence" in capsys.readouterr().out
    gated.policy()
    assert app.run(["status", "churn"]) == 0
    assert "unsigned: signed, by nobody the policy names" in capsys.readouterr().out
    assert app.run(["report", "models:/churn/1"]) == 0
    out, err = capsys.readouterr()
    assert "Unsigned: nothing on this page" in out
    assert "unsigned: signed, by nobody the policy names" in err


def test_the_key_is_gone_from_the_environment_when_checks_run(gated, keys):
    """No child of the run gets it, and no passphrase."""
    gated.policy("schema, rules", more="own_checks: [acceptance]")
    gated.acceptance(
        "import os\n    assert not {'MLGATE_SIGNING_KEY', 'MLGATE_KEY_PASSPHRASE'} & set(os.environ)\n"
        "    mlgate_record(PASSED)"
    )
    assert gated.run().ret == 0
    assert "MLGATE_SIGNING_KEY" not in os.environ
    assert (gated.pytester.path / ".mlgate/churn-1/evidence.dsse.json").is_file()


def test_a_wrong_key_is_one_line_before_anything_starts(gated, keys, monkeypatch):
    """Falling back to unsigned would be found at the gate only."""
    monkeypatch.setenv("MLGATE_SIGNING_KEY", "gone.key")
    result = gated.run()
    assert result.ret == 4
    assert "MLGATE_SIGNING_KEY is neither a private key in PEM nor the path of a file" in gated.refusal(result)


def test_a_process_sandbox_signs_nothing_and_says_so(gated, keys):
    """The model runs as the user who holds the key."""
    result = gated.run("--mlgate-sandbox", "process")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate: NOT SIGNED: *"])
    assert "(NOT ISOLATED, unsigned)" in gated.last_line(result)
    assert not (gated.pytester.path / ".mlgate/churn-1/evidence.dsse.json").exists()
    assert "MLGATE_SIGNING_KEY" not in os.environ


def test_a_partial_run_is_signed_and_says_partial(gated, keys):
    """It admits nothing all the same."""
    gated.policy("schema, properties", more=SIGNED)
    result = gated.run("--mlgate-suite", "schema")
    assert result.ret == 0
    assert "(PARTIAL, signed (keyid " in gated.last_line(result)


def test_an_unsigned_run_takes_an_earlier_envelope_away(gated, keys):
    """It would lie beside evidence that it is not about."""
    assert gated.run().ret == 0
    envelope = gated.pytester.path / ".mlgate/churn-1/evidence.dsse.json"
    assert envelope.is_file()
    assert gated.run().ret == 0  # the key is gone from the environment
    assert not envelope.exists()


def test_evidence_that_can_not_be_signed_is_an_error_and_is_not_published(gated, keys, monkeypatch):
    """Whoever gives a key wants a signature; what was measured keeps its files."""
    monkeypatch.setattr(statement, "MAX_STATEMENT_BYTES", 10)
    result = gated.run()
    assert result.ret not in (0, 1)
    assert gated.world.registry.runs() == ()
    assert (gated.pytester.path / ".mlgate/churn-1/evidence.json").is_file()
    assert gated.last_line(result).startswith("models:/churn/1: passed (unsigned)")


def test_the_pipelines_job_is_in_the_evidence(gated, monkeypatch):
    """A reader of the statement finds the log."""
    monkeypatch.setenv("CI_JOB_URL", "https://git.example.org/churn/-/jobs/1")
    assert gated.run().ret == 0
    assert gated.evidence().ci["CI_JOB_URL"] == "https://git.example.org/churn/-/jobs/1"


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="the system has no /proc")  # noqa: PTH110  (text)
def test_code_in_the_run_can_still_read_the_key(gated, keys):
    """What a process was started with stays in /proc: whoever decides what the pipeline runs has the key (docs/trust.md)."""
    gated.policy("schema, rules", more="own_checks: [acceptance]")
    gated.acceptance(
        "import os, pathlib\n    assert 'MLGATE_SIGNING_KEY' not in os.environ\n"
        "    assert b'MLGATE_SIGNING_KEY=' in pathlib.Path('/proc/self/environ').read_bytes()\n"
        "    mlgate_record(PASSED)"
    )
    assert gated.run_subprocess().ret == 0
