"""The run's side of the Ray engine, with a driver that is played by a list of messages or by a small process."""

import json
import os
import pickle
import subprocess
import sys
import time
from contextlib import ExitStack
from multiprocessing.connection import Pipe
from types import SimpleNamespace

import pytest

from mlgate.errors import ConfigError, EngineError
from mlgate.evaluation.engines import ray as ray_engine
from mlgate.evaluation.engines import ray_driver, ray_guard, ray_process
from mlgate.evaluation.engines.interface import GROUP, find_engine
from mlgate.evaluation.engines.local import LOCAL
from mlgate.evaluation.engines.ray import RayEngine
from mlgate.evaluation.engines.ray_messages import Answered, Finished, Opened
from mlgate.evaluation.engines.ray_worker import Addresses, OwnServer, pack
from mlgate.evaluation.scoring import NotScored, Progress
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations

SIZE = 3


def batches(count):
    """Requests of three rows, numbered on."""
    return [Batch(columns=("a",), rows=tuple([float(SIZE * n + row)] for row in range(SIZE))) for n in range(count)]


def answered(number, **what):
    """What a worker answers: twice each row's value."""
    if not what:
        what = {"rows": pickle.dumps([2 * row[0] for row in batches(number + 1)[-1].rows])}
    return Answered(number=number, **what)


class Server:
    """One that is said to use so much, and to run."""

    protocol = Invocations()
    url = "http://127.0.0.1:1"

    def __init__(self, *, cpus=1.0, memory=2**20):
        self.sandbox = SimpleNamespace(cpus=cpus, memory=memory)
        self.others, self.events = [], []

    def another(self):
        self.others.append(Server())
        return self.others[-1]

    def start(self):
        self.events.append("start")

    def stop(self):
        self.events.append("stop")


class Client:
    """The run's own: answers twice each value, and 500 for one of them."""

    timeout_s = 1.0

    def __init__(self, server=None, *, bad=None):
        self.server, self.bad, self.asked = server or Server(), bad, []
        self.protocol = self.server.protocol

    def score(self, batch):
        self.asked.append(batch)
        values = [row[0] for row in batch.rows]
        status = 500 if self.bad in values else 200
        body = json.dumps({"predictions": [2 * value for value in values]}).encode()
        return Answer(status=status, content_type="application/json", body=body, elapsed_s=0.0)


class Driver:
    """A process that says what a test has it say."""

    def __init__(self, said, cpus):
        self.said, self.got = list(said), []
        self.opened = Opened(here="here", cpus=cpus)

    def send(self, message):
        self.got.append(message)

    def receive(self, *, timeout_s):
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def score(monkeypatch):
    """Return a function that scores with a driver of so many words; it returns what was taken, facts, and the driver."""
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def run(said, *, count=3, client=None, replica=None, cpus=None, progress=None):
        driver, taken = Driver(said, {"here": 2} if cpus is None else cpus), []
        with RayEngine() as engine:
            engine._process = driver
            facts = engine.score_data(
                client or Client(), batches(count), None, taken.extend, name_row=lambda row: f"row {row}",
                progress=progress, replica=replica,
            )  # fmt: skip
        return taken, facts, driver

    return run


def test_answers_are_taken_in_the_rows_order_and_told_of(score):
    """Progress and facts are those of all rows."""
    told = []
    progress = Progress(what="scoring", total=9, tell=told.append, clock=iter(range(0, 100, 11)).__next__)
    taken, facts, driver = score([*map(answered, range(3)), Finished()], progress=progress)
    assert taken == [2.0 * row for row in range(9)]
    assert (facts.rows, facts.requests, facts.failed) == (9, 3, 0)
    assert [line.partition(",")[0] for line in told] == ["scoring: 6 of 9 rows", "scoring: 9 of 9 rows"]
    assert driver.got[1:] == [[pack(batch)] for batch in batches(3)] + [None]


def test_what_a_worker_could_not_answer_is_asked_of_the_runs_own_server(score):
    """In its place, and counted as a request that failed."""
    client = Client()
    asked_again = answered(1, batch=pack(batches(2)[1]))
    taken, facts, _ = score([answered(0), asked_again, answered(2), Finished()], client=client)
    assert taken == [2.0 * row for row in range(9)]
    assert client.asked == [batches(2)[1]]
    assert (facts.requests, facts.failed) == (4, 1)


