"""A run that can only fail says so early: seconds to `failed` against the full minute, and how often a healthy server is failed so.

100 requests a second for 60 s; p95 100 ms, p99 250 ms, 0.5 % errors. Four broken servers: one that answers nothing from second 0,
one from second 20, one that answers 2 % of its requests with a 500, one that answers 5 % after the p99 limit. By simulation (the
samples shown to `EarlyStop` twice a second, as `run_load` does) for medians, and by real runs. Healthy servers, independent and in
seconds that share their fate, by simulation: p95 at 80 % of its limit and 0.1 % errors, scattered or all in one second. Shown without
a goal: servers exactly at their p95 and error limits, which the full minute itself may fail at 5 % each.

Goals, each a median: hang and errors at least 10 times sooner than 60 s (the hang at second 20 counted from there), late at least 3 times;
at most 1 % of healthy runs stopped, where the cell's Clopper-Pearson interval (95 %) must reach down to it. The simulated medians carry
the goal for errors, whose times scatter; of its few real runs each must be stopped.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import load_server
import numpy as np
from latencies import BLOCKS, BURSTS, DURATION_S, INDEPENDENT, RATE, REQUESTS, Latencies
from machine import finish, spread
from numpy.typing import NDArray

from mlgate.load.early import EarlyStop, Limit
from mlgate.load.locust import run_load
from mlgate.load.plan import WARM_UP_REQUESTS, LoadPlan, Target
from mlgate.load.samples import ErrorKind, Samples
from mlgate.load.schedule import constant
from mlgate.statistics.proportions import clopper_pearson

P95_MS, P99_MS, ERROR_RATE, CONFIDENCE = 100.0, 250.0, 0.005, 0.95
TIMEOUT_S, LOOK_S = 10.0, 0.5
MOST_FALSE = 0.01
# Runs of a broken server: they end early, so they are cheap, and of 20 the median for 2 % errors would miss by chance.
MEDIAN_OF = 200
SCHEDULE = constant(RATE, DURATION_S)
Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """What one run's requests are served: service in ms, whether a 500, and the first request that is never answered."""

    service_ms: NDArray[np.float64]
    failing: NDArray[np.bool_]
    hangs_at: int = REQUESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A server.

    Attributes:
        name: In words.
        draw: One run of it.
        sooner: How many times sooner than the minute it must be stopped, by the median; 0: not at all.
        really_sooner: The same of few real runs, where that can be asked.
        begins_s: Second from which the server is broken, and from which the time to `failed` is counted.
        judged: Whether its share of stopped runs has a goal.
    """

    name: str
    draw: Callable[[Random], Served]
    sooner: float = 0.0
    really_sooner: float = 0.0
    begins_s: float = 0.0
    judged: bool = True


def at_p95(latencies: Latencies, p95_ms: float, errors: float = 0.0) -> Callable[[Random], NDArray[np.float64]]:
    """Return draws of response times whose true p95 is *p95_ms*, where a share of *errors* counts as beyond it."""
    median_ms = latencies.scale(1 - (0.05 - errors) / (1 - errors), p95_ms)
    return lambda rng: latencies.draw(rng, median_ms)


FAST = at_p95(INDEPENDENT, 0.5 * P95_MS)


def hanging(second: int) -> Callable[[Random], Served]:
    """Nothing is answered from *second* on."""
    return lambda rng: Served(service_ms=FAST(rng), failing=np.zeros(REQUESTS, bool), hangs_at=second * RATE)


def with_errors(share: float) -> Callable[[Random], Served]:
    """*share* of the answers are 500s, each on its own."""
    return lambda rng: Served(service_ms=FAST(rng), failing=rng.random(REQUESTS) < share)


def with_late(share: float) -> Callable[[Random], Served]:
    """*share* of the answers come after the p99 limit, each on its own."""

    def draw(rng: Random) -> Served:
        late_ms = np.where(rng.random(REQUESTS) < share, P99_MS, 0.0)
        return Served(service_ms=FAST(rng) + late_ms, failing=np.zeros(REQUESTS, bool))

    return draw


def steady(latencies: Latencies, p95_ms: float, errors: float) -> Callable[[Random], Served]:
    """True p95 and error rate as given, errors each on their own."""
    times = at_p95(latencies, p95_ms, errors)
    return lambda rng: Served(service_ms=times(rng), failing=rng.random(REQUESTS) < errors)


def one_bad_second(errors: int) -> Callable[[Random], Served]:
    """As the healthy server, with all its errors in one second."""
    times = at_p95(BLOCKS, 0.8 * P95_MS)

    def draw(rng: Random) -> Served:
        failing, second = np.zeros(REQUESTS, bool), int(rng.integers(DURATION_S))
        failing[second * RATE + rng.choice(RATE, errors, replace=False)] = True
        return Served(service_ms=times(rng), failing=failing)

    return draw


BROKEN = (
    Scenario(name="hangs from second 0", draw=hanging(0), sooner=10, really_sooner=10),
    Scenario(name="hangs from second 20", draw=hanging(20), sooner=10, really_sooner=10, begins_s=20),
    Scenario(name="2 % errors", draw=with_errors(0.02), sooner=10, really_sooner=1),
    Scenario(name="5 % late", draw=with_late(0.05), sooner=3, really_sooner=3),
)
HEALTHY = (
    Scenario(name="healthy, independent", draw=steady(INDEPENDENT, 0.8 * P95_MS, 0.001)),
    Scenario(name="healthy, seconds vary", draw=steady(BLOCKS, 0.8 * P95_MS, 0.001)),
    Scenario(name="healthy, 1 second in 20 twice as slow", draw=steady(BURSTS, 0.8 * P95_MS, 0.001)),
    Scenario(name="healthy, 6 errors in one second", draw=one_bad_second(6)),
    Scenario(name="at its limits, independent", draw=steady(INDEPENDENT, P95_MS, ERROR_RATE), judged=False),
    Scenario(name="at its limits, seconds vary", draw=steady(BLOCKS, P95_MS, ERROR_RATE), judged=False),
)


LIMITS = (
    Limit.percentile("load.p95_latency", q=0.95, limit_ms=P95_MS),
    Limit.percentile("load.p99_latency", q=0.99, limit_ms=P99_MS),
    Limit.errors("load.error_rate", share=ERROR_RATE),
)


def early_stop() -> EarlyStop:
    """Return a watch of the gate's limits, for one run."""
    return EarlyStop(LIMITS, SCHEDULE, confidence=CONFIDENCE)


