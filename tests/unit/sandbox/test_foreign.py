"""When a server that is not ours counts as ready."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mlgate.sandbox.foreign import Trial, look_at_any

EXAMPLE = b'{"inputs": [[1.0]]}'
OURS = json.dumps({"started_at": 1.0, "phases": {"ready": 0.5}}).encode()


@contextmanager
def server(pages):
    """Serve *pages*: path to status, or to status and body; 0 hangs. Yield how to look at it, and what it was asked."""
    asked = []
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append((self.path, body))
            page = pages.get(self.path, 404)
            status, text = page if isinstance(page, tuple) else (page, b"")
            if status == 0:
                done.wait(10)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815  (the standard library's name)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.01,)).start()

    # Nobody waits for longer than a second but for a page that hangs, and a busy machine answers within a minute.
    hangs = 0 in pages.values()

    def look(*, body=EXAMPLE, timeout_s=1.0 if hangs else 60.0):
        trial = Trial(path="/invocations", body=body, content_type="application/json", timeout_s=timeout_s)
        return look_at_any("127.0.0.1", running.server_address[1], trial)

    try:
        yield look, asked
    finally:
        done.set()
        running.shutdown()
        running.server_close()


READY = {
    "ours says so": {"/ready": (200, OURS)},
    "mlflow": {"/ping": 200, "/invocations": 200},
    "mlserver": {"/v2/health/ready": 200, "/invocations": 200},
    "a page that says no word of ours": {"/ready": (200, b"<html>"), "/invocations": 200},
    "a dictionary of somebody else": {"/ready": (200, b'{"status": "ok"}'), "/invocations": 200},
    "no health page at all": {"/invocations": 200},
    "an example that the model does not take": {"/ping": 200, "/invocations": 400},
}
NOT_READY = {
    "nothing": {},
    "ours is still warming up": {"/ready": 503, "/ping": 200, "/invocations": 200},
    "a proxy before a server that is not up": {"/ready": 502, "/ping": 502, "/invocations": 502},
    "mlflow still loading": {"/ping": 503, "/invocations": 200},
    "no health page, and an error": {"/invocations": 400},
    "every predict thread hangs": {"/ping": 200, "/invocations": 0},
}


@pytest.mark.parametrize("pages", READY.values(), ids=READY)
def test_it_is_ready(pages):
    """By its word and, where it is not ours, by an answered prediction."""
    with server(pages) as (look, asked):
        assert look().said is not None
        assert (("/invocations", EXAMPLE) in asked) == (pages.get("/ready") != (200, OURS))


@pytest.mark.parametrize("pages", NOT_READY.values(), ids=NOT_READY)
def test_it_is_not_ready(pages):
    """Alive means: answers a prediction."""
    with server(pages) as (look, _):
        assert look().said is None


def test_without_an_example_its_word_is_enough():
    """There is nothing to ask it."""
    with server({"/ping": 200}) as (look, asked):
        assert look(body=None).said == {}
        assert not [path for path, _ in asked if path == "/invocations"]
    with server({}) as (look, _):
        assert look(body=None).said is None


def test_a_prediction_that_hangs_is_told_from_a_port_that_nobody_listens_on():
    """The evidence names which of the two it was."""
    with server(NOT_READY["every predict thread hangs"]) as (look, _):
        assert look().silent
    nobody = Trial(path="/invocations", body=EXAMPLE, content_type="application/json", timeout_s=1)
    seen = look_at_any("127.0.0.1", 1, nobody)
    assert (seen.said, seen.status, seen.silent) == (None, None, False)
