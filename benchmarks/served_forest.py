"""What a row costs a served model: a random forest behind mlgate's own server, asked as the accuracy suite asks.

No container and no forwarder stand between, and only the server's own processor time is counted: a real run takes longer.
"""

import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROWS, COLUMNS, TREES = 20_000, 20, 100
PATIENCE_S = 120.0


class Served:
    """A running server, as far as a `ScoringClient` needs it."""

    def __init__(self, port: int) -> None:
        from mlgate.scoring.protocols import Invocations

        self.url, self.protocol = f"http://127.0.0.1:{port}", Invocations()


def row_seconds(folder: Path) -> dict[str, float]:
    """Serve a forest, have it score `ROWS` rows, and return seconds per row: of its processor, and on the clock."""
    from mlgate.evaluation.rows import EvaluationData
    from mlgate.evaluation.scoring import score_data
    from mlgate.scoring.client import ScoringClient
    from mlgate.scoring.payloads import Batch

    names = _save(folder / "model")
    rows = np.random.default_rng(2).normal(size=(ROWS, COLUMNS)).tolist()
    batch = Batch(columns=names, rows=tuple(rows))
    data = EvaluationData.of(source="", digest="", features=batch, labels=[0] * ROWS)
    with _server(folder / "model", folder / "log") as (served, pid):
        client = ScoringClient(served, timeout_s=PATIENCE_S)  # type: ignore[arg-type] - what of a server it asks for
        before, answered = _processor_s(pid), []
        facts = score_data(client, data.batches(), None, answered.extend, name_row=str)
        used = _processor_s(pid) - before
        client.close()
    if facts.rows != ROWS or len(answered) != ROWS or facts.failed:
        raise SystemExit(f"{facts.rows} of {ROWS} rows answered, {facts.failed} requests failed")
    return {"seconds": used / ROWS, "wall": facts.seconds / ROWS}


def _save(model: Path) -> tuple[str, ...]:
    import mlflow
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(2000, COLUMNS)), columns=[f"x{place}" for place in range(COLUMNS)])
    labels = (frame.x0 + frame.x1 + rng.normal(size=len(frame)) > 1).astype(int)
    fitted = RandomForestClassifier(TREES, random_state=1, n_jobs=1).fit(frame, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(frame, fitted.predict_proba(frame))
        mlflow.sklearn.save_model(
            fitted, model, signature=signature, input_example=frame.head(1), pyfunc_predict_fn="predict_proba",
            serialization_format="cloudpickle", pip_requirements=["scikit-learn"],
        )  # fmt: skip
    return tuple(frame.columns)


@contextmanager
def _server(model: Path, log: Path) -> Iterator[tuple[Served, int]]:
    from mlgate.sandbox.readiness import probe

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlgate.serving", "--model", str(model), "--port", str(port), "--threads", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while probe("127.0.0.1", port) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the model is not served:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield Served(port), process.pid
    finally:
        process.terminate()
        process.wait()


def _processor_s(pid: int) -> float:
    """Return what all threads of a process have used; user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
