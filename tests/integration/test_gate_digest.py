"""`mlgate gate` and the bytes in the store: read again each time, or the store's word where the policy takes it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlgate.artifacts.directory import digest_files, files_digest, walk
from mlgate.artifacts.store_digest import digest_in_store
from mlgate.model_version import ModelVersion
from mlgate.registry.mlflow import MlflowRegistry
from tests.admitted import Desk
from tests.unit.attest.delivered import flip, written

CACHE = "digest_cache: true"
ROOT = Path(__file__).parents[2]


def digest_of(folder):
    """The digest of a folder as a whole."""
    return files_digest(digest_files(folder, walk(folder)))


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch, tmp_path):
    for key in [key for key in os.environ if key.startswith(("MLFLOW_", "AWS_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLGATE_CACHE", str(tmp_path / "cache"))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A version that is admitted, and its weights in the server's own folder."""

    desk: Desk
    version: ModelVersion
    weights: Path
    uri: str

    def command(self, *words):
        """Run mlgate as the user does."""
        return subprocess.run(
            [sys.executable, "-m", "mlgate", *words],
            cwd=self.desk.folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": self.uri, "PYTHONPATH": str(ROOT)},
            check=False,
            capture_output=True,
            text=True,
        )

    def gate(self):
        """Exit status and the machine form."""
        done = self.command("gate", self.version.uri, "--output", "json")
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def scene(mlflow_server, tmp_path, request):
    """Signed evidence in a real server; files that last changed an hour ago."""
    desk = Desk.at(tmp_path, mlflow_server.uri)
    model = written(tmp_path / "model")
    version = desk.add(request.node.name.partition("[")[0][:60], model)
    desk.passed(version, model)
    (weights,) = mlflow_server.artifacts.rglob(f"*{version.model_id}/artifacts/model.pkl")
    for path in weights.parent.rglob("*"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    return Scene(desk=desk, version=version, weights=weights, uri=mlflow_server.uri)


def test_an_admitted_version_says_that_its_digest_was_computed_now(scene, tmp_path):
    """In both forms; MLflow's client is not imported for it."""
    code, said = scene.gate()
    assert (code, said["admitted"]) == (0, True)
    assert said["artifacts"]["digest"] == digest_of(tmp_path / "model")
    assert (said["artifacts"]["reused"], said["artifacts"]["note"], said["champion_artifacts"]) == (False, "", None)
    text = scene.command("gate", scene.version.uri)
    assert "artifacts: digest computed now, 20" in text.stdout
    assert text.stderr == ""
    lines = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mlgate", "gate", scene.version.uri],
        cwd=scene.desk.folder, env={**os.environ, "MLFLOW_TRACKING_URI": scene.uri}, check=True, capture_output=True, text=True,
    ).stderr.splitlines()  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in lines}
    assert "requests" in loaded
    assert loaded.isdisjoint({"mlflow", "numpy", "scipy", "pandas"})


def test_a_changed_byte_refuses(scene):
    """Also where size and time are kept."""
    assert scene.gate()[0] == 0
    flip(scene.weights)
    code, said = scene.gate()
    assert code == 1
    assert said["reasons"][0]["code"] == "other_bytes"


def test_with_the_cache_a_digest_is_reused_until_the_store_lists_something_else(scene):
    """The output says since when; what the store does not notice is not noticed, which is what the policy gives away."""
    scene.desk.policy(CACHE)
    first, second = scene.gate(), scene.gate()
    assert [said["artifacts"]["reused"] for _, said in (first, second)] == [False, True]
    assert second[1]["artifacts"]["computed_at"] == first[1]["artifacts"]["computed_at"]
    assert "artifacts: digest reused, computed 20" in scene.command("gate", scene.version.uri).stdout
    flip(scene.weights)  # MLflow's etag is made of size and time
    assert scene.gate()[0] == 0
    os.utime(scene.weights, (time.time() - 60, time.time() - 60))
    code, said = scene.gate()
    assert (code, said["reasons"][0]["code"], said["artifacts"]["reused"]) == (1, "other_bytes", False)
    scene.desk.policy()
    assert scene.gate()[0] == 1


def test_promote_reads_the_same_and_says_so(scene):
    """It shares the decision; `status` reads the evidence over the same road."""
    done = scene.command("promote", scene.version.uri, "--dry-run", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["artifacts"]["reused"] is False
    scene.desk.registry.set_alias(scene.version.name, "staging", scene.version.version)
    assert "signed by ci.pub" in scene.command("status", scene.version.name or "").stdout
    flip(scene.weights)
    done = scene.command("promote", scene.version.uri, "--yes")
    assert done.returncode == 1
    assert "the artifacts changed since the test" in done.stdout
    assert "artifacts: digest computed now" in done.stdout


def test_the_champions_digest_is_told_apart(scene, tmp_path):
    """Both are read; each says where it comes from."""
    other = scene.desk.add(scene.version.name, written(tmp_path / "other", {"MLmodel": b"flavors: {}\n"}))
    scene.desk.registry.set_alias(other.name, "champion", other.version)
    code, said = scene.gate()
    assert code == 1
    assert said["champion_artifacts"]["digest"] == digest_of(tmp_path / "other")
    assert said["artifacts"]["digest"] == digest_of(tmp_path / "model")
    assert "; the champion's computed now" in scene.command("gate", scene.version.uri).stdout


@pytest.fixture
def bucket(monkeypatch):
    """A bucket that MLflow's client reads, and a client to change it."""
    import boto3
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    client.create_bucket(Bucket="models")
    yield client
    running.stop()


def test_artifacts_in_s3_are_marked_by_s3_itself(bucket, mlflow_server, tmp_path, monkeypatch):
    """By etag and time of the last change: the same key with other bytes is read again."""
    model = written(tmp_path / "model")
    for path in model.rglob("*"):
        if path.is_file():
            bucket.put_object(
                Bucket="models", Key=f"churn/{path.relative_to(model).as_posix()}", Body=path.read_bytes()
            )
    bucket.put_object(Bucket="models", Key="churn-2/MLmodel", Body=b"of another model")
    version = ModelVersion(
        uri="models:/churn/1",
        name="churn",
        version="1",
        model_id=None,
        source_run_id=None,
        location="s3://models/churn",
    )
    registry = MlflowRegistry(mlflow_server.uri)
    listed = registry.listing
    monkeypatch.setattr(
        registry, "listing", lambda version: tuple(replace(file, changed_at=0.0) for file in listed(version))
    )
    first, second = (digest_in_store(registry, version, reuse=True) for _ in range(2))
    assert first.digest == digest_of(model)
    assert [found.reused for found in (first, second)] == [False, True]
    bucket.put_object(Bucket="models", Key="churn/model.pkl", Body=b"WEIGHTS")
    third = digest_in_store(registry, version, reuse=True)
    assert (third.reused, third.digest == first.digest) == (False, False)


def test_a_server_in_front_of_a_store_without_etags_is_read_each_time(bucket, tmp_path, mlflow_server, monkeypatch):
    """MLflow's server downloads such a file to hand it out: it has no etag to tell."""
    from mlgate.registry.mlflow_rest import RestStore

    monkeypatch.setattr(RestStore, "headers", lambda store, path: {"Content-Length": "4"})
    desk = Desk.at(tmp_path, mlflow_server.uri)
    version = desk.add("without etags", written(tmp_path / "model"))
    found = digest_in_store(desk.registry, version, reuse=True)
    assert "the store marks no content" in found.words
    assert not digest_in_store(desk.registry, version, reuse=True).reused
