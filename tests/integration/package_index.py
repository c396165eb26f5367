"""A package index behind a password and a proxy behind another, on one port of this host: what a company's network is."""

import base64
import re
import select
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urljoin, urlsplit

import requests

_BLOCK = 65536
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-encoding", "proxy-authorization", "host"}


class PackageIndex(ThreadingHTTPServer):
    """Serves `/simple/` from *upstream* to whom knows *index_login*, `/files/` to anybody, and is a proxy besides.

    Args:
        host: Address to listen on.
        upstream: The index that answers in truth.
        index_login: `user:password` of `/simple/`.
        proxy_login: `user:password` of the proxy.
        files: What lies below `/files/`, by name.

    Attributes:
        log: What was answered, `<kind> <what> <status>`.
    """

    daemon_threads = True

    def __init__(
        self, host: str, *, upstream: str, index_login: str, proxy_login: str, files: Mapping[str, bytes]
    ) -> None:
        super().__init__((host, 0), _Handler)
        self.upstream = upstream.rstrip("/")
        self.index_login = index_login
        self.proxy_login = proxy_login
        self.files = files
        self.log: list[str] = []

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.server_address[0]}:{self.server_address[1]}"

    def __enter__(self) -> Self:
        """Serve until the block ends."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: PackageIndex
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_CONNECT(self) -> None:
        if not self._knows("Proxy-Authorization", self.server.proxy_login):
            self._answer("connect", 407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as there:
            self.send_response(200)
            self.end_headers()
            self.server.log.append(f"connect {host} 200")
            self.close_connection = True
            _relay(self.connection, there)

    def do_GET(self) -> None:
        if self.path.startswith("http://"):
            self._proxied()
        elif self.path.startswith("/files/"):
            content = self.server.files.get(self.path.removeprefix("/files/"))
            self._answer("file", 404 if content is None else 200, content or b"", {})
        elif not self._knows("Authorization", self.server.index_login):
            self._answer("index", 401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
        else:
            self._simple()

    do_HEAD = do_GET  # noqa: N815  (the name is http.server's)

    def _simple(self) -> None:
        page = f"{self.server.upstream}/{self.path.removeprefix('/simple/')}"
        found = requests.get(page, headers={"Accept": "text/html"}, timeout=60)
        # The files themselves stay where they are; their links may be relative to the page.
        text = re.sub(r'href="([^"]+)"', lambda match: f'href="{urljoin(found.url, match[1])}"', found.text)
        self._answer("index", found.status_code, text.encode(), {"Content-Type": "text/html"})

    def _proxied(self) -> None:
        if not self._knows("Proxy-Authorization", self.server.proxy_login):
            self._answer("proxy", 407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        found = requests.get(self.path, headers=headers | {"Accept-Encoding": "identity"}, timeout=60)
        kept = {name: value for name, value in found.headers.items() if name.lower() not in _HOP_BY_HOP}
        kept.pop("Content-Length", None)
        self._answer("proxy", found.status_code, found.content, kept)

    def _knows(self, header: str, login: str) -> bool:
        return self.headers.get(header) == f"Basic {base64.b64encode(login.encode()).decode()}"

    def _answer(self, kind: str, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.server.log.append(f"{kind} {urlsplit(self.path).path} {status}")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _relay(here: socket.socket, there: socket.socket) -> None:
    while True:
        for readable in select.select([here, there], [], [], 60)[0] or [None]:
            data = readable.recv(_BLOCK) if readable is not None else b""
            if not data:
                return
            (there if readable is here else here).sendall(data)
