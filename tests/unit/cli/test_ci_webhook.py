"""`mlgate ci from-webhook`: standard output is the URI or empty, and a pipeline can stop quietly."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mlflow.webhooks.delivery import _generate_hmac_signature

from mlgate.cli import app

JOB = Path(__file__).parents[3] / "examples" / "ci" / "new-version.gitlab-ci.yml"
CREATED = {"entity": "model_version", "action": "created", "data": {"name": "churn", "version": "3"}}
TAGGED = {"entity": "model_version_tag", "action": "set", "data": {"name": "churn", "version": "3", "key": "mlgate.status"}}  # fmt: skip


@pytest.fixture
def payload(tmp_path, monkeypatch):
    """Write a body as GitLab does, and give its path."""
    for name in ("SECRET", "ID", "TIMESTAMP", "SIGNATURE"):
        monkeypatch.delenv(f"MLGATE_WEBHOOK_{name}", raising=False)

    def write(document):
        path = tmp_path / "payload"
        path.write_text(json.dumps(document))
        return str(path)

    return write


def test_a_new_version_is_one_line(payload, capsys, monkeypatch):
    """From a file as from standard input; that nobody checked the sender is said."""
    assert app.run(["ci", "from-webhook", payload(CREATED)]) == 0
    found = capsys.readouterr()
    assert found.out == "models:/churn/3\n"
    assert "not checked" in found.err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(CREATED).encode())))
    assert app.run(["ci", "from-webhook", "-", "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"event": "model_version.created", "uri": "models:/churn/3", "ignored": None, "verified": False}


def test_our_own_tag_is_ignored_and_said_so(payload, capsys):
    """Status 0, nothing on standard output."""
    assert app.run(["ci", "from-webhook", payload(TAGGED)]) == 0
    found = capsys.readouterr()
    assert found.out == ""
    assert "model_version_tag.set is ignored: mlgate.status is a tag of mlgate's own" in found.err
    assert app.run(["ci", "from-webhook", payload(TAGGED), "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["uri"] is None
    assert "mlgate.status" in told["ignored"]


def test_a_body_that_is_not_there_is_one_line(tmp_path, capsys):
    """As where somebody passes the content in place of the path."""
    for file in (tmp_path / "none", tmp_path, json.dumps(CREATED) * 100):
        assert app.run(["ci", "from-webhook", str(file)]) == 2
        found = capsys.readouterr()
        assert found.out == ""
        assert "type file" in found.err
        assert len(found.err.splitlines()) == 1


def test_headers_come_from_options_or_variables_and_are_checked_with_the_secret(payload, capsys, monkeypatch):
    """Signed: the URI. Forged or without headers: 1, and nothing on standard output."""
    file, stamp = payload(CREATED), str(int(time.time()))
    signature = _generate_hmac_signature("hush", "d-1", stamp, Path(file).read_text())
    options = ["--delivery-id", "d-1", "--timestamp", stamp, "--signature", signature]
    assert app.run(["ci", "from-webhook", file, *options]) == 2  # given, and nothing to check it with
    assert "MLGATE_WEBHOOK_SECRET is not set" in capsys.readouterr().err
    monkeypatch.setenv("MLGATE_WEBHOOK_SECRET", "hush")
    assert app.run(["ci", "from-webhook", file, *options]) == 0
    assert capsys.readouterr() == ("models:/churn/3\n", "")
    assert app.run(["ci", "from-webhook", file]) == 1
    for name, value in {"ID": "d-1", "TIMESTAMP": stamp, "SIGNATURE": signature}.items():
        monkeypatch.setenv(f"MLGATE_WEBHOOK_{name}", value)
    capsys.readouterr()
    assert app.run(["ci", "from-webhook", file]) == 0
    assert capsys.readouterr() == ("models:/churn/3\n", "")
    Path(file).write_text(json.dumps({**CREATED, "data": {"name": "churn", "version": "4"}}))
    assert app.run(["ci", "from-webhook", file]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    assert "not one of this secret" in found.err
    assert "hush" not in found.err


def test_the_example_job_is_valid_for_gitlab():
    """Checked against the schema that GitLab publishes, offline."""
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    done = subprocess.run([sys.executable, *command, str(JOB)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [(CREATED, 0, "test models:/churn/3\ngate models:/churn/3\n"), (TAGGED, 0, ""), ({"object_kind": "push"}, 2, "")],
)
def test_the_example_job_does_what_it_says(payload, tmp_path, document, status, said):
    """Its lines run as GitLab runs them, in a shell that stops; `test` and `gate` only say their names here."""
    program = tmp_path / "bin" / "mlgate"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = ci ] && exec {sys.executable} -m mlgate "$@"\necho "$@"\n')
    program.chmod(0o755)
    script = "\n".join(yaml.safe_load(JOB.read_text())["gate-new-version"]["script"])
    environment = {"PATH": f"{program.parent}:/usr/bin:/bin", "TRIGGER_PAYLOAD": payload(document)}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (status, said), done.stderr