def simulated_stop(served: Served) -> float | None:
    """Return the second at which a run of *served* is stopped, or `None`; a request is answered after its service."""
    rows, watch = Samples.unsent(SCHEDULE.sends_s), early_stop()
    hung = np.arange(REQUESTS) >= served.hangs_at
    done_s = SCHEDULE.sends_s + np.where(hung, TIMEOUT_S, served.service_ms / 1000)
    error = np.where(hung, ErrorKind.TIMEOUT, np.where(served.failing, ErrorKind.SERVER_ERROR, ErrorKind.NONE))
    status = np.where(hung, 0, np.where(served.failing, 500, 200))
    for look in range(1, round(DURATION_S / LOOK_S)):
        now_s = look * LOOK_S
        sent = SCHEDULE.sends_s <= now_s
        rows.sent_s[sent] = SCHEDULE.sends_s[sent]
        done = done_s <= now_s
        rows.done_s[done], rows.status[done], rows.error[done] = done_s[done], status[done], error[done]
        if watch(rows, now_s):
            return now_s
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """When runs of a scenario were stopped: seconds since it was broken, the whole minute where they were not."""

    scenario: Scenario
    seconds: list[float]
    stopped: int
    false_starts: int
    asked: float

    @classmethod
    def of(cls, scenario: Scenario, stops: list[float | None], asked: float) -> "Stops":
        """Count *stops*, to be so many times sooner; one before the server was broken is a false one."""
        since = [DURATION_S if stop is None else stop - scenario.begins_s for stop in stops]
        return cls(
            scenario=scenario,
            seconds=since,
            stopped=sum(stop is not None for stop in stops),
            false_starts=sum(each < 0 for each in since),
            asked=asked,
        )

    @property
    def sooner(self) -> float:
        """How many times sooner than the minute, by the median."""
        return DURATION_S / median(self.seconds)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share of runs that were stopped, 95 % two-sided."""
        return clopper_pearson(self.stopped, len(self.seconds), 0.95)

    @property
    def reached(self) -> bool:
        """Whether the goal is, where there is one."""
        if self.asked:
            return self.sooner >= self.asked and self.stopped == len(self.seconds) and not self.false_starts
        return not self.scenario.judged or self.interval[0] <= MOST_FALSE

    @property
    def line(self) -> str:
        """One row of the table."""
        low, high = self.interval
        share = f"{self.stopped / len(self.seconds):>8.1%} {f'{low:.2%} to {high:.2%}':>18}"
        goal = f">= {self.asked:g} x" if self.asked else ("<= 1 %" if self.scenario.judged else "")
        when = f"{spread(self.seconds):>22} s {self.sooner:>6.1f} x" if self.scenario.sooner else ""
        return f"{self.scenario.name:40}{len(self.seconds):>6}{share} {when:34}  {goal}{'' if self.reached else '  MISSED'}"


def simulate(scenario: Scenario, draws: int) -> Stops:
    """Draw and watch."""
    return Stops.of(
        scenario,
        [simulated_stop(scenario.draw(np.random.default_rng([7, draw]))) for draw in range(draws)],
        scenario.sooner,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRun:
    """When a real run was stopped (seconds since its first send), why, and how long it took with start and end."""

    stop_s: float | None
    why: str
    wall_s: float


def real_run(scenario: Scenario, seed: int, folder: Path) -> RealRun:
    """Run the plan against a server that does what *scenario* draws."""
    served, stops, watch = scenario.draw(np.random.default_rng([8, seed])), list[float](), early_stop()

    def noted(samples: Samples, now_s: float) -> str | None:
        said = watch(samples, now_s)
        if said:
            stops.append(now_s)
        return said

    behaviour = load_server.Behaviour(
        service_s=served.service_ms / 1000,
        failing=served.failing,
        hangs_after=WARM_UP_REQUESTS + served.hangs_at if served.hangs_at < REQUESTS else None,
    )
    with load_server.running(behaviour, folder) as server:
        target = Target(url=server.url, bodies=(b'{"inputs": [[1.0]]}',))
        plan, began = LoadPlan(targets=(target,), schedule=SCHEDULE, timeout_s=TIMEOUT_S), time.monotonic()
        run = run_load(plan, folder=folder / "run", watch=noted)
    return RealRun(stop_s=stops[0] if stops else None, why=run.stopped, wall_s=time.monotonic() - began)


def main() -> int:
    """Simulate, run, print tables, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 simulated healthy runs and 1 real run each")
    parser.add_argument("--draws", type=int, help="simulated runs of each healthy server (1 000)")
    parser.add_argument("--repeats", type=int, help="real runs each (3)")
    options = parser.parse_args()
    draws, repeats = (100, 1) if options.quick else (1000, 3)
    draws, repeats = options.draws or draws, repeats if options.repeats is None else options.repeats
    print(f"{'simulated':40}{'runs':>6}{'stopped, 95 % interval':>27} {'seconds to failed, sooner':>34}  goal")
    found = []
    for scenario in (*BROKEN, *HEALTHY):
        found.append(simulate(scenario, MEDIAN_OF if scenario.sooner else draws))
        print(found[-1].line, flush=True)
    return _report(found, _real_runs(repeats) if repeats else [], draws)


