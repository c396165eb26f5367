"""The model of the image and cold start benchmarks: a logistic regression on two columns, as MLflow saves it."""

import warnings
from importlib.metadata import version
from pathlib import Path

PINNED = ("mlflow", "scikit-learn", "numpy", "pandas", "skops")
# A pin that neither side's own tools need, so that changing it changes nothing else.
LOOSE = "tabulate"
ROW = {"dataframe_split": {"columns": ["a", "b"], "data": [[0.1, 0.9]]}}
ANSWER = {"predictions": [0]}


def save(folder: Path, *, loose: str | None = None) -> Path:
    """Save the model below *folder*, readable by everybody; *loose* pins one more package."""
    import mlflow
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    pins = [f"{name}=={version(name)}" for name in PINNED] + ([f"{LOOSE}=={loose}"] if loose else [])
    rows = pd.DataFrame(np.random.default_rng(1).random((200, 2)), columns=["a", "b"])
    labels = (rows.a > rows.b).astype(int)
    fitted = LogisticRegression().fit(rows, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(rows, fitted.predict(rows))
        mlflow.sklearn.save_model(
            fitted, folder / "model", signature=signature, input_example=rows.head(1), pip_requirements=pins
        )
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder / "model"


def pin(model: Path, loose: str) -> None:
    """Change the loose pin in a saved model, wherever it stands."""
    for name in ("requirements.txt", "conda.yaml"):
        lines = (model / name).read_text().splitlines()
        changed = [f"{line.partition(LOOSE)[0]}{LOOSE}=={loose}" if f"{LOOSE}==" in line else line for line in lines]
        (model / name).write_text("\n".join(changed) + "\n")