def test_a_row_at_fault_has_its_own_number(score):
    """And not its place in the request."""
    with pytest.raises(NotScored, match=r"^row 4: answered 500"):
        score([answered(0), answered(1, batch=pack(batches(2)[1]))], client=Client(bad=4.0))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([answered(0), Finished()], r"^Ray ended before all were answered: no answers from row 3 on, 6 of 9 rows"),
        ([answered(0), answered(2)], r"^Ray answers request 2 in the place of 1: no answers from row 3 on"),
        ([answered(0), answered(1, given_up="4 workers died")], r"^4 workers died: no answers from row 3 on"),
        ([EngineError("Ray gives no sign", hint="busy?")], r"^Ray gives no sign: no answers from row 0 on, 9 of 9 rows\. Hint: busy\?"),
    ],
)  # fmt: skip
def test_rows_without_an_answer_are_an_error_that_names_them(score, said, wanted):
    """Dropping them would compare the models on the rest."""
    with pytest.raises(EngineError, match=wanted):
        score(said)


class Nowhere:
    """A replica that no test serves."""


@pytest.mark.parametrize(
    ("cpus", "replica", "own", "workers", "each"),
    [
        ({"here": 4}, None, 1.0, 4, 1),
        ({"here": 4}, Nowhere(), 1.0, 4, 1),  # the cluster is this machine
        ({"here": 4}, None, 1.5, 2, 2),  # a server of a processor and a half takes two
        ({"here": 2}, None, 8.0, 1, 2),  # more than there is: one worker all the same
        ({"here": 4, "there": 8}, None, 1.0, 4, 1),
        ({"here": 4, "there": 8}, Nowhere(), 1.0, 12, 1),
        ({"here": 0, "there": 8, "far": 3}, Nowhere(), 2.0, 5, 2),
    ],
)  # fmt: skip
def test_workers_are_as_many_as_processors_allow(score, cpus, replica, own, workers, each):
    """On this machine they ask servers that the run starts; on others each starts its own."""
    server = Server(cpus=own)
    _, _, driver = score([Finished()], count=0, client=Client(server), replica=replica, cpus=cpus)
    crew = driver.got[0]
    assert (crew.size, crew.cpus) == (workers, each)
    if replica is not None and set(cpus) != {"here"}:
        assert crew.servers == OwnServer(replica=replica)
        assert (crew.node, server.others) == ("", [])
    else:
        assert isinstance(crew.servers, Addresses)
        assert len(crew.servers.urls) == workers
        assert crew.node == "here"
        assert [other.events for other in server.others] == [["start", "stop"]] * (workers - 1)


