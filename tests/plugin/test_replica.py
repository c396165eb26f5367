"""The version under test on another machine: fetched there, and compared by its digest."""

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlgate.errors import FailureKind, ModelDirectoryError, ServerError
from mlgate.model_version import ModelVersion
from mlgate.policy import Policy
from pytest_mlgate import replica as replica_module
from pytest_mlgate import wiring
from pytest_mlgate.replica import FetchedReplica

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def events(monkeypatch, tmp_path):
    """What the wiring is asked, in order, and the server that it makes."""
    said = []
    server = SimpleNamespace(start=lambda: said.append("start"), stop=lambda: said.append("stop"))

    def make(directory, policy, *, sandbox, session, tell, scratch):
        said.append(f"make {sandbox} {scratch.is_dir()}")
        server.scratch = scratch
        return server

    def guard(tag, *, sandbox):
        home = tmp_path / "mlgate-home"
        home.mkdir()
        return home, lambda: said.append("guard ends")

    monkeypatch.setattr(replica_module, "fetch", lambda registry, version: SimpleNamespace(digest=DIGEST))
    monkeypatch.setattr(wiring, "open_registry", lambda: None)
    monkeypatch.setattr(wiring, "guard", guard)
    monkeypatch.setattr(wiring, "make_server", make)
    monkeypatch.setattr(
        wiring, "client_for", lambda server, policy: SimpleNamespace(close=lambda: said.append("close"))
    )
    return SimpleNamespace(said=said, server=server)


def a_replica(digest: str = DIGEST) -> FetchedReplica:
    version = ModelVersion(
        uri="models:/churn/7", name="churn", version="7", model_id=None, source_run_id=None, location="s3://models/7"
    )
    return FetchedReplica(version=version, digest=digest, policy=Policy(), sandbox="process")


def test_a_replica_travels():
    """Ray pickles it."""
    assert pickle.loads(pickle.dumps(a_replica())) == a_replica()


def test_a_replica_serves_for_the_length_of_the_block_and_leaves_nothing(events):
    """Its folder and its guard end with it."""
    with a_replica().serving():
        assert events.said == ["make process True", "start"]
    assert events.said[2:] == ["close", "stop", "guard ends"]
    assert not Path(events.server.scratch).exists()


def test_other_bytes_are_refused_before_anything_starts(events):
    """A registry that is asked from another machine may have another answer."""
    with (
        pytest.raises(ModelDirectoryError, match="models:/churn/7: artifacts sha256:a"),
        a_replica("sha256:b").serving(),
    ):
        pass
    assert events.said == []


def test_a_server_that_does_not_start_leaves_nothing(events):
    """Nobody else knows of it."""

    def fail():
        raise ServerError("not ready", kind=FailureKind.GONE)

    events.server.start = fail
    with pytest.raises(ServerError), a_replica().serving():
        pass
    assert events.said == ["make process True", "stop", "guard ends"]
    assert not Path(events.server.scratch).exists()
