"""A proxy before a real server that does what networks and half-dead servers do, where a test says so."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

LOGIN = b"<!doctype html><title>Log in</title><form></form>"


class Faults:
    """Which request fails how.

    Attributes:
        rule: Told method and path of a request and how many have met it before, names a fault or nothing.
        met: What was asked, with the fault it met, in order.
        token: What a request must carry as a bearer; empty for nobody asks.
    """

    def __init__(self) -> None:
        self.rule: Callable[[str, str], str] = lambda method, path: ""
        self.met: list[tuple[str, str, str]] = []
        self.token = ""
        self.over = threading.Event()

    def only(self, fault: str, part: str, *, times: int = 10**9) -> None:
        """Let the first *times* requests whose method and path hold *part* meet *fault*, and no other."""
        left = threading.Semaphore(times)
        self.rule = lambda method, path: fault if part in f"{method} {path}" and left.acquire(blocking=False) else ""

    @property
    def count(self) -> int:
        """How many requests met a fault."""
        return sum(bool(fault) for _, _, fault in self.met)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Any:
        """Serve every method: the library looks for `do_GET` and so on."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        faults: Faults = self.server.faults  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = faults.rule(self.command, self.path)
        faults.met.append((self.command, self.path, fault))
        if faults.token and self.headers.get("Authorization") != f"Bearer {faults.token}":
            told = f"bad credentials: {self.headers.get('Authorization')}".encode()
            return self._send(401, "text/plain", told)
        match fault:
            case "500" | "503":
                return self._send(int(fault), "text/plain", b"broken")
            case "login":
                return self._send(200, "text/html", LOGIN)
            case "hang":
                faults.over.wait(120)
                return self._reset()
            case "reset":
                return self._reset()
        status, kind, answer = self._forwarded(body)
        if fault == "lost":  # done, and nobody hears of it
            return self._reset()
        if fault == "truncate":
            return self._send(status, kind, answer, sent=len(answer) // 2)
        if fault == "trickle":
            return self._send(status, kind, answer, pause_s=0.2)
        return self._send(status, kind, answer)

    def _forwarded(self, body: bytes) -> tuple[int, str, bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)  # type: ignore[attr-defined]
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding", "transfer-encoding")}  # fmt: skip
        upstream.request(self.command, self.path, body=body or None, headers=kept)
        answer = upstream.getresponse()
        return answer.status, answer.headers.get("Content-Type", "text/plain"), answer.read()

    def _send(self, status: int, kind: str, body: bytes, *, sent: int | None = None, pause_s: float = 0.0) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not pause_s:
                self.wfile.write(body[:sent])
            for place in range(len(body) if pause_s else 0):
                self.wfile.write(body[place : place + 1])
                if self.server.faults.over.wait(pause_s):  # type: ignore[attr-defined]
                    break
        if sent is not None or pause_s:
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        # Two files of the handler's hold the socket open.
        self.rfile.close()
        with suppress(OSError):
            self.wfile.close()
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever was hung up on knows."""

    def shutdown_request(self, request: Any) -> None:
        """Close it, where it is not closed yet."""
        with suppress(OSError):
            super().shutdown_request(request)


@contextmanager
def fault_proxy(upstream: str) -> Iterator[tuple[str, Faults]]:
    """Stand before the server at *upstream*; give the address to ask instead, and the faults to set."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.upstream = urlparse(upstream).netloc  # type: ignore[attr-defined]
    server.faults = faults = Faults()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", faults
    finally:
        faults.over.set()
        server.shutdown()
        server.server_close()
