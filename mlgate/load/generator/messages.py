"""What master and workers of the generator say to each other, in locust's custom messages."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.load.answers import KeptAnswer, pack, unpack
from mlgate.load.samples import ROW

HELLO = "mlgate_hello"  # worker: here I am, on this clock and this version of mlgate
PLAN = "mlgate_plan"  # master: your share
READY = "mlgate_ready"  # worker: warmed up
START = "mlgate_start"  # master: second 0
STOP = "mlgate_stop"  # master: nothing from this second on
ROWS = "mlgate_rows"  # worker: rows that changed, and answers kept since the last time
DONE = "mlgate_done"  # worker: that was all
FAILED = "mlgate_failed"  # worker: it can not be done


def clock() -> str:
    """Return what identifies this process's `time.monotonic`: the boot, and the namespace of its time."""
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(Path("/proc/self/ns/time").readlink().name)
    # Where nothing tells, no clock is another's.
    return "/".join(parts) or f"unknown {time.monotonic()}"


def rows_message(index: NDArray[np.int64], rows: NDArray[np.void], kept: Sequence[KeptAnswer]) -> dict[str, bytes]:
    """Return the message of *rows* (dtype `ROW`), which are those of the whole schedule at *index*."""
    return {"index": index.tobytes(), "rows": rows.tobytes(), "kept": pack(kept)}


def read_rows(data: Any) -> tuple[NDArray[np.int64], NDArray[np.void], tuple[KeptAnswer, ...]]:
    """Read what `rows_message` gave."""
    return np.frombuffer(data["index"], np.int64), np.frombuffer(data["rows"], ROW), unpack(data["kept"])


def listener(act: Callable[[Any], None]) -> Callable[..., None]:
    """Return *act* as locust calls it, with the message."""

    def listen(*, msg: Any, **_: Any) -> None:
        act(msg)

    return listen
