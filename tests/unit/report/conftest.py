"""Example evidence: a good run, a refused one, one whose environment does not install, one without isolation."""

import math
from dataclasses import replace

import pytest

from mlgate.evidence import (
    Cause,
    ChampionFacts,
    CheckResult,
    DataFacts,
    Evidence,
    FileEntry,
    Finding,
    ImageFacts,
    Outcome,
    PolicyFacts,
    SandboxFacts,
    Subject,
    SuiteResult,
    ToolFacts,
    VerdictFacts,
)
from tests.unit.report import accuracy_runs, load_runs

POLICY = """\
version: 1
model: churn
requires: [schema, properties, accuracy, cold_start, load]
accuracy:
  data: holdout.parquet   # frozen in March
  label: churned
  metrics:
    roc_auc: {min: 0.80, margin: 0.01}
    f1: {margin: 0.02}
load: {rate: 100/s, duration: 60s, p95: 100ms, p99: 250ms, error_rate: 0.5%}
"""


def check(check_id, reason, *, outcome=Outcome.PASSED, params=None, **finding):
    """Return one result."""
    return CheckResult(id=check_id, params=params or {}, finding=Finding(outcome=outcome, reason=reason, **finding))


def histogram(*, middle_ms=18.0, spread=0.5, n=6000, bins=40):
    """Return a log-normal looking histogram."""
    low, high = math.log(middle_ms) - 3 * spread, math.log(middle_ms) + 4.2 * spread
    edges = [math.exp(low + (high - low) * index / bins) for index in range(bins + 1)]
    mids = [(math.log(edges[i]) + math.log(edges[i + 1])) / 2 for i in range(bins)]
    weights = [math.exp(-0.5 * ((mid - math.log(middle_ms)) / spread) ** 2) for mid in mids]
    total = sum(weights)
    return {"edges_ms": edges, "counts": [round(n * weight / total) for weight in weights]}


def environment():
    """Return a passed implicit suite."""
    return SuiteResult(
        duration_s=38.4,
        checks=(
            check("environment.install", "41 pins installed on python:3.11-slim"),
            check("environment.load", "ready after 2.31 s"),
            check("environment.pins", "41 of 41 pins are what the version asks for", n=41),
        ),
    )


def schema():
    """Return a passed schema suite with an advisory miss."""
    return SuiteResult(
        duration_s=3.2,
        checks=(
            check("schema.signature", "9 inputs, 2 outputs declared"),
            check("schema.example", "5 rows in, 5 rows out, strict JSON", n=5),
            check("schema.encodings", "split, records and CSV agree on 64 rows", n=64),
            check("schema.rejects", "answered 400 with JSON", params={"case": "missing_column"}),
            check(
                "schema.rejects",
                "null in a required double was answered 200",
                params={"case": "null"},
                outcome=Outcome.FAILED,
                cause=Cause.SERVER,
                details={"advisory": True},
            ),
        ),
    )


def regression(metric, value, lower, upper, margin, *, outcome=Outcome.PASSED, **extra):
    """Return a comparison with the champion."""
    return check(
        "accuracy.regression",
        f"{metric}: lower bound of the difference {lower:+.4f} against a margin of {margin}",
        params={"metric": metric, **extra},
        outcome=outcome,
        cause=None if outcome is Outcome.PASSED else Cause.MODEL,
        measured=value,
        limit=-margin,
        n=6366,
        interval=(lower, upper),
        confidence=0.95,
        details={
            "challenger": {"value": 0.84 + value, "lower": 0.82 + value, "upper": 0.86 + value},
            "champion": {"value": 0.84},
            "difference": {"value": value, "lower": lower, "upper": upper},
            "margin": margin,
            "rows_needed": 9120,
        },
    )


def accuracy():
    """Return a passed accuracy suite."""
    floor = check(
        "accuracy.floor",
        "roc_auc 0.8412, lower bound 0.8231 > 0.80 (n = 6 366)",
        params={"metric": "roc_auc"},
        measured=0.8412,
        limit=0.8,
        n=6366,
        interval=(0.8231, 0.8577),
        confidence=0.95,
    )
    return SuiteResult(
        duration_s=12.9,
        checks=(
            floor,
            regression("roc_auc", 0.0031, -0.0024, 0.0086, 0.01),
            regression("f1", -0.004, -0.0121, 0.0045, 0.02),
        ),
    )


