"""Load: the server carries the offered rate within its limits, measured from the intended send time."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.errors import LoadGeneratorError
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Cause, Finding, Outcome
from mlgate.generation.input_space import InputSpace
from mlgate.load.judgement import judge_error_rate, judge_percentile, judge_rate, not_judged, unhealthy
from mlgate.load.locust import LoadRun, run_load
from mlgate.load.plan import LoadPlan
from mlgate.load.schedule import constant
from mlgate.policy import Policy
from mlgate.sandbox.interface import ServerFailure
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.payloads import JSON_TYPE
from mlgate_suites.findings import errored

# Different rows, so that no cache answers for the model; few enough to hold in memory at any row size.
BODIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load run, or why there is none; and what became of the server under it, where it did not live."""

    run: LoadRun | None
    problem: str = ""
    trouble: ServerFailure | None = None


@pytest.fixture(scope="module")
def load_run(
    mlgate_client: ScoringClient,
    mlgate_data: EvaluationData | None,
    mlgate_inputs: InputSpace,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_output: Path,
) -> Measured:
    """Send one-row requests at the policy's rate for its duration; raw samples stay in `load/`."""
    section = mlgate_policy.values.load
    picked = mlgate_data.head(BODIES) if mlgate_data is not None else mlgate_inputs.sample(BODIES, seed=mlgate_seed)
    protocol = mlgate_client.protocol
    bodies = tuple(protocol.encode(picked.take([index]))[0] for index in range(len(picked)))
    mlgate_client.recover()
    plan = LoadPlan(
        url=mlgate_client.server.url,
        bodies=bodies,
        path=protocol.path,
        content_type=JSON_TYPE,
        reject_null=protocol.null_is_an_error,
        schedule=constant(section.rate, section.duration),
        timeout_s=mlgate_policy.values.runtime.request_timeout,
    )
    folder = mlgate_output / "load"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        run = run_load(plan, folder=folder)
        return Measured(run=run, trouble=mlgate_client.server.failure())
    except LoadGeneratorError as error:
        return Measured(run=None, problem=str(error))


@pytest.mark.mlgate_check("load.p95_latency", suite="load")
def test_p95_latency(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """At most 5 % of the requests take longer than the limit."""
    mlgate_record(_percentile(load_run, mlgate_policy, 0.95, mlgate_policy.values.load.p95))


@pytest.mark.mlgate_check("load.p99_latency", suite="load")
def test_p99_latency(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """At most 1 % of the requests take longer than the limit."""
    mlgate_record(_percentile(load_run, mlgate_policy, 0.99, mlgate_policy.values.load.p99))


@pytest.mark.mlgate_check("load.error_rate", suite="load")
def test_error_rate(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The share of requests without a good answer is within the limit."""
    section = mlgate_policy.values.load
    blind = _not_judgeable(load_run, mlgate_policy)
    finding = blind or judge_error_rate(
        _samples(load_run), limit_share=section.error_rate, confidence=section.confidence
    )
    trouble = load_run.trouble
    if trouble is not None and finding.outcome is not Outcome.PASSED:
        details = {**finding.details, "kind": str(trouble.kind), "log": trouble.log}
        finding = replace(finding, reason=f"{finding.reason}; {trouble.message}", details=details)
    mlgate_record(finding)


@pytest.mark.mlgate_check("load.rate", suite="load")
def test_rate(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The server carries the offered rate."""
    blind = _not_judgeable(load_run, mlgate_policy)
    mlgate_record(blind or judge_rate(_samples(load_run), rate=mlgate_policy.values.load.rate))


def _percentile(measured: Measured, policy: Policy, q: float, limit_s: float | None) -> Finding:
    if limit_s is None:
        raise ValueError(f"the policy has no limit for p{q * 100:g}")
    blind = _not_judgeable(measured, policy)
    confidence = policy.values.load.confidence
    return blind or judge_percentile(_samples(measured), q=q, limit_ms=limit_s * 1000, confidence=confidence)


def _not_judgeable(measured: Measured, policy: Policy) -> Finding | None:
    """Return why nothing can be said about the server: the generator died, or could not keep its own schedule."""
    if measured.run is None:
        return errored(measured.problem, cause=Cause.HARNESS)
    section = policy.values.load
    limits = [limit * 1000 for limit in (section.p95, section.p99) if limit is not None]
    tightest = min(limits, default=policy.values.runtime.request_timeout * 1000)
    reason = unhealthy(measured.run.samples, measured.run.health, tightest)
    return None if reason is None else not_judged(reason)


def _samples(measured: Measured) -> Any:
    if measured.run is None:
        raise ValueError("no load run to judge")
    return measured.run.samples
