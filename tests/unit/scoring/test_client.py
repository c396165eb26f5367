"""The client, against a real HTTP server that misbehaves."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mlgate.errors import FailureKind, ServerError
from mlgate.sandbox.interface import ServerFailure
from mlgate.scoring import client as client_module
from mlgate.scoring import trouble
from mlgate.scoring.answers import NotAPrediction
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import JSON_TYPE, Batch
from mlgate.scoring.protocols import Invocations

# Long for a loopback answer, short for a test that waits it out.
TIMEOUT_S = 0.3
GOOD = b'{"predictions": [1]}'


class Misbehaving:
    """A `ModelServer` in a thread: each request is answered by what *behave* does with the handler."""

    def __init__(self) -> None:
        self.protocol = Invocations()
        self.behave: Callable[[BaseHTTPRequestHandler], None] = good
        self.restart_problem: ServerError | None = None
        self.found: ServerFailure | None = None
        self.restarts = 0
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: set[tuple[str, int]] = set()
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.path, dict(self.headers), body))
                outer.connections.add(self.client_address)
                outer.behave(self)

            do_GET = do_POST  # noqa: N815  (the name that http.server looks for)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def failure(self) -> ServerFailure | None:
        return self.found

    def stacks(self) -> str:
        return 'Fatal Python error: Aborted\n\nThread 1 (most recent call first):\n  File "/model/m.py", line 7 in predict\n'

    def log(self, lines: int = 50) -> str:
        return "last words"

    def restart(self) -> None:
        self.restarts += 1
        if self.restart_problem is not None:
            raise self.restart_problem
        self.behave = good

    def close(self) -> None:
        self.over.set()
        self._http.shutdown()
        self._http.server_close()


def reply(handler, status, body, **headers):
    """A whole answer."""
    handler.send_response(status)
    for name, value in {"Content_Type": JSON_TYPE, "Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def good(handler):
    """One valid prediction."""
    reply(handler, 200, GOOD)


def reset(handler):
    """Drop the connection with a reset, as a killed process does."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def half(handler):
    """Promise a body and hang up in the middle of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    handler.close_connection = True


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    """These servers do not die a moment after their connections."""
    monkeypatch.setattr(trouble, "DEATH_GRACE_S", 0.0)


@pytest.fixture
def server():
    """A server that behaves, until a test says otherwise."""
    made = Misbehaving()
    yield made
    made.close()


@pytest.fixture
def client(server):
    """A client with a short patience."""
    made = ScoringClient(server, timeout_s=TIMEOUT_S)
    yield made
    made.close()


def test_a_batch_is_sent_and_answered(server, client):
    """Body, content type and path as MLflow wants them."""
    found = client.score(Batch(columns=("a",), rows=([1.5],)))
    assert (found.status, found.content_type, found.body, found.problem) == (200, JSON_TYPE, GOOD, "")
    assert found.rows() == [1]
    path, headers, body = server.seen[0]
    assert (path, headers["Content-Type"]) == ("/invocations", JSON_TYPE)
    assert body == b'{"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}'


def test_the_connection_is_kept_between_requests(server, client):
    """Three requests, one connection: a new one each would be measured too."""
    for _ in range(3):
        client.post(b"{}", content_type=JSON_TYPE)
    assert len(server.connections) == 1


def test_a_request_may_have_no_content_type(server, client):
    """For the server's own refusals."""
    client.post(b"{}", content_type=None)
    assert "Content-Type" not in server.seen[0][1]


def test_the_content_type_loses_its_parameters(server, client):
    """In lower case."""
    server.behave = lambda handler: reply(handler, 200, GOOD, Content_Type="Application/JSON; charset=utf-8")
    assert client.post(b"", content_type=JSON_TYPE).content_type == JSON_TYPE