TIMELINE = {
    "before": {"create": 0.11, "start": 0.32},
    "phases": {
        "interpreter": 0.09,
        "imports": 1.21,
        "load": 2.11,
        "warm_up": 2.2,
        "ready": 2.31,
        "first_prediction": 2.34,
    },
    "imports": {
        "imports": {"mlflow": {"mlflow": 0.4, "pandas": 0.31, "fastapi": 0.09}},
        "load": {"skops": {"skops": 0.2, "scipy": 0.36, "sklearn": 0.13}},
    },
}
CHAMPION_TIMELINE = {
    "before": {"create": 0.1, "start": 0.3},
    "phases": {
        "interpreter": 0.09,
        "imports": 1.18,
        "load": 1.5,
        "warm_up": 1.58,
        "ready": 1.6,
        "first_prediction": 1.64,
    },
    "imports": {"imports": {"mlflow": {"mlflow": 0.4, "pandas": 0.31}}},
}


def cold_start():
    """Return a passed cold start suite."""
    return SuiteResult(
        duration_s=24.8,
        checks=(
            check(
                "cold_start.ready",
                "slowest of 5 starts 2.61 s <= 10 s (median bounded at 96.9 %)",
                measured=2.61,
                limit=10.0,
                unit="s",
                n=5,
                confidence=0.969,
                details={
                    "times_s": [2.31, 2.44, 2.29, 2.61, 2.35],
                    "timeline": TIMELINE,
                    "page_cache": "warm: an earlier server had read the environment and the model",
                },
            ),
            check(
                "cold_start.first_prediction",
                "slowest of 5 first predictions 2.66 s <= 10 s",
                measured=2.66,
                limit=10.0,
                unit="s",
                n=5,
                details={
                    "times_s": [2.36, 2.5, 2.33, 2.66, 2.4],
                    "timeline": TIMELINE,
                    "champion_timeline": CHAMPION_TIMELINE,
                    "environment_image": "build (install 14.2 s, total 19.8 s)",
                    "page_cache": "warm: an earlier server had read the environment and the model",
                    "bytes": {"model_bytes": 350_000_000, "load_s": 0.9, "mb_per_s": 388.9, "disk_bytes": 4096},
                },
            ),
        ),
    )


def load():
    """Return a passed load suite with the distribution."""
    return SuiteResult(
        duration_s=61.4,
        checks=(
            check(
                "load.p95_latency",
                "p95 41.2 ms <= 100 ms (n = 6 000)",
                measured=41.2,
                limit=100.0,
                unit="ms",
                n=6000,
                interval=(39.0, 43.9),
                confidence=0.95,
                details={
                    "histogram": histogram(),
                    "percentiles": {
                        "response_ms": {"p50": 18.0, "p90": 33.9, "p95": 41.2, "p99": 58.7, "max": 141.0},
                        "service_ms": {"p50": 17.1, "p90": 31.0, "p95": 37.5, "p99": 52.0, "max": 133.2},
                    },
                },
            ),
            check(
                "load.p99_latency", "p99 58.7 ms <= 250 ms (n = 6 000)", measured=58.7, limit=250.0, unit="ms", n=6000
            ),
            check(
                "load.error_rate",
                "at most 0.05 % of requests fail (0 of 6 000)",
                measured=0.0,
                limit=0.005,
                unit="share",
                n=6000,
                interval=(0.0, 0.0005),
                confidence=0.95,
            ),
            check("load.rate", "carried 100/s", measured=99.8, limit=100.0, unit="1/s", n=6000),
        ),
    )


def properties():
    """Return a passed property suite."""
    return SuiteResult(
        duration_s=19.0,
        checks=(
            check("properties.total", "500 of 500 valid rows were answered", n=500),
            check("properties.deterministic", "64 rows twice and after a restart: equal", n=64),
            check("properties.batch", "500 rows in 25 batches: equal to single rows", n=500),
        ),
    )


