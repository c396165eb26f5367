"""Start of a container to the first correct prediction: ours, `mlflow models serve`, the build_docker image, and the floor.

One model, one base image, one CPU and 1 GiB each, interleaved. Ours and `mlflow models serve` run in the very same
environment image, bytecode compiled. The clock starts at the engine's `StartedAt`, and every start is asked until it gives the
right answer. The floor is a container in that image that loads the model with `mlflow.pyfunc.load_model`, which is the loader
that the model itself names, predicts one row and says so: container, interpreter, and the imports and load that the model
needs; no server. The bare floor loads the model's file with skops and no MLflow at all: no MLflow server can reach it.

Goals: at least 1.5 times faster than both peers, and within 0.5 s of the floor (medians).
"""

import argparse
import http.client
import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))
import peer_image
import small_model
from docker.errors import DockerException
from machine import finish, spread

from mlgate.artifacts.directory import read_directory
from mlgate.images.docker import ImageBuilder
from mlgate.images.version_recipe import version_recipe
from mlgate.policy import Policy
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import Engine, connect
from mlgate.sandbox.hardened import USER
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import server_environment
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import remove_session

FASTER, FLOOR_S = 1.5, 0.5
PORT = 8080
PYTHON = "/opt/venv/bin/python"
POLL_S = 0.025
PATIENCE_S = 180.0
DONE = "FIRST PREDICTION"
_ROW = "pandas.DataFrame({'a': [0.1], 'b': [0.9]})"
_SAY = f"assert list(answer) == [0]; print('{DONE}', time.time(), flush=True)"
FLOOR = f"import mlflow.pyfunc; model = mlflow.pyfunc.load_model('/model'); import pandas, time; answer = model.predict({_ROW}); {_SAY}"
BARE = f"import pandas, time; import skops.io; model = skops.io.load('/model/model.skops', trusted=[]); answer = model.predict({_ROW}); {_SAY}"


class Contest:
    """The contestants' starts, one at a time."""

    def __init__(self, engine: Engine, session: SessionTag, model: Path, image: Any, peer: str) -> None:
        self.engine, self.session, self.model, self.image, self.peer = engine, session, model, image, peer
        self.limits = ServerLimits()

    def ours(self) -> float:
        """Start a `ContainerServer` and ask it once."""
        server = ContainerServer(self.engine, self.image, self.model, self.limits, self.session)
        try:
            boot = server.start()
            began = time.perf_counter()
            where = urlsplit(server.url)
            self._until_right(where.port or 0, where.hostname or "")
            return boot.ready_s + time.perf_counter() - began
        finally:
            server.stop()

    def models_serve(self) -> float:
        """`mlflow models serve` in our environment image."""
        command = ["-m", "mlflow", "models", "serve", "-m", "/model", "--env-manager", "local", "-h", "0.0.0.0", "-p", str(PORT)]  # fmt: skip
        return self._answers(image=self.image.reference, entrypoint=[PYTHON], command=command, user=f"{USER}:{USER}")

    def build_docker(self) -> float:
        """The image that MLflow builds, as it is; it needs to write where it wants."""
        return self._answers(image=self.peer, command=None, read_only=False, volumes={})

    def floor(self) -> float:
        """The model's own loader, and no server."""
        return self._prints(FLOOR)

    def bare_floor(self) -> float:
        """The model's file, and no MLflow."""
        return self._prints(BARE)

    def _answers(self, **options: Any) -> float:
        container = self._run(ports={f"{PORT}/tcp": ("127.0.0.1",)}, **options)
        try:
            container.reload()
            self._until_right(int(container.ports[f"{PORT}/tcp"][0]["HostPort"]))
            return time.time() - _started_at(container)
        finally:
            container.remove(force=True, v=True)

    def _prints(self, program: str) -> float:
        container = self._run(
            image=self.image.reference, entrypoint=[PYTHON, "-c"], command=[program], network_mode="none"
        )
        try:
            if container.wait(timeout=PATIENCE_S)["StatusCode"]:
                raise SystemExit(container.logs(tail=5).decode())
            container.reload()
            said = re.search(rf"{DONE} ([\d.]+)", container.logs().decode())
            return float(said.group(1)) - _started_at(container) if said else float("nan")
        finally:
            container.remove(force=True, v=True)

    def _run(self, **options: Any) -> Any:
        environment = {**server_environment(self.limits), "MLFLOW_MODELS_WORKERS": "1"}
        same: dict[str, Any] = {
            "detach": True,
            "environment": environment,
            "labels": self.session.labels(),
            "mem_limit": self.limits.memory,
            "memswap_limit": self.limits.memory,
            "nano_cpus": int(self.limits.cpus * 1e9),
            "read_only": True,
            "tmpfs": {"/tmp": "mode=1777"},
            "volumes": {str(self.model): {"bind": "/model", "mode": "ro"}},
        }
        return self.engine.client.containers.run(**(same | options))

    def _until_right(self, port: int, host: str = "127.0.0.1") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            connection = http.client.HTTPConnection(host, port, timeout=10)
            with suppress(OSError, http.client.HTTPException, ValueError):
                body, headers = json.dumps(small_model.ROW), {"Content-Type": "application/json"}
                connection.request("POST", "/invocations", body, headers)
                if json.loads(connection.getresponse().read()) == small_model.ANSWER:
                    connection.close()
                    return
            connection.close()
            time.sleep(POLL_S)
        raise SystemExit(f"no right answer within {PATIENCE_S:g} s")


