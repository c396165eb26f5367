"""Raw samples of a load run, one row per intended request. Pure but for the map of a file that a generator fills."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class ErrorKind(IntEnum):
    """What was wrong with an answer, as the column `error` holds it."""

    NONE = 0
    CLIENT_ERROR = 1  # 4xx
    SERVER_ERROR = 2  # 5xx
    STATUS = 3  # any other status but 200
    INVALID = 4  # 200, and the body is not a valid answer: no JSON, no predictions, an error inside, too few rows
    NOT_FINITE = 5  # 200, and the body holds a NaN or Infinity token
    WRONG = 6  # 200, and not what the same server answered without load
    TIMEOUT = 7  # no whole answer within the request's deadline
    CONNECTION = 8  # refused, reset, or closed before the answer was whole
    DROPPED = 9  # never sent: the generator's fault

    @property
    def label(self) -> str:
        """The kind as evidence and people read it."""
        return _LABELS[self]


_LABELS = {
    ErrorKind.NONE: "",
    ErrorKind.CLIENT_ERROR: "4xx",
    ErrorKind.SERVER_ERROR: "5xx",
    ErrorKind.STATUS: "status",
    ErrorKind.INVALID: "invalid_body",
    ErrorKind.NOT_FINITE: "not_finite",
    ErrorKind.WRONG: "wrong_answer",
    ErrorKind.TIMEOUT: "timeout",
    ErrorKind.CONNECTION: "connection",
    ErrorKind.DROPPED: "dropped",
}

# One row of the file that generator and run share, packed: 46 bytes.
ROW = np.dtype(
    [
        ("intended_s", "<f8"),
        ("sent_s", "<f8"),
        ("done_s", "<f8"),
        ("size", "<i8"),
        ("status", "<i4"),
        ("body", "<i4"),
        ("answer", "<i4"),
        ("target", "u1"),
        ("error", "u1"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of shape (n,), in the order of the schedule. Times are seconds from the start of the run, on one clock.

    Attributes:
        intended_s: When the request should have left.
        sent_s: When it left; NaN where it never did.
        done_s: When the answer was read, or the wait for it given up; NaN where it was never sent.
        size: Bytes of the answer's body.
        status: HTTP status; 0 for no answer.
        body: Which of its target's bodies was sent.
        answer: Which of the run's kept answers came back; -1 where it was not kept.
        target: Which of the plan's targets was asked.
        error: An `ErrorKind`; 0 for a good answer.
    """

    intended_s: NDArray[np.float64]
    sent_s: NDArray[np.float64]
    done_s: NDArray[np.float64]
    size: NDArray[np.int64]
    status: NDArray[np.int32]
    body: NDArray[np.int32]
    answer: NDArray[np.int32]
    target: NDArray[np.uint8]
    error: NDArray[np.uint8]

    def __post_init__(self) -> None:
        shapes = {getattr(self, column.name).shape for column in fields(self)}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ValueError("the columns of load samples differ in length")

    def __len__(self) -> int:
        return len(self.intended_s)

    @classmethod
    def unsent(
        cls,
        intended_s: NDArray[np.float64],
        *,
        body: NDArray[np.int32] | None = None,
        target: NDArray[np.uint8] | None = None,
    ) -> Self:
        """Return rows for *intended_s* (seconds) of which none is sent yet; a generator fills them in."""
        return cls.of_rows(unsent_rows(np.asarray(intended_s, np.float64), body, target))

    @classmethod
    def of_rows(cls, rows: NDArray[np.void]) -> Self:
        """Return the columns of *rows*, of dtype `ROW`: views, so that whoever fills the rows fills these."""
        return cls(**{column.name: rows[column.name] for column in fields(cls)})

    @classmethod
    def create(
        cls,
        path: Path,
        intended_s: NDArray[np.float64],
        *,
        body: NDArray[np.int32] | None = None,
        target: NDArray[np.uint8] | None = None,
    ) -> Self:
        """Write unsent rows to *path* and return them mapped: another process may fill them while this one looks."""
        rows = unsent_rows(np.asarray(intended_s, np.float64), body, target)
        rows.tofile(path)
        return cls.mapped(path, writable=True)

    @classmethod
    def mapped(cls, path: Path, *, writable: bool = False) -> Self:
        """Return the rows of *path*, mapped: what another process writes there is seen here at once.

        Raises:
            OSError: No such file.
            ValueError: Not a whole number of rows.
        """
        if path.stat().st_size == 0:
            return cls.of_rows(np.empty(0, ROW))
        # As a plain array, whose items are set and read at half the cost of a memmap's.
        return cls.of_rows(np.asarray(np.memmap(path, dtype=ROW, mode="r+" if writable else "r")))

    def take(self, mask: NDArray[Any] | slice) -> Self:
        """Return the rows where *mask* is set, or at its places; a copy, but for a slice: that is a view."""
        return type(self)(**{column.name: getattr(self, column.name)[mask] for column in fields(self)})

    def copy(self) -> Self:
        """Return a copy that no other process writes to."""
        return type(self)(**{column.name: np.array(getattr(self, column.name)) for column in fields(self)})

    @property
    def sent(self) -> NDArray[np.bool_]:
        """Where the request left at all."""
        return ~np.isnan(self.sent_s)

    @property
    def waiting(self) -> NDArray[np.bool_]:
        """Where the request left and its answer is not in yet; nowhere, once the run is over.

        Whoever fills a row writes `error` last: until then it is `DROPPED`, whatever else the row holds already.
        """
        waiting: NDArray[np.bool_] = self.sent & (self.error == ErrorKind.DROPPED)
        return waiting

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Where an answer came, good or bad."""
        return self.status > 0

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Where no good answer came: an error, a timeout, or a request that never left."""
        failed: NDArray[np.bool_] = self.error != ErrorKind.NONE  # numpy types a comparison with an enum as Any
        return failed

    @property
    def response_ms(self) -> NDArray[np.float64]:
        """Milliseconds from the *intended* send to the answer: what a caller who does not wait in line would see."""
        return (self.done_s - self.intended_s) * 1000

    @property
    def service_ms(self) -> NDArray[np.float64]:
        """Milliseconds from the actual send to the answer."""
        return (self.done_s - self.sent_s) * 1000

    @property
    def send_lag_ms(self) -> NDArray[np.float64]:
        """Milliseconds that the request left late; NaN where it never left."""
        return (self.sent_s - self.intended_s) * 1000

    @property
    def error_counts(self) -> Mapping[str, int]:
        """Kind of error, by its label, to the requests that met it; good answers are not among them."""
        codes, counts = np.unique(self.error[self.failed], return_counts=True)
        return {ErrorKind(code).label: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}

    def summary(self) -> dict[str, Any]:
        """Return p50, p90, p95, p99 and max of response and service time in ms over the answered requests, as JSON."""
        times = {"response_ms": self.response_ms[self.answered], "service_ms": self.service_ms[self.answered]}
        return {name: _quantiles(values) for name, values in times.items() if len(values)}

    def histogram(self, bins: int = 40) -> dict[str, Any]:
        """Return response times of the answered requests in logarithmic *bins*: `edges_ms` (one more than `counts`)."""
        # A clock's resolution is no latency: 10 µs is below every answer over a socket.
        values = np.maximum(self.response_ms[self.answered], 0.01)
        if not len(values):
            return {"edges_ms": [], "counts": []}
        edges = np.geomspace(values.min() * 0.999, values.max() * 1.001, bins + 1)
        counts, _ = np.histogram(values, edges)
        return {"edges_ms": [float(f"{edge:.4g}") for edge in edges], "counts": counts.tolist()}


