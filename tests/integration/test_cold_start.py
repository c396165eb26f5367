"""The cold start suite on a real engine: every phase, the memory, a champion started next to the challenger."""

import shutil
import textwrap

import pytest
import yaml
from mlflow.models import Model

from mlgate.artifacts.signature import parse_signature
from mlgate.policy_file import parse_policy
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.interface import ServerLimits
from tests.suites.harness import Bench, ServedChampion

pytestmark = [pytest.mark.engine, pytest.mark.alone]

MIB = 2**20
POLICY = """
requires: [cold_start]
runtime: {memory: 2GiB}
cold_start: {ready: 5m, first_prediction: 5m, peak_memory: 450MiB, max_ratio_to_champion: 1.25}
"""
# Reads a file, holds 300 MiB for a moment, and computes for as long as the imports took, and three seconds at least: slower
# by far on any machine, and larger, and not wrong.
HEAVY = """
import pathlib, time

def _load_pyfunc(path):
    import mlflow.sklearn
    read = (pathlib.Path(path) / "blob.bin").read_bytes()
    eaten = bytearray(b"x") * (300 << 20)
    del read, eaten
    until = time.process_time() + max(3, time.process_time())
    while time.process_time() < until:
        pass
    return mlflow.sklearn._load_pyfunc(path)
"""


@pytest.fixture
def serve(engine, image, session):
    """Make servers of the shared image, which are stopped at the end."""
    made = []

    def make(model):
        made.append(ContainerServer(engine, image, model, ServerLimits(memory=2**31, ready_timeout_s=300), session))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def heavy_model(sklearn_model, tmp_path):
    """The shared model behind a loader that takes time and memory, in a directory of 110 MB."""
    model = shutil.copytree(sklearn_model, tmp_path / "model")
    document = yaml.safe_load((model / "MLmodel").read_text())
    document["flavors"]["python_function"] |= {"loader_module": "mlgate_heavy", "code": "code"}
    (model / "MLmodel").write_text(yaml.safe_dump(document))
    (model / "code").mkdir()
    (model / "code" / "mlgate_heavy.py").write_text(textwrap.dedent(HEAVY))
    (model / "blob.bin").write_bytes(b"x" * 110_000_000)
    return model


def bench(server, model, output, *, champion=None, policy=POLICY):
    """Put a started server on the suites' bench."""
    server.start()
    signature = Model.load(str(model)).signature
    served = None
    if champion is not None:
        served = ServedChampion(server=champion, signature=parse_signature({"signature": signature.to_dict()}))
    return Bench(
        server=server, signature=signature, policy=parse_policy(policy), output=output, champion=served, timeout_s=30
    )


def test_a_heavy_model_fails_memory_and_regression_and_nothing_else(serve, sklearn_model, heavy_model, tmp_path):
    """Its phases are told from the container's creation on, beside the champion's, and the slowest by name."""
    found = bench(serve(heavy_model), heavy_model, tmp_path, champion=serve(sklearn_model)).findings("cold_start")
    assert {key.partition(".")[2]: str(finding.outcome) for key, finding in found.items()} == {
        "ready": "passed",
        "first_prediction": "passed",
        "peak_memory": "failed",
        "regression": "failed",
    }
    memory = found["cold_start.peak_memory"]
    assert memory.measured > 450 * MIB
    assert memory.details["held_after_bytes"]["anon"] > 50 * MIB
    assert "page cache" in memory.details["counted"]
    regression = found["cold_start.regression"]
    assert regression.n == 5
    assert regression.advice.startswith("load takes ")

    details = found["cold_start.first_prediction"].details
    ours, theirs = details["timeline"], details["champion_timeline"]
    for timeline in (ours, theirs):
        assert set(timeline["before"]) == {"create", "start"}
        assert all(seconds > 0 for seconds in timeline["before"].values())
        phases = list(timeline["phases"].values())
        assert set(timeline["phases"]) == {"interpreter", "imports", "load", "warm_up", "ready", "first_prediction"}
        assert phases == sorted(phases)
        assert timeline["imports"]["imports"]["mlflow"]["pandas"] > 0
        assert "sklearn" in timeline["imports"]["load"]["skops"]
    assert ours["phases"]["load"] - ours["phases"]["imports"] > 3
    read = details["bytes"]
    assert read["model_bytes"] > 110_000_000
    assert read["asked_bytes"] > 110_000_000
    assert 0 < read["mb_per_s"] < 110 / 3
    cold = details["from_disk"]
    assert cold["disk_bytes"] > 100_000_000 > read["disk_bytes"]
    assert cold["first_prediction_s"] > 0
    assert details["environment_image"].startswith(("hit", "build"))


def test_a_healthy_model_passes_and_its_clock_is_the_engines(serve, sklearn_model, tmp_path):
    """Ready before its first prediction, in every start; far less memory than the limit."""
    policy = POLICY.replace(", max_ratio_to_champion: 1.25", "")
    found = bench(serve(sklearn_model), sklearn_model, tmp_path, policy=policy).findings("cold_start")
    assert {str(finding.outcome) for finding in found.values()} == {"passed"}
    ready, first = (found[f"cold_start.{name}"].details["times_s"] for name in ("ready", "first_prediction"))
    assert all(0 < before < after for before, after in zip(ready, first, strict=True))
    assert 50 * MIB < found["cold_start.peak_memory"].measured < 450 * MIB
