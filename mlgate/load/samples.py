"""Raw samples of a load run, one row per intended request, and the health of what generated them. Pure but for `.npz`."""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Codes of the column `error`; empty is a good answer.
STATUS = "status"  # answered, but not with 200
NOT_FINITE = "not_finite"  # 200, and the body holds a NaN or Infinity token
TIMEOUT = "timeout"  # no whole answer within the request's deadline
CONNECTION = "connection"  # refused, reset, or closed before the answer was whole
DROPPED = "dropped"  # never sent: the generator's fault

ERROR_DTYPE = np.dtype("U16")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Columns of shape (n,), in the order of the schedule. Times are seconds from the start of the run, on one clock.

    Attributes:
        intended_s: When the request should have left.
        sent_s: When it left; NaN where it never did.
        done_s: When the answer was read, or the wait for it given up; NaN where it was never sent.
        status: HTTP status; 0 for no answer.
        size: Bytes of the answer's body.
        error: Empty for a good answer, else one of this module's codes.
    """

    intended_s: NDArray[np.float64]
    sent_s: NDArray[np.float64]
    done_s: NDArray[np.float64]
    status: NDArray[np.int32]
    size: NDArray[np.int64]
    error: NDArray[np.str_]

    def __post_init__(self) -> None:
        shapes = {getattr(self, column.name).shape for column in fields(self)}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ValueError("the columns of load samples differ in length")

    def __len__(self) -> int:
        return len(self.intended_s)

    @classmethod
    def unsent(cls, intended_s: NDArray[np.float64]) -> Self:
        """Return rows for *intended_s* (seconds) of which none is sent yet; a generator fills them in."""
        count = len(intended_s)
        return cls(
            intended_s=np.asarray(intended_s, np.float64),
            sent_s=np.full(count, np.nan),
            done_s=np.full(count, np.nan),
            status=np.zeros(count, np.int32),
            size=np.zeros(count, np.int64),
            error=np.full(count, DROPPED, ERROR_DTYPE),
        )

    @property
    def sent(self) -> NDArray[np.bool_]:
        """Where the request left at all."""
        return ~np.isnan(self.sent_s)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Where an answer came, good or bad."""
        return self.status > 0

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Where no good answer came: an error, a timeout, or a request that never left."""
        is_failed: NDArray[np.bool_] = self.error != ""  # numpy types the comparison of text as Any
        return is_failed

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

    def write(self, path: Path) -> None:
        """Write the columns to *path* (`.npz`), whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        # A file object, because numpy appends ".npz" to a bare name that lacks it.
        with partial.open("wb") as file:
            np.savez(file, **{column.name: getattr(self, column.name) for column in fields(self)})
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            OSError: No such file.
            ValueError: Not such a file: a column is missing, of another length, or holds objects.
        """
        try:
            # allow_pickle stays off: the file lies in an output directory, and a pickle is a program.
            with np.load(path, allow_pickle=False) as columns:
                return cls(**{column.name: columns[column.name] for column in fields(cls)})
        except OSError:
            raise
        except Exception as error:  # numpy and zipfile raise five kinds for a damaged file
            raise ValueError(f"{path.name} holds no load samples ({error})") from error

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


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    # An observed value, as the judged percentile is; interpolation invents one.
    p50, p90, p95, p99 = np.quantile(values, [0.5, 0.9, 0.95, 0.99], method="inverted_cdf")
    named = {"p50": p50, "p90": p90, "p95": p95, "p99": p99, "max": values.max()}
    return {name: round(float(value), 3) for name, value in named.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the generator did what it was asked to.

    Attributes:
        offered_rate: Requests per second that the schedule asks for.
        achieved_rate: Requests per second that left.
        send_lag_p99_ms: 99th percentile of how late they left, in ms; infinite where none left.
        dropped: Requests that never left.
        cpu_share: CPU time of the generator over wall time: 1 is one core, busy.
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
