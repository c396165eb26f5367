"""Wiring: which registry, which builder and which sandbox a run uses. The only place that puts adapters together."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlgate.artifacts.directory import ModelDirectory
from mlgate.artifacts.signature import Signature
from mlgate.errors import InstallError, MlgateError, ServerError
from mlgate.policy import Policy
from mlgate.sandbox.interface import ModelServer
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.protocols import protocol_of

if TYPE_CHECKING:
    from mlgate.evaluation.engines.interface import Replica
    from mlgate.images.given import GivenImage
    from mlgate.registry.interface import ModelRegistry
    from mlgate.sandbox.session import SessionTag

# The client waits a little longer than the server's own limit, so that the server's 504 is seen as what it is.
CLIENT_GRACE_S = 2.0

Tell = Callable[[str], None]
Close = Callable[[], object]


def open_registry() -> "ModelRegistry":
    """Return the registry of `MLFLOW_TRACKING_URI` and `MLFLOW_REGISTRY_URI`, or MLflow's default."""
    from mlgate.registry.mlflow import MlflowRegistry  # noqa: PLC0415  (loading the plugin must stay free)

    return MlflowRegistry()


def make_server(
    directory: ModelDirectory,
    policy: Policy,
    *,
    sandbox: str,
    session: "SessionTag",
    tell: Tell,
    scratch: Path | None = None,
) -> ModelServer:
    """Build the environment of a model version and return its server, not started.

    Raises:
        InstallError: The version's requirements can not be installed.
        EngineError: The engine or the package index is at fault.
    """
    from mlgate.images.version_recipe import limits_of, version_recipe  # noqa: PLC0415

    recipe = version_recipe(directory, policy)
    protocol = protocol_of(policy.values.runtime.server, directory.signature)
    if sandbox == "process":
        from mlgate.images.environment import EnvironmentBuilder  # noqa: PLC0415
        from mlgate.sandbox.process import ProcessServer  # noqa: PLC0415

        environment = EnvironmentBuilder().build(recipe, on_progress=tell)
        return ProcessServer(environment, directory.path, limits_of(policy), tmp_dir=scratch, protocol=protocol)
    from mlgate.images.docker import ImageBuilder  # noqa: PLC0415
    from mlgate.sandbox.container import ContainerServer  # noqa: PLC0415
    from mlgate.sandbox.engine import connect  # noqa: PLC0415

    engine = connect()
    image = ImageBuilder(engine, session=session).build(recipe, on_progress=tell)
    return ContainerServer(engine, image, directory, limits_of(policy), session, protocol=protocol)


def open_image(
    name: str, directory: ModelDirectory, policy: Policy, *, session: "SessionTag", tell: Tell
) -> "GivenImage":
    """Return the image that was given instead of building one, looked into: its model is the version's, or there is none.

    Raises:
        ConfigError: It holds another model, is for another platform, or *name* names none.
        EngineError: The engine is at fault, or the image is nowhere.
    """
    from mlgate.images.inspection import find_image, look_into  # noqa: PLC0415  (as above)
    from mlgate.sandbox.engine import connect  # noqa: PLC0415

    engine = connect()
    try:
        image = find_image(engine, name, platform=policy.values.runtime.platform, tell=tell)
        return look_into(engine, image, directory, session)
    finally:
        engine.close()


def make_given_server(
    image: "GivenImage", directory: ModelDirectory, policy: Policy, *, session: "SessionTag", tell: Tell
) -> ModelServer:
    """Return the server of a given image, not started.

    Raises:
        EngineError: The engine is at fault, or there is no image for the forwarder before it.
    """
    from mlgate.images.inspection import find_trusted  # noqa: PLC0415  (as above)
    from mlgate.images.version_recipe import limits_of  # noqa: PLC0415
    from mlgate.sandbox.engine import connect  # noqa: PLC0415
    from mlgate.sandbox.given import GivenImageServer  # noqa: PLC0415

    engine = connect()
    runtime = policy.values.runtime
    return GivenImageServer(
        engine,
        image,
        limits_of(policy),
        session,
        protocol=protocol_of(runtime.server, directory.signature),
        port=runtime.port,
        example=directory.serving_example,
        trusted=find_trusted(engine, base_image=runtime.base_image, tell=tell),
    )


