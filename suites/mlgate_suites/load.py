"""Load: the server carries the offered rate within its limits, measured from the intended send time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgate.artifacts.signature import Signature
from mlgate.evaluation.rows import EvaluationData
from mlgate.evidence import Cause, CheckResult, Finding, Outcome
from mlgate.generation.input_space import InputSpace
from mlgate.load.calibration import too_small
from mlgate.load.capacity import headroom_words
from mlgate.load.judgement import (
    LAG_SHARE,
    environment_instead,
    host_too_small,
    judge_drift,
    judge_error_rate,
    judge_memory,
    judge_percentile,
    judge_rate,
    no_fault_of_the_host,
    not_judged,
    unhealthy,
)
from mlgate.load.locust import LoadRun
from mlgate.load.series import over_time, percentile_curve
from mlgate.policy import Policy
from mlgate.sandbox.interface import Champion
from mlgate.scoring.client import ScoringClient
from mlgate.scoring.equality import Equality
from mlgate_suites.findings import errored
from mlgate_suites.load_capacity import capacity_of
from mlgate_suites.load_rival import judge_beside, measure_beside
from mlgate_suites.load_run import Measured, Setting, generated, limits_of, measure

Judge = Callable[[LoadRun], Finding]


@pytest.fixture(scope="module")
def load_setting(
    mlgate_client: ScoringClient,
    mlgate_data: EvaluationData | None,
    mlgate_inputs: InputSpace,
    mlgate_signature: Signature,
    mlgate_equality: Equality,
    mlgate_policy: Policy,
    mlgate_seed: int,
    mlgate_output: Path,
    mlgate_tell: Callable[[str], None],
    mlgate_show: Callable[[str], None] | None,
) -> Setting:
    """What is sent to whom; raw samples stay in `load/`."""
    folder = mlgate_output / "load"
    folder.mkdir(parents=True, exist_ok=True)
    return Setting(
        client=mlgate_client,
        policy=mlgate_policy,
        rows=generated(mlgate_inputs, mlgate_seed) if mlgate_data is None else mlgate_data.head,
        inputs=mlgate_signature.inputs,
        equality=mlgate_equality,
        seed=mlgate_seed,
        folder=folder,
        tell=mlgate_tell,
        show=mlgate_show,
    )


@pytest.fixture(scope="module")
def load_run(load_setting: Setting) -> Measured:
    """One run of the version under test, at the policy's rate for its duration."""
    return measure(load_setting)


