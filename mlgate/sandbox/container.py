"""A model server in a hardened container without a network, and a forwarder of ours in front of it."""

import re
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import docker.errors
from docker.models.containers import Container

from mlgate.errors import EngineError, ServerError
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.images.facts import BuiltImage
from mlgate.sandbox import cgroup
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.front import SOCKET, Front
from mlgate.sandbox.hardened import hardened, remove, run
from mlgate.sandbox.interface import BootTimes, ServerFailure, ServerLimits
from mlgate.sandbox.model_mount import ModelMount
from mlgate.sandbox.readiness import (
    LOG_LINES,
    POLL_S,
    boot_times,
    failure_of,
    never_ready,
    not_started,
    probe,
    server_environment,
)
from mlgate.sandbox.session import SessionTag

# The engine is asked whether the container still runs once in so many probes; asking costs it more than a probe does.
PROBES_PER_LOOK = 8


class ContainerServer:
    """A `ModelServer` in a container; see the Protocol for what its methods promise.

    Args:
        engine: Where.
        built_image: The environment; the model is no part of it.
        model_path: Model directory on this host; must be readable by everybody.
        limits: What the server may use.
        session: Labels of everything it makes.
    """

    def __init__(
        self, engine: Engine, built_image: BuiltImage, model_path: Path, limits: ServerLimits, session: SessionTag
    ) -> None:
        self._engine = engine
        self._built = built_image
        self._model_path = model_path
        self._limits = limits
        self._session = session
        self._model = ModelMount(model_path)
        self._front = Front(engine, built_image.reference, session)
        self._server: Container | None = None

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""
        return self._built.facts(threads=self._limits.threads)

    @property
    def sandbox(self) -> SandboxFacts:
        """How it is contained."""
        facts = self._engine.facts
        return SandboxFacts(
            kind="container",
            engine=f"{facts.name} {facts.version}",
            cpus=self._limits.cpus,
            memory=self._limits.memory,
            network="none",
            host=f"{facts.platform}, {facts.cpus} CPUs, {facts.memory >> 20} MiB, {facts.system}",
        )

    @property
    def url(self) -> str:
        """Base URL of the forwarder's port."""
        return self._front.url

    def start(self) -> BootTimes:
        """Start and block until ready."""
        with engine_errors("the server's container can not be started"):
            try:
                model = self._model.volumes()
                if not self._front.started:
                    self._front.start()
                remove(self._server)
                self._server = None
                self._server = run(self._engine, self._built.reference, self._options(model))
                return self._wait_until_ready(self._server)
            except ServerError:
                raise  # The container stays, so that its log can be read until `stop`.
            except BaseException:
                # An interrupt may strike between a container's creation and its name here: that one is the watchdog's,
                # and its volume with it. Failing to remove the volume now must not hide why we stop.
                with suppress(EngineError):
                    self.stop()
                raise

    def stop(self) -> None:
        """Remove the server's container, and its front."""
        remove(self._server)
        self._server = None
        self._front.stop()

    def restart(self) -> BootTimes:
        """Replace the server's container by a new one; the forwarder stays, and with it the URL."""
        return self.start()

    def failure(self) -> ServerFailure | None:
        """Return why it died; a worker killed for memory under a living parent counts as dead, too."""
        if self._server is None:
            return ServerFailure(kind="gone", message="the server was never started, or is stopped", log="")
        try:
            with engine_errors("the server's container can not be looked at"):
                self._server.reload()
        except EngineError as error:
            return ServerFailure(kind="gone", message=error.message, log="")
        state = self._server.attrs["State"]
        if not state["Running"]:
            return failure_of(code=int(state["ExitCode"]), oom=bool(state["OOMKilled"]), log=self.log())
        if self.oom_kills():
            message = "a process of the server was killed: it went over the memory limit; the server itself still runs"
            return ServerFailure(kind="oom", message=message, log=self.log())
        return None

    def log(self, lines: int = LOG_LINES) -> str:
        """Return the last lines of its output, standard error among it."""
        if self._server is None:
            return ""
        with engine_errors("the server's log can not be read"):
            try:
                raw: bytes = self._server.logs(tail=lines)
            except docker.errors.NotFound:
                return ""
        return raw.decode(errors="replace")

    def another(self) -> Self:
        """Return a second server, not started."""
        return type(self)(self._engine, self._built, self._model_path, self._limits, self._session)

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel killed for memory."""
        return cgroup.oom_kills(self._server) if self._server is not None else 0

    def peak_memory(self) -> int | None:
        """Return the most bytes its cgroup ever held, page cache included; `None` where no counter can be read."""
        return cgroup.peak_memory(self._server) if self._server is not None else None

    def _options(self, model: dict[str, dict[str, str]]) -> dict[str, Any]:
        limits = self._limits
        return {
            **hardened(self._session, "server", memory=limits.memory, pids=limits.pids),
            "entrypoint": ["/opt/venv/bin/python", "-m", "mlgate_serving"],
            "command": ["--model", self._model.path, "--uds", SOCKET, "--threads", str(limits.threads)],
            "environment": server_environment(limits),
            "network": "none",
            "nano_cpus": int(limits.cpus * 1e9),
            "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={limits.tmp_size},mode=1777"},  # noqa: S108  (inside the container)
            "volumes": {**self._front.volumes(), **model},
        }

    def _wait_until_ready(self, container: Container) -> BootTimes:
        deadline = time.monotonic() + self._limits.ready_timeout_s
        probes = 0
        while True:
            said = probe(self._front.host, self._front.port)
            ready_at = time.time()
            if said is not None:
                container.reload()
                return boot_times(said, started_at=_started_at(container), ready_at=ready_at)
            probes += 1
            if probes % PROBES_PER_LOOK == 0:
                container.reload()
                state = container.attrs["State"]
                if not state["Running"]:
                    failure = failure_of(code=int(state["ExitCode"]), oom=bool(state["OOMKilled"]), log=self.log())
                    raise not_started(failure, int(state["ExitCode"]))
            if time.monotonic() > deadline:
                raise never_ready(self._limits, self.log())
            time.sleep(POLL_S)


def _started_at(container: Container) -> float:
    """Return the engine's time of start as unix seconds; the engine writes nanoseconds, `datetime` reads micro."""
    text: str = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()
