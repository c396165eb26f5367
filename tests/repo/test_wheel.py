"""The wheel: built, installed in an empty environment away from the checkout, and used there."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parents[2]
PACKAGES = {"mlgate", "pytest_mlgate", "mlgate_suites"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), str(ROOT)], check=True, capture_output=True)  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An empty environment with the wheel in it; a folder with nothing of the checkout."""
    home = tmp_path_factory.mktemp("away")
    tool, locked = uv.find_uv_bin(), home / "locked.txt"
    environment = {**os.environ, "UV_LINK_MODE": "copy"}
    subprocess.run([tool, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "-o", str(locked)], check=True, cwd=ROOT, env=environment)  # fmt: skip
    subprocess.run([tool, "venv", "--quiet", str(home / "venv"), "--python", sys.executable], check=True, cwd=home, env=environment)  # fmt: skip
    subprocess.run([tool, "pip", "install", "--quiet", "--python", str(home / "venv/bin/python"), "-r", str(locked), str(wheel)], check=True, cwd=home, env=environment)  # fmt: skip
    return home


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment, away from the checkout."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYTEST"))}
    command = [str(home / "venv/bin" / words[0]), *words[1:]]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, env=clean)


def test_the_wheel_carries_three_packages_and_their_files(wheel):
    """Nothing more at the top level, and the files that are no modules too."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == PACKAGES
    for needed in ("mlgate/py.typed", "mlgate/load/generator/locustfile.py", "mlgate/cli/mlgate.yaml", "mlgate/cli/pytest.ini",
                   "mlgate/demo/mlgate.yaml", "mlgate/sandbox/forwarder.py", "mlgate_suites/load.py"):  # fmt: skip
        assert needed in names, needed
    assert any(name.startswith("mlgate/report/templates/") for name in names)


def test_the_installed_suites_are_collected_by_import_name(installed):
    """Away from the checkout, as a user would."""
    done = run(installed, "python", "-m", "pytest", "--collect-only", "-q", "--strict-markers", "-p", "no:locust", "--pyargs", "mlgate_suites.schema", "mlgate_suites.load")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_signature" in done.stdout
    assert "test_p95_latency" in done.stdout


def test_the_installed_command_answers(installed):
    """The entry point is there, and so are its data files."""
    assert "Usage: mlgate" in run(installed, "mlgate", "--help").stdout
    assert run(installed, "mlgate", "init").returncode == 0
    assert run(installed, "mlgate", "policy", "check").returncode == 0


def test_the_installed_plugin_is_found_and_refuses_a_wrong_uri_in_one_line(installed):
    """The entry point is enough for pytest; no server is needed to say that a URI is none."""
    done = run(installed, "pytest", "--mlgate", "modells:/churn/3", "-p", "no:locust")
    assert done.returncode == 4
    assert done.stderr.count("\n") <= 2
    assert "'modells:/churn/3' is not a model URI" in done.stderr
