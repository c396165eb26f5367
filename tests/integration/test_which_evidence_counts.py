"""Which evidence counts (design §5.5), with a real MLflow server: newer runs, laptops, runs that end together or are killed."""

import os
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlgate.artifacts.directory import read_directory
from mlgate.attest.dsse import sign
from mlgate.attest.key_files import write_pair
from mlgate.attest.keys import KeyKind, SigningKey, generate
from mlgate.attest.statement import statement_of
from mlgate.cli.admission import decide
from mlgate.evidence import Evidence, Outcome, VerdictFacts
from mlgate.gate import Admission
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.policy_file import load_policy
from mlgate.publication import publish, write_files
from mlgate.registry.mlflow import MlflowRegistry
from mlgate.verdict import format_time
from tests.integration.test_mlflow_registry import add_to_mlflow
from tests.unit.builders import admissible, with_outcome

MODEL = "flavors:\n  python_function:\n    loader_module: nowhere\n"
FAILED = VerdictFacts(outcome="failed", reasons=("cold_start.ready: measured",))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A registered version, a policy that lists one signer, and that signer's key."""

    registry: MlflowRegistry
    version: ModelVersion
    policy: Path
    key: SigningKey
    folder: Path

    def evidence(self, *, passed: bool, minutes_ago: float = 60.0) -> Evidence:
        """What a run of the version found, that finished so long ago."""
        finished = format_time(datetime.now(UTC) - timedelta(minutes=minutes_ago))
        whole = admissible(load_policy(self.policy), champion=False, finished_at=finished)
        directory = read_directory(self.folder / "model")
        names = {"uri": self.version.uri, "name": self.version.name, "version": self.version.version}
        subject = replace(whole.subject, **names, artifact_digest=directory.digest, files=directory.files)
        whole = replace(whole, subject=subject)
        return whole if passed else replace(with_outcome(whole, "cold_start.ready", Outcome.FAILED), verdict=FAILED)

    def written(self, evidence: Evidence, *, signed: bool = True) -> Path:
        """A folder with the files of a run."""
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        write_files(evidence, folder, envelope=sign(statement_of(evidence), [self.key]) if signed else None)
        return folder

    def publish(self, evidence: Evidence, *, signed: bool = True) -> str:
        """Store a run, as a pipeline does."""
        return publish(self.registry, self.version, evidence, self.written(evidence, signed=signed))

    def gate(self) -> Admission:
        """What `mlgate gate` says now."""
        return decide(self.version.uri, str(self.policy)).admission

    @property
    def status(self) -> str | None:
        """What the tag says to people."""
        return self.registry.tags(self.version).get("mlgate.status")


@pytest.fixture
def desk(mlflow_server, tmp_path, monkeypatch) -> Desk:
    """A version of a model that nobody else uses."""
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text(MODEL)
    key = generate(KeyKind.ED25519)
    write_pair(key, private=tmp_path / "ci.key", public=tmp_path / "ci.pub", passphrase=None)
    (tmp_path / "mlgate.yaml").write_text("requires: [cold_start]\nevidence: {signers: [ci.pub]}\n")
    registry = MlflowRegistry(mlflow_server.uri)
    added = add_to_mlflow(mlflow_server.uri, f"churn-{uuid.uuid4().hex[:8]}", tmp_path / "model")
    return Desk(
        registry=registry,
        version=registry.resolve(ModelUri.parse(added.uri)),
        policy=tmp_path / "mlgate.yaml",
        key=key,
        folder=tmp_path,
    )


def test_a_newer_failed_run_wins_over_an_older_passed_one_and_the_other_way_round(desk):
    """Also where the older one is stored again, last: its time is signed."""
    desk.publish(desk.evidence(passed=True, minutes_ago=60))
    assert desk.gate().admitted
    bad = desk.publish(desk.evidence(passed=False, minutes_ago=30))
    desk.publish(desk.evidence(passed=True, minutes_ago=60))
    refused = desk.gate()
    assert (refused.admitted, refused.run_id, refused.reasons[0].code) == (False, bad, "failed")
    good = desk.publish(desk.evidence(passed=True, minutes_ago=10))
    assert (desk.gate().admitted, desk.gate().run_id) == (True, good)


@pytest.mark.parametrize("passed", [True, False])
def test_a_laptops_unsigned_run_neither_displaces_nor_unadmits_what_ci_signed(desk, passed):
    """It writes its tags, and the gate reads none of them."""
    ci = desk.publish(desk.evidence(passed=True, minutes_ago=60))
    desk.publish(desk.evidence(passed=passed, minutes_ago=1), signed=False)
    assert desk.status == ("passed" if passed else "failed")
    assert (desk.gate().admitted, desk.gate().run_id) == (True, ci)
    failed = desk.publish(desk.evidence(passed=False, minutes_ago=30))
    desk.publish(desk.evidence(passed=True, minutes_ago=0), signed=False)
    assert (desk.gate().admitted, desk.gate().run_id) == (False, failed)


