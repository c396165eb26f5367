"""The registry's contract, over memory, real MLflow servers (SQLite, PostgreSQL) and a plain database; and servers that misbehave."""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from mlgate.artifacts import cache
from mlgate.artifacts.directory import read_directory
from mlgate.errors import ModelNotFound, RegistryError, UriError
from mlgate.model_version import ModelUri, ModelVersion
from mlgate.registry import tags
from mlgate.registry.interface import WAIVER_FILE, WAIVERS, EventState, GateRun
from mlgate.registry.memory import MemoryRegistry
from mlgate.registry.mlflow import MlflowRegistry

ANSWER_WITHIN_S = 15.0
# What the contract runs over, beside memory and a plain database: MLflow's server on SQLite and on PostgreSQL.
SERVERS = {"http": "mlflow_server", "postgres": "postgres_mlflow_server"}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model as MLflow saves it."""
    import mlflow
    import pandas as pd

    class Doubling(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input["x"] * 2

    folder = tmp_path_factory.mktemp("saved") / "model"
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    mlflow.pyfunc.save_model(
        folder,
        python_model=Doubling(),
        signature=mlflow.models.infer_signature(frame, frame["x"]),
        input_example=frame,
        pip_requirements=["mlflow"],
    )
    (folder / "data with space").mkdir()
    (folder / "data with space" / "ünï.bin").write_bytes(b"\x00" * 1000)
    return folder


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry with a way to put versions into it, and a model name that no other test uses."""

    registry: object
    add: object
    name: str
    fetched_from: Path

    def publish(self, version, folder, *, evidence=b"{}", digest="sha256:aa", data="none", **changes):
        """Publish a gate run with this evidence; `None` for none."""
        folder.mkdir(parents=True, exist_ok=True)
        if evidence is not None:
            (folder / "evidence.json").write_bytes(evidence)
        run = {"name": "gate", "tags": {tags.ARTIFACT_DIGEST: digest, tags.DATA: data}, "metrics": {}, **changes}
        return self.registry.publish(GateRun(version=version, folder=folder, **run))


def add_to_mlflow(uri, name, folder):
    """Log *folder* as a logged model of a run, and register it: what `log_model` does, without loading anything."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(uri)
    with contextlib.suppress(MlflowException):
        client.create_registered_model(name)
    run = client.create_run("0")
    logged = client.create_logged_model("0", name="model", source_run_id=run.info.run_id)
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.set_terminated(run.info.run_id)
    made = client.create_model_version(name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id)
    return ModelVersion(
        uri=f"models:/{name}/{made.version}",
        name=name,
        version=str(made.version),
        model_id=logged.model_id,
        source_run_id=run.info.run_id,
        location="",
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A plain database that MLflow made, and no server."""
    folder = tmp_path_factory.mktemp("database")
    uri = f"sqlite:///{folder}/mlflow.db"
    from mlflow import MlflowClient

    with contextlib.chdir(folder):  # where MLflow puts the artifacts, decided when it first opens the database
        MlflowClient(uri).search_experiments()
    return uri, folder


@pytest.fixture(params=["memory", "http", "postgres", "sqlite"])
def world(request, model, monkeypatch):
    """The same questions to each registry."""
    name = f"churn model {uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        registry = MemoryRegistry()
        return World(registry=registry, add=registry.add, name=name, fetched_from=model)
    if request.param in SERVERS:
        uri = request.getfixturevalue(SERVERS[request.param]).uri
    else:
        uri, folder = request.getfixturevalue("database")
        monkeypatch.chdir(folder)  # MLflow puts artifacts of a plain database below the working directory
    registry = MlflowRegistry(uri)
    return World(
        registry=registry, add=lambda name, folder: add_to_mlflow(uri, name, folder), name=name, fetched_from=model
    )


