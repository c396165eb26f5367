"""Challenger and champion under the same load, in blocks that take turns on the same host."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlgate.errors import LoadGeneratorError, MlgateError
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Cause, Finding
from mlgate.generation.input_space import Unsupported, input_space
from mlgate.load.blocks import REGRESSION_BLOCKS
from mlgate.load.judgement import (
    environment_instead,
    host_too_small,
    judge_regression,
    not_judged,
    unhealthy,
)
from mlgate.load.locust import SAMPLES_FILE, LoadRun, run_load
from mlgate.load.monitor import Monitor
from mlgate.load.plan import LoadPlan, Target
from mlgate.load.requests import rows_needed, sizes_of, target_of
from mlgate.load.schedule import interleaved
from mlgate.load.series import percentile_curve
from mlgate.load.usage import UsageSeries
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate_suites.findings import errored, inconclusive
from mlgate_suites.load_run import READ_EVERY_S, Rows, Setting, apart, generated, progress_of

# Between two blocks: the last answers of one side come in before the other side is asked.
GAP_S = 0.25
# The samples of both sides are kept beside those of the run alone.
FOLDER = "beside_champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Both sides' samples, or why there are none.

    Attributes:
        run: Of both sides; `samples.target` is 1 for the champion's.
        problem: Why there is no run.
        cause: Who has to act where there is none.
        usage: Of the challenger's server and the host.
    """

    run: LoadRun | None
    problem: str = ""
    cause: Cause = Cause.ENVIRONMENT
    usage: UsageSeries | None = None


def measure_beside(setting: Setting, champion: Champion | None, data: EvaluationData | None) -> Beside:
    """Serve the champion as well, and send each side its blocks in turns: A B B A A B B A…."""
    if champion is None:
        return Beside(run=None, problem="there is no champion to compare with")
    setting.client.recover()
    try:
        with champion.serving() as other:
            return _measure(setting, other, _rows_for(setting, champion, data))
    except LoadGeneratorError as error:
        return Beside(run=None, problem=str(error), cause=Cause.HARNESS)
    except (MlgateError, Unsupported) as error:
        return Beside(run=None, problem=f"the champion can not be put under load: {error}")


def _rows_for(setting: Setting, champion: Champion, data: EvaluationData | None) -> Rows:
    """Return rows that the champion takes: the same where they fit, else some of its own signature."""
    if data is not None:
        return data.for_inputs(champion.signature.inputs).head
    if champion.signature.inputs == setting.inputs:
        return setting.rows
    return generated(input_space(champion.signature.inputs, rules={}, known=[]), setting.seed)


def _measure(setting: Setting, other: ScoringClient, rows: Rows) -> Beside:
    load, server = setting.load, setting.client.server
    drawn = setting.seed if load.arrivals == "poisson" else None
    schedule, side = interleaved(*setting.pace, REGRESSION_BLOCKS, GAP_S, drawn)
    targets, body = [], np.zeros(len(schedule), np.int32)
    for index, (client, source) in enumerate(((setting.client, setting.rows), (other, rows))):
        mine = side == index
        sizes = sizes_of(load.batch, int(mine.sum()), setting.seed)
        target, body[mine] = _target(client, source(rows_needed(sizes)), sizes, setting.seed)
        targets.append(target)
    folder = setting.folder / FOLDER
    with apart([server, other.server], workers=load.workers) as cores, Monitor(server, every_s=READ_EVERY_S) as monitor:
        plan = LoadPlan(
            targets=tuple(targets),
            schedule=schedule,
            body=body,
            target=side,
            timeout_s=setting.timeout_s,
            workers=load.workers,
            cores=cores.generator,
        )
        with progress_of(setting, schedule.duration_s) as progress:
            run = run_load(plan, folder=folder, watch=progress)
    return Beside(run=run, usage=monitor.series(run.started_at, length_s=schedule.duration_s))


def _target(client: ScoringClient, rows: Any, sizes: Any, seed: int) -> tuple[Target, Any]:
    return target_of(client.server.url, client.protocol, rows, sizes, seed=seed)


def judge_beside(beside: Beside, setting: Setting, *, tightest_ms: float) -> Finding:
    """Say whether the challenger's p95 is within the policy's ratio of the champion's."""
    load, run = setting.load, beside.run
    if load.max_ratio_to_champion is None:
        raise ValueError("the policy has no limit against the champion")
    if run is None:
        say = errored if beside.cause is Cause.HARNESS else inconclusive
        return say(beside.problem, cause=beside.cause, limit=load.max_ratio_to_champion)
    host = host_too_small(beside.usage, run.health, cpus=setting.policy.values.runtime.cpus, rate=setting.pace[0])
    reason = unhealthy(run.samples, run.health, tightest_ms)
    if reason is not None:
        return not_judged(host or reason, cause=Cause.ENVIRONMENT if host else Cause.HARNESS)
    sides = [run.samples.take(run.samples.target == index) for index in (0, 1)]
    finding = judge_regression(
        sides[0],
        sides[1],
        max_ratio=load.max_ratio_to_champion,
        confidence=load.confidence,
        seed=setting.seed,
        pair_s=2 * (setting.pace[1] / REGRESSION_BLOCKS + GAP_S),
    )
    curves = {"percentile_curve": percentile_curve(sides[0]), "champion_percentile_curve": percentile_curve(sides[1])}
    details = {**finding.details, **curves, "samples": f"load/{FOLDER}/{SAMPLES_FILE}"}
    return environment_instead(replace(finding, details=details), host)
