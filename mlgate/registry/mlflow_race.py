"""Two writers at once: what MLflow's database refuses to the slower one, and what it takes when it is asked again."""

from collections.abc import Callable
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt

# Two first writers of one tag: MLflow reads, then inserts, and the database refuses the slower one.
_LOST_RACE = "UNIQUE constraint failed", "duplicate key value", "Duplicate entry"
_TRIES = 3


def again_after_a_race(write: Callable[[], Any]) -> Any:
    """Call *write*, which may be repeated, once more where it lost a race: by then the row is there to be updated."""
    retrying = Retrying(stop=stop_after_attempt(_TRIES), retry=retry_if_exception(_lost_race), reraise=True)
    return retrying(write)


def _lost_race(error: BaseException) -> bool:
    return any(sign in str(error) for sign in _LOST_RACE)