class TestContract:
    """What every registry promises."""

    def test_every_form_of_uri_leads_to_the_same_bytes(self, world, tmp_path):
        """A version, an alias, a logged model and a run: one digest, and the directory's own."""
        added = world.add(world.name, world.fetched_from)
        world.registry.set_alias(world.name, "champion", added.version)
        texts = [
            f"models:/{world.name}/{added.version}",
            f"models:/{world.name}@champion",
            f"models:/{added.model_id}",
            f"runs:/{added.source_run_id}/model",
            str(world.fetched_from),
        ]
        versions = [world.registry.resolve(ModelUri.parse(text)) for text in texts]
        found = [cache.fetch(world.registry, version, tmp_path / "cache") for version in versions]
        assert {directory.digest for directory in found} == {read_directory(world.fetched_from).digest}
        assert {version.location for version in versions[:4]} == {versions[0].location}
        assert [version.uri for version in versions[:2]] == [added.uri, added.uri]
        assert versions[0].promotable
        assert not any(version.promotable for version in versions[2:])
        assert [version.model_id for version in versions[:4]] == [added.model_id] * 4
        assert [version.source_run_id for version in versions[:4]] == [added.source_run_id] * 4

    def test_nothing_but_the_model_is_fetched(self, world, tmp_path):
        """No note of MLflow's about the URI."""
        added = world.add(world.name, world.fetched_from)
        world.registry.fetch(world.registry.resolve(ModelUri.parse(added.uri)), tmp_path)
        fetched = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
        assert fetched == [file.path for file in read_directory(world.fetched_from).files]

    def test_the_digest_in_the_store_is_that_of_what_would_be_fetched(self, world, tmp_path):
        """Nothing is left of what was read; the listing names the same files with their sizes."""
        version = world.registry.resolve(ModelUri.parse(world.add(world.name, world.fetched_from).uri))
        (tmp_path / "scratch").mkdir()
        told = []
        found = world.registry.digests(version, tmp_path / "scratch", watch=lambda *each: told.append(each))
        expected = read_directory(world.fetched_from)
        assert tuple(found) == expected.files
        assert told[-1][0] == told[-1][1] == sum(file.size for file in expected.files)
        assert list((tmp_path / "scratch").iterdir()) == []
        listed = world.registry.listing(version)
        assert {(file.path, file.size) for file in listed} == {(file.path, file.size) for file in expected.files}
        assert world.registry.listing(version) == listed

    def test_a_missing_version_says_what_there_is(self, world):
        """Versions and aliases."""
        for _ in range(3):
            world.add(world.name, world.fetched_from)
        world.registry.set_alias(world.name, "champion", "2")
        for missing in ("/9", "@stable"):
            with pytest.raises(ModelNotFound) as caught:
                world.registry.resolve(ModelUri.parse(f"models:/{world.name}{missing}"))
            assert "versions" in str(caught.value)
            assert "champion" in str(caught.value)

    def test_of_many_that_create_a_marker_one_does(self, world):
        """With its tags, from the first moment; and it is no model to anybody else."""
        markers, name = world.registry.markers, f"mlgate-lock-{uuid.uuid4().hex}"
        with ThreadPoolExecutor(8) as pool:
            made = [
                made for made in pool.map(lambda n: markers.create(name, {"who": str(n)}, "a lock"), range(8)) if made
            ]
        assert len(made) == 1
        assert abs(made[0].created_at - time.time()) < 300
        assert markers.find(name) == made[0]
        assert list(markers.matching(name[:-1])) == made
        assert made[0].tags.keys() == {"who"}
        with pytest.raises(ModelNotFound) as caught:
            world.registry.aliases(name[:-1])
        assert "mlgate-lock-" not in str(caught.value.hint)
        assert markers.set_tag(name, "who", "nobody")
        assert markers.find(name).tags == {"who": "nobody"}
        assert markers.delete(name)
        assert (markers.find(name), markers.delete(name), markers.set_tag(name, "who", "x")) == (None, False, False)

    def test_markers_are_found_by_the_beginning_of_the_name_alone(self, world):
        """LIKE takes "_" for anything; the rest is told apart here."""
        markers, stem = world.registry.markers, f"mlgate-lock-{uuid.uuid4().hex[:8]}"
        for name in (f"{stem}_a~2", f"{stem}xa~2", f"{stem}_a", f"{stem}_b~2"):
            assert markers.create(name, {})
        assert [marker.name for marker in markers.matching(f"{stem}_a~")] == [f"{stem}_a~2"]
        assert markers.find(f"{stem}-a~2") is None

    def test_a_missing_model_is_not_found(self, world):
        """In every question that names one."""
        for ask in (
            lambda: world.registry.resolve(ModelUri.parse("models:/nobody/1")),
            lambda: world.registry.resolve(ModelUri.parse("models:/nobody@champion")),
            lambda: world.registry.resolve(ModelUri.parse("models:/m-0123")),
            lambda: world.registry.resolve(ModelUri.parse("runs:/0123/model")),
            lambda: world.registry.aliases("nobody"),
            lambda: world.registry.aliases("models:/nobody"),  # no name to MLflow
            lambda: world.registry.versions("nobody"),
            lambda: world.registry.set_alias("nobody", "champion", "1"),
        ):
            with pytest.raises(ModelNotFound):
                ask()

    def test_versions_come_newest_first(self, world):
        """By number, and not as text."""
        for _ in range(11):
            world.add(world.name, world.fetched_from)
        assert list(world.registry.versions(world.name)) == [str(number) for number in range(11, 0, -1)]

    def test_an_alias_moves(self, world):
        """And reads back."""
        for _ in range(2):
            world.add(world.name, world.fetched_from)
        assert world.registry.aliases(world.name) == {}
        for number in ("1", "2"):
            world.registry.set_alias(world.name, "champion", number)
            assert world.registry.aliases(world.name) == {"champion": number}
        with pytest.raises(ModelNotFound):
            world.registry.set_alias(world.name, "champion", "9")

    def test_tags_and_description_read_back(self, world):
        """As they were written, and replaced."""
        version = world.registry.resolve(ModelUri.parse(world.add(world.name, world.fetched_from).uri))
        world.registry.set_tags(version, {"mlgate.suite.load": "passed", "mlgate.status": "passed"})
        world.registry.set_tags(version, {"mlgate.status": "failed"})
        assert world.registry.tags(version) == {"mlgate.suite.load": "passed", "mlgate.status": "failed"}
        assert world.registry.description(version) == ""
        text = tags.with_verdict_line("# mine\n", "passed 1/1 2026-11-23")
        world.registry.set_description(version, text)
        assert world.registry.description(version) == text
        assert world.registry.resolve(ModelUri.parse(version.uri)).description == text

    def test_what_is_not_registered_has_no_place_for_tags(self, world):
        """Directories write nothing."""
        version = world.registry.resolve(ModelUri.parse(str(world.fetched_from)))
        for write in (
            lambda: world.registry.set_tags(version, {"a": "b"}),
            lambda: world.registry.set_description(version, ""),
            lambda: world.registry.tags(version),
        ):
            with pytest.raises(UriError):
                write()

    def test_evidence_comes_back_byte_for_byte_newest_first(self, world, tmp_path):
        """Of this model only."""
        added = world.add(world.name, world.fetched_from)
        other = world.add(f"{world.name} b", world.fetched_from)
        first = world.publish(added, tmp_path / "1", evidence=b'{"n": 1}')
        second = world.publish(added, tmp_path / "2", evidence=b'{"n": "\xc3\xbc"}')
        world.publish(other, tmp_path / "3", evidence=b"{}")
        found = world.registry.evidence(world.name)
        assert [(one.run_id, one.raw) for one in found] == [(second, b'{"n": "\xc3\xbc"}'), (first, b'{"n": 1}')]
        assert [one.run_id for one in world.registry.evidence(world.name, limit=1)] == [second]
        assert [one.raw for one in world.registry.evidence(world.name, run_id=first, limit=1)] == [b'{"n": 1}']
        for nobodys in ("0" * 32, "it's"):
            assert list(world.registry.evidence(world.name, run_id=nobodys)) == []
        assert list(world.registry.evidence(f"{world.name} b", run_id=first)) == []

    def test_a_folder_in_the_place_of_a_file_keeps_nothing_else_from_being_read(self, world, tmp_path):
        """Whoever may log a run could put one there: of evidence, of its envelope, of a waiver."""
        added = world.add(world.name, world.fetched_from)
        good = world.publish(added, tmp_path / "good")
        for name, options in (("evidence.json", {"evidence": None}), ("evidence.dsse.json", {})):
            (tmp_path / name / name).mkdir(parents=True)
            (tmp_path / name / name / "x").write_text("x")
            world.publish(added, tmp_path / name, **options)
        found = world.registry.evidence(world.name)
        assert [(one.run_id == good, one.raw, one.envelope) for one in found] == [
            (False, b"{}", None),
            (True, b"{}", None),
        ]
        (tmp_path / "w" / WAIVER_FILE).mkdir(parents=True)
        (tmp_path / "w" / WAIVER_FILE / "x").write_text("x")
        run = GateRun(version=added, name="w", tags={}, metrics={}, folder=tmp_path / "w", shelf=WAIVERS)
        world.registry.publish(run)
        assert list(world.registry.waivers(world.name)) == []

    def test_whatever_ended_since_comes_back_however_much_lies_on_top_of_it(self, world, tmp_path):
        """A number alone would let whoever logs that many runs put everybody else's out of sight."""
        added = world.add(world.name, world.fetched_from)
        before = datetime.now(UTC) - timedelta(minutes=1)
        runs = [world.publish(added, tmp_path / str(n), evidence=b'{"n": %d}' % n) for n in range(3)]
        found = world.registry.evidence(world.name, since=before, limit=1)
        assert [one.run_id for one in found] == runs[::-1]
        late = world.registry.evidence(world.name, since=datetime.now(UTC) + timedelta(minutes=1), limit=1)
        assert [one.run_id for one in late] == runs[2:]
        assert [one.run_id for one in world.registry.evidence(world.name, run_id=runs[0], limit=1)] == runs[:1]
        for number in range(2):
            folder = tmp_path / f"w{number}"
            folder.mkdir()
            (folder / WAIVER_FILE).write_bytes(b"%d" % number)
            run = GateRun(version=added, name="w", tags={}, metrics={}, folder=folder, shelf=WAIVERS)
            world.registry.publish(run)
        waivers = world.registry.waivers(world.name, since=before, limit=1)
        assert [one.envelope for one in waivers] == [b"1", b"0"]
        assert [one.envelope for one in world.registry.waivers(world.name, limit=1)] == [b"1"]

    def test_the_envelope_comes_back_beside_the_evidence(self, world, tmp_path):
        """Byte for byte; `None` where a run has none."""
        added = world.add(world.name, world.fetched_from)
        world.publish(added, tmp_path / "1")
        (tmp_path / "2").mkdir()
        (tmp_path / "2/evidence.dsse.json").write_bytes(b'{"payload": "\xc3\xbc"}')
        world.publish(added, tmp_path / "2")
        found = [one.envelope for one in world.registry.evidence(world.name)]
        assert found == [b'{"payload": "\xc3\xbc"}', None]

    def test_waivers_come_back_byte_for_byte_and_are_no_evidence(self, world, tmp_path):
        """Newest first, beside the gate runs and not among them; what is too large is nothing that counts."""
        added = world.add(world.name, world.fetched_from)
        run_id = world.publish(added, tmp_path / "1")
        assert list(world.registry.waivers(world.name)) == []
        for content in (b'{"payload": "1"}', b'{"payload": "\xc3\xbc"}'):
            folder = tmp_path / content.hex()
            folder.mkdir()
            (folder / WAIVER_FILE).write_bytes(content)
            run = GateRun(version=added, name="w", tags={}, metrics={}, folder=folder, shelf=WAIVERS)
            world.registry.publish(run)
        found = [one.envelope for one in world.registry.waivers(world.name)]
        assert found == [b'{"payload": "\xc3\xbc"}', b'{"payload": "1"}']
        assert [one.run_id for one in world.registry.evidence(world.name)] == [run_id]

    def test_the_journal_comes_back_byte_for_byte_with_how_far_each_entry_came(self, world):
        """Newest first, open until it is settled; of this model only, and no evidence."""
        world.add(world.name, world.fetched_from)
        assert list(world.registry.events(world.name)) == []
        raws = [b'{"n":1}', '{"n":"ü"}'.encode(), b'{"n":3}']
        keys = [world.registry.open_event(world.name, raw) for raw in raws]
        world.registry.settle_event(keys[0], EventState.CLOSED)
        world.registry.settle_event(keys[1], EventState.ABANDONED)
        world.registry.settle_event(keys[0], EventState.CLOSED)
        found = {event.key: (event.raw, event.state) for event in world.registry.events(world.name)}
        assert found == {
            keys[0]: (raws[0], EventState.CLOSED),
            keys[1]: (raws[1], EventState.ABANDONED),
            keys[2]: (raws[2], EventState.OPEN),
        }
        assert list(world.registry.events(f"{world.name}x")) == []
        assert list(world.registry.evidence(world.name)) == []

    def test_the_newest_versions_come_with_their_tags_in_order(self, world):
        """By number and not by time or text; at most as many as asked for; a model that is not there is told."""
        added = [world.add(world.name, world.fetched_from) for _ in range(11)]
        world.registry.set_tags(added[1], {"mlgate.status": "passed"})
        found = world.registry.newest(world.name, 10)
        assert [number for number, _ in found] == [str(number) for number in range(11, 1, -1)]
        assert dict(found)["2"] == {"mlgate.status": "passed"}
        with pytest.raises(ModelNotFound):
            world.registry.newest(f"{world.name}x", 10)

    def test_evidence_is_narrowed_by_digest(self, world, tmp_path):
        """A hint for speed; an odd one finds nothing and breaks nothing."""
        added = world.add(world.name, world.fetched_from)
        run_id = world.publish(added, tmp_path / "1", digest="sha256:aa")
        world.publish(added, tmp_path / "2", digest="sha256:bb")
        assert [one.run_id for one in world.registry.evidence(world.name, artifact_digest="sha256:aa")] == [run_id]
        assert list(world.registry.evidence(world.name, artifact_digest="sha256:cc")) == []

    def test_what_was_judged_on_the_same_data_is_counted_once_each(self, world, tmp_path):
        """Of this model, by the data's digest; a run twice on one version is one."""
        added = world.add(world.name, world.fetched_from)
        other = world.add(f"{world.name} b", world.fetched_from)
        for number, (version, digest, data) in enumerate(
            [(added, "sha256:aa", "sha256:d"), (added, "sha256:aa", "sha256:d"), (added, "sha256:bb", "sha256:d"),
             (added, "sha256:cc", "sha256:e"), (other, "sha256:dd", "sha256:d")]
        ):  # fmt: skip
            world.publish(version, tmp_path / str(number), digest=digest, data=data)
        assert world.registry.challengers(world.name, "sha256:d") == {"sha256:aa", "sha256:bb"}
        assert world.registry.challengers(world.name, "it's") == frozenset()
        assert world.registry.challengers("never tested", "sha256:d") == frozenset()

    def test_a_run_without_evidence_is_not_evidence(self, world, tmp_path):
        """It was not ours, or somebody deleted the file."""
        added = world.add(world.name, world.fetched_from)
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "report.md").write_text("x")
        world.publish(added, tmp_path / "1", evidence=None)
        assert list(world.registry.evidence(world.name)) == []

    def test_one_file_of_a_run_can_be_read(self, world, tmp_path):
        """As the scores, from which a verdict is computed again."""
        added = world.add(world.name, world.fetched_from)
        (tmp_path / "1" / "accuracy").mkdir(parents=True)
        (tmp_path / "1" / "accuracy" / "scores.parquet").write_bytes(b"PAR1")
        run_id = world.publish(added, tmp_path / "1")
        assert world.registry.run_file(run_id, "accuracy/scores.parquet", tmp_path / "scores")
        assert (tmp_path / "scores").read_bytes() == b"PAR1"
        assert not world.registry.run_file(run_id, "accuracy/other.parquet", tmp_path / "other")
        assert not world.registry.run_file(run_id, "load/a.csv", tmp_path / "other")
        assert not (tmp_path / "other").exists()

    def test_a_model_that_was_never_tested_has_no_evidence(self, world):
        """Which is no error."""
        assert list(world.registry.evidence("never tested")) == []

    def test_capabilities_are_words(self, world):
        """For `mlgate doctor`."""
        found = world.registry.capabilities()
        assert found["server"]
        assert all(isinstance(value, str) for value in found.values())

    def test_many_publish_at_the_same_time(self, world, tmp_path):
        """Also the very first of a model, which make the experiment."""
        added = world.add(world.name, world.fetched_from)
        with ThreadPoolExecutor(6) as pool:
            ids = set(pool.map(lambda n: world.publish(added, tmp_path / str(n)), range(6)))
        assert {one.run_id for one in world.registry.evidence(world.name)} == ids
        assert len(ids) == 6


