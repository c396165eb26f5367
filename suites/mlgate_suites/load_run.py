"""One load run of the version under test: what is sent, what watches it, and what came of it."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mlgate.artifacts.signature import Schema
from mlgate.errors import LoadGeneratorError
from mlgate.generation.input_space import InputSpace
from mlgate.load.calibration import Calibration
from mlgate.load.cores import Placement, place
from mlgate.load.early import EarlyStop, Limit
from mlgate.load.locust import LoadRun, Watch, run_load, write_run
from mlgate.load.monitor import Monitor
from mlgate.load.noop import noop_server
from mlgate.load.own_locustfile import run_locustfile
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.process import MASTER_VARIABLE
from mlgate.load.progress import LoadProgress
from mlgate.load.requests import rows_needed, sizes_of, target_of
from mlgate.load.samples import ErrorKind, Health, Samples
from mlgate.load.schedule import Schedule, constant, prefixed, schedule_of
from mlgate.load.usage import UsageSeries
from mlgate.policy import Policy
from mlgate.policy_load import Load
from mlgate.sandbox.interface import ModelServer, ServerFailure
from mlgate.scoring.answers import NotAPrediction
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.payloads import Batch
from mlgate_suites.findings import as_text, rows_or_none

# The no-op server's: about what a small model takes, and far above what its own event loop adds.
NOOP_SERVICE_S = 0.005
# Sent to the no-op server before the run. A hundred requests show a p99, three seconds are enough at any rate.
CALIBRATION_REQUESTS, LEAST_CALIBRATION_S, MOST_CALIBRATION_S = 100, 1.0, 3.0
# Bodies that are asked twice without load, to know what is right: a second at ten milliseconds each.
UNLOADED_BODIES, UNLOADED_S = 50, 3.0
# Readings of server and host: one a second, and enough of them for a slope where the run is short.
READ_EVERY_S, FEWEST_READINGS = 1.0, 30

Rows = Callable[[int], Batch]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a load run needs of the gate run.

    Attributes:
        client: Of the version under test.
        policy: Its section `load` says what is sent.
        rows: Returns at least so many rows to make requests of.
        inputs: What the version under test takes.
        equality: When two answers are equal.
        seed: Of every random choice.
        folder: Where samples and locust's report go.
        tell: Takes a line of progress.
        show: Rewrites a line of progress on a terminal; `None`: there is none.
    """

    client: ScoringClient
    policy: Policy
    rows: Rows
    inputs: Schema | None
    equality: Equality
    seed: int
    folder: Path
    tell: Callable[[str], None]
    show: Callable[[str], None] | None = None

    @property
    def load(self) -> Load:
        """The section of the policy."""
        return self.policy.values.load

    @cached_property
    def schedule(self) -> Schedule | None:
        """What is sent, and when; `None` where a locustfile of the user's own decides that."""
        if self.load.locustfile is not None:
            return None
        return schedule_of(self.load, self.seed, self.policy.folder)

    @property
    def pace(self) -> tuple[float, float]:
        """Mean rate in requests per second, and seconds."""
        schedule = self.schedule
        return (self.load.rate, self.load.duration) if schedule is None else (schedule.rate, schedule.duration_s)

    @property
    def timeout_s(self) -> float:
        """Patience of a request."""
        return self.policy.values.runtime.request_timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load run, or why there is none.

    Attributes:
        run: Its samples are those of the version under test alone.
        problem: Why there is no run.
        schedule: What was to be sent; `None` for a locustfile of the user's own.
        trouble: What became of the server under it, where it did not live.
        calibration: What host and generator add; `None` where the run brought its own requests.
        usage: Of server and host.
        early: What may have stopped it.
        placement: Which cores generator and server had.
        wrong: A wrong answer beside the right one; empty where there is none.
        compared: Bodies whose answers under load were held against those at rest; `None` where nobody could say which.
    """

    run: LoadRun | None
    problem: str = ""
    schedule: Schedule | None = None
    trouble: ServerFailure | None = None
    calibration: Calibration | None = None
    usage: UsageSeries | None = None
    early: EarlyStop | None = None
    placement: Placement = field(default_factory=Placement)
    wrong: Mapping[str, Any] = field(default_factory=dict)
    compared: int | None = None


def generated(space: InputSpace, seed: int) -> Rows:
    """Return where requests get their rows where there are no evaluation data."""
    return lambda count: space.sample(count, seed=seed)


def measure(setting: Setting) -> Measured:
    """Put the version under load as the policy says; samples and locust's report stay in the folder."""
    setting.client.recover()
    schedule = setting.schedule
    if schedule is None:
        return _measured(setting, lambda cores: _run_own(setting, cores), schedule=None)
    sizes = sizes_of(setting.load.batch, len(schedule), setting.seed)
    target, body = target_of(
        setting.client.server.url, setting.client.protocol, setting.rows(rows_needed(sizes)), sizes, seed=setting.seed
    )
    unloaded = ask_unloaded(setting.client, target, setting.equality)
    early = EarlyStop(limits_of(setting.load), schedule, confidence=setting.load.confidence)
    measured = _measured(
        setting, lambda cores: _run_planned(setting, schedule, target, body, early, cores), schedule=schedule
    )
    if measured.run is None:
        return replace(measured, early=early)
    run, wrong = mark_wrong(measured.run, setting.client, unloaded, setting.equality)
    if wrong:
        write_run(run, setting.folder)
    return replace(measured, run=run, early=early, wrong=wrong, compared=len(unloaded))