@pytest.mark.mlgate_check("load.p95_latency", suite="load")
def test_p95_latency(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """At most 5 % of the requests take longer than the limit."""
    mlgate_record(_percentile(load_run, mlgate_policy, "load.p95_latency", 0.95, mlgate_policy.values.load.p95))


@pytest.mark.mlgate_check("load.p99_latency", suite="load")
def test_p99_latency(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """At most 1 % of the requests take longer than the limit."""
    mlgate_record(_percentile(load_run, mlgate_policy, "load.p99_latency", 0.99, mlgate_policy.values.load.p99))


@pytest.mark.mlgate_check("load.error_rate", suite="load")
def test_error_rate(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The share of requests without a good answer is within the limit."""
    section = mlgate_policy.values.load

    def judge(run: LoadRun) -> Finding:
        return judge_error_rate(run.samples, limit_share=section.error_rate, confidence=section.confidence)

    finding = _judged(load_run, mlgate_policy, "load.error_rate", judge)
    if load_run.compared is not None:
        finding = replace(finding, details={**finding.details, "compared_bodies": load_run.compared})
    if load_run.compared == 0:
        finding = replace(
            finding, reason=f"{finding.reason}; no answer was compared: at rest none came twice alike in time"
        )
    if load_run.wrong:
        finding = replace(finding, details={**finding.details, "wrong_answer": dict(load_run.wrong)})
    trouble = load_run.trouble
    if trouble is not None and finding.outcome is not Outcome.PASSED:
        details = {**finding.details, "kind": str(trouble.kind), "log": trouble.log}
        finding = replace(finding, reason=f"{finding.reason}; {trouble.message}", details=details)
    mlgate_record(finding)


@pytest.mark.mlgate_check("load.rate", suite="load")
def test_rate(load_run: Measured, load_setting: Setting, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The server carries the offered rate."""
    section, schedule = mlgate_policy.values.load, load_run.schedule

    def judge(run: LoadRun) -> Finding:
        if schedule is None:
            return judge_rate(run.samples, rate=section.rate, closed_loop_s=section.duration)
        return judge_rate(run.samples, rate=schedule.rate)

    finding = _judged(load_run, mlgate_policy, "load.rate", judge)
    parts: tuple[CheckResult, ...] = ()
    if section.find_capacity and load_run.run is not None and not load_run.run.stopped:
        found = capacity_of(load_setting, server_share=_server_share(load_run))
        parts = (CheckResult(id="load.capacity", params={}, finding=found),)
    details = _whole_run(load_run, mlgate_policy)
    # What was measured says more than what CPU says in proportion.
    measured_headroom = {
        key: part.finding.details[key] for part in parts for key in ("headroom",) if key in part.finding.details
    }
    mlgate_record(replace(finding, details={**finding.details, **details, **measured_headroom}), parts=parts)


@pytest.mark.mlgate_check("load.memory", suite="load")
def test_memory(load_run: Measured, mlgate_policy: Policy, mlgate_record: Any) -> None:
    """The server's memory does not grow by more than the limit over the run."""
    section = mlgate_policy.values.load
    limit = section.memory_growth(mlgate_policy.values.runtime.memory)

    def judge(_run: LoadRun) -> Finding:
        duration_s = _duration_s(load_run, mlgate_policy)
        return judge_memory(load_run.usage, limit_bytes=limit, duration_s=duration_s, confidence=section.confidence)

    mlgate_record(_judged(load_run, mlgate_policy, "load.memory", judge))


@pytest.mark.mlgate_check("load.drift", suite="load")
def test_drift(load_run: Measured, mlgate_policy: Policy, mlgate_seed: int, mlgate_record: Any) -> None:
    """The last third of the run is not much slower than the first."""
    section = mlgate_policy.values.load

    def judge(run: LoadRun) -> Finding:
        return judge_drift(
            run.samples,
            max_ratio=section.max_drift,
            floor_ms=LAG_SHARE * _tightest_ms(mlgate_policy),
            confidence=section.confidence,
            seed=mlgate_seed,
        )

    mlgate_record(_judged(load_run, mlgate_policy, "load.drift", judge))


@pytest.mark.mlgate_check("load.regression", suite="load")
def test_regression(
    load_run: Measured,
    load_setting: Setting,
    mlgate_champion: Champion | None,
    mlgate_data: EvaluationData | None,
    mlgate_record: Any,
) -> None:
    """In blocks that take turns on this host, p95 is at most so many times the champion's."""
    if load_run.run is not None and load_run.run.stopped:
        # The version has failed: twice the duration of the same load would bring nobody closer to a verdict.
        mlgate_record(_judged(load_run, load_setting.policy, "load.regression", early_unknown))
        return
    beside = measure_beside(load_setting, mlgate_champion, mlgate_data)
    mlgate_record(judge_beside(beside, load_setting, tightest_ms=_tightest_ms(load_setting.policy)))


def _percentile(measured: Measured, policy: Policy, check: str, q: float, limit_s: float | None) -> Finding:
    if limit_s is None:
        raise ValueError(f"the policy has no limit for p{q * 100:g}")
    confidence = policy.values.load.confidence

    def judge(run: LoadRun) -> Finding:
        return judge_percentile(run.samples, q=q, limit_ms=limit_s * 1000, confidence=confidence)

    finding = _judged(measured, policy, check, judge)
    # A chart of the run draws the limit whatever came of it.
    return replace(finding, limit=limit_s * 1000, unit="ms")


def _judged(measured: Measured, policy: Policy, check: str, judge: Judge) -> Finding:
    """Judge a run that can be judged, and was not ended before; what the host did is not the model's fault."""
    run, early = measured.run, measured.early
    if run is None:
        return errored(measured.problem, cause=Cause.HARNESS)
    rate = policy.values.load.rate if measured.schedule is None else measured.schedule.rate
    # What host and generator add only makes a pass harder: it explains a failure, and takes no pass away.
    environment = host_too_small(measured.usage, run.health, cpus=policy.values.runtime.cpus, rate=rate)
    if measured.calibration is not None:
        environment = too_small(measured.calibration, _tightest_ms(policy), _peak_rate(measured, rate)) or environment
    reason = unhealthy(run.samples, run.health, _tightest_ms(policy))
    if reason is not None:
        return not_judged(environment or reason, cause=Cause.ENVIRONMENT if environment else Cause.HARNESS)
    environment = _explaining(environment, run, (run.stopped and early and early.check) or check, policy)
    if run.stopped and early is not None:
        if early.check != check and environment is not None:
            return not_judged(environment, cause=Cause.ENVIRONMENT)
        finding = early.finding() if early.check == check else early.others()
        return environment_instead(finding or early_unknown(run), environment)
    return environment_instead(judge(run), environment)


def _explaining(environment: str | None, run: LoadRun, check: str, policy: Policy) -> str | None:
    """Return *environment* where it can explain that *check* failed: no busy host makes answers wrong, or memory grow."""
    if environment is None or check == "load.memory":
        return None
    load = policy.values.load
    share = next((limit.share for limit in limits_of(load) if limit.check == check), None)
    if share is None:
        return environment
    own = judge_error_rate(run.samples, limit_share=share, confidence=load.confidence, classify=no_fault_of_the_host)
    return None if own.outcome is Outcome.FAILED else environment


def _peak_rate(measured: Measured, rate: float) -> float:
    return rate if measured.schedule is None else measured.schedule.peak_rate


def early_unknown(run: LoadRun) -> Finding:
    """Return the finding of a run that was stopped and nobody knows why: never passed."""
    return errored(f"the run was stopped: {run.stopped}")


def _whole_run(measured: Measured, policy: Policy) -> Mapping[str, Any]:
    """Return what the report draws of the run: over time, the percentile curve, and how the generator did."""
    run, usage = measured.run, measured.usage
    if run is None or not len(run.samples):
        return {}
    health, placement = run.health, measured.placement
    details: dict[str, Any] = {
        "over_time": over_time(
            run.samples, usage, duration_s=_duration_s(measured, policy), generator_cores=health.cpu_share
        ),
        "percentile_curve": percentile_curve(run.samples),
        "generator": {
            "offered_rate": health.offered_rate,
            "achieved_rate": health.achieved_rate,
            "send_lag_p99_ms": health.send_lag_p99_ms,
            "dropped": health.dropped,
            "generator_cores": health.cpu_share,
            "server_cores": _server_share(measured),
            "other_cores": usage.other_share(health.cpu_share) if usage is not None else None,
            "pinned": placement.pinned,
            **({"not_pinned": placement.reason} if placement.reason else {}),
            **({"calibration": measured.calibration.details} if measured.calibration else {}),
        },
    }
    # Errors cost a server less, or more, than answers: with them, CPU says nothing of how far it would go.
    answered = not run.samples.failed.mean() > policy.values.load.error_rate
    share = _server_share(measured) if answered else None
    headroom = headroom_words(health.achieved_rate, share, policy.values.runtime.cpus)
    return details | ({"headroom": headroom} if headroom else {}) | ({"stopped": run.stopped} if run.stopped else {})


def _server_share(measured: Measured) -> float | None:
    return measured.usage.server_share() if measured.usage is not None else None


def _duration_s(measured: Measured, policy: Policy) -> float:
    """Return the seconds that were run."""
    run, schedule = measured.run, measured.schedule
    planned = policy.values.load.duration if schedule is None else schedule.duration_s
    if run is None or not run.stopped or not len(run.samples):
        return planned
    return max(1.0, min(planned, float(run.samples.intended_s[-1])))


def _tightest_ms(policy: Policy) -> float:
    section = policy.values.load
    limits = [limit * 1000 for limit in (section.p95, section.p99) if limit is not None]
    return min(limits, default=policy.values.runtime.request_timeout * 1000)
