"""What no network costs: one-row predictions through the forwarder and the unix socket, against a plain published port.

The same image and model, the same limits, both servers running side by side, asked in turn in blocks over one kept
connection each. Goal: the p50 is at most 5 % or 0.3 ms above the plain port's.
"""

import argparse
import http.client
import json
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))
import small_model
from docker.errors import DockerException
from machine import finish, spread

from mlgate.artifacts.directory import read_directory
from mlgate.images.docker import ImageBuilder
from mlgate.images.recipe import serving_command
from mlgate.images.version_recipe import version_recipe
from mlgate.policy import Policy
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.engine import connect
from mlgate.sandbox.hardened import hardened
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import probe, server_environment
from mlgate.sandbox.session import SessionTag
from mlgate.sandbox.watchdog import remove_session

SHARE, MILLISECONDS = 0.05, 0.3
PORT = 8080
BLOCK = 100
WARM_UPS = 50
PATIENCE_S = 120.0


class Caller:
    """One connection that is kept."""

    def __init__(self, host: str, port: int) -> None:
        self.connection = http.client.HTTPConnection(host, port, timeout=30)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.body = json.dumps(small_model.ROW)

    def block(self, requests: int) -> list[float]:
        """Ask one after another; return milliseconds."""
        found = []
        for _ in range(requests):
            began = time.perf_counter()
            self.connection.request("POST", "/invocations", self.body, {"Content-Type": "application/json"})
            answer = self.connection.getresponse().read()
            found.append(1000 * (time.perf_counter() - began))
            if json.loads(answer) != small_model.ANSWER:
                raise SystemExit(f"a wrong answer: {answer[:200]!r}")
        return found


def plain(engine: Any, image: Any, model: Path, limits: ServerLimits, session: SessionTag) -> tuple[Any, int]:
    """Run the same server on an ordinary bridge, with its port published."""
    container = engine.client.containers.run(
        image.reference,
        detach=True,
        entrypoint=["/opt/venv/bin/python", *serving_command(image.server)],
        command=["--model", "/model", "--host", "0.0.0.0", "--port", str(PORT), "--threads", str(limits.threads)],
        environment=server_environment(limits),
        network="bridge",
        ports={f"{PORT}/tcp": ("127.0.0.1",)},
        nano_cpus=int(limits.cpus * 1e9),
        tmpfs={"/tmp": "mode=1777"},
        volumes={str(model): {"bind": "/model", "mode": "ro"}},
        **hardened(session, "server", memory=limits.memory, pids=limits.pids),
    )
    container.reload()
    port = int(container.ports[f"{PORT}/tcp"][0]["HostPort"])
    deadline = time.monotonic() + PATIENCE_S
    while probe("127.0.0.1", port) is None:
        if time.monotonic() > deadline:
            raise SystemExit(container.logs(tail=20).decode())
        time.sleep(0.05)
    return container, port


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 rounds instead of 40")
    rounds = 10 if parser.parse_args().quick else 40
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what it made is removed on the way out
    engine, session = connect(), SessionTag.new()
    limits = ServerLimits()
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as folder:
        try:
            Path(folder).chmod(0o755)
            model = small_model.save(Path(folder))
            image = ImageBuilder(engine, session=session).build(version_recipe(read_directory(model), Policy()))
            sandboxed = ContainerServer(engine, image, model, limits, session)
            sandboxed.start()
            container, port = plain(engine, image, model, limits, session)
            where = urlsplit(sandboxed.url)
            callers = {
                "forwarder": Caller(where.hostname or "", where.port or 0),
                "plain port": Caller("127.0.0.1", port),
            }
            found: dict[str, list[list[float]]] = {name: [] for name in callers}
            for caller in callers.values():
                caller.block(WARM_UPS)
            for turn in range(rounds):
                for name in sorted(callers, reverse=turn % 2 == 0):
                    found[name].append(callers[name].block(BLOCK))
            sandboxed.stop()
            with suppress(DockerException):
                container.remove(force=True, v=True)
        finally:
            remove_session(engine, session)
            engine.close()
    return _report(found, rounds)


def _report(found: dict[str, list[list[float]]], rounds: int) -> int:
    p50 = {name: [median(block) for block in blocks] for name, blocks in found.items()}
    print(f"{'one row, p50 of each block':30}{'ms: median (least to most)':>32}")
    for name, blocks in p50.items():
        print(f"{name:30}{spread(blocks, digits=2):>32}")
    # Of each round, so that both had the same neighbours on the machine.
    extra_ms = median(a - b for a, b in zip(p50["forwarder"], p50["plain port"], strict=True))
    ratio = 1 + extra_ms / median(p50["plain port"])
    print(f"no network: {extra_ms:+.2f} ms, {100 * (ratio - 1):+.1f} %")
    reached = ratio <= 1 + SHARE or extra_ms <= MILLISECONDS
    goal = f"at most {SHARE:.0%} or {MILLISECONDS:g} ms"
    return finish("sandbox_cost", ratio=ratio, goal=goal, n=rounds * BLOCK, reached=reached, extra_ms=round(extra_ms, 3))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
