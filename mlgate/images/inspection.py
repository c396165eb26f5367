"""Look into a given image: what it is, which model lies in it and what is installed, before any of it serves."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import docker.errors
import requests
from docker.models.containers import Container

from mlgate.artifacts.archive import archive_files, first_difference
from mlgate.artifacts.digest import files_digest
from mlgate.artifacts.directory import ModelDirectory
from mlgate.errors import ConfigError, EngineError
from mlgate.evidence import FileEntry
from mlgate.images.docker import find_base
from mlgate.images.given import LISTING, Contents, GivenImage, from_attributes, interpreters, read_listing
from mlgate.images.labels import MODEL_PATH
from mlgate.images.recipe import DEFAULT_BASE_IMAGE, DEFAULT_PYTHON
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.hardened import hardened, remove, run
from mlgate.sandbox.session import SessionTag

Tell = Callable[[str], None]
# Python starts and reads a few hundred files; on a busy machine that is seconds.
LISTING_TIMEOUT_S = 60
LISTING_MEMORY = 512 * 2**20
LISTING_PIDS = 64
MAX_LISTING_BYTES = 2**21
# What engines say of an entry point that is not in the image, or is no program there; the status differs among them.
_NOT_RUNNABLE = re.compile(r"executable file|no such file|permission denied|not a directory|exec format", re.IGNORECASE)


def find_image(engine: Engine, name: str, *, platform: str, tell: Tell) -> GivenImage:
    """Return the image *name* as it is on the engine; pulled where it is not there.

    Raises:
        ConfigError: It is no image reference, or the image is for another platform.
        EngineError: It is not there and can not be pulled.
    """
    with engine_errors(f"image {name}"):
        try:
            attributes = engine.client.images.get(name).attrs
        except docker.errors.ImageNotFound:
            tell(f"pulling {name}")
            attributes = _pulled(engine, name)
        except docker.errors.APIError as error:
            if error.response is not None and error.response.status_code == requests.codes.bad_request:
                raise _no_reference(name) from error
            raise
    image = from_attributes(attributes, name=name)
    if image.platform != platform:
        raise ConfigError(
            f"image {name} is {image.platform}, the policy's runtime.platform is {platform}",
            hint=f"build it for {platform}",
        )
    return image


def _pulled(engine: Engine, name: str) -> dict[str, Any]:
    try:
        found = engine.patient.images.pull(name)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        if "invalid reference format" in str(error):
            raise _no_reference(name) from error
        said = getattr(error, "explanation", None) or error
        raise EngineError(
            f"image {name} is not on this engine and can not be pulled: {said}", hint=f"`docker pull {name}`"
        ) from error
    attributes: dict[str, Any] = found.attrs
    return attributes


def _no_reference(name: str) -> ConfigError:
    return ConfigError(f"--mlgate-image {name!r} is not an image reference", hint="like registry.example.com/churn:3")


def look_into(engine: Engine, image: GivenImage, directory: ModelDirectory, session: SessionTag) -> GivenImage:
    """Return *image* with what is in it: the model's digest, Python, the installed packages.

    Args:
        engine: Where.
        image: See `find_image`.
        directory: The version under test.
        session: Labels of the containers that this takes.

    Raises:
        ConfigError: The model in the image is not the version's: another one would be tested than is asked about.
        EngineError: The engine is at fault.
    """
    files = model_files(engine, image, session)
    if files is not None and files_digest(files) != directory.digest:
        raise ConfigError(
            f"image {image.name} holds another model at {MODEL_PATH}: {first_difference(directory.files, files)} "
            f"({files_digest(files)[:19]}… there, {directory.digest[:19]}… is the version's)",
            hint="name the image of this version, or the version of this image",
        )
    asked = directory.python_version or ""
    return replace(
        image,
        model_digest="" if files is None else directory.digest,
        contents=contents(engine, image, session),
        python_asked=asked if asked.count(".") > 1 else "",
    )


def model_files(engine: Engine, image: GivenImage, session: SessionTag) -> tuple[FileEntry, ...] | None:
    """Return the files of the model in the image, by content, or `None` where there is none at `MODEL_PATH`.

    The container for it is never started, and nothing is written to this host.
    """
    with engine_errors(f"image {image.name} can not be read"):
        container = engine.client.containers.create(
            image.reference,
            # An image without a command can not be made a container of; it is never run.
            entrypoint=["mlgate-never-runs"],
            network_mode="none",
            labels={**session.labels(), "mlgate.role": "inspection"},
            use_config_proxy=False,
        )
        try:
            chunks, _ = container.get_archive(MODEL_PATH)
            files = archive_files(chunks, place=f"image {image.name}: {MODEL_PATH}")
        except docker.errors.NotFound:
            return None
        finally:
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
    return files if any(file.path == "MLmodel" for file in files) else None


def contents(engine: Engine, image: GivenImage, session: SessionTag) -> Contents:
    """Ask the image's own Python what is installed, in a hardened container without a network."""
    for command in interpreters(image.command):
        output = _output(engine, image, session, command)
        found = None if output is None else read_listing(output)
        if found is not None:
            return found
    return Contents()


def _output(engine: Engine, image: GivenImage, session: SessionTag, command: Sequence[str]) -> str | None:
    """Return what `LISTING` prints when *command* runs it; `None` where the image has no such command."""
    options: dict[str, Any] = {
        **hardened(session, "inspection", memory=LISTING_MEMORY, pids=LISTING_PIDS),
        "entrypoint": list(command),
        "command": [LISTING],
        "network": "none",
        "healthcheck": {"test": ["NONE"]},
        "use_config_proxy": False,
    }
    container: Container | None = None
    with engine_errors(f"image {image.name} can not be asked what is installed in it"):
        try:
            container = run(engine, image.reference, options)
            status = container.wait(timeout=LISTING_TIMEOUT_S)["StatusCode"]
            raw: bytes = b"".join(_bounded(container.logs(stdout=True, stderr=False, stream=True, follow=False)))
        except docker.errors.APIError as error:
            if _NOT_RUNNABLE.search(str(error.explanation or error)):
                return None
            raise
        except requests.exceptions.ConnectionError:  # docker's word for a wait that took too long
            return None
        finally:
            remove(container)
    return raw.decode(errors="replace") if status == 0 else None


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_LISTING_BYTES:
            return
        yield chunk


def find_trusted(engine: Engine, *, base_image: str | None, tell: Tell) -> str:
    """Return an image with Python that is not the given one: the forwarder before it has a network.

    Args:
        engine: Where.
        base_image: The policy's `runtime.base_image`.
        tell: Takes one line of progress.

    Raises:
        EngineError: There is none, and none can be pulled.
    """
    wanted = (base_image or DEFAULT_BASE_IMAGE).replace("{python}", DEFAULT_PYTHON)
    with engine_errors(f"image {wanted}"), suppress(docker.errors.ImageNotFound):
        engine.client.images.get(wanted)
        return wanted
    found = find_base(engine, DEFAULT_PYTHON)
    if found is not None:
        return found
    tell(f"pulling {wanted}, which the forwarder before the image runs in")
    try:
        engine.patient.images.pull(wanted)
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"base image missing: {wanted}, which the forwarder before a given image runs in, can not be pulled",
            hint=f"`docker pull {wanted}`",
        ) from error
    return wanted
