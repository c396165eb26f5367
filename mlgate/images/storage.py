"""Reads from an engine what mlgate keeps there, and removes what is to go."""

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import docker.errors

from mlgate.errors import EngineError
from mlgate.images import labels
from mlgate.images.built import REPOSITORY
from mlgate.images.commit import remove_image
from mlgate.images.docker import CACHE_VOLUME
from mlgate.images.facts import FACTS_LABEL
from mlgate.images.inventory import (
    STAGING,
    Inventory,
    Kind,
    Layer,
    PrunePlan,
    StoredImage,
    StoredVolume,
    staging_owner,
)
from mlgate.sandbox.engine import Engine, engine_errors
from mlgate.sandbox.session import is_dead

# The engine adds up one disk usage at a time and refuses a second one asked for meanwhile.
_BUSY = "disk usage operation is already running"
_BUSY_TRIES = 40
_BUSY_PAUSE_S = 0.25
_MODEL_ROLE = "model"
_KINDS = {labels.ENVIRONMENT: Kind.ENVIRONMENT, labels.DEPLOYABLE: Kind.DEPLOYABLE}
# How many layers on top are mlgate's.
_LAYERS = {Kind.ENVIRONMENT: 2, Kind.DEPLOYABLE: 3}


def read_inventory(engine: Engine) -> Inventory:
    """Return what mlgate keeps on *engine*.

    Raises:
        EngineError: It does not answer.
    """
    usage = _disk_usage(engine)
    images, foreign = [], set[tuple[str, ...]]()
    for entry in usage.get("Images") or []:
        with engine_errors(f"image {entry['Id']}"):
            try:
                image = engine.client.images.get(entry["Id"])
                kind = _kind(image.attrs)
                sizes = [int(step["Size"]) for step in image.history()] if kind else []
            except docker.errors.ImageNotFound:
                continue  # Removed meanwhile.
        attrs: Mapping[str, Any] = image.attrs
        chain = tuple(attrs.get("RootFS", {}).get("Layers") or ())
        if kind is None:
            foreign |= {chain[:depth] for depth in range(1, len(chain) + 1)}
        else:
            images.append(_image(entry, attrs, kind, chain, sizes))
    volumes = [found for entry in usage.get("Volumes") or [] if (found := _volume(entry))]
    images.sort(key=lambda image: image.name)
    images.sort(key=lambda image: image.created, reverse=True)
    volumes.sort(key=lambda volume: volume.name)
    return Inventory(images=tuple(images), volumes=tuple(volumes), foreign=frozenset(foreign))


def sweep_staging(engine: Engine) -> None:
    """Remove the images that builds of dead processes had under way.

    Raises:
        EngineError: The engine does not answer.
    """
    with engine_errors("images can not be listed"):
        images = engine.client.api.images(name=STAGING)
    for tag in [tag for image in images for tag in image["RepoTags"] or ()]:
        name, _, owner = tag.partition(":")
        if name == STAGING and is_dead(staging_owner(owner)):
            remove_image(engine, tag)


def remove(engine: Engine, plan: PrunePlan) -> tuple[tuple[str, str], ...]:
    """Remove what *plan* says; return name and reason of what could not be, because somebody began to use it.

    Raises:
        EngineError: The engine does not answer.
    """
    refused = []
    for image in plan.images:
        with engine_errors(f"{image.name} can not be removed"):
            try:
                # By its names: by its digest, the engine would refuse one with several, or be forced.
                for name in (*image.tags, image.id):
                    _remove_image(engine, name)
            except docker.errors.APIError as error:
                refused.append((image.name, _conflict(error)))
    for volume in plan.volumes:
        with engine_errors(f"{volume.name} can not be removed"):
            try:
                engine.client.volumes.get(volume.name).remove()
            except docker.errors.NotFound:
                continue
            except docker.errors.APIError as error:
                refused.append((volume.name, _conflict(error)))
    return tuple(refused)


