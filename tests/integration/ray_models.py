"""A model server in this process, and rows for it: what the tests of the Ray engine ask."""

import json
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from mlgate.errors import FailureKind
from mlgate.evaluation.answer_columns import AnswerColumns, Classes
from mlgate.evaluation.metric_names import Need
from mlgate.evaluation.outputs import OutputMapping
from mlgate.evaluation.rows import EvaluationData
from mlgate.evaluation.sample import Sample
from mlgate.evidence import SandboxFacts
from mlgate.policy_accuracy import Accuracy
from mlgate.sandbox.interface import ServerFailure
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import Invocations

# (first feature of the request, the client's port); raises or blocks as a test likes.
Seen = Callable[[float, int], None]


class Model(ThreadingHTTPServer):
    """Answers a label and a score a row; the row whose first feature is *bad* has it answer 500."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *, bad: float = -1.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bad = bad
        self.requests: Counter[float] = Counter()
        self.asked = 0
        self.seen: Seen = lambda first, port: None
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong, but for what a test does on purpose."""
        if not isinstance(sys.exception(), ConnectionAbortedError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Model

    def do_POST(self) -> None:
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dataframe_split"]["data"]
        self.server.requests[rows[0][0]] += 1
        self.server.asked += 1
        self.server.seen(rows[0][0], self.client_address[1])
        bad = any(row[0] == self.server.bad for row in rows)
        # Logistic, with all digits, so that a number that is rounded on its way shows.
        scores = [1 / (1 + math.exp(-row[1])) for row in rows]
        body = json.dumps({"predictions": [{"label": int(score > 0.5), "p": score} for score in scores]}).encode()
        self.send_response(500 if bad else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


class StubServer:
    """The `ModelServer` of a `Model` that runs already."""

    protocol = Invocations()
    sandbox = SandboxFacts(kind="process", engine="", cpus=1.0, memory=2**20, network="host", host="here")

    def __init__(self, model: Model, others: list["StubServer"] | None = None) -> None:
        self.model, self.others, self.stopped = model, [] if others is None else others, False
        self.url = f"http://127.0.0.1:{model.server_address[1]}"

    def another(self) -> "StubServer":
        other = StubServer(Model(bad=self.model.bad))
        other.model.seen, other.model.requests = self.model.seen, self.model.requests
        self.others.append(other)
        return other

    def start(self) -> None: ...

    def restart(self) -> None: ...

    def stop(self) -> None:
        self.stopped = True
        self.model.shutdown()
        self.model.server_close()

    def failure(self) -> ServerFailure:
        return ServerFailure(kind=FailureKind.CONNECTION_LOST, message="lost", log="")


class Starts:
    """A `Replica`: a model of its own in the process of the worker that asks."""

    @contextmanager
    def serving(self) -> Iterator[ScoringClient]:
        yield client_of(Model())


def client_of(model: Model) -> ScoringClient:
    return ScoringClient(StubServer(model), timeout_s=20.0)


def rows(count: int) -> EvaluationData:
    """Rows whose first feature is the row number."""
    random = np.random.default_rng(7)
    features = zip(range(count), random.normal(size=count).tolist(), strict=True)
    batch = Batch(columns=("row", "x"), rows=tuple([float(number), x] for number, x in features))
    labels = random.integers(0, 2, count).tolist()
    return EvaluationData.of(
        source="rows", digest="sha256:0", features=batch, labels=labels, keys=[f"k{i}" for i in range(count)]
    )


def scored(
    score_data: Callable[..., Any], client: ScoringClient, data: EvaluationData, *, size: int, **options: Any
) -> Sample:
    """Return the answers as the suite reads them."""
    accuracy = Accuracy.model_validate({"prediction": "label", "score": "p"})
    mapping = OutputMapping.of(accuracy)
    columns = AnswerColumns(mapping, {Need.LABELS, Need.SCORE}, Classes.of(data.truth.found, mapping), len(data))
    facts = score_data(
        client,
        data.batches(max_rows=size, max_bytes=10**6),
        None,
        columns.take,
        name_row=lambda row: f"row {row} (key {data.keys[row]})",
        **options,
    )
    assert facts.rows == len(data)
    assert not columns.problems
    return columns.sample(data.truth.codes_in(("0", "1")))


def equal(one: Sample, other: Sample) -> bool:
    """Whether all arrays are the same, bit by bit."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("truth", "labels", "score")]
    return all(left.dtype == right.dtype and left.tobytes() == right.tobytes() for left, right in pairs)


def wait_until(true: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.05)
