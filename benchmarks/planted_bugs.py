"""An endpoint of 20 mixed columns with five bugs, one at each address: `/<bug>/invocations`; at `/none` there is none.

It answers as MLflow's server does, 5 ms after the request is read, on a thread a connection. A prediction that hangs keeps its
thread and nobody else's. `python planted_bugs.py` prints its port and serves; `GET /<bug>/rows` says what came since
it was last asked: rows, requests, and seconds from the first request to the last answer.
"""

import json
import math
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mlgate.artifacts.signature import Column, ColumnSchema, DataType
from mlgate.policy_properties import InputRule

SERVICE_S = 0.005
HANG_S = 60
LARGEST_INT32 = 2**31 - 1
PLANS = ("free", "basic", "pro", "team", "business", "enterprise", "student", "partner", "trial", "legacy-2019")
COUNTRIES = ("AT", "BR", "CA", "DE", "FR", "GB", "IN", "JP", "NG", "US")
DAYS = InputRule(after="2015-01-01", before="2030-12-31")
# Name, type, what the policy says of it.
COLUMNS = (
    ("age", DataType.LONG, InputRule(min=0, max=120)),
    ("tenure", DataType.DOUBLE, InputRule(min=0, max=50)),
    ("ratio", DataType.DOUBLE, InputRule(min=0, max=1)),
    ("clicks", DataType.LONG, InputRule(min=0, max=2**31)),
    ("plan", DataType.STRING, InputRule(values=PLANS)),
    ("note", DataType.STRING, InputRule(max_length=200)),
    ("price", DataType.DOUBLE, InputRule(min=0, max=10_000)),
    ("visits", DataType.INTEGER, InputRule(min=0, max=1000)),
    ("active", DataType.BOOLEAN, None),
    ("signup", DataType.DATETIME, DAYS),
    ("country", DataType.STRING, InputRule(values=COUNTRIES)),
    ("comment", DataType.STRING, InputRule(min_length=1, max_length=40)),
    ("discount", DataType.FLOAT, InputRule(min=0, max=100)),
    ("balance", DataType.LONG, InputRule(min=-1_000_000, max=1_000_000)),
    ("latitude", DataType.DOUBLE, InputRule(min=-90, max=90)),
    ("longitude", DataType.DOUBLE, InputRule(min=-180, max=180)),
    ("credit", DataType.INTEGER, InputRule(min=300, max=850)),
    ("renewals", DataType.INTEGER, InputRule(min=0, max=20)),
    ("opted_in", DataType.BOOLEAN, None),
    ("last_seen", DataType.DATETIME, DAYS),
)
NAMES = tuple(name for name, _, _ in COLUMNS)
INPUTS = ColumnSchema(tuple(Column(name, kind, required=True) for name, kind, _ in COLUMNS))
OUTPUTS = ColumnSchema((Column(None, DataType.DOUBLE, required=True),))
RULES = {name: rule for name, _, rule in COLUMNS if rule is not None}


def plain(row: dict) -> float:
    """Return the score of one row where nothing is wrong."""
    late = row["last_seen"] >= "2025"
    total = row["age"] / 120 + row["tenure"] / 50 + row["ratio"] + row["credit"] / 850 + row["active"] + late
    return 1 / (1 + math.exp(3 - total))


def crash(row: dict) -> float:
    """One category was never in the encoder."""
    if row["plan"] == "legacy-2019":
        raise KeyError(row["plan"])
    return plain(row)


def nan(row: dict) -> float:
    """The logarithm of what is left of a share: nothing, at its upper end."""
    return plain(row) + (math.log1p(-row["ratio"]) * 0 if row["ratio"] < 1 else math.nan)


def hang(row: dict) -> float:
    """Waits for the first word of a text that has none."""
    if not row["note"]:
        time.sleep(HANG_S)
    return plain(row)


def overflow(row: dict) -> float:
    """A counter kept in 32 bits; the declared domain ends one above."""
    if row["clicks"] > LARGEST_INT32:
        raise OverflowError("Python int too large to convert to C int")
    return plain(row)


def each(score):
    """Return a model that scores row by row."""
    return lambda rows: [score(row) for row in rows]


def sorted_rows(rows: list) -> list:
    """Sorts by age, as one does for a cumulative sum, and forgets to sort back."""
    return [plain(row) for row in sorted(rows, key=lambda row: row["age"])]


MODELS = {
    "none": each(plain),
    "crash": each(crash),
    "nan": each(nan),
    "order": sorted_rows,
    "hang": each(hang),
    "overflow": each(overflow),
}


@dataclass
class Traffic:
    """What came to one address."""

    rows: int = 0
    requests: int = 0
    began: float = 0
    ended: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


TRAFFIC = {name: Traffic() for name in MODELS}


class Handler(BaseHTTPRequestHandler):
    """`POST /<bug>/invocations`, `GET /<bug>/rows`."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one segment
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Say what came since the last time."""
        bug = self.path.split("/")[1]
        traffic, TRAFFIC[bug] = TRAFFIC[bug], Traffic()
        self._answer(
            200, {"rows": traffic.rows, "requests": traffic.requests, "seconds": traffic.ended - traffic.began}
        )

    def do_POST(self) -> None:
        """Predict."""
        arrived = time.monotonic()
        bug = self.path.split("/")[1]
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            rows = read_rows(json.loads(raw))
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error_code": "BAD_REQUEST", "message": str(error)})
            return
        time.sleep(SERVICE_S)
        try:
            status, body = 200, {"predictions": MODELS[bug](rows)}
        except (KeyError, OverflowError) as error:
            trace = f"Traceback (most recent call last):\n{type(error).__name__}: {error}"
            status, body = 400, {"error_code": "BAD_REQUEST", "message": "predict raised", "stack_trace": trace}
        self._answer(status, body)
        traffic = TRAFFIC[bug]
        with traffic.lock:
            traffic.rows, traffic.requests = traffic.rows + len(rows), traffic.requests + 1
            traffic.began, traffic.ended = traffic.began or arrived, time.monotonic()

    def _answer(self, status: int, document: dict) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def read_rows(document: dict) -> list[dict]:
    """Return the rows of a request, in either of the two encodings, each with all its columns."""
    if "dataframe_split" in document:
        split = document["dataframe_split"]
        rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    else:
        rows = document["dataframe_records"]
    for row in rows:
        if row.keys() != set(NAMES):
            raise ValueError(f"columns are {sorted(row)}")
    return rows


class Server(ThreadingHTTPServer):
    """Threads that hang do not hold its end up, and a client that leaves is no news."""

    daemon_threads = True

    def handle_error(self, request: socket.socket, client_address: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
