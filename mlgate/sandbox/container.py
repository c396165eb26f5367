"""A model server in a hardened container without a network, and a forwarder of ours in front of it."""

import os
import re
import stat
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import docker.errors
from docker.models.containers import Container
from docker.types import LogConfig

from mlgate.errors import EngineError, ServerError
from mlgate.evidence import ImageFacts, SandboxFacts
from mlgate.images.facts import BuiltImage
from mlgate.sandbox import forwarder
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.interface import BootTimes, ServerFailure, ServerLimits
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

USER = 65534
MODEL = "/model"
SOCKETS = "/run/mlgate"
SOCKET = f"{SOCKETS}/server.sock"
PORT = 8080
# The engine is asked whether the container still runs once in so many probes; asking costs it more than a probe does.
PROBES_PER_LOOK = 8
FORWARDER_TIMEOUT_S = 20.0
FORWARDER_MEMORY = 64 * 2**20
# cgroup v1 and v2, as seen from inside the container.
_OOM_FILES = ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory.events")
_PEAK_FILES = ("/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak")


class ContainerServer:
    """A `ModelServer` in a container; see the Protocol for what its methods promise.

    Args:
        engine: Where.
        built_image: The environment; the model is no part of it.
        model_path: Model directory on this host; mounted read-only, must be readable by everybody.
        limits: What the server may use.
        session: Labels of everything it makes.
    """

    def __init__(
        self, engine: Engine, built_image: BuiltImage, model_path: Path, limits: ServerLimits, session: SessionTag
    ) -> None:
        self._engine = engine
        self._built = built_image
        self._model = model_path.resolve()
        self._limits = limits
        self._session = session
        self._volume: Any = None
        self._forwarder: Container | None = None
        self._server: Container | None = None
        self._port = 0

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
        """Base URL of the forwarder's loopback port."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> BootTimes:
        """Start and block until ready."""
        _check_readable(self._model)
        with engine_errors("the server's container can not be started"):
            try:
                if self._forwarder is None:
                    self._start_forwarder()
                self._remove(self._server)
                self._server = None
                self._server = self._run(self._server_options())
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
        """Remove both containers and the volume."""
        for container in (self._server, self._forwarder):
            self._remove(container)
        self._server = self._forwarder = None
        if self._volume is not None:
            with engine_errors("the socket's volume can not be removed"), suppress(docker.errors.NotFound):
                self._volume.remove(force=True)
            self._volume = None

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
        return type(self)(self._engine, self._built, self._model, self._limits, self._session)

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel killed for memory: Docker's own flag misses a worker's death."""
        text = self._read_inside(_OOM_FILES)
        match = re.search(r"^oom_kill (\d+)$", text or "", re.MULTILINE)
        return int(match.group(1)) if match else 0

    def peak_memory(self) -> int | None:
        """Return the most bytes its cgroup ever held, page cache included; `None` where no counter can be read."""
        text = (self._read_inside(_PEAK_FILES) or "").strip()
        return int(text) if text.isdigit() else None

    def _read_inside(self, paths: tuple[str, ...]) -> str | None:
        """Read the first file that exists, inside the container: the host's /sys may belong to another machine."""
        if self._server is None:
            return None
        script = "; ".join(f"if [ -f {path} ]; then exec cat {path}; fi" for path in paths)
        try:
            code, output = self._server.exec_run(["sh", "-c", script], user=f"{USER}:{USER}")
        except (docker.errors.DockerException, OSError):
            return None
        return bytes(output).decode(errors="replace") if code == 0 and isinstance(output, bytes) else None

    def _start_forwarder(self) -> None:
        self._volume = self._engine.client.volumes.create(
            driver="local",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"uid={USER},gid={USER},mode=0700,size=1m"},
            labels=self._session.labels(),
        )
        source = Path(forwarder.__file__).read_text(encoding="utf-8")
        self._forwarder = self._run(
            {
                **self._hardened("forwarder", memory=FORWARDER_MEMORY, pids=16),
                "entrypoint": ["/opt/venv/bin/python", "-I", "-S", "-c", source],
                "command": [SOCKET, "0.0.0.0", str(PORT)],  # noqa: S104  (inside its container; published on loopback only)
                "network": "bridge",
                "ports": {f"{PORT}/tcp": ("127.0.0.1",)},
                "volumes": {self._volume.name: {"bind": SOCKETS, "mode": "rw"}},
            }
        )
        self._forwarder.reload()
        bound = self._forwarder.ports.get(f"{PORT}/tcp") or []
        if not bound:
            raise EngineError(f"the forwarder's port was not published: {self._forwarder.logs(tail=5)!r}")
        self._port = int(bound[0]["HostPort"])
        # It must not take CPU from a cold start that is being measured.
        self._await_forwarder(self._forwarder)

    def _await_forwarder(self, container: Container) -> None:
        deadline = time.monotonic() + FORWARDER_TIMEOUT_S
        while b"forwarding" not in container.logs(tail=5):
            container.reload()
            if container.status != "running" or time.monotonic() > deadline:
                raise EngineError(f"the forwarder did not start: {container.logs(tail=5).decode(errors='replace')}")
            time.sleep(POLL_S)

    def _server_options(self) -> dict[str, Any]:
        limits = self._limits
        return {
            **self._hardened("server", memory=limits.memory, pids=limits.pids),
            "entrypoint": ["/opt/venv/bin/python", "-m", "mlgate_serving"],
            "command": ["--model", MODEL, "--uds", SOCKET, "--threads", str(limits.threads)],
            "environment": server_environment(limits),
            "network": "none",
            "nano_cpus": int(limits.cpus * 1e9),
            "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={limits.tmp_size},mode=1777"},  # noqa: S108  (inside the container)
            "volumes": {
                self._volume.name: {"bind": SOCKETS, "mode": "rw"},
                str(self._model): {"bind": MODEL, "mode": "ro"},
            },
        }

    def _hardened(self, role: str, *, memory: int, pids: int) -> dict[str, Any]:
        return {
            "labels": {**self._session.labels(), "mlgate.role": role},
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": pids,
            "mem_limit": memory,
            "memswap_limit": memory,
            "user": f"{USER}:{USER}",
            "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "5m", "max-file": "1"}),
        }

    def _run(self, options: dict[str, Any]) -> Container:
        container = _testcontainer(self._engine, self._built.reference, options)
        try:
            container.start()
        except BaseException:
            with suppress(docker.errors.DockerException, OSError):
                container.stop()
            raise
        wrapped: Container = container.get_wrapped_container()
        # Ours from here on: testcontainers would end its client with the container.
        ours = self._engine.client.containers.get(wrapped.id or "")
        container.get_docker_client().client.close()
        return ours

    def _remove(self, container: Container | None) -> None:
        if container is None:
            return
        with engine_errors("a container can not be removed"):
            try:
                container.remove(force=True, v=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                # 409: the watchdog, or an earlier call, is removing it at this moment.
                if error.response is None or error.response.status_code != 409:
                    raise

    def _wait_until_ready(self, container: Container) -> BootTimes:
        deadline = time.monotonic() + self._limits.ready_timeout_s
        probes = 0
        while True:
            said = probe("127.0.0.1", self._port)
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


def _testcontainer(engine: Engine, image: str, options: dict[str, Any]) -> Any:
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  (reads files of the home directory)
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  (as above)

    # Its reaper needs an image that may not be pullable and the engine's socket; our watchdog does its work.
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.hub_image_name_prefix = ""
    rest = dict(options)
    container = DockerContainer(image, docker_client_kw=engine.client_kw(), command=rest.pop("command"))
    container.env = rest.pop("environment", {})
    container.ports = rest.pop("ports", {})
    container.volumes = rest.pop("volumes", {})
    container.tmpfs = rest.pop("tmpfs", {})
    return container.with_kwargs(**rest)


def _started_at(container: Container) -> float:
    """Return the engine's time of start as unix seconds; the engine writes nanoseconds, `datetime` reads micro."""
    text: str = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text)).timestamp()


def _check_readable(folder: Path) -> None:
    """Refuse a model directory that uid 65534 could not read, which would look like a broken model."""
    for parent, _, names in os.walk(folder):
        for path, needed in [(Path(parent), stat.S_IROTH | stat.S_IXOTH)] + [
            (Path(parent, name), stat.S_IROTH) for name in names
        ]:
            if path.lstat().st_mode & needed != needed and not path.is_symlink():
                raise EngineError(
                    f"{path} is not readable for the sandbox's user ({USER})", hint=f"`chmod -R o+rX {folder}`"
                )