def test_no_answer_in_time_is_a_timeout_and_the_next_request_finds_a_fresh_server(server, client):
    """One row that hangs must not fail the rows after it."""
    server.behave = lambda handler: server.over.wait(30)
    found = client.post(b"{}", content_type=JSON_TYPE)
    assert (found.problem, found.status, found.body) == ("timeout", 0, b"")
    assert server.restarts == 0
    assert client.post(b"{}", content_type=JSON_TYPE).rows() == [1]
    assert (server.restarts, client.restarts) == (1, 1)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_trickles_in_is_a_timeout(server, client, chunked):
    """Byte by byte it would never be late for the socket: the deadline is for the whole answer."""
    total, sent, done = 1500, [], threading.Event()

    def trickle(handler):
        handler.send_response(200)
        handler.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(total))))
        handler.end_headers()
        try:
            while len(sent) < total and not server.over.wait(0.01):
                handler.wfile.write(b"1\r\n \r\n" if chunked else b" ")
                sent.append(1)
        except OSError:
            pass
        done.set()

    server.behave = trickle
    assert client.post(b"{}", content_type=JSON_TYPE).problem == "timeout"
    client.close()
    assert done.wait(30)
    assert len(sent) < total / 2


@pytest.mark.parametrize("behave", [reset, half])
def test_a_connection_that_is_lost_is_named_and_the_server_brought_back(server, client, behave):
    """Before the answer, or in the middle of it."""
    server.behave = behave
    assert client.post(b"{}", content_type=JSON_TYPE).problem == "connection"
    assert client.post(b"{}", content_type=JSON_TYPE).rows() == [1]
    assert client.restarts == 1


def test_a_504_is_an_answer_after_which_the_server_is_restarted(server, client):
    """MLflow answers it and leaves the thread running."""
    server.behave = lambda handler: reply(handler, 504, b"timed out")
    found = client.post(b"{}", content_type=JSON_TYPE)
    assert (found.status, found.body, found.problem) == (504, b"timed out", "")
    client.post(b"{}", content_type=JSON_TYPE)
    assert client.restarts == 1


@pytest.mark.parametrize("status", [200, 400, 422, 500, 503])
def test_any_other_answer_leaves_the_server_alone(server, client, status):
    """A crash in predict is answered, and the process lives."""
    server.behave = lambda handler: reply(handler, status, b"{}")
    for _ in range(2):
        assert client.post(b"{}", content_type=JSON_TYPE).status == status
    assert client.restarts == 0


def test_a_server_error_costs_the_connection_and_not_the_server(server, client):
    """Some servers close the connection after one without a word: the next request goes over another."""
    server.behave = lambda handler: reply(handler, 500, b"{}")
    client.post(b"{}", content_type=JSON_TYPE)
    failed = set(server.connections)
    server.behave = lambda handler: (reset if handler.client_address in failed else good)(handler)
    assert client.post(b"{}", content_type=JSON_TYPE).rows() == [1]
    assert client.restarts == 0


def test_a_body_beyond_the_cap_is_cut_off(server, client, monkeypatch):
    """At the cap it is still read; beyond it the rest is left where it is."""
    monkeypatch.setattr(client_module, "MAX_BODY", 1000)
    server.behave = lambda handler: reply(handler, 200, b"x" * 1000)
    assert len(client.post(b"{}", content_type=JSON_TYPE).body) == 1000
    server.behave = lambda handler: reply(handler, 200, b"x" * 1001)
    found = client.post(b"{}", content_type=JSON_TYPE)
    assert (found.problem, found.body, client.restarts) == ("too_large", b"", 0)
    server.behave = good
    assert client.post(b"{}", content_type=JSON_TYPE).rows() == [1]
    assert client.restarts == 0


def test_a_body_without_an_end_is_left_at_the_cap(server, monkeypatch):
    """Long before the deadline: it is not read to see how long it is."""
    monkeypatch.setattr(client_module, "MAX_BODY", 1000)

    def endless(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.over.is_set():
                handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")

    server.behave = endless
    patient = ScoringClient(server, timeout_s=20.0)
    assert patient.post(b"{}", content_type=JSON_TYPE).problem == "too_large"
    patient.close()


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "none such"])
def test_what_is_packed_is_not_unpacked(server, client, coding):
    """Nobody asked for it: a kilobyte packed twice over can unfold to gigabytes on the host."""
    import gzip

    packed = gzip.compress(gzip.compress(b"\0" * 1_000_000))
    server.behave = lambda handler: reply(handler, 200, packed, Content_Encoding=coding)
    answer = client.post(b"{}", content_type=JSON_TYPE)
    assert answer.body == packed
    assert server.seen[0][1]["Accept-Encoding"] == "identity"
    with pytest.raises(NotAPrediction, match="not JSON"):
        answer.rows()


