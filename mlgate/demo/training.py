"""Train and register the demo's models: `python -m mlgate.demo.training FOLDER SANDBOX`.

A process of its own: it imports mlflow and scikit-learn and loads what it trained, which the gate never does.
"""

import json
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from statsmodels.datasets import fair

MODEL = "affairs"
LABEL = "affair"
KEY = "id"
# One list for all of them, so that one image serves them all.
PACKAGES = ("mlflow", "scikit-learn", "skops", "numpy", "pandas", "scipy")


def survey() -> pd.DataFrame:
    """Return Fair's survey of 6 366 women (1978): eight answers, and whether there was an affair."""
    table: pd.DataFrame = fair.load_pandas().data
    table[LABEL] = (table.pop("affairs") > 0).astype("int64")
    table[KEY] = np.arange(len(table))
    return table


def register(model: Any, x: pd.DataFrame, *, note: str) -> str:
    """Log a scikit-learn model that answers probabilities, register it, and return its version."""
    with mlflow.start_run(run_name=note):
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(x, model.predict_proba(x)),
            input_example=x.head(2),
            pip_requirements=pins(),
            pyfunc_predict_fn="predict_proba",
            registered_model_name=MODEL,
        )
    return str(info.registered_model_version)


def register_code(file: str, weights: dict[str, Any], x: pd.DataFrame, folder: Path, *, note: str) -> str:
    """Log a model written as code, with its weights as an artifact, register it, and return its version."""
    place = folder / f"{Path(file).stem}.json"
    place.write_text(json.dumps(weights))
    with mlflow.start_run(run_name=note):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(files("mlgate.demo") / "models" / file),
            artifacts={"weights": str(place)},
            signature=infer_signature(x, np.zeros((len(x), 2))),
            pip_requirements=pins(),
            registered_model_name=MODEL,
        )
    return str(info.registered_model_version)


def pins() -> list[str]:
    """Return the requirements of every demo model: what is installed here."""
    return [f"{name}=={version(name)}" for name in PACKAGES]


def weights_of(model: Any, columns: list[str]) -> dict[str, Any]:
    """Return the weights of a scaled logistic regression as JSON."""
    scaler, regression = model[0], model[-1]
    return {
        "columns": columns,
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": regression.coef_[0].tolist(),
        "intercept": float(regression.intercept_[0]),
    }


def main(folder: Path, sandbox: str) -> dict[str, str]:
    """Register a champion and four challengers; write the evaluation data and the policy; return name to version."""
    table = survey()
    shuffled = np.random.default_rng(7).permutation(len(table))
    train, holdout = table.iloc[shuffled[: len(table) // 2]], table.iloc[shuffled[len(table) // 2 :]]
    holdout.to_parquet(folder / "holdout.parquet", index=False)
    text = (files("mlgate.demo") / "mlgate.yaml").read_text(encoding="utf-8")
    (folder / "mlgate.yaml").write_text(text.replace("sandbox: [container]", f"sandbox: [{sandbox}]"), encoding="utf-8")

    x, y = train.drop(columns=[LABEL, KEY]), train[LABEL]
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    curved = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=1000)).fit(x, y)
    # What a join gone wrong does: every second label belongs to another row, and most rows are lost.
    mixed = y.to_numpy().copy()
    wrong = np.random.default_rng(11).random(len(mixed)) < 0.5
    mixed[wrong] = np.random.default_rng(13).permutation(mixed[wrong])
    spoiled = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(C=1e4, max_iter=2000))
    spoiled.fit(x.iloc[:600], mixed[:600])

    since = x.assign(age=np.log(x["age"] - 17.4))
    logged = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(since, y)
    columns = list(x.columns)
    versions = {
        "champion": register(plain, x, note="champion"),
        "good": register(curved, x, note="as good"),
        "worse": register(spoiled, x, note="lost accuracy"),
        "missing": register_code("needs_statsmodels.py", weights_of(plain, columns), x, folder, note="lacks a package"),
        "nan": register_code("log_of_years.py", weights_of(logged, columns), x, folder, note="NaN for some"),
    }
    mlflow.MlflowClient().set_registered_model_alias(MODEL, "champion", versions["champion"])
    return versions


if __name__ == "__main__":
    place = Path(sys.argv[1])
    (place / "versions.json").write_text(json.dumps(main(place, sys.argv[2])))
