import numpy as np

from mlgate.load.samples import ErrorKind, Samples


def run(n, *, rate=100.0, over=(), response_ms=10.0, slow_ms=400.0):
    """Return *n* good answers after *response_ms*; those whose index is in *over* took *slow_ms*."""
    samples = Samples.unsent(np.arange(n) / rate)
    times = np.full(n, response_ms) if np.isscalar(response_ms) else np.array(response_ms, float)
    times[list(over)] = slow_ms
    samples.sent_s[:] = samples.intended_s
    samples.done_s[:] = samples.intended_s + times / 1000
    samples.status[:], samples.error[:] = 200, ErrorKind.NONE
    return samples


def spread(count, n):
    """Return *count* indices, as evenly among *n* as they go."""
    return np.linspace(0, n - 1, count).astype(int).tolist()


def erring(samples, indices, *, code=ErrorKind.SERVER_ERROR, status=500):
    """Turn the answers at *indices* into errors."""
    samples.error[list(indices)], samples.status[list(indices)] = code, status
    return samples


def queue(n, rate, service_s, *, stall=None):
    """Return samples of a server that answers one request at a time; *stall* is (from, seconds)."""
    samples = run(n, rate=rate)
    free_s = 0.0
    for index, intended_s in enumerate(samples.intended_s):
        start = max(free_s, intended_s)
        if stall and stall[0] <= start < stall[0] + stall[1]:
            start = stall[0] + stall[1]
        free_s = start + service_s
        samples.done_s[index] = free_s
    return samples