def trickling_head(handler):
    """Send the head byte by byte, each within any timeout of a single read."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    with contextlib.suppress(OSError):
        while not handler.server.over.is_set():
            handler.wfile.write(b"x")
            handler.server.over.wait(TIMEOUT_S / 10)


def test_a_head_that_trickles_in_is_a_timeout(server, client):
    """The deadline is on the whole answer: the HTTP library's own begins anew with every byte."""
    server._http.over = server.over
    server.behave = trickling_head
    answer = client.post(b"{}", content_type=JSON_TYPE)
    assert answer.problem == "timeout"
    assert client.trouble.kind is FailureKind.HANG_AT_PREDICT


def test_what_became_of_a_lost_server_is_kept_until_the_next_request(server, client):
    """The next one finds a fresh server, which knows nothing of it."""
    server.found = ServerFailure(kind=FailureKind.OOM, message="over the limit", log="last words")
    server.behave = reset
    answer = client.post(b"{}", content_type=JSON_TYPE)
    assert client.why(answer) is server.found
    server.found = None
    answer = client.post(b"{}", content_type=JSON_TYPE)
    assert client.why(answer) is None
    assert client.trouble is None


def test_a_server_that_closes_the_connection_and_lives_is_told_from_one_that_died(server, client):
    """There is no death to blame."""
    server.behave = reset
    found = client.why(client.post(b"{}", content_type=JSON_TYPE))
    assert (found.kind, found.log) == (FailureKind.CONNECTION_LOST, "last words")


def test_a_hang_is_told_with_the_place(server, client):
    """Where the model's own code stands."""
    server.behave = lambda handler: reply(handler, 504, b"{}")
    found = client.why(client.post(b"{}", content_type=JSON_TYPE))
    assert found.kind is FailureKind.HANG_AT_PREDICT
    assert found.message == "a prediction hangs at /model/m.py:7 in predict"


def test_an_error_status_is_the_servers_and_a_400_is_not(server, client):
    """MLflow answers 400 for what the model raises: there the answer says it all, unless a worker was killed."""
    server.behave = lambda handler: reply(handler, 500, b"{}")
    assert client.why(client.post(b"{}", content_type=JSON_TYPE)).kind is FailureKind.ERROR_STATUS
    server.behave = lambda handler: reply(handler, 400, b"{}")
    assert client.why(client.post(b"{}", content_type=JSON_TYPE)) is None
    server.found = ServerFailure(kind=FailureKind.OOM_WORKER, message="a worker", log="")
    assert client.why(client.post(b"{}", content_type=JSON_TYPE)) is server.found


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(server, client, status):
    """A model must not choose what the host asks for."""
    server.behave = lambda handler: reply(handler, status, b"", Location=f"{server.url}/elsewhere")
    assert client.post(b"{}", content_type=JSON_TYPE).status == status
    assert [path for path, _, _ in server.seen] == ["/invocations"]


def test_a_proxy_of_the_environment_is_not_asked(server, client, monkeypatch):
    """It has no way to a loopback port."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert client.post(b"{}", content_type=JSON_TYPE).status == 200


def test_a_server_that_does_not_come_back_is_an_error_each_time(server, client):
    """The client does not pretend that it is there."""
    server.behave = reset
    client.post(b"{}", content_type=JSON_TYPE)
    server.restart_problem = ServerError("gone", kind=FailureKind.EXITED)
    for _ in range(2):
        with pytest.raises(ServerError, match="gone"):
            client.post(b"{}", content_type=JSON_TYPE)
    assert (server.restarts, client.restarts) == (2, 0)
    server.restart_problem = None
    assert client.post(b"{}", content_type=JSON_TYPE).rows() == [1]


def test_nobody_listening_is_a_lost_connection():
    """A port that was just given back."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    class Nobody:
        url = f"http://127.0.0.1:{port}"

    assert ScoringClient(Nobody(), timeout_s=TIMEOUT_S).get("/ping").problem == "connection"


def test_a_page_is_asked_for_by_path(server, client):
    """For /ping and /metrics; what it says does not restart anything."""
    server.behave = lambda handler: reply(handler, 504, b"")
    assert client.get("/ping").status == 504
    assert server.seen[0][0] == "/ping"
    client.recover()
    assert client.restarts == 0
