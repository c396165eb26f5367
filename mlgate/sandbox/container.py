"""A model server in a hardened container without a network, and a forwarder of ours in front of it."""

import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import docker.errors
from docker.models.containers import Container

from mlgate.artifacts.directory import ModelDirectory
from mlgate.errors import EngineError, FailureKind, ServerError
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.images.facts import BuiltImage
from mlgate.images.recipe import serving_command
from mlgate.sandbox import cgroup, page_cache
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.front import SOCKET, Front
from mlgate.sandbox.hardened import hardened, remove, run
from mlgate.sandbox.interface import BootTimes, EnvironmentImage, MemoryUse, ServerFailure, ServerLimits, Usage
from mlgate.sandbox.limits import Counters, limits_met
from mlgate.sandbox.model_mount import ModelMount
from mlgate.sandbox.readiness import (
    LOG_BYTES,
    LOG_LINES,
    POLL_S,
    Look,
    boot_times,
    failure_of,
    look,
    never_ready,
    not_started,
    oom_worker,
    server_environment,
)
from mlgate.sandbox.session import SessionTag
from mlgate.scoring.protocols import Invocations, ServingProtocol

# The engine is asked whether the container still runs once in so many probes; asking costs it more than a probe does.
PROBES_PER_LOOK = 8
# Python prints the stacks of a few hundred threads in milliseconds; the engine then has to write them.
STACKS_TIMEOUT_S = 3.0


