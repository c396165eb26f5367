"""Containers with everything taken away that a model server does not need."""

import time
from contextlib import suppress
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.session import SessionTag

USER = 65534
_CONFLICT = 409


def hardened(session: SessionTag, role: str, *, memory: int, pids: int) -> dict[str, Any]:
    """Return the engine's options of a container that holds nobody's trust.

    Args:
        session: Its labels.
        role: `server` or `forwarder`; a label for people.
        memory: Bytes, swap included.
        pids: Processes and threads.
    """
    return {
        "labels": {**session.labels(), "mlgate.role": role},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        "user": f"{USER}:{USER}",
        # One byte, not none: a host that pipes core dumps to a collector ignores 0, and takes 1 for "never"
        # (do_coredump in the kernel's fs/coredump.c). A crashing model must not fill the host's disk with its memory.
        "ulimits": [Ulimit(name="core", soft=1, hard=1)],
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "5m", "max-file": "1"}),
    }


def run(engine: Engine, image: str, options: dict[str, Any], *, seconds: dict[str, float] | None = None) -> Container:
    """Create and start a container; one that can not be started is removed.

    Args:
        engine: Where.
        image: Reference of the image.
        options: The engine's, see `hardened`.
        seconds: Gets what it took to `create` and to `start` it.
    """
    began = time.perf_counter()
    container = create(engine, image, options)
    created = time.perf_counter()
    try:
        container.start()
        if seconds is not None:
            seconds |= {"create": round(created - began, 4), "start": round(time.perf_counter() - created, 4)}
    except BaseException:
        with suppress(docker.errors.DockerException, OSError):
            container.remove(force=True, v=True)
        raise
    return container


def create(engine: Engine, image: str, options: dict[str, Any]) -> Container:
    """Create a container, not started."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  (reads files of the home directory)
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415  (as above)

    # Its reaper needs an image that may not be pullable and the engine's socket; our watchdog does its work.
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.hub_image_name_prefix = ""
    # Its constructor would open a connection of its own, by its own reading of the environment.
    theirs = DockerClient.__new__(DockerClient)
    theirs.client = engine.client
    # The SDK would hand over the proxies of the host's ~/.docker/config.json, and their passwords.
    container: Container = theirs.create(image, **{"use_config_proxy": False, **options})
    return container


def remove(container: Container | None) -> None:
    """Remove a container that may be gone already.

    Raises:
        EngineError: The engine is at fault.
    """
    if container is None:
        return
    with engine_errors("a container can not be removed"):
        try:
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            # The watchdog, or an earlier call, is removing it at this moment.
            if error.response is None or error.response.status_code != _CONFLICT:
                raise