def _measured(
    setting: Setting, send: Callable[[Placement], tuple[LoadRun, Calibration | None]], *, schedule: Schedule | None
) -> Measured:
    """Keep generator and server apart, read what they use, and send."""
    server, duration_s = setting.client.server, setting.load.duration if schedule is None else schedule.duration_s
    every_s = min(READ_EVERY_S, duration_s / FEWEST_READINGS)
    try:
        with apart([server], workers=setting.load.workers) as placement:
            with Monitor(server, every_s=every_s, pinned=placement.pinned) as monitor:
                run, calibration = send(placement)
            length_s = min(duration_s, float(np.nanmax(run.samples.sent_s, initial=0.0)))
            return Measured(
                run=run,
                schedule=schedule,
                trouble=server.failure(),
                calibration=calibration,
                usage=monitor.series(run.started_at, length_s=length_s),
                placement=placement,
            )
    except LoadGeneratorError as error:
        return Measured(run=None, problem=str(error))


@contextmanager
def apart(servers: list[ModelServer], *, workers: int) -> Iterator[Placement]:
    """Run generator and *servers* on cores of their own for the length of the block, where there are enough."""
    cpus = max(server.sandbox.cpus for server in servers)
    placement = place(os.sched_getaffinity(0), workers=workers, server_cpus=cpus)
    pinned = [server for server in servers if placement.server is not None and server.pin(placement.server)]
    try:
        if len(pinned) < len(servers):
            reason = placement.reason or "the server's cores are not this host's to give: not pinned"
            placement = Placement(reason=reason)
        yield placement
    finally:
        for server in pinned:
            server.pin(None)


def _run_planned(
    setting: Setting, schedule: Schedule, target: Target, body: Any, early: EarlyStop, cores: Placement
) -> tuple[LoadRun, Calibration | None]:
    plan = LoadPlan(
        targets=(target,),
        schedule=schedule,
        body=body,
        timeout_s=setting.timeout_s,
        workers=setting.load.workers,
        cores=cores.generator,
    )
    master = os.environ.get(MASTER_VARIABLE)
    if master:
        # They may run anywhere: the no-op server listens on this host's loopback, and can not calibrate them.
        setting.tell(
            f"load: waiting for {plan.workers} x mlgate load-worker {master}; the version is at {target.url} here"
        )
        with progress_of(setting, schedule.duration_s) as progress:
            return run_load(plan, folder=setting.folder, watch=_both(early, progress)), None
    length_s = min(MOST_CALIBRATION_S, max(LEAST_CALIBRATION_S, CALIBRATION_REQUESTS / schedule.rate))
    calibrating = constant(schedule.peak_rate, length_s)
    first = len(calibrating)
    whole, sides = prefixed(schedule, calibrating)
    with noop_server(service_s=NOOP_SERVICE_S, cores=cores.server) as url:
        noop = Target(url=url, bodies=target.bodies, content_type=target.content_type)
        bodies = np.concatenate([np.resize(body, first), body]).astype(np.int32)
        plan = replace(plan, targets=(target, noop), schedule=whole, body=bodies, target=sides)
        with progress_of(setting, schedule.duration_s) as progress:
            run = run_load(plan, folder=setting.folder, watch=_both(early, progress, skip=first))
    calibration = Calibration.of(
        run.samples.take(slice(0, first)), service_ms=NOOP_SERVICE_S * 1000, generator_cpu_share=run.health.cpu_share
    )
    return without_first(run, first, schedule, setting.folder), calibration


