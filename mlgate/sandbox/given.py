"""A server in an image that somebody else built: hardened as ours, with its own entry point, on its own port."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import docker.errors
from docker.models.volumes import Volume
from docker.types import Mount

from mlgate.errors import EngineError, FailureKind, ServerError
from mlgate.evidence import ImageFacts
from mlgate.images.facts import BuiltImage
from mlgate.images.given import GivenImage
from mlgate.images.labels import MODEL_PATH
from mlgate.sandbox import cgroup
from mlgate.sandbox.container import ContainerServer
from mlgate.sandbox.enclosure import Enclosure
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.foreign import Trial, look_at_any
from mlgate.sandbox.front import Front
from mlgate.sandbox.hardened import hardened, remove
from mlgate.sandbox.interface import BootTimes, ServerLimits
from mlgate.sandbox.readiness import Look
from mlgate.sandbox.session import SessionTag
from mlgate.scoring.protocols import ServingProtocol

TMP = "/tmp"  # noqa: S108  (inside the container)
# In the base image, which is any image with Python; ours is elsewhere.
PYTHON = "python3"
_NOT_WRITABLE = re.compile(r"Read-only file system|\[Errno 30\]|EROFS|Permission denied|\[Errno 13\]|EACCES")
# Where a folder that can not be written may be the reason; a kill has another.
_OWN_DOING = {FailureKind.EXITED, FailureKind.LOAD_FAILED, FailureKind.NO_LISTENER, FailureKind.HANG_AT_LOAD}


class GivenImageServer(ContainerServer):
    """A `ModelServer` in a given image. It has no network; its port is on a loopback that only a forwarder of ours shares.

    Args:
        engine: Where.
        given: The image.
        limits: What the server may use; of the environment, only what the policy says is added to the image's own.
        session: Labels of everything it makes.
        protocol: How the model is asked for predictions.
        port: TCP port that its entry point listens on.
        example: The version's logged example: the prediction that makes it ready.
        trusted: Another image, with Python, for the forwarders: one of them has a network.
    """

    def __init__(
        self,
        engine: Engine,
        given: GivenImage,
        limits: ServerLimits,
        session: SessionTag,
        *,
        protocol: ServingProtocol,
        port: int,
        example: bytes | None,
        trusted: str,
    ) -> None:
        super().__init__(engine, _as_built(given), Path(MODEL_PATH), limits, session, protocol=protocol)
        self._model.kind = "image"
        self._given = given
        self._port = port
        self._example = example
        self._trusted = trusted
        self._trial = _trial(protocol, example, limits)
        self._volumes: list[tuple[str, Volume]] = []
        self._front = Front(engine, trusted, session, python=PYTHON)
        self._enclosure = Enclosure(engine, trusted, session, port=port, python=PYTHON)
        self._way_cores: frozenset[int] | None = None

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""
        return self._given.facts(threads=self._limits.threads)

    def start(self) -> BootTimes:
        """Start and block until it answers a prediction."""
        with engine_errors("the server's container can not be started"):
            try:
                if not self._front.started:
                    self._front.start()
                remove(self._server)
                self._server = None
                self._enclosure.open(self._front)
                if self._way_cores is not None:
                    self._pin_way(self._way_cores)
                self._volumes = self._volumes or [self._read_only(path) for path in self._given.volumes if path != TMP]
            except BaseException:
                with suppress(EngineError):  # as in `ContainerServer.start`
                    self.stop()
                raise
        try:
            times = super().start()
        except ServerError as error:
            raise self._explained(error) from error
        if not self._enclosure.listens_to_all():
            raise ServerError(
                f"the server listens on loopback only (port {self._port}), where nobody outside of its container reaches it",
                kind=FailureKind.NO_LISTENER,
                log=self.log(),
                hint="have it listen on 0.0.0.0",
            )
        return times

    def stop(self) -> None:
        """Remove the server's container, its namespace and its front."""
        remove(self._server)
        self._server = None
        self._enclosure.close()
        with engine_errors("a volume that the image declares can not be removed"):
            for _, volume in self._volumes:
                with suppress(docker.errors.NotFound):
                    volume.remove(force=True)
        self._volumes = []
        super().stop()

    def another(self) -> Self:
        """Return a second server of the same image, not started."""
        return type(self)(
            self._engine,
            self._given,
            self._limits,
            self._session,
            protocol=self.protocol,
            port=self._port,
            example=self._example,
            trusted=self._trusted,
        )

    def _mounted(self) -> dict[str, dict[str, str]]:
        return {}  # the model is in the image

    def _pin_way(self, cores: frozenset[int]) -> None:
        super()._pin_way(cores)
        self._way_cores = cores
        with suppress(EngineError, docker.errors.DockerException, OSError):  # not open, or it went
            inner = self._engine.client.containers.get(self._enclosure.network_mode.removeprefix("container:"))
            cgroup.run_on(inner, cores)

    def _look(self) -> Look:
        return look_at_any(self._front.host, self._front.port, self._trial)

    def _options(self, model: dict[str, dict[str, str]]) -> dict[str, Any]:
        limits = self._limits
        home = {} if "HOME" in self._given.environment else {"HOME": TMP}
        return {
            **hardened(self._session, "server", memory=limits.memory, pids=limits.pids),
            "command": None,  # the image's own, as its entry point is
            "environment": {**home, **limits.env},
            "network": None,
            "network_mode": self._enclosure.network_mode,
            "nano_cpus": int(limits.cpus * 1e9),
            "tmpfs": {TMP: f"rw,nosuid,nodev,size={limits.tmp_size},mode=1777"},
            "volumes": model,
            "mounts": [Mount(path, volume.name, type="volume", read_only=True) for path, volume in self._volumes],
            # It would take CPU from what is measured; a cluster does not run it either.
            "healthcheck": {"test": ["NONE"]},
            "use_config_proxy": False,
        }

    def _read_only(self, path: str) -> tuple[str, Volume]:
        """Return a volume for a folder that the image declares as one; the engine fills it from the image.

        Left alone, it would be a place on the engine's disk that can be written and that no limit holds.
        """
        return path, self._engine.client.volumes.create(labels=self._session.labels())

    def _explained(self, error: ServerError) -> ServerError:
        """Return *error* with what a given image is likely to have got wrong."""
        line = next((line for line in reversed(error.log.splitlines()) if _NOT_WRITABLE.search(line)), "")
        message, hint = error.message, error.hint
        if line and error.kind in _OWN_DOING:
            message += f"; its entry point may write to {TMP} only, and runs as nobody: {line.strip()[:300]}"
            hint = f"have the image write below {TMP}, or set its paths with runtime.env"
        elif error.kind is FailureKind.NO_LISTENER:
            others = [str(port) for port in self._given.ports if port != self._port]
            message += f" (port {self._port})"
            hint = f"the image declares port {', '.join(others)}: set runtime.port" if others else "set runtime.port"
        return ServerError(message, kind=error.kind, log=error.log, hint=hint)


def _trial(protocol: ServingProtocol, example: bytes | None, limits: ServerLimits) -> Trial:
    body, content_type = None, ""
    if example is not None:
        with suppress(ValueError):  # an example that can not be sent is for the schema suite to say
            body, content_type = protocol.encode_example(example)
    return Trial(path=protocol.path, body=body, content_type=content_type, timeout_s=limits.request_timeout_s)


def _as_built(given: GivenImage) -> BuiltImage:
    facts = given.facts(threads=0)
    return BuiltImage(
        reference=given.reference,
        image_digest=facts.image_digest,
        recipe_digest=facts.recipe_digest,
        base=facts.base,
        base_digest=facts.base_digest,
        python=facts.python,
        platform=facts.platform,
        pins=facts.pins,
        apt=facts.apt,
        server=facts.server,
        hit=True,
    )