def _started_at(container: Any) -> float:
    text = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 10")
    rounds = 5 if parser.parse_args().quick else 10
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it made is removed on the way out
    engine, session = connect(), SessionTag.new()
    name = f"mlgate-benchmark-serve:{session.id}"
    made: list[str] = [name]
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        try:
            Path(folder).chmod(0o755)
            model = small_model.save(Path(folder))
            directory = read_directory(model)
            image = ImageBuilder(engine, session=session).build(version_recipe(directory, Policy()))
            made.append(peer_image.peer_base(engine, image.base))
            peer_image.build_docker(model, name, made[-1], Path(folder) / "build.log")
            contest = Contest(engine, session, model, image, name)
            times = _measure(contest, rounds)
        except DockerException as error:
            raise SystemExit(f"{error}") from error
        finally:
            remove_session(engine, session)
            peer_image.forget(engine, *made)
            engine.close()
    return _report(times, rounds)


def _measure(contest: Contest, rounds: int) -> dict[str, list[float]]:
    contestants: dict[str, Callable[[], float]] = {
        "mlgate": contest.ours,
        "mlflow models serve": contest.models_serve,
        "build_docker image": contest.build_docker,
        "floor": contest.floor,
        "bare floor": contest.bare_floor,
    }
    for start in contestants.values():
        start()  # page cache: every one of them is measured warm
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        order = list(contestants.items())
        for name, start in order[turn % len(order) :] + order[: turn % len(order)]:
            times[name].append(start())
    return times


def _report(times: dict[str, list[float]], rounds: int) -> int:
    print(f"{'start to first correct prediction':36}{'s: median (least to most)':>30}")
    for contestant, found in times.items():
        print(f"{contestant:36}{spread(found, digits=2):>30}")
    ours = median(times["mlgate"])
    ratios = {peer: median(times[peer]) / ours for peer in ("mlflow models serve", "build_docker image")}
    # Of each round, so that both sides had the same neighbours on the machine.
    above = {
        floor: median(a - b for a, b in zip(times["mlgate"], times[floor], strict=True))
        for floor in ("floor", "bare floor")
    }
    print(", ".join(f"{ratio:.2f} times faster than {peer}" for peer, ratio in ratios.items()))
    print(f"{above['floor']:+.2f} s over the floor, {above['bare floor']:+.2f} s over the bare floor")
    reached = min(ratios.values()) >= FASTER and above["floor"] <= FLOOR_S
    goal = f"at least {FASTER:g} times faster than both, within {FLOOR_S:g} s of the floor"
    medians = {name: round(median(found), 3) for name, found in times.items()}
    seconds = {name: round(value, 3) for name, value in above.items()}
    return finish("cold_start", ratio=min(ratios.values()), goal=goal, n=rounds, reached=reached, medians_s=medians, above_s=seconds)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
