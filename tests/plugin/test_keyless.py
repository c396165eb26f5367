"""MLGATE_SIGSTORE_ID_TOKEN: what a run signs through a Sigstore of our own, and which gate takes it."""

import json
import os
import sys

import pytest

from mlgate.cli import admission, app
from tests.unit.attest.local_sigstore import ISSUER, LocalSigstore, id_token

LISTED = {"gitlab": ISSUER, "project_path": "group/churn", "ref": "main", "trust_root": "trusted_root.json"}
SIGNED = f"evidence: {{signers: [{json.dumps(LISTED)}]}}"


@pytest.fixture
def sigstore(gated, monkeypatch):
    """An instance that answers, whose trust root lies beside the policy, and a job of a protected branch."""
    with LocalSigstore() as instance:
        _, config = instance.write(gated.pytester.path)
        monkeypatch.setenv("MLGATE_SIGSTORE_CONFIG", str(config))
        monkeypatch.setenv("MLGATE_SIGSTORE_ID_TOKEN", id_token())
        monkeypatch.setenv("CI_COMMIT_REF_PROTECTED", "true")
        monkeypatch.setattr(admission, "open_registry", lambda: gated.world.registry)
        yield instance


def test_a_run_is_signed_by_its_token_and_only_a_policy_that_pins_its_claims_admits_it(gated, sigstore, capsys):
    """From the token to the gate and back."""
    policy = gated.policy(more=SIGNED)
    result = gated.run()
    assert result.ret == 0
    said = "signed (Sigstore: project_path:group/churn:ref_type:branch:ref:main)"
    assert gated.last_line(result) == f"models:/churn/1: passed ({said}): every required check passed"
    output = gated.pytester.path / ".mlgate/churn-1"
    assert not (output / "evidence.dsse.json").exists()
    (run,) = gated.world.registry.runs()
    assert run.files["evidence.sigstore.json"] == (output / "evidence.sigstore.json").read_bytes()
    assert "MLGATE_SIGSTORE_ID_TOKEN" not in os.environ
    capsys.readouterr()
    assert app.run(["gate", "models:/churn/1"]) == 0
    assert "admitted (signed by group/churn@main on gitlab.example.com): " in capsys.readouterr().out
    assert app.run(["gate", "models:/churn/1", "--output", "json"]) == 0
    machine = json.loads(capsys.readouterr().out)
    assert (machine["signed"], machine["signer"], machine["keyid"]) == (
        True,
        "group/churn@main on gitlab.example.com",
        None,
    )
    assert app.run(["report", str(output / "evidence.json")]) == 0
    assert capsys.readouterr().err == "mlgate: signed by group/churn@main on gitlab.example.com\n"
    policy.write_text(policy.read_text().replace('"main"', '"dev"'))
    assert app.run(["gate", "models:/churn/1"]) == 1
    assert "refused (no accepted signature): not signed by group/churn@dev" in capsys.readouterr().out


def test_a_job_of_a_branch_that_lost_its_protection_is_refused(gated, sigstore, monkeypatch, capsys):
    """By what the job itself recorded; the certificate does not know."""
    monkeypatch.setenv("CI_COMMIT_REF_PROTECTED", "false")
    gated.policy(more=SIGNED)
    assert gated.run().ret == 0
    capsys.readouterr()
    assert app.run(["gate", "models:/churn/1"]) == 1
    assert "whose ref must be protected; the evidence says CI_COMMIT_REF_PROTECTED=false" in capsys.readouterr().out


def test_a_sigstore_that_does_not_answer_is_one_line_and_the_verdict_is_not_lost(gated, sigstore):
    """Nothing is published unsigned; the files are there."""
    sigstore.status = 503
    gated.policy(more=SIGNED)
    result = gated.run()
    assert result.ret == 3
    (said,) = [line for line in result.outlines if "Sigstore did not sign" in line]
    assert "503" in said
    assert gated.last_line(result).startswith("models:/churn/1: passed (unsigned)")
    assert gated.evidence().verdict.outcome == "passed"
    assert not (gated.pytester.path / ".mlgate/churn-1/evidence.sigstore.json").exists()
    assert gated.world.registry.runs() == ()


@pytest.mark.parametrize("token", ["not a token", id_token(aud="https://vault.example.com")])
def test_a_wrong_token_is_one_line_before_anything_starts(gated, sigstore, monkeypatch, token):
    """Without the token in it."""
    monkeypatch.setenv("MLGATE_SIGSTORE_ID_TOKEN", token)
    line = gated.refusal(gated.run())
    assert "MLGATE_SIGSTORE_ID_TOKEN is no ID token for Sigstore, or expired" in line
    assert token not in line


def test_a_token_without_the_extra_is_one_line_before_anything_starts(gated, sigstore, monkeypatch):
    """And so is a gate whose policy lists a pipeline."""
    monkeypatch.setitem(sys.modules, "sigstore", None)
    assert "pip install 'mlgate[sigstore]'" in gated.refusal(gated.run())


def test_a_gate_without_the_extra_is_one_line(gated, sigstore, monkeypatch, capsys):
    """Never "unsigned", and never a pass."""
    gated.policy(more=SIGNED)
    assert gated.run().ret == 0
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "sigstore", None)
    assert app.run(["gate", "models:/churn/1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "pip install 'mlgate[sigstore]'" in err


def test_a_process_sandbox_signs_nothing_with_a_token_either(gated, sigstore):
    """The model runs as the user who holds it."""
    result = gated.run("--mlgate-sandbox", "process")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mlgate: NOT SIGNED: *"])
    assert sigstore.asked == []
    assert "MLGATE_SIGSTORE_ID_TOKEN" not in os.environ


def test_a_key_comes_before_a_token(gated, sigstore, monkeypatch):
    """One of them signs."""
    app.run(["keys", "new", "ci"])
    monkeypatch.setenv("MLGATE_SIGNING_KEY", "ci.key")
    result = gated.run()
    assert "signed (keyid " in gated.last_line(result)
    assert sigstore.asked == []
    assert "MLGATE_SIGSTORE_ID_TOKEN" not in os.environ
