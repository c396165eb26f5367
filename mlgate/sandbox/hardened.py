"""Containers with everything taken away that a model server does not need."""

from contextlib import suppress
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.types import LogConfig

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
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "5m", "max-file": "1"}),
    }


def run(engine: Engine, image: str, options: dict[str, Any]) -> Container:
    """Create and start a container; one that can not be started is removed."""
    container = _testcontainer(engine, image, options)
    try:
        container.start()
    except BaseException:
        with suppress(docker.errors.DockerException, OSError):
            container.stop()
        raise
    wrapped: Container = container.get_wrapped_container()
    # Ours from here on: testcontainers would end its client with the container.
    ours = engine.client.containers.get(wrapped.id or "")
    container.get_docker_client().client.close()
    return ours


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
