"""A model server in a sandbox. No engine type crosses this line."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from mlgate.artifacts.signature import Signature
from mlgate.errors import InstallError, ServerError
from mlgate.evidence import ImageFacts, SandboxFacts

if TYPE_CHECKING:
    from mlgate.scoring.client import ScoringClient


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a server may use.

    Attributes:
        cpus: CPU share; 1.0 is one core.
        memory: Bytes, swap included.
        pids: Processes and threads.
        tmp_size: Bytes of `/tmp`.
        ready_timeout_s: Longest wait for readiness.
        request_timeout_s: Longest time for one request, inside the server.
    """

    cpus: float = 1.0
    memory: int = 2**30
    pids: int = 256
    tmp_size: int = 256 * 2**20
    ready_timeout_s: float = 60.0
    request_timeout_s: float = 30.0
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """Predict threads: ceil(cpus). At 80/s on one CPU, 6 threads gave a p99 of 4.9 s and 1 thread 179 ms."""
        return max(1, -int(-self.cpus // 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class BootTimes:
    """Seconds from the engine's start of the container (or of the process) to each phase.

    Attributes:
        ready_s: The readiness probe answered: model loaded, warm-up predictions made.
        phases: The server's own boot log, phase name to seconds from start, in order.
    """

    ready_s: float
    phases: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFailure:
    """Why a server is not there any more.

    Attributes:
        kind: `exited`, `oom`, `signal` or `gone`.
        message: One line.
        log: Its last lines.
    """

    kind: str
    message: str
    log: str


class ModelServer(Protocol):
    """One model behind HTTP: `/invocations`, `/ping`, `/version`, `/ready`, `/metrics`."""

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""

    @property
    def sandbox(self) -> SandboxFacts:
        """How it is contained."""

    @property
    def url(self) -> str:
        """Base URL, once started: `http://127.0.0.1:40123`."""

    def start(self) -> BootTimes:
        """Start and block until ready.

        Raises:
            ServerError: It exited, was killed or was not ready in time; with its last log lines.
            EngineError: The engine is at fault.
        """

    def stop(self) -> None:
        """Remove it and everything that belongs to it. May be called twice."""

    def restart(self) -> BootTimes:
        """Stop and start again, same limits; `url` may change."""

    def failure(self) -> ServerFailure | None:
        """Return why it died, or `None` while it runs. Reads the engine; costs milliseconds."""

    def log(self, lines: int = 50) -> str:
        """Return the last lines of its output."""

    def another(self) -> Self:
        """Return a second server, not started: same image, model and limits."""


class Environment(Protocol):
    """What came of building and starting the version under test, for the environment suite."""

    @property
    def requirements(self) -> Sequence[str]:
        """What the version asked for, one requirement a line."""

    @property
    def pins(self) -> Sequence[str]:
        """What was installed, `name==version`; empty where nothing was."""

    @property
    def python(self) -> str | None:
        """Full version of the environment's Python; `None` where nothing was installed."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """What the `image` (found or built) and the `start` took; empty where it did not come to that."""

    @property
    def install_problem(self) -> InstallError | None:
        """Why it could not be installed."""

    @property
    def load_problem(self) -> ServerError | None:
        """Why the server did not become ready."""


class Champion(Protocol):
    """The champion, ready to be served when a suite compares with it."""

    @property
    def signature(self) -> Signature:
        """Its own signature."""

    def serving(self) -> AbstractContextManager["ScoringClient"]:
        """Serve it for the length of the block.

        Raises:
            MlgateError: It can not be installed or loaded.
        """
