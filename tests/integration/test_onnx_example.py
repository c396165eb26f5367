"""The ONNX example as a reader runs it: magika's model, through the suites that its policy asks for, by both servers."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).parents[2] / "examples/onnx_model"
ROWS = 100


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model directory that the example's script logs."""
    import mlflow

    folder = tmp_path_factory.mktemp("onnx") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)  # MLflow would log the lock file of the project that it finds itself in
        script = runpy.run_path(str(EXAMPLE / "register.py"))
        mlflow.onnx.save_model(path=folder, **script["what_to_log"]())
    return folder


@pytest.mark.parametrize("server", ["mlflow", "mlserver"])
def test_a_real_tensor_model_passes_with_the_examples_policy(model, tmp_path, server):
    """Rows of 2048 elements in the range that the policy tells, over MLflow's protocol and over V2; fewer than its 500."""
    policy = (EXAMPLE / "mlgate.yaml").read_text().replace("examples: 500", f"examples: {ROWS}")
    (tmp_path / "mlgate.yaml").write_text(f"{policy}runtime: {{server: {server}}}\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--mlgate", str(model)]
    command += ["--mlgate-suite", "schema", "--mlgate-suite", "properties"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    written = list(tmp_path.glob(".mlgate/*/evidence.json"))
    assert written, done.stdout + done.stderr
    evidence = json.loads(written[0].read_text())
    checks = {check["id"]: check for name in ("schema", "properties") for check in evidence["suites"][name]["checks"]}
    required = {key: check["outcome"] for key, check in checks.items() if not check["details"].get("advisory")}
    assert set(required.values()) == {"passed"}, done.stdout + done.stderr
    total = checks["properties.total"]
    assert total["n"] == ROWS
    assert total["details"]["coverage"]["columns"]["bytes"]["distinct"] > ROWS / 4
    assert evidence["image"]["server"].partition("+")[0] == server
