"""How much the version could carry: a closed loop, reported and never judged."""

from mlgate.errors import LoadGeneratorError
from mlgate.evidence import Finding
from mlgate.load.capacity import Limits, headroom_words, report_capacity
from mlgate.load.closed_loop import find_capacity
from mlgate.load.requests import rows_needed, sizes_of, target_of
from mlgate_suites.findings import errored
from mlgate_suites.load_run import Setting, apart

# Bodies of the closed loop: as many as the open loop has.
REQUESTS = 200


def capacity_of(setting: Setting, *, server_share: float | None) -> Finding:
    """Look for the highest rate within the policy's limits; advisory."""
    load, server = setting.load, setting.client.server
    sizes = sizes_of(load.batch, REQUESTS, setting.seed)
    rows = setting.rows(rows_needed(sizes))
    target, _ = target_of(server.url, setting.client.protocol, rows, sizes, seed=setting.seed)
    limits = Limits(
        p95_ms=None if load.p95 is None else load.p95 * 1000,
        p99_ms=None if load.p99 is None else load.p99 * 1000,
        error_rate=load.error_rate,
    )
    try:
        with apart([server], workers=1) as cores:
            capacity = find_capacity(
                target, limits, folder=setting.folder, request_timeout_s=setting.timeout_s, cores=cores.generator
            )
    except LoadGeneratorError as error:
        return errored(str(error), details={"advisory": True})
    words = headroom_words(setting.pace[0], server_share, server.sandbox.cpus, capacity)
    return report_capacity(capacity, rate=setting.pace[0], headroom=words)