def good():
    """Return a run with nothing against it."""
    return Evidence(
        subject=Subject(
            uri="models:/churn/7",
            name="churn",
            version="7",
            model_id="m-4f1c0f6f1f0b4a3f8a0f",
            source_run_id="9b1f0e6c7d6c4a1ab0f1",
            artifact_digest="sha256:" + "3f" * 32,
            files=(
                FileEntry(path="MLmodel", size=1420, sha256="a1" * 32),
                FileEntry(path="model.pkl", size=8_412_331, sha256="b2" * 32),
                FileEntry(path="requirements.txt", size=612, sha256="c3" * 32),
            ),
        ),
        image=ImageFacts(
            recipe_digest="sha256:" + "5a" * 32,
            image_digest="sha256:" + "77" * 32,
            base="python:3.11-slim",
            base_digest="sha256:" + "19" * 32,
            python="3.11.7",
            platform="linux/amd64",
            pins=tuple(f"package-{index}==1.{index}.0" for index in range(41)),
            apt=("libgomp1",),
            server="mlflow 3.17.2",
            threads=1,
        ),
        sandbox=SandboxFacts(
            kind="container",
            engine="docker 27.1.1",
            cpus=1.0,
            memory=2**30,
            network="none",
            host="runner-3, Linux 6.1, 8 CPUs",
        ),
        champion=ChampionFacts(uri="models:/churn/5", version="5", artifact_digest="sha256:" + "e4" * 32),
        data=DataFacts(source="s3://bucket/holdout.parquet", digest="sha256:" + "d0" * 32, rows=6366),
        policy=PolicyFacts(digest="sha256:" + "aa" * 32, text=POLICY),
        seed=4_503_599_627_370_495,
        complete=True,
        started_at="2026-11-23T14:02:11Z",
        finished_at="2026-11-23T14:05:02Z",
        suites={
            "environment": environment(),
            "schema": schema(),
            "properties": properties(),
            "accuracy": accuracy(),
            "cold_start": cold_start(),
            "load": load(),
        },
        verdict=VerdictFacts(outcome="passed", reasons=()),
        tool=ToolFacts(
            mlgate="0.1.0", python="3.11.7", packages={"mlflow": "3.17.2", "locust": "2.44.0", "pytest": "8.3.4"}
        ),
        ci={"pipeline": "81234", "commit": "4e1c9d2", "ref": "main"},
    )


def refused():
    """Return a run that a NaN and a slow tail refuse, with an open comparison."""
    evidence = good()
    total = check(
        "properties.total",
        "a valid row was answered with NaN: 1 of 500 (the shrunk row is below)",
        outcome=Outcome.FAILED,
        cause=Cause.MODEL,
        n=500,
        advice="Handle tenure = 0 in the model: it divides by it. Run the request below against a local server to see it.",
        details={
            "example": '{"dataframe_split": {"columns": ["age", "tenure", "plan"], "data": [[34, 0, "basic"]]}}',
            "curl": "curl -s http://127.0.0.1:8080/invocations -H 'Content-Type: application/json' -d @row.json",
            "log": "RuntimeWarning: invalid value encountered in divide\n  score = spend / tenure",
            "answer": "NaN",
        },
    )
    slow = check(
        "load.p95_latency",
        "p95 412 ms > 100 ms (n = 6 000)",
        outcome=Outcome.FAILED,
        cause=Cause.MODEL,
        measured=412.0,
        limit=100.0,
        unit="ms",
        n=6000,
        interval=(398.0, 431.0),
        confidence=0.95,
        advice="Profile one prediction, or ask for more CPU in runtime.cpus.",
        details={
            "histogram": histogram(middle_ms=110, spread=0.75),
            "percentiles": {"p50": 110.0, "p90": 301.0, "p95": 412.0, "p99": 690.0},
        },
    )
    cold = check(
        "cold_start.ready",
        "slowest of 5 starts 12.4 s > 10 s, fastest 8.8 s: the median is on neither side",
        outcome=Outcome.INCONCLUSIVE,
        cause=Cause.ENVIRONMENT,
        measured=12.4,
        limit=10.0,
        unit="s",
        n=5,
        advice="Raise cold_start.repeats, or find out what made one start slow.",
        details={
            "times_s": [9.1, 8.8, 12.4, 9.4, 10.2],
            "timeline": {"phases": {"interpreter": 0.1, "imports": 5.2, "load": 8.1, "warm_up": 9.0, "ready": 9.1}},
        },
    )
    suites = dict(evidence.suites)
    suites["properties"] = SuiteResult(duration_s=31.0, checks=(total, *evidence.suites["properties"].checks[1:]))
    suites["accuracy"] = SuiteResult(
        duration_s=13.0,
        checks=(
            regression("roc_auc", -0.0141, -0.0168, -0.0112, 0.01, outcome=Outcome.FAILED),
            regression("f1", -0.012, -0.031, 0.007, 0.02, outcome=Outcome.INCONCLUSIVE),
            regression("accuracy", 0.004, -0.003, 0.011, 0.01),
        ),
    )
    suites["cold_start"] = SuiteResult(duration_s=61.0, checks=(cold, evidence.suites["cold_start"].checks[1]))
    suites["load"] = SuiteResult(duration_s=61.4, checks=(slow, *evidence.suites["load"].checks[1:]))
    against = [
        result
        for name in ("properties", "accuracy", "load", "cold_start")
        for result in suites[name].checks
        if result.outcome is not Outcome.PASSED
    ]
    against.sort(key=lambda result: result.outcome is not Outcome.FAILED)
    reasons = tuple(f"{result.key}: {result.finding.reason}" for result in against)
    return replace(evidence, suites=suites, verdict=VerdictFacts(outcome="failed", reasons=reasons))