def unsent_rows(
    intended_s: NDArray[np.float64], body: NDArray[np.int32] | None, target: NDArray[np.uint8] | None
) -> NDArray[np.void]:
    """Return rows of dtype `ROW` for *intended_s* of which none is sent; `Samples.of_rows` are their columns."""
    rows = np.zeros(len(intended_s), ROW)
    rows["intended_s"] = intended_s
    rows["sent_s"] = rows["done_s"] = np.nan
    rows["answer"] = -1
    rows["error"] = ErrorKind.DROPPED
    if body is not None:
        rows["body"] = body
    if target is not None:
        rows["target"] = target
    return rows


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    # An observed value, as the judged percentile is; interpolation invents one.
    p50, p90, p95, p99 = np.quantile(values, [0.5, 0.9, 0.95, 0.99], method="inverted_cdf")
    named = {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "max": values.max()}
    return {name: round(float(value), 3) for name, value in named.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the generator did what it was asked to.

    Attributes:
        offered_rate: Requests per second that the schedule asks for, over its length.
        achieved_rate: Requests per second that left.
        send_lag_p99_ms: 99th percentile of how late they left, in ms; infinite where none left.
        dropped: Requests that never left.
        cpu_share: CPU time of the generator (all its processes) over wall time: 1 is one core, busy.
    """

    offered_rate: float
    achieved_rate: float
    send_lag_p99_ms: float
    dropped: int
    cpu_share: float

    @classmethod
    def of(cls, samples: Samples, *, rate: float, duration_s: float, cpu_share: float) -> Self:
        """Return the health of the run that gave *samples*.

        Args:
            samples: Every intended request, sent or not.
            rate: Offered rate, requests per second.
            duration_s: Length of the schedule in seconds.
            cpu_share: Measured CPU share of the generator.
        """
        sent_s = samples.sent_s[samples.sent]
        lag = samples.send_lag_ms[samples.sent]
        # All requests may leave and still leave too slowly; the run is then as long as its last send.
        length_s = max(duration_s, float(sent_s.max(initial=0.0)))
        return cls(
            offered_rate=rate,
            achieved_rate=len(sent_s) / length_s,
            send_lag_p99_ms=float(np.quantile(lag, 0.99, method="inverted_cdf")) if len(lag) else float("inf"),
            dropped=len(samples) - len(sent_s),
            cpu_share=cpu_share,
        )
