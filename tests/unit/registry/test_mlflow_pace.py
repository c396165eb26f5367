"""A server that sends a byte now and then, and one that repeats what it was given: MLflow's client, without a server of MLflow's."""

import http.server
import threading
import time

import pytest

from mlgate.registry.mlflow_http import in_short
from mlgate.registry.mlflow_pace import keep_pace


class Trickle(http.server.BaseHTTPRequestHandler):
    """Promises four hundred bytes and takes twenty seconds for them."""

    def log_message(self, *args):
        """Say nothing."""

    def do_GET(self):
        """Send one byte after the other."""
        self.send_response(200)
        self.send_header("Content-Length", "400")
        self.end_headers()
        for _ in range(400):
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            if self.server.over.wait(0.05):
                return


def test_a_byte_now_and_then_is_given_up(monkeypatch):
    """Each byte comes in time, and all of them do not."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickle)
    server.over, server.daemon_threads = threading.Event(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keep_pace()
    begun = time.monotonic()
    with pytest.raises(MlflowException, match=r"(?i)timed out"):
        http_request(MlflowHostCreds(f"http://127.0.0.1:{server.server_port}"), "/x", "GET", timeout=1)
    assert time.monotonic() - begun < 15
    server.over.set()
    server.shutdown()


def test_what_a_server_repeats_of_our_secrets_is_not_shown(monkeypatch):
    """A token and a password, wherever they stand."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "glpat-swordfish")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter22")
    assert in_short(ValueError("no user for glpat-swordfish or hunter22")) == "no user for … or …"
