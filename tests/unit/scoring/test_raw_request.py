"""Bodies that a server may refuse half-way, and one that never ends."""

import socket
import threading
from contextlib import contextmanager

import pytest

from mlgate.scoring.client import MAX_BODY, ScoringClient
from mlgate.scoring.protocols import Invocations
from mlgate.scoring.raw_request import send, send_slowly

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; x=1\r\nContent-Length: 20\r\n\r\n" + b'{"predictions": [1]}'
REFUSED = b"HTTP/1.1 413 Too Large\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
HEADERS = {"Content-Type": "application/json"}


@contextmanager
def server(behave):
    """Listen, and let *behave* have one connection; gives the URL and what was seen."""
    seen = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                behave(connection, seen)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
        thread.join(10)
        assert not thread.is_alive()


def read_head(connection):
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(2**16)
    head, _, rest = raw.partition(b"\r\n\r\n")
    return head, rest


def reads_all(connection, seen):
    """Read the whole body as announced, then answer."""
    head, rest = read_head(connection)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    size = len(rest)
    while size < length:
        size += len(connection.recv(2**20))
    seen.update(head=head, size=size)
    connection.sendall(OK)


def refuses_early(connection, seen):
    """Answer and close after the head, with most of the body unread."""
    read_head(connection)
    connection.sendall(REFUSED)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(2**20):
        pass


def answers_a_slow_one(connection, seen):
    """Wait for a few drips, then refuse."""
    read_head(connection)
    while connection.recv(1) != b" ":
        pass
    seen["drips"] = 1
    connection.sendall(REFUSED)


def closes(connection, seen):
    read_head(connection)


def waits(connection, seen):
    """Take whatever comes."""
    while connection.recv(2**16):
        pass


def test_a_large_body_arrives_whole():
    """Many times what the buffers hold."""
    with server(reads_all) as (url, seen):
        answer = send(url, Invocations(), b"x" * 20_000_000, headers=HEADERS, timeout_s=20)
    assert (answer.status, answer.content_type, answer.rows()) == (200, "application/json", [1])
    assert seen["size"] == 20_000_000
    assert b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:" in seen["head"]


def test_a_large_body_of_the_client_arrives_whole_too():
    """The ordinary path: its socket must wait for room in the buffers."""
    with server(reads_all) as (url, seen):

        class Server:
            protocol = Invocations()

        Server.url = url
        answer = ScoringClient(Server(), timeout_s=20).post(b"x" * 20_000_000, content_type="application/json")
    assert (answer.status, seen["size"]) == (200, 20_000_000)


def test_a_refusal_before_the_body_was_read_is_seen():
    """A careful server answers 413 and does not read on."""
    with server(refuses_early) as (url, _):
        answer = send(url, Invocations(), b"x" * 5_000_000, headers=HEADERS, timeout_s=10)
    assert (answer.status, answer.body, answer.problem) == (413, b"no", "")


def test_a_connection_that_ends_without_an_answer_is_named():
    """Not to be taken for a refusal."""
    with server(closes) as (url, _):
        answer = send(url, Invocations(), b"x", headers=HEADERS, timeout_s=10)
    assert answer.problem == "connection"


def test_no_answer_in_time_is_a_timeout():
    """Of the whole exchange."""
    with server(waits) as (url, _):
        answer = send(url, Invocations(), b"x", headers=HEADERS, timeout_s=0.3)
    assert (answer.problem, answer.status) == ("timeout", 0)


def test_an_answer_without_an_end_is_left_at_the_cap():
    """It must not fill the host's memory."""

    def endless(connection, seen):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for _ in range(MAX_BODY // 2**20 + 8):
                connection.sendall(b"x" * 2**20)
        except OSError:
            seen["cut"] = True  # the reader left

    with server(endless) as (url, _):
        answer = send(url, Invocations(), b"x", headers=HEADERS, timeout_s=30)
    assert answer.problem == "too_large"


def test_nobody_listening_is_a_lost_connection():
    """As for the client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}", Invocations(), b"x", headers={}, timeout_s=2).problem == "connection"


@pytest.mark.parametrize(
    ("behave", "status", "problem"), [(answers_a_slow_one, 413, ""), (closes, 0, "connection"), (waits, 0, "timeout")]
)
def test_a_slow_request_ends_with_the_servers_patience_or_with_ours(behave, status, problem):
    """And others may be sent beside it."""
    beside = []
    with server(behave) as (url, _):
        answer = send_slowly(
            url, Invocations(), b"{}", headers=HEADERS, timeout_s=1.0, meanwhile=lambda: beside.append(1)
        )
    assert (answer.status, answer.problem, beside) == (status, problem, [1])
    assert answer.elapsed_s < 5
