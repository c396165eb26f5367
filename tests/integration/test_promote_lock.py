"""One promotion at a time: several processes, real servers, and a holder that is killed."""

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from mlgate.errors import LockedError
from mlgate.locking.epochs import epochs, first_name
from mlgate.locking.lock import lock_for
from mlgate.promotion.journal import read_journal
from mlgate.registry.mlflow import MlflowRegistry
from tests.mlflow_fixtures import running_server

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS, ROUNDS = 5, 10, 20
# The server is another process of this machine, and both are busy with the processes that wait for the moment.
HEAD_START_S = 0.05


class Contender:
    """A process of its own, with an mlflow that is imported already."""

    def __init__(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        environment |= {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "120",
            "PYTHONPATH": str(ROOT),
        }
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("lock_contender.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def tell(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def answer(self):
        return json.loads(self._process.stdout.readline())

    def kill(self):
        self._process.kill()
        self._process.wait(30)


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="module")
def contenders():
    """Five processes."""
    started = [Contender() for _ in range(PROCESSES)]
    assert [contender.answer() for contender in started] == ["ready"] * PROCESSES
    yield started
    for contender in started:
        contender.kill()


# MLflow looks a name that is taken up over a second connection while it keeps the first: with its 15, as many creations
# of one name wait for each other, and all fail after 30 s.
POOL = {"MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "60"}


@pytest.fixture(scope="module")
def over_sqlite(tmp_path_factory):
    """A server with SQLite."""
    with running_server(tmp_path_factory.mktemp("lock-sqlite"), **POOL) as server:
        yield server.uri


@pytest.fixture(scope="module")
def over_postgres(tmp_path_factory, postgres):
    """A server with PostgreSQL."""
    with running_server(tmp_path_factory.mktemp("lock-postgres"), store=postgres, **POOL) as server:
        yield server.uri


@pytest.fixture(params=["over_postgres", "over_sqlite", "no server"])
def uri(request, tmp_path, monkeypatch):
    """A registry behind a server with PostgreSQL, behind one with SQLite, and a SQLite file without a server."""
    if request.param != "no server":
        return request.getfixturevalue(request.param)
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)  # where MLflow's own store looks a logged model up
    MlflowClient(address).search_experiments()
    return address


@pytest.fixture
def name(uri):
    """A registered model with a version for each contender, and one more."""
    from mlflow import MlflowClient

    client, name = MlflowClient(uri), f"churn {uuid.uuid4().hex[:8]}"
    client.create_registered_model(name)
    run = client.create_run("0")
    logged = client.create_logged_model("0", name="model", source_run_id=run.info.run_id)
    for _ in range(PROCESSES * THREADS + 1):
        client.create_model_version(
            name, f"models:/{logged.model_id}", run.info.run_id, model_id=logged.model_id, await_creation_for=0
        )
    return name


def test_of_fifty_promotions_at_once_one_wins(uri, name, contenders, tmp_path):
    """Twenty rounds: the others exit 6, two are never in it at once, and the alias is where the winner put it."""
    registry, before = MlflowRegistry(uri), None
    for _ in range(ROUNDS):
        versions = [str(number) for number in range(1, PROCESSES * THREADS + 2) if str(number) != before]
        command = {"do": "contend", "uri": uri, "name": name, "before": before, "at": time.time() + HEAD_START_S}
        for number, contender in enumerate(contenders):
            own = versions[number * THREADS : (number + 1) * THREADS]
            contender.tell({**command, "versions": own, "witness": str(tmp_path / "inside")})
        answers = [answer for contender in contenders for answer in contender.answer()]
        assert not [said for _, code, said in answers if code not in (0, 6)]
        winners = [version for version, code, _ in answers if code == 0]
        assert len(winners) == 1
        before = registry.aliases(name).get("champion")
        assert before == winners[0]
    # Nothing torn: a move on record for each round, each after the one before, and nothing that is unexplained.
    journal = read_journal(name, registry.events(name))
    assert len(journal.done) == ROUNDS
    assert journal.anomalies(registry.aliases(name)) == ()
    # What the lock leaves: in the registry the first and the last of its epochs, and nothing where it is a file.
    left = [marker.name for marker in registry.markers.matching(first_name(name))]
    assert len(left) == (2 if registry.store_file is None else 0), left


def _top(registry, name):
    return epochs(name, registry.markers.matching(first_name(name)))[-1]


def test_a_killed_holder_blocks_until_its_expiry_and_no_longer(uri, name, tmp_path):
    """SIGKILL while it holds the lock: no attempt that begins later than the expiry fails."""
    contender, registry = Contender(), MlflowRegistry(uri)
    try:
        assert contender.answer() == "ready"
        registry.aliases(name)  # connected, so that the attempts below are quick
        contender.tell({"do": "hold", "uri": uri, "name": name, "expiry_s": 4.0, "witness": str(tmp_path / "inside")})
        assert contender.answer() == "held"
        by_server = registry.store_file is None
        top = _top(registry, name) if by_server else None
        with pytest.raises(LockedError, match="the doomed"), lock_for(registry, name):
            pass
    finally:
        contender.kill()
    if top is None:  # the kernel gives it back with the process
        with lock_for(registry, name) as held:
            held.check()
        return
    while True:
        began = time.time()
        try:
            with lock_for(registry, name) as held:
                held.check()
                assert _top(registry, name).created_at >= top.until
                return
        except LockedError:
            assert began < top.until
