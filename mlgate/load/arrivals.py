"""A recorded arrival trace: one column of times in a CSV file."""

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlgate.errors import PolicyError

# A time is at most some 35 characters; ten million of them are a day at 100/s.
MAX_TRACE_BYTES = 512 * 2**20

# As seconds, the year 5138; as the milliseconds that many recorders write, 1973.
MOST_SECONDS = 1e11

_EXAMPLE = "one time a line, in seconds (0.25) or ISO 8601 (2024-01-31T12:00:00.250)"
# What a number that is missing is written as; a file's first line is no header for it.
_NO_NUMBER = {"nan", "inf", "infinity", "null", "none", "na"}


def read_arrivals(path: Path, *, name: str | None = None) -> NDArray[np.float64]:
    """Read the arrival times of a trace.

    One column: seconds, from any zero, or ISO 8601 timestamps, which without an offset are in UTC. A first line that
    begins with a letter is a header; empty lines are left out. Times may be in any order.

    Args:
        path: The file.
        name: What messages call it; default: its path.

    Returns:
        Shape (n,), n at least 2, float64: seconds from the first arrival, ascending.

    Raises:
        PolicyError: It can not be read, a line is no time, or fewer than two moments are left; names file and line.
    """
    label = name or str(path)
    try:
        if path.stat().st_size > MAX_TRACE_BYTES:
            raise PolicyError(f"{label}: larger than {MAX_TRACE_BYTES} bytes", hint="record a shorter trace")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise PolicyError(f"{label}: can not be read ({why})", hint="paths are relative to the policy file") from error
    times = np.sort(np.array(_times(text, label), np.float64))
    if len(times) < 2 or times[0] == times[-1]:
        what = f"{len(times)} arrivals" if len(times) < 2 else f"{len(times)} arrivals at one moment"
        raise PolicyError(f"{label}: {what}; a trace has at least two, at two moments", hint=_EXAMPLE)
    from_first: NDArray[np.float64] = times - times[0]
    return from_first


def _times(text: str, label: str) -> list[float]:
    lines = list(_cells(text))
    if lines and _is_header(lines[0][1]):
        del lines[0]
    if not lines:
        return []
    parse = _seconds if _is_number(lines[0][1]) else _moment
    found = []
    for number, cell in lines:
        try:
            found.append(parse(cell))
        except (ValueError, OverflowError) as error:
            raise PolicyError(f"{label}:{number}: {error}", hint=_EXAMPLE) from error
    return found


def _cells(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): it would also split at characters that no editor counts as the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        cell = line.strip()
        if cell:
            yield number, cell.removeprefix('"').removesuffix('"') if '"' in cell else cell


def _is_header(cell: str) -> bool:
    return re.match(r"[^\W\d]", cell) is not None and cell.lower() not in _NO_NUMBER and "," not in cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _seconds(cell: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        raise ValueError(_no_time(cell, "no number of seconds, as the lines above it are")) from None
    if not math.isfinite(found):
        raise ValueError(_no_time(cell, "no finite number of seconds"))
    if abs(found) > MOST_SECONDS:
        raise ValueError(_no_time(cell, "no number of seconds that a clock shows; are these milliseconds?"))
    return found


def _moment(cell: str) -> float:
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(_no_time(cell, "no time")) from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _no_time(cell: str, what: str) -> str:
    if re.search(r"[,;\t]", cell):
        return f"'{cell[:40]}' has more than one column"
    return f"'{cell[:40]}' is {what}"