def test_two_runs_that_finish_together_leave_one_answer(desk):
    """Stored at the same moment by two threads, finished in the same second: the refused one counts."""
    moment = desk.evidence(passed=True).finished_at
    both = [replace(desk.evidence(passed=passed), finished_at=moment) for passed in (True, False)]
    folders = [desk.written(evidence) for evidence in both]
    start, runs = threading.Barrier(2), {}

    def store(number):
        registry = MlflowRegistry(desk.registry.uri)
        start.wait()
        runs[number] = publish(registry, desk.version, both[number], folders[number])

    threads = [threading.Thread(target=store, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(desk.registry.evidence(desk.version.name)) == 2
    assert {(admission.admitted, admission.run_id) for admission in (desk.gate(), desk.gate())} == {(False, runs[1])}


# One process that has loaded MLflow; a fork for each attempt, which ends itself before its n-th request is sent.
KILLED = """
import os, signal, sys
from pathlib import Path
import mlflow, requests
from mlgate.evidence import Evidence
from mlgate.model_version import ModelUri
from mlgate.publication import publish
from mlgate.registry.mlflow import MlflowRegistry
uri, version, folder = sys.argv[1:]
send = requests.Session.send
def attempt(last):
    sent = []
    def counted(self, request, **options):
        if len(sent) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        sent.append(request)
        answer = send(self, request, **options)
        if b'"FINISHED"' in (request.body if isinstance(request.body, bytes) else str(request.body).encode()):
            os.write(1, b"finished ")
        return answer
    registry = MlflowRegistry(uri)
    found = registry.resolve(ModelUri.parse(version))
    evidence = Evidence.from_bytes((Path(folder) / "evidence.json").read_bytes())
    requests.Session.send = counted
    publish(registry, found, evidence, Path(folder))
    os._exit(0)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        attempt(int(line))
    print("killed" if os.waitpid(child, 0)[1] == signal.SIGKILL else "done", flush=True)
"""


def attempts(desk, folder):
    """Yield for each request that a publication sends whether the run was finished before it was killed there."""
    command = [sys.executable, "-c", KILLED, os.environ["MLFLOW_TRACKING_URI"], desk.version.uri, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        for number in range(200):
            driver.stdin.write(f"{number}\n")
            driver.stdin.flush()
            *finished, how = driver.stdout.readline().split()
            yield bool(finished)
            if how == "done":
                break
        driver.stdin.close()
    assert driver.returncode == 0


def test_a_run_that_is_killed_before_it_is_finished_changes_nothing(desk):
    """SIGKILL before each request that it sends, one attempt each: an older pass stays admitted till a failure is whole."""
    good = desk.publish(desk.evidence(passed=True, minutes_ago=60))
    found = [
        (finished, desk.gate()) for finished in attempts(desk, desk.written(desk.evidence(passed=False, minutes_ago=5)))
    ]
    before = [admission for finished, admission in found if not finished]
    assert {(admission.admitted, admission.run_id) for admission in before} == {(True, good)}
    after = [admission for finished, admission in found if finished]
    assert {(admission.admitted, admission.reasons[0].code) for admission in after} == {(False, "failed")}
    # One request for each file, and those around; then the tags, after which nothing can be killed any more.
    assert len(before) > 10
    assert len(after) > 5


def test_a_first_run_that_is_killed_admits_nothing_and_never_reads_like_a_pass(desk):
    """Nor does the tag say "passed" before the gate would."""
    for finished in attempts(desk, desk.written(desk.evidence(passed=True, minutes_ago=5))):
        admission = desk.gate()
        assert admission.admitted is finished
        assert finished or admission.reasons[0].code == "no_evidence"
        assert finished or desk.status is None
    assert desk.status == "passed"


def test_whoever_may_delete_runs_brings_an_older_signed_pass_back(desk):
    """What no signature prevents (docs/trust.md): `evidence.max_age` bounds for how long."""
    from mlflow import MlflowClient

    good = desk.publish(desk.evidence(passed=True, minutes_ago=60))
    bad = desk.publish(desk.evidence(passed=False, minutes_ago=30))
    assert (desk.gate().admitted, desk.gate().run_id) == (False, bad)
    MlflowClient(desk.registry.uri).delete_run(bad)
    assert (desk.gate().admitted, desk.gate().run_id) == (True, good)


def test_tags_and_an_alias_that_anybody_wrote_admit_nothing(desk):
    """A PASSED tag proves nothing, and neither does the champion's place; the signed refusal stays one."""
    desk.publish(desk.evidence(passed=False, minutes_ago=30))
    desk.registry.set_tags(desk.version, {"mlgate.status": "passed", "mlgate.suite.cold_start": "passed"})
    desk.registry.set_alias(desk.version.name, "champion", desk.version.version)
    assert [reason.code for reason in desk.gate().reasons] == ["failed"]
