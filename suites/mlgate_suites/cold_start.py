"""Cold start: how long users wait after a container starts."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.errors import ServerError
from mlgate.evidence import Cause, Finding
from mlgate.policy import Policy
from mlgate.quantities import format_duration, format_share
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate.scoring.input_space import InputSpace
from mlgate.scoring.payloads import Batch
from mlgate.statistics.quantiles import attained_confidence
from mlgate_suites.findings import failed, inconclusive, passed, problem_of, rows_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStarts:
    """Repeated starts of fresh servers beside the warm one.

    Attributes:
        ready_s: Seconds from the container's start to readiness.
        first_prediction_s: Seconds from the container's start to the first correct prediction.
        phases: The server's own boot phases of the last start, in seconds from its start.
        problem: Why a start did not end in a correct prediction; empty where all did.
        log: The failed server's last lines.
    """

    ready_s: tuple[float, ...]
    first_prediction_s: tuple[float, ...]
    phases: Mapping[str, float]
    problem: str = ""
    log: str = ""


@pytest.fixture(scope="module")
def cold_starts(
    mlgate_client: ScoringClient,
    mlgate_signature: Signature,
    mlgate_inputs: InputSpace,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_seed: int,
) -> ColdStarts:
    """Start a fresh server as often as the policy says, one after another, and ask each for a prediction."""
    row, expected = _warm_answer(mlgate_client, mlgate_inputs, mlgate_seed)
    ready: list[float] = []
    first: list[float] = []
    phases: Mapping[str, float] = {}
    for _ in range(mlgate_policy.values.cold_start.repeats):
        server = mlgate_client.server.another()
        problem, log = "", ""
        try:
            boot = server.start()
            began = time.perf_counter()
            client = ScoringClient(server, timeout_s=mlgate_client.timeout_s)
            answer = client.score(row)
            rows = rows_or_none(answer)
            first_s = boot.ready_s + time.perf_counter() - began
            phases = boot.phases
            client.close()
            wrong = problem_of(answer, mlgate_signature.outputs, rows=len(row))
            if expected is not None and (rows is None or not mlgate_equality.same(rows[0], expected)):
                problem = f"the first prediction is wrong: {wrong or 'not the answer of the warm server'}"
            else:
                first.append(first_s)
                ready.append(boot.ready_s)
        except ServerError as error:
            problem, log = error.message, error.log
        finally:
            server.stop()
        if problem:
            return ColdStarts(
                ready_s=tuple(ready), first_prediction_s=tuple(first), phases=phases, problem=problem, log=log
            )
    return ColdStarts(ready_s=tuple(ready), first_prediction_s=tuple(first), phases=phases)


def _warm_answer(client: ScoringClient, space: InputSpace, seed: int) -> tuple[Batch, Any]:
    """Return a row that the warm server answers, with its answer; the last row tried and `None` where there is none."""
    rows = space.sample(20, seed=seed)
    for index in range(len(rows)):
        row = rows.take([index])
        answered = rows_or_none(client.score(row))
        if answered:
            # Asked again: the very first answer of a server is what is being doubted here.
            again = rows_or_none(client.score(row))
            return row, (again or answered)[0]
    return rows.take([0]), None


@pytest.mark.mlgate_check("cold_start.ready", suite="cold_start")
def test_ready(cold_starts: ColdStarts, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The median time from container start to readiness is within the limit."""
    limit_s = mlgate_policy.values.cold_start.ready
    mlgate_record(judge_times(cold_starts, cold_starts.ready_s, limit_s=limit_s, what="ready"))


@pytest.mark.mlgate_check("cold_start.first_prediction", suite="cold_start")
def test_first_prediction(cold_starts: ColdStarts, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The median time from container start to the first correct prediction is within the limit."""
    limit_s = mlgate_policy.values.cold_start.first_prediction
    what = "first correct prediction"
    mlgate_record(judge_times(cold_starts, cold_starts.first_prediction_s, limit_s=limit_s, what=what))


def judge_times(starts: ColdStarts, times_s: tuple[float, ...], *, limit_s: float, what: str) -> Finding:
    """Judge the median: the slowest within the limit passes, the fastest beyond it fails, else inconclusive."""
    if starts.problem:
        done = len(times_s)
        details = {"times_s": list(times_s), "log": starts.log}
        return failed(f"start {done + 1} of a fresh server: {starts.problem}", n=done, details=details)
    if not times_s:
        return inconclusive("no start was measured", cause=Cause.HARNESS, n=0)
    ordered = sorted(times_s)
    slowest, fastest, middle = ordered[-1], ordered[0], statistics.median(ordered)
    confidence = attained_confidence(len(ordered), len(ordered), 0.5)
    facts: dict[str, Any] = {
        "measured": middle,
        "limit": limit_s,
        "unit": "s",
        "n": len(ordered),
        "interval": (fastest, slowest),
        "confidence": confidence,
        "details": {"times_s": list(times_s), "phases": dict(starts.phases), "page_cache": "warm"},
    }
    told = (
        f"{what}: median {format_duration(middle)}, slowest of {len(ordered)} {format_duration(slowest)}; "
        f"limit {format_duration(limit_s)} (claim on the median at {format_share(confidence)})"
    )
    if slowest <= limit_s:
        return passed(told, **facts)
    if fastest > limit_s:
        return failed(told, advice=_slowest_phase(starts.phases), **facts)
    return inconclusive(told, advice="more repeats would decide: cold_start.repeats", **facts)


def _slowest_phase(phases: Mapping[str, float]) -> str:
    """Name the phase that took longest; the phases are seconds from start, so each lasts since the one before."""
    lasted: dict[str, float] = {}
    before = 0.0
    for name, at in phases.items():
        lasted[name], before = at - before, at
    if not lasted:
        return "see the server's log for where the time goes"
    name = max(lasted, key=lasted.__getitem__)
    return f"most of it is {name} ({format_duration(lasted[name])})"
