"""Whole runs in processes of their own: every suite, and two at once."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mlgate.evidence import Evidence
from tests.plugin.seam import EXAMPLE, VARIABLE, score


def write_rows(folder):
    rows = EXAMPLE.sample(400, replace=True, random_state=1, ignore_index=True)
    rows["age"] += rows.index * 0.01
    rows["truth"] = score(rows)["score"] + np.random.default_rng(1).normal(0, 0.05, len(rows))
    rows.to_csv(folder / "rows.csv", index=False)


@pytest.mark.alone
def test_a_whole_run_passes_and_brings_neither_gevent_nor_locust_into_the_process(gated):
    """All five suites against a champion; the load generator has a process of its own."""
    write_rows(gated.pytester.path)
    accuracy = "accuracy: {data: rows.csv, label: truth, prediction: score, metrics: {rmse: {max: 0.5, margin: 0.1}}}"
    gated.policy("schema, properties, accuracy, cold_start, load", accuracy)
    result = gated.run_subprocess(versions=("good", "good"), champion="1", uri="models:/churn/2")
    evidence = gated.evidence(".mlgate/churn-2")
    assert result.ret == 0, [check for check in evidence.checks() if check.outcome != "passed"]
    assert set(evidence.suites) == {"environment", "schema", "properties", "accuracy", "cold_start", "load"}
    assert {"mlflow", "hypothesis"} <= set(gated.told["modules"])
    assert not {"gevent", "locust"} & set(gated.told["modules"])
    assert (gated.told["running"], gated.told["works"]) == (0, [])
    assert gated.told["writes"][-2] == "tag models:/churn/2 mlgate.status = passed"
    assert (gated.pytester.path / ".mlgate/churn-2/load/samples.parquet").exists()
    assert gated.last_line(result).startswith("models:/churn/2: passed (unsigned)")
    result.stdout.re_match_lines(
        [r"passed +load.p95_latency .*n = \d+, \d+ may exceed, \d+ did", r" +\d+/s uses \d+ % of one core"]
    )


def test_two_runs_on_one_version_at_once_both_finish(gated):
    """The same output folder: the files that stay are whole, and of one run."""
    gated.policy("schema, properties")
    orders = {"versions": [str(gated.models("good"))], "champion": None, "at": {}}

    def run(number):
        told = {**orders, "told": str(gated.pytester.path / f"told-{number}.json")}
        command = [
            sys.executable,
            "-m",
            "pytest",
            *gated.options,
            "-p",
            "tests.plugin.seam",
            "--mlgate=models:/churn/1",
        ]
        return subprocess.run(
            [*command, f"--mlgate-seed={number}"], env={**os.environ, VARIABLE: json.dumps(told)}, timeout=120,
            cwd=gated.pytester.path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, (1, 2)))
    assert [result.returncode for result in results] == [0, 0], "\n".join(result.stdout for result in results)
    output = gated.pytester.path / ".mlgate/churn-1"
    evidence = gated.evidence()
    assert evidence.canonical() == (output / "evidence.json").read_bytes()
    assert evidence.seed in (1, 2)
    assert str(evidence.seed) in (output / "report.md").read_text()
    assert not [path.name for path in output.iterdir() if path.name.startswith(".new-")]


@pytest.mark.slow
def test_two_runs_at_once_on_a_real_mlflow_server_both_publish(gated, mlflow_server, monkeypatch):
    """Both runs are stored whole, and the version's tags are those of one of them."""
    import mlflow
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None, raising=False)
    client = MlflowClient(tracking_uri=mlflow_server.uri, registry_uri=mlflow_server.uri)
    run = client.create_run(client.create_experiment("train"))
    client.log_artifacts(run.info.run_id, str(gated.models("good")), "model")
    client.create_registered_model("churn")
    client.create_model_version("churn", f"{run.info.artifact_uri}/model", run.info.run_id)
    orders = {"versions": [], "champion": None, "at": {}, "registry": "mlflow"}

    def start(number):
        told = {**orders, "told": str(gated.pytester.path / f"told-{number}.json")}
        command = [
            sys.executable,
            "-m",
            "pytest",
            *gated.options,
            "-p",
            "tests.plugin.seam",
            "--mlgate=models:/churn/1",
        ]
        return subprocess.run(
            [*command, f"--mlgate-seed={number}"], env={**os.environ, VARIABLE: json.dumps(told)}, timeout=240,
            cwd=gated.pytester.path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(start, (1, 2)))
    assert [result.returncode for result in results] == [0, 0], "\n".join(result.stdout for result in results)
    experiment = client.get_experiment_by_name("mlgate/churn")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    digests = set()
    for stored in runs:
        path = client.download_artifacts(stored.info.run_id, "mlgate/evidence.json", str(gated.pytester.path))
        digests.add(Evidence.from_bytes(Path(path).read_bytes()).digest)
    version = client.get_model_version("churn", "1")
    assert version.tags["mlgate.status"] == "passed"
    assert version.tags["mlgate.evidence"] in digests
    assert version.description.startswith("mlgate: passed")
