"""Send an image to a registry, and learn the digest that a cluster will pull."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import docker.errors
import requests

from mlgate.errors import ConfigError, EngineError
from mlgate.images.reference import ImageReference
from mlgate.sandbox.engine import Engine

Progress = Callable[[str], None]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# The engine's and the registry's words (engine 20.10 to 28, distribution 2.8, GitLab, Docker Hub).
_NOT_ALLOWED = re.compile(
    r"unauthorized|authentication required|no basic auth credentials|access denied|access to the resource is denied"
    r"|\bdenied\b|forbidden|incorrect username or password|\b40[13]\b",
    re.IGNORECASE,
)
_PLAIN_HTTP = re.compile(r"server gave HTTP response to HTTPS client", re.IGNORECASE)
_FULL = re.compile(r"no space left on device|disk quota exceeded|insufficient storage", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|no route to host|network is unreachable|server misbehaving"
    r"|connection reset|deadline exceeded|request canceled|\bEOF\b|x509|certificate|tls:|service unavailable|bad gateway",
    re.IGNORECASE,
)


def check_pushable(reference: ImageReference) -> None:
    """Refuse a reference that names no registry, before anything is built.

    Raises:
        ConfigError: It names none; the engine would silently mean Docker Hub.
    """
    if reference.registry is None:
        raise ConfigError(
            f"--push: {reference} names no registry",
            hint=f"--tag registry.example.com/{reference}, or docker.io/… for Docker Hub",
        )


def push(engine: Engine, reference: ImageReference, *, on_progress: Progress | None = None) -> str:
    """Push *reference* and return the digest of its manifest in the registry.

    Credentials are those that `docker login` stored on this host.

    Args:
        engine: Holds the image.
        reference: With a registry, see `check_pushable`.
        on_progress: Gets one line a layer.

    Raises:
        EngineError: The registry is not there, refuses the credentials, or is full.
    """
    try:
        # A large layer is sent without a word for as long as it takes.
        said = engine.patient.api.push(reference.name, tag=reference.tag, stream=True, decode=True)
        return digest_of(said, reference, on_progress or (lambda _: None))
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise push_error(str(getattr(error, "explanation", None) or error), reference) from error


def digest_of(said: Iterable[Mapping[str, Any]], reference: ImageReference, tell: Progress) -> str:
    """Read the engine's stream of a push to its end and return the manifest's digest.

    Raises:
        EngineError: It ends with an error, or without a digest.
    """
    digest, steps = "", set[tuple[str, str]]()
    for line in said:
        if "error" in line or "errorDetail" in line:
            detail = line.get("errorDetail")
            told = detail.get("message") if isinstance(detail, Mapping) else None
            raise push_error(str(told or line.get("error")), reference)
        aux = line.get("aux")
        if isinstance(aux, Mapping) and _DIGEST.fullmatch(str(aux.get("Digest"))):
            digest = str(aux["Digest"])
        step = (str(line.get("id", "")), str(line.get("status", "")))
        if step[0] and step[1] in {"Pushed", "Layer already exists"} and step not in steps:
            steps.add(step)
            tell(f"{step[0]}: {step[1].lower()}")
    if not digest:
        raise EngineError(f"{reference} was pushed, and the engine names no digest", hint="push again")
    return digest


def push_error(told: str, reference: ImageReference) -> EngineError:
    """Return the error for what the engine or the registry said."""
    words = " ".join(re.sub(r"://[^/@\s]+@", "://", told).split())
    what = f"{reference} can not be pushed"
    if _FULL.search(words):
        return EngineError(f"{what}: the disk of the registry or of the engine is full: {words}")
    if _PLAIN_HTTP.search(words):
        return EngineError(
            f"{what}: {reference.registry} speaks plain HTTP",
            hint="give it a certificate, or list it under insecure-registries of the engine",
        )
    if _NOT_ALLOWED.search(words):
        return EngineError(
            f"{what}: {reference.registry} does not allow it ({words})", hint=f"docker login {reference.registry}"
        )
    if _UNREACHABLE.search(words):
        return EngineError(
            f"{what}: {reference.registry} can not be reached ({words})",
            hint="it is the engine that connects to it; docker push shows the same",
        )
    return EngineError(f"{what}: {words}")


def registry_digest(engine: Engine, reference: ImageReference) -> str:
    """Return the digest under which the engine knows the image in *reference*'s repository; empty: never pushed."""
    try:
        known = engine.client.images.get(str(reference)).attrs.get("RepoDigests") or []
    except (docker.errors.DockerException, requests.RequestException, OSError):
        return ""
    return next((digest for name, _, digest in (text.partition("@") for text in known) if name == reference.name), "")
