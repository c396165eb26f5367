"""`mlgate verify`: what it prints, its exit status, what it imports, and the manifest that runs it before a pod."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mlgate.attest.dsse import sign
from mlgate.attest.keys import KeyKind, generate
from mlgate.attest.statement import statement_of
from mlgate.attest.waiver import new_waiver
from mlgate.cli import app
from mlgate.evidence import Outcome, VerdictFacts
from tests.unit.attest.delivered import POLICY_TEXT, evidence_about, flip, listed, signed, written
from tests.unit.attest.local_sigstore import ISSUER, LocalSigstore
from tests.unit.builders import with_outcome

EXAMPLE = Path(__file__).parents[3] / "examples" / "verify" / "init-container.yaml"
KEY = generate(KeyKind.ED25519)
FAILED = VerdictFacts(outcome="failed", reasons=("cold_start.ready: 9 s > 5 s",))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a model that passed, its envelope, and the key that CI signs with."""
    monkeypatch.chdir(tmp_path)
    deliver(written(tmp_path / "model"))
    listed(tmp_path, KEY)
    return tmp_path


def deliver(directory, **changes):
    """Put an envelope beside the directory, about what it holds now."""
    (directory.parent / "evidence.dsse.json").write_bytes(signed(evidence_about(directory, **changes), KEY))


def verify(capsys, *words):
    """Exit status, standard output and standard error."""
    status = app.run(["verify", *words])
    return status, *capsys.readouterr()


def test_a_verified_directory_is_one_line_and_exit_status_0(here, capsys):
    """Which version it is, and who says so."""
    assert verify(capsys, "model", "--signer", "ci.pub") == (
        0,
        "model: verified: models:/churn/3, 4 files, signed by ci.pub\n",
        "",
    )


def replay(here):
    """Other bytes under an envelope that was good for the old ones."""
    (here / "model" / "model.pkl").write_bytes(b"other weights")


def other_key(here):
    """Signed by nobody who is listed."""
    evidence = evidence_about(here / "model")
    (here / "evidence.dsse.json").write_bytes(signed(evidence, generate(KeyKind.ED25519)))