@pytest.fixture
def served(mlflow_server):
    return MlflowRegistry(mlflow_server.uri)


@pytest.fixture
def client(mlflow_server):
    from mlflow import MlflowClient

    return MlflowClient(mlflow_server.uri)


def fresh():
    return f"m{uuid.uuid4().hex[:10]}"


def gate_run(version, folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("evidence.json", "report.html", "failures/one.json", "load/a/b.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return GateRun(version=version, folder=folder, **{"name": "gate 1", "tags": {}, "metrics": {}, **changes})


def test_a_gate_run_is_a_whole_mlflow_run(served, client, mlflow_server, model, tmp_path):
    """Type, files, tags, metrics on the logged model, dataset, page."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    run = gate_run(
        version,
        tmp_path,
        tags={"mlgate.status": "passed", tags.NOTE: "**passed**"},
        metrics={"load.p99_latency": 41.2, "champion.load.p99_latency": 40.0},
        dataset={"name": "holdout", "digest": "sha256:" + "a" * 64, "source": "s3://u:p@b/x"},
    )
    run_id = served.publish(run)
    stored = client.get_run(run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "gate 1"
    assert client.get_experiment(stored.info.experiment_id).name == f"mlgate/{version.name}"
    assert stored.data.tags["mlflow.runType"] == "test"
    assert stored.data.tags["mlflow.note.content"] == "**passed**"
    assert stored.data.metrics == {"load.p99_latency": 41.2, "champion.load.p99_latency": 40.0}
    assert {metric.key for metric in client.get_logged_model(version.model_id).metrics} == set(run.metrics)
    assert [entry.model_id for entry in stored.inputs.model_inputs] == [version.model_id]
    assert [entry.dataset.name for entry in stored.inputs.dataset_inputs] == ["holdout"]
    assert "u:p" not in stored.inputs.dataset_inputs[0].dataset.source
    names = {
        entry.path
        for folder in ("mlgate", "mlgate/failures", "mlgate/load/a")
        for entry in client.list_artifacts(run_id, folder)
    }
    assert {"mlgate/evidence.json", "mlgate/report.html", "mlgate/failures/one.json", "mlgate/load/a/b.csv"} <= names
    page = f"{mlflow_server.uri}/#/experiments/{stored.info.experiment_id}/runs/{run_id}"
    assert served.run_url(run_id) == MlflowRegistry(mlflow_server.uri).run_url(run_id) == page


def test_nothing_is_printed_while_publishing(served, mlflow_server, model, tmp_path, capfd):
    """Standard output belongs to the machine-readable result, and MLflow prints the address, credentials and all."""
    served.publish(gate_run(add_to_mlflow(mlflow_server.uri, fresh(), model), tmp_path))
    printed = capfd.readouterr().out.splitlines()
    assert [line for line in printed if "gate 1" in line] == []


def test_a_large_run_is_stored(served, client, mlflow_server, model, tmp_path):
    """More tags and metrics than one call takes."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    run = gate_run(
        version, tmp_path, tags={f"t{n}": "x" for n in range(150)}, metrics={f"m{n}": float(n) for n in range(1100)}
    )
    stored = client.get_run(served.publish(run))
    assert len(stored.data.metrics) == 1100
    assert sum(key.startswith("t") for key in stored.data.tags) == 150


def test_evidence_pages(served, client, mlflow_server, model, tmp_path):
    """More finished runs than one page, most of which hold none."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    oldest = served.publish(gate_run(version, tmp_path))
    experiment_id = client.get_run(oldest).info.experiment_id
    for _ in range(105):
        client.set_terminated(client.create_run(experiment_id).info.run_id)
    assert [one.run_id for one in served.evidence(version.name, limit=500)] == [oldest]


KILLED = """
import os, sys
from pathlib import Path
from mlgate.model_version import ModelUri
from mlgate.registry.interface import GateRun
from mlgate.registry import mlflow_gate_run
from mlgate.registry.mlflow import MlflowRegistry
uri, name, folder, step = sys.argv[1:]
registry = MlflowRegistry(uri)
version = registry.resolve(ModelUri.parse(f"models:/{name}/1"))
import mlflow
def die(*a, **k): os._exit(9)
if step == "tags":
    mlflow_gate_run.log = die
elif step == "finish":
    mlflow.MlflowClient.set_terminated = die
else:
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository as Store
    real = Store.log_artifact
    def log(self, path, where=None):
        if path.endswith(step): os._exit(9)
        return real(self, path, where)
    Store.log_artifact = log
registry.publish(GateRun(version=version, name="k", tags={}, metrics={}, folder=Path(folder)))
"""


@pytest.mark.parametrize("step", ["report.html", "evidence.json", "tags", "finish"])
def test_a_run_that_was_killed_half_way_is_no_evidence(served, mlflow_server, model, tmp_path, step):
    """At any step: it stays "running" for ever, and the next run is not disturbed."""
    from mlflow import MlflowClient

    client = MlflowClient(mlflow_server.uri)
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    gate_run(version, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, mlflow_server.uri, version.name, str(tmp_path), step],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        timeout=120,
        capture_output=True,
    )
    assert done.returncode == 9, done.stderr
    experiment = client.get_experiment_by_name(f"mlgate/{version.name}")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["RUNNING"]
    assert list(served.evidence(version.name)) == []
    again = served.publish(gate_run(version, tmp_path))
    assert [one.run_id for one in served.evidence(version.name)] == [again]


def test_a_run_that_could_not_be_stored_is_failed_and_no_evidence(served, client, mlflow_server, model, tmp_path):
    """And the error names the registry in one line."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    with pytest.raises(RegistryError, match="publishing the gate run") as caught:
        served.publish(gate_run(version, tmp_path, metrics={"no/../metric": 1.0}))
    assert "\n" not in str(caught.value)
    experiment = client.get_experiment_by_name(f"mlgate/{version.name}")
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert list(served.evidence(version.name)) == []


def test_a_deleted_experiment_is_named_with_the_way_back(served, client, mlflow_server, model, tmp_path):
    """MLflow keeps its name taken."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    client.delete_experiment(client.create_experiment(f"mlgate/{version.name}"))
    with pytest.raises(RegistryError, match=r"is deleted.*experiments restore"):
        served.publish(gate_run(version, tmp_path))


@pytest.mark.parametrize("world", ["http", "postgres", "sqlite"], indirect=True)
def test_a_deleted_journal_does_not_look_like_none(world):
    """Over REST, and with MLflow's client: its runs are hidden with it, and no way back is not what there is then."""
    world.registry.open_event(world.name, b"{}")
    client = world.registry._client
    experiment = client.get_experiment_by_name(f"mlgate/{world.name}/journal").experiment_id
    client.delete_experiment(experiment)
    with pytest.raises(RegistryError, match=rf"is deleted.*experiments restore --experiment-id {experiment}"):
        world.registry.events(world.name)
    client.restore_experiment(experiment)
    assert [found.raw for found in world.registry.events(world.name)] == [b"{}"]


def test_a_model_logged_the_usual_way_is_found_by_every_uri(served, mlflow_server, tmp_path, monkeypatch):
    """`mlflow.pyfunc.log_model`, registered at once."""
    import mlflow

    class Same(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    # By the environment: what set_tracking_uri() sets can not be taken back, and MLflow's own store reads it, too.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    with mlflow.start_run() as run:
        name = fresh()
        info = mlflow.pyfunc.log_model(
            name="mine", python_model=Same(), registered_model_name=name, pip_requirements=["mlflow"]
        )
    texts = [f"models:/{name}/1", f"models:/{info.model_id}", f"runs:/{run.info.run_id}/mine"]
    found = [cache.fetch(served, served.resolve(ModelUri.parse(text)), tmp_path) for text in texts]
    assert len({directory.digest for directory in found}) == 1
    assert found[0].mlmodel.model_id == info.model_id
    with pytest.raises(ModelNotFound, match="it has: mine"):
        served.resolve(ModelUri.parse(f"runs:/{run.info.run_id}/other"))


def test_a_model_among_the_artifacts_of_a_run_is_found(served, client, model, tmp_path):
    """MLflow 2 logged them there."""
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(model), "old/model")
    version = served.resolve(ModelUri.parse(f"runs:/{run.info.run_id}/old/model"))
    assert version.model_id is None
    assert cache.fetch(served, version, tmp_path).digest == read_directory(model).digest


def test_a_version_whose_source_is_a_run_has_the_same_bytes(served, client, model, tmp_path):
    """Registered from `runs:/…`, as MLflow 2 did."""
    run, name = client.create_run("0"), fresh()
    client.log_artifacts(run.info.run_id, str(model), "model")
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
    with pytest.raises(ModelNotFound, match=f"{name} has version 1; aliases: none"):
        served.resolve(ModelUri.parse(f"models:/{name}/2"))
    version = served.resolve(ModelUri.parse(f"models:/{name}/1"))
    assert cache.fetch(served, version, tmp_path).digest == read_directory(model).digest


def test_a_misspelt_model_brings_the_right_name(served, mlflow_server, model):
    """The nearest ones."""
    name = fresh()
    add_to_mlflow(mlflow_server.uri, name, model)
    with pytest.raises(ModelNotFound, match=f"it has: {name}"):
        served.resolve(ModelUri.parse(f"models:/{name}x/1"))


def test_versions_deleted_behind_artifacts_are_not_found(served, mlflow_server, model, tmp_path):
    """`mlflow gc` may take the artifacts of a registered version."""
    import shutil

    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    found = served.resolve(ModelUri.parse(version.uri))
    shutil.rmtree(next(mlflow_server.artifacts.rglob(version.model_id)))
    with pytest.raises((ModelNotFound, RegistryError), match=version.uri):
        served.fetch(found, tmp_path)


def test_a_database_that_does_not_exist_is_not_made(tmp_path):
    """MLflow would create it and answer that there is no model."""
    for place in (tmp_path / "typo.db", tmp_path):
        registry = MlflowRegistry(f"sqlite:///{place}")
        with pytest.raises(RegistryError, match=r"there is no such database.*MLFLOW_TRACKING_URI"):
            registry.resolve(ModelUri.parse("models:/churn/1"))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_needs_no_registry(model):
    """Not even one that is up."""
    version = MlflowRegistry("http://127.0.0.1:9").resolve(ModelUri.parse(str(model)))
    assert version.location == str(model)


def test_a_run_of_a_plain_database_has_no_page(database):
    """Nothing serves it."""
    assert MlflowRegistry(database[0]).run_url("0123") is None


def test_the_users_settings_come_back(served, monkeypatch):
    """Retries are bounded while calling only."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    before = dict(os.environ)
    served.capabilities()
    assert dict(os.environ) == before


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that answers whatever the test says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        """Answer what the test says."""
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        status, kind, body, headers = self.server.answer(self)
        if status is None:
            self.server.stop.wait(60)
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def do_POST(self):
        """Answer the same."""
        self.do_GET()


@contextlib.contextmanager
def answering(answer):
    """Serve *answer*(handler) -> (status, content type, body, headers)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.stop, server.daemon_threads = answer, threading.Event(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()


def constant(status, kind="text/plain", body=b"", **headers):
    return lambda handler: (status, kind, body, {key.replace("_", "-"): value for key, value in headers.items()})


def refused(address, words, uri="models:/churn/1"):
    registry = MlflowRegistry(f"http://ann:s3cret@{address}")
    begun = time.monotonic()
    with pytest.raises(RegistryError, match=words) as caught:
        registry.resolve(ModelUri.parse(uri))
    assert time.monotonic() - begun < ANSWER_WITHIN_S
    told = str(caught.value)
    assert "\n" not in told
    assert f"http://{address}" in told
    assert "Hint: " in told
    assert "s3cret" not in told
    assert "s3cret" not in registry.uri
    return told


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (constant(500, "application/json", b'{"error_code": "INTERNAL_ERROR"}'), "answers HTTP 500"),
        (constant(503, "text/html", b"<html>busy</html>", Retry_After="3600"), "HTTP 503 with HTML"),
        (constant(200, "text/html", b"<!doctype html><title>Log in</title>"), "HTTP 200 with HTML, not as an MLflow"),
        (
            constant(200, "application/json", b'{"detail": 1, "model_versions": 3}'),
            "asked for churn, it answered about",
        ),
        (constant(200, "text/plain", b""), "HTTP 200 with text"),
        (constant(404, "application/json", b'{"detail": "Not Found"}'), "HTTP 404"),
        (constant(401, "text/plain", b"You are not authenticated."), "401.*MLFLOW_TRACKING_TOKEN"),
        (constant(None), "does not answer .timed out"),
    ],
    ids=["500", "503", "login page", "not MLflow", "empty", "another app", "401", "hangs"],
)
def test_a_server_that_is_not_mlflow_is_named_in_one_line(answer, words):
    """With what it answered, quickly, and without the password of its address."""
    with answering(answer) as address:
        refused(address, words)