def without_first(run: LoadRun, count: int, schedule: Schedule, folder: Path) -> LoadRun:
    """Return *run* without the calibration, its first *count* requests, and leave the files so."""
    samples = run.samples.take(slice(count, None))
    length_s = schedule.duration_s if not run.stopped else float(samples.intended_s.max(initial=0.0)) or 1.0
    health = Health.of(samples, rate=len(samples) / length_s, duration_s=length_s, cpu_share=run.health.cpu_share)
    run = replace(run, samples=samples, health=health)
    write_run(run, folder)
    return run


def _run_own(setting: Setting, cores: Placement) -> tuple[LoadRun, None]:
    own = setting.load.locustfile
    if own is None:
        raise ValueError("the policy names no locustfile")
    with progress_of(setting, setting.load.duration) as progress:
        run = run_locustfile(
            setting.policy.folder / own.file,
            url=setting.client.server.url,
            users=own.users,
            spawn_rate=own.spawn_rate,
            duration_s=setting.load.duration,
            timeout_s=setting.timeout_s,
            folder=setting.folder,
            watch=progress,
            cores=cores.generator,
        )
    return run, None


def progress_of(setting: Setting, duration_s: float) -> LoadProgress:
    """Return the live line of a run."""
    p95 = setting.load.p95
    return LoadProgress(
        duration_s=duration_s,
        tell=setting.tell,
        limit_ms=None if p95 is None else p95 * 1000,
        show=setting.show,
    )


def _both(early: EarlyStop, progress: LoadProgress, *, skip: int = 0) -> Watch:
    def watch(samples: Samples, at_s: float) -> str | None:
        rows = samples.take(slice(skip, None))
        progress(rows, at_s)
        return early(rows, at_s)

    return watch


def limits_of(load: Load) -> list[Limit]:
    """Return the limits that may end a run before its time."""
    percentiles = [
        Limit.percentile(f"load.p{q:.0%}_latency".replace("%", ""), q=q, limit_ms=limit * 1000)
        for q, limit in ((0.95, load.p95), (0.99, load.p99))
        if limit is not None
    ]
    return [*percentiles, Limit.errors("load.error_rate", share=load.error_rate)]


def ask_unloaded(client: ScoringClient, target: Target, equality: Equality) -> Mapping[int, list[Any]]:
    """Return the answers of a server at rest: body to predictions, where it says the same twice."""
    found: dict[int, list[Any]] = {}
    until = time.monotonic() + UNLOADED_S
    count = len(target.bodies)
    for body in dict.fromkeys(np.linspace(0, count - 1, min(count, UNLOADED_BODIES)).round().astype(int).tolist()):
        answers = [
            client.post(
                target.bodies[body], content_type=target.content_type, timeout_s=min(UNLOADED_S, client.timeout_s)
            )
            for _ in range(2)
        ]
        # One that hangs, or a slow model's time is up: the run itself will tell.
        if time.monotonic() > until or any(answer.problem for answer in answers):
            break
        first, second = map(rows_or_none, answers)
        if first is not None and second is not None and equality.first_difference(first, second) is None:
            found[body] = list(first)
    client.recover()
    return found


def mark_wrong(
    run: LoadRun, client: ScoringClient, unloaded: Mapping[int, list[Any]], equality: Equality
) -> tuple[LoadRun, Mapping[str, Any]]:
    """Make an error of every answer that is not what the server said at rest; return the first beside the right one."""
    wrong: list[int] = []
    example: dict[str, Any] = {}
    for index, kept in enumerate(run.answers):
        right = unloaded.get(kept.body)
        if kept.target != 0 or right is None:
            continue
        try:
            rows = client.protocol.rows(json.loads(kept.content))
        except (NotAPrediction, ValueError, RecursionError):
            continue  # an error of its own kind already
        if len(rows) != len(right) or equality.first_difference(right, rows) is not None:
            wrong.append(index)
            example = example or {"at_rest": as_text(right), "under_load": as_text(rows)}
    if not wrong:
        return run, {}
    samples = run.samples.copy()
    samples.error[np.isin(samples.answer, wrong) & (samples.error == ErrorKind.NONE)] = ErrorKind.WRONG
    return replace(run, samples=samples), example
