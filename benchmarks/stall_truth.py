"""A server that stalls: what its callers really waited, and what a load generator says they waited.

A server with one thread and 5 ms of service, in a process of its own, asked 100 times a second and stopped (SIGSTOP, SIGCONT) for 0.5,
2 and 5 s, once a run. The truth is computed: every request intended during the stop waits for its end, then for the queue in front of
it. Beside ours (`run_load`): locust with `constant_throughput` and 10 and 50 users, whose report is read from its own CSV, and an
open-loop client that shares no code with ours, which checks the truth (k6, vegeta and wrk2 are in no registry at hand). Interleaved.

Goal: our p95 and p99 within 5 % of the truth in every cell. A percentile that the stall does not reach is 5 ms of service plus one
loopback request, which is measured by a blocking socket before the run and added to the truth of every request. There, a scheduler's
millisecond is 20 %: within 1 ms is near as well, and so is no further from the truth than the independent client was on this machine.
Locust's factor is the truth over what it reports.
"""

import argparse
import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import load_server
import numpy as np
from load_server import Freeze, Running
from machine import finish, spread
from numpy.typing import NDArray
from open_client import REQUEST

from mlgate.load.locust import run_load
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.schedule import constant

HERE = Path(__file__).parent
RATE, SERVICE_S = 100.0, 0.005
STALLS_S = (0.5, 2.0, 5.0)
QUANTILES = (0.95, 0.99)
NEAR, NEAR_MS = 0.05, 1.0
# A third before, so that the run is under way; the rest, so that the queue of the longest stall (as long again) drains.
STALL_AT = 0.3
ROUND_TRIPS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reported:
    """What a client said: p95 and p99 in ms, how many requests, and its second 0 on the monotonic clock, where it says."""

    quantiles_ms: tuple[float, ...]
    n: int
    started_at: float | None = None


def quantiles_ms(times_ms: NDArray[np.float64]) -> tuple[float, ...]:
    """Return p95 and p99, observed values."""
    return tuple(np.quantile(times_ms, QUANTILES, method="inverted_cdf").tolist())


def true_times_ms(duration_s: float, stall_s: tuple[float, float], round_trip_ms: float) -> NDArray[np.float64]:
    """Return what each intended request waits for its answer, in ms.

    Args:
        duration_s: Of the schedule, `RATE` a second.
        stall_s: When the server stopped and went on, in seconds since second 0.
        round_trip_ms: Of a request that waits for nothing, beyond its service.
    """
    stop, go = stall_s
    intended_s, free_at = np.arange(round(RATE * duration_s)) / RATE, 0.0
    done_s = np.empty_like(intended_s)
    for index, at in enumerate(intended_s.tolist()):
        seen_at = go if stop <= at < go else at
        free_at = max(seen_at, free_at) + SERVICE_S
        done_s[index] = go if stop <= free_at < go else free_at
    return (done_s - intended_s) * 1000 + round_trip_ms


def round_trip_ms(server: Running) -> float:
    """Return the median milliseconds of a request and its answer beyond the service, by a blocking socket."""
    found = []
    with socket.create_connection(server.address) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            caller.sendall(REQUEST)
            caller.recv(4096)
            found.append((time.perf_counter() - began - SERVICE_S) * 1000)
            time.sleep(SERVICE_S)
    return statistics.median(found)


def ours(server: Running, duration_s: float, folder: Path) -> Reported:
    """`run_load`."""
    target = Target(url=server.url, bodies=(b'{"inputs": [[1.0]]}',))
    plan = LoadPlan(targets=(target,), schedule=constant(RATE, duration_s), timeout_s=30.0)
    run = run_load(plan, folder=folder / "ours")
    if run.samples.failed.any():
        raise RuntimeError(f"requests failed: {run.samples.error_counts}")
    print(f"    ours: send lag p99 {run.health.send_lag_p99_ms:.2f} ms, CPU {run.health.cpu_share:.1%}", flush=True)
    times_ms = run.samples.response_ms
    return Reported(quantiles_ms=quantiles_ms(times_ms), n=len(times_ms), started_at=run.started_at)


def independent(server: Running, duration_s: float, _: Path) -> Reported:
    """The open-loop client of `open_client.py`."""
    where = [str(server.address[1]), f"--rate={RATE}", f"--duration={duration_s}"]
    output = subprocess.run(
        [sys.executable, HERE / "open_client.py", *where], stdout=subprocess.PIPE, check=True
    ).stdout
    found = json.loads(output)
    times_ms = np.array(found["response_ms"])
    return Reported(quantiles_ms=quantiles_ms(times_ms), n=len(times_ms), started_at=found["started_at"])