class ContainerServer:
    """A `ModelServer` in a container; see the Protocol for what its methods promise.

    Args:
        engine: Where.
        built_image: The environment; the model is no part of it.
        model_path: Model directory on this host; must be readable by everybody. One that was digested need not be digested
            again where the engine does not see this host's files.
        limits: What the server may use.
        session: Labels of everything it makes.
        protocol: How the model is asked for predictions; default: MLflow's.
    """

    def __init__(
        self,
        engine: Engine,
        built_image: BuiltImage,
        model_path: Path | ModelDirectory,
        limits: ServerLimits,
        session: SessionTag,
        *,
        protocol: ServingProtocol | None = None,
    ) -> None:
        self.protocol: ServingProtocol = protocol or Invocations()
        self._engine = engine
        self._built = built_image
        self._model_path = model_path
        self._limits = limits
        self._session = session
        self._model = ModelMount(engine, built_image.reference, model_path, session)
        self._front = Front(engine, built_image.reference, session)
        self._server: Container | None = None
        self._cores: frozenset[int] | None = None

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""
        return self._built.facts(threads=self._limits.threads)

    @property
    def environment_image(self) -> EnvironmentImage:
        """Whether it was found or built."""
        return EnvironmentImage(hit=self._built.hit, seconds=self._built.seconds)

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
            host=f"{facts.platform}, {facts.cpus} CPUs, {facts.memory >> 20} MiB, {facts.system}{self._placement}",
        )

    @property
    def _placement(self) -> str:
        """What is different from an engine on this machine; empty where nothing is."""
        if self._model.kind != "volume" and self._engine.on_this_kernel:
            return ""
        clock = self._engine.clock
        words = f"; engine at {self._engine.shown_url}, model by {self._model.kind or 'bind'}"
        return f"{words}, its clock {clock.seconds:+.3f} s (± {clock.uncertainty_s:.3f} s), corrected"

    @property
    def url(self) -> str:
        """Base URL of the forwarder's port."""
        return self._front.url

    def start(self) -> BootTimes:
        """Start and block until ready."""
        with engine_errors("the server's container can not be started"):
            try:
                model = self._mounted()
                if not self._front.started:
                    self._front.start()
                remove(self._server)
                self._server = None
                before: dict[str, float] = {}
                options = self._options(model)
                if self._cores is not None:
                    options["cpuset_cpus"] = cgroup.cpuset(self._cores)
                self._server = run(self._engine, self._built.reference, options, seconds=before)
                return self._wait_until_ready(self._server, before)
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
        self._model.release()

    def restart(self) -> BootTimes:
        """Replace the server's container by a new one; the forwarder stays, and with it the URL."""
        return self.start()

    def failure(self) -> ServerFailure | None:
        """Return why it died; a worker killed for memory under a living parent counts as dead, too."""
        if self._server is None:
            return ServerFailure(kind=FailureKind.GONE, message="the server was never started, or is stopped", log="")
        try:
            with engine_errors("the server's container can not be looked at"):
                self._server.reload()
        except EngineError as error:
            return ServerFailure(kind=FailureKind.GONE, message=error.message, log="")
        state = self._server.attrs["State"]
        if not state["Running"]:
            return self._end(state)
        return oom_worker(self._limits.memory, log=self.log()) if self.oom_kills() else None

    def limits_met(self, said: str = "") -> tuple[str, ...]:
        """Return which limits it ran into: the kernel's counters, where the container still runs, and *said*."""
        counted = Counters()
        if self._server is not None:
            refused, free = cgroup.refused_forks(self._server), cgroup.tmp_free(self._server)
            counted = Counters(refused_forks=refused, tmp_free=free)
        return limits_met(said, limits=self._limits, counted=counted)

    def stacks(self) -> str:
        """Have Python print every thread's stack. As process 1 it outlives the signal."""
        if self._server is None:
            return ""
        with suppress(docker.errors.DockerException, OSError):
            self._server.kill("SIGABRT")
            deadline = time.monotonic() + STACKS_TIMEOUT_S
            while "most recent call first" not in self.log() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        return self.log()

    def log(self, lines: int = LOG_LINES) -> str:
        """Return the last lines of its output, standard error among it; 64 KiB at most."""
        return self._output(lines)[-LOG_BYTES:]

    def another(self) -> Self:
        """Return a second server, not started."""
        return type(self)(
            self._engine, self._built, self._model_path, self._limits, self._session, protocol=self.protocol
        )

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel killed for memory."""
        return cgroup.oom_kills(self._server) if self._server is not None else 0

    def memory(self) -> MemoryUse | None:
        """Return the most memory that its cgroup ever held."""
        return cgroup.memory(self._server) if self._server is not None else None

    def usage(self) -> Usage | None:
        """Read the engine's counters of it: not inside it, where there may be no shell and the CPU is the model's."""
        return cgroup.usage(self._server) if self._server is not None else None

    def pin(self, cores: Collection[int] | None) -> bool:
        """Let it run on *cores* only, and the forwarder on the others: that work is ours, not the model's.

        Only where the engine runs on this kernel: the cores of another machine are none that the generator could leave alone.
        """
        online = cgroup.online_cores() if self._engine.on_this_kernel else frozenset()
        wanted = online if cores is None else frozenset(cores)
        if not wanted or not wanted <= online:
            return False
        if self._server is not None and not cgroup.run_on(self._server, wanted):
            return False
        self._cores = None if cores is None else wanted
        self._pin_way(online - wanted or online)
        return True

    def processes(self) -> Mapping[int, str]:
        """Return what the engine lists."""
        return cgroup.processes(self._server) if self._server is not None else {}

    def forget_model_pages(self) -> bool:
        """Drop its files from the page cache, where they are mounted from this host."""
        if self._model.kind != "bind" or not self._engine.on_this_kernel:
            return False
        return page_cache.forget(self._model.folder)

    def peak_memory(self) -> int | None:
        """Return the most bytes its cgroup ever held, page cache included; `None` where no counter can be read."""
        return cgroup.peak_memory(self._server) if self._server is not None else None

    def _output(self, lines: int | None) -> str:
        """Return its last lines, or all that the log driver kept."""
        if self._server is None:
            return ""
        with engine_errors("the server's log can not be read"):
            try:
                raw: bytes = self._server.logs(tail="all" if lines is None else lines)
            except docker.errors.NotFound:
                return ""
        return raw.decode(errors="replace")

    def _mounted(self) -> dict[str, dict[str, str]]:
        """Return where the model comes from."""
        return self._model.volumes()

    def _pin_way(self, cores: frozenset[int]) -> None:
        """Have the way to the server run on *cores*."""
        self._front.pin(cores)

    def _look(self) -> Look:
        """Look once whether it is ready."""
        return look(self._front.host, self._front.port)

    def _options(self, model: dict[str, dict[str, str]]) -> dict[str, Any]:
        limits = self._limits
        return {
            **hardened(self._session, "server", memory=limits.memory, pids=limits.pids),
            "entrypoint": ["/opt/venv/bin/python", *serving_command(self._built.server)],
            "command": ["--model", self._model.path, "--uds", SOCKET, "--threads", str(limits.threads)],
            "environment": server_environment(limits),
            "network": "none",
            "nano_cpus": int(limits.cpus * 1e9),
            "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={limits.tmp_size},mode=1777"},  # noqa: S108  (inside the container)
            "volumes": {**self._front.volumes(), **model},
        }

    def _wait_until_ready(self, container: Container, before: Mapping[str, float]) -> BootTimes:
        deadline = time.monotonic() + self._limits.ready_timeout_s
        probes = 0
        while True:
            seen = self._look()
            ready_at = self._engine.now()  # on the engine's clock, as its time of start
            if seen.said is not None:
                container.reload()
                return boot_times(seen.said, started_at=_started_at(container), ready_at=ready_at, before=before)
            probes += 1
            late = time.monotonic() > deadline
            if late or probes % PROBES_PER_LOOK == 0:
                container.reload()
                if not container.attrs["State"]["Running"]:
                    failure = self._end(container.attrs["State"])
                    met = limits_met(failure.message, limits=self._limits, counted=Counters())
                    raise not_started(failure, met=met)
            if late:
                killed = self.oom_kills() > 0
                whole = self._output(None)
                raise never_ready(self._limits, self.stacks(), seen=seen, worker_killed=killed, output=whole)
            time.sleep(POLL_S)

    def _end(self, state: Mapping[str, Any]) -> ServerFailure:
        """Name the end that the engine tells of."""
        killed = bool(state["OOMKilled"])
        return failure_of(code=int(state["ExitCode"]), oom=killed, log=self.log(), memory=self._limits.memory)


def _started_at(container: Container) -> float:
    """Return the engine's time of start as unix seconds; the engine writes nanoseconds, `datetime` reads micro."""
    text: str = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()
