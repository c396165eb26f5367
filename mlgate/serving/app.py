"""MLflow's own scoring app, or MLServer's, with `/ready` and `/metrics` in front; every other path stays its own."""

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from .metrics import Metrics

INVOCATIONS = "/invocations"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


_log = logging.getLogger(__name__)


class UnsupportedServer(Exception):
    """This MLflow's scoring app is neither ASGI nor WSGI."""


def wrap(
    inner: Any, *, boot: Callable[[], dict[str, Any]] = dict, threads: int = 1, path: str = INVOCATIONS
) -> "ServingApp":
    """Return *inner* as an ASGI app that is ready, counted and bounded.

    Args:
        inner: MLServer's app, or what `mlflow.pyfunc.scoring_server.init` returned: FastAPI (MLflow 2.20 on) or Flask.
        boot: Gives the boot facts that `/ready` answers with.
        threads: Predict threads.
        path: Where predictions are asked for.

    Raises:
        UnsupportedServer: It is none of these.
    """
    return ServingApp(_as_asgi(inner, threads), boot=boot, threads=threads, path=path)


def _as_asgi(app: Any, threads: int) -> App:
    if inspect.iscoroutinefunction(type(app).__call__):
        asgi: App = app
        return asgi
    if hasattr(app, "wsgi_app"):
        # By name, and only here: it is installed in images, and only MLflow before 2.20 needs it.
        wsgi: App = import_module("a2wsgi").WSGIMiddleware(app, workers=threads)
        return wsgi
    raise UnsupportedServer(
        f"the scoring app of this MLflow is a {type(app).__name__}; served are FastAPI and Flask apps"
    )


class ServingApp:
    """The ASGI app.

    Attributes:
        inner: MLflow's or MLServer's app; calls to it are not counted.
        path: Where predictions are asked for; these requests are counted.
        ready: Whether `/ready` answers 200.
        state: The word for it, in `/ready`'s body.
        metrics: The counters.
    """

    def __init__(
        self, inner: App, *, boot: Callable[[], dict[str, Any]], threads: int, path: str = INVOCATIONS
    ) -> None:
        self.inner = inner
        self.path = path
        self.ready = True
        self.state = "ready"
        self.metrics = Metrics()
        self._boot = boot
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        self.bound_threads()
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        match scope["path"]:
            case "/ready":
                body = {**self._boot(), "state": self.state}
                await _answer(send, 200 if self.ready else 503, "application/json", json.dumps(body).encode())
            case "/metrics":
                await _answer(send, 200, "text/plain; version=0.0.4; charset=utf-8", self.metrics.text())
            case self.path:
                await self._counted(scope, receive, send)
            case _:
                await self.inner(scope, receive, send)

    def bound_threads(self) -> None:
        """Give the running loop as many predict threads as this app may have.

        MLflow predicts in `asyncio.to_thread`, whose default is min(32, cpus of the *host* + 4) threads.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            loop.set_default_executor(ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="predict"))
            self._loop = loop

    async def _counted(self, scope: Message, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status, answered = 500, False

        async def noting(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body")

        with self.metrics.in_flight.track_inprogress():
            try:
                await self.inner(scope, receive, noting)
            except Exception:
                if not answered:
                    raise
                # Starlette raises what it has just answered 500 to. uvicorn would then close the connection under the
                # next request on it, which looks like a second error of the model.
                _log.exception("a prediction raised")
            finally:
                self.metrics.observe(status, time.perf_counter() - started)


async def _answer(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def call(app: App, path: str, body: bytes) -> tuple[int, bytes]:
    """POST JSON to *app* without a socket and return status and body."""
    status, answer = 500, b""
    unread = [body]

    async def receive() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await asyncio.Event().wait()  # Nobody hangs up: a disconnect would cancel the prediction.
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal status, answer
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            answer += message.get("body", b"")

    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": None,
        "server": None,
    }
    await app(scope, receive, send)
    return status, answer
