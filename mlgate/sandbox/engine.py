"""The connection to the container engine."""

import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
from docker.context import ContextAPI
from docker.tls import TLSConfig

from mlgate.errors import EngineError
from mlgate.sandbox.address import DEFAULT_URL, EngineAddress, address_of
from mlgate.sandbox.clock import ClockOffset, closest, seconds_of
from mlgate.sandbox.reach import LOOPBACK, Reach, candidates, container_gateway

TIMEOUT_S = 60
# Committing a layer of a few GB on a slow disk is one request.
PATIENT_TIMEOUT_S = 900
# An address where nothing is may not even refuse.
CONNECT_TIMEOUT_S = 15
CLOCK_SAMPLES = 5
# What listens for an engine: itself, or the init that started it.
_LISTENERS = {"dockerd", "podman", "systemd", "init"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What `mlgate doctor` prints of the engine. *memory* is in bytes.

    Attributes:
        security: Isolation features that it names: `apparmor`, `seccomp`, `selinux`, `userns`, `rootless`, ….
        runtimes: Names of its OCI runtimes.
        limits: What it can limit of `memory`, `swap`, `cpu`, `pids`, by its own account.
    """

    name: str
    version: str
    cgroup_version: str
    storage_driver: str
    memory: int
    cpus: int
    platform: str
    system: str
    security: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    limits: Mapping[str, bool] | None = None


class Engine:
    """One engine.

    Attributes:
        address: Where it listens.
        client: The SDK's client.
        ways: How published ports are reached: all that may work, and only the right one once it is known.
        seen: Folders of this machine, and whether the engine sees the same files there.
        filled: Volumes with model directories that were verified over this connection, by artifact digest.
    """

    def __init__(
        self, address: EngineAddress, client: docker.DockerClient, ways: tuple[Reach, ...] = (LOOPBACK,)
    ) -> None:
        self.address = address
        self.client = client
        self.ways = ways
        self.seen: dict[Path, bool] = {}
        self.filled: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.address.url

    @property
    def shown_url(self) -> str:
        """Where it listens, as it may be printed."""
        return self.address.shown

    @cached_property
    def facts(self) -> EngineFacts:
        """Version and size of the engine."""
        with engine_errors("the container engine does not describe itself"):
            info: dict[str, Any] = self.client.info()
            version: dict[str, Any] = self.client.version()
        names = [
            option.partition("name=")[2].partition(",")[0] or option for option in info.get("SecurityOptions") or []
        ]
        limits = {"memory": "MemoryLimit", "swap": "SwapLimit", "cpu": "CpuCfsQuota", "pids": "PidsLimit"}
        return EngineFacts(
            name="podman" if "podman" in str(version.get("Components", "")).lower() else "docker",
            version=str(version.get("Version", "")),
            cgroup_version=str(info.get("CgroupVersion", "1")),
            storage_driver=str(info.get("Driver", "")),
            memory=int(info.get("MemTotal", 0)),
            cpus=int(info.get("NCPU", 0)),
            platform=f"{version.get('Os', 'linux')}/{version.get('Arch', '')}",
            system=f"{info.get('OperatingSystem', '')}, kernel {info.get('KernelVersion', '')}",
            security=tuple(sorted(names)),
            runtimes=tuple(sorted(info.get("Runtimes") or {})),
            default_runtime=str(info.get("DefaultRuntime", "")),
            limits={name: bool(info.get(key)) for name, key in limits.items()},
        )

    @cached_property
    def patient(self) -> docker.DockerClient:
        """A client that waits long enough for a commit."""
        return open_client(self.address, PATIENT_TIMEOUT_S)

    @cached_property
    def on_this_kernel(self) -> bool:
        """Whether it certainly runs on this very machine and boot, so that both have one clock and one boot id."""
        if not self.url.startswith("unix://"):
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(CONNECT_TIMEOUT_S)
                connection.connect(self.url.removeprefix("unix://"))
                raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                pid = struct.unpack("3i", raw)[0]  # 0 from another pid namespace
                name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() if pid else ""
            except (OSError, UnicodeDecodeError):
                return False
        # A tunnel or a virtual machine's proxy listens here for an engine that is somewhere else.
        return name in _LISTENERS

    @cached_property
    def clock(self) -> ClockOffset:
        """How far its clock is ahead of this machine's: what it says of starts is on its own clock."""
        if self.on_this_kernel:
            return ClockOffset(seconds=0.0, uncertainty_s=0.0)
        samples = []
        with engine_errors("the container engine does not tell the time"):
            for _ in range(CLOCK_SAMPLES):
                before = time.time()
                said = seconds_of(str(self.client.info()["SystemTime"]))
                samples.append((before, said, time.time()))
        return closest(samples)

    def now(self) -> float:
        """Return the time on the engine's clock, in unix seconds."""
        return time.time() + self.clock.seconds

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self.client.close()
        if "patient" in self.__dict__:
            self.patient.close()


class _Api(docker.APIClient):
    """The SDK's client without this machine's proxies and certificate bundle.

    `REQUESTS_CA_BUNDLE` would otherwise take the place of the engine's own `ca.pem`, and a proxy stand before the engine.
    """

    trust_env = property(lambda _: False, lambda *_: None)  # the base class sets it to True


def open_client(address: EngineAddress, timeout_s: int) -> docker.DockerClient:
    """Return a client for *address*."""
    tls: TLSConfig | bool = False
    if address.cert_path is not None:
        ca, cert, key = (str(address.cert_path / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        tls = TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=address.verify)
    client = docker.DockerClient.__new__(docker.DockerClient)
    # Its constructor does no more than this, with an API client that can not be chosen.
    client.api = _Api(base_url=address.url, timeout=timeout_s, tls=tls)
    return client


def connect(*, timeout_s: int = TIMEOUT_S) -> Engine:
    """Reach the engine that `DOCKER_HOST`, else the current docker context, names.

    Raises:
        EngineError: Nothing answers there, or not to us.
    """
    address = engine_address()
    try:
        client = open_client(address, CONNECT_TIMEOUT_S)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise _unreachable(address, error) from error
    client.api.timeout = timeout_s
    return Engine(address, client, candidates(address.url, os.environ, gateway=container_gateway()))


def _unreachable(address: EngineAddress, error: Exception) -> EngineError:
    words = str(error)
    if "SSL" in words or "certificate" in words.lower():
        reason = next((word for word in _TLS_REASONS if word in words), "no TLS connection with these certificates")
        return EngineError(
            f"the container engine at {address.shown} refuses or fails the TLS check ({_TLS_REASONS.get(reason, reason)})",
            hint="look at DOCKER_CERT_PATH and DOCKER_TLS_VERIFY",
        )
    if "HTTP request to an HTTPS server" in words:
        return EngineError(
            f"the container engine at {address.shown} wants TLS", hint="set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
        )
    return EngineError(
        f"no container engine answers at {address.shown}",
        hint="start docker, or set DOCKER_HOST; --mlgate-sandbox process needs none",
    )


# What OpenSSL says, and what it means here.
_TLS_REASONS = {
    "unknown ca": "it does not know who signed cert.pem",
    "bad certificate": "it does not accept cert.pem",
    "certificate required": "it asks for a client certificate",
    "Hostname mismatch": "its certificate is for another host name",
    "IP address mismatch": "its certificate is for another address",
    "expired": "a certificate has expired",
    "CERTIFICATE_VERIFY_FAILED": "ca.pem did not sign its certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS there",
    "record layer failure": "it does not speak TLS there",
}


def engine_address() -> EngineAddress:
    """Return where the engine should be.

    Raises:
        EngineError: It is named in a way that is not supported.
    """
    if os.environ.get("DOCKER_HOST"):
        return address_of(os.environ["DOCKER_HOST"], "DOCKER_HOST", os.environ)
    try:
        context = ContextAPI.get_current_context()
    except (docker.errors.DockerException, OSError, ValueError):
        context = None
    host = getattr(context, "Host", None)
    if context is None or not host:
        return EngineAddress(url=DEFAULT_URL, source="default")
    source = f"docker context {context.Name}" if context.Name != "default" else "default"
    environ = {
        name: os.environ[name] for name in ("HOME", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH") if name in os.environ
    }
    tls = getattr(context, "TLSConfig", None)
    if tls is not None and tls.cert:
        environ["DOCKER_CERT_PATH"] = str(Path(tls.cert[0]).parent)
        environ["DOCKER_TLS_VERIFY"] = "1" if tls.verify else ""
    return address_of(str(host).replace("http+unix://", "unix://"), source, environ)


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into one `EngineError`: *what*, and the engine's own words."""
    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{what}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineError(f"{what}: {error}") from error
