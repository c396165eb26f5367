import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlgate.errors import ConfigError, EngineError
from mlgate.sandbox.address import CERTIFICATES, address_of
from mlgate.sandbox.engine import connect, engine_address
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import Watchdog, new_folder


def test_an_engine_that_does_not_answer_is_said_in_one_line(monkeypatch, tmp_path):
    """With where it was looked for, and what to do."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match=r"no container engine answers at unix://.*none\.sock\. Hint: ") as caught:
        connect()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["ssh://user:secret@host", "https://user:secret@host:2376", "npipe:////./pipe/docker"])
def test_a_kind_of_address_that_is_not_supported_is_refused(monkeypatch, url):
    """Without repeating its credentials."""
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(EngineError, match=r"not supported.*Hint: set DOCKER_HOST to unix") as caught:
        connect()
    assert "secret" not in str(caught.value)


def test_a_remote_engine_that_does_not_answer_is_said_in_one_line(monkeypatch):
    """A port where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DOCKER_HOST", f"tcp://user:secret@127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(EngineError, match=r"no container engine answers at tcp://127.*Hint: ") as caught:
            connect()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "tls"),
    [
        ({}, "none"),
        ({"DOCKER_TLS_VERIFY": ""}, "none"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "certs"}, "verified"),
        ({"DOCKER_TLS_VERIFY": "0", "DOCKER_CERT_PATH": "certs"}, "verified"),
        ({"DOCKER_CERT_PATH": "certs"}, "not verified"),
    ],
)
def test_tls_is_what_docker_makes_of_its_settings(tmp_path, monkeypatch, environ, tls):
    """Any word that is not empty means yes, also "0"."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "certs").mkdir()
    for name in CERTIFICATES:
        (tmp_path / "certs" / name).touch()
    address = address_of("tcp://docker:2376", "DOCKER_HOST", environ)
    assert address.tls == tls
    again = address.environment()
    if tls != "none":
        assert Path(again["DOCKER_CERT_PATH"]).is_absolute(), "the watchdog runs in another directory"
    assert address_of(again["DOCKER_HOST"], "DOCKER_HOST", again).tls == tls
    assert address_of("unix:///run/docker.sock", "DOCKER_HOST", environ).tls == "none"


def test_certificates_that_are_missing_are_named(tmp_path):
    """With the folder that was looked at."""
    (tmp_path / "ca.pem").touch()
    with pytest.raises(EngineError, match=r"cert\.pem, key\.pem missing in .*DOCKER_CERT_PATH"):
        address_of("tcp://docker:2376", "DOCKER_HOST", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})


@pytest.fixture
def context(tmp_path, monkeypatch):
    """Make a docker context the current one: `tcp://far:2376` with certificates of its own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    digest = hashlib.sha256(b"far").hexdigest()
    meta = tmp_path / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    endpoint = {"Host": "tcp://far:2376", "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": "far", "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    tls = tmp_path / "contexts" / "tls" / digest / "docker"
    tls.mkdir(parents=True)
    for name in CERTIFICATES:
        (tls / name).touch()
    return tls


def test_the_current_docker_context_names_the_engine(context):
    """With its certificates; `DOCKER_HOST` would come before it."""
    address = engine_address()
    assert (address.url, address.source) == ("tcp://far:2376", "docker context far")
    assert address.cert_path == context
    assert address.tls == "verified"


def test_the_watchdog_refuses_to_guard_a_directory_that_is_not_ours(tmp_path):
    """It removes the directory at the end."""
    with pytest.raises(ConfigError, match="not named mlgate-"):
        Watchdog.start(SessionTag.new(), tmp_path)


def test_the_watchdog_removes_the_temporary_directory_when_it_is_closed(tmp_path):
    """Also one that is full."""
    folder = tmp_path / "mlgate-x"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "file").touch()
    watchdog = Watchdog.start(SessionTag.new(), folder)
    assert folder.exists()
    watchdog.close(clean=True)
    watchdog.close()
    assert not folder.exists()
    assert tmp_path.exists()


def test_the_temporary_directory_is_made_after_its_watchdog(monkeypatch, tmp_path):
    """A kill between the two would leave it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    folder = new_folder()
    assert list(tmp_path.iterdir()) == []
    watchdog = Watchdog.start(SessionTag.new(), folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o777 == 0o700
    watchdog.close(clean=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["mlgate.sandbox.watchdog", "mlgate.sandbox.interface", "mlgate.images.recipe"])
def test_no_engine_sdk_is_imported_before_it_is_needed(module):
    """A watchdog with nothing to do costs an interpreter, and the pure parts cost less."""
    heavy = "{'docker', 'testcontainers', 'mlflow', 'pandas', 'numpy', 'requests'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
