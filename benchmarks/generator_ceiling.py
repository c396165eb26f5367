"""How much the load generator can send: the highest open-loop rate with a send lag p99 under 5 ms; beside it, wrk.

The server answers at once, in a process of its own. One generator process and wrk with one thread have a core to
themselves where there are two; with all cores, generator (a process a core) or wrk (a thread a core) and server share
them all. wrk is a closed loop: its rate is what 32 connections get when each sends again as soon as it is answered, so
it is the ceiling of client and server, and no schedule is kept. Goal: one process keeps its schedule at ten times the
100/s of the project's latency claim.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread

from mlgate.errors import LoadGeneratorError
from mlgate.load.locust import run_load
from mlgate.load.noop import noop_server
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.samples import Samples
from mlgate.load.schedule import constant

GOAL_RATE = 1000
MOST_LAG_MS = 5.0
SENT_SHARE = 0.99
FIRST_RATE = 500
CONNECTIONS = 32
# One row of twenty numbers, as a small tabular model is asked.
BODY = b'{"dataframe_split": {"columns": [%b], "data": [[%b]]}}' % (
    b", ".join(b'"feature_%d"' % index for index in range(20)),
    b", ".join(b"%.6f" % (index / 7) for index in range(20)),
)


def kept(url: str, rate: float, seconds: float, workers: int, cores: Collection[int] | None) -> Samples | None:
    """Return what `sent` does, at the second attempt too: one hiccup of the host is not the generator's ceiling."""
    first = sent(url, rate, seconds, workers, cores)
    return sent(url, rate, seconds, workers, cores) if first is None else first


def sent(url: str, rate: float, seconds: float, workers: int, cores: Collection[int] | None) -> Samples | None:
    """Send *rate* for *seconds*; return the samples where the schedule was kept, else nothing."""
    target = Target(url=url, bodies=(BODY,), rows=(1,))
    plan = LoadPlan(
        targets=(target,), schedule=constant(rate, seconds), timeout_s=2.0, workers=workers,
        cores=None if cores is None else tuple(cores),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = run_load(plan, folder=Path(folder, "load"))
        except LoadGeneratorError as error:
            print(f"  {rate:7.0f}/s: {error.message}")
            return None
    health = run.health
    share = run.samples.sent.mean()
    good = (
        health.send_lag_p99_ms < MOST_LAG_MS and share >= SENT_SHARE and not run.samples.failed[run.samples.sent].any()
    )
    print(
        f"  {rate:7.0f}/s: send lag p99 {health.send_lag_p99_ms:8.2f} ms, {100 * share:.1f} % sent,"
        f" {run.samples.failed.sum()} without a good answer, CPU {100 * health.cpu_share:.0f} % of a core"
    )
    return run.samples if good else None


def ceiling(keeps: Callable[[float], Samples | None], start: float) -> tuple[float, Samples | None]:
    """Return the highest rate that *keeps*, to 10 %, and its samples: doubled from *start*, then halved in ratio."""
    low, high, best = 0.0, start, None
    while (samples := keeps(high)) is not None:
        low, high, best = high, 2 * high, samples
    while low == 0.0 and high > 1:
        samples = keeps(high / 2)
        low, high, best = (high / 2, high, samples) if samples is not None else (0.0, high / 2, None)
    while low and high / low > 1.1:
        middle = (low * high) ** 0.5
        samples = keeps(middle)
        low, high, best = (middle, high, samples) if samples is not None else (low, middle, best)
    return low, best


def wrk(url: str, threads: int, seconds: int, cores: Collection[int] | None) -> float:
    """Return wrk's requests per second, of the same body."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        lines = [
            'wrk.method = "POST"',
            f"wrk.body = [==[{BODY.decode()}]==]",
            'wrk.headers["Content-Type"] = "application/json"',
        ]
        script.write_text("\n".join(lines))
        done = subprocess.run(
            ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"{url}/invocations"],
            check=True, capture_output=True, text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )  # fmt: skip
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk: {done.stdout}")
    return float(found.group(1))


def main() -> int:
    """Measure, print a table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s runs instead of three of 5 s")
    quick = parser.parse_args().quick
    if shutil.which("wrk") is None:
        print(
            "wrk is not installed, and nothing else is compared with: install it (Debian: apt-get install wrk)",
            file=sys.stderr,
        )
        return 2
    rounds, seconds = (1, 2.0) if quick else (3, 5.0)
    cores = sorted(os.sched_getaffinity(0))
    apart = len(cores) >= 2
    first, rest = ([cores[0]], cores[1:]) if apart else (None, None)
    setups = {"one process": (1, first, rest), f"all {len(cores)} cores": (len(cores), None, None)}
    rates: dict[str, list[float]] = {name: [] for name in setups}
    wrks: dict[str, list[float]] = {name: [] for name in setups}
    answer_bytes = 0
    for turn in range(rounds):
        for name, (processes, own, servers) in setups.items():
            with noop_server(service_s=0.0, cores=servers) as url:
                wrks[name].append(wrk(url, processes, int(seconds), own))
                print(f"round {turn + 1}, {name}: wrk {wrks[name][-1]:.0f}/s")
                start = rates[name][-1] / 1.5 if rates[name] else FIRST_RATE
                rate, samples = ceiling(lambda r: kept(url, r, seconds, processes, own), start)  # noqa: B023  (called at once)
                rates[name].append(rate)
                if samples is not None:
                    answer_bytes = int(median(samples.size.tolist()))
    print(f"\n{'':16}{'ours, open loop: /s':>32}{'wrk, closed loop: /s':>32}")
    for name in setups:
        print(f"{name:16}{spread(rates[name], digits=0):>32}{spread(wrks[name], digits=0):>32}")
    print(f"bytes per request: {len(BODY)} of body out, {answer_bytes} of body back")
    one, every = (median(rates[name]) for name in setups)
    return finish(
        "generator_ceiling", ratio=one / median(wrks["one process"]), goal=f"one process at least {GOAL_RATE}/s",
        n=rounds, reached=one >= GOAL_RATE, one_process=round(one), all_cores=round(every),
        wrk_one_thread=round(median(wrks["one process"])), wrk_all_cores=round(median(list(wrks.values())[1])),
        bytes_out=len(BODY), bytes_back=answer_bytes, send_lag_p99_under_ms=MOST_LAG_MS,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
