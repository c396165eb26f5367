"""A load run as a few kB of JSON for the report: what happened when, and the percentile curve. Pure."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.usage import UsageSeries

# A second is the block of the judgement (design §7). More bins than this are narrower than a pixel on a phone.
BIN_S = 1.0
MAX_BINS = 120

# Evenly spaced on the logarithmic axis; the quantiles that people name come on top.
CURVE_POINTS = 48
NAMED = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)

# Beyond what a chart or a table shows.
DIGITS = 4


def over_time(
    samples: Samples, usage: UsageSeries | None, *, duration_s: float, generator_cores: float = 0.0
) -> dict[str, Any]:
    """Return what was offered, answered and used in each bin of the run, as JSON: columns of one length, null for unknown.

    Requests and their times stand in the bin in which they were *meant* to leave, answers in the one they came in. A
    request that timed out counts with the wait for it; one that was refused at once has no latency.

    Args:
        samples: Every intended request of the part that was run.
        usage: What server and host used; `None` where nobody could read it.
        duration_s: Length of that part in seconds, above zero.
        generator_cores: Cores' worth of CPU of the generator, over the run; taken off what `other_cores` are.

    Returns:
        `bin_s`, `duration_s`, and the columns `offered`, `answered`, `errors` (requests), `response_p50_ms`,
        `response_p95_ms`, `response_max_ms`, `service_p50_ms`, `service_p95_ms`, `memory_mib`, `server_cores`,
        `other_cores`. The last bin may be cut short by `duration_s`.
    """
    bin_s = max(BIN_S, float(math.ceil(duration_s / MAX_BINS)))
    count = max(1, math.ceil(round(duration_s / bin_s, 9)))
    edges = np.minimum(np.arange(count + 1) * bin_s, duration_s)
    latencies = list(_latencies(samples, _bins(samples.intended_s, bin_s, count), count))
    names = ("response_p50_ms", "response_p95_ms", "response_max_ms", "service_p50_ms", "service_p95_ms")
    return {
        "bin_s": bin_s,
        "duration_s": round(duration_s, 3),
        "offered": _counts(samples.intended_s, bin_s, count),
        "answered": _counts(samples.done_s[samples.answered & (samples.done_s < duration_s)], bin_s, count),
        "errors": _counts(samples.intended_s[samples.failed], bin_s, count),
        **{name: [_rounded(row[index]) for row in latencies] for index, name in enumerate(names)},
        **(_used(usage, edges, generator_cores) if usage is not None else {}),
    }


def percentile_curve(samples: Samples) -> dict[str, Any]:
    """Return response and service time at quantiles that are even on a logarithmic axis, as JSON.

    The axis is -log10(1 - q), as HdrHistogram's plots have it: each nine is as wide as the one before. It ends at
    1 - 1/(2n), the longest time, because n requests say nothing further out. A quantile is an observed value, the one
    that is judged, and a request without a good answer lies beyond every one: null.

    Returns:
        `n`, and the columns `quantiles`, `response_ms`, `service_ms`; no column where there is no request.
    """
    n = len(samples)
    if not n:
        return {"n": 0}
    end = math.log10(2 * n)
    even = 1 - 10 ** -np.linspace(0.0, end, CURVE_POINTS)
    # What was rounded is what is looked up, so that a value belongs to the quantile beside it.
    quantiles = np.unique(np.round([*even, *(q for q in NAMED if q <= 1 - 1 / n)], 9))
    # Without the rounding, 0.95 of 6 000 is the 5 701st.
    ranks = np.maximum(np.ceil(np.round(quantiles * n, 6)).astype(np.int64), 1) - 1
    times = {"response_ms": samples.response_ms, "service_ms": samples.service_ms}
    ordered = {name: np.sort(np.where(samples.failed, np.inf, column)) for name, column in times.items()}
    columns = {name: [_rounded(value) for value in column[ranks].tolist()] for name, column in ordered.items()}
    return {"n": n, "quantiles": quantiles.tolist(), **columns}


def _bins(times_s: NDArray[np.float64], bin_s: float, count: int) -> NDArray[np.int64]:
    return np.clip(np.floor(times_s / bin_s), 0, count - 1).astype(np.int64)


def _counts(times_s: NDArray[np.float64], bin_s: float, count: int) -> list[int]:
    counts: list[int] = np.bincount(_bins(times_s, bin_s, count), minlength=count).tolist()
    return counts


def _latencies(samples: Samples, bins: NDArray[np.int64], count: int) -> Iterator[tuple[float, ...]]:
    """Yield p50, p95 and max of response, p50 and p95 of service time for each bin, in ms; NaN for an empty one."""
    timed = (samples.answered | (samples.error == ErrorKind.TIMEOUT)) & np.isfinite(samples.done_s)
    order = np.argsort(bins[timed], kind="stable")
    starts = np.searchsorted(bins[timed][order], np.arange(1, count))
    response, service = samples.response_ms[timed][order], samples.service_ms[timed][order]
    for waits, takes in zip(np.split(response, starts), np.split(service, starts), strict=True):
        if not len(waits):
            yield (math.nan,) * 5
            continue
        p50, p95 = np.quantile(waits, [0.5, 0.95], method="inverted_cdf").tolist()
        yield p50, p95, float(waits.max()), *np.quantile(takes, [0.5, 0.95], method="inverted_cdf").tolist()


def _used(usage: UsageSeries, edges: NDArray[np.float64], generator_cores: float) -> dict[str, list[float | None]]:
    server = _per_second(usage.at_s, usage.server_cpu_s, edges)
    other = np.maximum(_per_second(usage.at_s, usage.host_busy_s, edges) - server - generator_cores, 0.0)
    columns = {"memory_mib": _memory(usage, edges) / 2**20, "server_cores": server, "other_cores": other}
    return {name: [_rounded(value) for value in column.tolist()] for name, column in columns.items()}


def _per_second(
    at_s: NDArray[np.float64], counter: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return by how much a counter that only grows grew, a second, in each bin; NaN where no reading reaches."""
    read = np.isfinite(counter)
    if read.sum() < 2:
        return np.full(len(edges) - 1, np.nan)
    at_s, counter = at_s[read], counter[read]
    # The first and the last reading may miss the ends of the run by a moment: what they span is all there is to say.
    inside = np.clip(edges, at_s[0], at_s[-1])
    width = np.diff(inside)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.diff(np.interp(inside, at_s, counter)) / width
    return np.where((width >= np.diff(edges) / 2) & (rate >= 0), rate, np.nan)


def _memory(usage: UsageSeries, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the most memory read in each bin, in bytes; between two readings, where none falls into it."""
    read = np.isfinite(usage.memory)
    at_s, memory = usage.at_s[read], usage.memory[read]
    if not len(at_s):
        return np.full(len(edges) - 1, np.nan)
    most: NDArray[np.float64] = np.interp((edges[:-1] + edges[1:]) / 2, at_s, memory, left=np.nan, right=np.nan)
    bins = np.searchsorted(edges, at_s, side="right") - 1
    inside = (bins >= 0) & (bins < len(most))
    np.fmax.at(most, bins[inside], memory[inside])
    return most


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
