"""What `promote` and `rollback` share: the lock, the warning about the way back, and how a move is told."""

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from mlgate.errors import EngineError

if TYPE_CHECKING:
    from mlgate.promotion.journal import Event

# Of the pipeline's own facts; a URL has its place in the evidence.
_MAX_FACT = 200


def ci_facts() -> Mapping[str, str]:
    """Return what the pipeline says of itself, short enough for the journal."""
    from mlgate.surroundings import pipeline_facts

    return {name: value[:_MAX_FACT] for name, value in pipeline_facts().items()}


def image_missing(event: "Event") -> bool:
    """Whether this machine's engine lacks the deployable image of a version; without an engine nobody can say.

    Args:
        event: Its promotion.
    """
    from mlgate.images.labels import ARTIFACT_DIGEST_LABEL, DEPLOYABLE, ROLE_LABEL
    from mlgate.sandbox.engine import connect

    try:
        with closing(connect(timeout_s=10)) as engine:
            labels = [f"{ROLE_LABEL}={DEPLOYABLE}", f"{ARTIFACT_DIGEST_LABEL}={event.artifact_digest}"]
            return not engine.client.images.list(filters={"label": labels})
    except (EngineError, OSError):
        return False


def told(event: "Event", *, moved: bool) -> dict[str, Any]:
    """Return the machine form of a move."""
    return {
        "moved": moved,
        "alias": event.alias,
        "before": event.before,
        "after": event.after,
        "event": event.to_json(),
    }