def _real_runs(repeats: int) -> list[Stops]:
    runs: dict[str, list[RealRun]] = {scenario.name: [] for scenario in BROKEN}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats):
            for scenario in BROKEN:
                run = real_run(scenario, repeat, Path(folder))
                runs[scenario.name].append(run)
                stop = "not stopped" if run.stop_s is None else f"stopped at {run.stop_s:.1f} s"
                print(f"  {scenario.name}: {stop}, {run.wall_s:.1f} s of wall time: {run.why}", flush=True)
    print(f"{'real runs':40}{'runs':>6}{'stopped, 95 % interval':>27} {'seconds to failed, sooner':>34}  goal")
    found = [
        Stops.of(scenario, [run.stop_s for run in runs[scenario.name]], scenario.really_sooner) for scenario in BROKEN
    ]
    for stops in found:
        print(f"{stops.line}  wall {spread([run.wall_s for run in runs[stops.scenario.name]])} s")
    return found


def _report(simulated: list[Stops], real: list[Stops], draws: int) -> int:
    missed = [f"{kind}, {each.scenario.name}" for kind, column in (("simulated", simulated), ("real", real)) for each in column if not each.reached]  # fmt: skip
    broken = [each for each in simulated if each.asked]
    judged = [each for each in simulated if not each.scenario.sooner and each.scenario.judged]
    return finish(
        "fail_fast",
        ratio=min(each.sooner / each.asked for each in broken),
        goal="hang and 2 % errors failed >= 10 times sooner than the minute, 5 % late >= 3 times; healthy runs stopped at most 1 %",
        n=draws,
        reached=not missed,
        missed=missed,
        sooner_simulated={each.scenario.name: round(each.sooner, 1) for each in simulated if each.scenario.sooner},
        sooner_real={each.scenario.name: round(each.sooner, 1) for each in real},
        false_failed={each.scenario.name: each.stopped / len(each.seconds) for each in judged},
    )


if __name__ == "__main__":
    sys.exit(main())