def uninstallable():
    """Return a run that ended where the version's requirements do not install: nearly everything is absent."""
    install = check(
        "environment.install",
        "numpy==1.99.0 does not exist: the version's environment can not be built",
        outcome=Outcome.ERRORED,
        cause=Cause.ENVIRONMENT,
        advice="Log the model again with a requirements.txt that installs.",
        details={"log": "  No solution found when resolving dependencies:\n  ╰─▶ no version of numpy==1.99.0"},
    )
    rest = check("environment.load", "not reached: environment.install did not pass", outcome=Outcome.SKIPPED)
    reasons = (
        "environment.install: numpy==1.99.0 does not exist: the version's environment can not be built",
        "environment.load: not reached: environment.install did not pass",
        "suite load has no check: nothing was judged",
    )
    return replace(
        good(),
        image=None,
        sandbox=None,
        champion=None,
        data=None,
        ci={},
        suites={"environment": SuiteResult(duration_s=4.1, checks=(install, rest))},
        verdict=VerdictFacts(outcome="inconclusive", reasons=reasons),
    )


def unisolated():
    """Return a partial run of a directory in a plain process."""
    evidence = good()
    return replace(
        evidence,
        subject=replace(evidence.subject, uri="./model", name=None, version=None, model_id=None, source_run_id=None),
        image=None,
        sandbox=SandboxFacts(kind="process", engine="", cpus=1.0, memory=2**30, network="host", host="laptop"),
        champion=None,
        complete=False,
        suites={"environment": environment(), "schema": schema()},
        verdict=VerdictFacts(
            outcome="inconclusive", reasons=("the run was partial: not every required suite was asked for",)
        ),
    )


def empty():
    """Return evidence that holds as little as the format allows."""
    return replace(
        good(),
        subject=replace(good().subject, files=()),
        image=None,
        sandbox=None,
        champion=None,
        data=None,
        suites={},
        policy=PolicyFacts(digest="", text=""),
        started_at="",
        finished_at="",
        verdict=VerdictFacts(outcome="inconclusive", reasons=()),
        tool=ToolFacts(mlgate="", python="", packages={}),
        ci={},
    )


def sliced():
    """Return a run whose challenger loses on one slice only."""
    return accuracy_runs.one_bad_slice(good())


def open_slices():
    """Return a run of many classes and many slices, with too few rows."""
    return accuracy_runs.too_few_rows(good())


def alike():
    """Return a run of two models with the same answers."""
    return accuracy_runs.alike(good())


def loaded():
    """Return a run with everything there is to say about its load."""
    return load_runs.healthy(good())


def stalled():
    """Return a run whose server stood still for a while, and leaks."""
    return load_runs.stalled(good())


def stopped():
    """Return a run whose load was stopped early."""
    return load_runs.stopped(good())


EXAMPLES = {
    "good": good,
    "refused": refused,
    "uninstallable": uninstallable,
    "unisolated": unisolated,
    "sliced": sliced,
    "open_slices": open_slices,
    "alike": alike,
    "loaded": loaded,
    "stalled": stalled,
    "stopped": stopped,
    "empty": empty,
}


@pytest.fixture(params=list(EXAMPLES))
def example(request):
    """Each example in turn."""
    return EXAMPLES[request.param]()


@pytest.fixture
def examples():
    """The builders by name."""
    return EXAMPLES


@pytest.fixture
def make_check():
    """The builder of one result."""
    return check