def test_a_server_that_is_not_there_is_named_in_one_line():
    """A refused connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    refused(address, "does not answer .Connection refused")


def json_answer(value):
    return (200, "application/json", json.dumps(value).encode(), {})


def hostile(listing):
    """An MLflow server that knows one logged model, and lists its artifacts as *listing*(path) says."""

    def answer(handler):
        url = urlparse(handler.path)
        if url.path.endswith("/experiments/search"):
            return json_answer({})
        if "/logged-models/" in url.path:
            info = {"model_id": "m-1", "experiment_id": "0", "name": "x", "artifact_uri": "mlflow-artifacts:/m"}
            return json_answer(
                {"model": {"info": {**info, "creation_timestamp_ms": 1, "last_updated_timestamp_ms": 1}}}
            )
        if url.path.endswith("/mlflow-artifacts/artifacts"):
            return json_answer({"files": listing(parse_qs(url.query).get("path", [""])[0])})
        return (200, "application/octet-stream", b"evil", {})

    return answer


def file(path, size=4):
    return {"path": path, "is_dir": False, "file_size": size}


LISTINGS = pytest.mark.parametrize(
    "listing",
    [
        lambda path: [file("../outside")],
        lambda path: [file("/etc/cron.d/evil")],
        lambda path: [file("a/../../outside")],
        lambda path: [file("..%2foutside")],
        lambda path: [file("a\\..\\b")],
        lambda path: [file("a/b")],
        lambda path: [file("MLmodel"), file("MLmodel")],
        lambda path: [{"path": "again", "is_dir": True}],
        lambda path: [file(f"{n}.bin") for n in range(100_001)],
        lambda path: [{"path": ["MLmodel"], "is_dir": False}],
        lambda path: [file("MLmodel", 5)],
        lambda path: 3,
    ],
    ids=["up", "root", "inner up", "encoded", "backslash", "grandchild", "twice", "bottomless", "many", "type",
         "size", "no list"],
)  # fmt: skip


@LISTINGS
def test_a_store_that_lists_what_it_should_not_is_refused(listing, tmp_path):
    """Nothing is written outside the destination, and the line names the version."""
    with answering(hostile(listing)) as address:
        registry = MlflowRegistry(f"http://ann:s3cret@{address}")
        version = registry.resolve(ModelUri.parse("models:/m-1"))
        destination = tmp_path / "a" / "b"
        destination.mkdir(parents=True)
        with pytest.raises(RegistryError, match="models:/m-1") as caught:
            registry.fetch(version, destination)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and destination not in path.parents]
    assert outside == []


@LISTINGS
def test_such_a_store_has_no_digest_either(listing, tmp_path):
    """Nothing is written at all."""
    with answering(hostile(listing)) as address:
        registry = MlflowRegistry(f"http://ann:s3cret@{address}")
        version = registry.resolve(ModelUri.parse("models:/m-1"))
        with pytest.raises(RegistryError, match="models:/m-1") as caught:
            registry.digests(version, tmp_path)
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_wants_a_password_is_asked_with_it(monkeypatch):
    """In the address or in MLflow's variables; MLflow's client is not needed for it."""
    script = """if 1:
        import sys
        from mlgate.model_version import ModelUri
        from mlgate.registry.mlflow import MlflowRegistry
        print(MlflowRegistry(sys.argv[1]).resolve(ModelUri.parse("models:/m-1")).location, "mlflow" in sys.modules)
    """
    good = hostile(lambda path: [])

    def answer(handler):
        known = handler.headers.get("Authorization") == "Basic YW5uOnMzY3JldA=="
        return good(handler) if known else (401, "text/plain", b"who?", {})

    with answering(answer) as address:
        plain, named = f"http://{address}", f"http://ann:s3cret@{address}"
        login = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "s3cret"}
        for uri, extra in ((named, {}), (plain, login)):
            done = subprocess.run(
                [sys.executable, "-c", script, uri],
                env={**os.environ, **extra}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert done.stdout.split() == ["mlflow-artifacts:/m", "False"]


def test_the_hostile_server_would_be_believed_if_it_behaved(tmp_path):
    """Without this the test before it could not fail."""
    with answering(hostile(lambda path: [file("MLmodel")])) as address:
        registry = MlflowRegistry(f"http://{address}")
        registry.fetch(registry.resolve(ModelUri.parse("models:/m-1")), tmp_path)
    assert (tmp_path / "MLmodel").read_bytes() == b"evil"


def test_a_server_that_points_at_links_of_this_machine_is_refused(tmp_path, model, client, served):
    """A store on a shared disk is copied without following links."""
    import shutil

    shutil.copytree(model, tmp_path / "m")
    (tmp_path / "m" / "secret").symlink_to("/etc/hostname")
    version = ModelVersion(
        uri="models:/x/1", name="x", version="1", model_id=None, source_run_id=None, location=(tmp_path / "m").as_uri()
    )
    (tmp_path / "d").mkdir()
    with pytest.raises(Exception, match="symbolic link"):
        served.fetch(version, tmp_path / "d")


def test_a_missing_artifact_store_is_an_error_and_not_missing_evidence(served, client, mlflow_server, model, tmp_path):
    """Fail closed: older evidence must not stand in for newer that can not be read."""
    version = add_to_mlflow(mlflow_server.uri, fresh(), model)
    run_id = served.publish(gate_run(version, tmp_path))
    stored = next(path for path in mlflow_server.artifacts.rglob("evidence.json") if run_id in str(path))
    stored.chmod(0)
    moved = stored.with_name("evidence.json.d")
    stored.rename(moved)
    os.mkfifo(stored)  # listed as a file, and not readable as one
    with pytest.raises(RegistryError, match="reading the evidence"):
        served.evidence(version.name)