@pytest.mark.parametrize(
    ("spoil", "says", "hint"),
    [
        (lambda here: flip(here / "model/MLmodel"), "MLmodel is not what was tested", "copy the directory again"),
        (replay, "model.pkl is not what was tested", "do not serve it"),
        (lambda here: (here / "model/model.pkl").unlink(), "model.pkl was tested and is missing", "copy the directory"),
        (lambda here: (here / "model/x").write_text(""), "x is there and was never tested", "remove it"),
        (lambda here: (here / "model/x").symlink_to("MLmodel"), "is a symbolic link", "as plain files"),
        (lambda here: (here / "evidence.dsse.json").unlink(), "no envelope at", "--envelope FILE"),
        (lambda here: (here / "evidence.dsse.json").write_text("{"), "the envelope is not JSON", "copy the envelope"),
        (other_key, "not signed by any of 'ci.pub'", "list it too"),
        (lambda here: listed(here, KEY, "expires: 2020-01-01"), "expired on 2020-01-01", "test the version again"),
        (lambda here: listed(here, KEY, "revoked: 2020-01-01"), "revoked on 2020-01-01", "test the version again"),
        (lambda here: deliver(here / "model", verdict=FAILED), "did not pass: cold_start.ready", "mlgate gate URI"),
        (lambda here: deliver(here / "model", complete=False), "the run was partial", "mlgate gate URI"),
        (lambda here: deliver(here / "model", age=-timedelta(hours=1)), "in the future", "set the clock"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_what_to_do_in_its_first_line(here, capsys, spoil, says, hint):
    """Exit status 1: the pod does not start."""
    spoil(here)
    status, out, err = verify(capsys, "model", "--signer", "ci.pub")
    assert (status, err) == (1, "")
    first = out.splitlines()[0]
    assert first.startswith("model: refused: ")
    assert says in first
    assert hint in first.partition(". Hint: ")[2]


def test_every_reason_has_its_line(here, capsys):
    """The first with the hint, the others below it."""
    (here / "model/model.pkl").unlink()
    (here / "model/x").write_text("")
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub")
    first, *others = out.splitlines()
    assert status == 1
    assert "model.pkl was tested and is missing. Hint: " in first
    assert others == ["- x is there and was never tested"]


def test_without_a_signer_nothing_is_verified(here, capsys):
    """A manifest that lost its option must not let everything through."""
    status, out, _ = verify(capsys, "model")
    assert status == 1
    assert "no signer is listed" in out
    assert "--signer ci.pub" in out


def test_one_of_several_signers_is_enough(here, capsys):
    """While keys are changed, both are listed."""
    listed(here, generate(KeyKind.ECDSA), name="next.pub")
    status, out, _ = verify(capsys, "model", "--signer", "next.pub", "--signer", "ci.pub")
    assert (status, "signed by ci.pub" in out) == (0, True)


def test_the_version_and_the_age_can_be_asked_for(here, capsys):
    """A complete older version is refused by its name, or by its age."""
    asked = ("model", "--signer", "ci.pub")
    assert verify(capsys, *asked, "--uri", "models:/churn/3", "--max-age", "2h")[0] == 0
    assert "is about models:/churn/3, not models:/churn/4" in verify(capsys, *asked, "--uri", "models:/churn/4")[1]
    status, out, _ = verify(capsys, *asked, "--max-age", "59m")
    assert (status, "> 59 min 0 s allowed" in out) == (1, True)


def test_the_envelope_can_be_named(here, capsys):
    """A file or the folder it lies in."""
    (here / "gate").mkdir()
    (here / "evidence.dsse.json").rename(here / "gate" / "evidence.dsse.json")
    for place in ("gate", "gate/evidence.dsse.json"):
        assert verify(capsys, "model", "--signer", "ci.pub", "--envelope", place)[0] == 0
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub", "--envelope", "gate/other.json")
    assert (status, "no envelope at gate/other.json" in out) == (1, True)


def test_a_policy_judges_again_and_brings_its_signers(here, capsys):
    """Its paths are relative to it, as everywhere."""
    (here / "policy").mkdir()
    policy = here / "policy" / "mlgate.yaml"
    policy.write_text(f"{POLICY_TEXT}evidence: {{signers: [ci.pub]}}\n")
    listed(here / "policy", KEY)
    assert verify(capsys, "model", "--policy", str(policy))[0] == 0
    policy.write_text("requires: [load]\n")
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub", "--policy", str(policy))
    assert (status, "judged by another policy" in out) == (1, True)


def test_a_waiver_counts_where_the_policy_says_who_may_waive(here, capsys):
    """Offline too: named beside the envelope, judged by the policy, and shown."""
    text = "requires: [cold_start]\nevidence: {signers: [ci.pub], waivers: [release.pub]}\n"
    release = generate(KeyKind.ED25519)
    listed(here, release, name="release.pub")
    (here / "mlgate.yaml").write_text(text)
    evidence = with_outcome(evidence_about(here / "model", verdict=FAILED), "cold_start.ready", Outcome.FAILED)
    (here / "evidence.dsse.json").write_bytes(signed(evidence, KEY))
    waiver = new_waiver(
        life=timedelta(days=1),
        now=datetime.now(UTC),
        check="cold_start.ready",
        name="churn",
        version="3",
        artifact_digest=evidence.subject.artifact_digest,
        policy_digest=evidence.policy.digest,
        evidence=evidence.digest,
        found="failed",
        reason="JIRA-12",
        by="kim",
    )
    (here / "w.json").write_bytes(sign(waiver.canonical(), [release]))
    (here / "stolen.json").write_bytes(sign(waiver.canonical(), [KEY]))
    asked = ("model", "--policy", "mlgate.yaml")
    assert verify(capsys, *asked)[0] == 1
    status, out, _ = verify(capsys, *asked, "--waiver", "w.json")
    assert (status, out.count("\n")) == (0, 2)
    assert "- waived: cold_start.ready: measured; waived by release.pub until" in out
    document = json.loads(verify(capsys, *asked, "--waiver", "w.json", "--output", "json")[1])
    assert [waived["check"] for waived in document["waived"]] == ["cold_start.ready"]
    status, out, _ = verify(capsys, *asked, "--waiver", "stolen.json")
    assert (status, "- the waiver counts for nothing: not signed by any of 'release.pub'" in out) == (1, True)
    status, _, err = verify(capsys, "model", "--signer", "ci.pub", "--waiver", "w.json")
    assert (status, "add --policy FILE" in err) == (2, True)
    status, _, err = verify(capsys, *asked, "--waiver", "none.json")
    assert (status, err.count("\n"), "none.json can not be read" in err) == (2, 1, True)


def test_the_machine_form_has_every_fact_and_every_reason(here, capsys):
    """For whoever collects what pods say."""
    evidence = evidence_about(here / "model")
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub", "--output", "json")
    good = json.loads(out)
    assert (status, good["verified"], good["reasons"], good["hint"]) == (0, True, [], None)
    assert good["artifact_digest"] == evidence.subject.artifact_digest
    assert (good["uri"], good["result"], good["signer"]["keyid"]) == ("models:/churn/3", "PASSED", KEY.public.keyid)
    flip(here / "model" / "MLmodel")
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub", "--output", "json")
    bad = json.loads(out)
    assert (status, bad["verified"]) == (1, False)
    assert [reason["code"] for reason in bad["reasons"]] == ["changed_file"]
    assert bad["hint"].startswith("copy the directory again")


def test_what_a_run_says_can_not_forge_a_line(here, capsys):
    """A model's own words end up in the evidence, and from there in a log."""
    words = VerdictFacts(outcome="failed", reasons=("no\nmodel: verified: \x1b[2J",))
    deliver(here / "model", verdict=words)
    status, out, _ = verify(capsys, "model", "--signer", "ci.pub")
    assert (status, out.count("\n"), "\x1b" in out) == (1, 1, False)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Missing argument 'DIR'"),
        (["missing", "--signer", "ci.pub"], "missing is no directory"),
        (["ci.pub", "--signer", "ci.pub"], "ci.pub is no directory"),
        (["model", "--signer", "missing.pub"], "missing.pub is not a file"),
        (["model", "--signer", "model/MLmodel"], "model/MLmodel:1: not '# key: value'"),
        (["model", "--signer", "ci.pub", "--max-age", "7"], "--max-age: '7' is not a quantity"),
        (["model", "--signer", "ci.pub", "--uri", "models:/churn@champion"], "write models:/name/3"),
        (["model", "--signer", "ci.pub", "--policy", "missing.yaml"], "missing.yaml: can not be read"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_status_2(here, capsys, words, says):
    """Told apart from a refusal, so that nobody mistakes a typing error for an attack."""
    status, out, err = verify(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert says in err


WATCHED = """
import os, sys
seen = set()
def hook(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event.startswith(("socket.", "subprocess.", "os.mkdir", "os.rename", "os.remove")) or writes:
        seen.add(f"{event} {arguments[0]}")
sys.addaudithook(hook)
from mlgate.cli.app import run
status = run(sys.argv[1:])
# Not pydantic: recent versions of typer import it themselves.
heavy = {"mlflow", "pandas", "docker", "numpy", "scipy", "requests", "kubernetes", "rich", "pytest", "mlgate.policy"}
print(status, sorted(heavy & set(sys.modules)), sorted(seen), file=sys.stderr)
"""


def test_it_imports_nothing_heavy_opens_no_socket_and_writes_no_file(here):
    """An init container has little memory, a read-only file system and need not have a network."""
    words = [sys.executable, "-B", "-c", WATCHED, "verify", "model", "--signer", "ci.pub", "--uri", "models:/churn/3"]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr == "0 [] []\n"


def deliver_bundle(here, *, protected):
    """Put a bundle beside the directory, and the trust root of who made it beside the policy."""
    sigstore = LocalSigstore()
    sigstore.write(here)
    evidence = evidence_about(here / "model", ci={"CI_COMMIT_REF_PROTECTED": protected})
    (here / "evidence.sigstore.json").write_text(json.dumps(sigstore.bundle(statement_of(evidence))))


@pytest.fixture
def keyless(here):
    """Signed by a pipeline instead, whom the policy lists with the trust root beside it."""
    (here / "evidence.dsse.json").unlink()
    deliver_bundle(here, protected="true")
    root = here / "trusted_root.json"
    pipeline = {"gitlab": ISSUER, "project_path": "group/churn", "ref": "main", "trust_root": root.name}
    listing = here / "mlgate.yaml"
    listing.write_text(f"{POLICY_TEXT}evidence: {{signers: [{json.dumps(pipeline)}]}}\n")
    return listing


@pytest.mark.parametrize("name", ["evidence.sigstore.json", "model.sigstore.json", "gate/evidence.sigstore.json"])
def test_what_a_pipeline_signed_is_verified_with_the_policys_trust_root(here, capsys, keyless, name):
    """At the places of an envelope, or where it is said to be."""
    (here / "gate").mkdir()
    (here / "evidence.sigstore.json").rename(here / name)
    words = ["model", "--policy", "mlgate.yaml", *(["--envelope", "gate"] if "/" in name else [])]
    said = "model: verified: models:/churn/3, 4 files, signed by group/churn@main on gitlab.example.com\n"
    assert verify(capsys, *words) == (0, said, "")
    flip(here / "model" / "MLmodel")
    assert "MLmodel is not what was tested" in verify(capsys, *words)[1]


def test_a_pipeline_is_verified_without_a_network_and_without_writing(here, keyless):
    """The library has a trust root of its own to fetch, and a cache; neither is touched."""
    words = [sys.executable, "-B", "-c", WATCHED, "verify", "model", "--policy", "mlgate.yaml"]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("0 [")
    seen = ast.literal_eval(f"[{done.stderr.partition('] [')[2]}")
    # urllib3 binds a socket when it is imported, to see whether there is IPv6.
    assert {event.partition(" ")[0] for event in seen} <= {"socket.__new__", "socket.bind"}


def test_a_pipeline_without_a_trust_root_is_one_line(here, capsys, keyless):
    """It would have to be fetched, and a pod has no way out."""
    keyless.write_text(keyless.read_text().replace(', "trust_root": "trusted_root.json"', ""))
    status, out, err = verify(capsys, "model", "--policy", "mlgate.yaml")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "group/churn has no trust_root" in err
    assert "Hint: trust_root: FILE" in err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("group/churn", "group/other"), "the certificate's project_path is another"),
        (('"main"', '"dev"'), "the certificate's ref is another"),
        (("trusted_root.json", "mlgate.yaml"), "mlgate.yaml is no trust root"),
    ],
)
def test_another_pipeline_is_refused_with_a_hint(here, capsys, keyless, change, says):
    """Or another trust root."""
    keyless.write_text(keyless.read_text().replace(*change))
    status, out, err = verify(capsys, "model", "--policy", "mlgate.yaml")
    assert (status, err) == (1, "")
    assert says in out
    assert ". Hint: " in out


def test_a_pipeline_of_a_ref_that_is_not_protected_is_refused(here, capsys, keyless):
    """As the gate does."""
    deliver_bundle(here, protected="false")
    status, out, _ = verify(capsys, "model", "--policy", "mlgate.yaml")
    assert (status, "CI_COMMIT_REF_PROTECTED=false" in out) == (1, True)


@pytest.fixture
def pod():
    """The example's pod."""
    return yaml.safe_load(EXAMPLE.read_text())


@pytest.fixture
def start(pod, tmp_path):
    """Run the init container's command line on folders in the place of its volumes; return what came of it."""
    (container,) = pod["spec"]["initContainers"]
    folders = {mount["mountPath"]: tmp_path / mount["name"] for mount in container["volumeMounts"]}
    version = folders["/models"] / "churn" / "3"
    deliver(written(version / "model"))
    folders["/signers"].mkdir()
    # As a ConfigMap is mounted: links to links.
    (folders["/signers"] / "..1").mkdir()
    listed(folders["/signers"] / "..1", KEY)
    (folders["/signers"] / "..data").symlink_to("..1")
    (folders["/signers"] / "ci.pub").symlink_to("..data/ci.pub")

    def run(spoil=lambda version: None):
        spoil(version)
        program, *words = container["command"]
        assert program == "mlgate"
        for mount, folder in folders.items():
            words = [word.replace(mount + "/", f"{folder}/") for word in words]
        # Nothing of this environment: a container has no home and no configuration.
        command_line = [sys.executable, "-m", "mlgate", *words]
        return subprocess.run(command_line, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)

    return run


def test_the_example_lets_a_good_model_start(start):
    """The very command line of the manifest."""
    done = start()
    assert (done.returncode, done.stderr) == (0, "")
    assert "verified: models:/churn/3, 4 files" in done.stdout


def another_version(version):
    """A complete other version, with its own good envelope."""
    evidence = evidence_about(version / "model")
    older = replace(evidence, subject=replace(evidence.subject, uri="models:/churn/2", version="2"))
    (version / "evidence.dsse.json").write_bytes(signed(older, KEY))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda version: flip(version / "model/model.pkl"), "model.pkl is not what was tested"),
        (lambda version: (version / "evidence.dsse.json").unlink(), "no envelope at"),
        (lambda version: listed(version.parents[2] / "signers/..1", generate(KeyKind.ED25519)), "not signed by any of"),
        (another_version, "the evidence is about models:/churn/2"),
    ],
)
def test_the_example_keeps_every_other_model_from_starting(start, spoil, says):
    """A flipped bit, a missing envelope, another key, an older version."""
    done = start(spoil)
    assert (done.returncode, done.stderr) == (1, "")
    assert says in done.stdout


def test_the_example_gives_the_verifier_no_rights(pod):
    """Nobody in particular, nothing writable, and the server reads the same volume at the same place."""
    spec = pod["spec"]
    (verifier,), (server,) = spec["initContainers"], spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["automountServiceAccountToken"] is False
    assert verifier["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount for mount in verifier["volumeMounts"]}
    assert all(mount["readOnly"] for mount in mounts.values())
    assert mounts["models"] in server["volumeMounts"]
    assert {volume["name"] for volume in spec["volumes"]} == set(mounts)
    model = verifier["command"][2]
    assert f"--model-uri={model}" in server["args"]