def test_servers_on_this_machine_are_no_more_than_its_memory_holds(score):
    """Each has its limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    client = Client(Server(memory=memory // 2 - 1))
    _, _, driver = score([Finished()], count=0, client=client, cpus={"here": 64})
    assert driver.got[0].size == 2


def test_a_cluster_without_a_processor_for_it_is_one_line(score):
    """And nothing waits for one."""
    with pytest.raises(EngineError, match="no machine of the Ray cluster has a processor"):
        score([], cpus={"here": 0, "there": 8})


# The process


@pytest.fixture
def small(tmp_path):
    """Return a function that gives a driver which runs the given lines with `pipe`."""
    with ExitStack() as stack:

        def make(lines):
            ours, theirs = Pipe()
            start = f"from multiprocessing.connection import Connection\npipe = Connection({theirs.fileno()})\n"
            log = tmp_path / "log"
            with log.open("wb") as said:
                process = subprocess.Popen(
                    [sys.executable, "-c", start + lines], pass_fds=[theirs.fileno()], stdout=said, stderr=said
                )
            theirs.close()
            driver = ray_process.RayProcess(process, ours, log, "mark")
            stack.callback(driver.close)
            return driver

        yield make


FAILED = "from mlgate.evaluation.engines.ray_messages import Failed\n"


def test_a_driver_that_fails_says_so_in_one_line(small):
    """Its words and its hint, whether it is listened to or spoken to."""
    driver = small(f"{FAILED}pipe.send(Failed(text='no room', hint='make some'))\npipe.recv()\n")
    with pytest.raises(EngineError, match=r"^no room\. Hint: make some$"):
        driver.receive(timeout_s=20)
    driver = small(f"{FAILED}pipe.send(Failed(text='no room', hint='make some'))\n")
    driver._process.wait(20)
    with pytest.raises(EngineError, match=r"^no room\. Hint: make some$"):
        driver.send(None)


def test_a_driver_that_ends_without_a_word_has_its_last_lines_told(small):
    """Ray ends a driver whose cluster is lost."""
    driver = small("import sys\nprint('the cluster  is lost')\nsys.exit(7)")
    with pytest.raises(EngineError, match=r"has ended with status 7\. Hint: it said: the cluster is lost$"):
        driver.receive(timeout_s=20)
    with pytest.raises(EngineError, match="status 7"):
        driver.send(None)


def test_a_driver_that_gives_no_sign_is_not_waited_for(small):
    """There is no "wait for ever"."""
    driver = small("pipe.recv()")
    with pytest.raises(EngineError, match="no sign for 0 s"):
        driver.receive(timeout_s=0.1)


def test_a_cluster_of_ones_own_is_shut_to_others_and_one_that_is_joined_keeps_its_rules(monkeypatch):
    """Loopback and a token that nobody knows; and nothing of it is in this process."""
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:1")
    before = dict(os.environ)
    own, joined = ray_process.environment("m", own=True), ray_process.environment("m", own=False)
    assert os.environ == before
    assert "RAY_ADDRESS" not in own
    assert own["RAY_USAGE_STATS_ENABLED"] == "0"
    assert own["RAY_AUTH_MODE"] == "token"
    assert own["RAY_AUTH_TOKEN"] != ray_process.environment("m", own=True)["RAY_AUTH_TOKEN"]
    assert joined["RAY_ADDRESS"] == "somewhere:1"
    assert "RAY_AUTH_TOKEN" not in joined


def test_rays_client_protocol_is_refused_before_anything_is_started(monkeypatch):
    """By whoever names the engine."""
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with pytest.raises(ConfigError, match=r"RAY_ADDRESS ray://.*needs a node of the cluster"):
        find_engine("ray")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "127.0.0.1:99999"])
def test_an_address_of_nobody_is_found_out_at_once(address):
    """Ray would try for minutes."""
    with pytest.raises(EngineError, match=r"no Ray cluster at .*RAY_ADDRESS"):
        ray_driver._check_port(address)


def test_the_guard_ends_what_bears_the_mark_and_nothing_else(tmp_path):
    """Also a process that was started by one of them; the folder goes, too."""
    mark = os.urandom(8).hex()
    home = tmp_path / f"{ray_guard.TMP_PREFIX}1"
    home.mkdir()
    (home / "file").touch()
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    stranger = subprocess.Popen(sleep)
    with ray_guard.guard(mark, home):
        marked = [subprocess.Popen(sleep, env={**os.environ, ray_guard.MARK: mark}) for _ in range(2)]
        deadline = time.monotonic() + 10
        while set(ray_guard.marked(mark)) != {process.pid for process in marked}:
            assert time.monotonic() < deadline
    assert [process.wait(10) for process in marked] == [-9, -9]
    assert stranger.poll() is None
    assert not home.exists()
    stranger.kill()
    stranger.wait()


def test_an_engine_that_can_not_be_loaded_is_one_line(monkeypatch):
    """A stranger's package may be broken; and one that is not there is not looked for elsewhere."""
    from importlib.metadata import EntryPoint

    points = [EntryPoint("dask", "no_such_package:Engine", GROUP), EntryPoint("local", "mlgate.evaluation.engines.local:LocalEngine", GROUP)]  # fmt: skip
    monkeypatch.setattr("mlgate.evaluation.engines.interface.entry_points", lambda group: points)
    with pytest.raises(ConfigError, match=r"^accuracy.engine: dask can not be loaded \(No module named"):
        find_engine("dask")
    assert find_engine("local").name == LOCAL.name == "local"
    with pytest.raises(ConfigError, match=r"there is no 'spark'\. Hint: engines: dask, local$"):
        find_engine("spark")
