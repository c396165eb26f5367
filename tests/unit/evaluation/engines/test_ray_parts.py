"""The Ray engine's parts that need no Ray: the worker, and what travels."""

import importlib.util
import pickle
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.errors import ConfigError, FailureKind, ServerError
from mlgate.evaluation.engines.interface import find_engine
from mlgate.evaluation.engines.ray import MOST_REQUESTS, partitions
from mlgate.evaluation.engines.ray_worker import (
    MOST_RETRIES,
    Addresses,
    Beginnings,
    OwnServer,
    Worker,
    answer_table,
    pack,
    request_table,
    unpack,
)
from mlgate.scoring.answers import Answer
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations


def batch(number: int) -> Batch:
    return Batch(columns=("a",), rows=([float(number)], [None]))


class Client:
    """Answers all but one batch."""

    def __init__(self, name: str) -> None:
        self.name, self.asked = name, []

    def score(self, asked: Batch) -> Answer:
        self.asked.append(asked)
        if asked.rows[0][0] == 2.0:
            raise ServerError("gone", kind=FailureKind.GONE)
        body = f'{{"predictions": [1, {asked.rows[0][0]}]}}'.encode()
        return Answer(status=200, content_type="application/json", body=body, elapsed_s=0.5)


class Servers:
    """What a worker gets to ask."""

    def __init__(self, *names: str) -> None:
        self.made = [Client(name) for name in names]
        self.closed = False

    def clients(self, stack: ExitStack) -> list[Client]:
        stack.callback(lambda: setattr(self, "closed", True))
        return self.made


def version() -> str:
    import mlgate

    return mlgate.__version__


def once(partition: int) -> int:
    return 1


def test_without_ray_the_engine_is_one_line_that_says_what_to_install(monkeypatch):
    """Before anything is started."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^accuracy.engine: ray needs Ray, .* Hint: pip install 'mlgate\[ray\]'$"):
        find_engine("ray")


def test_naming_the_engine_does_not_import_ray():
    """Whoever scores here pays nothing for it; and Ray takes seconds."""
    script = "from mlgate.evaluation.engines.interface import find_engine\nimport sys\nfind_engine('local'); a = 'ray' in sys.modules\nfind_engine('ray'); print(a, 'ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.parametrize(("count", "workers"), [(0, 1), (1, 4), (13, 4), (1_000, 3)])
def test_partitions_hold_every_batch_once_and_in_order(count, workers):
    """Whatever the number of workers."""
    parts = list(partitions(map(batch, range(count)), workers))
    assert [found for part in parts for found in part] == [batch(number) for number in range(count)]
    assert max(map(len, parts), default=0) <= MOST_REQUESTS


def test_few_rows_keep_all_workers_busy():
    """The first partitions are single requests."""
    assert [len(part) for part in partitions(map(batch, range(16)), 4)] == [1] * 16


@pytest.mark.parametrize(
    "travels",
    [
        batch(1),
        Batch(columns=None, rows=({"x": [[1, 2.5]], "y": "ü\ud800"},)),
        Batch(columns=(0, 1), rows=([2**62, -0.0], [5e-324, True])),
    ],
)
def test_a_batch_arrives_as_it_was_sent(travels):
    """Every value with its type and its last bit."""
    arrived = unpack(pack(travels))
    assert repr(arrived) == repr(travels)


def read(table):
    """Return number, answers and reason of each request."""
    return [
        (row["number"], None if row["rows"] is None else pickle.loads(row["rows"]), row["given_up"])
        for row in table.to_pylist()
    ]


def test_a_worker_hands_back_answers_in_order_and_says_which_it_has_not():
    """A server that is gone is the run's to look at."""
    servers = Servers("one", "two")
    worker = Worker(servers, None, version(), once)
    found = read(worker(request_table(3, 10, [pack(batch(number)) for number in (1, 2, 3)])))
    assert found == [(10, [1, 1.0], ""), (11, None, ""), (12, [1, 3.0], "")]
    assert servers.made[1].asked == [batch(1), batch(2), batch(3)]
    assert servers.made[0].asked == []


def test_answers_against_the_output_signature_are_none():
    """Nor are too few of them: which row is at fault is for the run's own server to say."""
    outputs = ColumnSchema((Column("y", DataType.STRING, True),))
    assert read(Worker(Servers("one"), outputs, version(), once)(request_table(0, 0, [pack(batch(1))]))) == [
        (0, None, "")
    ]
    one_row = Batch(columns=("a",), rows=([1.0],))
    assert read(Worker(Servers("one"), None, version(), once)(request_table(0, 0, [pack(one_row)]))) == [(0, None, "")]


def test_answers_arrive_with_every_bit():
    """Also what is no text, and none at all."""
    rows = [5e-324, -0.0, {"p": 0.1 + 0.2, "label": "ü\ud800"}, [None, True]]
    ((number, found, given_up),) = read(answer_table([(7, rows, "")]))
    assert (number, repr(found), given_up) == (7, repr(rows), "")
    assert read(answer_table([(7, None, "why")])) == [(7, None, "why")]


def test_what_a_worker_started_ends_with_it():
    """Ray drops the object and calls nothing."""
    servers = Servers("one")
    worker = Worker(servers, None, version(), once)
    del worker
    assert servers.closed


def problems(worker: Worker) -> list[str]:
    return [given_up for *_, given_up in read(worker(request_table(7, 0, [pack(batch(1)), pack(batch(3))])))]


def test_a_worker_of_another_version_answers_nothing():
    """Its rules may be others."""
    servers = Servers("one")
    (said, again) = problems(Worker(servers, None, "0.0.9", once))
    assert said == again == f"a Ray worker has mlgate {version()}, and this run is of 0.0.9"
    assert servers.made[0].asked == []


def test_a_worker_that_can_not_serve_the_model_says_why():
    """In one line."""

    class Broken:
        @contextmanager
        def serving(self):
            raise ServerError("no engine here", kind=FailureKind.GONE, hint="start one")
            yield

    said = problems(Worker(OwnServer(replica=Broken()), None, version(), once))
    assert said == ["a Ray worker can not serve the model: no engine here. Hint: start one"] * 2


def test_a_server_that_belongs_to_the_run_is_asked_and_never_restarted():
    """A worker finds it gone at once, without a search for reasons, and asks it again for the next batch."""
    servers = Addresses(urls=("http://127.0.0.1:9",), protocol=Invocations(), timeout_s=1.0)
    with ExitStack() as stack:
        (client,) = servers.clients(stack)
        assert [client.score(batch(1)).problem for _ in range(2)] == ["connection", "connection"]


def test_a_partition_that_kills_its_workers_is_given_up():
    """What is counted outlives them; other partitions go on."""
    counts = Beginnings()

    def begin(partition):
        return counts.begin(0, partition)

    for _ in range(1 + MOST_RETRIES):
        assert problems(Worker(Servers("one"), None, version(), begin)) == ["", ""]
    worker = Worker(Servers("one"), None, version(), begin)
    assert problems(worker) == ["4 Ray workers died over these rows"] * 2
    assert read(worker(request_table(8, 1, [pack(batch(1))]))) == [(1, [1, 1.0], "")]
    assert counts.begin(1, 7) == 1, "another model begins anew"