def _remove_image(engine: Engine, name: str) -> None:
    try:
        engine.client.api.remove_image(name)
    except docker.errors.ImageNotFound:
        return


def _conflict(error: docker.errors.APIError) -> str:
    """Return the engine's reason why a thing is in use; anything else is an error."""
    if error.response is None or error.response.status_code != 409:
        raise error
    return " ".join(str(error.explanation).split())


def _disk_usage(engine: Engine) -> Mapping[str, Any]:
    for _ in range(_BUSY_TRIES):
        try:
            with engine_errors("the engine does not tell its disk usage"):
                # Sizes of volumes are added up file by file.
                found: Mapping[str, Any] = engine.patient.api.df()
                return found
        except EngineError as error:
            if _BUSY not in error.message:
                raise
        time.sleep(_BUSY_PAUSE_S)
    raise EngineError("the engine is busy adding up its disk usage for somebody else", hint="try again")


def _kind(attrs: Mapping[str, Any]) -> Kind | None:
    """Return what an image of mlgate's is; `None` for all others, and for what somebody built on one of ours."""
    said = attrs.get("Config", {}).get("Labels") or {}
    # Environments of an earlier mlgate have the name and not the comment: nobody finds them any more, and they may go.
    named = any(tag.startswith(f"{REPOSITORY}:") for tag in attrs.get("RepoTags") or ())
    return _KINDS.get(said.get(labels.ROLE_LABEL, "")) if named or attrs.get("Comment") == labels.MADE_BY else None


def _image(
    entry: Mapping[str, Any], attrs: Mapping[str, Any], kind: Kind, chain: tuple[str, ...], sizes: list[int]
) -> StoredImage:
    said = entry.get("Labels") or {}
    python, pins = _facts(said.get(FACTS_LABEL, ""))
    created = datetime.fromtimestamp(int(entry["Created"]), UTC)
    tagged = _time((attrs.get("Metadata") or {}).get("LastTagTime"))
    size, shared = int(entry["Size"]), int(entry.get("SharedSize", -1))
    depth = min(_LAYERS[kind], len(chain), len(sizes))
    return StoredImage(
        id=entry["Id"],
        tags=tuple(sorted(tag for tag in entry.get("RepoTags") or () if tag != "<none>:<none>")),
        kind=kind,
        model=said.get(labels.MODEL_NAME_LABEL, ""),
        version=said.get(labels.MODEL_VERSION_LABEL, ""),
        python=python,
        pins=pins,
        created=created,
        used=max(created, tagged) if tagged else created,
        size=size,
        own=size - shared if shared >= 0 else None,
        layers=tuple(Layer(chain=chain[: len(chain) - above], size=sizes[above]) for above in reversed(range(depth))),
        containers=max(0, int(entry.get("Containers", 0))),
    )


def _facts(text: str) -> tuple[str, int]:
    """Return Python and the number of pins; nothing of both for a label that is not as mlgate writes it."""
    try:
        told = json.loads(text)
        return str(told["python"]), len(told["pins"])
    except (ValueError, KeyError, TypeError):
        return "", 0


def _volume(entry: Mapping[str, Any]) -> StoredVolume | None:
    said = entry.get("Labels") or {}
    if entry["Name"] == CACHE_VOLUME:
        kind = Kind.PACKAGES
    elif said.get(labels.ROLE_LABEL) == _MODEL_ROLE:
        kind = Kind.MODEL
    else:
        return None
    usage = entry.get("UsageData") or {}
    size = int(usage.get("Size", -1))
    return StoredVolume(
        name=entry["Name"],
        kind=kind,
        created=_time(entry.get("CreatedAt")),
        size=size if size >= 0 else None,
        users=max(0, int(usage.get("RefCount", 0))),
    )


def _time(text: str | None) -> datetime | None:
    """Read the engine's time; it writes nanoseconds, and year 1 for never."""
    try:
        found = datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text or ""))
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.year > 1 else None