def client_for(server: ModelServer, policy: Policy) -> ScoringClient:
    """Return a client whose patience fits the server's own limit."""
    return ScoringClient(server, timeout_s=policy.values.runtime.request_timeout + CLIENT_GRACE_S)


@dataclass(kw_only=True)
class TestedEnvironment:
    """What came of building and starting the version under test.

    Attributes:
        requirements: What the version asked for.
        server: The running server; `None` where there is a problem.
        install_problem: Why it could not be installed.
        load_problem: Why the server did not become ready.
        seconds: What the `image` (found or built) and the `start` took.
    """

    requirements: Sequence[str]
    server: ModelServer | None = None
    install_problem: InstallError | None = None
    load_problem: ServerError | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def pins(self) -> Sequence[str]:
        """What was installed."""
        return self.server.image.pins if self.server is not None else ()

    @property
    def python(self) -> str | None:
        """Full version of the environment's Python."""
        return self.server.image.python if self.server is not None else None

    @property
    def python_asked(self) -> str:
        """Full version of Python that the version names."""
        return self.server.image.python_asked if self.server is not None else ""

    @property
    def origin(self) -> str:
        """Where the image comes from: `built` or `given`."""
        return self.server.image.origin if self.server is not None else "built"

    @property
    def serves(self) -> bool:
        """Whether there is a server to ask."""
        return self.install_problem is None and self.load_problem is None

    @property
    def problem(self) -> str:
        """Why there is no server; empty where there is one."""
        found = self.install_problem or self.load_problem
        return found.message if found else ""


def open_environment(make: Callable[[], ModelServer], requirements: Sequence[str]) -> TestedEnvironment:
    """Build and start; a version that can not be installed or loaded is a finding and no exception.

    Raises:
        EngineError: The engine or the package index is at fault.
    """
    began = time.monotonic()
    try:
        server = make()
    except InstallError as error:
        return TestedEnvironment(requirements=requirements, install_problem=error)
    made = time.monotonic()
    try:
        server.start()
    except ServerError as error:
        server.stop()
        return TestedEnvironment(requirements=requirements, server=server, load_problem=error)
    except BaseException:
        # Ctrl-C, or an engine that is gone: nobody else knows this server yet. What can not be removed now is the
        # watchdog's, and must not hide why we stop.
        with suppress(MlgateError):
            server.stop()
        raise
    seconds = {"image": made - began, "start": time.monotonic() - made}
    return TestedEnvironment(requirements=requirements, server=server, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class ServableChampion:
    """The champion, served only while a suite compares with it."""

    signature: Signature
    make: Callable[[], ModelServer]
    policy: Policy
    artifact_digest: str = ""
    replica: "Replica | None" = None
    # A server that was built for its recipe's digest and not started; the next one to be served.
    _built: list[ModelServer] = field(default_factory=list)

    def recipe_digest(self) -> str:
        """Return the recipe digest of what it is served with; see `mlgate.sandbox.interface.Champion`."""
        if not self._built:
            self._built.append(self.make())
        return self._built[0].image.recipe_digest

    @contextmanager
    def serving(self) -> Iterator[ScoringClient]:
        """Serve it for the length of the block; see `mlgate.sandbox.interface.Champion`."""
        server = self._built.pop() if self._built else self.make()
        try:
            server.start()
            client = client_for(server, self.policy)
            yield client
            client.close()
        finally:
            server.stop()


def guard(session: "SessionTag", *, sandbox: str) -> tuple[Path, Close]:
    """Have everything of this run removed when this process ends, however it ends.

    Returns:
        A temporary directory, which goes too, and what ends the guard.

    Containers of earlier runs whose owner is dead are removed now.
    """
    from mlgate.sandbox.watchdog import Watchdog, new_folder, sweep  # noqa: PLC0415

    address = None
    if sandbox == "container":
        from mlgate.sandbox.engine import connect  # noqa: PLC0415

        engine = connect()
        sweep(engine)
        address = engine.address
        engine.close()
    work = new_folder()
    return work, Watchdog.start(session, work, address=address).close
