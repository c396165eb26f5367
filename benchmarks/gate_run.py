"""Where the seconds of a gate run go: the demo's good version, cold (no image, no cached model) and warm.

The load suite's own duration is the policy's choice and is left out of the totals. Goal: a second run of the same
version spends under 1 s on the image. The ratio is warm over cold, load left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish

from mlgate.demo.run import mlflow_server, train
from mlgate.images.built import REPOSITORY
from mlgate.sandbox.engine import connect


def forget_images() -> None:
    """Remove the environment images, so that the next run has to build one. The engine's uv cache stays."""
    engine = connect()
    for image in engine.client.images.list(name=REPOSITORY):
        engine.client.images.remove(image.id or "", force=True)
    engine.close()


def run(folder: Path, uri: str, environment: dict[str, str]) -> dict[str, float]:
    """Test one version and return its phases in seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "mlgate", "test", uri, "--folder", str(folder / "report")]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    total = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"the good version did not pass:\n{done.stdout[-3000:]}")
    evidence = json.loads((folder / "report" / "evidence.json").read_bytes())
    checks = {check["id"]: check for check in evidence["suites"]["environment"]["checks"]}
    phases = dict(checks["environment.load"]["details"]["seconds"])
    suites = {name: suite["duration_s"] for name, suite in evidence["suites"].items()}
    load = suites.pop("load")
    suites.pop("environment")
    rest = total - load - sum(phases.values()) - sum(suites.values())
    return {**phases, **suites, "start-up, fetch, publish": rest, "total without load": total - load}


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one warm run instead of three")
    warm_runs = 1 if parser.parse_args().quick else 3
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        folder = Path(name)
        with mlflow_server(folder) as uri:
            environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLGATE_CACHE": str(folder / "cache")}
            version = train(folder, "container", environment)["good"]
            forget_images()
            cold = run(folder, f"models:/affairs/{version}", environment)
            warm = [run(folder, f"models:/affairs/{version}", environment) for _ in range(warm_runs)]
    middle = {phase: sorted(each[phase] for each in warm)[warm_runs // 2] for phase in cold}
    print(f"{'phase':28}{'cold s':>10}{'warm s':>10}")
    for phase, seconds in cold.items():
        print(f"{phase:28}{seconds:>10.2f}{middle[phase]:>10.2f}")
    ratio = middle["total without load"] / cold["total without load"]
    reached = middle["image"] < 1.0
    return finish("gate_run", ratio=ratio, goal="image under 1 s when it is there", n=warm_runs, reached=reached, cold=cold, warm=middle)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
