"""The deployable image: the environment image that was tested, and the model in one layer on top."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import docker.errors

import mlgate
from mlgate.artifacts.directory import ModelDirectory
from mlgate.artifacts.tar import tar_stream
from mlgate.errors import EngineError
from mlgate.evidence import canonical_digest
from mlgate.images import labels
from mlgate.images.commit import committed
from mlgate.images.facts import BuiltImage
from mlgate.images.reference import ImageReference
from mlgate.model_version import ModelVersion
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.interface import ServerLimits
from mlgate.sandbox.readiness import server_environment
from mlgate.sandbox.session import OWNER_LABEL, SESSION_LABEL, SessionTag

_USER = "65534:65534"
_FULL = "no space left on device"
_ROOM_HINT = "mlgate image prune, or give the engine more disk"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployableImage:
    """An image that serves one model version.

    Attributes:
        reference: Its tag: `registry.example.com/team/churn:3`.
        image_digest: What the engine calls it.
        environment: The environment image it stands on.
        environment_size: Bytes of that.
        layer: Digest of the model's layer, unpacked.
        model_size: Bytes of the model's files.
        size: Bytes of the whole image, unpacked.
        replaced: Image that had the tag before and is another one; empty where there was none.
        hit: It was there already.
        seconds: What it took.
    """

    reference: str
    image_digest: str
    environment: BuiltImage
    environment_size: int
    layer: str
    model_size: int
    size: int
    replaced: str = ""
    hit: bool = False
    seconds: float = 0.0


def deployable_labels(environment: BuiltImage, directory: ModelDirectory, version: ModelVersion) -> dict[str, str]:
    """Return what the image says of itself, besides the labels of the environment image."""
    served = f"{version.name} version {version.version}" if version.promotable else version.label
    found = {
        labels.ROLE_LABEL: labels.DEPLOYABLE,
        labels.MODEL_URI_LABEL: version.uri if version.name or version.model_id or version.source_run_id else "",
        labels.MODEL_NAME_LABEL: version.name or "",
        labels.MODEL_VERSION_LABEL: version.version or "",
        labels.ARTIFACT_DIGEST_LABEL: directory.digest,
        labels.RECIPE_DIGEST_LABEL: environment.recipe_digest,
        labels.MLGATE_VERSION_LABEL: mlgate.__version__,
        labels.OCI_TITLE: version.name or version.label,
        labels.OCI_VERSION: version.version or "",
        labels.OCI_DESCRIPTION: f"{served}, served by {environment.server} on port {labels.PORT}",
        labels.OCI_BASE_NAME: environment.base,
    }
    return {name: value for name, value in found.items() if value}


def deployable_config(
    own: Mapping[str, str], environment: Mapping[str, Any], *, env: Mapping[str, str], threads: int
) -> dict[str, Any]:
    """Return the configuration of the image, for the engine.

    Args:
        own: See `deployable_labels`.
        environment: Configuration of the environment image: its entry point starts the server.
        env: Environment of the server, as in the test.
        threads: Predict threads, as in the test.
    """
    served = ["--model", labels.MODEL_PATH, "--host", "0.0.0.0", "--port", str(labels.PORT)]  # noqa: S104  (a container's)
    inherited = dict(line.split("=", 1) for line in environment.get("Env") or [])
    # The commit inherits the container's labels; an image belongs to no session.
    everything = {**(environment.get("Labels") or {}), **own, SESSION_LABEL: "", OWNER_LABEL: ""}
    return {
        "Labels": everything,
        "Env": [f"{name}={value}" for name, value in {**inherited, **env}.items()],
        "Entrypoint": environment.get("Entrypoint"),
        "Cmd": [*served, "--threads", str(threads)],
        "ExposedPorts": {f"{labels.PORT}/tcp": {}},
        "User": _USER,
        "WorkingDir": "/",
        "StopSignal": "SIGTERM",
    }


class DeployableBuilder:
    """Builds deployable images, and finds those that were built before.

    Args:
        engine: Where.
        session: Labels of the container that the image is made from; default: one of its own.
    """

    def __init__(self, engine: Engine, *, session: SessionTag | None = None) -> None:
        self._engine = engine
        self._session = session or SessionTag.new()

    def build(
        self,
        environment: BuiltImage,
        directory: ModelDirectory,
        version: ModelVersion,
        limits: ServerLimits,
        reference: ImageReference,
    ) -> DeployableImage:
        """Put the model on top of *environment* and name the result *reference*.

        The same environment, model and settings give the same image again, whatever it is named.

        Args:
            environment: Image of the version's environment, on this engine.
            directory: The model, as it was read and digested.
            version: What it is called in the registry.
            limits: The settings of the server, as in the test.
            reference: The tag that it gets; one that is there already is moved.

        Raises:
            EngineError: The engine or its disk is at fault; nothing is left behind.
            ModelDirectoryError: The directory changed meanwhile; nothing is left behind.
        """
        started = time.monotonic()
        with engine_errors(f"image {environment.reference}"):
            base: dict[str, Any] = self._engine.client.images.get(environment.reference).attrs
        own = deployable_labels(environment, directory, version)
        config = deployable_config(own, base["Config"], env=server_environment(limits), threads=limits.threads)
        key = canonical_digest({"environment": base["Id"], "config": config})
        config["Labels"][labels.DEPLOYABLE_KEY_LABEL] = key
        with engine_errors(f"image {reference}"):
            before = self._id_of(str(reference))
            found = self._find(key)
        with ExitStack() as stack:
            image = found or stack.enter_context(self._made(environment.reference, directory, config))
            with engine_errors(f"{reference} can not be tagged"):
                self._engine.client.api.tag(image, reference.name, reference.tag, force=True)
                attrs: dict[str, Any] = self._engine.client.images.get(image).attrs
        return DeployableImage(
            reference=str(reference),
            image_digest=image,
            environment=environment,
            environment_size=int(base["Size"]),
            layer=attrs["RootFS"]["Layers"][-1],
            model_size=sum(file.size for file in directory.files),
            size=int(attrs["Size"]),
            replaced=before if before and before != image else "",
            hit=found is not None,
            seconds=round(time.monotonic() - started, 3),
        )

    def _id_of(self, reference: str) -> str | None:
        try:
            return self._engine.client.images.get(reference).id
        except docker.errors.ImageNotFound:
            return None

    def _find(self, key: str) -> str | None:
        images = self._engine.client.images.list(filters={"label": f"{labels.DEPLOYABLE_KEY_LABEL}={key}"})
        own = [image for image in images if image.attrs.get("Comment") == labels.MADE_BY]
        return max(own, key=lambda image: str(image.attrs["Created"])).id if own else None

    @contextmanager
    def _made(self, environment: str, directory: ModelDirectory, config: Mapping[str, Any]) -> Iterator[str]:
        with engine_errors("the image's container can not be made"):
            # It is never started: nothing of the model runs, and nothing but the model gets into the layer.
            container = self._engine.client.containers.create(
                environment,
                labels={**self._session.labels(), labels.ROLE_LABEL: "build"},
                network_mode="none",
                # The SDK would copy the proxies of the host's ~/.docker/config.json, and the commit would keep them.
                use_config_proxy=False,
            )
        name = container.id or ""
        try:
            with _disk_errors(), engine_errors("the engine did not take the model"):
                self._engine.patient.api.put_archive(name, "/", tar_stream(directory, prefix=labels.MODEL_PATH))
            with (
                _disk_errors(),
                engine_errors("the model's layer can not be made"),
                committed(self._engine, name, self._session, config) as image,
            ):
                yield image
        finally:
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        if _FULL in error.message.lower():
            raise EngineError(f"the engine's disk is full: {error.message}", hint=_ROOM_HINT) from error
        raise
