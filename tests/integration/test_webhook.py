"""A real MLflow server sends real webhooks to a port of this machine; `mlgate ci from-webhook` reads what came."""

import contextlib
import http.server
import io
import json
import queue
import sys
import threading
import uuid

import pytest

from mlgate.cli import app
from mlgate.model_version import ModelUri
from mlgate.registry.mlflow import MlflowRegistry
from tests.mlflow_fixtures import running_server

SECRET = "swordfish"
EVENTS = [
    "registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted",
    "model_version_alias.created", "model_version_alias.deleted",
]  # fmt: skip


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps headers and body of whatever is posted."""

    def log_message(self, *args):
        """Say nothing."""

    def do_POST(self):
        """Keep it, and be content."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.put((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()


@pytest.fixture(scope="module")
def receiver():
    """A port that webhooks go to, as its address and a queue."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.came = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", server.came
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def mlflow_client(tmp_path_factory, receiver):
    """A server that may post to this machine, and one webhook for every event of a model version."""
    from mlflow import MlflowClient

    allowed = {"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http", "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    with running_server(tmp_path_factory.mktemp("webhooks"), **allowed) as server:
        client = MlflowClient(server.uri)
        client.create_webhook("gate", receiver[0], EVENTS, secret=SECRET)
        yield client, server.uri


def received(receiver, count):
    """Return the next *count* requests by their event, each with what mlgate makes of it."""
    came = [receiver[1].get(timeout=60) for _ in range(count)]
    return {f"{json.loads(body)['entity']}.{json.loads(body)['action']}": (told, body) for told, body in came}


def read(request, monkeypatch, capsys, *, body=None, secret=SECRET):
    """Run the command as a relay does: body on standard input, headers in the environment."""
    headers, sent = request
    monkeypatch.setenv("MLGATE_WEBHOOK_SECRET", secret)
    for variable, header in {
        "ID": "X-MLflow-Delivery-Id", "TIMESTAMP": "X-MLflow-Timestamp", "SIGNATURE": "X-MLflow-Signature"
    }.items():  # fmt: skip
        monkeypatch.setenv(f"MLGATE_WEBHOOK_{variable}", headers[header])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent if body is None else body)))
    capsys.readouterr()  # what MLflow's client had to say
    status = app.run(["ci", "from-webhook", "-"])
    return status, *capsys.readouterr()


def test_what_mlflow_posts_of_a_new_version_leads_to_it_and_of_our_own_writes_to_nothing(
    mlflow_client, receiver, monkeypatch, capsys
):
    """Signed by the server itself; a changed body and another secret are refused; tags and the alias start no test."""
    client, uri = mlflow_client
    name = f"Kündigung {uuid.uuid4().hex[:6]}"
    client.create_registered_model(name)
    client.create_model_version(name, "s3://bucket/model", description="neu, ünï")
    came = received(receiver, 2)
    created = came["model_version.created"]
    assert read(created, monkeypatch, capsys) == (0, f"models:/{name}/1\n", "")
    status, out, err = read(created, monkeypatch, capsys, body=created[1].replace(b'"1"', b'"2"'))
    assert (status, out) == (1, "")
    assert "not one of this secret" in err
    assert read(created, monkeypatch, capsys, secret="guess")[:2] == (1, "")
    status, out, err = read(came["registered_model.created"], monkeypatch, capsys)
    assert (status, out) == (0, "")
    assert "registered_model.created is ignored" in err

    registry = MlflowRegistry(uri)
    version = registry.resolve(ModelUri.parse(f"models:/{name}/1"))
    registry.set_tags(version, {"mlgate.status": "passed"})
    registry.set_alias(name, "champion", "1")
    client.delete_model_version_tag(name, "1", "mlgate.status")
    came = received(receiver, 3)
    for kind in ("model_version_tag.set", "model_version_tag.deleted"):
        status, out, err = read(came[kind], monkeypatch, capsys)
        assert (status, out) == (0, "")
        assert "mlgate.status is a tag of mlgate's own" in err
    assert read(came["model_version_alias.created"], monkeypatch, capsys)[:2] == (0, "")
    with contextlib.suppress(queue.Empty):
        pytest.fail(f"more came than was written: {receiver[1].get(timeout=0.5)}")
