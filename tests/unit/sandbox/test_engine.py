import subprocess
import sys

import pytest

from mlgate.errors import ConfigError, EngineError
from mlgate.sandbox.engine import connect
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import Watchdog


def test_an_engine_that_does_not_answer_is_said_in_one_line(monkeypatch, tmp_path):
    """With where it was looked for, and what to do."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match=r"no container engine answers at unix://.*none\.sock\. Hint: ") as caught:
        connect()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["tcp://user:secret@docker:2375", "ssh://user:secret@host", "https://user:secret@host:2376"]
)
def test_an_engine_on_another_machine_is_refused(monkeypatch, url):
    """Without repeating its credentials."""
    monkeypatch.setenv("DOCKER_HOST", url)
    with pytest.raises(EngineError, match="not supported yet") as caught:
        connect()
    assert "secret" not in str(caught.value)


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


@pytest.mark.parametrize("module", ["mlgate.sandbox.watchdog", "mlgate.sandbox.interface", "mlgate.images.recipe"])
def test_no_engine_sdk_is_imported_before_it_is_needed(module):
    """A watchdog with nothing to do costs an interpreter, and the pure parts cost less."""
    heavy = "{'docker', 'testcontainers', 'mlflow', 'pandas', 'numpy', 'requests'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
