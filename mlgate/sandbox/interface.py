"""A model server in a sandbox. No engine type crosses this line."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from mlgate.artifacts.signature import Signature
from mlgate.errors import FailureKind, InstallError, ServerError
from mlgate.evidence import ImageFacts, SandboxFacts

if TYPE_CHECKING:
    from mlgate.evaluation.engines.interface import Replica
    from mlgate.scoring.client import ScoringClient
    from mlgate.scoring.protocols import ServingProtocol


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
        before: What the engine took until that start, `create` and `start`, in seconds; empty for a plain process.
        imports: Phase to outermost package to package to the seconds that importing its own modules took.
        read: Phase to bytes, `asked` by system calls and read from the `disk`; empty where nothing counts.
        model_bytes: Size of the model directory as the server saw it; `None` where it does not say.
    """

    ready_s: float
    phases: Mapping[str, float]
    before: Mapping[str, float] = field(default_factory=dict)
    imports: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    read: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    model_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """What a server held in memory, in bytes.

    Attributes:
        peak: The most since its start.
        now: What it holds now, by kind: `anon` (the processes' own), `file` (page cache charged to it), `shmem` (tmpfs).
        counted: What is in the peak, in words.
    """

    peak: int
    now: Mapping[str, int]
    counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One reading of a server's counters, of all its processes. They begin again at zero when it is restarted.

    Attributes:
        memory: Bytes that it holds now and no other can have: anonymous memory and tmpfs, no page cache; `None` where the
            engine does not tell them apart.
        cpu_s: CPU seconds since its start.
        throttled_s: Seconds that its CPU limit made it wait since its start, of all cores together; 0.0 where nobody counts.
        processes: Processes and threads, as the limit on them counts.
    """

    memory: int | None
    cpu_s: float
    throttled_s: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFailure:
    """What is wrong with a server.

    Attributes:
        kind: What became of it.
        message: One line.
        log: Its last lines.
    """

    kind: FailureKind
    message: str
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentImage:
    """How the environment came to be there.

    Attributes:
        hit: It was there already.
        seconds: What the steps took, `total` for all; may be empty.
    """

    hit: bool
    seconds: Mapping[str, float]


class ModelServer(Protocol):
    """One model behind HTTP: where predictions are asked for, by its protocol, and `/ready` and `/metrics`."""

    @property
    def image(self) -> ImageFacts:
        """What it runs in."""

    @property
    def environment_image(self) -> EnvironmentImage:
        """Whether what it runs in was built for it."""

    @property
    def sandbox(self) -> SandboxFacts:
        """How it is contained."""

    @property
    def protocol(self) -> "ServingProtocol":
        """How it is asked for predictions."""

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

    def limits_met(self, said: str = "") -> Sequence[str]:
        """Return which limits of the sandbox it ran into, each in a few words.

        Args:
            said: What it answered or printed about its failure; some limits show nowhere else.
        """

    def stacks(self) -> str:
        """Make it print where each of its threads is, and return its last lines. May end it."""

    def log(self, lines: int = 50) -> str:
        """Return the last lines of its output."""

    def memory(self) -> MemoryUse | None:
        """Return the most memory it ever held; `None` where no counter can be read."""

    def usage(self) -> Usage | None:
        """Read its counters; `None` where there are none. Costs none of its own CPU.

        Takes milliseconds, or up to a second where an engine collects no oftener; what is returned is then as new.
        """

    def pin(self, cores: Collection[int] | None) -> bool:
        """Let it run on *cores* only, now and after each restart; return `False` where that can not be asked for.

        Args:
            cores: Numbers of this host's cores; `None`: all those again that it had before.
        """

    def processes(self) -> Mapping[int, str]:
        """Return pid to command line of every process of it, the main one first; empty where nobody can look.

        The pids tell processes apart, and are not always those that this host knows them by.
        """

    def forget_model_pages(self) -> bool:
        """Have the next server of this model read it from the disk; return whether that can be asked for here.

        Only where the model's files are this host's own: nobody else's page cache can be spoken to.
        """

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
    def python_asked(self) -> str:
        """Full version of Python that the version names; empty where it names none, or nothing was installed."""

    @property
    def origin(self) -> str:
        """Where the image comes from: `built` by this run or one before it, or `given`."""

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

    @property
    def artifact_digest(self) -> str:
        """Digest of its bytes; empty where they can not be read."""

    @property
    def replica(self) -> "Replica | None":
        """Serves it on other machines; `None` where only this one can."""

    def recipe_digest(self) -> str:
        """Find or build what it is served with, without starting it, and return the recipe's digest; empty without one.

        Raises:
            MlgateError: It can not be installed.
        """

    def serving(self) -> AbstractContextManager["ScoringClient"]:
        """Serve it for the length of the block.

        Raises:
            MlgateError: It can not be installed or loaded.
        """
