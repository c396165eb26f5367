"""The connection to the container engine."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
import docker.errors
import requests
from docker.context import ContextAPI

from mlgate.errors import EngineError

DEFAULT_URL = "unix:///var/run/docker.sock"
TIMEOUT_S = 60
# Committing a layer of a few GB on a slow disk is one request.
PATIENT_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What `mlgate doctor` prints of the engine. *memory* is in bytes."""

    name: str
    version: str
    cgroup_version: str
    storage_driver: str
    memory: int
    cpus: int
    platform: str
    system: str


class Engine:
    """One engine, reached over its unix socket.

    Attributes:
        url: Where it listens.
        client: The SDK's client.
    """

    def __init__(self, url: str, client: docker.DockerClient) -> None:
        self.url = url
        self.client = client

    @cached_property
    def facts(self) -> EngineFacts:
        """Version and size of the engine."""
        with engine_errors("the container engine does not describe itself"):
            info: dict[str, Any] = self.client.info()
            version: dict[str, Any] = self.client.version()
        return EngineFacts(
            name="podman" if "podman" in str(version.get("Components", "")).lower() else "docker",
            version=str(version.get("Version", "")),
            cgroup_version=str(info.get("CgroupVersion", "1")),
            storage_driver=str(info.get("Driver", "")),
            memory=int(info.get("MemTotal", 0)),
            cpus=int(info.get("NCPU", 0)),
            platform=f"{version.get('Os', 'linux')}/{version.get('Arch', '')}",
            system=f"{info.get('OperatingSystem', '')}, kernel {info.get('KernelVersion', '')}",
        )

    @cached_property
    def patient(self) -> docker.DockerClient:
        """A client that waits long enough for a commit."""
        return docker.DockerClient(base_url=self.url, timeout=PATIENT_TIMEOUT_S)

    def client_kw(self) -> dict[str, Any]:
        """Return what makes testcontainers talk to this engine and to no other."""
        return {"environment": {"DOCKER_HOST": self.url}, "timeout": TIMEOUT_S}

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self.client.close()
        if "patient" in self.__dict__:
            self.patient.close()


def connect(*, timeout_s: int = TIMEOUT_S) -> Engine:
    """Reach the engine that `DOCKER_HOST`, else the current docker context, names.

    Raises:
        EngineError: Nothing answers there, or it is on another machine.
    """
    url = engine_url()
    shown = re.sub(r"://[^/@]+@", "://", url)
    if not url.startswith("unix://"):
        raise EngineError(
            f"the container engine at {shown} is not on this machine; that is not supported yet",
            hint="unset DOCKER_HOST, or pass --mlgate-sandbox process",
        )
    try:
        client = docker.DockerClient(base_url=url, timeout=timeout_s)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(
            f"no container engine answers at {shown}",
            hint="start docker, or set DOCKER_HOST; --mlgate-sandbox process needs none",
        ) from error
    return Engine(url, client)


def engine_url() -> str:
    """Return where the engine should be."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    try:
        context = ContextAPI.get_current_context()
    except (docker.errors.DockerException, OSError, ValueError):
        context = None
    host = getattr(context, "Host", None)
    return str(host).replace("http+unix://", "unix://") if host else DEFAULT_URL


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into one `EngineError`: *what*, and the engine's own words."""
    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{what}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(f"{what}: {error}") from error
