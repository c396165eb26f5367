"""Requests that no HTTP library sends: a body that the server may refuse half-way, and one that never ends."""

import select
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

from mlgate.scoring.answers import Answer
from mlgate.scoring.client import MAX_BODY

if TYPE_CHECKING:
    import socket

    from mlgate.scoring.deadline import Deadline
    from mlgate.scoring.protocols import ServingProtocol

_CHUNK = 2**16
# One byte of a slow body a fifth of a second: well within any pause that a server allows between two.
_DRIP_S = 0.2
# What a slow request says that it will send, and does not.
_PROMISED = 2**20


def send(url: str, protocol: "ServingProtocol", body: bytes, *, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """Send *body* and read the answer, also one that comes, with the connection's end, before all was sent.

    Args:
        url: The server's.
        protocol: Says where predictions are asked for, and how rows are read.
        body: Of any size.
        headers: Content type and others.
        timeout_s: Longest time until the whole answer, in seconds.
    """
    began = time.perf_counter()
    try:
        connection, _ = _connect(url, timeout_s)
    except OSError:
        return _none("connection", began)
    with connection:
        try:
            connection.sendall(_head(url, protocol.path, headers, length=len(body)))
            connection.sendall(body)
        except TimeoutError:
            return _none("timeout", began)
        except OSError:
            pass  # refused half-way: the answer may be there
        return _answer(connection, protocol, began)


def send_slowly(
    url: str,
    protocol: "ServingProtocol",
    body: bytes,
    *,
    headers: Mapping[str, str],
    timeout_s: float,
    meanwhile: Callable[[], None],
) -> Answer:
    """Send *body* and then a space at a time, up to a length that is never reached, until the server has enough.

    Args:
        url: The server's.
        protocol: As for `send`.
        body: The beginning; JSON may go on with spaces.
        headers: Content type and others.
        timeout_s: How long to go on, in seconds.
        meanwhile: Called once while the request is under way.

    Returns:
        The answer; one with the problem `connection` where the server closed without any, and `timeout` where it
        still waited at the end.
    """
    began = time.perf_counter()
    try:
        connection, deadline = _connect(url, timeout_s)
        with connection:
            connection.sendall(_head(url, protocol.path, headers, length=_PROMISED) + body)
            meanwhile()
            while time.perf_counter() - began < timeout_s:
                if select.select([connection], [], [], _DRIP_S)[0]:
                    deadline.within(timeout_s)
                    return _answer(connection, protocol, began)
                connection.sendall(b" ")
    except TimeoutError:
        return _none("timeout", began)
    except OSError:
        return _none("connection", began)
    return _none("timeout", began)


def _connect(url: str, timeout_s: float) -> "tuple[socket.socket, Deadline]":
    """Return a connection that gives up *timeout_s* from now, and its deadline.

    Raises:
        OSError: Nobody listens, or nobody answers in time.
    """
    import urllib3  # noqa: PLC0415  (loading the plugin must stay free)

    from mlgate.scoring.deadline import Deadline, adapter  # noqa: PLC0415  (as above)

    deadline = Deadline()
    deadline.within(timeout_s)
    pool = adapter(deadline).poolmanager.connection_from_url(url)
    connection = pool.ConnectionCls(host=pool.host, port=pool.port, timeout=timeout_s)
    try:
        connection.connect()
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(str(error)) from error
    made: socket.socket = connection.sock
    return made, deadline


def _head(url: str, path: str, headers: Mapping[str, str], *, length: int) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {url.rpartition('/')[2]}",
        "Connection: close",
        "Accept-Encoding: identity",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, f"Content-Length: {length}"]) + "\r\n\r\n").encode()


def _answer(connection: "socket.socket", protocol: "ServingProtocol", began: float) -> Answer:
    try:
        response = HTTPResponse(connection, method="POST")
        response.begin()
        raw = bytearray()
        while len(raw) <= MAX_BODY and (chunk := response.read1(_CHUNK)):
            raw += chunk
    except TimeoutError:
        return _none("timeout", began)
    except (OSError, HTTPException):
        return _none("connection", began)
    if len(raw) > MAX_BODY:
        return _none("too_large", began)
    return Answer(
        status=response.status,
        content_type=(response.getheader("Content-Type") or "").partition(";")[0].strip().lower(),
        body=bytes(raw),
        elapsed_s=time.perf_counter() - began,
        read=protocol.rows,
    )


def _none(problem: str, began: float) -> Answer:
    return Answer(status=0, content_type="", body=b"", elapsed_s=time.perf_counter() - began, problem=problem)
