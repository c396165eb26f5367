"""The environment images that are on an engine, by the key of their recipe."""

from typing import Any

import docker.errors

from mlgate.images.facts import FACTS_LABEL, KEY_LABEL
from mlgate.images.labels import MADE_BY
from mlgate.sandbox.engine import Engine

REPOSITORY = "mlgate/environment"


def tag_of(key: str) -> str:
    """Return the tag of the image under a recipe's *key*."""
    return key.removeprefix("sha256:")[:24]


def find_environment(engine: Engine, key: str) -> tuple[str, str] | None:
    """Return id and facts of the environment image under *key*, and note that it is used; `None` where there is none."""
    try:
        image: dict[str, Any] = engine.client.images.get(f"{REPOSITORY}:{tag_of(key)}").attrs
        labels = image["Config"].get("Labels") or {}
        # By label alone, any image that somebody built on this one would do: it inherits them all.
        if labels.get(KEY_LABEL) != key or image.get("Comment") != MADE_BY:
            return None
        # An engine notes when an image was tagged, not when it was used: `mlgate image prune` goes by this.
        engine.client.api.tag(image["Id"], REPOSITORY, tag_of(key), force=True)
    except docker.errors.ImageNotFound:
        return None
    return image["Id"], labels.get(FACTS_LABEL, "")
