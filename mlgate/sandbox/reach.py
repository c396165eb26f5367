"""Where a port that the engine publishes is reached from this process. Pure, but for `/proc`."""

import ipaddress
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

OVERRIDE = "TESTCONTAINERS_HOST_OVERRIDE"
_ROUTES = Path("/proc/net/route")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One way to a published port.

    Attributes:
        host: Where this process connects to.
        interface: Where the engine listens.
        guarded: Others can connect there too, so a token is demanded.
    """

    host: str
    interface: str
    guarded: bool


LOOPBACK = Reach(host="127.0.0.1", interface="127.0.0.1", guarded=False)


def open_to_all(host: str) -> Reach:
    """Return the way to a port that is published on every interface of the engine's machine."""
    return Reach(host=host, interface="::" if ":" in host else "0.0.0.0", guarded=True)  # noqa: S104  (the token guards it)


def candidates(url: str, environ: Mapping[str, str], *, gateway: str | None) -> tuple[Reach, ...]:
    """Return what to try, in order; the first that works is right.

    Whether the engine has our loopback can not be read from its URL: a CI job may be given the socket of its host's engine,
    and an engine at `tcp://localhost` may run in the same pod or at the other end of a tunnel.

    Args:
        url: Where the engine itself is reached.
        environ: Environment; `TESTCONTAINERS_HOST_OVERRIDE` decides alone.
        gateway: This process's way out where it runs in a container, which is the machine below it; else `None`.
    """
    if environ.get(OVERRIDE):
        return (open_to_all(environ[OVERRIDE].strip("[]")),)
    host = urlsplit(url).hostname if not url.startswith("unix://") else None
    if host and not _is_loopback(host):
        return (open_to_all(host),)
    return (LOOPBACK, open_to_all(gateway)) if gateway and host is None else (LOOPBACK,)


def container_gateway() -> str | None:
    """Return the default gateway where this process runs in a container, else `None`: a laptop's is somebody's router."""
    if not any(mark.exists() for mark in _CONTAINER_MARKS):
        return None
    try:
        return default_gateway(_ROUTES.read_text(encoding="ascii"))
    except OSError:
        return None


def default_gateway(routes: str) -> str | None:
    """Return the gateway of the default route in the text of `/proc/net/route`, or `None`."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 2 and fields[1] == "00000000" and fields[2] != "00000000":
            return socket.inet_ntoa(struct.pack("<L", int(fields[2], 16)))
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
