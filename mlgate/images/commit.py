"""An image made of a container, under a name that tells whose it is until it has its own."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import docker.errors
import requests

from mlgate.images.inventory import STAGING, staging_tag
from mlgate.images.labels import MADE_BY
from mlgate.images.podman import commit_changes
from mlgate.sandbox.engine import Engine
from mlgate.sandbox.session import SessionTag


@contextmanager
def committed(engine: Engine, container: str, session: SessionTag, config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the image that *container* is committed to; what nobody named by the end of the block is removed.

    Its own name comes last: what is under way, or was killed, must not be taken for it, and an image without any name
    would be nobody's to remove.

    Args:
        engine: Where.
        container: Its id.
        session: Whose image it is meanwhile.
        config: The configuration of the image.
    """
    staging = staging_tag(session)
    changes = commit_changes(config) if engine.facts.name == "podman" else None
    try:
        # The engine finishes a commit, and names it, whether or not anybody still waits: so an interrupt has to wait,
        # too, or it could not take the name away again.
        with ThreadPoolExecutor(max_workers=1) as pool:
            commit = partial(engine.patient.api.commit, repository=STAGING, tag=staging, message=MADE_BY)
            made = pool.submit(commit, container, conf=dict(config), changes=changes).result()
        yield str(made["Id"])
    finally:
        try:
            remove_image(engine, f"{STAGING}:{staging}")
        except BaseException:
            remove_image(engine, f"{STAGING}:{staging}")  # Ctrl-C, just now.
            raise


def remove_image(engine: Engine, reference: str) -> None:
    """Take a name from its image, and the image with it where that was its last one; what can not be removed stays."""
    with suppress(docker.errors.DockerException, requests.RequestException, OSError):
        engine.client.api.remove_image(reference)
