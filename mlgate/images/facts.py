"""An environment that is built, and how an image carries its own facts. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from mlgate.errors import EngineError
from mlgate.evidence import ImageFacts
from mlgate.images.recipe import Recipe, recipe_digest

KEY_LABEL = "mlgate.recipe_key"
FACTS_LABEL = "mlgate.image_facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """The environment of a model version, ready to run.

    Attributes:
        reference: What the engine knows the image by; for an environment on the host, its folder.
        image_digest: Digest of the image; empty for an environment on the host.
        recipe_digest: Digest over what came of the recipe, see `mlgate.images.recipe.recipe_digest`.
        base: Reference of the base image that was used.
        base_digest: Its digest.
        python: Full version: `3.11.8`.
        python_asked: Full version that the model version names; empty where it names none.
        platform: `linux/amd64`.
        pins: `name==version` of everything installed, sorted.
        apt: Debian packages asked for.
        server: Identity of the serving code.
        hit: It was there already.
        seconds: What the steps took.
    """

    reference: str
    image_digest: str
    recipe_digest: str
    base: str
    base_digest: str
    python: str
    platform: str
    pins: tuple[str, ...]
    apt: tuple[str, ...]
    server: str
    python_asked: str = ""
    hit: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)

    def facts(self, *, threads: int) -> ImageFacts:
        """Return what the evidence says of it."""
        return ImageFacts(
            recipe_digest=self.recipe_digest,
            image_digest=self.image_digest,
            base=self.base,
            base_digest=self.base_digest,
            python=self.python,
            platform=self.platform,
            pins=self.pins,
            apt=self.apt,
            server=self.server,
            threads=threads,
            python_asked=self.python_asked,
        )

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        *,
        base: str,
        base_digest: str,
        python: str,
        pins: tuple[str, ...],
        reference: str = "",
        image_digest: str = "",
        hit: bool = False,
        seconds: Mapping[str, float] | None = None,
    ) -> Self:
        """Return what came of *recipe*."""
        digest = recipe_digest(
            base_digest=base_digest,
            platform=recipe.platform,
            apt=recipe.apt,
            python=python,
            pins=pins,
            server=recipe.server,
        )
        return cls(
            reference=reference,
            image_digest=image_digest,
            recipe_digest=digest,
            base=base,
            base_digest=base_digest,
            python=python,
            platform=recipe.platform,
            pins=tuple(sorted(pins)),
            apt=recipe.apt,
            server=recipe.server,
            python_asked=recipe.python_asked,
            hit=hit,
            seconds=dict(seconds or {}),
        )


def facts_text(*, base: str, base_digest: str, python: str, pins: tuple[str, ...]) -> str:
    """Return what can not be told from the recipe, as one label."""
    return json.dumps({"base": base, "base_digest": base_digest, "python": python, "pins": pins})


def from_facts_text(
    text: str,
    recipe: Recipe,
    *,
    reference: str,
    image_digest: str = "",
    hit: bool = True,
    seconds: Mapping[str, float] | None = None,
) -> BuiltImage:
    """Read what `facts_text` wrote.

    Raises:
        EngineError: It is not what mlgate writes.
    """
    try:
        told = json.loads(text)
        return BuiltImage.of(
            recipe,
            base=told["base"],
            base_digest=told["base_digest"],
            python=told["python"],
            pins=tuple(told["pins"]),
            reference=reference,
            image_digest=image_digest,
            hit=hit,
            seconds=seconds,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{reference} carries facts that can not be read ({error})", hint="remove it") from error
