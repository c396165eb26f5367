"""What the requests of a load run carry: rows per request, and bodies that are encoded before the run. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlgate.errors import ConfigError
from mlgate.load.plan import Target
from mlgate.quantities import format_size
from mlgate.scoring.payloads import Batch
from mlgate.scoring.protocols import ServingProtocol
from mlgate.scoring.v2 import V2

if TYPE_CHECKING:
    from mlgate.policy_load import BatchRows

# Different bodies, so that no cache answers for the model, and few enough to encode within seconds.
MAX_BODIES = 200
# Of all bodies. Every generator process holds them, and a run needs no more to keep a cache from answering.
MAX_BYTES = 64 * 2**20
# One body of each size is needed at any length; beyond this the generator would be measured by its memory.
MAX_BYTES_FIRST = 512 * 2**20
# Of a range of sizes: enough to look continuous to a model, few enough that each has four bodies.
MAX_SIZES = 50


def sizes_of(batch: "BatchRows", n: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of each of *n* requests, in proportion to the policy's distribution and in random order.

    A size with share p is drawn ⌊np⌋ or ⌈np⌉ times: systematic sampling (Madow, Annals of Mathematical Statistics 20,
    1949), which is unbiased also where n is small. Of a range of more than 50 numbers, 50 evenly spaced ones are used,
    both ends among them: each size needs bodies of its own.

    Args:
        batch: The policy's `load.batch`.
        n: Requests.
        seed: The same seed gives the same sizes.

    Returns:
        Shape (n,).
    """
    sizes, shares = _distribution(batch)
    rng = np.random.default_rng(seed)
    edges = np.cumsum(shares)
    # Up to rounding the last edge is 1; made so, every request gets a size.
    ends = np.clip(np.ceil(n * edges / edges[-1] - rng.random()), 0, n).astype(np.int64)
    ends[-1] = n
    return rng.permutation(np.repeat(sizes, np.diff(ends, prepend=0)))


def rows_needed(sizes: NDArray[np.int64]) -> int:
    """Return how many rows `target_of` makes use of: with fewer, bodies repeat rows."""
    return max(MAX_BODIES, int(sizes.max(initial=1)))


def target_of(
    url: str,
    protocol: ServingProtocol,
    rows: Batch,
    sizes: NDArray[np.int64],
    *,
    seed: int,
    headers: Mapping[str, str] | None = None,
) -> tuple[Target, NDArray[np.int32]]:
    """Return whom to ask and with which of its bodies, for requests of *sizes* rows.

    A pool of bodies for each size, as large as its share of the requests: at most 200 in all, and beyond one of each
    size only as far as 64 MiB reach. All are encoded before the run, since encoding would take the generator's CPU
    while it measures, and are held by every process of it; 200 are enough to keep a cache from answering for the
    model. A body is a window of *rows*, starting again at the first behind the last.

    Args:
        url: Scheme, host and port of the server.
        protocol: How it is spoken to.
        rows: What bodies are made of, at least one; see `rows_needed`.
        sizes: Shape (n,), rows of each request; see `sizes_of`.
        seed: Of which body a request of a size gets.
        headers: Further request headers.

    Returns:
        The target, and shape (n,): the place of each request's body in `bodies`.

    Raises:
        ConfigError: One body of each size is more than a generator can hold.
        ValueError: No rows, or a value that strict JSON does not have.
    """
    if not len(rows):
        raise ValueError("no rows to make requests of")
    distinct, index, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    pools, bodies, content_type = _encoded(protocol, rows, distinct, counts)
    body = np.empty(len(sizes), np.int32)
    rng = np.random.default_rng(seed)
    for place, pool in enumerate(pools):
        asked = np.flatnonzero(index == place)
        # In turn, and then shuffled: every body of the size is sent as often as another.
        body[asked] = rng.permutation(np.resize(np.array(pool, np.int32), len(asked)))
    lengths = [
        int(distinct[place]) for _, place in sorted((at, place) for place, pool in enumerate(pools) for at in pool)
    ]
    is_v2 = isinstance(protocol, V2)
    target = Target(
        url=url,
        bodies=tuple(bodies),
        rows=tuple(lengths),
        protocol="v2" if is_v2 else "invocations",
        path=protocol.path,
        content_type=content_type,
        headers=dict(headers or {}),
        # V2 knows no word for NaN but null, which is right where an output may be missing.
        reject_not_finite=protocol.null_is_an_error or not is_v2,
    )
    return target, body


def _distribution(batch: "BatchRows") -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return sizes, ascending, and their shares."""
    if isinstance(batch, int):
        return np.array([batch]), np.ones(1)
    if isinstance(batch, dict):
        sizes = np.array(sorted(batch), np.int64)
        return sizes, np.array([batch[size] for size in sizes.tolist()])
    count = min(batch.max - batch.min + 1, MAX_SIZES)
    sizes = np.linspace(batch.min, batch.max, count).round().astype(np.int64)
    return sizes, np.full(count, 1 / count)


def _encoded(
    protocol: ServingProtocol, rows: Batch, distinct: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[list[list[int]], list[bytes], str]:
    """Return the places of each size's bodies, all bodies, and their content type."""
    wanted = _pool_sizes(counts, len(rows))
    pools: list[list[int]] = [[] for _ in wanted]
    bodies: list[bytes] = []
    held, content_type = 0, ""
    # The first of every size, then the second, …: where the bytes are used up, no size is left without one.
    for turn in range(max(wanted)):
        for place, size in enumerate(distinct.tolist()):
            if turn >= wanted[place] or (turn and held >= MAX_BYTES):
                continue
            start = turn * len(rows) // wanted[place]
            window = rows.take([(start + offset) % len(rows) for offset in range(size)])
            body, content_type = protocol.encode(window)
            held += len(body)
            if not turn and held > MAX_BYTES_FIRST:
                most = format_size(MAX_BYTES_FIRST)
                message = f"load.batch: one request of each size takes more than {most} of memory"
                raise ConfigError(message, hint="fewer sizes, or fewer rows a request")
            pools[place].append(len(bodies))
            bodies.append(body)
    return pools, bodies, content_type


def _pool_sizes(counts: NDArray[np.int64], rows: int) -> list[int]:
    """Return how many bodies each size gets: by its share, at least one, at most `MAX_BODIES` in all."""
    spare = MAX_BODIES - len(counts)
    shares = (counts * spare // counts.sum()).tolist()
    # Two windows that start at the same row are the same body.
    return [min(1 + share, rows, int(count)) for share, count in zip(shares, counts, strict=True)]
