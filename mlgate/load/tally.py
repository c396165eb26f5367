"""Counts and ordered latencies of load samples, a part of the rows at a time: a long run is never all in memory. Pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from mlgate.load.samples import ErrorKind, Samples

Mask = NDArray[np.bool_]

# Requests of one second share their fate (a collection, a stall), so they are one cluster (design §7).
BLOCK_S = 1.0

# Rows looked at in one go: 46 MB of the mapped file.
CHUNK = 1_000_000

# Up to here percentiles are exact: 10 M doubles are 80 MB (issue 6).
EXACT_UP_TO = 10_000_000

# HdrHistogram keeps whole numbers: 1 µs is below every answer over a socket, and an hour above every timeout.
UNITS_PER_MS = 1_000
LARGEST_MS = 3_600_000
DIGITS = 3
# 3 significant digits take 2 048 sub-buckets (HdrHistogram: the power of two from 2 * 10^digits on), so 11 bits are kept.
KEPT_BITS = 11


class Ordered(Protocol):
    """Latencies in ascending order, those without a good answer last, as infinite."""

    def __len__(self) -> int:
        """Return how many there are, infinite ones among them."""

    def at(self, rank: int) -> float:
        """Return the *rank*-th smallest in ms; 1 is the smallest."""


class Exact:
    """Every latency, sorted."""

    def __init__(self, times_ms: NDArray[np.float64]) -> None:
        self._sorted = np.sort(times_ms)

    def __len__(self) -> int:
        return len(self._sorted)

    def at(self, rank: int) -> float:
        """Return the *rank*-th smallest in ms."""
        return float(self._sorted[rank - 1])


class Recorded:
    """Latencies in an HdrHistogram, each within 0.1 %."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LARGEST_MS * UNITS_PER_MS, DIGITS)
        self._n = 0
        self._buckets: tuple[NDArray[np.float64], NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return self._n

    def add(self, times_ms: NDArray[np.float64]) -> None:
        """Record *times_ms*; infinite ones count, and have no bucket."""
        self._n, self._buckets = self._n + len(times_ms), None
        finite = times_ms[np.isfinite(times_ms)]
        units = np.clip(np.rint(finite * UNITS_PER_MS), 1, LARGEST_MS * UNITS_PER_MS).astype(np.int64)
        # One call per bucket in place of one per value, which would take a microsecond each: cut to the bits that a bucket keeps.
        shift = np.maximum(np.frexp(units.astype(np.float64))[1] - KEPT_BITS, 0)
        buckets, counts = np.unique((units >> shift) << shift, return_counts=True)
        for value, count in zip(buckets.tolist(), counts.tolist(), strict=True):
            self._histogram.record_value(value, count)

    def at(self, rank: int) -> float:
        """Return the *rank*-th smallest in ms, as the middle of its bucket."""
        values, last_ranks = self.buckets()
        place = int(np.searchsorted(last_ranks, rank))
        return float(values[place]) if place < len(values) else math.inf

    def buckets(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the middles of the buckets in ms, ascending, and how many latencies are in or below each."""
        if self._buckets is None:
            self._buckets = self._read()
        return self._buckets

    def _read(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        steps = [
            (step.value_iterated_to, step.count_at_value_iterated_to)
            for step in self._histogram.get_recorded_iterator()
        ]
        tops = np.array([top for top, _ in steps], dtype=np.float64)
        lowest = np.array([self._histogram.get_lowest_equivalent_value(int(top)) for top, _ in steps], dtype=np.float64)
        counts = np.array([count for _, count in steps], dtype=np.int64)
        return (tops + lowest) / 2 / UNITS_PER_MS, np.cumsum(counts)


def ordered_latencies(samples: Samples) -> Ordered:
    """Return response times in order, failed requests as infinite: exact, or recorded beyond `EXACT_UP_TO` rows."""
    if len(samples) <= EXACT_UP_TO:
        return Exact(judged_ms(samples))
    recorded = Recorded()
    for part in chunks(samples):
        recorded.add(judged_ms(part))
    return recorded


def judged_ms(samples: Samples) -> NDArray[np.float64]:
    """Return the response time of each request in ms, infinite where no good answer came."""
    return np.where(samples.failed, np.inf, samples.response_ms)


def chunks(samples: Samples) -> Iterator[Samples]:
    """Give the rows in parts of at most `CHUNK`: views, so that a mapped file is read as it is looked at."""
    for start in range(0, len(samples), CHUNK):
        part = slice(start, start + CHUNK)
        yield Samples(**{column.name: getattr(samples, column.name)[part] for column in fields(samples)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """What was counted of the rows that violate.

    Attributes:
        sizes: Requests per block of `BLOCK_S`, shape (blocks,); a block may be empty.
        counts: Those of them that violate, shape (blocks,).
        errors: Kind of error, by its label, to the violating requests that met it.
        statuses: HTTP status to the violating requests answered with it; "0" for none.
        lost: Violating requests that timed out or lost their connection.
        failed: Requests without a good answer, violating or not.
    """

    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    errors: Mapping[str, int]
    statuses: Mapping[str, int]
    lost: int
    failed: int

    @classmethod
    def of(cls, samples: Samples, violating: Callable[[Samples], Mask]) -> "Tally":
        """Count, part by part.

        Args:
            samples: Every intended request.
            violating: Says which samples violate, shape (n,), and is asked for a part of them at a time.
        """
        blocks = 0
        for part in chunks(samples):
            blocks = max(blocks, int(_blocks(part).max()) + 1)
        sizes, counts = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
        errors, statuses, failed = Counter[int](), Counter[int](), 0
        for part in chunks(samples):
            is_violating, block = violating(part), _blocks(part)
            sizes += np.bincount(block, minlength=blocks)
            counts += np.bincount(block[is_violating], minlength=blocks)
            errors.update(part.error[is_violating & part.failed].tolist())
            statuses.update(part.status[is_violating].tolist())
            failed += int(part.failed.sum())
        return cls(
            sizes=sizes,
            counts=counts,
            errors={ErrorKind(code).label: errors[code] for code in sorted(errors)},
            statuses={str(code): statuses[code] for code in sorted(statuses)},
            lost=errors[ErrorKind.TIMEOUT] + errors[ErrorKind.CONNECTION],
            failed=failed,
        )


def _blocks(samples: Samples) -> NDArray[np.int64]:
    return np.floor(samples.intended_s / BLOCK_S).astype(np.int64)


def latency_details(samples: Samples) -> dict[str, Any]:
    """Return the answered requests' quantiles and histogram in ms as JSON, from the samples or from an HdrHistogram."""
    if len(samples) <= EXACT_UP_TO:
        return {"histogram": samples.histogram(), **samples.summary()}
    times = {"response_ms": Recorded(), "service_ms": Recorded()}
    for part in chunks(samples):
        for name, recorded in times.items():
            recorded.add(getattr(part, name)[part.answered])
    details = {name: _quantiles(recorded) for name, recorded in times.items() if len(recorded)}
    return {"histogram": _histogram(times["response_ms"]), **details}


def rank_of(q: float, n: int) -> int:
    """Return the rank of the *q* quantile among *n*: an observed value, as the judged percentile is."""
    return max(math.ceil(q * n), 1)


def _quantiles(recorded: Recorded) -> dict[str, float]:
    n = len(recorded)
    named = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(recorded.at(rank_of(q, n)), 3) for name, q in named.items()}


def _histogram(recorded: Recorded, bins: int = 40) -> dict[str, Any]:
    values, last_ranks = recorded.buckets()
    if not len(values):
        return {"edges_ms": [], "counts": []}
    edges = np.geomspace(values[0] * 0.999, values[-1] * 1.001, bins + 1)
    counts, _ = np.histogram(values, edges, weights=np.diff(last_ranks, prepend=0))
    return {"edges_ms": [float(f"{edge:.4g}") for edge in edges], "counts": counts.astype(int).tolist()}
