"""Where the seconds of `mlgate gate` go, for an admitted, signed version in an MLflow server on loopback.

Goal: at most 1 s beside reading and hashing the artifacts, from the start of the process to its end, MLflow's client
included: the gate asks the server without it. The server is real, with sqlite; evidence, envelope and runs are made and
published by the library's own functions. Beside it, in turns in the same run: the import of MLflow's client alone, and the
part of a gate that people write with it (resolve, download, sha256). The ratio is that peer's seconds over ours.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from machine import finish, spread

from mlgate.demo.run import mlflow_server
from tests.admitted import Desk

LIMIT_S = 1.0
MB = 1_000_000
PEER = """
import hashlib, sys, tempfile
from pathlib import Path
from mlflow import MlflowClient, artifacts
name, number = sys.argv[1:]
location = MlflowClient().get_model_version_download_uri(name, number)
with tempfile.TemporaryDirectory() as folder:
    for path in sorted(Path(artifacts.download_artifacts(location, dst_path=folder)).rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                print(hashlib.file_digest(file, "sha256").hexdigest())
"""
# A gate that notes when what begins and ends; the whole command beside it is not touched.
PARTS = """
import json, sys, time
began = float(sys.argv.pop(1))
parts = {"python starts": time.time() - began}
def timed(owner, name, part):
    real = getattr(owner, name)
    def call(*args, **named):
        start = time.perf_counter()
        try:
            return real(*args, **named)
        finally:
            parts[part] = parts.get(part, 0.0) + time.perf_counter() - start
    setattr(owner, name, call)
start = time.perf_counter()
import mlgate.gate, mlgate.policy_file, mlgate.attest.key_files, mlgate.artifacts.digest_bar, mlgate.artifacts.store_digest
from mlgate.cli.app import run
from mlgate.registry import mlflow_http
from mlgate.registry.mlflow import MlflowRegistry
parts["importing mlgate"] = time.perf_counter() - start
timed(mlflow_http, "probe", "probe of the server")
timed(MlflowRegistry, "resolve", "version and alias")
timed(MlflowRegistry, "aliases", "version and alias")
timed(MlflowRegistry, "digests", "digest")
timed(MlflowRegistry, "evidence", "evidence download")
timed(mlgate.gate, "admit", "verification and decision")
timed(mlgate.policy_file, "load_policy", "policy")
code = run(sys.argv[1:])
parts["version and alias"] -= parts["probe of the server"]
parts["mlflow imported"] = float("mlflow" in sys.modules)
parts["rest"] = time.time() - began - sum(value for part, value in parts.items() if part != "mlflow imported")
print(json.dumps(parts), file=sys.stderr)
sys.exit(code)
"""


def seconds(command: list[str], folder: Path) -> tuple[float, "subprocess.CompletedProcess[str]"]:
    """Run a command that must succeed; return how long it took, and what it said."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    taken = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return taken, done


def measure(folder: Path, uri: str, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return whole processes, and the parts of a gate, in seconds; the first round, which warms up, does not count."""
    python, name, number = sys.executable, *uri.removeprefix("models:/").split("/")
    whole: dict[str, list[float]] = {}
    parts: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        gate, said = seconds([python, "-m", "mlgate", "gate", uri], folder)
        if "admitted" not in said.stdout or "signed by ci.pub" not in said.stdout:
            sys.exit(f"not admitted as signed: {said.stdout}")
        _, noted = seconds([python, "-c", PARTS, repr(time.time()), "gate", uri], folder)
        found = {
            "mlgate gate": gate,
            "python -c pass": seconds([python, "-c", "pass"], folder)[0],
            "import MlflowClient": seconds([python, "-c", "from mlflow import MlflowClient"], folder)[0],
            "MLflow's client and sha256": seconds([python, "-c", PEER, name, number], folder)[0],
        }
        if turn:
            for key, value in found.items():
                whole.setdefault(key, []).append(value)
            for part, value in json.loads(noted.stderr.splitlines()[-1]).items():
                parts.setdefault(part, []).append(value)
    return whole, parts


def show(title: str, whole: dict[str, list[float]], parts: dict[str, list[float]]) -> dict[str, float]:
    """Print one scene; return its medians in seconds."""
    print(f"\n{title}\n{'':30}{'s: median (least to most)':>28}")
    imported = bool(max(parts["mlflow imported"]))
    for name, found in whole.items():
        print(f"{name:30}{spread(found, digits=2):>28}")
    for name, found in parts.items():
        if name != "mlflow imported":
            print(f"  {name:28}{spread(found, digits=3):>28}")
    print(f"  MLflow's client {'is' if imported else 'is not'} imported")
    beside = median(whole["mlgate gate"]) - median(parts["digest"])
    print(f"beside the digest: {beside:.2f} s")
    medians = {name: round(median(found), 3) for name, found in (*whole.items(), *parts.items())}
    return {**medians, "beside the digest": round(beside, 3)}


def main() -> int:
    """Measure a model with one gate run, and one with twenty; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 MB instead of 400, three turns instead of nine")
    quick = parser.parse_args().quick
    size, rounds = (40 * MB, 3) if quick else (400 * MB, 9)
    results = {}
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        folder = Path(name)
        model = folder / "model"
        model.mkdir()
        (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: none\n")
        for number in range(4):
            (model / f"weights-{number}.bin").write_bytes(os.urandom(size // 4))
        with mlflow_server(folder) as uri:
            os.environ |= {"MLFLOW_TRACKING_URI": uri, "MLGATE_CACHE": str(folder / "cache")}
            desk = Desk.at(folder, uri)
            for runs in (1, 20):
                version = desk.add(f"churn-{runs}", model)
                desk.passed(version, model, ages=[3600.0 + 60 * age for age in range(runs)])
                title = f"{size / MB:.0f} MB, evidence of {runs} gate run{'s' * (runs > 1)}"
                results[str(runs)] = show(title, *measure(folder, version.uri, rounds))
    ratio = results["1"]["MLflow's client and sha256"] / results["1"]["mlgate gate"]
    worst = max(found["beside the digest"] for found in results.values())
    goal = f"at most {LIMIT_S:g} s beside the digest, MLflow's client included"
    return finish("gate_time", ratio=ratio, goal=goal, n=rounds, reached=worst <= LIMIT_S, mb=size / MB, runs=results)


if __name__ == "__main__":
    sys.exit(main())
