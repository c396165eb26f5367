"""What the body of an error tells beyond what its caller needs. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mlgate.scoring.payloads import Batch

# Absolute, at least two folders deep, or in a home directory; URLs do not count.
_PATH = re.compile(
    r"(?<![\w:/.])/(?:home|root|usr|opt|var|tmp|app|mnt|srv|etc|venv|mlgate)(?:/[\w.@+-]+)+|[A-Z]:\\\\?\w+\\"
)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|\bFile \\?\"[^\"]+\\?\", line \d+")
# Shorter ones are found in any text by chance.
_TELLING = 5


def leaks(body: bytes, *, planted: Sequence[str], valid: Batch) -> tuple[str, ...]:
    """Return which of `traceback`, `path` and `sent values` an error's body holds.

    Args:
        body: Of the answer.
        planted: Words that stood in the request and nowhere else.
        valid: The row that the request was made of.
    """
    text = body.decode("utf-8", "replace")
    found = []
    if _TRACEBACK.search(text):
        found.append("traceback")
    if _PATH.search(text):
        found.append("path")
    if any(value in text for value in (*planted, *_telling(valid))):
        found.append("sent values")
    return tuple(found)


def _telling(valid: Batch) -> Iterator[str]:
    """Yield the values of the row that can not stand in a text by chance."""
    for value in _leaves(list(valid.rows)):
        spelled = value if isinstance(value, str) else json.dumps(value)
        if not isinstance(value, bool) and len(spelled) >= _TELLING:
            yield spelled


def _leaves(value: Any) -> Iterator[Any]:
    inner: Sequence[Any] = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        yield value
        return
    for part in inner:
        yield from _leaves(part)
