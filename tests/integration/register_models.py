"""Register models for the whole run: `python register_models.py FOLDER [NAME]`. A process of its own: it loads what it trains."""

import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

NAMES = ("mlflow", "scikit-learn", "numpy", "pandas", "skops")

POLICY = """
requires: [schema, properties, accuracy, cold_start, load]
properties:
  examples: 100
  inputs: {age: {min: 18, max: 90}, tenure: {min: 0, max: 40}}
accuracy:
  data: holdout.parquet
  label: churned
  metrics: {accuracy: {min: 0.6, margin: 0.05}, f1: {margin: 0.1}}
cold_start: {ready: 60s, first_prediction: 60s}
load: {rate: 50/s, duration: 6s, p95: 2s, error_rate: 1%}
"""


def main(folder: Path, name: str = "churn") -> None:
    """Register versions 1 (champion), 2 (as good) and 3 (never tested) of *name*; write data and policy."""
    rng = np.random.default_rng(0)
    x = pd.DataFrame({"age": rng.uniform(18, 90, 3000), "tenure": rng.uniform(0, 40, 3000)})
    y = (0.05 * x["age"] - 0.1 * x["tenure"] + rng.normal(size=3000) > 1).astype("int64")
    x[1500:].assign(churned=y[1500:]).to_parquet(folder / "holdout.parquet", index=False)
    (folder / "mlgate.yaml").write_text(POLICY)
    for strength in (1.0, 0.9, 0.8):
        model = LogisticRegression(C=strength).fit(x[:1500], y[:1500])
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=mlflow.models.infer_signature(x[:100], model.predict(x[:100])),
            input_example=x.head(2),
            pip_requirements=[f"{package}=={version(package)}" for package in NAMES],
            registered_model_name=name,
        )
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
