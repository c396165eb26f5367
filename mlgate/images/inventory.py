"""What mlgate keeps on an engine, and which of it may go. No I/O: `mlgate.images.storage` reads and removes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from mlgate.quantities import format_duration
from mlgate.sandbox.session import SessionTag

# A build names its image under way by this; killed, it leaves that name behind, and nobody wants it.
STAGING = "mlgate/building"
_STAGING_AGE = timedelta(hours=1)


def staging_tag(session: SessionTag) -> str:
    """Return the tag of an image under way; it tells whose it is."""
    return f"{session.id}_{session.owner.replace(':', '_')}"


def staging_owner(tag: str) -> str:
    """Return the owner in what `staging_tag` returned; see `mlgate.sandbox.session.is_dead`."""
    return tag.partition("_")[2].replace("_", ":")


class Kind(StrEnum):
    """What a thing on the engine is for."""

    ENVIRONMENT = "environment"
    DEPLOYABLE = "deployable"
    PACKAGES = "packages"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer that mlgate made.

    Attributes:
        chain: Digests of all layers up to this one: the same chain is stored once, whichever images have it.
        size: Bytes.
    """

    chain: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image of mlgate's.

    Attributes:
        id: Its digest on this engine.
        tags: Its names; empty where it lost them.
        kind: Environment or deployable.
        model: Registered model of a deployable image; empty elsewhere.
        version: And the version.
        python: Full version of its Python.
        pins: How many packages are installed.
        created: When it was made.
        used: When it was last built, found or named. An engine does not note when an image was run.
        size: Bytes, all layers.
        own: Bytes of layers that no other image has; `None` where the engine does not tell.
        layers: Those that mlgate made, lowest first.
        containers: How many containers are made from it, running or not.
    """

    id: str
    tags: tuple[str, ...]
    kind: Kind
    model: str = ""
    version: str = ""
    python: str = ""
    pins: int = 0
    created: datetime
    used: datetime
    size: int
    own: int | None = None
    layers: tuple[Layer, ...] = ()
    containers: int = 0

    @property
    def name(self) -> str:
        """Its first tag, else the beginning of its digest."""
        return self.tags[0] if self.tags else self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVolume:
    """A cache of mlgate's. *size* is in bytes, `None` where the engine does not tell; *users* are containers."""

    name: str
    kind: Kind
    created: datetime | None = None
    size: int | None = None
    users: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything of mlgate's on one engine; *foreign* are the layer chains of all other images."""

    images: tuple[StoredImage, ...] = ()
    volumes: tuple[StoredVolume, ...] = ()
    foreign: frozenset[tuple[str, ...]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """What may go.

    Attributes:
        unused_for: Images that were not used for so long; `None`: however new they are.
        deployable: Deployable images, too.
        caches: Downloaded packages and models, too.
    """

    unused_for: timedelta | None
    deployable: bool = False
    caches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What goes, and why the rest stays.

    Attributes:
        images: In the order in which they can be removed: what stands on another goes first.
        volumes: Caches.
        kept: Name and reason of each that stays.
        needed: Layer chains of all that stays.
    """

    images: tuple[StoredImage, ...] = ()
    volumes: tuple[StoredVolume, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    needed: frozenset[tuple[str, ...]] = frozenset()

    @property
    def things(self) -> tuple[StoredImage | StoredVolume, ...]:
        """All that goes."""
        return *self.images, *self.volumes

    def freed(self) -> int:
        """Return the bytes that become free at least; layers that an image shares which stays are not among them."""
        layers = {layer.chain: layer.size for image in self.images for layer in image.layers}
        images = sum(size for chain, size in layers.items() if chain not in self.needed)
        return images + sum(volume.size or 0 for volume in self.volumes)

    def after(self, refused: tuple[tuple[str, str], ...]) -> Self:
        """Return what really went, where *refused* are names and reasons of what did not."""
        names = dict(refused)
        stayed = {layer.chain for image in self.images if image.name in names for layer in image.layers}
        return replace(
            self,
            images=tuple(image for image in self.images if image.name not in names),
            volumes=tuple(volume for volume in self.volumes if volume.name not in names),
            kept=(*self.kept, *refused),
            needed=self.needed | stayed,
        )


def plan_prune(inventory: Inventory, request: PruneRequest, now: datetime) -> PrunePlan:
    """Decide what goes.

    An image that a container is made from stays, and so does an environment that a remaining image stands on: removing
    it would free nothing.
    """
    reasons = {image.id: _reason(image, request, now) for image in inventory.images}
    needed = set(inventory.foreign)
    for image in inventory.images:
        if reasons[image.id]:
            needed.update(layer.chain for layer in image.layers)
    for image in inventory.images:
        if not reasons[image.id] and image.layers and image.layers[-1].chain in needed:
            reasons[image.id] = "another image stands on it"
    doomed = [image for image in inventory.images if not reasons[image.id]]
    volumes = tuple(volume for volume in inventory.volumes if not _volume_reason(volume, request))
    kept = [(image.name, reasons[image.id]) for image in inventory.images]
    kept += [(volume.name, _volume_reason(volume, request)) for volume in inventory.volumes]
    return PrunePlan(
        images=tuple(
            sorted(doomed, key=lambda image: len(image.layers[-1].chain) if image.layers else 0, reverse=True)
        ),
        volumes=volumes,
        kept=tuple((name, reason) for name, reason in kept if reason),
        needed=frozenset(needed),
    )


def _reason(image: StoredImage, request: PruneRequest, now: datetime) -> str:
    """Return why *image* stays for its own sake; empty: it may go."""
    if image.containers:
        return f"in use by {_containers(image.containers)}"
    age = now - image.used
    if image.tags and all(tag.startswith(f"{STAGING}:") for tag in image.tags):
        return "" if age > _STAGING_AGE else "being built"
    if image.kind is Kind.DEPLOYABLE and not request.deployable:
        return "deployable: --deployable removes it"
    if request.unused_for is not None and age < request.unused_for:
        return f"used {format_duration(max(0, round(age.total_seconds())))} ago"
    return ""


def _volume_reason(volume: StoredVolume, request: PruneRequest) -> str:
    if volume.users:
        return f"in use by {_containers(volume.users)}"
    return "" if request.caches else "a cache: --caches removes it"


def _containers(count: int) -> str:
    return "1 container" if count == 1 else f"{count} containers"
