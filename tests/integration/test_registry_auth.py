"""MLflow's own basic-auth app: who is nobody, who may not, and what a line about it names. It hands out no artifacts."""

import os

import pytest
import requests

from mlgate.cli import app
from mlgate.errors import RegistryError
from mlgate.model_version import ModelUri
from mlgate.registry.interface import Capability
from mlgate.registry.mlflow import MlflowRegistry
from tests.mlflow_fixtures import running_server

ADMIN, READER = ("admin", "correct horse battery"), ("reader", "staple correct horse")
CONFIG = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
grant_default_workspace_access = false
"""


@pytest.fixture(autouse=True)
def _nobody(monkeypatch):
    for key in [key for key in os.environ if key.startswith("MLFLOW_")]:
        monkeypatch.delenv(key)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that asks who you are, with one model version of the administrator's."""
    folder = tmp_path_factory.mktemp("auth")
    (folder / "auth.ini").write_text(CONFIG.format(folder=folder))
    secrets = {
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "not a secret here",
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
    }
    with running_server(folder, "--app-name", "basic-auth", "--no-serve-artifacts", **secrets) as server:
        for route, body in (
            ("users/create", {"username": READER[0], "password": READER[1]}),
            ("registered-models/create", {"name": "churn"}),
            ("model-versions/create", {"name": "churn", "source": "s3://bucket/churn"}),
        ):
            made = requests.post(f"{server.uri}/api/2.0/mlflow/{route}", json=body, auth=ADMIN, timeout=60)
            assert made.ok, made.text
        yield server.uri


def log_in(monkeypatch, user):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user[0])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", user[1])


@pytest.mark.parametrize("user", [None, ("admin", "guessed-password"), ("stranger", "guessed-password")])
def test_a_401_is_one_line_that_names_the_variables(guarded, monkeypatch, capsys, user):
    """And whether they were set; never what they hold."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded)
    if user:
        log_in(monkeypatch, user)
    for words in (["status", "churn"], ["gate", "models:/churn/1"], ["promote", "models:/churn/1", "--yes"]):
        assert app.run(words) == 3
        found = capsys.readouterr()
        (line,) = [line for line in found.err.splitlines() if line.startswith("mlgate: ")]
        assert found.out == ""
        assert "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in line
        assert ("set, and not accepted" in line) == (user is not None)
        assert "guessed-password" not in line


def test_a_403_says_who_may_not(guarded, monkeypatch):
    """Who may read is told so at the write; the owner of the model may write."""
    log_in(monkeypatch, READER)
    registry = MlflowRegistry(guarded)
    version = registry.resolve(ModelUri.parse("models:/churn/1"))
    for write in (
        lambda: registry.set_alias("churn", "champion", "1"),
        lambda: registry.set_tags(version, {"mlgate.status": "passed"}),
        lambda: registry.set_description(version, "x"),
    ):
        with pytest.raises(
            RegistryError, match="MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME stands for"
        ) as caught:
            write()
        assert "\n" not in str(caught.value)
        assert READER[1] not in str(caught.value)
    assert registry.aliases("churn") == {}
    log_in(monkeypatch, ADMIN)
    registry.set_alias("churn", "champion", "1")
    assert registry.aliases("churn") == {"champion": "1"}


def test_what_it_can_is_told_without_writing(guarded, monkeypatch):
    """Tags and aliases it has; webhooks are the administrator's; artifacts it does not hand out."""
    log_in(monkeypatch, ADMIN)
    told = MlflowRegistry(guarded).capabilities()
    assert [told[str(one)] for one in Capability] == [
        "yes", "yes", "yes", "no: mlflow server runs without --serve-artifacts",
    ]  # fmt: skip
    assert MlflowRegistry(guarded).lacks(*Capability) == (Capability.ARTIFACT_PROXY,)
