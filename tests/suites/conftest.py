"""A healthy model, its data, and a bench to put models on."""

import gc
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from mlgate.evaluation.rows import EvaluationData
from mlgate.policy_file import parse_policy
from mlgate.scoring.payloads import Batch
from tests.inprocess import InProcessServer
from tests.suites.harness import Bench, ServedChampion

POLICY = """
requires: [schema, properties, accuracy, cold_start, load]
runtime: {request_timeout: 3s}
properties:
  examples: 200
  inputs:
    age: {min: 18, max: 90}
    tenure: {min: 0, max: 40}
    plan: {values: [basic, pro]}
accuracy:
  data: holdout.parquet
  label: churned
  classes: [0, 1]
  metrics:
    accuracy: {min: 0.70, margin: 0.04}
    f1: {margin: 0.06}
    roc_auc: {min: 0.70, margin: 0.04}
  confidence: 95%
cold_start: {ready: 10s, first_prediction: 10s}
load: {rate: 100/s, duration: 3500ms, p95: 600ms, p99: 900ms, error_rate: 1%}
"""
EXAMPLE = Batch(columns=("age", "tenure", "plan"), rows=([33.0, 4, "pro"], [57.5, 20, "basic"]))
ROWS = 2000

Predict = Callable[[pd.DataFrame], Any]


def healthy(frame: pd.DataFrame, params: Any = None) -> Any:
    """The probability of churn: falls with tenure, rises with age."""
    z = 0.05 * (frame["age"].to_numpy(float) - 50) - 0.1 * (frame["tenure"].to_numpy(float) - 15)
    z = z + np.where(frame["plan"].to_numpy(object) == "pro", -0.5, 0.5)
    return 1 / (1 + np.exp(-2 * z))


def holdout() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "age": rng.uniform(18, 90, ROWS).round(1),
            "tenure": rng.integers(0, 40, ROWS),
            "plan": rng.choice(["basic", "pro"], ROWS),
        }
    )
    return frame, (rng.random(ROWS) < healthy(frame)).astype(int)


@pytest.fixture(scope="session")
def signature() -> Any:
    """MLflow's signature of the healthy model."""
    frame, _ = holdout()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hint on integer columns
        return infer_signature(frame, healthy(frame))


@pytest.fixture(scope="session")
def data() -> EvaluationData:
    """2 000 rows with labels drawn from the healthy model's own probabilities."""
    frame, labels = holdout()
    rows = tuple([float(a), int(t), str(p)] for a, t, p in frame.itertuples(index=False))
    features = Batch(columns=tuple(frame.columns), rows=rows)
    return EvaluationData.of(
        source="holdout", digest="sha256:0", features=features, labels=tuple(labels.tolist()), keys=tuple(range(ROWS))
    )


@pytest.fixture
def few(data: EvaluationData) -> EvaluationData:
    """So few rows that each of them is asked without load too, and soon: 20 bodies, twice each."""
    return EvaluationData.of(
        source="few", digest="sha256:1", features=data.head(20), labels=data.labels[:20], keys=tuple(range(20))
    )


@pytest.fixture
def bench(signature: Any, data: EvaluationData, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Put a model on the bench: `bench(predict)`; servers are stopped at the end."""
    with benches(signature, data, tmp_path) as put:
        yield put


@pytest.fixture
def quiet_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither neighbours nor the tests' own process disturb a load: who fails here is the mutant.

    Nobody can look at the host's cores, since a busy one would excuse the failure. And a full collection of all that
    pytest has imported, 0.2 s in which the servers inside of it stand still, has nothing left to look at.
    """
    monkeypatch.setattr("mlgate.load.monitor._host_times", lambda: None)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def benches(signature: Any, data: EvaluationData, folder: Path) -> Iterator[Callable[..., Bench]]:
    """Yield what puts a model on the bench; what a run leaves, and what its policy names, is in *folder*."""
    servers: list[InProcessServer] = []

    def put(
        predict: Predict = healthy,
        *,
        make: Callable[[], Predict] | None = None,
        policy: str = POLICY,
        app: Callable[[Any], Any] = lambda inner: inner,
        champion: Predict | None = None,
        champion_app: Callable[[Any], Any] = lambda inner: inner,
        signed: Any = None,
        **more: Any,
    ) -> Bench:
        own = signature if signed is None else signed
        server = InProcessServer(make or (lambda: predict), own, app=app, ready_s=more.pop("ready_s", 1.0))
        server.start()
        servers.append(server)
        served = None
        if champion is not None:
            other = InProcessServer(lambda: champion, signature, app=champion_app)
            served = ServedChampion(server=other, signature=None, artifact_digest="sha256:champion")
            served.signature = _parsed(signature)
        example = json.dumps({"dataframe_split": {"columns": list(EXAMPLE.columns or ()), "data": list(EXAMPLE.rows)}})
        return Bench(
            server=server,
            signature=own,
            policy=parse_policy(policy, path=more.pop("path", None)),
            output=folder,
            data=more.pop("data", data),
            champion=served,
            example=example.encode(),
            **more,
        )

    try:
        yield put
    finally:
        for server in servers:
            server.stop()


def _parsed(signature: Any) -> Any:
    from mlgate.artifacts.signature import parse_signature

    return parse_signature({"signature": signature.to_dict()})