def locust(users: int) -> Callable[[Running, float, Path], Reported]:
    """Locust as its users run it."""

    def run(server: Running, duration_s: float, folder: Path) -> Reported:
        options = ["--headless", "--only-summary", "-u", str(users), "-r", str(users), "-t", f"{duration_s:g}s"]
        output = ["--csv", "paced", "--host", server.url, "--exit-code-on-error", "0"]
        subprocess.run(
            [sys.executable, "-m", "locust", "-f", HERE / "closed_loop_locustfile.py", *options, *output],
            cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "CLOSED_LOOP_RATE": str(RATE), "CLOSED_LOOP_USERS": str(users)},
        )  # fmt: skip
        with (folder / "paced_stats.csv").open(newline="") as file:
            (total,) = (row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
        return Reported(
            quantiles_ms=tuple(float(total[f"{q:.0%}"]) for q in QUANTILES), n=int(total["Request Count"])
        )  # fmt: skip

    return run


CLIENTS = {"independent": independent, "ours": ours, "locust, 10 users": locust(10), "locust, 50 users": locust(50)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One run of one client: what it reported, and what was true in it."""

    reported: Reported
    truth_ms: tuple[float, ...]
    stall_s: float


def measure(client: str, stall_s: float, duration_s: float, folder: Path) -> Measured:
    """Run *client* against a server of its own that stalls once."""
    # The round trips come first, on the same server; the announced begin is a request after them and after the warm-up.
    behaviour = load_server.Behaviour(service_s=np.array([SERVICE_S]), in_line=True, begins_at=ROUND_TRIPS + 20)
    with load_server.running(behaviour, folder) as server:
        beyond_ms = round_trip_ms(server)
        freeze = server.freeze(STALL_AT * duration_s, stall_s)
        reported = CLIENTS[client](server, duration_s, folder)
        freeze.join()
    truth_ms = true_times_ms(duration_s, _since_start(freeze, reported, server, duration_s), beyond_ms)
    return Measured(reported=reported, truth_ms=quantiles_ms(truth_ms), stall_s=freeze.end_at - freeze.start_at)


def _since_start(freeze: Freeze, reported: Reported, server: Running, duration_s: float) -> tuple[float, float]:
    """Locust does not say when it began; its stall lies as long after its begin as it was asked to."""
    start_at = freeze.start_at - STALL_AT * duration_s if reported.started_at is None else reported.started_at
    assert abs(server.begun_at - start_at) < 1.0, "the run did not begin when the server saw it begin"
    return freeze.start_at - start_at, freeze.end_at - start_at


def main() -> int:
    """Measure, print, and say whether the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="runs of 15 s instead of 60 s, once")
    parser.add_argument("--repeats", type=int, help="runs of each cell (3; quick: 1)")
    options = parser.parse_args()
    duration_s, repeats = (15.0, 1) if options.quick else (60.0, 3)
    found: dict[tuple[float, str], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeats or repeats):
            for stall_s in STALLS_S:
                for client in CLIENTS:
                    found[stall_s, client].append(measure(client, stall_s, duration_s, Path(folder)))
                    print(f"  {stall_s:g} s, {client}: {_brief(found[stall_s, client][-1])}", flush=True)
    return _report(found, duration_s)


def _brief(measured: Measured) -> str:
    pairs = zip(QUANTILES, measured.reported.quantiles_ms, measured.truth_ms, strict=True)
    return (
        ", ".join(f"p{q * 100:.0f} {said:.1f} of {true:.1f} ms" for q, said, true in pairs)
        + f", n = {measured.reported.n}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One percentile of one client under one stall, over its runs."""

    client: str
    stall_s: float
    q: float
    truths_ms: list[float]
    reported_ms: list[float]

    @property
    def name(self) -> str:
        """As a sentence has it."""
        return f"p{100 * self.q:.0f} of {self.stall_s:g} s"

    @property
    def factor(self) -> float:
        """Truth over reported, the median of the runs."""
        return statistics.median(true / max(said, 1e-9) for true, said in self._pairs)

    @property
    def error_ms(self) -> float:
        """Median distance from the truth."""
        return statistics.median(abs(said - true) for true, said in self._pairs)

    @property
    def error(self) -> float:
        """Median distance from the truth, as a part of it."""
        return statistics.median(abs(said - true) / true for true, said in self._pairs)

    @property
    def stalled(self) -> bool:
        """Whether the percentile is one of a request that waited for the stall: its queue alone is longer than a request."""
        return statistics.median(self.truths_ms) > 2000 * SERVICE_S

    @property
    def _pairs(self) -> list[tuple[float, float]]:
        return list(zip(self.truths_ms, self.reported_ms, strict=True))

    def is_near(self, reference: "Cell") -> bool:
        """Whether it says the truth, or in a cell without a stall what *reference* says of this machine."""
        return self.error <= NEAR or (not self.stalled and self.error_ms <= max(NEAR_MS, reference.error_ms))


def _report(found: dict[tuple[float, str], list[Measured]], duration_s: float) -> int:
    cells = {
        (client, stall_s, q): Cell(
            client=client,
            stall_s=stall_s,
            q=q,
            truths_ms=[run.truth_ms[place] for run in runs],
            reported_ms=[run.reported.quantiles_ms[place] for run in runs],
        )
        for (stall_s, client), runs in found.items()
        for place, q in enumerate(QUANTILES)
    }
    near = {key: cell.is_near(cells["independent", cell.stall_s, cell.q]) for key, cell in cells.items()}
    print(
        f"{RATE:g}/s for {duration_s:g} s, {1000 * SERVICE_S:g} ms of service; medians (least to most) in ms; factor: truth / reported"
    )
    print(f"{'stall':>5}    {'client':18}{'truth':>28}{'reported':>30}{'factor':>9}")
    for key, cell in cells.items():
        truth, said = spread(cell.truths_ms), spread(cell.reported_ms)
        far = "" if near[key] else "  far from the truth"
        print(f"{cell.stall_s:>4g} s p{100 * cell.q:.0f} {cell.client:18}{truth:>27}{said:>30}{cell.factor:>9.2f}{far}")
    mine = {key: cell for key, cell in cells.items() if cell.client == "ours"}
    missed = [cell.name for key, cell in mine.items() if not near[key]]
    return finish(
        "stall_truth",
        ratio=max(cell.error for cell in mine.values() if cell.stalled),
        goal="our p95 and p99 within 5 % of the truth for stalls of 0.5, 2 and 5 s",
        n=min(map(len, found.values())),
        reached=not missed,
        missed=missed,
        locust_factors={f"{cell.client}, {cell.name}": round(cell.factor, 2) for cell in cells.values() if cell.client.startswith("locust")},
        ours={cell.name: {"truth_ms": round(statistics.median(cell.truths_ms), 1), "reported_ms": round(statistics.median(cell.reported_ms), 1)} for cell in mine.values()},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
